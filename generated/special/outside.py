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
MOST_CELLS = 50_000


def require_nothing_outside(density: RadialDensity, exponent: float, low: float, high: float) -> None:
    """r**exponent·exp(-psi) rises up to r = `low` and falls from r = `high` on, as far as floats reach; else ValueError.

    Cells where r·psi' is no float any more (beyond some 1e150) are left out: there the tail is what the engine proved in the limit.
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
    low, high = edges[:-1], edges[1:]
    while low.size:
        steep, _ = enclose(density.steepness, Interval(low, high))
        with np.errstate(all="ignore"):
            proved = steep.high < exponent if rises else steep.low > exponent
            ends = [np.asarray(density.steepness(FLOATS, a), dtype=np.float64) for a in (low, high)]
        beyond = ~np.isfinite(np.broadcast_to(ends[0], low.shape)) | ~np.isfinite(
            np.broadcast_to(ends[1], low.shape)
        )
        open_ = ~proved & ~beyond
        low, high = low[open_], high[open_]
        tight = bool(low.size) and bool((high <= low * (1.0 + NARROWEST)).any())
        require(
            not tight and low.size <= MOST_CELLS,
            "could not prove that the law of the radius has no further mode "
            f"{'below' if rises else 'above'} those found: a density whose modes lie far apart is beyond this quadrature",
        )
        middle = np.sqrt(low) * np.sqrt(high)
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
