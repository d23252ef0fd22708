"""An upper bound of every radius of product noise, proved: sets that a shift of several coordinates alike makes likely.

Let v have k coordinates s and zeros elsewhere. Any set V with q(V) ≤ p and q(V - v) > 1/2 proves R(1-p) ≤ ‖v‖, in any norm. Here V is
{T(x_1) + … + T(x_k) ≥ t}, T the log-likelihood ratio of one coordinate rounded to a lattice: nearly the Neyman–Pearson set, so the bound is
nearly the best along v. T takes finitely many values, each on a union of intervals, whose masses are enclosed; convolutions of nonnegative
numbers lose at most a known relative amount in floats. T may be any function, so the rounding needs no bound: it costs sharpness alone.
Source: Neyman and Pearson 1933.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from flint import arb, ctx
from scipy import signal, special

from derive.enclosure.line import PRECISION, Array, LineLaw

LEVELS = ((1, 0), (8, 1024), (64, 512), (10**9, 256))
"""Values of the statistic, for up to so many coordinates; 0: just those that one threshold needs."""
LONGEST = 4096
"""Values of a sum that are kept apart; more are merged in pairs."""
FORGOTTEN = (1e-22, 1e-13)
"""Mass at the ends of a sum's law that is moved to its last values: a millionth of p between these."""
BY_FOURIER = 1e-7
"""Smallest p for which searches convolve by Fourier transforms."""
NOISE = 1e-16
HALVINGS = 42
FARTHEST = 600.0
"""Largest |log s| looked at, and logarithm of a likelihood ratio that is all but infinite."""
SLIP = 1e-10
"""Two levels at this relative distance count as one."""
UNIT = 2.0**-53
WIDTHS = (1e-9, 1e-7, 2e-6, 2e-5, 1e-3)
"""By how much more than the bound found in floats is tried to be proved."""
Convolution = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Statistic:
    """T: `values[i]` between points i-1 and i; `infinite[i]`: no mass before the shift, or next to none, is there."""

    points: Array
    values: np.ndarray
    infinite: np.ndarray


@dataclass(frozen=True)
class Sums:
    """The laws of a sum of T before and after the shift, its values being lattice points 2**step apart, up to the relative error."""

    before: Array
    after: Array
    step: int = 0
    error: float = 0.0
    forgotten: float = FORGOTTEN[0]

    def merged(self) -> Sums:
        """Two values for one."""
        odd = self.before.size % 2
        before, after = (np.pad(x, (0, odd)).reshape(-1, 2).sum(axis=1) for x in (self.before, self.after))
        return Sums(before, after, self.step + 1, self.error + UNIT, self.forgotten)

    def trimmed(self) -> Sums:
        """Far values moved inwards."""
        found = self
        mass = found.before + found.after
        low = int(np.searchsorted(np.cumsum(mass), self.forgotten))
        high = mass.size - int(np.searchsorted(np.cumsum(mass[::-1]), self.forgotten))
        if low > 0 or high < mass.size:
            parts = []
            for x in (found.before, found.after):
                kept = x[low:high].copy()
                kept[0] += x[:low].sum()
                kept[-1] += x[high:].sum()
                parts.append(kept)
            found = replace(
                found,
                before=parts[0],
                after=parts[1],
                error=found.error + 2 * UNIT * max(low, mass.size - high),
            )
        while found.before.size > LONGEST:
            found = found.merged()
        return found

    def plus(self, other: Sums, convolve: Convolution) -> Sums:
        """The law of the sum of two independent ones."""
        first, second = self, other
        while first.step < second.step:
            first = first.merged()
        while second.step < first.step:
            second = second.merged()
        error = first.error + second.error + UNIT * (2 + min(first.before.size, second.before.size))
        before, after = convolve(first.before, second.before), convolve(first.after, second.after)
        return replace(first, before=before, after=after, error=1.01 * error).trimmed()

    def times(self, count: int, convolve: Convolution) -> Sums:
        """The law of the sum of this many independent copies."""
        power, result = self, None
        while True:
            if count & 1:
                result = power if result is None else result.plus(power, convolve)
            count >>= 1
            if not count:
                return result  # type: ignore[return-value]
            power = power.plus(power, convolve)


def _by_fourier(x: Array, y: Array) -> Array:
    """For searches: what may be rounding is left out."""
    found = signal.fftconvolve(x, y)
    return np.where(found > NOISE, found, 0.0)


class CoordinateShift:
    """Shifts of `count` coordinates of one product density by the same length.

    Args:
        law: of one coordinate.
        count: at least 1.
    """

    def __init__(self, law: LineLaw, count: int) -> None:
        self.law, self.count = law, count
        self.levels = next(levels for most, levels in LEVELS if count <= most)

    def statistic(self, s: float, p: float) -> Statistic:
        """The rounded log-likelihood ratio for the shift s."""
        grid = self._grid(s)
        loss = self.law.losses(grid, s)
        thresholds = self._thresholds(grid, loss, s, p)
        if np.isposinf(loss).any():  # what costs nothing stays apart
            thresholds = np.append(thresholds, max(float(thresholds[-1]), 0.0) + FARTHEST)
        points, value = self._cells(grid, loss, s, thresholds)
        infinite = np.isposinf(self.law.losses(_inside(points, s), s))
        return Statistic(points, value, infinite)

    def _cells(self, grid: Array, loss: Array, s: float, thresholds: Array) -> tuple[Array, np.ndarray]:
        """Where the likelihood ratio, known at the grid, passes thresholds, and how many lie below it between those points."""
        level = np.searchsorted(thresholds, loss, side="right")
        rise = np.abs(np.diff(level))
        left, right = np.repeat(grid[:-1], rise), np.repeat(grid[1:], rise)
        lowest = np.repeat(np.minimum(level[:-1], level[1:]), rise)
        within = np.arange(rise.sum()) - np.repeat(np.cumsum(rise) - rise, rise)
        wanted = thresholds[lowest + within]
        upward = np.repeat(level[1:] > level[:-1], rise)
        for _ in range(HALVINGS):
            middle = 0.5 * (left + right)
            go = (self.law.losses(middle, s) >= wanted) == upward
            left, right = np.where(go, left, middle), np.where(go, middle, right)
        points = np.unique(right)
        return points, np.searchsorted(thresholds, self.law.losses(_inside(points, s), s), side="right")

    def _grid(self, s: float) -> Array:
        start, half = self.law._float_starts, self.law._float_halves
        parts = max(8, 1000 // start.size)
        u = (start[:, None] + 2 * half[:, None] * np.arange(parts) / parts).reshape(-1)
        size = np.exp(np.append(u, start[-1] + 2 * half[-1]))
        if self.law.density.bound is not None:
            size = np.append(size, [np.exp(self.law.floats.ceiling), np.exp(self.law.floats.ceiling) * 1.5])
        one = np.concatenate([-size, [0.0], size])
        return np.unique(np.concatenate([one, one + s, [0.5 * s]]))

    def _thresholds(self, grid: Array, loss: Array, s: float, p: float) -> Array:
        """Levels at which T rises by one."""
        middle = self.law.losses(0.5 * (grid[1:] + grid[:-1]), s)
        before = np.diff(self.law.below_floats(grid))
        after = np.diff(self.law.below_floats(grid - s))
        finite = np.isfinite(middle)
        if not finite.any():
            return np.array([0.0])
        order = np.argsort(middle[finite])
        value, before, after = middle[finite][order], before[finite][order], after[finite][order]
        if self.count == 1:
            return self._narrow(grid, loss, s, p)
        least = max(1e-3 * p / self.count, 1e-15)
        low = min(value[np.searchsorted(np.cumsum(x), least * x.sum())] for x in (before, after))
        high = max(
            value[value.size - 1 - np.searchsorted(np.cumsum(x[::-1]), least * x.sum())]
            for x in (before, after)
        )
        if not high > low:
            return np.array([low - 1.0])
        return np.asarray(low + (high - low) * (np.arange(1, self.levels) - 0.5) / (self.levels - 1))

    def _narrow(self, grid: Array, loss: Array, s: float, p: float) -> Array:
        """Two levels, nearly the same, between whose sets of one coordinate one of mass p lies."""

        def mass(level: float) -> float:
            points, value = self._cells(grid, loss, s, np.array([level]))
            below = np.concatenate([[-0.5], self.law.below_floats(points), [0.5]])
            return float(np.diff(below)[value > 0].sum())

        middle = self.law.losses(0.5 * (grid[1:] + grid[:-1]), s)
        finite = np.isfinite(middle)
        if not finite.any():
            return np.array([0.0])
        order = np.argsort(middle[finite])
        ordered, masses = middle[finite][order], np.diff(self.law.below_floats(grid))[finite][order]
        at = int(np.searchsorted(-np.cumsum(masses[::-1])[::-1], -p))
        low, high, reach = at, at, 1  # mass(low) > p ≥ mass(high), or so it is at the ends
        while low > 0 and mass(ordered[low := max(at - reach, 0)]) <= p:
            reach *= 2
        reach, high = 1, min(at, ordered.size - 1)
        while high < ordered.size - 1 and mass(ordered[high := min(at + reach, ordered.size - 1)]) > p:
            reach *= 2
        low = min(low, ordered.size - 1)
        below, above = float(ordered[low]), float(ordered[high])
        below, above = below - SLIP * (1.0 + abs(below)), above + SLIP * (1.0 + abs(above))
        more, less = mass(below) - p, mass(above) - p
        for _ in range(20):
            if above - below <= SLIP * (1.0 + abs(above)) or not more > 0.0 > less:
                break
            share = min(max(more / (more - less), 0.01), 0.99)
            level = below + share * (above - below)
            found = mass(level) - p
            if found > 0.0:
                below, more, less = level, found, 0.5 * less
            else:
                above, less, more = level, found, 0.5 * more
            if abs(found) < 1e-13 * p:
                break
        return np.array([below - SLIP * (1.0 + abs(below)), above + SLIP * (1.0 + abs(above))])

    def growth(self, s: float, p: float) -> float:
        """The shifted mass of the set of mass p in floats; nothing is proved."""
        found = self.statistic(s, p)
        laws = []
        for shift in (0.0, s):
            below = np.concatenate([[-0.5], self.law.below_floats(found.points - shift), [0.5]])
            laws.append(np.maximum(np.diff(below), 0.0))
        sums, lost = self._sums(found, laws[0], laws[1], p)
        convolve = _by_fourier if p > BY_FOURIER else np.convolve
        if lost >= 1.0:
            return 1.0
        sums = sums.trimmed().times(self.count, convolve)
        at, weight = _threshold(sums.before, p)
        inside = float(sums.after[at + 1 :].sum() + weight * sums.after[at])
        return -math.expm1(self.count * math.log1p(-lost)) + inside

    @staticmethod
    def _sums(found: Statistic, before: Array, after: Array, p: float) -> tuple[Sums, float]:
        """The laws of T where it is finite, and the shifted mass where it is not."""
        finite = ~found.infinite
        size = int(found.values[finite].max(initial=0)) + 1
        laws = [np.bincount(found.values[finite], x[finite], size) for x in (before, after)]
        forgotten = min(max(1e-6 * p, FORGOTTEN[0]), FORGOTTEN[1])
        return Sums(laws[0], laws[1], 0, 2 * UNIT * before.size, forgotten), float(
            after[found.infinite].sum()
        )

    def rough_growth(self, s: float, p: float) -> float:
        """The same for one coordinate from the masses of a grid's cells."""
        grid = self._grid(s)
        loss = self.law.losses(0.5 * (grid[1:] + grid[:-1]), s)
        order = np.argsort(-loss)
        before, after = (np.diff(self.law.below_floats(grid - x))[order] for x in (0.0, s))
        masses = np.concatenate([[0.0], np.cumsum(np.maximum(before, 0.0))])
        return float(np.interp(p, masses, np.concatenate([[0.0], np.cumsum(np.maximum(after, 0.0))])))

    def radius(self, p: float, start: float) -> float:
        """The shift s at which the growth reaches 1/2, in floats; `start` is a guess. ArithmeticError when it is not found."""
        if self.count > 1:
            return _half(lambda s: self.growth(s, p), start, 0.1)
        return _half(lambda s: self.growth(s, p), _half(lambda s: self.rough_growth(s, p), start, 0.1), 1e-6)

    def proves(self, s: float, p: arb) -> bool:
        """Whether q(V) ≤ p and q(V - v) > 1/2 for the shift s, proved; False means no proof, not the contrary."""
        found = self.statistic(s, float(p.mid()))
        previous, ctx.prec = ctx.prec, PRECISION
        try:
            before = [x.upper() for x in self._masses(found, arb(0))]
            after = [x.lower() for x in self._masses(found, arb(s))]
            spent = self.count * sum((x for x, i in zip(before, found.infinite, strict=True) if i), arb(0))
            gained = (
                1
                - (1 - sum((x for x, i in zip(after, found.infinite, strict=True) if i), arb(0)))
                ** self.count
            )
            sums, _ = self._sums(found, _floats(before, 1), _floats(after, -1), float(p.mid()))
            sums = sums.trimmed().times(self.count, np.convolve)
            error = arb(2 * sums.error + 1e-12 * UNIT)
            left = p - spent - arb(1e-290)
            at, weight = _threshold(
                sums.before, float((left / (1 + error)).lower()) * (1 - 4e-16) if bool(left > 0) else 0.0
            )
            weight *= 1 - 1e-12
            own = arb(math.fsum(sums.before[at + 1 :])) * (1 + arb(4 * UNIT)) + arb(weight) * arb(
                float(sums.before[at])
            )
            moved = arb(math.fsum(sums.after[at + 1 :])) * (1 - arb(4 * UNIT)) + arb(weight) * arb(
                float(sums.after[at])
            )
            return bool(own * (1 + error) <= left) and bool(gained + moved * (1 - error) - arb(1e-290) > 0.5)
        finally:
            ctx.prec = previous

    def _masses(self, found: Statistic, shift: arb) -> list[arb]:
        """Of every cell."""
        below = [arb(-0.5)]
        for point in found.points.tolist():
            x = arb(point) - shift
            below.append(self.law.below(x) if bool(x > 0) else -self.law.below(-x) if bool(x < 0) else arb(0))
        below.append(arb(0.5))
        return [(b - a).max(arb(0)) for a, b in zip(below[:-1], below[1:], strict=True)]


def _inside(points: Array, s: float) -> Array:
    """A point of every cell."""
    if not points.size:
        return np.array([0.5 * s])
    return np.concatenate([points[:1] - 1.0, 0.5 * (points[1:] + points[:-1]), points[-1:] + 1.0])


def _half(growth: Callable[[float], float], start: float, step: float) -> float:
    """Where a rising function reaches 1/2, nearly and not before; `step` is the first one in log s."""

    def excess(log_s: float) -> float:
        return float(special.ndtri(min(max(growth(math.exp(log_s)), 1e-300), 1 - 1e-16)))

    low = high = math.log(start)
    below = above = excess(low)
    for side in (1, -1):
        stride = step
        while above < 0.0 if side > 0 else below >= 0.0:
            if abs(low) > FARTHEST or abs(high) > FARTHEST:
                raise ArithmeticError("no shift was found at which the growth passes 1/2")
            if side > 0:
                low, below, high = high, above, high + stride
                above = excess(high)
            else:
                high, above, low = low, below, low - stride
                below = excess(low)
            stride = min(3 * stride, 2.0)
    for _ in range(40):  # the end that stays loses half its weight
        share = min(max(below / (below - above), 1e-3), 1 - 1e-3)
        middle = low + (high - low) * share
        value = excess(middle)
        if value >= 0.0:
            high, above, below = middle, value, 0.5 * below
        else:
            low, below, above = middle, value, 0.5 * above
        if high - low <= 1e-11 or 0.0 <= value < 1e-11:
            break
    return math.exp(high)


def _floats(values: list[arb], side: int) -> Array:
    """Floats at or beyond the numbers, upwards for side 1, never below 0."""
    nearest = np.array([float(x) for x in values])
    return np.maximum(np.nextafter(np.nextafter(nearest, side * np.inf), side * np.inf), 0.0)


def _threshold(mass: Array, p: float) -> tuple[int, float]:
    """(i, w): the values above i and w of those at i have mass p."""
    above = np.cumsum(mass[::-1])[::-1]
    at = int(np.searchsorted(-above, -p, side="right")) - 1
    at = min(max(at, 0), mass.size - 1)
    rest = p - (float(above[at + 1]) if at + 1 < mass.size else 0.0)
    return at, min(max(rest / float(mass[at]), 0.0), 1.0) if mass[at] > 0 else 0.0


def proved_shift(law: LineLaw, count: int, p: arb, found: float) -> float:
    """A shift s, nearly the smallest, of `count` coordinates alike such that R(1-p) is proved to be at most the norm of that shift.

    Args:
        law: of one coordinate of product noise at scale 1.
        count: how many coordinates are shifted, at least 1.
        p: 1 - rho, 0 < p < 1/2.
        found: s in floats, from `CoordinateShift.radius`.

    Raises:
        ArithmeticError: it could not be proved.
    """
    shift = CoordinateShift(law, count)
    for width in WIDTHS:
        if shift.proves(found * (1 + width), p):
            return found * (1 + width)
    raise ArithmeticError(
        f"the Neyman-Pearson radius along {count} coordinates was found but could not be proved"
    )
