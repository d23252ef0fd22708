"""Level sets of shells in floats: where to look for a proof. Nothing here is proved, and nothing needs to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from derive.enclosure.search import FloatLaw

NODES = 32
_FALLS = (0.2, 1.0, 3.0, 7.0, 14.0, 24.0, 36.0, 50.0, 65.0)
"""Pieces of log r end where the logarithm of its density has fallen by these below the peak."""
LIMIT = 690.0
"""Largest |log r|."""
_FARTHEST, _NEAREST = 1e7, 1e-290
"""Levels beyond the first are taken for infinite, below the second for 0."""
_GRID, _BEYOND = 8000, 4.0
_LINEAR = 1e-8
"""A rise in log r up to this is a quotient of the level and the steepness: a difference would lose its digits."""
_ROUGH, _FINE = 1e-8, 1e-15
_X, _W = np.polynomial.legendre.leggauss(NODES)


@dataclass(frozen=True)
class Found:
    """For one level and distance: h = kappa·(J - 1/2) and 1/2 - h, M - 1/2, and the corners of the integrands in log r."""

    fail: float
    gap: float
    excess: float
    corners: tuple[float, ...]


class FloatShells:
    """The law of r on Gauss nodes, and the shares of its balls that meet."""

    def __init__(self, law: FloatLaw, kind: str, dim: int, kinks: tuple[float, ...], unbounded: bool) -> None:
        self.law, self.kind, self.dim = law, kind, dim
        self.power = dim if kind == "shell" else 1
        self.low, self.high = law.end(80.0, -1), min(law.end(80.0, 1), law.ceiling)
        self.bounded = not unbounded
        ends = [law.mode] + [law.end(fall, side) for fall in _FALLS for side in (-1, 1)]
        inside = [x for x in (*ends, *kinks) if self.low < x < self.high]
        self.edges = np.unique([self.low, *inside, self.high])
        self.kinks = kinks
        grid = np.linspace(self.low, min(self.high + _BEYOND, law.ceiling), _GRID)
        psi = law.psi.array(grid)
        kept = np.isfinite(psi)
        self.table = np.maximum.accumulate(psi[kept]), grid[kept]
        self.base = self._nodes(self.edges)
        self.total = self._weigh(*self.base).sum()
        steep = law.steepness.array(self.base[0])
        self.mean_steepness = float(np.sum(self._weigh(*self.base) * steep) / self.total)
        self.mean_score = float(np.sum(self._weigh(*self.base) * steep * np.exp(-self.base[0])) / self.total)
        self._top = float(law.psi.array(np.array([law.ceiling]))[0]) if self.bounded else math.inf
        self._edge = self._end_mass()
        self.rate = self._half_rate()

    def _half_rate(self) -> float:
        """The growth rate at p = 1/2: gap over distance for small distances."""
        weight = 0.5 if self.kind == "shell" else 0.5 / self.dim
        jump = self._edge * self.dim * math.exp(-self.law.ceiling) if self._edge else 0.0
        return weight * (self.mean_score + jump)

    @staticmethod
    def _nodes(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = 0.5 * np.diff(edges)[:, None]
        return (edges[:-1, None] + half * (1 + _X)).ravel(), (half * _W).ravel()

    def _weigh(self, u: np.ndarray, w: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            value = w * np.exp(self.dim * u - self.law.psi.array(u) - self.law.peak)
        return np.nan_to_num(value, nan=0.0, posinf=0.0)

    def _end_mass(self) -> float:
        """The share of nu at the end of the support, where the density jumps to 0."""
        if not math.isfinite(self._top):
            return 0.0
        return (
            math.exp(self.dim * self.law.ceiling - self._top - self.law.peak) / self.dim / float(self.total)
        )

    def rise(self, u: np.ndarray, level: float) -> np.ndarray:
        """log(s/r) with psi(s) = psi(r) + level."""
        if level == 0.0:
            return np.zeros_like(u)
        psi, steepness = self.law.psi, self.law.steepness
        target = psi.array(u) + level
        with np.errstate(all="ignore"):
            linear = level / np.maximum(steepness.array(u), 1e-300)
            if np.all(linear < _LINEAR):
                return linear
            low, high = u, np.full_like(u, min(LIMIT, self.law.ceiling))
            y = np.clip(np.interp(target, *self.table), low, high)
            last = high - low
            for _ in range(
                200
            ):  # Newton's method, and a half of the bracket where a step is not half of the last
                excess = psi.array(y) - target
                low, high = np.where(excess < 0, y, low), np.where(excess > 0, y, high)
                step = excess / steepness.array(y)
                good = (y - step >= low) & (y - step <= high) & (2 * np.abs(step) <= last)
                last = np.where(good, np.abs(step), 0.5 * (high - low))
                y = np.where(good, y - step, 0.5 * (low + high))
                if np.all(last <= 1e-14 * (1 + np.abs(y))):
                    break
        return np.where(linear < _LINEAR, linear, np.maximum(y - u, 0.0))

    def _short(self, u: np.ndarray, level: float, distance: float) -> np.ndarray:
        """1 - z, not cut."""
        with np.errstate(over="ignore"):
            return 0.5 * (distance * np.exp(-u) - np.expm1(self.rise(u, level)))

    def crossings(self, level: float, distance: float) -> list[tuple[float, float]]:
        """Where 1 - z passes 0 or 1, and which."""
        u = self.base[0]
        short = self._short(u, level, distance)
        return [
            (self._crossing(float(u[k]), float(u[k + 1]), level, distance, at), at)
            for at in (0.0, 1.0)
            for k in np.flatnonzero((short[1:] > at) != (short[:-1] > at))
        ]

    def corners(self, level: float, distance: float) -> list[float]:
        """Where z passes 0 or 1, psi has a kink or its partner one."""
        found = [u for u, _ in self.crossings(level, distance)]
        for kink in self.kinks:
            found.append(kink)
            partner = self._partner(kink, level)
            found += [partner] if partner is not None else []
        if self.bounded and math.isfinite(self._top):
            partner = self._partner(self.law.ceiling, level)
            found += [partner] if partner is not None else []
        return sorted(c for c in found if self.low < c < self.high)

    def _crossing(self, low: float, high: float, level: float, distance: float, at: float) -> float:
        for _ in range(3):
            u = np.linspace(low, high, 33)
            excess = self._short(u, level, distance) - at
            k = int(np.argmax((excess[1:] > 0) != (excess[:-1] > 0)))
            low, high = float(u[k]), float(u[k + 1])
        rise = excess[k + 1] - excess[k]
        return low - (high - low) * float(excess[k] / rise) if rise else low

    def _partner(self, kink: float, level: float) -> float | None:
        """Where psi is lower than at a kink by this level."""

        def excess(u: float) -> float:
            return float(self.law.psi.array(np.array([u]))[0]) + level - goal

        goal = float(self.law.psi.array(np.array([kink]))[0])
        if excess(self.low) >= 0 or excess(kink) <= 0:
            return None
        return float(optimize.brentq(excess, self.low, kink))

    def at(self, level: float, distance: float) -> Found:
        corners = self.corners(level, distance)
        u, w = self.base
        if corners:
            u, w = self._nodes(np.unique([*self.edges, *corners]))
        mass = self._weigh(u, w) / self.total
        steep = self.law.steepness.array(u) / self.dim
        short = self._short(u, level, distance)
        inner = np.clip(short, 0.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log1p(-inner)
            lost = -np.expm1(self.power * log)  # 1 - z**n
            if self.kind == "shell":
                outer = np.where(
                    short <= 0,
                    -0.5,
                    np.where(short >= 1, 0.5, -0.5 * np.expm1((self.dim - 1) * log) if self.dim > 1 else 0.0),
                )
            else:
                part = (1 - 1 / self.dim) * inner + 0.5 / self.dim - 0.5
                outer = np.where(short <= 0, -0.5, np.where(short >= 1, 0.5, part))
        lost = np.where(short >= 1, 1.0, lost)
        missed = float(np.sum(mass * steep * lost))
        if self._edge:
            last = min(1.0, 0.5 * distance * math.exp(-self.law.ceiling))
            missed += self._edge * (1.0 if last >= 1 else -math.expm1(self.power * math.log1p(-last)))
        kappa = math.exp(-level)
        gap = -0.5 * math.expm1(-level) + kappa * missed
        return Found(kappa * (0.5 - missed), gap, float(np.sum(mass * outer)), tuple(corners))

    def middle(self, distance: float, start: float, accuracy: float) -> float:
        """The level t ≥ 0 at which M = 1/2, near `start`: 0 where M stays below, inf where it stays above, just below a jump across 1/2."""

        def excess(level: float) -> float:
            return self.at(level, distance).excess

        if excess(0.0) <= 0:
            return 0.0
        low, high, factor = 0.0, start, 1.05
        if excess(start) > 0:
            while excess(high) > 0:
                low, high, factor = high, high * factor, factor * factor
                if high > _FARTHEST:
                    return math.inf
        else:
            low = start
            while excess(low) <= 0:
                low, high, factor = low / factor, low, factor * factor
                if low < _NEAREST:
                    return 0.0
        if low > 0 and high > 2 * low:
            bend = optimize.brentq(lambda x: excess(math.exp(x)), math.log(low), math.log(high), xtol=0.1)
            return self.middle(distance, math.exp(float(bend)), accuracy)
        found = float(optimize.brentq(excess, low, high, xtol=1e-300, rtol=accuracy))
        step = accuracy * found
        while excess(found) <= 0 and step < found:
            found, step = found - step, 2 * step
        return found

    def near_half(self, gap: float) -> float:
        """The distance with h(0, e) = 1/2 - gap."""

        def miss(log_distance: float) -> float:
            return math.log(max(self.at(0.0, math.exp(log_distance)).gap, 1e-300) / gap)

        low = high = math.log(gap / self.rate)
        step = 1e-3
        while miss(low) > 0:
            low, step = low - step, 2 * step
        while miss(high) < 0:
            high, step = high + step, 2 * step
            if high > LIMIT:
                raise ArithmeticError("the level-set radius was not found")
        return (
            math.exp(float(optimize.brentq(miss, low, high, xtol=1e-13, rtol=1e-15)))
            if low < high
            else math.exp(low)
        )

    def solve(self, fail: float, gap: float) -> tuple[float, float]:
        """(level, distance) with M = 1/2 and h = fail, the gap 1/2 - fail given with an accuracy of its own."""
        slope = self.mean_score

        def miss(log_distance: float) -> float:
            nonlocal slope
            distance = math.exp(log_distance)
            level = self.middle(distance, slope * distance, _ROUGH)
            if math.isinf(level):  # half of the shifted noise lies outside the support
                return LIMIT
            slope = level / distance if level > 0 else slope
            found = self.at(level, distance)
            if gap < 0.25:
                return math.log(max(found.gap, 1e-300) / gap)
            return math.log(fail / max(found.fail, 1e-320))

        low = high = math.log(gap / self.rate)  # the differential radius at the least growth
        step = 0.02
        while miss(low) > 0:
            low, high, step = low - step, low, 2 * step
        if low == high:
            while miss(high) < 0:
                low, high, step = high, high + step, 2 * step
                if high > LIMIT:
                    raise ArithmeticError("the level-set radius was not found")
        distance = math.exp(float(optimize.brentq(miss, low, high, xtol=1e-13, rtol=1e-15)))
        return self.middle(distance, slope * distance, _FINE), distance
