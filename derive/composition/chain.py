"""A chain of compositions at growing shifts, and the lower bound of the radius that it proves at every confidence.

Each composition at a shift e is looked at with one multiplier a = exp(t): delta_e(a) ≤ here proves R(1 - p) ≥ e for p = (1/2 - here)/a.
The neighbouring compositions are looked at with the same a, which bounds delta between them by a chord and its bend (derive.composition.bend):
with x the share of the way from e1 to e2 = e1 + h, and first, last the two ends,

    R(1 - p) ≥ e1 + x·h   where   a·p ≤ 1/2 - first - (last - first)·x - curvature·h²/2·x·(1 - x).

What loses is the bend alone, of second order in h. Nearest to rho = 1/2, R(1 - p) ≥ (1/2 - p)/growth, growth ≥ Phi(1/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from flint import arb, arb_poly, ctx
from scipy.special import ndtr, ndtri

from derive.composition.bend import Bend, bend
from derive.composition.coordinate import Coordinate, float_above
from derive.composition.curve import best_multiplier, delta_above
from derive.composition.lattice import Lattice
from derive.composition.radius import SPAN, first_guess, furthest, loss_lattice
from derive.composition.score import GrowthBound

FINENESS = 6e-3
LOSS = 4e-5
"""Relative loss half way between compositions, about, for which their distance is chosen."""
NEAREST, DEEPEST = 0.02, 8.212
"""Normal quantiles of the first and the last composition; the last is beyond 1 - 2**-53."""
ORDER = 6
"""Terms of the series for x, all positive: fewer give less."""
_BEND_LOSS, _LEVEL_LOSS = 0.31, 0.125
"""Relative loss over (distance in the normal quantile)²: by the bend, times the quantile, and by a multiplier between two best ones."""
_BITS, _LEVEL_BITS = 26, 40
"""Bits of shifts and multipliers, of which any will do, and of levels, which are rounded up: few keep the file short."""
_MORE, _CLOSE = 40, 2e-3
"""Compositions more where the last falls short, and how far from DEEPEST it may stay."""
P = TypeVar("P", arb, arb_poly)


@dataclass(frozen=True)
class Link:
    """A composition: delta at this multiplier is at most `before`, `here` and `after` at the shifts before, of this link, and after it."""

    shift: float
    multiplier: float
    before: float
    here: float
    after: float

    @property
    def fail(self) -> arb:
        """p with R(1 - p) ≥ shift."""
        return (arb(1) / 2 - arb(self.here)) / arb(self.multiplier)


@dataclass(frozen=True)
class Piece:
    """R(1 - p) ≥ bound(p) for bottom ≤ p ≤ top."""

    top: arb
    bottom: arb
    start: arb
    width: arb
    drop: Callable[..., arb | arb_poly]
    terms: tuple[arb, ...]

    def bound(self, p: P) -> P:
        """The lower bound at a ball, or at a polynomial."""
        y = self.drop(p)
        total = y * 0
        for term in reversed(self.terms):
            total = (total + term) * y
        return total * self.width + self.start  # type: ignore[return-value]


@dataclass(frozen=True)
class Chain:
    """Links by rising shift, what bounds the curves between them, and Phi(1/2) from above; ValueError unless they make a chain."""

    links: tuple[Link, ...]
    bend: Bend
    growth: float

    def __post_init__(self) -> None:
        shifts = [0.0, *(link.shift for link in self.links)]
        if len(self.links) < 2 or not all(a < b for a, b in zip(shifts, shifts[1:], strict=False)):
            raise ValueError("a chain needs two compositions or more, their shifts rising")
        if not all(x.multiplier > 0 and x.before < x.here < x.after for x in self.links[1:-1]):
            raise ValueError("the curves of a chain must rise with the shift")
        fails = [arb(0.5), *(link.fail for link in self.links)]
        if not (
            self.growth > 0 and all(bool(a > b) for a, b in zip(fails, fails[1:], strict=False)) and bool(fails[-1] > 0)
        ):  # fmt: skip
            raise ValueError("the confidences of a chain must rise with the shift")

    @property
    def depths(self) -> list[float]:
        """Normal quantiles of the links' confidences."""
        return [-float(ndtri(float(link.fail))) for link in self.links]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """From p = 1/2 down to the last link, without gaps; ArithmeticError where two compositions are too far apart."""
        first = self.links[0].fail
        found = [_straight(first, self.growth)]
        for one, two in zip(self.links, self.links[1:], strict=False):
            low, high = ndtri(float(one.fail)), ndtri(float(two.fail))
            middle = arb(float(ndtr(0.5 * (low + high))))
            found.append(self._chord(one, one.here, one.after, one, two, one.fail, middle))
            found.append(self._chord(two, two.before, two.here, one, two, middle, two.fail))
        return tuple(found)

    def _chord(
        self, at: Link, first: float, last: float, one: Link, two: Link, top: arb, bottom: arb
    ) -> Piece:
        start, width = arb(one.shift), arb(two.shift) - arb(one.shift)
        rise, a = arb(last) - arb(first), arb(at.multiplier)
        dent = arb(self.bend.curvature) * width * width / 2
        level = arb(1) / 2 - arb(first)
        # 0 ≤ 1/2 - first - a·p ≤ rise: at the link itself by definition, at the middle by looking
        inside = bool(level - a * bottom <= rise) if at is one else bool(level - a * top >= 0)
        if not (bool(rise > 0) and inside):
            raise ArithmeticError("two compositions of a chain are too far apart")
        return Piece(top, bottom, start, width, lambda p: p * (-a) + level, _series(rise, dent))

    def piece(self, p: float) -> Piece:
        """The piece at p ≥ that of the last link."""
        low, high = 0, len(self.pieces) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if bool(self.pieces[middle].bottom <= p) else (middle + 1, high)
        return self.pieces[low]


def _straight(bottom: arb, growth: float) -> Piece:
    return Piece(arb(1) / 2, bottom, arb(0), 1 / arb(growth), lambda p: p * (-1) + arb(1) / 2, (arb(1),))


def _series(rise: arb, dent: arb) -> tuple[arb, ...]:
    """x from below as a polynomial in y without constant term: dent·x² - (rise + dent)·x + y = 0, by Catalan numbers."""
    total = rise + dent
    terms, catalan = [], 1
    for n in range(1, ORDER + 1):
        terms.append(catalan * dent ** (n - 1) / total ** (2 * n - 1))
        catalan = catalan * 2 * (2 * n - 1) // (n + 1)
    return tuple(terms)


def depths(loss: float = LOSS) -> list[float]:
    """Normal quantiles at which compositions are made: between any two the same share of the radius is lost."""
    z = np.linspace(NEAREST, DEEPEST, 20001)
    density = np.sqrt((_BEND_LOSS / z + _LEVEL_LOSS) / loss)
    places = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(z))])
    count = math.ceil(places[-1])
    return [float(x) for x in np.interp(np.linspace(0.0, places[-1], count + 1), places, z)]


def _short(value: float) -> float:
    """The same to _BITS bits."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(math.ldexp(mantissa, _BITS)), exponent - _BITS)


def compose_chain(law: Coordinate, dim: int, *, loss: float = LOSS, fineness: float = FINENESS) -> Chain:
    """The chain for a table, down to 1 - rho = 2**-53; ArithmeticError where it does not get there."""
    bent = bend(law, dim)
    longest = int(SPAN / fineness)
    growth = GrowthBound(law, dim, fineness=fineness, longest=longest).middle()
    shifts, lattices, rough = [], [], []
    reached = [(0.0, 0.0)]  # (normal quantile, shift)
    beyond = math.inf
    goals = depths(loss)
    more = [goals[-1] + k * (goals[-1] - goals[-2]) for k in range(1, _MORE + 1)]
    for goal in [*goals, *more]:
        if reached[-1][0] >= DEEPEST - _CLOSE:
            break
        if goal <= reached[-1][0]:
            continue
        shift = _short(min(_next_shift(law, dim, reached, goal), 0.5 * (reached[-1][1] + beyond)))
        lattice = loss_lattice(law, dim, shift, fineness=fineness)
        multiplier, fail = best_multiplier(lattice)
        depth = -float(ndtri(fail)) if 0.0 < fail < 0.5 else math.nan
        if len(reached) == 1 and depth > 4 * goal:  # the first guess knows the information alone, and roughly
            shift = _short(shift * goal / depth)
            lattice = loss_lattice(law, dim, shift, fineness=fineness)
            multiplier, fail = best_multiplier(lattice)
            depth = -float(ndtri(fail)) if 0.0 < fail < 0.5 else math.nan
        if not depth > reached[-1][0]:
            beyond = min(beyond, shift)  # certified at no confidence
            continue
        if len(reached) > 1 and depth - reached[-1][0] > 3 * (goal - reached[-1][0]):
            beyond = min(beyond, shift)  # too far for a chord
            continue
        beyond = math.inf
        reached.append((depth, shift))
        shifts.append(shift)
        lattices.append(lattice)
        rough.append(_short(multiplier))
    links = []
    for i, (shift, multiplier) in enumerate(zip(shifts, rough, strict=True)):
        links.append(link_at(lattices[max(i - 1, 0) : i + 2], min(i, 1), shift, multiplier, bent.excess))
    chain = Chain(tuple(links), bent, growth)
    if not bool(chain.links[-1].fail <= arb(2) ** -53):
        raise ArithmeticError("the compositions do not reach 1 - rho = 2**-53")
    return chain


def _level(value: arb) -> float:
    """A multiple of 2**-_LEVEL_BITS not below a ball."""
    return math.ldexp(math.ceil(math.ldexp(float_above(value), _LEVEL_BITS)), -_LEVEL_BITS)


def link_at(near: Sequence[Lattice], place: int, shift: float, multiplier: float, excess: float) -> Link:
    """The link of the lattice near[place], its neighbours beside it where there are any; everything rounded up."""
    levels = [_level(delta_above(lattice, multiplier) + arb(excess)) for lattice in near]
    before = levels[place - 1] if place > 0 else 0.0
    after = levels[place + 1] if place + 1 < len(levels) else 1.0
    return Link(shift, multiplier, before, levels[place], after)


def _next_shift(law: Coordinate, dim: int, reached: Sequence[tuple[float, float]], goal: float) -> float:
    """A larger shift, certified at about this normal quantile: it goes on as it went."""
    if len(reached) < 2:
        return first_guess(law, dim, goal)
    (z_far, e_far), (z, e) = reached[-2:]
    return min(e + (goal - z) * (e - e_far) / (z - z_far), 0.5 * (e + furthest(law)))


def link_fault(law: Coordinate, dim: int, chain: Chain, index: int, fineness: float = FINENESS) -> str:
    """Composes a link and its neighbours again: what of its claims is not proved; empty if all are."""
    before, ctx.prec = ctx.prec, 128
    try:
        link = chain.links[index]
        near = range(max(index - 1, 0), min(index + 2, len(chain.links)))
        lattices = [loss_lattice(law, dim, chain.links[k].shift, fineness=fineness) for k in near]
        found = link_at(lattices, index - near[0], link.shift, link.multiplier, chain.bend.excess)
        for name in ("before", "here", "after"):
            proved, claimed = getattr(found, name), getattr(link, name)
            if not proved <= claimed:
                return (
                    f"at the shift {link.shift!r} delta ({name}) ≤ {claimed!r} is not proved, only {proved!r}"
                )
        return ""
    finally:
        ctx.prec = before
