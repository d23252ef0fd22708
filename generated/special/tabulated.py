"""A radius function as a table over the normal quantile of rho: piecewise Chebyshev interpolants, rounded down.

R/z is interpolated in z = -ndtri(1 - rho), where Gaussian noise gives a constant. The interpolation error is measured at
points between the nodes while the table is built; a stated slack, at least four times as large, then lowers every value.
Source of the splitting: Trefethen, "Approximation Theory and Approximation Practice" (SIAM 2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.special as sc

from generated.special.arguments import Array, require
from generated.special.confidence import Confidence
from generated.special.traced import Store, placed

DEGREE = 16
"""Chebyshev nodes on a panel."""
FARTHEST = 8.3
"""Largest tabulated normal quantile: beyond that of the largest float below 1 (8.21)."""
SLACK = 2.0**-33
"""Relative slack of the values, 1.2e-10: a quarter for the interpolation error, which is measured; the rounding of the quantile (64
units of 2^-53) and of Horner's rule (some hundred) is 1e-14, a ten-thousandth of it, and DROPPED for coefficients left out."""
DROPPED = 2.0**-4
"""Share of the slack that the last coefficients may make up together, to be left out where values are computed."""
GROWTH_SLACK = 2.0**-26
"""Relative slack of Phi, upwards: differentiation loses some digits of the interpolant."""
NARROWEST, FIRST = 0.02, 0.5
"""Panels are not split below this width, and the first one not below FIRST: what then remains is noise of the function,
which near z = 0 grows as 1/z."""

CELL = 2.0**-6
"""Width in z of the cells that lead to a panel."""

_ANGLES = (np.arange(DEGREE) + 0.5) * (math.pi / DEGREE)
_NODES = -np.cos(_ANGLES)
_TO_COEFFICIENTS = np.cos(np.outer(np.arange(DEGREE), math.pi - _ANGLES)) * (2.0 / DEGREE)
_TO_COEFFICIENTS[0] *= 0.5
_CHECKS = np.array([-0.996, -0.62, 0.05, 0.71, 0.993])


@dataclass(frozen=True, eq=False)
class Tabulated:
    """A radius function at scale 1: (1 - slack) · z · f(z), z the normal quantile of rho, f piecewise polynomial.

    `edges` of the panels ascend from 0, `coefficients` holds one row of Chebyshev coefficients of f to a panel, `at_one`
    is the radius at rho = 1. Values are never above the tabulated function (tested, not proved). Immutable.
    """

    edges: np.ndarray
    coefficients: np.ndarray
    slack: float
    at_one: float
    _columns: tuple[np.ndarray, ...] = field(init=False, repr=False)
    _on: Store = field(default_factory=dict, init=False, repr=False)

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

        cells = np.arange(math.ceil(self.edges[-1] / CELL) + 1) * CELL
        guide = np.searchsorted(self.edges[1:-1], cells, side="right")  # the panel of the cell's left end
        ends = np.append(self.edges[1:-1], math.inf)
        require(bool((np.diff(guide) <= 1).all()), "table: a panel is narrower than a cell of its guide")
        columns = (
            guide,
            ends,
            self.edges[:-1],
            1.0 / np.diff(self.edges),
            *_powers(self.coefficients, DROPPED * self.slack),
        )
        object.__setattr__(self, "_columns", columns)

    def __call__(self, at: Confidence) -> Array:
        """The radius at scale 1, before the last rounding down; beyond the table's end that of its end, `at_one` at rho = 1."""
        xp = at.xp
        one = at.rho >= 1.0 if at.log is None else at.log == -math.inf
        z = xp.minimum(-xp.ndtri(xp.where(one, 0.25, at.fail)), float(self.edges[-1]))
        guide, ends, low, per_width, *coefficients = placed(self._columns, at.fail, self._on)
        i = xp.take(guide, xp.whole(z * (1.0 / CELL)))
        i = i + xp.whole(z >= xp.take(ends, i))
        t = 2.0 * ((z - xp.take(low, i)) * xp.take(per_width, i)) - 1.0
        value = xp.take(coefficients[-1], i)
        for column in coefficients[-2::-1]:
            value = value * t + xp.take(column, i)
        return xp.where(one, self.at_one, (z * (1.0 - self.slack)) * value)

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


def _powers(rows: np.ndarray, share: float) -> list[np.ndarray]:
    """Columns of coefficients of powers from rows of Chebyshev coefficients, the last left out as far as they add up to less than `share`."""
    sizes = np.abs(rows)
    least = float(np.min(sizes[:, 0] - sizes[:, 1:].sum(axis=1)))
    left_out = np.cumsum(sizes.max(axis=0)[::-1])[::-1]
    count = max(1, int(np.count_nonzero(left_out > share * max(least, 0.0))))
    powers = np.zeros((len(rows), count))
    for row, out in zip(rows[:, :count], powers, strict=True):
        found = np.polynomial.chebyshev.cheb2poly(row)
        out[: found.size] = found
    return list(np.ascontiguousarray(powers.T))


def tabulate(
    radius_of_fail: Callable[[np.ndarray], np.ndarray], *, slack: float = SLACK, at_one: float | None = None
) -> Tabulated:
    """The table of a radius function given by 1 - rho, float64 arrays in (0, 1/2) to float64 arrays.

    Panels are halved until the interpolant of R/z agrees with the function to slack/100 relative between its nodes.
    at_one: the radius at rho = 1; by default that at the table's end, which is no larger. ArithmeticError where slack/4 is not reached, or the function is not positive and finite.
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
    rows = np.array([row for _, row in done])
    if at_one is None:
        at_one = FARTHEST * float(np.polynomial.chebyshev.chebval(1.0, rows[-1])) * (1.0 - slack)
    return Tabulated(edges, rows, slack, at_one)
