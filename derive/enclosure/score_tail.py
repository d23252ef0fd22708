"""Lines above the growth function of a radial density whose score is ±psi'(r) on a cone: Phi(p) ≤ c·p + weight·E(psi' - c)₊ for every c ≥ 0.

The mean is taken from above over panels of log r: on each of them (psi' - c)₊ is at most its largest value there, and the mean of psi' is
known by parts, ∫ psi'·e**-psi·r**(d-1) dr = [-e**-psi·r**(d-1)] + (d - 1)·∫ e**-psi·r**(d-2) dr, which also counts a jump at the end of a
support. Panels are narrow enough for what the lines are for, bounds between exact radii close to each other; they are sound at any width.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from flint import arb

from derive.enclosure.ball import number
from derive.enclosure.taylor import LogRadial, Undecided
from derive.enclosure.witness import LevelSet
from derive.formula import r

PANELS = 10_000
FALL = 14.0
"""Three quarters of the panels lie where the density of log r has fallen by less than this, in its logarithm."""
_UP = 1.0 + 2.0**-30
"""Covers the rounding of sums of positive floats."""


class ScoreTail:
    """The score of one density in one dimension, as floats that bound its masses and means on panels.

    weight: the share of the directions on which the score is psi', and on another the same is -psi'.

    Raises:
        ArithmeticError: the score has no mean that could be bounded.
    """

    def __init__(self, base: LevelSet, weight: arb) -> None:
        self.base, self.weight = base, weight
        law, dim = base.law, base.dim
        self.score = LogRadial.of(base.density.score)
        self.cuts = cuts = _cuts(base)
        heights = [self._height(u) for u in cuts]
        rows = []
        for k, (start, end) in enumerate(zip(cuts, cuts[1:], strict=False)):
            mass = law.between(start, end)
            by_parts = heights[k] - heights[k + 1] + (dim - 1) * mass * (-start).exp()
            low, high = self._scores(start, end)
            rows.append([_below(mass), _above(mass), low, high, _above(by_parts)])
        masses = np.array(rows)
        total = base.total
        self.least, self.most = masses[:, 0] / _above(total) / _UP, masses[:, 1] / _below(total) * _UP
        self.low, self.high = masses[:, 2], masses[:, 3]
        self.mean = masses[:, 4] / _below(total) * _UP
        self.rest = _above((self._below_panels() + self._above_panels()) / total)

    def _height(self, u: arb) -> arb:
        """e**-psi·r**(d-1), relative to the law's reference."""
        law = self.base.law
        return ((law.dim - 1) * u - law.psi.at(u) - law.reference).exp()

    def _scores(self, start: arb, end: arb) -> tuple[float, float]:
        """Bounds of psi' on a panel; psi does not decrease."""
        try:
            score = self.score.at(start.union(end))
        except Undecided:
            return 0.0, np.inf
        return (max(_below(score), 0.0), _above(score)) if score.is_finite() else (0.0, np.inf)

    def _below_panels(self) -> arb:
        """The mean of psi' over r below the panels: by parts, at most d - 1 times that of 1/r."""
        return self._first_rise() if self.base.dim == 1 else (self.base.dim - 1) * self.base.inverse_below()

    def _first_rise(self) -> arb:
        """The same in dimension 1: what exp(-psi) loses from 0 on."""
        start = base_value(self.base.density.psi)
        if start is None:
            raise ArithmeticError("the mean score near 0 is infinite, or could not be bounded")
        return ((-start - self.base.law.reference).exp() - self._height(self.base.law.low)).max(arb(0))

    def _above_panels(self) -> arb:
        """The mean of psi' over r above the panels, with a jump at the end."""
        law = self.base.law
        return self._height(law.high) + (law.dim - 1) * self.base.outside.upper() * (-law.high).exp()

    def threshold(self, p: float) -> float:
        """About the c at which a set of measure p grows fastest; any c is sound."""
        middle = 0.5 * (self.low + np.minimum(self.high, 4.0 * self.low + 1.0))
        order = np.argsort(-middle, kind="stable")
        reached = np.cumsum(self.most[order]) * float(self.weight)
        place = int(np.searchsorted(reached, p))
        return float(middle[order[place]]) if place < len(order) else 0.0

    def offset(self, c: float) -> float:
        """weight·E(psi' - c)₊ from above."""
        over = self.high - c
        with np.errstate(invalid="ignore"):
            crude = np.where(over > 0.0, over * self.most, 0.0)
        # both differences lose digits: their rounding is at most 2**-51 of the first term
        inner = self.mean * (1.0 + 2.0**-50) - np.where(self.low >= c, c * self.least, 0.0)
        share = np.where(over > 0.0, np.minimum(crude, np.maximum(inner, 0.0)), 0.0)
        return float((self.rest + share.sum()) * _UP * _above(self.weight))


def base_value(psi: sp.Expr) -> arb | None:
    """psi at 0, where it is a finite number."""
    at = psi.subs(r, 0)
    if at.has(sp.nan, sp.zoo, sp.oo, sp.AccumBounds) or at.free_symbols:
        return None
    return number(at)


def _cuts(base: LevelSet) -> list[arb]:
    """Ends of the panels in log r: most of them where the density is not small."""
    low, high = base.law.low, base.law.high
    inner = [(arb(base.floats.end(FALL, side)).max(low).min(high)).mid() for side in (-1, 1)]
    marks = [low, *inner, high]
    cuts = [low]
    for start, end, count in zip(
        marks, marks[1:], (PANELS // 8, PANELS - PANELS // 4, PANELS // 8), strict=False
    ):
        if bool(end > start):
            cuts += [*((start + k * (end - start) / count).mid() for k in range(1, count)), end]
    return cuts


def _above(value: arb) -> float:
    return float(np.nextafter(float(value.upper()), np.inf))


def _below(value: arb) -> float:
    return float(np.nextafter(float(value.lower()), -np.inf))
