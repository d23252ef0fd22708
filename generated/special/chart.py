"""The coordinate in which radial laws are integrated, and the slope of their logarithm in it.

x is log(r/centre) and, beyond half of a finite bound, goes on as -log(bound - r): so powers of r at 0 and at infinity, and powers
of bound - r at the bound, are exponentials of x, and both ends keep all digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from generated.special.arguments import require
from generated.special.chebyshev import Sample
from generated.special.interval import FLOATS, Interval
from generated.special.monotone import RadialDensity, enclose

WIDEST = 700.0
"""|log r| of the radii that floats leave room for."""


@dataclass(frozen=True)
class Chart:
    """The coordinate x of radii: log(r/centre), continued by -log(bound - r) beyond bound/2."""

    density: RadialDensity
    exponent: float
    centre: float

    @property
    def junction(self) -> float:
        """x at bound/2."""
        return (
            math.log(0.5 * self.density.bound / self.centre)
            if math.isfinite(self.density.bound)
            else math.inf
        )

    def radius(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the float r nearest to x, bound - r as x means it: the float r may be further off)."""
        x, bound = np.asarray(x, dtype=np.float64), self.density.bound
        with np.errstate(over="ignore"):
            r = self.centre * np.exp(np.minimum(x, self.junction))
        if not math.isfinite(bound):
            return r, np.full_like(r, math.inf)
        rest = 0.5 * bound * np.exp(-np.maximum(x - self.junction, 0.0))
        outer = x > self.junction
        return np.where(outer, bound - rest, r), np.where(outer, rest, bound - r)

    def coordinate(self, r: np.ndarray) -> np.ndarray:
        """x of radii; infinite at 0 and at or beyond the bound."""
        r, bound = np.asarray(r, dtype=np.float64), self.density.bound
        with np.errstate(all="ignore"):
            near = np.abs(r / self.centre - 1.0) < 0.5
            inner = np.where(near, np.log1p((r - self.centre) / self.centre), np.log(r / self.centre))
            if not math.isfinite(bound):
                return inner
            outer = self.junction + np.log(0.5 * bound / np.maximum(bound - r, 0.0))
            return np.where(r > 0.5 * bound, outer, inner)

    def steepness(self, x: np.ndarray) -> np.ndarray:
        """r·psi'(r) at x, in floats."""
        return self._steepness(*self.radius(x), False)[0]

    def enclosed(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(r·psi'(r) at x, a bound on its error: rounding, enclosed by intervals, and the float r's distance from x)."""
        return self._steepness(*self.radius(x), True)

    def _steepness(self, r: np.ndarray, rest: np.ndarray, enclosed: bool) -> tuple[np.ndarray, np.ndarray]:
        outside = math.isfinite(self.density.bound)
        with np.errstate(all="ignore"):
            steep = values(self.density.steepness, r)
            if not outside and not enclosed:
                return steep, steep
            total = steep + values(self.density.bend, r)  # d steepness / d log r
            step = r * (1.0 + 2.0**-10)  # a difference where r² overflows
            total = np.where(
                np.isfinite(total), total, 2.0**10 * (values(self.density.steepness, step) - steep)
            )
            spread, error = 4e-16 * np.abs(total), np.zeros_like(steep)  # r itself is rounded
            if enclosed:
                box, _ = enclose(self.density.steepness, Interval(r, r))
                error = np.maximum(box.high - steep, steep - box.low)
            if outside:
                there = self.density.bound - r  # exact beyond bound/2
                outer, miss = r > 0.5 * self.density.bound, rest / there - 1.0
                power = -there / r * total / steep  # d log steepness / d log (bound - r)
                law = np.abs(power) <= 8.0
                follow = np.where(law, steep * (1.0 + miss) ** power, steep - total / r * (rest - there))
                if enclosed:
                    bow = self._bow(r, there, power)  # how far that power changes
                    second = np.where(law, np.abs(steep) * bow, np.abs(total) * there / r) * miss**2
                    spread = np.where(outer, second, spread)
                steep = np.where(outer, follow, steep)
            error = error + spread
        return steep, np.where(np.isnan(error), np.inf, error)

    def _bow(self, r: np.ndarray, rest: np.ndarray, power: np.ndarray) -> np.ndarray:
        """The size of d power / d log (bound - r), from a difference, doubled; at most 1 + power² where it is no number."""
        near = np.minimum(4.0 * rest, 0.5 * self.density.bound)
        there = self.density.bound - near
        steep = values(self.density.steepness, there)
        other = -near / there * (steep + values(self.density.bend, there)) / steep
        bow = 2.0 * np.abs(other - power) / np.log(near / rest) + 1e-9
        return np.where(np.isfinite(bow), np.minimum(bow, 1.0 + power**2), 1.0 + power**2)

    def log_score(self, x: np.ndarray) -> np.ndarray:
        """log |psi'| at x; -inf at its zeros."""
        with np.errstate(divide="ignore"):
            return np.log(np.abs(self.steepness(x))) - np.log(self.radius(x)[0])

    def sample(self, x: np.ndarray) -> Sample:
        """Slope of log(r**(exponent - 1)·exp(-psi)·dr/dx) and, as factor, the score in units of 1/centre."""
        steep, error = self.enclosed(x)
        r, rest = self.radius(x)
        with np.errstate(all="ignore"):
            slope, grain = self.exponent - steep, 1.2e-16 * (np.abs(steep) + 1.0)
            if math.isfinite(self.density.bound):
                outer, share = x > self.junction, rest / r
                slope = np.where(outer, share * ((self.exponent - 1.0) - steep) - 1.0, slope)
                grain = np.where(outer, share * (grain + 2e-16 * self.exponent) + 2e-16, grain)
                error = np.where(outer, share * error, error)
            factor = np.log(np.abs(steep)) - np.log(r / self.centre)
        return Sample(slope, error + grain, factor)


def values(function: Callable[[SimpleNamespace, Any], Any], r: np.ndarray) -> np.ndarray:
    """A density's function at float radii, as an array of their shape."""
    value = function(FLOATS, r)
    return np.broadcast_to(np.asarray(value, dtype=np.float64), r.shape)


def centre_of(density: RadialDensity, exponent: float) -> float:
    """A radius close to the highest weight r**exponent·exp(-psi): its share of rounding is the smallest there."""
    step = 0.125
    start = min(WIDEST, math.log(0.5 * density.bound)) if math.isfinite(density.bound) else WIDEST
    u = np.arange(start, -WIDEST, -step)[::-1]
    with np.errstate(all="ignore"):
        slope = exponent - values(density.steepness, np.exp(u))
        finite = np.isfinite(slope)
        require(bool(finite.any()), "the density is no finite number anywhere")
        breaks = np.flatnonzero(np.diff(np.concatenate([[0], finite.astype(int), [0]])))
        first, last = max(zip(breaks[::2], breaks[1::2], strict=True), key=lambda run: run[1] - run[0])
        u, slope = u[first:last], np.clip(slope[first:last], -1e12, 1e12)
        level = np.concatenate([[0.0], np.cumsum(0.5 * step * (slope[1:] + slope[:-1]))])
    top = int(np.argmax(level))
    if top == u.size - 1:
        return math.exp(float(u[-1]))
    low, high = float(u[max(top - 1, 0)]), float(u[top + 1])
    for _ in range(60):
        middle = 0.5 * (low + high)
        with np.errstate(all="ignore"):
            rising = float(values(density.steepness, np.exp(np.array([middle])))[0]) < exponent
        low, high = (middle, high) if rising else (low, middle)
    return math.exp(0.5 * (low + high))
