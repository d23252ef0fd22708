"""Formulas in ball arithmetic: every value is an interval that contains the exact one (python-flint's arb)."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp
from flint import arb, fmpq

from derive.formula import Expm1, GammaRatio, GammaUpper, Log1p, NormalQuantile


def exact(value: sp.Rational) -> arb:
    """A rational as a ball (one rounding of its own)."""
    return arb(fmpq(int(value.p), int(value.q)))


def hull(low: arb, high: arb) -> arb:
    """The smallest ball around both."""
    return low.union(high)


def evaluate(expression: sp.Expr, values: Mapping[sp.Symbol, arb]) -> arb:
    """The ball of an expression; NotImplementedError for a function without one."""
    if expression.is_Rational:
        return exact(expression)
    if expression == sp.pi:
        return arb.pi()
    if expression.is_Symbol:
        return values[expression]
    arguments = [evaluate(a, values) for a in expression.args]
    first = arguments[0]
    match expression:
        case sp.Add():
            return sum(arguments[1:], first)
        case sp.Mul():
            for other in arguments[1:]:
                first = first * other
            return first
        case sp.Pow():
            return _power(first, expression.exp, arguments[1])
        case sp.exp():
            return first.exp()
        case sp.log():
            return first.log()
        case sp.Min():
            for other in arguments[1:]:
                first = first.min(other)
            return first
        case sp.gamma():
            return first.gamma()
        case Log1p():
            return first.log1p()
        case Expm1():
            return first.expm1()
        case NormalQuantile():
            return (2 * first - 1).erfinv() * arb(2).sqrt()
        case GammaRatio():
            return (first.lgamma() - arguments[1].lgamma()).exp()
        case GammaUpper():
            return arguments[1].gamma_upper(first, regularized=1)
    raise NotImplementedError(f"no ball for {expression.func.__name__}")


def _power(base: arb, exponent: sp.Expr, ball: arb) -> arb:
    if exponent.is_Integer:
        return base ** int(exponent)
    if exponent == sp.Rational(1, 2):
        return base.sqrt()
    return (base.log() * ball).exp()
