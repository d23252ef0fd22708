"""A radius function as a table over the normal quantile of rho: piecewise Chebyshev interpolants, rounded down.

R/z is interpolated in z = -ndtri(1 - rho), where Gaussian noise gives a constant. The interpolation error is measured at
points between the nodes while the table is built; a stated slack, at least four times as large, then lowers every value.
Source of the splitting: Trefethen, "Approximation Theory and Approximation Practice" (SIAM 2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import scipy.special as sc

from generated.special.arguments import Array, require

DEGREE = 16
"""Chebyshev nodes on a panel."""
FARTHEST = 8.3
"""Largest tabulated normal quantile: beyond that of the largest float below 1 (8.21)."""
SLACK = 2.0**-33
"""Relative slack of the values, 1.2e-10."""
GROWTH_SLACK = 2.0**-26
"""Relative slack of Phi, upwards: differentiation loses some digits of the interpolant."""
NARROWEST, FIRST = 0.02, 0.5
"""Panels are not split below this width, and the first one not below FIRST: what then remains is noise of the function,
which near z = 0 grows as 1/z."""

_ANGLES = (np.arange(DEGREE) + 0.5) * (math.pi / DEGREE)
_NODES = -np.cos(_ANGLES)
_TO_COEFFICIENTS = np.cos(np.outer(np.arange(DEGREE), math.pi - _ANGLES)) * (2.0 / DEGREE)
_TO_COEFFICIENTS[0] *= 0.5
_CHECKS = np.array([-0.996, -0.62, 0.05, 0.71, 0.993])


@dataclass(frozen=True)
class Tabulated:
    """A radius function at scale 1: (1 - slack) · z · f(z), z the normal quantile of rho, f piecewise polynomial.

    `edges` of the panels ascend from 0, `coefficients` holds one row of Chebyshev coefficients of f to a panel, `at_one`
    is the radius at rho = 1. Values are never above the tabulated function (tested, not proved). Immutable.
    """

    edges: np.ndarray
    coefficients: np.ndarray
    slack: float
    at_one: float

    def __post_init__(self) -> None:
        require(
            self.edges[0] == 0.0 and bool((np.diff(self.edges) > 0.0).all()),
            "table: edges must ascend from 0",
        )
        require(
            self.coefficients.shape == (self.edges.size - 1, DEGREE)
            and bool(np.isfinite(self.coefficients).all()),
            "table: one row of finite coefficients to a panel",
        )
        require(0.0 < self.slack < 1e-3 and self.at_one > 0.0, "table: a small slack and a positive limit")

    def __call__(self, xp: SimpleNamespace, rho: Array) -> Array:
        """The radius at rho > 1/2, before the last rounding down; float64 NumPy or torch (autograd through rho)."""
        one = rho >= 1.0
        fail = xp.where(one, xp.asarray(np.float64(0.25), rho), 1.0 - rho)
        z = -xp.ndtri(fail)
        value = z * self._ratio(xp, z, rho) * (1.0 - self.slack)
        return xp.where(one, xp.asarray(np.float64(self.at_one), rho), value)

    def _ratio(self, xp: SimpleNamespace, z: Array, like: Array) -> Array:
        """f(z) by Clenshaw's recurrence."""
        still = z.detach() if hasattr(z, "detach") else z
        i = xp.searchsorted(xp.asarray(self.edges[1:-1].copy(), like), still, side="right")
        low, width = xp.asarray(self.edges[:-1].copy(), like)[i], xp.asarray(np.diff(self.edges), like)[i]
        t = 2.0 * ((z - low) / width) - 1.0
        rows = xp.asarray(self.coefficients, like)[i]
        last, before = rows[..., DEGREE - 1], 0.0 * t
        for k in range(DEGREE - 2, 0, -1):
            last, before = rows[..., k] + 2.0 * t * last - before, last
        return rows[..., 0] + t * last - before

    def growth(self, p: np.ndarray) -> np.ndarray:
        """Phi(p) = 1/(dR/drho) at p = 1 - rho in (0, 1/2], rounded up by GROWTH_SLACK; at scale 1."""
        z = np.minimum(-sc.ndtri(p), self.edges[-1])
        i = np.searchsorted(self.edges[1:-1], z, side="right")
        width = np.diff(self.edges)[i]
        t = 2.0 * ((z - self.edges[:-1][i]) / width) - 1.0
        rows = self.coefficients[i].T
        slopes = np.polynomial.chebyshev.chebder(self.coefficients, axis=1)[i].T
        value = np.polynomial.chebyshev.chebval(t, rows, tensor=False)
        slope = np.polynomial.chebyshev.chebval(t, slopes, tensor=False) * 2.0 / width
        density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        return density / (value + z * slope) * (1.0 + GROWTH_SLACK)


def tabulate(
    radius_of_fail: Callable[[np.ndarray], np.ndarray], *, slack: float = SLACK, at_one: float = math.inf
) -> Tabulated:
    """The table of a radius function given by 1 - rho, float64 arrays in (0, 1/2) to float64 arrays.

    Panels are halved until the interpolant of R/z agrees with the function to slack/100 relative between its nodes.
    ArithmeticError where slack/4 is not reached, or the function is not positive and finite.
    """

    def ratio(z: np.ndarray) -> np.ndarray:
        value = radius_of_fail(sc.ndtr(-z)) / z
        if not (np.isfinite(value) & (value > 0.0)).all():
            raise ArithmeticError("the radius to be tabulated is not positive and finite above rho = 1/2")
        return value

    target = 0.01 * slack
    todo = [(0.0, 1.0), (1.0, 3.0), (3.0, 5.5), (5.5, FARTHEST)]
    done: list[tuple[float, np.ndarray]] = []
    worst = 0.0
    while todo:
        low, high = todo.pop(0)
        values = ratio(low + 0.5 * (high - low) * (_NODES + 1.0))
        coefficients = _TO_COEFFICIENTS @ values
        error = float(np.max(np.abs(coefficients[-2:]))) / float(np.min(values))
        last = high - low <= (2.0 * NARROWEST if low > 0.0 else FIRST)
        if error <= target or last:
            tests = ratio(low + 0.5 * (high - low) * (_CHECKS + 1.0))
            fitted = np.polynomial.chebyshev.chebval(_CHECKS, coefficients)
            error = float(np.max(np.abs(fitted / tests - 1.0)))
        if error <= target or last:
            worst = max(worst, error)
            done.append((low, coefficients))
        else:
            middle = 0.5 * (low + high)
            todo[:0] = [(low, middle), (middle, high)]
    if not worst <= 0.25 * slack:
        raise ArithmeticError(
            f"a table of the radius errs by {worst:.1e} between its nodes, above {0.25 * slack:.1e}"
        )
    edges = np.array([low for low, _ in done] + [FARTHEST])
    return Tabulated(edges, np.array([row for _, row in done]), slack, at_one)
