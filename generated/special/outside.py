"""No mass hides where quadrature does not look: beyond the kept range the law of the radius only falls, proved by intervals."""

from __future__ import annotations

import math

import numpy as np

from generated.special.arguments import require
from generated.special.interval import FLOATS, Interval
from generated.special.monotone import RadialDensity, enclose

FURTHEST = 700.0
STEP = 0.05
"""First width of a cell in log r; open cells are halved."""
NARROWEST = 2.0**-20
MOST_CELLS = 2_000_000
"""Cells looked at in all before the proof is given up."""
CHUNK = 50_000
"""Cells looked at together: memory stays small."""


def require_nothing_outside(density: RadialDensity, exponent: float, low: float, high: float) -> None:
    """r**exponent·exp(-psi) rises up to r = `low` and falls from r = `high` on, as far as floats reach; else ValueError.

    Cells where r·psi' or r²·psi'' is no float any more (beyond some 1e75) are left out: there the tail is what the engine proved in the limit.
    """
    top = math.log(density.bound) if math.isfinite(density.bound) else FURTHEST
    below = np.append(np.arange(-FURTHEST, math.log(low), STEP), math.log(low))
    _require(density, exponent, np.exp(below), rises=True)
    if math.log(high) < top:
        above = np.append(np.arange(math.log(high), top, STEP), top)
        edges = np.minimum(np.exp(above), density.bound)
        edges[0] = high
        _require(density, exponent, edges, rises=False)


def _require(density: RadialDensity, exponent: float, edges: np.ndarray, *, rises: bool) -> None:
    edges = np.unique(edges)
    waiting, seen = [(edges[:-1], edges[1:])], 0
    while waiting:
        low, high = waiting.pop()
        if low.size > CHUNK:
            waiting.append((low[CHUNK:], high[CHUNK:]))
            low, high = low[:CHUNK], high[:CHUNK]
        seen += low.size
        cells = Interval(low, high)
        steep, one = enclose(density.steepness, cells)
        bend, other = enclose(density.bend, cells)
        with np.errstate(all="ignore"):
            # from the middle: d(r·psi')/d log r = r²·psi'' + r·psi', where no kink and no other branch lies in the cell
            middle = np.sqrt(low) * np.sqrt(high)
            point, _ = enclose(density.steepness, Interval(middle, middle))
            move = np.abs(abs(bend + steep).high) * np.log(high / low) * (1.0 + 1e-9)
            smooth = one & other & np.isfinite(move)
            for kink in density.kinks:
                smooth &= ~((low < kink) & (high > kink))
            if rises:
                proved = (steep.high < exponent) | (smooth & (point.high + move * (1.0 + 1e-12) < exponent))
            else:
                proved = (steep.low > exponent) | (smooth & (point.low - move * (1.0 + 1e-12) > exponent))
            ends = [
                np.broadcast_to(np.asarray(f(FLOATS, a), dtype=np.float64), low.shape)
                for f in (density.steepness, density.bend)
                for a in (low, high)
            ]
        beyond = ~np.isfinite(ends).all(axis=0)
        open_ = ~proved & ~beyond
        low, high = low[open_], high[open_]
        tight = bool(low.size) and bool((high <= low * (1.0 + NARROWEST)).any())
        require(
            not tight and seen <= MOST_CELLS,
            "could not prove that the law of the radius has no further mode "
            f"{'below' if rises else 'above'} those found: a density whose modes lie far apart is beyond this quadrature",
        )
        if low.size:
            middle = np.sqrt(low) * np.sqrt(high)
            waiting.append((np.concatenate([low, middle]), np.concatenate([middle, high])))


def scored_below(density: RadialDensity, exponent: float, low: float, weight: float) -> float:
    """A bound on the integral of |psi'|·r**(exponent - 1)·exp(-psi) over r < `low`, where r times the density is at most `weight`.

    By cells in log r down to the range of floats, below which r·psi' is taken to keep its power of r (the engine proves its limits).
    """
    start = min(-FURTHEST, math.log(low) - 10.0)
    edges = np.unique(np.minimum(np.append(np.exp(np.arange(start, math.log(low), STEP)), low), low))
    steep, _ = enclose(density.steepness, Interval(edges[:-1], edges[1:] * (1.0 + 1e-14)))
    with np.errstate(all="ignore"):
        width = np.log(edges[1:] / edges[:-1]) * (1.0 + 1e-9)
        # the logarithm of the density of r at most, from `low` downwards
        rise = np.where(np.isfinite(steep.high), np.maximum(steep.high, -1e3) - (exponent - 1.0), math.inf)
        move = rise * np.where(rise > 0.0, width, width * (1.0 - 2e-9))
        above = np.append(np.cumsum(move[::-1])[::-1][1:], 0.0) + np.maximum(move, 0.0)
        cells = abs(steep).high * np.exp(np.minimum(above, 700.0)) * width
        cells = np.where(cells > 0.0, cells, 0.0)
        ratio = min(float(cells[1] / cells[2]), 0.999999) if cells[2] > 0.0 else 0.0
    rest = float(cells[0]) / (1.0 - ratio)
    return (float(cells.sum()) + rest) * weight / low * (1.0 + 1e-6)
