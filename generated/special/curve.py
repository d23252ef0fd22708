"""A radius function by its nodes: concavity of Phi makes every value between them a lower bound.

Source: R(rho) = int_{1-rho}^{1/2} dp / Phi(p), Yang et al., "Randomized Smoothing of All Shapes and Sizes" (ICML 2020); Phi is
concave and Phi'(p) is the score threshold of its greedy set, so tangents bound Phi from above and R from below.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from generated.special.arguments import Array, require
from generated.special.confidence import Confidence
from generated.special.traced import Store, placed

NODE_SLACK = 2.0**-39
"""Relative slack at the nodes of a curve (1.8e-12). It covers incomplete gamma functions (below 3e-13, tested) and the quadrature. It
covers the evaluation, too: the argument of the logarithm is slope·step/phi, which the slack of both lowers by 2^-38, while its four
operations are off by 4·2^-53, so what the logarithm makes of the one is 8,000 times what it makes of the other, however close to
its singularity; the sum of positive terms adds 20 units of 2^-53 at most, which `finish` takes off."""


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
        columns = (guide, following, self.p, 1.0 / phi, self.slope / phi, self.radius)
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
    p: np.ndarray, phi: np.ndarray, slope: np.ndarray, *, linear: bool = False
) -> RadiusCurve:
    """The curve through nodes of Phi; `linear`: Phi is exactly linear between them (a score with finitely many values).

    Otherwise int dp/Phi between nodes by the trapezoidal rule with end correction in log p, whose derivative
    d(p/Phi)/dlog p = (p/Phi)(1 - slope·p/Phi) is known exactly (error of fourth order in the spacing).
    """
    step = p[:-1] - p[1:]
    flat = step / phi[:-1]
    tangent = flat.copy()  # from below: Phi lies under its tangent at the node
    steep = slope[:-1] * flat > 1e-12
    tangent[steep] = -np.log1p(-(slope[:-1] * flat)[steep]) / slope[:-1][steep]
    if linear:
        pieces = tangent
    else:
        fall = phi[:-1] - phi[1:]
        chord = flat.copy()  # from above: Phi lies over its chord
        falling = fall > 1e-12 * phi[:-1]
        chord[falling] = (step * np.log1p(fall / phi[1:]))[falling] / fall[falling]
        width = np.log1p(step / p[1:])
        h = p / phi
        dh = h * (1.0 - slope * h)
        rule = 0.5 * width * (h[1:] + h[:-1]) + width**2 * (dh[1:] - dh[:-1]) / 12.0
        # where nodes are far apart the rule has no bound, and outside the two it is wrong: the tangent stands in
        trusted = (width < 0.1) & (rule <= chord * (1.0 + 1e-12)) & (rule >= tangent)
        pieces = np.where(trusted, rule, tangent)
    radius = np.concatenate([[0.0], np.cumsum(pieces)])
    return RadiusCurve(p, phi * (1.0 + NODE_SLACK), slope * (1.0 - NODE_SLACK), radius * (1.0 - NODE_SLACK))
