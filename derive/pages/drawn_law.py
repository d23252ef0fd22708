"""The law of the radius r in floats, to the accuracy of a picture: from the density's own expression, whatever it is.

Evaluated in logarithms with u = log r, so that exp(-r) at r = 3072 and r**3071 are ordinary numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from scipy import special as functions

from derive import formula
from derive.pages.chart import FloatArray
from derive.spec import Spec

_REACH = 690.0
"""The mass is looked for where |log r| is at most this."""
_NODES = 4001
_NEGLIGIBLE = 40.0
"""Where the log density of log r lies this far below its maximum, nothing is seen."""

_FUNCTIONS: Mapping[type[sp.Expr], Callable[..., FloatArray]] = {
    sp.exp: np.exp,
    sp.cosh: np.cosh,
    sp.sinh: np.sinh,
    sp.tanh: np.tanh,
    sp.cos: np.cos,
    sp.sin: np.sin,
    sp.atan: np.arctan,
    sp.erf: functions.erf,
    sp.erfc: functions.erfc,
    sp.gamma: functions.gamma,
    sp.Abs: np.abs,
    sp.Min: lambda *x: np.minimum.reduce(x),
    sp.Max: lambda *x: np.maximum.reduce(x),
}


@dataclass(frozen=True)
class DrawnLaw:
    """The density of r ∝ r**(exponent-1)·q(r) on 0 < r (< bound), integrated by the trapezoidal rule in log r.

    Accurate to about four digits, tested and not proved; nothing that certifies may use it.
    """

    log_density: Callable[[FloatArray], FloatArray]
    exponent: int
    bound: float | None

    @cached_property
    def nodes(self) -> FloatArray:
        """log r where the mass is; ValueError when it lies beyond the radii that floats reach."""
        end = _REACH if self.bound is None else np.log(self.bound)
        u = np.linspace(-_REACH, end, 60_001)
        if self.bound is None and int(self._log_weight(u).argmax()) in (0, u.size - 1):
            raise ValueError("the mass lies at radii beyond the range of floats")
        for _ in range(3):  # each pass sees the narrow peak of a large exponent more sharply
            weight = self._log_weight(u)
            seen = np.flatnonzero(weight > weight.max() - _NEGLIGIBLE)
            first, last = max(int(seen[0]) - 1, 0), min(int(seen[-1]) + 1, u.size - 1)
            u = np.linspace(u[first], u[last], _NODES)
        return u

    @cached_property
    def log_total(self) -> float:
        """log of the integral of r**(exponent-1)·q(r)."""
        weight = self._log_weight(self.nodes)
        top = float(weight.max())
        return top + float(np.log(_trapezoid(np.exp(weight - top), self.nodes)[-1]))

    def density(self, radius: FloatArray) -> FloatArray:
        """The density of r; 0 beyond the bound."""
        u = np.log(radius)
        inside = np.exp(self._log_weight(u) - u - self.log_total)
        return inside if self.bound is None else np.where(radius <= self.bound, inside, 0.0)

    def quantile(self, share: float) -> float:
        """The radius within which that share of the mass lies."""
        mass = _trapezoid(np.exp(self._log_weight(self.nodes) - self.log_total), self.nodes)
        return float(np.exp(np.interp(share, mass, self.nodes)))

    def _log_weight(self, u: FloatArray) -> FloatArray:
        """log of the density of log r, up to a constant; -inf where floats cannot tell."""
        with np.errstate(all="ignore"):
            values = self.exponent * u + self.log_density(u)
        return np.where(np.isnan(values), -np.inf, values)


def drawn_law(spec: Spec, dim: int) -> DrawnLaw:
    """The law of r at the default parameters: of |x_i| for product noise, of the norm otherwise; at scale 1."""
    values = {q.symbol: q.default for q in spec.parameters} | {formula.dim: sp.Integer(dim)}
    expression = sp.sympify(spec.expression).subs(values)
    bound = None if spec.bound is None else float(sp.sympify(spec.bound).subs(values))
    return DrawnLaw(lambda u: _log(expression, u), 1 if spec.geometry == "product" else dim, bound)


def _log(e: sp.Expr, u: FloatArray) -> FloatArray:
    """log|e| at r = exp(u)."""
    if e == formula.r:
        return u
    if e.is_Mul:
        return np.sum([_log(factor, u) for factor in e.args], axis=0)
    if isinstance(e, sp.exp):
        return _value(e.args[0], u)
    if e.is_Pow:
        return _value(e.exp, u) * _log(e.base, u)
    if isinstance(e, sp.cosh):
        x = _value(e.args[0], u)
        return np.logaddexp(x, -x) - np.log(2.0)
    if e.is_Add and all(part.is_positive for part in e.args):
        return np.logaddexp.reduce([_log(part, u) for part in e.args])
    return np.log(np.abs(_value(e, u)))


def _value(e: sp.Expr, u: FloatArray) -> FloatArray:
    """e at r = exp(u)."""
    if not e.free_symbols:
        return np.full_like(u, float(e))
    if e == formula.r:
        return np.exp(u)
    if isinstance(e, sp.log):
        return _log(e.args[0], u)
    if e.is_Add:
        return np.sum([_value(part, u) for part in e.args], axis=0)
    if e.is_Mul:
        return np.prod([_value(part, u) for part in e.args], axis=0)
    if e.is_Pow:
        return np.power(_value(e.base, u), _value(e.exp, u))
    if e.func in _FUNCTIONS:
        return np.asarray(_FUNCTIONS[e.func](*(_value(part, u) for part in e.args)), dtype=np.float64)
    raise NotImplementedError(f"{e.func.__name__} cannot be drawn")


def _trapezoid(y: FloatArray, x: FloatArray) -> FloatArray:
    """The cumulative integral, 0 at first."""
    return np.concatenate([[0.0], np.cumsum((y[1:] + y[:-1]) / 2.0 * np.diff(x))])
