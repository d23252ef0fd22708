"""A radius function by its nodes: concavity of Phi makes every value between them a lower bound.

Source: R(rho) = int_{1-rho}^{1/2} dp / Phi(p), Yang et al., "Randomized Smoothing of All Shapes and Sizes" (ICML 2020); Phi is
concave and Phi'(p) is the score threshold of its greedy set, so tangents bound Phi from above and R from below.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from generated.special.arguments import Array, require

NODE_SLACK = 2.0**-39
"""Relative slack at the nodes of a curve (1.8e-12): incomplete gamma functions (below 3e-13, tested) and the quadrature."""


@dataclass(frozen=True)
class RadiusCurve:
    """A radius function by its nodes: R(1-p) ≥ radius_i + log(phi_i/(phi_i - slope_i·(p_i - p)))/slope_i for p ≤ p_i.

    p descends from 1/2. `phi` bounds Phi(p_i) from above, `slope` bounds Phi'(p_i) from below, `radius` bounds
    R(1-p_i) from below; then concavity of Phi makes every value a lower bound.
    """

    p: np.ndarray
    phi: np.ndarray
    slope: np.ndarray
    radius: np.ndarray

    def __post_init__(self) -> None:
        require(self.p[0] == 0.5 and bool((np.diff(self.p) < 0).all()), "curve: p must descend from 1/2")
        require(
            bool((self.phi > 0).all() and (self.slope >= 0).all()),
            "curve: Phi must be positive, its slope not negative",
        )
        require(
            self.radius[0] == 0.0 and bool((np.diff(self.radius) >= 0).all()), "curve: the radius must grow"
        )

    def __call__(self, xp: SimpleNamespace, rho: Array) -> Array:
        """The radius at rho > 1/2, at scale 1, before the final rounding down."""
        fail = (
            1.0 - rho
        )  # exact, and so is p_i - fail up to one rounding of its own size; 1/2 - p_i would not be
        nodes = xp.asarray(-self.p, rho)
        i = xp.searchsorted(nodes, -(fail.detach() if hasattr(fail, "detach") else fail), side="right") - 1
        step = -nodes[i] - fail
        phi, slope, base = (xp.asarray(a, rho)[i] for a in (self.phi, self.slope, self.radius))
        x = slope * step / phi
        safe = xp.where(slope > 0.0, slope, xp.asarray(np.float64(1.0), rho))
        steep = x > 1e-9  # below: the first two terms of -log(1-x)/slope, both positive, hence from below
        log_step = -xp.log1p(-xp.where(steep, x, xp.asarray(np.float64(0.25), rho))) / safe
        return base + xp.where(steep, log_step, (step / phi) * (1.0 + 0.5 * x))

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
