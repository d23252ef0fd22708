"""Proved polynomial cells of a level-set law: over a range of distances, fail probabilities at which the radius is at least the distance.

For a distance e and any level t let h(t, e) = m(t, e) + e^-t·(1/2 - M(t, e)): R(1-p) ≥ e for every p ≤ h(t, e) (see `witness`). A cell
takes t(x) and e(x) = centre + half·x, x in [-1, 1], as polynomials, encloses H(x) = h(t(x), e(x)) at as many nodes as the polynomial
`fail` has coefficients, and lowers their interpolant by a proved bound of its error: with W the monic polynomial that vanishes at the
nodes, |H - interpolant| ≤ max|W|·max|H⁽ⁿ⁾|/n!. Where that holds of a nearby function H̃ alone, |H - H̃| counts 1 + Λ times, Λ the
Lebesgue constant of the nodes.

In the first cell e runs from 0, where R(1/2) = 0, and what is interpolated is (1/2 - H)/(1+x): so fail(-1) = 1/2, and the gap 1/2 - fail
is relatively accurate however small it is. Source: the interpolation error, e.g. Trefethen, Approximation Theory and Practice, 2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from flint import arb, ctx

from derive.enclosure.interpolation import interpolation, negative, value
from derive.enclosure.nodes import Nodes
from derive.enclosure.witness import Witness

LEVELS = 8
"""Coefficients of a cell's level polynomial; those of its fail polynomial are as many as the law has `nodes`, one more in the first cell."""
RELATIVE = 2.0**-34
"""The error allowed, relative in e."""
SHARE, ENOUGH = 256, 0.75
"""Errors of nodes and of constants are kept below a SHARE of it each; the remainder may take up to ENOUGH of it, or a little more."""
FIRST, WIDER = 0.3, 2.5
"""Half the first cell's width in units of the radius of a unit Gaussian, and the growth from cell to cell at most."""
CELLS, TRIES, FIRST_TRIES = 200, 12, 9
NEAR = 2.0**-7
"""A distance, in the same units, that tells how the gap 1/2 - fail bends."""
PRECISION = 400
GRID_BITS, WIDTH_BITS, SHORT_BITS, CORNER_BITS = 26, 10, 30, 20
STRAIGHT_BITS = 46
"""GRID_BITS where the first cell is straight and so narrow."""


@dataclass(frozen=True)
class Path:
    """Distances e(x) = centre + half·x and levels t(x), x in [-1, 1]; every number exact.

    `terms` are the monomial coefficients of t, or of t/e² in the first cell (centre = half, so that e(-1) = 0 and t(-1) = 0).
    """

    centre: arb
    half: arb
    terms: tuple[arb, ...]

    @property
    def first(self) -> bool:
        return bool(self.centre == self.half)


@dataclass(frozen=True)
class Remainder:
    """How far H is from its interpolants: a function H̃ has |H - H̃| ≤ slack on [-1, 1], and coefficient number `order` of the
    Taylor series of H̃ in x about every point of [-1, 1] is at most `coefficient` in absolute value."""

    coefficient: arb
    slack: arb


class LevelLaw(Protocol):
    """What the cells need of a density against a norm.

    `bends` is a number k with 1/2 - max h(t, e) = slope·e·(1 + O(e**k)). Only where it is 2 a cell may start at distance 0 unless it
    is straight; where it is 1 no h(t, e) falls faster in e than by `slope`.
    """

    bends: int

    @property
    def nodes(self) -> int:
        """How many interpolation nodes a cell is to have; `remainder` is asked for this order, and one more in the first cell."""
        ...

    def masses(self, witness: Witness, error: arb, shifted_error: arb) -> tuple[arb, arb]:
        """M and m at one pair, in balls whose radii are about `shifted_error` (M) and `error` (m) or smaller."""
        ...

    def guess(self, distance: float, start: float) -> tuple[float, float]:
        """Nearly the level with M = 1/2 at this distance, searched from `start`, and m there. From floats, nothing proved."""
        ...

    def slope(self) -> arb:
        """A number c with 1/2 - h(0, e) ≤ c·e for every e ≥ 0 and, to 1e-12, 1/2 - max h(t, e) = c·e·(1 + O(e**bends))."""
        ...

    def remainder(self, path: Path, order: int, enough: arb, slack: arb) -> Remainder:
        """A bound for H on this path, the coefficient no smaller than `enough` if that is cheaper, the slack at most about `slack`.

        ArithmeticError when there is none: the path is too long, or the law is not smooth enough there.
        """
        ...


@dataclass(frozen=True)
class LevelCell:
    """R(1 - p) ≥ centre + half·x for every x in [-1, 1] and every p ≤ fail(x).

    `fail` holds exact monomial coefficients in x; it falls from x = -1 to 1. `witnesses` are triples (p, t, e) of doubles: h(t, e) ≥ p
    is provable at each, and fail(x) < p there; so close to p = 1/2 that no double lies between, there are none.
    """

    centre: arb
    half: arb
    fail: tuple[arb, ...]
    witnesses: tuple[tuple[float, float, float], ...]


def level_cells(law: LevelLaw, smallest: arb, workers: int = 1) -> list[LevelCell]:
    """Cells from e = 0 on, each starting where the last one ends, until fail ≤ smallest.

    Args:
        law: a density against a norm, in one dimension.
        smallest: positive, below 1/2.
        workers: processes for the masses at the nodes; the cells do not depend on it.

    Raises:
        ArithmeticError: a cell could not be proved.
    """
    if not (bool(smallest > 0) and bool(smallest < 0.5)):
        raise ValueError(f"cells reach down to a fail probability between 0 and 1/2, not to {smallest}")
    before, ctx.prec = ctx.prec, PRECISION
    try:
        with Nodes(law, workers) as nodes:
            return _March(law, smallest, nodes).cells()
    finally:
        ctx.prec = before


class _TooWide(ArithmeticError):
    """The remainder is too large; a width smaller by `factor` may do."""

    def __init__(self, factor: float) -> None:
        super().__init__("the cells of the level-set radius become too narrow")
        self.factor = factor


class _March:
    """From cell to cell: floats choose, balls prove."""

    def __init__(self, law: LevelLaw, smallest: arb, nodes: Nodes) -> None:
        self.law, self.smallest, self.nodes = law, smallest, nodes
        self.slope = law.slope()
        self.unit = 1 / (float(self.slope) * math.sqrt(2 * math.pi))
        bits = GRID_BITS if law.bends > 1 else STRAIGHT_BITS
        self.grid = 2.0 ** (math.floor(math.log2(self.unit)) - bits)
        self.rule = interpolation(law.nodes, ctx.prec)

    def cells(self) -> list[LevelCell]:
        first, growth = self._first()
        found = [first]
        start, half = float(first.centre + first.half), float(first.half) * growth
        while len(found) < CELLS:
            cell, growth = self._cell(start, half)
            found.append(cell)
            if bool(value(cell.fail, arb(1)) <= self.smallest):
                return found
            start, half = float(cell.centre + cell.half), float(cell.half) * growth
        raise ArithmeticError(f"a table of the level-set radius would need more than {CELLS} cells")

    def _first(self) -> tuple[LevelCell, float]:
        """The cell at e = 0: wide, or straight and narrow where the law is not smooth there (heavy tails)."""
        try:
            if self.law.bends < 2:
                raise ArithmeticError("the level sets have no smooth limit at distance 0")
            return self._cell(0.0, FIRST * self.unit, FIRST_TRIES)
        except ArithmeticError:
            distance = NEAR * self.unit
            level, _ = self.law.guess(distance, self._level(distance))
            at = Witness(arb(level), arb(distance))
            error = arb(RELATIVE * NEAR**3)
            shifted, own = self.law.masses(at, error, error)
            gap = 0.5 - own - (-at.level).exp() * (0.5 - shifted)
            power = self.law.bends
            bend = max(1 - float(gap / (self.slope * distance)), NEAR**3) / distance**power
            half = max(1, math.floor((RELATIVE / 2 / bend) ** (1 / power) / 2 / self.grid)) * self.grid
            fall = self.slope * half
            return LevelCell(arb(half), arb(half), (0.5 - fall, -fall), ()), 1.0

    def _cell(self, start: float, half: float, tries: int = TRIES) -> tuple[LevelCell, float]:
        """A cell that starts here, of this half width or less, and by what factor the next one may be wider."""
        problem = ArithmeticError("")
        for _ in range(tries):
            half = self._on_grid(self._shortened(start, half))
            path, allowed = self._path(start, half)
            try:
                return self._proved(path, allowed)
            except ArithmeticError as found:
                problem = found
                half *= found.factor if isinstance(found, _TooWide) else 0.6 if start > 0 else 0.3
        raise problem

    def _on_grid(self, half: float) -> float:
        """Few bits, at most WIDTH_BITS, so that the distances of the nodes are doubles."""
        unit = max(self.grid, 2.0 ** (math.frexp(half)[1] - WIDTH_BITS))
        return max(1, round(half / unit)) * unit

    def _shortened(self, start: float, half: float) -> float:
        """Widths that would reach well below the smallest fail probability are cut."""
        target = float(self.smallest)
        while True:
            end = start + 2 * half
            if self.law.guess(end, self._level(end))[1] >= 0.8 * target:
                return half
            short = start + 1.9 * half
            if self.law.guess(short, self._level(short))[1] < 0.95 * target:
                half *= 0.95
            else:
                return half

    def _level(self, e: float) -> float:
        """That of the Gaussian with the same slope."""
        return 0.5 * (e / self.unit) ** 2

    def _path(self, start: float, half: float) -> tuple[Path, arb]:
        """The levels with M = 1/2, from floats, as a polynomial; and the error allowed in what is interpolated."""
        centre = start + half
        places = -np.cos(np.pi * (2 * np.arange(LEVELS) + 1) / (2 * LEVELS))
        distances = centre + half * places
        level, found = self._level(float(distances[0])), []
        for e in distances:
            level, fail = self.law.guess(float(e), level)
            found.append((level, fail))
        levels, fails = np.array(found).T
        scales = distances**2 if start == 0 else np.ones(LEVELS)
        fitted = np.polynomial.chebyshev.chebfit(places, levels / scales, LEVELS - 1)
        terms = tuple(_short(float(c)) for c in np.polynomial.chebyshev.cheb2poly(fitted))
        if start == 0:
            allowed = RELATIVE * float(self.slope) * half
        else:
            slopes = -np.gradient(np.log(fails), distances)
            allowed = RELATIVE * float(np.min(fails * slopes * distances))
        if not (all(map(math.isfinite, levels)) and allowed > 0):
            raise ArithmeticError("the levels of a cell were not found")
        return Path(arb(centre), arb(half), terms), arb(allowed)

    def _proved(self, path: Path, allowed: arb) -> tuple[LevelCell, float]:
        narrow = min(1.0, float(path.half) / (FIRST * self.unit))
        corner = arb(2) ** -round(CORNER_BITS + math.log2(narrow)) if path.first else arb(1)
        share = allowed / SHARE
        count = len(self.rule.nodes)
        rest = self.law.remainder(
            path, count + path.first, allowed * ENOUGH / self.rule.product, share * corner
        )
        error = (rest.coefficient * self.rule.product).upper()
        factor = float((allowed / 2 / error).mid()) ** (1 / count) if bool(error > 0) else WIDER
        if not bool(error < allowed):
            raise _TooWide(max(0.3, min(0.9, 0.95 * factor)))
        places = self.rule.nodes
        errors = [share * (1 + x if path.first else 1) for x in places]
        fails, witnesses = self._nodes(path, places, errors)
        values = [(0.5 - h) / (1 + x) if path.first else h for h, x in zip(fails, places, strict=True)]
        terms, missed = self.rule.through(values)
        # H̃ for H costs once where the polynomial is used, and once more through the values at the nodes
        nearest = 1 + places[0] if path.first else arb(1)
        error = _rounded(missed + error + rest.slack / corner + rest.slack / nearest * self.rule.lebesgue)
        if path.first:
            terms[0] += error
            self._near_zero(path, terms, corner)
            terms = [-a - b for a, b in zip([*terms, arb(0)], [arb(0), *terms], strict=True)]
            terms[0] += 0.5
        else:
            terms[0] -= error
        if not (all(c.is_exact() for c in terms) and negative([k * c for k, c in enumerate(terms)][1:])):
            raise ArithmeticError("the fail probability of a cell could not be proved to fall")
        kept = [w for w in witnesses if bool(value(terms, (arb(w[2]) - path.centre) / path.half) < w[0])]
        later = path.centre / (path.centre + 2 * path.half)  # farther out fail falls faster
        growth = min(WIDER, 0.97 * factor * (float(later) if bool(path.centre > 3 * self.unit) else 1.0))
        return LevelCell(path.centre, path.half, tuple(terms), tuple(kept)), growth

    def _nodes(
        self, path: Path, places: list[arb], errors: list[arb]
    ) -> tuple[list[arb], list[tuple[float, float, float]]]:
        """h at the nodes, and witnesses."""
        pairs = []
        for x in places:
            distance = path.centre + path.half * x
            level = value(path.terms, x) * (distance * distance if path.first else 1)
            pairs.append(Witness(level, distance))
        decays = [(-at.level).exp() for at in pairs]
        found = self.nodes.masses([(at, e, e / d) for at, e, d in zip(pairs, errors, decays, strict=True)])
        fails = [own + d * (0.5 - shifted) for (shifted, own), d in zip(found, decays, strict=True)]
        return fails, [
            _doubles(at, fail, self.slope if self.law.bends < 2 else None)
            for at, fail in zip(pairs, fails, strict=True)
        ]

    def _near_zero(self, path: Path, gap: list[arb], corner: arb) -> None:
        """1/2 - h(0, e) ≤ slope·e proves the cell where 1 + x ≤ corner, and the slack over the corner elsewhere."""
        lowered = [-c for c in gap]
        lowered[0] += self.slope * path.half
        if not negative(lowered, arb(-1), corner - 1):
            raise ArithmeticError("the level-set radius could not be proved near rho = 1/2")


def _short(number: float) -> arb:
    """A number nearby with few bits, so that levels at the nodes are exact."""
    fraction, exponent = math.frexp(number)
    return arb(round(fraction * 2**SHORT_BITS)) * arb(2) ** (exponent - SHORT_BITS)


def _rounded(error: arb) -> arb:
    """A number of few bits, not smaller."""
    fraction, exponent = math.frexp(float(error.upper()))
    return arb(math.floor(fraction * 2**20) + 2) * arb(2) ** (exponent - 20)


def _doubles(at: Witness, fail: arb, slope: arb | None) -> tuple[float, float, float]:
    """(p, t, e) with t rounded and p lowered by what this may cost: the slope of h in t is e^-t·(M - 1/2).

    Where h is known to fall by no more than `slope` with e, e is raised by what p was lowered, so that p near 1/2 does not spoil it.
    """
    level, distance = float(at.level), float(at.distance)
    if arb(distance) != at.distance:
        raise RuntimeError(f"internal check failed: the distance {at.distance} of a node is no double")
    cost = abs(at.level - level) * (-at.level.min(arb(level))).exp()
    least = (fail - cost).lower()
    p = math.nextafter(float(least), -math.inf)
    if slope is not None and bool(least > p):
        distance = max(distance, math.nextafter(float((at.distance + (least - p) / slope).lower()), 0.0))
    return p, level, distance
