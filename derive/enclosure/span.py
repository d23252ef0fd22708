"""Intervals that may reach to infinity: what an expression in r can be on (0, eps] or [T, oo), from outward-rounded end points.

A span [lo, hi] contains every value that the expression takes; lo and hi are exact, and may be infinite. Products follow 0·oo = 0,
which is right for sets of real numbers, because no element of an unbounded set is infinite.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp
from flint import arb

from derive.enclosure.ball import number
from derive.formula import Expm1, Log1p, r

INFINITY = arb.pos_inf()
ZERO = arb(0)


class Undefined(ArithmeticError):
    """The expression may be undefined, or has no enclosure, somewhere on the span."""


@dataclass(frozen=True)
class Span:
    """The real numbers from lo to hi."""

    lo: arb
    hi: arb

    def __post_init__(self) -> None:
        if self.lo.is_nan() or self.hi.is_nan() or not bool(self.lo <= self.hi):
            raise Undefined(f"no interval: {self.lo} to {self.hi}")

    @property
    def sign(self) -> int | None:
        """1 or -1 where every element has that sign, 0 where all are zero, else None."""
        if bool(self.lo > 0):
            return 1
        if bool(self.hi < 0):
            return -1
        return 0 if bool(self.lo == 0) and bool(self.hi == 0) else None

    def __add__(self, other: Span) -> Span:
        return Span(_add(self.lo, other.lo, -1), _add(self.hi, other.hi, 1))

    def __mul__(self, other: Span) -> Span:
        corners = [(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        lows = [_multiply(a, b, -1) for a, b in corners]
        highs = [_multiply(a, b, 1) for a, b in corners]
        return Span(_least(lows), _greatest(highs))

    def inverse(self) -> Span:
        """1/x; Undefined where 0 may be inside."""
        if not (bool(self.lo >= 0) or bool(self.hi <= 0)):
            raise Undefined("division by an interval around zero")
        if bool(self.lo == 0) and bool(self.hi == 0):
            raise Undefined("division by zero")
        low = _reciprocal(self.hi, -1, positive=bool(self.lo >= 0))
        high = _reciprocal(self.lo, 1, positive=bool(self.lo >= 0))
        return Span(low, high)


def _outward(value: arb, side: int) -> arb:
    if value.is_exact() or not value.is_finite():
        return value
    return value.upper() if side > 0 else value.lower()


def _add(a: arb, b: arb, side: int) -> arb:
    if not a.is_finite() or not b.is_finite():
        infinite = a if not a.is_finite() else b
        return infinite if a.is_finite() or b.is_finite() or bool(a == b) else INFINITY * side
    return _outward(a + b, side)


def _multiply(a: arb, b: arb, side: int) -> arb:
    return ZERO if bool(a == 0) or bool(b == 0) else _outward(a * b, side)


def _reciprocal(value: arb, side: int, *, positive: bool) -> arb:
    if bool(value == 0):
        return INFINITY if positive else -INFINITY
    return _outward(1 / value, side) if value.is_finite() else ZERO


def _least(values: list[arb]) -> arb:
    return functools.reduce(lambda a, b: a if bool(a <= b) else b, values)


def _greatest(values: list[arb]) -> arb:
    return functools.reduce(lambda a, b: a if bool(a >= b) else b, values)


def whole(value: arb) -> Span:
    """The span of one ball."""
    if value.is_nan():
        raise Undefined("not a number")
    return Span(value.lower(), value.upper()) if value.is_finite() else Span(-INFINITY, INFINITY)


def span(expression: sp.Expr, on: Span) -> Span:
    """Encloses an expression in r for r in `on` (0 and oo themselves excluded); Undefined where that is impossible."""
    if not expression.free_symbols:
        return whole(number(expression))
    if expression == r:
        return on
    match expression:
        case sp.Add():
            return functools.reduce(Span.__add__, (span(a, on) for a in expression.args))
        case sp.Mul():
            return functools.reduce(Span.__mul__, (span(a, on) for a in expression.args))
        case sp.Pow():
            return _power(expression, on)
        case sp.Abs():
            return _magnitude(span(expression.args[0], on))
        case sp.cosh():
            return _COSH(_magnitude(span(expression.args[0], on)))
        case sp.cos() | sp.sin():
            return _wave(expression, span(expression.args[0], on))
    rule = _MONOTONE.get(expression.func)
    if rule is None:
        raise Undefined(f"no enclosure of {expression.func.__name__}")
    inner = span(expression.args[0], on)
    return rule(inner)


def _power(expression: sp.Expr, on: Span) -> Span:
    base, exponent = span(expression.base, on), expression.exp
    if exponent.is_Integer:
        count = int(exponent)
        if count < 0:
            return _whole_power(base, -count).inverse()
        return _whole_power(base, count)
    if not bool(base.lo >= 0):
        raise Undefined("a power of a negative number")
    return _exp(span(exponent, on) * _log(base))


def _whole_power(base: Span, count: int) -> Span:
    if count % 2 == 0:
        base = _magnitude(base)
    low = _outward(base.lo**count, -1) if base.lo.is_finite() else base.lo
    return Span(low, _outward(base.hi**count, 1) if base.hi.is_finite() else base.hi)


def _magnitude(x: Span) -> Span:
    bottom = ZERO if bool(x.lo <= 0) and bool(x.hi >= 0) else _least([abs(x.lo), abs(x.hi)])
    return Span(bottom, _greatest([abs(x.lo), abs(x.hi)]))


def _rising(
    function: Callable[[arb], arb], at_minus: arb | None, at_plus: arb | None
) -> Callable[[Span], Span]:
    """The rule of an increasing function, with its limits at -oo and oo."""

    def end(value: arb, side: int) -> arb:
        if value.is_finite():
            return _outward(function(value), side)
        limit = at_plus if bool(value > 0) else at_minus
        if limit is None:
            raise Undefined("outside the function's domain")
        return _outward(limit, side)

    return lambda x: Span(end(x.lo, -1), end(x.hi, 1))


def _log(x: Span) -> Span:
    if not bool(x.lo >= 0) or bool(x.hi == 0):
        raise Undefined("logarithm of a number that may not be positive")
    low = -INFINITY if bool(x.lo == 0) else _outward(x.lo.log(), -1)
    return Span(low, _outward(x.hi.log(), 1) if x.hi.is_finite() else INFINITY)


def _log1p(x: Span) -> Span:
    return _log(x + Span(arb(1), arb(1)))


def _erfc(x: Span) -> Span:
    low = _outward(x.hi.erfc(), -1) if x.hi.is_finite() else (ZERO if bool(x.hi > 0) else arb(2))
    high = _outward(x.lo.erfc(), 1) if x.lo.is_finite() else (ZERO if bool(x.lo > 0) else arb(2))
    return Span(low, high)


def _wave(expression: sp.Expr, x: Span) -> Span:
    one = Span(arb(-1), arb(1))
    if not (x.lo.is_finite() and x.hi.is_finite()):
        return one
    ball = x.lo.union(x.hi)
    found = whole(ball.cos() if isinstance(expression, sp.cos) else ball.sin())
    return Span(_greatest([found.lo, one.lo]), _least([found.hi, one.hi]))


_exp = _rising(lambda v: v.exp(), ZERO, INFINITY)
_COSH = _rising(lambda v: v.cosh(), None, INFINITY)
_MONOTONE: dict[object, Callable[[Span], Span]] = {
    sp.exp: _exp,
    sp.log: _log,
    Log1p: _log1p,
    Expm1: _rising(lambda v: v.expm1(), arb(-1), INFINITY),
    sp.sinh: _rising(lambda v: v.sinh(), -INFINITY, INFINITY),
    sp.tanh: _rising(lambda v: v.tanh(), arb(-1), arb(1)),
    sp.atan: _rising(lambda v: v.atan(), -arb.pi() / 2, arb.pi() / 2),
    sp.erf: _rising(lambda v: v.erf(), arb(-1), arb(1)),
    sp.erfc: _erfc,
}
