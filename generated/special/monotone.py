"""Pieces on which a score |psi'(r)| is monotone, proved by interval arithmetic on every cell of a range of radii.

The slope of |psi'| has the sign of psi'·psi''. Cells on which both signs are certain join to monotone pieces. Any other
cell is halved until the score hardly varies on it; what remains becomes a step, on which the score is replaced by its
upper bound: that can only raise a growth function and lower a radius. Nothing here rests on sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from generated.special.arguments import require
from generated.special.interval import INTERVALS, Cells, Interval, Truth
from generated.special.interval import where as _where

VARIATION = 1e-13
"""A cell on which the score varies by less than this (relative) may stand as a step."""
NARROWEST = 2.0**-36
"""Cells are not halved below this width (of log r, or of log(bound - r) beyond half of a finite bound)."""
MOST_CELLS = 20_000
"""Where more cells than this stay open at once, they stand as steps."""


@dataclass(frozen=True)
class RadialDensity:
    """q(x) ∝ exp(-psi(r)) for 0 < r < bound, by two dimensionless functions (xp, r) -> values.

    `steepness` is r·psi'(r), `bend` is r²·psi''(r); xp names their functions (see interval.FLOATS, interval.INTERVALS),
    r is a float64 array or an Interval. psi is continuous inside (0, bound); psi' may jump at `kinks` and nowhere else.
    """

    steepness: Callable[[SimpleNamespace, Any], Any]
    bend: Callable[[SimpleNamespace, Any], Any]
    kinks: tuple[float, ...] = ()
    bound: float = math.inf

    def __post_init__(self) -> None:
        require(self.bound > 0.0, f"the bound of a radial density must be positive, not {self.bound!r}")
        require(all(math.isfinite(k) for k in self.kinks), f"kinks must be finite radii, not {self.kinks!r}")
        inside = sorted({float(k) for k in self.kinks if 0.0 < k < self.bound})
        object.__setattr__(self, "kinks", tuple(inside))


@dataclass(frozen=True)
class Pieces:
    """Pieces of a range of radii, in order: [low, high], the trend of |psi'| there and, on steps, its upper bound.

    trend is +1 (rises), -1 (falls) or 0 (a step); `top` bounds |psi'| from above on steps and is NaN elsewhere.
    """

    low: np.ndarray
    high: np.ndarray
    trend: np.ndarray
    top: np.ndarray

    def __post_init__(self) -> None:
        require(bool((self.low[1:] == self.high[:-1]).all()), "pieces: they must adjoin")
        require(bool((self.high > self.low).all()), "pieces: each must have a width")


def enclose(function: Callable[[SimpleNamespace, Any], Any], r: Interval) -> tuple[Interval, np.ndarray]:
    """The enclosure of a density's function on cells, and where it is certain that one branch applies to all of a cell."""
    single = np.ones(np.shape(r.low), dtype=bool)

    def where(condition: Any, x: Any, y: Any) -> Interval:
        nonlocal single
        if isinstance(condition, Truth):
            single = single & (condition.surely | ~condition.possibly)
        return _where(condition, x, y)

    with np.errstate(all="ignore"):
        value = Interval.of(function(SimpleNamespace(**{**vars(INTERVALS), "where": where}), r))
    shape = np.shape(r.low)
    return Interval(np.broadcast_to(value.low, shape), np.broadcast_to(value.high, shape)), single


def _middle(low: Cells, high: Cells, bound: float) -> Cells:
    """A radius between, halving log r or, beyond half of the bound, log(bound - r)."""
    with np.errstate(all="ignore"):
        by_radius = np.sqrt(low) * np.sqrt(high)
        if not math.isfinite(bound):
            return by_radius
        return np.where(low >= 0.5 * bound, bound - np.sqrt(bound - low) * np.sqrt(bound - high), by_radius)


def _widths(low: Cells, high: Cells, bound: float) -> tuple[Cells, Cells]:
    """(width in log r from above, width in the coordinate that is halved)."""
    in_log = (high - low) / low * (1.0 + 1e-9)
    if not math.isfinite(bound):
        return in_log, in_log
    return in_log, np.where(low >= 0.5 * bound, (high - low) / (bound - high), in_log)


@dataclass(frozen=True)
class _Verdict:
    trend: np.ndarray
    known: np.ndarray  # the trend is proved
    top: np.ndarray  # |psi'| from above
    base: np.ndarray  # and from below
    quiet: np.ndarray  # hardly any variation: may stand as a step


def _judge(density: RadialDensity, low: Cells, high: Cells) -> _Verdict:
    cells = Interval(low, high)
    steep, one = enclose(density.steepness, cells)
    bend, other = enclose(density.bend, cells)
    single = one & other
    for kink in density.kinks:
        single &= ~((low < kink) & (high > kink))
    with np.errstate(all="ignore"):
        up = ((steep.low >= 0.0) & (bend.low >= 0.0)) | ((steep.high <= 0.0) & (bend.high <= 0.0))
        fall = ((steep.low >= 0.0) & (bend.high <= 0.0)) | ((steep.high <= 0.0) & (bend.low >= 0.0))
        direct = abs(steep) / cells
        # the score at the middle, and how far it can move from there: |d psi'/d log r| = |bend| / r
        middle = np.clip(_middle(low, high, density.bound), low, high)
        point = abs(enclose(density.steepness, Interval(middle, middle))[0]) / Interval(middle, middle)
        width, _ = _widths(low, high, density.bound)
        move = np.where(single, np.abs(abs(bend).high) * width / low * (1.0 + 1e-9), np.nan)
        top = np.fmin(direct.high, (point + Interval(np.zeros_like(move), move)).high)
        base = np.fmax(np.fmax(direct.low, (point - Interval(np.zeros_like(move), move)).low), 0.0)
        quiet = (top - base <= VARIATION * base) | (top == 0.0)
    still = single & (bend.low == 0.0) & (bend.high == 0.0)
    known = single & (up | fall) & ~(up & fall) & ~still
    top = np.where(np.isnan(top), np.inf, top)
    return _Verdict(np.where(up, 1, -1), known, top, np.where(np.isnan(base), 0.0, base), quiet)


def monotone_pieces(density: RadialDensity, edges: np.ndarray, negligible: float = 0.0) -> Pieces:
    """Proved pieces of the range edges[0] … edges[-1]; `edges` are first cells, ascending, inside (0, bound).

    Cells on which the score is constant to VARIATION are steps even where a trend is known, and so are open cells on which
    it is surely below `negligible`. Tops of steps may be infinite where no bound was found.
    """
    around = [f(k, s) for k in density.kinks for f, s in ((np.nextafter, 0.0), (np.nextafter, np.inf))]
    inside = [a for a in around if edges[0] < a < edges[-1]]
    edges = np.unique(np.concatenate([edges, inside]))
    low, high = edges[:-1], edges[1:]
    done: list[tuple[np.ndarray, ...]] = []
    while low.size:
        verdict = _judge(density, low, high)
        _, width = _widths(low, high, density.bound)
        middle = _middle(low, high, density.bound)
        small = (width < NARROWEST) | ~((middle > low) & (middle < high))
        quiet = verdict.quiet | (~verdict.known & (verdict.top <= negligible))
        settled = verdict.known | quiet | small
        if int((~settled).sum()) > MOST_CELLS:
            settled[:] = True
        trend = np.where(verdict.known & ~quiet, verdict.trend, 0)
        done.append(tuple(a[settled] for a in (low, high, trend, verdict.top, verdict.base)))
        low, middle, high = (a[~settled] for a in (low, middle, high))
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    columns = [np.concatenate(column) for column in zip(*done, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    low, high, trend, top, base = (column[order] for column in columns)
    return _joined(low, high, trend, top, base, negligible)


def _joined(low: Cells, high: Cells, trend: Cells, top: Cells, base: Cells, negligible: float) -> Pieces:
    """Neighbours of one trend made one piece; steps only as long as their common bound stays close to the score."""
    start: list[int] = []
    tops: list[float] = []
    ceiling, floor = 0.0, 0.0
    for i in range(low.size):
        if start and trend[i] == trend[start[-1]]:
            if trend[i] != 0:
                continue
            most, least = max(ceiling, float(top[i])), min(floor, float(base[i]))
            if most - least <= 2.0 * VARIATION * least or most <= negligible:
                ceiling, floor = most, least
                tops[-1] = most
                continue
        start.append(i)
        ceiling, floor = float(top[i]), float(base[i])
        tops.append(ceiling if trend[i] == 0 else math.nan)
    ends = np.array([*start[1:], low.size]) - 1
    index = np.array(start)
    return Pieces(low[index], high[ends], trend[index].astype(np.int64), np.array(tops))
