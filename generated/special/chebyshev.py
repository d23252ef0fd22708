"""Integrals of exp(L) over panels of a line, where only L' is given: Chebyshev series panel by panel.

L is integrated from L' and never evaluated, so that nothing of the size of L's terms ever cancels. Panels are halved until
the series of L' is resolved and L moves by less than 2 where exp(L) counts: then 16 coefficients carry exp(L) to rounding.
What they leave out follows from bounds on complex ellipses around the panels (Trefethen, "Approximation Theory and
Approximation Practice", SIAM 2013, theorems 8.1 and 8.2): interpolation in 16 Chebyshev nodes misses a function that is
analytic and bounded by M on the ellipse of parameter q by at most 4·M·q**-15/(q - 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from generated.special.arguments import require

ORDER = 16
"""Nodes of a panel."""
REACH = 100.0
"""L is followed down to this far below its maximum: a share of 4e-44."""
ELLIPSE = 16.0
"""Parameter of the ellipses: half axes of (16 ± 1/16)/2 times half the panel."""
TRUNCATION = 4.0 * ELLIPSE ** (1 - ORDER) / (ELLIPSE - 1.0) * (1.0 + 2.0**-30)
LEBESGUE = 2.8
"""Bound of the interpolant by the values at its nodes: at most 1 + 2/π·log(16)."""
WORK = 2.0**-42
"""Relative to the largest value at a panel's nodes: the rounding of its coefficients, of their integral and of its values. Each is a sum of 17
products at most, of factors that add up to 16 or less: below 1024 units of 2^-53 together."""
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
class Around:
    """Bounds on the ellipses around panels (P): of |L' - c| for a constant c, of |L'|, of the factor; infinite where none is known.

    On a sliver of the panel, of width `sliver`, another function may hold, inside the same bounds.
    """

    moves: np.ndarray
    slope: np.ndarray
    factor: np.ndarray
    sliver: np.ndarray


@dataclass(frozen=True)
class Panels:
    """Panels with edges (P + 1), L relative to its maximum at the nodes (P, ORDER) and the edges, and bounds on L's error.

    `error` (P) bounds the error of L on the panel against L at its maximum, `inner` that against L at the panel's edge, a part of it.
    `around` is None where truncation was not bounded.
    """

    edges: np.ndarray
    level: np.ndarray
    edge_level: np.ndarray
    error: np.ndarray
    inner: np.ndarray
    around: Around | None = None

    @property
    def half(self) -> np.ndarray:
        return 0.5 * np.diff(self.edges)

    @property
    def nodes(self) -> np.ndarray:
        return nodes_of(self.edges[:-1], self.edges[1:])

    @property
    def proved(self) -> bool:
        """Whether what the series leave out is bounded on every panel."""
        near = self.around
        return near is not None and bool((np.isfinite(near.slope) & np.isfinite(near.factor)).all())

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


def _levels(edges: np.ndarray, slope: np.ndarray, zero: int) -> tuple[np.ndarray, np.ndarray]:
    """(L at the edges, L at the nodes), 0 at the given edge."""
    series = integral(slope, 0.5 * np.diff(edges))
    gain = series.sum(axis=1)
    after, before = np.cumsum(gain[zero:]), np.cumsum(gain[:zero][::-1])[::-1]
    edge = np.concatenate([-before, [0.0], after])
    return edge, edge[:-1, None] + series @ _AT_POINTS


def missed(half: np.ndarray, around: Around) -> np.ndarray:
    """What interpolation of exp(L) misses, relative to its largest value on the panel, and to the bound on a factor."""
    with np.errstate(all="ignore"):
        # from the node of the largest value to any point of the ellipse
        return TRUNCATION * np.exp(
            (0.5 * (ELLIPSE + 1.0 / ELLIPSE) + 1.0) * (1.0 + 2.0**-20) * half * around.slope
        )


def build_panels(
    sample: Callable[[np.ndarray], Sample],
    edges: np.ndarray,
    around: Callable[[np.ndarray, np.ndarray], Around] | None = None,
) -> Panels:
    """Panels that resolve exp(L) on the range where it, or it times the factor, counts; with `around`, provably.

    `edges` ascend, contain 0 near the maximum of L, and stay edges. The range ends where both weights lie REACH below their
    maxima, at the ends of `edges`, or where L' is no finite number. ValueError if it cannot be resolved.
    """
    edges = np.unique(edges)
    data = sample(nodes_of(edges[:-1], edges[1:]))
    slope, error, factor = data.slope, data.error, data.factor
    outside = _around(around, edges[:-1], edges[1:])
    for _ in range(70):
        edges, slope, error, factor, outside = _finite_part(edges, slope, error, factor, outside)
        with np.errstate(all="ignore"):
            edge, level = _levels(edges, slope, int(np.searchsorted(edges, 0.0)))
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
            steep = (highest - lowest > 2.0) & (depth > -REACH - 30.0)
            if around is not None:
                bounds = Around(*outside.T)
                lost, enough = missed(half, bounds), math.exp(min(float(second.max() - highest.max()), 700.0))
                rough |= ~(half * TRUNCATION * bounds.moves <= 2.0**-50 + half * error.max(axis=1))
                enough = np.exp(np.minimum(factor.max(axis=1), 700.0)) + 1e-18 * enough
                rough |= ~(lost <= 2.0**-44) | ~(lost * bounds.factor <= 2.0**-43 * enough)
            split = relevant & (rough | steep) & (half > 2.0**-49 * (1.0 + np.abs(edges[1:])))
        if not split.any():
            break
        require(split.size < MOST_PANELS, "the density varies too fast for a numeric radial law")
        middle = 0.5 * (edges[:-1] + edges[1:])[split]
        pairs = np.stack([edges[:-1][split], middle, edges[1:][split]])
        ends = pairs[:-1].ravel(), pairs[1:].ravel()
        fresh, near = sample(nodes_of(*ends)), _around(around, *ends)
        left = np.concatenate([edges[:-1][~split], pairs[:-1].ravel()])
        order = np.argsort(left, kind="stable")
        edges = np.append(left[order], edges[-1])
        slope, error, factor, outside = (
            np.concatenate([old[~split], new])[order]
            for old, new in (
                (slope, fresh.slope), (error, fresh.error), (factor, fresh.factor), (outside, near)
            )
        )  # fmt: skip
    keep = np.flatnonzero(depth > -REACH)
    part = slice(keep[0], keep[-1] + 1)
    zero = int(np.argmax(highest))
    edge, level = _levels(
        edges, slope, zero
    )  # close to the maximum levels are small, and so is their rounding
    highest = np.maximum(level.max(axis=1), np.maximum(edge[1:], edge[:-1]))
    # of L across a panel: errors at its nodes, whose weights are positive; what the series leaves out; arithmetic
    bounds = Around(*outside.T)
    with np.errstate(all="ignore"):
        across = 2.0 * half * (error.max(axis=1) + _known(TRUNCATION * bounds.moves))
        across += WORK * half * np.abs(slope).max(axis=1) + _known(2.0 * bounds.sliver * bounds.slope)
        across += 2.0**-51 * (1.0 + np.abs(highest - highest.max()))
        inside = across + 2.0 * half * (LEBESGUE - 1.0) * error.max(axis=1)
    before, after = np.cumsum(across[:zero][::-1])[::-1], np.cumsum(across[zero:])
    drift = np.concatenate([before - across[:zero], after - across[zero:]]) + 2.0 * inside + inside[zero]
    top = highest.max()
    return Panels(
        edges[keep[0] : keep[-1] + 2],
        level[part] - top,
        edge[keep[0] : keep[-1] + 2] - top,
        drift[part],
        2.0 * inside[part],
        None if around is None else Around(*outside[part].T),
    )


def _around(
    around: Callable[[np.ndarray, np.ndarray], Around] | None, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """The bounds around panels as columns (panels, 4); zeros without a function."""
    if around is None:
        return np.zeros((left.size, 4))
    found = around(left, right)
    return np.stack([found.moves, found.slope, found.factor, found.sliver], axis=1)


def _known(bound: np.ndarray) -> np.ndarray:
    """A bound where there is one: what is not bounded was resolved, and is not proved (Panels.proved)."""
    return np.where(np.isfinite(bound), bound, 0.0)


def _finite_part(edges: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The panels around x = 0 on which L' and its error are finite."""
    sound = np.isfinite(columns[0]).all(axis=1) & np.isfinite(columns[1]).all(axis=1)
    zero = int(np.searchsorted(edges, 0.0))
    bad_left, bad_right = np.flatnonzero(~sound[:zero]), np.flatnonzero(~sound[zero:])
    first = int(bad_left[-1]) + 1 if bad_left.size else 0
    last = zero + int(bad_right[0]) if bad_right.size else sound.size
    require(last - first >= 1, "the density is no finite number near its maximum")
    return (edges[first : last + 1], *(column[first:last] for column in columns))


def cumulative(
    panels: Panels,
    factor: np.ndarray,
    left: float,
    right: float,
    doubt: np.ndarray | float = 0.0,
    most: np.ndarray | float = 1.0,
) -> Cumulative:
    """The integrals of exp(L)·factor (given at the nodes), with `left` and `right` beyond the two ends.

    doubt: bounds on the errors of the factor at the nodes. most: bounds of the factor on the ellipses around the panels.
    """
    weight = np.exp(panels.level)
    values = weight * factor
    series = integral(values, panels.half)
    total = series.sum(axis=1)
    below = np.concatenate([[left], left + np.cumsum(total)])
    above = np.concatenate([right + np.cumsum(total[::-1])[::-1], [right]])
    off = np.expm1(np.minimum(panels.error, 1.0) + 2.0**-49)[:, None]
    at_nodes = values * off + weight * (1.0 + off) * doubt
    error = WORK * values.max(axis=1)
    if panels.around is not None:
        top = weight.max(axis=1) * (1.0 + off[:, 0]) * most
        with np.errstate(all="ignore"):
            error = error + _known(top * missed(panels.half, panels.around))
            error = error + _known(top * panels.around.sliver / panels.half)
    # of a part: what errors have in common is a factor of it
    apart = values * np.expm1(np.minimum(panels.inner, 1.0) + 2.0**-49)[:, None] * (1.0 + off)
    apart = apart + weight * (1.0 + off) * doubt
    part = 2.0 * panels.half * (error + LEBESGUE * apart.max(axis=1))
    # the weights of a whole panel are positive
    across = 2.0 * panels.half * error + (1.0 + 2.0**-40) * integral(at_nodes, panels.half).sum(axis=1)
    return Cumulative(panels, series, total, below, above, across, part, off[:, 0])


@dataclass(frozen=True)
class Cumulative:
    """Integrals of a weight up to and from the panels' edges, and inside the panels.

    `doubt` (P) bounds the error of the integral over a panel; that over a part which begins or ends with it is bounded by `part_doubt`
    and `share` times the part.
    """

    panels: Panels
    series: np.ndarray
    total: np.ndarray
    below: np.ndarray
    above: np.ndarray
    doubt: np.ndarray
    part_doubt: np.ndarray
    share: np.ndarray

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
