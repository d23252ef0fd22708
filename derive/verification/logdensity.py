"""A density's logarithm and its slope as floats, straight from the expression in the spec.

Written for the oracles: it shares nothing with the engine but the parser. Derivatives are carried along with the values
(forward mode), and factors, powers, exponentials and sums of positive terms stay logarithms, so that tails neither
overflow nor vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy import special

from derive.formula import r

Array = NDArray[np.float64]
Dual = tuple[Array, Array]  # value and derivative with respect to u = log r

_ROOT_PI = float(np.sqrt(np.pi))
_UNARY: Mapping[type, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    sp.sin: (np.sin, np.cos),
    sp.cos: (np.cos, lambda x: -np.sin(x)),
    sp.tan: (np.tan, lambda x: 1.0 / np.cos(x) ** 2),
    sp.atan: (np.arctan, lambda x: 1.0 / (1.0 + x * x)),
    sp.cosh: (np.cosh, np.sinh),
    sp.sinh: (np.sinh, np.cosh),
    sp.tanh: (np.tanh, lambda x: 1.0 / np.cosh(x) ** 2),
    sp.asinh: (np.arcsinh, lambda x: 1.0 / np.sqrt(1.0 + x * x)),
    sp.acosh: (np.arccosh, lambda x: 1.0 / np.sqrt(x * x - 1.0)),
    sp.atanh: (np.arctanh, lambda x: 1.0 / (1.0 - x * x)),
    sp.erf: (special.erf, lambda x: 2.0 / _ROOT_PI * np.exp(-x * x)),
    sp.erfc: (special.erfc, lambda x: -2.0 / _ROOT_PI * np.exp(-x * x)),
    sp.gamma: (special.gamma, lambda x: special.gamma(x) * special.digamma(x)),
    sp.loggamma: (special.gammaln, special.digamma),
}


@dataclass(frozen=True)
class LogDensity:
    """log q(r) and d log q / d log r, q the spec's expression with every parameter given; -inf where q is 0 or not a number.

    `bound`: the support is r ≤ bound.
    """

    expression: sp.Expr
    bound: float

    def __post_init__(self) -> None:
        if self.expression.free_symbols - {r}:
            raise ValueError(f"the density still depends on {self.expression.free_symbols - {r}}")

    def __call__(self, u: Array) -> Dual:
        """At r = exp(u), u of any shape."""
        with np.errstate(all="ignore"):
            value, slope = _log(self.expression, np.asarray(u, dtype=float))
        value, slope = np.broadcast_to(value, np.shape(u)), np.broadcast_to(slope, np.shape(u))
        inside = ~np.isnan(value) & (np.exp(np.minimum(u, 700.0)) <= self.bound * (1.0 + 1e-15))
        return np.where(inside, value, -np.inf), np.where(inside, slope, 0.0)

    def at(self, radius: Array) -> Array:
        """log q at a radius ≥ 0 (at 0 the limit from above, at the smallest float)."""
        with np.errstate(divide="ignore"):
            return self(np.log(np.maximum(radius, 1e-300)))[0]


def log_density(
    expression: sp.Expr, values: Mapping[sp.Symbol, sp.Expr], bound: sp.Expr | None
) -> LogDensity:
    """The density of a spec's expression and support at exact values of d and every parameter."""
    edge = np.inf if bound is None else float(sp.sympify(bound).subs(dict(values)))
    return LogDensity(sp.sympify(expression).subs(dict(values)), edge)


def _positive(expression: sp.Expr) -> bool:
    return bool(expression.is_positive)


def _log(expression: sp.Expr, u: Array) -> Dual:
    """(log f, its derivative) of an expression that is positive; NaN where it is not."""
    match expression:
        case sp.Symbol():
            return u, np.ones_like(u)
        case sp.Mul():
            signs, positive = sp.Integer(1), []
            for a in expression.args:
                if a.is_number and a.is_negative:
                    signs, a = -signs, -a
                positive.append(a)
            if signs == 1 and all(a.is_number or _logarithmic(a) for a in positive):
                parts = [_log(a, u) for a in positive]
                return sum(p[0] for p in parts), sum(p[1] for p in parts)  # type: ignore[return-value]
        case sp.exp():
            return _plain(expression.args[0], u)
        case sp.Pow():
            if not expression.exp.has(r):
                if _logarithmic(expression.base):
                    value, slope = _log(expression.base, u)
                    power = float(expression.exp)
                    return power * value, power * slope
            elif _positive(expression.base):
                (base, rise), (power_, bend) = _log(expression.base, u), _plain(expression.exp, u)
                return power_ * base, bend * base + power_ * rise
        case sp.Add():
            if all(_positive(a) for a in expression.args):
                parts = [_log(a, u) for a in expression.args]
                values = np.stack([np.broadcast_to(p[0], u.shape) for p in parts])
                top = np.max(values, axis=0)
                shares = np.exp(values - np.where(np.isfinite(top), top, 0.0))
                total = np.sum(shares, axis=0)
                slopes = np.stack([np.broadcast_to(p[1], u.shape) for p in parts])
                weighted = np.where(shares > 0.0, shares * slopes, 0.0)
                return top + np.log(total), np.sum(weighted, axis=0) / total
        case sp.cosh():
            value, slope = _plain(expression.args[0], u)
            size = np.abs(value)
            return size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0), np.tanh(value) * slope
        case sp.erfc():
            value, slope = _plain(expression.args[0], u)
            scaled = special.erfcx(value)
            return np.log(scaled) - value * value, -2.0 / (_ROOT_PI * scaled) * slope
        case sp.Max() | sp.Min():
            if all(_logarithmic(a) for a in expression.args):
                return _choose([_log(a, u) for a in expression.args], isinstance(expression, sp.Max), u)
    value, slope = _plain(expression, u)
    return np.log(value), slope / value


def _logarithmic(expression: sp.Expr) -> bool:
    """Whether the sign is known to be positive, or has to be found out by evaluation (then `_log` gives NaN where it is not)."""
    return _positive(expression) or isinstance(expression, sp.Add | sp.cos | sp.sin | sp.Max | sp.Min)


def _choose(parts: list[Dual], largest: bool, u: Array) -> Dual:
    value, slope = (np.broadcast_to(x, u.shape) for x in parts[0])
    for other, rise in parts[1:]:
        take = other > value if largest else other < value
        value, slope = np.where(take, other, value), np.where(take, rise, slope)
    return value, slope


def _plain(expression: sp.Expr, u: Array) -> Dual:
    """(f, df/du)."""
    if expression.is_number:
        return np.full_like(u, float(expression)), np.zeros_like(u)
    match expression:
        case sp.Symbol():
            value = np.exp(u)
            return value, value
        case sp.Add():
            parts = [_plain(a, u) for a in expression.args]
            return sum(p[0] for p in parts), sum(p[1] for p in parts)  # type: ignore[return-value]
        case sp.Mul():
            value, slope = np.ones_like(u), np.zeros_like(u)
            for a in expression.args:
                factor, rise = _plain(a, u)
                value, slope = value * factor, slope * factor + value * rise
            return value, slope
        case sp.exp():
            exponent, rise = _plain(expression.args[0], u)
            value = np.exp(exponent)
            return value, np.where(value == 0.0, 0.0, value * rise)
        case sp.log():
            return _log(expression.args[0], u)
        case sp.Pow():
            if expression.exp.has(r) or expression.base == r:
                value, slope = _log(expression, u)
                value = np.exp(value)
                return value, value * slope
            base, rise = _plain(expression.base, u)
            power = float(expression.exp)
            return base**power, power * base ** (power - 1.0) * rise
        case sp.Max() | sp.Min():
            return _choose([_plain(a, u) for a in expression.args], isinstance(expression, sp.Max), u)
        case sp.Abs():
            value, slope = _plain(expression.args[0], u)
            return np.abs(value), np.sign(value) * slope
        case sp.Piecewise():
            raise NotImplementedError("the oracle reads no piecewise density")
    if expression.func not in _UNARY:
        raise NotImplementedError(f"the oracle has no floats for {expression.func.__name__}")
    function, derivative = _UNARY[expression.func]
    value, slope = _plain(expression.args[0], u)
    return function(value), derivative(value) * slope
