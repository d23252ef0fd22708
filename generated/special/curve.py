"""A radius function by its nodes: concavity of Phi makes every value between them a lower bound.

Source: R(rho) = int_{1-rho}^{1/2} dp / Phi(p), Yang et al., "Randomized Smoothing of All Shapes and Sizes" (ICML 2020); Phi is
concave and Phi'(p) is the score threshold of its greedy set, so tangents bound Phi from above and R from below.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from generated.special.arguments import Array, require
from generated.special.confidence import Confidence
from generated.special.errors import UNIT
from generated.special.traced import Store, placed

NODE_ERROR = 2.0**-40
"""Relative error of p, Phi and the slope at a node, where the caller states no other: of the incomplete gamma functions (errors.py)."""
SLACKS = 4.0
"""Slack of a node in units of its error e. Of the exact set with (p', Phi', c), computed as (p, Phi, slope), the line Phi' + c·(q - p')
lies above Phi by duality, for every q. As c·p' ≤ Phi', it lies below Phi·(1 + e)/(1 - e) - slope·(1 - e)·(p - q) for q ≤ p, and below
Phi·(1 + e)/(1 - e) + slope·(1 + e)·(q - p) for q ≥ p. The slack of 4e leaves 1.9e ≥ 15,000 units of 2^-53 for the operations of an
evaluation: step/phi and slope·step/phi are off by 4 units each, and both come out below those of the line above, so that
-log(1 - x)/x, which increases, does so too, however close x is to 1; the logarithm and the operations after it add 16."""
MOST = 0.75
"""Largest argument of the logarithm while a curve is built, where its rounding is hardly magnified; a smaller one is safe."""
SURE = 1.0 - 2.0**-10
"""What of a bound on the curvature is used: it is computed with far smaller errors."""


CLOSE = 2.0**-30
"""For 1 - rho ≥ NEAREST_FAIL, the tangent at a node lies below the integral from there by at most this share of the radius. So the
difference of two radii of a curve, the one nearer to 1/2 times 1 + 2·CLOSE, is at most that of the exact ones: between nodes the pieces are
bounds themselves. Pieces on which the chord does not show it are shortened."""
NEAREST_FAIL = 2.0**-21


SHIFT = 52 - 10
"""Bits of a double below its bucket: 1024 buckets to a factor of two."""
_NEAREST, _QUARTER = 2.0**-24, 0.25
_FIRST = int(np.float64(_NEAREST).view(np.int64)) >> SHIFT
_MIDDLE = int(np.float64(_QUARTER).view(np.int64)) >> SHIFT
_NEAR, _FAR = _MIDDLE - _FIRST, 52 * 2 ** (52 - SHIFT)


def _bucket_tops() -> np.ndarray:
    """The largest 1 - rho in each bucket, or more: by rho - 1/2 up to 1/4 (the first reaches down to 0), then by 1 - rho."""
    low = (np.arange(_FIRST, _MIDDLE) << SHIFT).view(np.float64)
    low[0] = 0.0
    high = (np.arange(_MIDDLE + 1, _MIDDLE + 1 - _FAR, -1) << SHIFT).view(np.float64)
    return np.concatenate([0.5 - low, high])


@dataclass(frozen=True, eq=False)
class RadiusCurve:
    """A radius function by its nodes: R(1-p) ≥ radius_i + log(phi_i/(phi_i - slope_i·(p_i - p)))/slope_i for p ≤ p_i.

    p descends from 1/2. `phi` bounds Phi(p_i) from above, `slope` bounds Phi'(p_i) from below, `radius` bounds
    R(1-p_i) from below; then concavity of Phi makes every value a lower bound.
    """

    p: np.ndarray
    phi: np.ndarray
    slope: np.ndarray
    radius: np.ndarray
    _columns: tuple[np.ndarray, ...] = field(init=False, repr=False)
    _on: Store = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        require(self.p[0] == 0.5 and bool((np.diff(self.p) < 0).all()), "curve: p must descend from 1/2")
        require(
            bool((self.phi > 0).all() and (self.slope >= 0).all()),
            "curve: Phi must be positive, its slope not negative",
        )
        require(
            self.radius[0] == 0.0 and bool((np.diff(self.radius) >= 0).all()), "curve: the radius must grow"
        )
        guide = np.searchsorted(-self.p, -_bucket_tops(), side="right") - 1
        following = np.append(self.p[1:], -1.0)
        phi = np.maximum(self.phi, 1e-290)  # more is safe, and no quotient overflows
        with np.errstate(over="ignore"):
            steepness = np.minimum(self.slope / phi, 1e300)
        columns = (guide, following, self.p, 1.0 / phi, steepness, self.radius)
        object.__setattr__(self, "_columns", columns)

    def __call__(self, at: Confidence) -> Array:
        """The radius at scale 1, before the final rounding down: by the tangent at a node p_i ≥ 1 - rho, the next or close to it."""
        xp = at.xp
        guide, following, p, per_phi, steepness, radius = placed(self._columns, at.fail, self._on)
        near = xp.clamp((xp.bits(at.gap) >> SHIFT) - _FIRST, 0, _NEAR - 1)
        far = _NEAR + xp.clamp(_MIDDLE - (xp.bits(at.fail) >> SHIFT), 0, _FAR - 1)
        i = xp.take(guide, xp.where(at.gap < _QUARTER, near, far))
        i = i + xp.whole(xp.take(following, i) >= at.fail)
        step = xp.take(p, i) - at.fail  # rounded once, relative to itself
        x = xp.maximum(xp.take(steepness, i) * step, 1e-60)  # below, log1p(-x) = -x
        return xp.take(radius, i) + step * xp.take(per_phi, i) * (-xp.log1p(-x) / x)

    def growth(self, p: np.ndarray) -> np.ndarray:
        """Phi(p) from above, by the tangent at the node above p; at scale 1."""
        i = np.searchsorted(-self.p, -p, side="right") - 1
        return self.phi[i] - self.slope[i] * (self.p[i] - p)


def curve_from_nodes(
    p: np.ndarray,
    phi: np.ndarray,
    slope: np.ndarray,
    *,
    error: float = NODE_ERROR,
    steep: np.ndarray | None = None,
    bend: np.ndarray | None = None,
    linear: bool = False,
) -> RadiusCurve:
    """The curve through nodes of Phi, given with a relative error of at most `error` each. Its radii are lower bounds.

    Between two nodes Phi lies below the tangents at both, hence int dp/Phi above that of the smaller of the two lines.
    steep: upper bounds of the slope, where `slope` has lower ones; infinite where a node has none.
    bend: lower bounds of -Phi'' between neighbouring nodes. Where x is the distance from the node, Phi is below the tangent T by
    bend·x²/2 at least; as 1/(T - y) ≥ 1/T + y/T², a part of length u gains bend·u³/(6·max T²).
    linear: Phi is linear between the nodes (a score with finitely many values).
    """
    require(0.0 < error < 1e-9, f"the errors of a curve's nodes are too large: {error:.3g}")
    slack = SLACKS * error
    top, low, high = (
        phi * (1.0 + slack),
        slope * (1.0 - slack),
        (slope if steep is None else steep) * (1.0 + slack),
    )
    step = p[:-1] - p[1:]
    with np.errstate(all="ignore"):
        # where the tangents cross; any other place would do as well
        cross = (top[1:] + high[1:] * step - top[:-1]) / (high[1:] - low[:-1])
    left = np.clip(np.where(np.isfinite(cross) & (not linear), cross, step), 0.0, step)
    right = step - left
    high = np.where(np.isfinite(high), high, 0.0)
    pieces = _falling(left, top[:-1], low[:-1]) + _rising(right, top[1:], high[1:])
    if bend is not None:
        blur = 2.0 * error * p[:-1]  # how far the exact nodes may lie from these
        with np.errstate(all="ignore"):
            bend = np.fmin(
                bend, np.maximum(high[1:] - low[:-1], 0.0) / step
            )  # no more than the slope's whole change
        cubes = np.maximum(left - blur, 0.0) ** 3 + np.maximum(right - blur, 0.0) ** 3
        most = np.maximum(top[:-1], top[1:] + high[1:] * right)
        pieces = pieces + SURE * bend * (cubes / 6.0) / most / most
    # a piece is off by 40 units at most, the sum of n positive numbers by n
    down = 1.0 - (p.size + 64) * UNIT
    radius = np.concatenate([[0.0], np.cumsum(pieces)]) * down
    doubt = _above(step, phi[:-1] * (1.0 - slack), phi[1:] * (1.0 - slack)) - _falling(
        step, top[:-1], low[:-1]
    )
    doubt = np.where(p[:-1] >= NEAREST_FAIL, doubt, 0.0)
    if bool((doubt > CLOSE * radius[1:]).any()):
        radius = _lowered(pieces, doubt) * down
    return RadiusCurve(p, top, low, radius)


def _above(step: np.ndarray, phi: np.ndarray, next_phi: np.ndarray) -> np.ndarray:
    """int dp/Phi over pieces from above: Phi lies over its chord."""
    least, most = np.minimum(phi, next_phi), np.maximum(phi, next_phi)
    x = (most - least) / least
    safe = np.maximum(x, 1e-8)
    return step / least * np.where(x > 1e-8, np.log1p(safe) / safe, 1.0) * (1.0 + 2.0**-45)


def _lowered(pieces: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """Sums of the pieces less what makes `doubt` at most CLOSE times the sum up to the piece's end."""
    radius = [0.0]
    for piece, most in zip(pieces.tolist(), doubt.tolist(), strict=True):
        excess = max((most - CLOSE * (radius[-1] + piece)) / (1.0 - CLOSE), 0.0)
        require(excess <= piece, "curve: its nodes are too far apart")
        radius.append(radius[-1] + piece - excess)
    return np.array(radius)


def _falling(step: np.ndarray, top: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """int_0^step dx/(top - slope·x) from below."""
    x = np.minimum(slope * step / top, MOST)  # -log(1 - x)/x increases in x: less is safe
    safe = np.maximum(x, 1e-12)
    return step / top * np.where(x > 1e-12, -np.log1p(-safe) / safe, 1.0)


def _rising(step: np.ndarray, top: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """int_0^step dx/(top + slope·x) from below."""
    x = slope * step / top
    safe = np.maximum(x, 1e-8)
    return step / top * np.where(x > 1e-8, np.log1p(safe) / safe, 1.0 - 0.5 * x)
