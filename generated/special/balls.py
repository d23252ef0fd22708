"""Complex balls: a centre and a radius that hold every value of an analytic function on a set of complex numbers.

Used to bound a density's functions around a panel of radii, where only the size of the bound matters: every operation adds
EPS of the centre to the radius, far more than its rounding. A ball on which an operation is not analytic gets an infinite
radius. Comparisons say nothing about complex numbers; which branch of `where` applies is decided on the real panel before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special as sc

from generated.special.interval import INTERVALS, Interval, Truth
from generated.special.interval import where as _where

EPS = 2.0**-48
"""Granted to one complex operation or library function, relative to 1 + |value| for logarithms, else to |value|."""


@dataclass(frozen=True, eq=False)
class Ball:
    """{z: |z - mid| ≤ rad}, arrays of one shape; rad is infinite where nothing is known."""

    mid: np.ndarray
    rad: np.ndarray

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def of(x: Any) -> Ball:
        return x if isinstance(x, Ball) else Ball(np.asarray(x, dtype=np.complex128), np.zeros(np.shape(x)))

    @property
    def most(self) -> np.ndarray:
        """The largest |z|."""
        return np.abs(self.mid) + self.rad

    @property
    def least(self) -> np.ndarray:
        """The smallest |z|, or less."""
        return np.maximum(np.abs(self.mid) - self.rad, 0.0)

    def __neg__(self) -> Ball:
        return Ball(-self.mid, self.rad)

    def __pos__(self) -> Ball:
        return self

    def __add__(self, other: Any) -> Ball:
        b = Ball.of(other)
        # each part is rounded once
        return _ball(self.mid + b.mid, self.rad + b.rad, 2.0**-52)

    def __sub__(self, other: Any) -> Ball:
        return self + (-Ball.of(other))

    def __rsub__(self, other: Any) -> Ball:
        return Ball.of(other) + (-self)

    def __mul__(self, other: Any) -> Ball:
        b = Ball.of(other)
        return _ball(self.mid * b.mid, np.abs(self.mid) * b.rad + b.most * self.rad)

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Ball:
        b = Ball.of(other)
        gap = np.abs(b.mid) - b.rad
        gap = np.where(gap > 0.0, gap, np.nan)
        quotient = self.mid / b.mid
        return _ball(quotient, (self.rad + np.abs(quotient) * b.rad) / gap)

    def __rtruediv__(self, other: Any) -> Ball:
        return Ball.of(other) / self

    def __pow__(self, other: Any) -> Ball:
        if isinstance(other, Ball):
            return exp(log(self) * other)
        power = float(other)
        if power == math.floor(power) and abs(power) <= 64.0:
            result, base, n = Ball.of(1.0), self, int(abs(power))
            while n:
                result, base, n = (
                    (result * base if n & 1 else result),
                    (base * base if n > 1 else base),
                    n >> 1,
                )
            return result if power >= 0.0 else 1.0 / result
        return exp(log(self) * power)

    def __rpow__(self, other: Any) -> Ball:
        return exp(self * math.log(other))

    def __lt__(self, other: Any) -> _Open:
        return _Open()

    __le__ = __gt__ = __ge__ = __lt__


class _Open:
    """A comparison of balls, which says nothing."""

    def __and__(self, other: Any) -> _Open:
        return self

    __or__ = __rand__ = __ror__ = __and__

    def __invert__(self) -> _Open:
        return self


def _ball(mid: np.ndarray, rad: np.ndarray, eps: float = EPS) -> Ball:
    rad = rad + eps * np.abs(mid)
    rad = np.where(rad > 0.0, rad * (1.0 + 2.0**-40) + 1e-320, rad)  # exact zeros stay; NaN as well
    good = np.isfinite(rad) & np.isfinite(mid)
    return Ball(np.where(good, mid, 0.0), np.where(good, rad, np.inf))


def exp(x: Any) -> Ball:
    """|e^z - e^m| ≤ |e^m|·(e^rad - 1)."""
    x = Ball.of(x)
    value = np.exp(x.mid)
    return _ball(value, np.abs(value) * (np.expm1(x.rad) + EPS * np.abs(x.mid)))


def log(x: Any) -> Ball:
    """The principal branch; nothing is known of balls that meet the half line of real numbers ≤ 0."""
    x = Ball.of(x)
    m = x.mid
    clear = np.where(m.real > 0.0, np.abs(m), np.abs(m.imag)) > x.rad
    value = np.log(np.where(clear, m, 1.0))
    rad = -np.log1p(-np.where(clear, x.rad / np.abs(m), 0.0)) + EPS
    return _ball(value, np.where(clear, rad, np.inf))


def sqrt(x: Any) -> Ball:
    return exp(log(x) * 0.5)


def sinh(x: Any) -> Ball:
    e = exp(x)
    return (e - 1.0 / e) * 0.5


def cosh(x: Any) -> Ball:
    e = exp(x)
    return (e + 1.0 / e) * 0.5


def tanh(x: Any) -> Ball:
    """By exp(-2|x|), which stays small."""
    x = Ball.of(x)
    sign = np.where(x.mid.real < 0.0, -1.0, 1.0)
    e = exp(x * (-2.0 * sign))
    return (1.0 - e) / (1.0 + e) * sign


def tan(x: Any) -> Ball:
    return tanh(Ball.of(x) * 1j) * -1j


def atan(x: Any) -> Ball:
    z = Ball.of(x) * 1j
    return (log(1.0 + z) - log(1.0 - z)) * -0.5j


def erf(x: Any) -> Ball:
    """|erf'(z)| = 2/√π·|exp(-z²)|, whose exponent moves by 2|m|·rad + rad² at most."""
    x = Ball.of(x)
    steep = np.exp(-(x.mid**2).real + 2.0 * np.abs(x.mid) * x.rad + x.rad**2)
    return _ball(sc.erf(x.mid), 1.1284 * x.rad * steep + EPS)


def erfc(x: Any) -> Ball:
    """As `erf`, with the error relative to erfc itself; the library's is trusted to 2^-40."""
    x = Ball.of(x)
    value = sc.erfc(x.mid)
    steep = np.exp(-(x.mid**2).real + 2.0 * np.abs(x.mid) * x.rad + x.rad**2)
    return _ball(value, 1.1284 * x.rad * steep + 2.0**-40 * np.abs(value))


def _unknown(x: Any) -> Ball:
    x = Ball.of(x)
    return Ball(np.zeros_like(x.mid), np.full(np.shape(x.mid), np.inf))


def conditions(function: Callable[[SimpleNamespace, Any], Any], cells: Interval) -> list[Truth]:
    """What every condition of a density's function (where, minimum, maximum, abs) says on real cells, in order."""
    found: list[Truth] = []
    shape = np.shape(cells.low)

    def record(condition: Any, a: Any, b: Any) -> Interval:
        if not isinstance(condition, Truth):
            condition = Truth(np.asarray(condition, dtype=bool), np.asarray(condition, dtype=bool))
        found.append(
            Truth(*(np.broadcast_to(side, shape) for side in (condition.surely, condition.possibly)))
        )
        return _where(condition, a, b)

    names = SimpleNamespace(
        **{
            **vars(INTERVALS),
            "where": record,
            "minimum": lambda a, b: record(Interval.of(a) <= b, a, b),
            "maximum": lambda a, b: record(Interval.of(a) >= b, a, b),
            "abs": lambda a: record(Interval.of(a) >= 0.0, a, -Interval.of(a)),
        }
    )
    with np.errstate(all="ignore"):
        function(names, cells)
    return found


def one_formula(function: Callable[[SimpleNamespace, Any], Any], cells: Interval) -> np.ndarray:
    """Where every condition is certain, and the same on all of a cell."""
    sure = np.ones(np.shape(cells.low), dtype=bool)
    for truth in conditions(function, cells):
        sure &= truth.surely | ~truth.possibly
    return sure


def on_balls(function: Callable[[SimpleNamespace, Any], Any], panel: Interval, x: Ball) -> Ball:
    """The enclosure of a density's function on balls (panels, n), by its formula on the real panels (panels).

    Where a condition is not the same on all of a panel, nothing is known: the function has no one formula there.
    """
    decisions = iter(conditions(function, panel))
    with np.errstate(all="ignore"):

        def choose(condition: Any, a: Any, b: Any) -> Ball:
            del condition
            truth = next(decisions)
            yes, open_ = truth.surely[:, None], (truth.possibly & ~truth.surely)[:, None]
            a, b = Ball.of(a), Ball.of(b)
            rad = np.where(open_, np.inf, np.where(yes, a.rad, b.rad))
            return Ball(np.where(yes, a.mid, b.mid), rad)

        names = SimpleNamespace(
            exp=exp, log=log, sqrt=sqrt, expm1=lambda z: exp(z) - 1.0, log1p=lambda z: log(1.0 + Ball.of(z)), tanh=tanh,
            sinh=sinh, cosh=cosh, atan=atan, erf=erf, erfc=erfc,
            sin=lambda z: sinh(Ball.of(z) * 1j) * -1j, cos=lambda z: cosh(Ball.of(z) * 1j), tan=tan, gamma=_unknown,
            minimum=lambda a, b: choose(None, a, b), maximum=lambda a, b: choose(None, a, b),
            abs=lambda a: choose(None, a, -Ball.of(a)), where=choose,
        )  # fmt: skip
        value = Ball.of(function(names, x))
    shape = np.shape(x.mid)
    rad = np.broadcast_to(np.where(np.isnan(value.rad), np.inf, value.rad), shape)
    return Ball(np.broadcast_to(value.mid, shape), rad)
