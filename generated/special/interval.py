"""Interval arithmetic on arrays, rounded outwards: what it says about a function holds for every real number of its cells.

Sums, products and quotients are widened by one unit in the last place, library functions by the error bound stated at
each. A cell on which an operation is not defined anywhere becomes NaN, which decides nothing: every comparison with it is
open. Where an operation is defined on a part of a cell, the enclosure is that of the part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special as sc

LIBRARY_ERROR = 2.0**-50
"""Relative error granted to NumPy's elementary functions: 4 units in the last place at most, doubled."""
SPECIAL_ERROR = 2.0**-44
"""Relative error granted to erf, erfc and gamma of SciPy (documented: below 5e-15 for erfc; here 5.7e-14)."""
TINY = 2.0**-1074

Cells = np.ndarray


def _down(x: Cells) -> Cells:
    return np.nextafter(x, -np.inf)


def _up(x: Cells) -> Cells:
    return np.nextafter(x, np.inf)


def _wide(low: Cells, high: Cells, error: float) -> Interval:
    """[low, high] widened by a relative error and the smallest float; an infinite lower end becomes a float."""
    low = np.where(np.isposinf(low), np.finfo(float).max, low)
    high = np.where(np.isneginf(high), np.finfo(float).min, high)
    bad = np.isnan(low) | np.isnan(high)
    low, high = _down(low - error * np.abs(low)), _up(high + error * np.abs(high))
    return Interval(np.where(bad, np.nan, low), np.where(bad, np.nan, high))


def _product(a: Cells, b: Cells) -> Cells:
    return np.where((a == 0.0) | (b == 0.0), 0.0 * np.sign(a + b), a * b)  # 0 · inf is 0; NaN stays


@dataclass(frozen=True)
class Truth:
    """A comparison of cells: `surely` true for all of a cell, `possibly` true for some of it."""

    surely: Cells
    possibly: Cells

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.surely & other.surely, self.possibly & other.possibly)

    def __or__(self, other: Truth) -> Truth:
        return Truth(self.surely | other.surely, self.possibly | other.possibly)

    def __invert__(self) -> Truth:
        return Truth(~self.possibly, ~self.surely)


@dataclass(frozen=True, eq=False)
class Interval:
    """Arrays of cells [low, high]; every operation encloses the exact results for all real numbers of the operands."""

    low: Cells
    high: Cells

    __array_ufunc__ = None  # NumPy arrays and scalars on the left leave the operation to this class
    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def of(x: Any) -> Interval:
        """`x` itself, or the point it is."""
        if isinstance(x, Interval):
            return x
        point = np.asarray(x, dtype=np.float64)
        return Interval(point, point)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __pos__(self) -> Interval:
        return self

    def __abs__(self) -> Interval:
        low = np.maximum(np.maximum(self.low, -self.high), 0.0)
        return Interval(low, np.maximum(np.abs(self.low), np.abs(self.high)))

    def __add__(self, other: Any) -> Interval:
        b = Interval.of(other)
        with np.errstate(all="ignore"):
            low, high = self.low + b.low, self.high + b.high
        # a sum that rounds to 0 is 0 exactly
        return Interval(np.where(low == 0.0, low, _down(low)), np.where(high == 0.0, high, _up(high)))

    def __sub__(self, other: Any) -> Interval:
        return self + (-Interval.of(other))

    def __rsub__(self, other: Any) -> Interval:
        return Interval.of(other) + (-self)

    def __mul__(self, other: Any) -> Interval:
        b = Interval.of(other)
        with np.errstate(all="ignore"):
            corners = [_product(x, y) for x in (self.low, self.high) for y in (b.low, b.high)]
        low, high = (
            f(f(corners[0], corners[1]), f(corners[2], corners[3])) for f in (np.minimum, np.maximum)
        )
        same_sign = ((self.low >= 0.0) & (b.low >= 0.0)) | ((self.high <= 0.0) & (b.high <= 0.0))
        opposite = ((self.low >= 0.0) & (b.high <= 0.0)) | ((self.high <= 0.0) & (b.low >= 0.0))
        low = np.where(same_sign & (low == 0.0), 0.0, _down(low))  # rounding never crosses 0
        high = np.where(opposite & (high == 0.0), 0.0, _up(high))
        zero = ((self.low == 0.0) & (self.high == 0.0)) | ((b.low == 0.0) & (b.high == 0.0))
        return Interval(
            np.where(zero & ~np.isnan(low), 0.0, low), np.where(zero & ~np.isnan(high), 0.0, high)
        )

    __radd__ = __add__
    __rmul__ = __mul__

    def reciprocal(self) -> Interval:
        with np.errstate(all="ignore"):
            above = Interval(np.maximum(_down(1.0 / self.high), 0.0), _up(1.0 / np.abs(self.low)))
            below = Interval(_down(-1.0 / np.abs(self.high)), np.minimum(_up(1.0 / self.low), 0.0))
        crossing = (self.low < 0.0) & (self.high > 0.0)
        zero = (self.low == 0.0) & (self.high == 0.0)
        low = np.where(crossing, -np.inf, np.where(self.low >= 0.0, above.low, below.low))
        high = np.where(crossing, np.inf, np.where(self.low >= 0.0, above.high, below.high))
        bad = zero | np.isnan(self.low) | np.isnan(self.high)
        return Interval(np.where(bad, np.nan, low), np.where(bad, np.nan, high))

    def __truediv__(self, other: Any) -> Interval:
        b = Interval.of(other)
        with np.errstate(all="ignore"):  # one rounding instead of two where no end of the divisor is 0
            corners = [x / y for x in (self.low, self.high) for y in (b.low, b.high)]
        low, high = (
            f(f(corners[0], corners[1]), f(corners[2], corners[3])) for f in (np.minimum, np.maximum)
        )
        finite = ((b.low > 0.0) | (b.high < 0.0)) & np.isfinite(b.low) & np.isfinite(b.high)
        finite &= np.isfinite(self.low) & np.isfinite(self.high)
        quotient = self * b.reciprocal()
        same = ((self.low >= 0.0) & (b.low > 0.0)) | ((self.high <= 0.0) & (b.high < 0.0))
        low = np.where(finite, np.maximum(_down(low), np.where(same, 0.0, -np.inf)), quotient.low)
        high = np.where(finite, _up(high), quotient.high)
        zero = finite & (self.low == 0.0) & (self.high == 0.0)
        return Interval(np.where(zero, 0.0, low), np.where(zero, 0.0, high))

    def __rtruediv__(self, other: Any) -> Interval:
        return Interval.of(other) / self

    def __pow__(self, other: Any) -> Interval:
        if isinstance(other, Interval):
            return exp(log(self) * other)
        power = float(other)
        if power == 0.0:
            return Interval(np.ones_like(self.low), np.ones_like(self.high))
        if power < 0.0:
            return Interval.of(1.0) / self ** (-power)
        if power != math.floor(power) or power > 2.0**53:
            base = Interval(np.maximum(self.low, 0.0), np.where(self.high < 0.0, np.nan, self.high))
            return _monotone(lambda x: np.power(x, power), base, least=0.0)
        if power == 1.0:
            return self
        if math.fmod(power, 2.0) == 0.0:
            return _monotone(lambda x: np.power(x, power), abs(self), least=0.0)
        odd = _monotone(lambda x: np.power(x, power), self)
        return Interval(np.where(self.low >= 0.0, np.maximum(odd.low, 0.0), odd.low), odd.high)

    def __rpow__(self, other: Any) -> Interval:
        return Interval.of(other) ** self

    def __lt__(self, other: Any) -> Truth:
        b = Interval.of(other)
        return Truth(self.high < b.low, ~(self.low >= b.high))

    def __le__(self, other: Any) -> Truth:
        b = Interval.of(other)
        return Truth(self.high <= b.low, ~(self.low > b.high))

    def __gt__(self, other: Any) -> Truth:
        return Interval.of(other) < self

    def __ge__(self, other: Any) -> Truth:
        return Interval.of(other) <= self


def _monotone(
    function: Callable[[Cells], Cells],
    x: Interval,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    error: float = LIBRARY_ERROR,
) -> Interval:
    """The enclosure of an increasing function with values in [least, most]."""
    with np.errstate(all="ignore"):
        y = _wide(function(x.low), function(x.high), error)
    return Interval(np.maximum(y.low, least), np.minimum(y.high, most))


def _within(x: Interval, least: float) -> Interval:
    """The part of the cells at or above `least`; NaN where there is none."""
    return Interval(np.maximum(x.low, least), np.where(x.high < least, np.nan, x.high))


def _valley(
    function: Callable[[Cells], Cells], x: Interval, bottom: float, least: float, error: float
) -> Interval:
    """The enclosure of a function that falls up to `bottom` and rises from there, with values of at least `least`."""
    with np.errstate(all="ignore"):
        a, b = function(x.low), function(x.high)
    inside = (x.low <= bottom) & (x.high >= bottom)
    y = _wide(np.where(inside, least, np.minimum(a, b)), np.maximum(a, b), error)
    return Interval(np.maximum(y.low, least), y.high)


def _wave(function: Callable[[Cells], Cells], x: Interval, crest: float) -> Interval:
    """The enclosure of a function of period 2π with its maximum 1 at `crest` and its minimum -1 half a period on."""
    with np.errstate(all="ignore"):
        a, b = function(x.low), function(x.high)
        y = _wide(np.minimum(a, b), np.maximum(a, b), LIBRARY_ERROR)

        def reaches(at: float) -> Cells:
            margin = 1e-15 * (1.0 + np.abs(x.low) + np.abs(x.high))
            turns = np.ceil((x.low - at - margin) / (2.0 * math.pi))
            return turns * (2.0 * math.pi) + at <= x.high + margin

        far = (np.abs(x.low) > 1e8) | (np.abs(x.high) > 1e8)
        low = np.where(reaches(crest + math.pi) | far, -1.0, y.low)
        high = np.where(reaches(crest) | far, 1.0, y.high)
    bad = np.isnan(x.low) | np.isnan(x.high)
    return Interval(
        np.where(bad, np.nan, np.maximum(low, -1.0)), np.where(bad, np.nan, np.minimum(high, 1.0))
    )


def exp(x: Any) -> Interval:
    return _monotone(np.exp, Interval.of(x), least=0.0)


def log(x: Any) -> Interval:
    return _monotone(np.log, _within(Interval.of(x), 0.0))


def sqrt(x: Any) -> Interval:
    return _monotone(np.sqrt, _within(Interval.of(x), 0.0), least=0.0)


def tan(x: Any) -> Interval:
    """The tangent, by branches; the whole line where a pole may lie in the cell."""
    x = Interval.of(x)
    with np.errstate(all="ignore"):
        margin = 3e-16 * (1.0 + np.abs(x.low) + np.abs(x.high))
        branch = np.floor((x.low - margin) / math.pi + 0.5)
        one = (branch == np.floor((x.high + margin) / math.pi + 0.5)) & (np.abs(x.high) < 1e8)
        y = _wide(np.tan(x.low), np.tan(x.high), LIBRARY_ERROR)
    bad = np.isnan(x.low) | np.isnan(x.high)
    return Interval(
        np.where(bad, np.nan, np.where(one, y.low, -np.inf)),
        np.where(bad, np.nan, np.where(one, y.high, np.inf)),
    )


def gamma(x: Any) -> Interval:
    """The gamma function on the positive half line; NaN for cells that leave it."""
    x = Interval.of(x)
    x = Interval(np.where(x.low > 0.0, x.low, np.nan), x.high)
    return _valley(sc.gamma, x, 1.4616321449683623, 0.8856031944108886, SPECIAL_ERROR)


def minimum(x: Any, y: Any) -> Interval:
    a, b = Interval.of(x), Interval.of(y)
    return Interval(np.minimum(a.low, b.low), np.minimum(a.high, b.high))


def maximum(x: Any, y: Any) -> Interval:
    a, b = Interval.of(x), Interval.of(y)
    return Interval(np.maximum(a.low, b.low), np.maximum(a.high, b.high))


def where(condition: Any, x: Any, y: Any) -> Interval:
    """`x` where the condition surely holds, `y` where it surely fails, else the hull of both."""
    a, b = Interval.of(x), Interval.of(y)
    if not isinstance(condition, Truth):
        condition = Truth(np.asarray(condition, dtype=bool), np.asarray(condition, dtype=bool))
    yes, no = condition.surely, ~condition.possibly
    return Interval(
        np.where(yes, a.low, np.where(no, b.low, np.minimum(a.low, b.low))),
        np.where(yes, a.high, np.where(no, b.high, np.maximum(a.high, b.high))),
    )


INTERVALS = SimpleNamespace(
    exp=exp,
    log=log,
    sqrt=sqrt,
    expm1=lambda x: _monotone(np.expm1, Interval.of(x), least=-1.0),
    log1p=lambda x: _monotone(np.log1p, _within(Interval.of(x), -1.0)),
    tanh=lambda x: _monotone(np.tanh, Interval.of(x), least=-1.0, most=1.0),
    sinh=lambda x: _monotone(np.sinh, Interval.of(x)),
    cosh=lambda x: _valley(np.cosh, Interval.of(x), 0.0, 1.0, LIBRARY_ERROR),
    atan=lambda x: _monotone(np.arctan, Interval.of(x), least=-1.5707963267948968, most=1.5707963267948968),
    erf=lambda x: _monotone(sc.erf, Interval.of(x), least=-1.0, most=1.0, error=SPECIAL_ERROR),
    erfc=lambda x: (
        -_monotone(lambda y: -sc.erfc(y), Interval.of(x), least=-2.0, most=0.0, error=SPECIAL_ERROR)
    ),
    sin=lambda x: _wave(np.sin, Interval.of(x), 0.5 * math.pi),
    cos=lambda x: _wave(np.cos, Interval.of(x), 0.0),
    tan=tan,
    gamma=gamma,
    minimum=minimum,
    maximum=maximum,
    abs=lambda x: abs(Interval.of(x)),
    where=where,
)
"""The functions of a density, for Interval arguments."""

FLOATS = SimpleNamespace(
    exp=np.exp, log=np.log, sqrt=np.sqrt, expm1=np.expm1, log1p=np.log1p, tanh=np.tanh, sinh=np.sinh, cosh=np.cosh,
    atan=np.arctan, erf=sc.erf, erfc=sc.erfc, sin=np.sin, cos=np.cos, tan=np.tan, gamma=sc.gamma, minimum=np.minimum,
    maximum=np.maximum, abs=np.abs, where=np.where,
)  # fmt: skip
"""The same names for float64 arrays."""
