"""Exact l2 radii of l2-radial, unimodal densities: found in floats, then proved from both sides in ball arithmetic.

For a shift v of length e and a level t let M = P(psi(|X+v|) - psi(|X|) > t) and m = P(psi(|X|) - psi(|X-v|) > t): the masses of the
likelihood-ratio set {q_v > e^t q} under q_v and q. For every t (weak duality, Neyman–Pearson)

    M · min(1, p/m)  ≤  G(p, v)  ≤  M + e^t (p - m),

the left side because G is concave in p and G(0, v) ≥ 0. So a right side below 1/2 proves R(1-p) ≥ e, a left side above 1/2 proves
R(1-p) ≤ e: no root finding needs a proof, and a pair (t, e) is a witness anyone can check again. All v of one length are equivalent, and
G grows with e because psi does not decrease. Source: Yang et al. 2020, section on level sets; Neyman and Pearson 1933.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import sympy as sp
from flint import arb, ctx

from derive.enclosure.ball import exact, hull
from derive.enclosure.caps import Shift, cap_mass
from derive.enclosure.masses import FARTHEST, RadialMass
from derive.enclosure.radial import RadialDensity
from derive.enclosure.search import FloatLaw, Saddle
from derive.enclosure.signs import sign_pattern
from derive.enclosure.span import INFINITY, ZERO, Span
from derive.enclosure.steady import Steady
from derive.enclosure.taylor import LogRadial
from derive.formula import Share, r

SLACK = 62
"""Each panel errs by at most 2**-SLACK of the smaller of fail and 1/2 - fail."""
WIDEST, MORE = 1e-12, 26
"""An enclosure relatively wider than this is sought again, with so many bits more."""
WIDTHS = (2.0**-50, 2.0**-44, 2.0**-36, 2.0**-28)
"""Relative half widths of the enclosure, tried in this order."""
STEPS = 16
FEW, STEP = 2, 2.0**-8
"""Up to FEW dimensions slopes are measured, over this relative step."""
CONVERGED = 2.0**-47
_TAIL_BUDGET, _SHORT_BUDGET = 12.0, 2.0
"""Seconds for the signs that bound a tail: over all of the line, and beyond one point."""
_SHARES = (sp.Rational(1, 2), sp.Rational(1, 10), sp.Rational(1, 100))

_INVERSE_SHARES = (sp.Rational(9, 10), sp.Rational(99, 100), sp.Rational(3, 5))


@dataclass(frozen=True)
class Witness:
    """A level t and a distance e > 0, exact numbers."""

    level: arb
    distance: arb

    def __post_init__(self) -> None:
        if not (self.level.is_exact() and self.distance.is_exact() and bool(self.distance > 0)):
            raise ValueError(
                f"a witness is a pair of exact numbers with distance > 0, not {self.level}, {self.distance}"
            )


def level_set_ball(density: RadialDensity, dim: int, fail: arb, extra: int = 0) -> arb:
    """Encloses R(1 - fail), the Neyman–Pearson radius against l2 at scale 1.

    Args:
        density: l2-radial, with exponent equal to dim; psi must not decrease (the caller has proved it) and psi → oo at the end.
        dim: at least 1.
        fail: 1 - rho, positive.
        extra: the ball is to be narrower than usual by this many bits.

    Returns:
        A ball that contains the radius; 0 for fail ≥ 1/2.

    Raises:
        ArithmeticError: no enclosure was found.
    """
    if bool(fail >= 0.5):
        return arb(0)
    low, high = level_set_witness(density, dim, fail, extra)
    if not extra and not bool(high.distance - low.distance < WIDEST * low.distance):
        with suppress(ArithmeticError):  # near 1/2 the usual bits fall short
            low, high = level_set_witness(density, dim, fail, MORE)
    return hull(low.distance, high.distance)


def level_set_witness(density: RadialDensity, dim: int, fail: arb, extra: int = 0) -> tuple[Witness, Witness]:
    """Proofs of a lower and of an upper bound of R(1 - fail), 0 < fail < 1/2, closest first; arguments as in `level_set_ball`."""
    with _problem(density, dim, fail, extra) as (level_set, p):
        centre, saddle = level_set.solve(p, extra)
        for width in WIDTHS:
            pair = []
            for side in (-1, 1):
                change = side * width * float(centre.distance.mid()) * arb(2) ** -extra
                level = (centre.level + saddle.level_along(1.0) * change).mid()
                witness = Witness(level, (centre.distance + change).mid())
                if not (level_set.at_least if side < 0 else level_set.at_most)(witness, p):
                    break
                pair.append(witness)
            else:
                return pair[0], pair[1]
    raise ArithmeticError("the level-set radius was found but could not be proved")


def proves_at_least(density: RadialDensity, dim: int, fail: arb, witness: Witness) -> bool:
    """Whether the witness proves R(1 - fail) ≥ its distance; False means no proof, not the contrary."""
    with _problem(density, dim, fail) as (level_set, p):
        return level_set.at_least(witness, p)


def proves_at_most(density: RadialDensity, dim: int, fail: arb, witness: Witness) -> bool:
    """Whether the witness proves R(1 - fail) ≤ its distance; False means no proof, not the contrary."""
    with _problem(density, dim, fail) as (level_set, p):
        return level_set.at_most(witness, p)


@contextmanager
def _problem(density: RadialDensity, dim: int, fail: arb, extra: int = 0) -> Iterator[tuple[LevelSet, arb]]:
    """The law at a precision that fits the smaller of fail and 1/2 - fail."""
    if density.exponent != dim:
        raise ValueError(
            f"an l2-radial density in dimension {dim} has exponent {dim}, not {density.exponent}"
        )
    small = fail.min(arb(0.5) - fail).lower()
    if not bool(small > 0):
        raise ArithmeticError(f"the level-set radius is enclosed for 0 < fail < 1/2, not {fail}")
    bits = 16 * (1 + int((extra - math.log2(float(small))) // 16))
    before = ctx.prec
    ctx.prec = 150 + bits
    try:
        yield _level_set(density, dim, bits), fail
    finally:
        ctx.prec = before


@lru_cache(maxsize=16)
def _level_set(density: RadialDensity, dim: int, bits: int) -> LevelSet:
    return LevelSet(density, dim, bits)


def _sign_throughout(expression: sp.Expr, on: Span) -> int | None:
    """The sign of an expression on a whole span, None where it is not proved."""
    steady = Steady(time.process_time() + _SHORT_BUDGET)
    try:
        return steady.sign(steady.factored(expression), on)
    except (ArithmeticError, NotImplementedError, ValueError):
        return None


class LevelSet:
    """One density in one dimension, for fail and 1/2 - fail down to 2**-bits."""

    def __init__(self, density: RadialDensity, dim: int, bits: int) -> None:
        self.density, self.dim = density, dim
        psi = density.psi.rewrite(sp.Piecewise) if density.psi.has(sp.Min, sp.Max, sp.Abs) else density.psi
        steepness = r * sp.diff(psi, r)
        try:
            self.psi, self.steepness = LogRadial.of(psi), LogRadial.of(steepness)
        except NotImplementedError as problem:
            raise ArithmeticError(f"the level-set radius cannot be enclosed: {problem}") from problem
        self.slope = steepness
        ceiling = arb(FARTHEST)
        if density.bound is not None:
            ceiling = LogRadial.of(sp.log(density.bound)).at(arb(0))
        self.floats = FloatLaw(self.psi, self.steepness, dim, float(ceiling.mid()))
        reference = arb(self.floats.peak)
        slack = arb(self.floats.mass) * arb(2) ** -(bits + SLACK)
        self.reference = reference
        self.lower_gap = arb(0)
        low, self.lower_tail = self._lower_tail(slack)
        high, self.upper_tail = self._upper_tail(slack)
        self.outside = hull(arb(0), (self.lower_tail + self.upper_tail).upper())
        self.law = RadialMass(
            self.psi,
            self.steepness,
            dim,
            reference=reference,
            low=low,
            high=high,
            ceiling=ceiling,
            bounded=density.bound is not None,
            slack=slack,
        )
        self.total = self.law.total() + self.outside

    def masses(self, witness: Witness) -> tuple[arb, arb]:
        """M and m."""
        return tuple(  # type: ignore[return-value]
            (cap_mass(self.law, Shift(side, witness.level, witness.distance)) + self.outside) / self.total
            for side in (1, -1)
        )

    def at_least(self, witness: Witness, p: arb) -> bool:
        shifted, own = self.masses(witness)
        return bool(shifted + witness.level.exp() * (p - own) < 0.5)

    def at_most(self, witness: Witness, p: arb) -> bool:
        shifted, own = self.masses(witness)
        return bool(shifted * (p / own).min(arb(1)) > 0.5)

    def solve(self, p: arb, extra: int = 0) -> tuple[Witness, Saddle]:
        """(t, e) with M = 1/2 and m = p, nearly: from floats, improved with the exact masses."""
        saddle = self.floats.saddle(float(p.mid()), float((arb(0.5) - p).mid()))
        level, distance = arb(saddle.level), arb(saddle.distance)
        if self.dim <= FEW:
            saddle = self._measured(saddle)
        change: tuple[float, float] | None = None
        goal = CONVERGED * 2.0**-extra
        for _ in range(STEPS + extra // 8):
            shifted, own = self.masses(Witness(level, distance))
            miss = float((shifted - 0.5).mid()), float((own - p).mid())
            if change is not None:
                saddle = saddle.corrected(change, miss)
            change = saddle.newton(*miss)
            if not abs(change[1]) < 0.5 * distance:
                break
            level, distance = (level + change[0]).mid(), (distance + change[1]).mid()
            if abs(change[1]) < goal * float(distance.mid()):
                return Witness(level, distance), saddle
        raise ArithmeticError("the level-set radius was not found")

    def _measured(self, saddle: Saddle) -> Saddle:
        """The slopes by differences of the exact masses, where the floats' are poor: F has a kink or a jump at ±1."""
        here = self.masses(Witness(arb(saddle.level), arb(saddle.distance)))
        rows: list[list[float]] = [[], []]
        for level, distance in ((saddle.level * STEP, 0.0), (0.0, saddle.distance * STEP)):
            there = self.masses(Witness(arb(saddle.level) + level, arb(saddle.distance) + distance))
            for row, before, after in zip(rows, here, there, strict=True):
                row.append(float((after - before).mid()) / (level or distance))
        (a, b), (c, d) = rows
        if a * d == b * c:
            raise ArithmeticError("the level-set radius was not found")
        return replace(saddle, jacobian=((a, b), (c, d)))

    # tails: the steepness stays beyond a constant, so the density of log r falls at least geometrically
    def _upper_tail(self, slack: arb) -> tuple[arb, arb]:
        if self.density.bound is not None:
            return self._edge(slack)
        end = self._end(slack, 1)
        for share in _SHARES:
            constant = self._between(end, share)
            starts = [self._steeper(part - constant, end) for part in self._parts()]
            if constant > self.dim and None not in starts:
                start = reduce(lambda a, b: a.max(b), [arb(end), *(x for x in starts if x is not None)])
                return start, self._height(start) / (exact(constant) - self.dim)
        raise ArithmeticError("the upper tail of the density could not be bounded")

    def _lower_tail(self, slack: arb) -> tuple[arb, arb]:
        end = self._end(slack, -1)
        for share in _SHARES:
            constant = self._between(end, share)
            ends = [self._flatter(part - constant, end) for part in self._parts()]
            if constant < self.dim and None not in ends:
                start = reduce(lambda a, b: a.min(b), [arb(end), *(x for x in ends if x is not None)])
                self.lower_gap = self.dim - exact(constant)
                return start, self._height(start) / self.lower_gap
        raise ArithmeticError("the density near 0 could not be bounded")

    def inverse_below(self) -> arb:
        """An upper bound of ∫ 1/r below the panels, not divided by the total."""
        for share in _INVERSE_SHARES:
            constant = self._between(float(self.law.low), share)
            on = Span(ZERO, self.law.low.exp().upper())
            signs = {_sign_throughout(part - constant, on) for part in self._parts()}
            gap = self.dim - 1 - exact(constant)
            if bool(gap > 0) and signs == {-1}:
                return ((-self.law.low).exp() * self._height(self.law.low) / gap).upper()
        raise ArithmeticError("the mean of 1/r could not be bounded: the density is too steep at 0")

    def _end(self, slack: arb, side: int) -> float:
        return self.floats.end(math.log(self.floats.mass) - float(slack.log().mid()) + 8, side)

    def _steeper(self, excess: sp.Expr, end: float) -> arb | None:
        """log r beyond which the expression is positive, proved: `end` if it is that from there on."""
        if _sign_throughout(excess, Span(arb(end).exp().lower(), INFINITY)) == 1:
            return arb(end)
        pieces = sign_pattern(excess, self.density.kinks, budget=_TAIL_BUDGET)
        if not pieces or pieces[-1][0] != "+":
            return None
        low = pieces[-1][1].upper()
        return low.log().upper() if bool(low > 0) else arb(-FARTHEST)

    def _flatter(self, excess: sp.Expr, end: float) -> arb | None:
        """log r before which the expression is negative, proved: `end` if it is that up to there."""
        if _sign_throughout(excess, Span(ZERO, arb(end).exp().upper())) == -1:
            return arb(end)
        pieces = sign_pattern(excess, self.density.kinks, self.density.bound, budget=_TAIL_BUDGET)
        if not pieces or pieces[0][0] != "-":
            return None
        high = pieces[0][2].lower()
        return high.log().lower() if high.is_finite() else arb(FARTHEST)

    def _parts(self) -> list[sp.Expr]:
        """Expressions between which the steepness lies: that of each part of a mixture, or itself."""
        shares = self.slope.atoms(Share)
        if len({share.args[1:] for share in shares}) != 1:
            return [self.slope]
        parts = next(iter(shares)).args[1:]
        marks = [sp.Dummy() for _ in parts]
        marked = self.slope.subs({share: marks[int(share.args[0])] for share in shares})
        if any(sp.diff(marked, x, y) != 0 for x in marks for y in marks):
            return [self.slope]
        return [marked.subs({m: int(m is mark) for m in marks}) for mark in marks]

    def _between(self, end: float, share: sp.Rational) -> sp.Rational:
        """A short rational between the dimension and the steepness at the end, `share` of the way from the dimension."""
        gap = (self.floats.steepness_at(end) - self.dim) * float(share)
        return sp.Integer(self.dim) + sp.Rational(gap).limit_denominator(8 + int(16 / max(abs(gap), 1e-6)))

    def _height(self, u: arb) -> arb:
        return (self.dim * u - self.psi.at(u) - self.reference).exp()

    def _edge(self, slack: arb) -> tuple[arb, arb]:
        """Near a bound where psi → oo: width times the density's bound, psi being nondecreasing."""
        ceiling = LogRadial.of(sp.log(self.density.bound)).at(arb(0))
        for k in range(4, ctx.prec - 40, 4):
            start = (ceiling - arb(2) ** -k).mid()
            mass = (ceiling - start) * (self.dim * ceiling - self.psi.at(start) - self.reference).exp()
            if bool(mass < slack):
                return start, mass
        raise ArithmeticError("the density does not fall fast enough at the end of its support")
