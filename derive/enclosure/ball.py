"""Formulas in ball arithmetic: every value is an interval that contains the exact one (python-flint's arb).

`evaluate` walks an expression once; `Program` compiles it for many evaluations, at balls (arb), complex balls (acb) or power series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp
from flint import acb, arb, ctx, fmpq

from derive.enclosure.quantile import beta_quantile
from derive.formula import (
    BetaLower,
    BetaQuantile,
    Expm1,
    GammaRatio,
    GammaUpper,
    Log1p,
    Mixture,
    NormalQuantile,
    Share,
)

Ball = Any
"""arb, acb, arb_series or acb_series: one arithmetic for all."""


def exact(value: sp.Rational) -> arb:
    """A rational as a ball (one rounding of its own)."""
    return arb(fmpq(int(value.p), int(value.q)))


def hull(low: arb, high: arb) -> arb:
    """The smallest ball around both."""
    return low.union(high)


def number(value: sp.Expr) -> arb:
    """The ball of a constant expression."""
    return evaluate(value, {})


def evaluate(expression: sp.Expr, values: Mapping[sp.Symbol, arb]) -> arb:
    """The ball of an expression; NotImplementedError for a function without one.

    A ball that is no number (arb's nan) says that the expression may be undefined somewhere in the arguments' balls.
    """
    constant = _constant(expression)
    if constant is not None:
        return constant
    if expression.is_Symbol:
        return values[expression]
    if isinstance(expression, sp.Piecewise):
        return _pieces(expression, values)
    return _operation(expression)(*(evaluate(a, values) for a in expression.args))


class Program:
    """An expression in one symbol, compiled; shared parts are computed once. Complex square roots, logarithms and powers with
    `analytic` set are no number on a branch cut, as acb.integral requires."""

    def __init__(self, expression: sp.Expr, symbol: sp.Symbol) -> None:
        self._steps: list[tuple[Callable[..., Ball], Callable[..., Ball], tuple[int, ...]]] = []
        self._constants: list[tuple[int, sp.Expr]] = []
        self._places: dict[sp.Expr, int] = {symbol: 0}
        self._values = 1
        self._plan: list[tuple[int, int]] = []  # (place, step) in order
        self._loaded: tuple[int, list[tuple[int, arb]]] | None = None
        self._result = self._place(expression)

    def _place(self, expression: sp.Expr) -> int:
        if expression in self._places:
            return self._places[expression]
        if not expression.free_symbols:
            self._constants.append((self._values, expression))
        else:
            sources = tuple(self._place(a) for a in expression.args)
            self._plan.append((self._values, len(self._steps)))
            self._steps.append((_operation(expression), _operation(expression, True), sources))
        self._places[expression] = self._values
        self._values += 1
        return self._values - 1

    def __call__(self, value: Ball, analytic: bool = False) -> Ball:
        if self._loaded is None or self._loaded[0] != ctx.prec:
            self._loaded = ctx.prec, [(place, number(c)) for place, c in self._constants]
        values: list[Ball] = [value] * self._values
        for place, constant in self._loaded[1]:
            values[place] = constant
        for place, step in self._plan:
            plain, strict, sources = self._steps[step]
            values[place] = (strict if analytic else plain)(*[values[n] for n in sources])
        return values[self._result]


def _constant(expression: sp.Expr) -> arb | None:
    if expression.is_Rational:
        return exact(expression)
    if expression == sp.pi:
        return arb.pi()
    if expression == sp.E:
        return arb.const_e()
    if expression == sp.EulerGamma:
        return arb.const_euler()
    return None


def _operation(expression: sp.Expr, analytic: bool = False) -> Callable[..., Ball]:
    """The function that applies an expression's head to balls of its arguments."""
    kind: Callable[..., Ball] | None = _HEADS.get(expression.func)
    if isinstance(expression, sp.Pow):
        return _power(expression.exp, analytic)
    if isinstance(expression, sp.log) and analytic:
        return _analytic_log
    if isinstance(expression, sp.Min | sp.Max | sp.Abs | sp.sign | sp.Heaviside) and analytic:
        return lambda *_: acb("nan")
    if kind is None:
        raise NotImplementedError(f"no ball for {expression.func.__name__}")
    return kind


def _power(exponent: sp.Expr, analytic: bool) -> Callable[..., Ball]:
    if exponent.is_Integer:
        whole = int(exponent)
        return lambda base, _: _whole_power(base, whole)
    if exponent.is_Rational and exponent.q == 2:
        half = int(exponent.p)
        return lambda base, _: _whole_power(_root(base, analytic), half)
    log = _analytic_log if analytic else _log
    return lambda base, ball: _exp(log(base) * ball)


def _whole_power(base: Ball, whole: int) -> Ball:
    if isinstance(base, arb | acb):
        return base**whole
    return base**whole if whole >= 0 else 1 / base ** (-whole)


def _root(base: Ball, analytic: bool) -> Ball:
    return base.sqrt(analytic=True) if analytic and isinstance(base, acb) else base.sqrt()


def _log(x: Ball) -> Ball:
    return x.log()


def _analytic_log(x: Ball) -> Ball:
    return x.log(analytic=True) if isinstance(x, acb) else x.log()


def _exp(x: Ball) -> Ball:
    return x.exp()


def _sum(*parts: Ball) -> Ball:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _product(*parts: Ball) -> Ball:
    total = parts[0]
    for part in parts[1:]:
        total = total * part
    return total


def _lowest(*parts: arb) -> arb:
    total = parts[0]
    for part in parts[1:]:
        total = total.min(part)
    return total


def _highest(*parts: arb) -> arb:
    total = parts[0]
    for part in parts[1:]:
        total = total.max(part)
    return total


def _cosh(x: Ball) -> Ball:
    return x.cosh() if isinstance(x, arb | acb) else (x.exp() + (-x).exp()) / 2


def _sinh(x: Ball) -> Ball:
    return x.sinh() if isinstance(x, arb | acb) else (x.exp() - (-x).exp()) / 2


def _tanh(x: Ball) -> Ball:
    return x.tanh() if isinstance(x, arb | acb) else 1 - 2 / (1 + (2 * x).exp())


def _step(x: arb, *_: arb) -> arb:
    if bool(x > 0):
        return arb(1)
    return arb(0) if bool(x < 0) else arb(0.5, 0.5)


def _sign(x: arb) -> arb:
    return 2 * _step(x) - 1


def _mixture(*parts: Ball) -> Ball:
    """-log Σ exp(-x), the smallest x taken out, so that nothing is lost where it is wide."""
    least = min(range(len(parts)), key=lambda n: _middle(parts[n]))
    others = [(parts[least] - x).exp() for n, x in enumerate(parts) if n != least]
    return parts[least] - (1 + _sum(*others)).log()


def _middle(x: Ball) -> float:
    first = x if isinstance(x, arb | acb) else x[0]
    return float(first.real.mid() if isinstance(first, acb) else first.mid())


def _share(index: Ball, *parts: Ball) -> Ball:
    """exp(-x_i)/Σ exp(-x_j), the smallest x taken out."""
    least = min(range(len(parts)), key=lambda n: _middle(parts[n]))
    weights = [arb(1) if n == least else (parts[least] - x).exp() for n, x in enumerate(parts)]
    return weights[int(index.unique_fmpz())] / _sum(*weights)


def _pieces(expression: sp.Piecewise, values: Mapping[sp.Symbol, arb]) -> arb:
    """The hull of the pieces that can apply."""
    found: arb | None = None
    for value, condition in expression.args:
        holds = _truth(condition, values)
        if holds is False:
            continue
        ball = evaluate(value, values)
        found = ball if found is None else hull(found, ball)
        if holds:
            return found
    return arb("nan")


def _truth(condition: sp.Basic, values: Mapping[sp.Symbol, arb]) -> bool | None:
    if condition in (sp.true, sp.false):
        return bool(condition)
    if isinstance(condition, sp.And | sp.Or):
        parts = [_truth(part, values) for part in condition.args]
        decisive = isinstance(condition, sp.Or)
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    if not isinstance(condition, sp.core.relational.Relational):
        return None
    gap = evaluate(condition.gts - condition.lts, values) if hasattr(condition, "gts") else arb("nan")
    strict = isinstance(condition, sp.Gt | sp.Lt)
    if bool(gap > 0) or (not strict and bool(gap >= 0)):
        return True
    if bool(gap < 0) or (strict and bool(gap <= 0)):
        return False
    return None


_HEADS: Mapping[Any, Callable[..., Ball]] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.exp: _exp,
    sp.log: _log,
    sp.Min: _lowest,
    sp.Max: _highest,
    sp.Abs: abs,
    sp.sign: _sign,
    sp.Heaviside: _step,
    sp.cosh: _cosh,
    sp.sinh: _sinh,
    sp.tanh: _tanh,
    sp.cos: lambda x: x.cos(),
    sp.sin: lambda x: x.sin(),
    sp.tan: lambda x: x.tan(),
    sp.atan: lambda x: x.atan(),
    sp.atanh: lambda x: x.atanh(),
    sp.erf: lambda x: x.erf(),
    sp.erfc: lambda x: x.erfc(),
    sp.gamma: lambda x: x.gamma(),
    sp.polygamma: lambda n, x: acb(x).polygamma(acb(n)).real,
    Log1p: lambda x: x.log1p() if isinstance(x, arb | acb) else (1 + x).log(),
    Expm1: lambda x: x.expm1() if isinstance(x, arb | acb) else x.exp() - 1,
    NormalQuantile: lambda x: (2 * x - 1).erfinv() * arb(2).sqrt(),
    GammaRatio: lambda x, y: (x.lgamma() - y.lgamma()).exp(),
    GammaUpper: lambda a, x: x.gamma_upper(a, regularized=1),
    BetaLower: lambda a, b, x: x.beta_lower(a, b, regularized=True),
    BetaQuantile: beta_quantile,
    Mixture: _mixture,
    Share: _share,
}
