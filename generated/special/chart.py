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

from generated.special import balls, interval
from generated.special.arguments import require
from generated.special.balls import Ball
from generated.special.chebyshev import ELLIPSE, Around, Sample
from generated.special.errors import TRUSTED, UNIT
from generated.special.interval import FLOATS, Interval
from generated.special.monotone import RadialDensity, enclose

WIDEST = 700.0
"""|log r| of the radii that floats leave room for."""
NARROW = 2.0**-48
"""Panels of half this width, relative to 1 + |x|, are not halved any more."""
_SIDE = 1.25
"""Width of the cells that cover the upper half of an ellipse, in units of half the panel; the lower half is its mirror image."""
_CELL = _SIDE * math.sqrt(0.5)


def _cells() -> np.ndarray:
    """Centres of the cells that meet the upper half of the ellipse around [-1, 1]."""
    a, b = 0.5 * (ELLIPSE + 1.0 / ELLIPSE), 0.5 * (ELLIPSE - 1.0 / ELLIPSE)
    x = _SIDE * np.arange(-math.ceil(a / _SIDE), math.ceil(a / _SIDE) + 1)
    y = _SIDE * (np.arange(math.ceil(b / _SIDE)) + 0.5)
    x, y = np.meshgrid(x, y)
    near = np.maximum(np.abs(x) - 0.5 * _SIDE, 0.0) / a, np.maximum(y - 0.5 * _SIDE, 0.0) / b
    return (x + 1j * y)[near[0] ** 2 + near[1] ** 2 <= 1.0]


_CELLS = _cells()
_CENTRE = int(np.argmin(np.abs(_CELLS)))


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
            u = np.minimum(x, self.junction)
            near = self.centre + self.centre * np.expm1(
                np.clip(u, -0.25, 0.25)
            )  # all but exact close to the centre
            r = np.where(np.abs(u) <= 0.25, near, self.centre * np.exp(u))
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

    def _off(self, x: np.ndarray) -> np.ndarray:
        """Relative error of the exponential that a radius is, from that of the function and of x, which is off by 2 units at most."""
        size = np.abs(x)
        close = (size <= 0.25) & (x <= self.junction)
        return np.where(close, 3.0 + 16.0 * size, TRUSTED["exp"] + 4.0 + 3.0 * size) * UNIT

    def _exact(self, x: np.ndarray) -> Interval:
        """What holds the radius that x means."""
        x = np.asarray(x, dtype=np.float64)
        r, rest = self.radius(x)
        share = self._off(x)
        low, high = r * (1.0 - share), r * (1.0 + share)
        bound = self.density.bound
        if math.isfinite(bound):
            outer = x > self.junction
            low = np.where(outer, np.nextafter(bound - rest * (1.0 + share), 0.0), low)
            high = np.where(outer, np.nextafter(bound - rest * (1.0 - share), bound), high)
        return Interval(low, high)

    def steepness(self, x: np.ndarray) -> np.ndarray:
        """r·psi'(r) at x, in floats; beyond half of a finite bound corrected for the distance of the float r from x."""
        r, rest = self.radius(x)
        with np.errstate(all="ignore"):
            steep = values(self.density.steepness, r)
            if not math.isfinite(self.density.bound):
                return steep
            total = steep + values(self.density.bend, r)  # d steepness / d log r
            there = self.density.bound - r  # exact beyond bound/2
            miss = rest / there - 1.0
            power = -there / r * total / steep  # d log steepness / d log (bound - r)
            follow = np.where(
                np.abs(power) <= 8.0, steep * (1.0 + miss) ** power, steep - total / r * (rest - there)
            )
            return np.where((r > 0.5 * self.density.bound) & np.isfinite(follow), follow, steep)

    def enclosed(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(r·psi'(r) at x in floats, a bound on its error: the distance to the ends of an interval that holds it)."""
        steep = self.steepness(x)
        with np.errstate(all="ignore"):
            cells = self._exact(x)
            box, one = enclose(self.density.steepness, cells)
            error = np.nextafter(np.maximum(box.high - steep, steep - box.low), np.inf)
            # by the mean value theorem: d steepness/d log r = steepness + r²·psi'', by -(bound - r)/r for d log (bound - r)
            (r, rest), off = self.radius(x), self._off(x) * (1.0 + 2.0**-20)
            cells = Interval(np.minimum(cells.low, r), np.maximum(cells.high, r))
            box, one = enclose(self.density.steepness, cells)
            bend, other = enclose(self.density.bend, cells)
            rate, move = box + bend, Interval(-off, off)
            if math.isfinite(self.density.bound):
                there = self.density.bound - r  # exact beyond bound/2
                outer, step = x > self.junction, np.log1p(rest / there - 1.0)
                edge = self.density.bound - cells
                rate = interval.where(outer, -(edge / cells) * rate, rate)
                step = np.where(outer, step, 0.0)
                off = off + 2.0**-49 * np.abs(step) + 2.0**-51 * outer
                move = Interval(step - off, step + off)
            point, _ = enclose(self.density.steepness, Interval(r, r))
            close = point + rate * move
            better = np.nextafter(np.maximum(close.high - steep, steep - close.low), np.inf)
            error = np.where(one & other, np.fmin(error, better), error)
        return steep, np.where(np.isnan(error), np.inf, error)

    def around(self, left: np.ndarray, right: np.ndarray) -> Around:
        """What is known on the Bernstein ellipses of parameter ELLIPSE around panels, of the slope that `sample` gives and of |psi'|."""
        half, middle = 0.5 * (right - left), 0.5 * (left + right)
        outer = middle > self.junction
        # kinks are edges, rounded: another formula may hold on a sliver next to them
        size = np.maximum(np.abs(left), np.abs(right))
        inset = np.minimum(3.0 * self._off(size) + (4.0 + 8.0 * size) * UNIT, 0.5 * half)
        panel = Interval(self._exact(left + inset).low, self._exact(right - inset).high)
        whole = Interval(self._exact(left - inset).low, self._exact(right + inset).high)
        sliver = np.where(balls.one_formula(self.density.steepness, whole), 0.0, 2.0 * inset)
        with np.errstate(all="ignore"):
            wide = 1.0 + 2.0**-20
            z = Ball(
                middle[:, None] + half[:, None] * wide * _CELLS,
                half[:, None] * wide * _CELL + (np.abs(middle) * 2.0**-50)[:, None],
            )
            r, share = balls.exp(z) * self.centre, None
            if math.isfinite(self.density.bound):
                rest = balls.exp(self.junction - z) * (0.5 * self.density.bound)
                away = self.density.bound - rest
                side = outer[:, None]
                r = Ball(np.where(side, away.mid, r.mid), np.where(side, away.rad, r.rad))
                share = rest / r
            steep = balls.on_balls(self.density.steepness, panel, r)
            slope = self.exponent - steep
            if share is not None:
                far = share * ((self.exponent - 1.0) - steep) - 1.0
                slope = Ball(np.where(side, far.mid, slope.mid), np.where(side, far.rad, slope.rad))
            constant = slope.mid[:, _CENTRE].real
            moves = (np.abs(slope.mid - constant[:, None]) + slope.rad).max(axis=1)
            score = (steep / r).most.max(axis=1)
            most = moves + np.abs(constant)
            # a panel that is hardly wider, across a place where the formula changes, is a sliver altogether
            open_ = ~(np.isfinite(most) & np.isfinite(score)) & (half <= NARROW * (1.0 + np.abs(middle)))
            if sliver.any() or open_.any():
                ends, _ = enclose(self.density.steepness, whole)
                steepest, highest = self.exponent + 1.0 + abs(ends).high, (abs(ends) / whole).high
                most = np.where(open_, steepest, np.where(sliver > 0.0, most + steepest, most))
                score = np.where(open_, highest, np.where(sliver > 0.0, score + highest, score))
                moves, sliver = np.where(open_, steepest, moves), np.where(open_, 4.0 * half, sliver)
        bounds = (moves, most, score * self.centre, sliver)
        return Around(*(np.where(np.isnan(bound), np.inf, bound) for bound in bounds))

    def log_score(self, x: np.ndarray) -> np.ndarray:
        """log |psi'| at x; -inf at its zeros."""
        with np.errstate(divide="ignore"):
            return np.log(np.abs(self.steepness(x))) - np.log(self.radius(x)[0])

    def sample(self, x: np.ndarray) -> Sample:
        """Slope of log(r**(exponent - 1)·exp(-psi)·dr/dx) and, as factor, the score in units of 1/centre."""
        steep, error = self.enclosed(x)
        r, rest = self.radius(x)
        with np.errstate(all="ignore"):
            size = np.abs(steep) + self.exponent
            slope, error = self.exponent - steep, error + 2.0**-52 * size
            if math.isfinite(self.density.bound):
                outer, share = x > self.junction, rest / r
                slope = np.where(outer, share * ((self.exponent - 1.0) - steep) - 1.0, slope)
                far = share * (error + (2.0 * self._off(x) + 2.0**-50) * (size + 1.0)) + 2.0**-52
                error = np.where(outer, far, error)
            factor = np.log(np.abs(steep)) - np.log(r / self.centre)
        return Sample(slope, error, factor)


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
