"""Integrals of exp(L) over panels of a line, where only L' is given: Chebyshev series panel by panel.

L is integrated from L' and never evaluated, so that nothing of the size of L's terms ever cancels. Panels are halved until
the series of L' is resolved and L moves by less than 3 where exp(L) counts: then 16 coefficients carry exp(L) to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from generated.special.arguments import require

ORDER = 16
"""Nodes of a panel."""
REACH = 100.0
"""L is followed down to this far below its maximum: a share of 4e-44."""
MOST_PANELS = 12_000
"""More panels than this mean a function that no series resolves."""

POINTS = -np.cos(np.pi * (np.arange(ORDER) + 0.5) / ORDER)
"""The nodes, ascending in (-1, 1)."""
_COEFFICIENTS = 2.0 / ORDER * np.cos(np.outer(np.arccos(POINTS), np.arange(ORDER)))
_COEFFICIENTS[:, 0] *= 0.5
"""values at the nodes @ this = Chebyshev coefficients."""
_INTEGRAL = np.stack([chebyshev.chebint(row, lbnd=-1.0) for row in np.eye(ORDER)])
"""coefficients @ this = coefficients of the integral from -1."""
_AT_POINTS = chebyshev.chebvander(POINTS, ORDER).T


def integral(values: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Coefficients (panels, ORDER + 1) of the integral from the left edge of functions given at the nodes."""
    return half[:, None] * (values @ _COEFFICIENTS @ _INTEGRAL)


def unresolved(values: np.ndarray) -> np.ndarray:
    """Size of the last coefficients of functions given at the nodes (panels, ORDER), per panel."""
    return np.abs((values @ _COEFFICIENTS)[:, -2:]).max(axis=1)


@dataclass(frozen=True)
class Sample:
    """What is known of a weight exp(L(x)) at points x, all of one shape: L', a bound on its error, and log of a factor.

    `factor` is the logarithm of a second weight's factor (-inf where it vanishes): its range is followed as well.
    """

    slope: np.ndarray
    error: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class Panels:
    """Panels with edges (P + 1), L relative to its maximum at the nodes (P, ORDER) and the edges, and bounds on L's error.

    `error` (P) bounds the error of L on the panel against L at its maximum.
    """

    edges: np.ndarray
    level: np.ndarray
    edge_level: np.ndarray
    error: np.ndarray

    @property
    def half(self) -> np.ndarray:
        return 0.5 * np.diff(self.edges)

    @property
    def nodes(self) -> np.ndarray:
        return nodes_of(self.edges[:-1], self.edges[1:])

    def locate(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index of the panel, position in [-1, 1]) of points inside the range."""
        i = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, self.edges.size - 2)
        return i, np.clip((x - self.edges[i]) / self.half[i] - 1.0, -1.0, 1.0)

    def weight(self, x: np.ndarray) -> np.ndarray:
        """exp(L) at points inside the range."""
        i, position = self.locate(x)
        series = np.exp(self.level) @ _COEFFICIENTS
        return np.asarray(chebyshev.chebval(position, series[i].T, tensor=False))


def nodes_of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left[:, None] + 0.5 * (right - left)[:, None] * (1.0 + POINTS)


def _levels(edges: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(L at the edges, L at the nodes), 0 at the edge x = 0."""
    series = integral(slope, 0.5 * np.diff(edges))
    gain = series.sum(axis=1)
    zero = int(np.searchsorted(edges, 0.0))
    after, before = np.cumsum(gain[zero:]), np.cumsum(gain[:zero][::-1])[::-1]
    edge = np.concatenate([-before, [0.0], after])
    return edge, edge[:-1, None] + series @ _AT_POINTS


def build_panels(sample: Callable[[np.ndarray], Sample], edges: np.ndarray) -> Panels:
    """Panels that resolve exp(L) on the range where it, or it times the factor, counts.

    `edges` ascend, contain 0 near the maximum of L, and stay edges. The range ends where both weights lie REACH below their
    maxima, at the ends of `edges`, or where L' is no finite number. ValueError if it cannot be resolved.
    """
    edges = np.unique(edges)
    data = sample(nodes_of(edges[:-1], edges[1:]))
    slope, error, factor = data.slope, data.error, data.factor
    for _ in range(70):
        edges, slope, error, factor = _finite_part(edges, slope, error, factor)
        with np.errstate(all="ignore"):
            edge, level = _levels(edges, slope)
            half = 0.5 * np.diff(edges)
            highest = np.maximum(level.max(axis=1), np.maximum(edge[1:], edge[:-1]))
            second = (level + factor).max(axis=1)
            depth = np.fmax(
                highest - highest.max(), second - second.max()
            )  # NaN where a factor is 0 throughout
            counts = np.flatnonzero(depth > -REACH - 30.0)
            relevant = np.zeros(half.size, dtype=bool)
            relevant[max(0, counts[0] - 2) : counts[-1] + 3] = True
            rough = half * unresolved(slope) > 2e-15 + half * (
                4.0 * error.max(axis=1) + 1e-15 * np.abs(slope).max(axis=1)
            )
            lowest = np.minimum(level.min(axis=1), np.minimum(edge[1:], edge[:-1]))
            steep = (highest - lowest > 3.0) & (depth > -REACH - 30.0)
            split = relevant & (rough | steep) & (half > 2.0**-44 * (1.0 + np.abs(edges[1:])))
        if not split.any():
            break
        require(split.size < MOST_PANELS, "the density varies too fast for a numeric radial law")
        middle = 0.5 * (edges[:-1] + edges[1:])[split]
        pairs = np.stack([edges[:-1][split], middle, edges[1:][split]])
        fresh = sample(nodes_of(pairs[:-1].ravel(), pairs[1:].ravel()))
        left = np.concatenate([edges[:-1][~split], pairs[:-1].ravel()])
        order = np.argsort(left, kind="stable")
        edges = np.append(left[order], edges[-1])
        slope, error, factor = (
            np.concatenate([old[~split], new])[order]
            for old, new in ((slope, fresh.slope), (error, fresh.error), (factor, fresh.factor))
        )
    keep = np.flatnonzero(depth > -REACH)
    part = slice(keep[0], keep[-1] + 1)
    reach = 2.0 * half * (error.max(axis=1) + 1e-17) + 2.0**-51
    zero = int(np.argmax(highest))
    drift = np.concatenate([np.cumsum(reach[:zero][::-1])[::-1], np.cumsum(reach[zero:])])
    top = highest.max()
    return Panels(
        edges[keep[0] : keep[-1] + 2], level[part] - top, edge[keep[0] : keep[-1] + 2] - top, drift[part]
    )


def _finite_part(edges: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The panels around x = 0 on which L' and its error are finite."""
    sound = np.isfinite(columns[0]).all(axis=1) & np.isfinite(columns[1]).all(axis=1)
    zero = int(np.searchsorted(edges, 0.0))
    bad_left, bad_right = np.flatnonzero(~sound[:zero]), np.flatnonzero(~sound[zero:])
    first = int(bad_left[-1]) + 1 if bad_left.size else 0
    last = zero + int(bad_right[0]) if bad_right.size else sound.size
    require(last - first >= 1, "the density is no finite number near its maximum")
    return (edges[first : last + 1], *(column[first:last] for column in columns))


def cumulative(panels: Panels, factor: np.ndarray, left: float, right: float) -> Cumulative:
    """The integrals of exp(L)·factor (given at the nodes), with `left` and `right` beyond the two ends."""
    values = np.exp(panels.level) * factor
    series = integral(values, panels.half)
    total = series.sum(axis=1)
    below = np.concatenate([[left], left + np.cumsum(total)])
    above = np.concatenate([right + np.cumsum(total[::-1])[::-1], [right]])
    return Cumulative(panels, series, total, below, above)


@dataclass(frozen=True)
class Cumulative:
    """Integrals of a weight up to and from the panels' edges, and inside the panels."""

    panels: Panels
    series: np.ndarray
    total: np.ndarray
    below: np.ndarray
    above: np.ndarray

    @property
    def whole(self) -> float:
        return float(self.above[0] + (self.below[0]))

    def partial(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(panel of x, integral from the panel's left edge to x)."""
        i, position = self.panels.locate(x)
        return i, np.maximum(chebyshev.chebval(position, self.series[i].T, tensor=False), 0.0)

    def up_to(self, x: np.ndarray) -> np.ndarray:
        i, part = self.partial(x)
        return self.below[i] + part

    def beyond(self, x: np.ndarray) -> np.ndarray:
        i, part = self.partial(x)
        return self.above[i + 1] + np.maximum(self.total[i] - part, 0.0)
