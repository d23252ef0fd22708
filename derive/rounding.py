"""How far rounding can take a closed radius, as code evaluates it: a bound over every rho and every dimension.

Values and absolute errors are followed through the formula over boxes of (rho, d) that cover (1/2, 1) × [1, 2^53]: values as
intervals, errors by the trusted error of each primitive (generated.special.errors) and the steepest slope on the interval. Boxes
are narrow in rho - 1/2 and 1 - rho, relatively, so that the ratio of error to radius is seen at both ends. The few operations on the
intervals themselves are floats, widened by FUDGE each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special as sc
import sympy as sp

from derive.formula import Expm1, Log1p, NormalQuantile, fail, gap, rho
from derive.formula import dim as dim_symbol
from derive.tail import LogFail, RhoQuantile, accurate
from generated.special.errors import TRUSTED, UNIT

FUDGE = 1e-12
"""Widening of every interval operation, far above its own rounding and far below what could matter."""
PARTS = 4
"""Boxes to a factor of two in rho - 1/2 and in 1 - rho."""


@dataclass(frozen=True)
class Rounded:
    """Boxes of a value: low ≤ exact value ≤ high, and |computed - exact| ≤ error, entry by entry."""

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """The largest absolute value."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def after(self, low: np.ndarray, high: np.ndarray, error: np.ndarray, units: float) -> Rounded:
        """A result with these ends and propagated error, itself rounded by so many units."""
        low, high = np.minimum(low, high), np.maximum(low, high)
        room = FUDGE * np.maximum(np.abs(low), np.abs(high))
        low, high = low - room, high + room
        return Rounded(
            low,
            high,
            (error + units * UNIT * (np.maximum(np.abs(low), np.abs(high)) + error)) * (1.0 + FUDGE),
        )


def rounding_bound(radius: sp.Expr, *, logarithm: bool = False) -> float:
    """The largest relative error of the code for this radius, in units of 2^-53; inf where none can be shown.

    logarithm: with 1 - rho down to 2^-1022, as it comes from its logarithm; below exp(-600), where the code goes on with the logarithm
    itself, a logarithm or a quantile of 1 - rho is as accurate as above it. NotImplementedError for parameters other than the dimension and for functions without a trusted error.
    """
    others = radius.free_symbols - {gap, fail, rho, dim_symbol}
    if others:
        raise NotImplementedError(f"no error bound for a formula in {sorted(map(str, others))}")
    with np.errstate(all="ignore"):
        value = _Walk(radius.has(dim_symbol), -1022 if logarithm else -54).of(accurate(radius))
        ratio = value.error / value.low
    return float(np.max(np.where((value.low > 0.0) & np.isfinite(ratio), ratio, np.inf))) / UNIT


class _Walk:
    """The boxes, and the rules for each kind of expression."""

    def __init__(self, dims: bool, least: int) -> None:
        near, far = (2.0 ** (np.arange((-2 - n) * PARTS + 1) / PARTS + n) for n in (-54, least))  # 2^n … 1/4
        near[-1] = far[-1] = 0.25
        none = np.zeros(near.size + far.size - 2)
        self.gap = (
            np.concatenate([near[:-1], 0.5 - far[1:]]),
            np.concatenate([near[1:], 0.5 - far[:-1]]),
        )
        self.fail = 0.5 - self.gap[1], 0.5 - self.gap[0]
        self.fail[0][near.size - 1 :], self.fail[1][near.size - 1 :] = far[:-1], far[1:]
        self.none = none
        low = np.array([1.0, 2.0, 3.0, *(2.0 ** np.arange(2, 53))]) if dims else np.array([1.0])
        high = np.array([1.0, 2.0, 4.0, *(2.0 ** np.arange(3, 54))]) if dims else np.array([1.0])
        self.dims = low[:, None], high[:, None]

    def of(self, e: sp.Expr) -> Rounded:
        if isinstance(e, RhoQuantile):
            z = Rounded(self._quantile(0), self._quantile(1), self.none)
            return z.after(z.low, z.high, z.error, TRUSTED["ndtri"])
        if isinstance(e, LogFail):
            return self._log_fail(self.of(e.args[0]))
        if e == gap:
            return Rounded(*self.gap, UNIT * self.gap[1])
        if e == fail:
            return Rounded(*self.fail, self.none)
        if e == dim_symbol:
            return Rounded(*self.dims, 0.0 * self.dims[0])
        if e.is_number and not e.has(LogFail, RhoQuantile):
            value = np.full((1, 1), float(e))
            exact = e.is_Rational and sp.Rational(float(e)) == e
            units = 0.0 if exact else 8.0 * (1 + e.count_ops())
            return Rounded(value, value, units * UNIT * np.abs(value))
        match e:
            case sp.Add():
                return self._sum([self.of(a) for a in e.args])
            case sp.Mul():
                return self._product([self.of(a) for a in e.args])
            case sp.Pow():
                return self._power(self.of(e.base), e.exp)
            case sp.Min():
                return self._least([self.of(a) for a in e.args])
            case Log1p():
                x = self.of(e.args[0])
                return x.after(
                    np.log1p(x.low), np.log1p(x.high), x.error / (1.0 + x.low - x.error), TRUSTED["log1p"]
                )
            case Expm1():
                x = self.of(e.args[0])
                return x.after(
                    np.expm1(x.low), np.expm1(x.high), np.exp(x.high + x.error) * x.error, TRUSTED["expm1"]
                )
            case sp.exp():
                x = self.of(e.args[0])
                return x.after(
                    np.exp(x.low), np.exp(x.high), np.exp(x.high + x.error) * x.error, TRUSTED["exp"]
                )
            case sp.log():
                x = self.of(e.args[0])
                return x.after(np.log(x.low), np.log(x.high), x.error / (x.low - x.error), TRUSTED["log"])
        raise NotImplementedError(f"no error bound for {type(e).__name__}")

    @staticmethod
    def _fold(function: np.ufunc, parts: list[np.ndarray]) -> np.ndarray:
        result = parts[0]
        for part in parts[1:]:
            result = function(result, part)
        return result

    def _least(self, parts: list[Rounded]) -> Rounded:
        total = parts[0]
        for part in parts[1:]:
            first = total.high + total.error < part.low - part.error  # surely the smaller, as computed too
            other = part.high + part.error < total.low - total.error
            error = np.where(
                first, total.error, np.where(other, part.error, np.maximum(total.error, part.error))
            )
            total = Rounded(np.minimum(total.low, part.low), np.minimum(total.high, part.high), error)
        return total

    def _sum(self, parts: list[Rounded]) -> Rounded:
        total = parts[0]
        for part in parts[1:]:  # in any order: the partial sums of all orders are no larger than this
            low, high = total.low + part.low, total.high + part.high
            larger = total.size + part.size if len(parts) > 2 else np.maximum(np.abs(low), np.abs(high))
            result = total.after(low, high, total.error + part.error + UNIT * larger, 0.0)
            back = low - total.low
            exact = _points(total) & _points(part) & ((total.low - (low - back)) + (part.low - back) == 0.0)
            total = _where(exact, Rounded(low, high, 0.0 * low), result)
        return total

    def _product(self, parts: list[Rounded]) -> Rounded:
        total = parts[0]
        for part in parts[1:]:
            ends = [a * b for a in (total.low, total.high) for b in (part.low, part.high)]
            low, high = self._fold(np.minimum, ends), self._fold(np.maximum, ends)
            error = total.size * part.error + part.size * total.error + total.error * part.error
            result = total.after(low, high, error, 1.0)
            exact = _powers_of_two(total) | _powers_of_two(part)
            total = _where(exact, Rounded(low, high, error), result)
        return total

    def _power(self, x: Rounded, exponent: sp.Expr) -> Rounded:
        if not exponent.is_Rational:
            raise NotImplementedError(f"no error bound for the power {exponent}")
        if np.any(x.low - x.error <= 0.0):
            raise NotImplementedError("no error bound for a power of what may be zero")
        q = float(exponent)
        if exponent == -1:
            slope = 1.0 / (x.low - x.error) ** 2
            quotient = x.after(1.0 / x.high, 1.0 / x.low, slope * x.error, 1.0)
            return _where(_powers_of_two(x), Rounded(1.0 / x.high, 1.0 / x.low, 0.0 * x.low), quotient)
        ends = x.low**q, x.high**q
        slope = abs(q) * np.maximum((x.low - x.error) ** (q - 1.0), (x.high + x.error) ** (q - 1.0))
        return x.after(*ends, slope * x.error, TRUSTED["pow"])

    def _log_fail(self, factor: Rounded) -> Rounded:
        """log(factor·fail); the argument is exact where the factor is a power of two."""
        relative = np.where(_powers_of_two(factor), 0.0, factor.error / factor.low + UNIT)
        low, high = self._log(factor.low, 1), self._log(factor.high, 0)
        inside = Rounded(low, high, 1.01 * relative + 0.0 * low)
        return inside.after(low, high, inside.error, TRUSTED["log"])

    def _log(self, factor: np.ndarray, end: int) -> np.ndarray:
        """log(factor·(1 - rho)) where gap is at that end of its boxes, from whichever of gap and 1 - rho is smaller."""
        near = np.log(0.5 * factor) + np.log1p(-2.0 * np.minimum(self.gap[end], 0.25))
        return np.where(self.gap[end] <= 0.25, near, np.log(factor * self.fail[1 - end]))

    def _quantile(self, end: int) -> np.ndarray:
        """The normal quantile of rho at one end of the boxes, from whichever of gap and 1 - rho is smaller."""
        by_gap = np.sqrt(2.0) * sc.erfinv(2.0 * np.minimum(self.gap[end], 0.25))
        return np.where(self.gap[end] <= 0.25, by_gap, -sc.ndtri(self.fail[1 - end]))


def _points(x: Rounded) -> np.ndarray:
    """Where the value is one exact double."""
    return (x.low == x.high) & (x.error == 0.0)


def _powers_of_two(x: Rounded) -> np.ndarray:
    """Where the value is an exact power of two, up to its sign: products with it are exact."""
    return _points(x) & (np.frexp(np.abs(x.low))[0] == 0.5)


def _where(mask: np.ndarray, a: Rounded, b: Rounded) -> Rounded:
    return Rounded(
        np.where(mask, a.low, b.low), np.where(mask, a.high, b.high), np.where(mask, a.error, b.error)
    )


def falls_with(e: sp.Expr, argument: sp.Symbol) -> bool | None:
    """Whether a formula never rises (True) or never falls (False) with one argument, its other ones fixed; None where that is not seen.

    By its structure alone: sums, minima, products with constants and the dimension, and functions that increase. A formula without
    the argument counts as either, here as True.
    """
    if not e.has(argument):
        return True
    if e == argument:
        return False
    if isinstance(e, sp.Add | sp.Min):
        found = {falls_with(a, argument) for a in e.args if a.has(argument)}
        return found.pop() if len(found) == 1 else None
    if isinstance(e, sp.Mul):
        rest, inner = e.as_independent(argument, as_Add=False)
        inside = None if isinstance(inner, sp.Mul) else falls_with(inner, argument)
        if inside is None or not (rest.is_positive or rest.is_negative):
            return None
        return inside if rest.is_positive else not inside
    if isinstance(e, sp.Pow) and not e.exp.has(argument) and (e.exp.is_positive or e.exp.is_negative):
        inside = falls_with(e.base, argument) if e.base.is_nonnegative or e.exp == -1 else None
        return inside if inside is None or e.exp.is_positive else not inside
    if isinstance(e, sp.log | sp.exp | Log1p | Expm1 | NormalQuantile):
        return falls_with(e.args[0], argument)
    return None
