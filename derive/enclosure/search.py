"""Level-set radii in floats: where to look for a proof. Nothing here is proved, and nothing needs to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from derive.enclosure.taylor import LogRadial

NODES = 2001
FOLLOWED, _NEARLY = 8, 1e-5
"""Newton's steps at most, and the relative size of one after which the next is not needed."""
_REACH = 700.0
_LINEAR = 1e-6
_QUADRATIC = 1e-9
"""A Newton step this small was the last one needed."""
_NEAR_HALF = 1e-2
_HOPELESS = 1e7
"""Levels beyond this are taken for infinite."""


@dataclass(frozen=True)
class Saddle:
    """A level and a distance with M = 1/2 and m = p, and the derivatives of (M, m) with respect to (level, distance)."""

    level: float
    distance: float
    jacobian: tuple[tuple[float, float], tuple[float, float]]

    def newton(self, first: float, second: float) -> tuple[float, float]:
        """The change of (level, distance) that takes (M, m) back by (first, second)."""
        (a, b), (c, d) = self.jacobian
        det = a * d - b * c
        return (b * second - d * first) / det, (c * first - a * second) / det

    def corrected(self, change: tuple[float, float], miss: tuple[float, float]) -> Saddle:
        """Broyden's correction: after a Newton step `change`, (M, m) was still off by `miss`."""
        x, y = change[0] / (self.level or 1.0), change[1] / self.distance
        size = x * x + y * y
        if size == 0:
            return self
        scale = (x / size / (self.level or 1.0), y / size / self.distance)
        (a, b), (c, d) = self.jacobian
        rows = (
            (a + miss[0] * scale[0], b + miss[0] * scale[1]),
            (c + miss[1] * scale[0], d + miss[1] * scale[1]),
        )
        return Saddle(self.level, self.distance, rows)

    def level_along(self, change: float) -> float:
        """The change of the level that keeps m when the distance changes."""
        return -self.jacobian[1][1] / self.jacobian[1][0] * change


class FloatLaw:
    """The law of u = log r on a grid."""

    def __init__(
        self, psi: LogRadial, steepness: LogRadial, dim: int, ceiling: float, count: int = NODES
    ) -> None:
        self.psi, self.steepness, self.dim, self.ceiling = psi, steepness, dim, ceiling
        top = min(_REACH, ceiling)
        grid = np.linspace(-_REACH, top, 8001)
        for _ in range(6):
            best = int(np.argmax(self._log(grid)))
            low, high = grid[max(best - 2, 0)], grid[min(best + 2, len(grid) - 1)]
            grid = np.linspace(low, high, 401)
        self.mode = float(grid[int(np.argmax(self._log(grid)))])
        self.peak = float(self._log(np.array([self.mode]))[0])
        nodes = np.linspace(self.end(80.0, -1), self.end(80.0, 1), count)
        self.nodes = nodes
        with np.errstate(over="ignore"):
            self.weights = np.exp(self._log(nodes) - self.peak) * (nodes[1] - nodes[0])
        self.mass = float(self.weights.sum())
        if not math.isfinite(self.mass):
            raise ArithmeticError(
                "the density is too steep or too flat for double precision: choose parameters nearer to 1"
            )
        self.weights /= self.mass
        self.levels = psi.array(nodes)

    def _log(self, u: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            value = self.dim * u - self.psi.array(u)
        return np.where(np.isfinite(value) & (u < self.ceiling), value, -np.inf)

    def steepness_at(self, u: float) -> float:
        return float(self.steepness.array(np.array([u]))[0])

    def end(self, fall: float, side: int) -> float:
        """Where the logarithm of the density has fallen by this much below its peak."""

        def high(u: float) -> bool:
            return bool(self._log(np.array([u]))[0] > self.peak - fall)

        step = 1e-8
        while high(self.mode + side * step):
            step *= 2
            if step > 1e5:
                raise ArithmeticError("the density's tail is too heavy to integrate")
        near, far = step / 2, step
        for _ in range(40):
            middle = (near + far) / 2
            near, far = (middle, far) if high(self.mode + side * middle) else (near, middle)
        return self.mode + side * far

    def _log_ratio(self, level: float) -> np.ndarray:
        """log(s/r) with psi(s) = psi(r) + level, at the nodes."""
        target = self.levels + level
        low = np.full_like(self.nodes, -_REACH)
        high = np.full_like(self.nodes, min(_REACH, self.ceiling))
        linear = level / np.maximum(self.steepness.array(self.nodes), 1e-300)
        if np.all(np.abs(linear) < _LINEAR):
            return linear
        y = self.nodes + linear
        with np.errstate(all="ignore"):
            for _ in range(100):
                y = np.where(
                    (y >= low) & (y <= high), y, 0.5 * (low + high)
                )  # an end is a solution found to the last digit
                excess = self.psi.array(y) - target
                low, high = np.where(excess < 0, y, low), np.where(excess > 0, y, high)
                step = excess / self.steepness.array(y)
                y = y - step
                if np.all(np.abs(step) <= _QUADRATIC * (1 + np.abs(y))):
                    break
        return np.clip(y, low, high) - self.nodes

    def side(self, level: float, distance: float, side: int) -> tuple[float, float, float]:
        """M (side 1) or m (side -1) and its derivatives with respect to level and distance."""
        ratio = self._log_ratio(side * level)
        r, e = np.exp(self.nodes), distance
        with np.errstate(all="ignore"):
            excess = np.expm1(2 * ratio)
            cosine = 0.5 * (e / r - r / e * excess)
            half = 0.5 * (self.dim - 1)
            share = np.clip(0.5 * (1 + side * cosine), 0, 1)
            if self.dim == 1:
                value, density = np.where(np.abs(cosine) < 1, 0.5, share), np.zeros_like(share)
            else:
                value = special.betainc(half, half, share)
                log = (half - 1) * np.log1p(-np.minimum(cosine * cosine, 1)) - math.log(math.pi) / 2
                log += special.gammaln(half + 0.5) - special.gammaln(half)
                density = np.where(np.abs(cosine) < 1, np.exp(log), 0.0)
            by_level = -density * (r / e) * (excess + 1) / self.steepness.array(self.nodes + ratio)
            by_distance = side * density * 0.5 * (1 / r + r / (e * e) * excess)
        parts = (np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0) for x in (value, by_level, by_distance))
        first, second, third = (float(self.weights @ x) for x in parts)
        return first, second, third

    def middle_level(self, distance: float, start: float) -> float:
        """The level at which M = 1/2; inf where M stays above."""

        def excess(level: float) -> float:
            return self.side(level, distance, 1)[0] - 0.5

        low, high, step = start, start, max(abs(start) * 0.1, 1e-12)
        while excess(low) <= 0:
            low, step = low - step, 2 * step
        step = max(abs(start) * 0.1, 1e-12)
        while excess(high) >= 0:
            high, step = high + step, 2 * step
            if step > _HOPELESS:
                return math.inf
        return float(optimize.brentq(excess, low, high, xtol=1e-14 * abs(high - low), rtol=1e-13))

    def followed_level(self, distance: float, start: float) -> float:
        """The same to about eight digits, by a few steps of Newton's method from a level close by."""
        level = start
        for _ in range(FOLLOWED):
            mass, slope, _ = self.side(level, distance, 1)
            step = (mass - 0.5) / slope if slope < 0 else math.inf
            if not abs(step) < 0.5 * abs(level):
                break
            level -= step
            if abs(step) <= _NEARLY * abs(level):
                return level
        return self.middle_level(distance, start)

    def saddle(self, p: float, gap: float) -> Saddle:
        """The solution of M = 1/2, m = p = 1/2 - gap, roughly; where the gap is small, it alone counts."""
        if gap < _NEAR_HALF:  # R is odd about 1/2 and the level even
            share = gap / _NEAR_HALF
            near = self.saddle(0.5 - _NEAR_HALF, _NEAR_HALF)
            return self._with_slopes(near.level * share * share, near.distance * share)
        goal = -float(special.ndtri(p))
        distance = goal * math.exp(self.mode) / math.sqrt(self.dim)
        low, high, level = 0.0, math.inf, goal * goal / 2
        for _ in range(80):
            found = self.middle_level(distance, level)
            level = found if math.isfinite(found) else level
            own = self.side(found, distance, -1)[0] if math.isfinite(found) else 0.0
            reached = -float(special.ndtri(max(own, 1e-300)))
            if own > p:
                low = distance
            else:
                high = distance
            if abs(reached - goal) <= 1e-9 * goal or high - low <= 1e-9 * low:
                break
            following = distance * goal / reached if reached > 0 else 2 * distance
            inside = low < following < high
            distance = following if inside else (0.5 * (low + high) if high < math.inf else 2 * distance)
        return self._with_slopes(level, distance)

    def _with_slopes(self, level: float, distance: float) -> Saddle:
        shifted, own = self.side(level, distance, 1), self.side(level, distance, -1)
        return Saddle(level, distance, ((shifted[1], shifted[2]), (own[1], own[2])))
