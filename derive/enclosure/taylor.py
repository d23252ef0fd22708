"""An expression in r as a function of u = log r: Taylor series with ball coefficients, and NumPy arrays for searches.

In log r every power of r is an exponential and log r is linear, so no rounding is spent on the size of r.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from operator import add, mul
from typing import Any, Protocol

import numpy as np
import sympy as sp
from flint import arb, arb_poly, arb_series, ctx
from scipy import special

from derive.enclosure.ball import evaluate, hull
from derive.formula import Expm1, Log1p, Mixture, Share, r

PARTS = (1, 3, 9)
INTEGER_POWERS = 24
"""Powers up to this are products, so that their base may have any sign."""


class Undecided(ArithmeticError):
    """A condition of a Piecewise, or a sign, that the ball does not settle."""


class _Numbers(Protocol):
    """What an expression needs of the numbers it is evaluated on."""

    def precision(self) -> int: ...
    def constant(self, value: sp.Expr) -> Any: ...
    def call(self, name: str, x: Any) -> Any: ...
    def select(self, choices: list[tuple[Callable[[], Any], list[tuple[str, Any]]]]) -> Any: ...
    def pivot(self, parts: list[Any]) -> Any: ...


class _Series:
    """Truncated power series of length ctx.cap."""

    def precision(self) -> int:
        return int(ctx.prec)

    def constant(self, value: sp.Expr) -> arb:
        return evaluate(value, {})

    def call(self, name: str, x: Any) -> Any:
        return self._called(name, x if isinstance(x, arb_series) else arb_series([x]))

    def _called(self, name: str, x: Any) -> Any:
        match name:
            case "tanh":
                sign = -1 if bool(constant_term(x).mid() < 0) else 1
                decay = (-2 * sign * x).exp()
                return sign * (1 - decay) / (1 + decay)
            case "cosh":
                return (x.exp() + (-x).exp()) / 2
            case "sinh":
                return (x.exp() - (-x).exp()) / 2
            case _:
                return getattr(x, name)()

    def select(self, choices: list[tuple[Callable[[], Any], list[tuple[str, Any]]]]) -> Any:
        possible = []
        for value, conditions in choices:
            settled = [_settled(relation, difference) for relation, difference in conditions]
            if False in settled:
                continue
            possible.append(value)
            if None not in settled:
                break
        if len(possible) == 1:
            return possible[0]()
        if not possible or ctx.cap > 1:
            raise Undecided("no branch of the density is settled here")
        values = [constant_term(value()) for value in possible]
        return arb_series([reduce(hull, values)])

    def pivot(self, parts: list[Any]) -> Any:
        return reduce(lambda x, y: y if bool(constant_term(y).mid() < constant_term(x).mid()) else x, parts)


class _Balls(_Series):
    """Balls, without the weight of a series of one term."""

    def call(self, name: str, x: Any) -> Any:
        return self._called(name, x)


class _Arrays:
    """NumPy arrays of float64; nothing proved."""

    def precision(self) -> int:
        return 0

    def constant(self, value: sp.Expr) -> float:
        return float(value)

    def call(self, name: str, x: Any) -> Any:
        return _FUNCTIONS[name](x)

    def select(self, choices: list[tuple[Callable[[], Any], list[tuple[str, Any]]]]) -> Any:
        result: Any = np.nan
        for value, conditions in reversed(choices):
            holds = reduce(
                np.logical_and, (_RELATIONS[name](difference) for name, difference in conditions), True
            )
            result = np.where(holds, value(), result)
        return result

    def pivot(self, parts: list[Any]) -> Any:
        return reduce(np.minimum, parts)


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "tanh": np.tanh,
    "cosh": np.cosh,
    "sinh": np.sinh,
    "atan": np.arctan,
    "cos": np.cos,
    "sin": np.sin,
    "erf": special.erf,
    "erfc": special.erfc,
}
_RELATIONS: dict[str, Callable[[Any], Any]] = {
    "<": lambda x: x < 0,
    "<=": lambda x: x <= 0,
    ">": lambda x: x > 0,
    ">=": lambda x: x >= 0,
}
_SERIES, _BALLS, _ARRAYS = _Series(), _Balls(), _Arrays()
_Node = Callable[[_Numbers, Any], Any]
_METHODS = {
    sp.exp: "exp",
    sp.log: "log",
    sp.tanh: "tanh",
    sp.cosh: "cosh",
    sp.sinh: "sinh",
    sp.atan: "atan",
    sp.erf: "erf",
    sp.erfc: "erfc",
    sp.cos: "cos",
    sp.sin: "sin",
}


@dataclass(frozen=True)
class LogRadial:
    """An expression in r alone, compiled once; `series` is an enclosure, `array` is not."""

    node: _Node

    @classmethod
    def of(cls, expression: sp.Expr) -> LogRadial:
        """NotImplementedError for a function that has no series here."""
        if expression.has(sp.Min, sp.Max, sp.Abs):
            expression = expression.rewrite(sp.Piecewise)
        expression = expression.replace(sp.sech, lambda x: 1 / sp.cosh(x))
        expression = expression.replace(
            _is_versed, lambda e: 2 * sp.cos(next(iter(e.atoms(sp.cos))).args[0] / 2) ** 2
        )
        # where all of these logarithms are real the identities hold, and elsewhere there is no number
        return cls(_compiled(sp.expand_log(expression, force=True)))

    def series(self, u: arb_series) -> arb_series:
        """Composition with u, of length ctx.cap; Undecided when a branch is not settled by u's constant term."""
        try:
            value = self.node(_SERIES, u)
        except (ValueError, ZeroDivisionError) as problem:  # a division by a ball that contains 0
            raise Undecided(str(problem)) from problem
        return value if isinstance(value, arb_series) else arb_series([value])

    def at(self, u: arb) -> arb:
        """The value at one ball."""
        previous, ctx.cap = ctx.cap, 1
        try:
            value = constant_term(self.node(_BALLS, u))
            return value if value.is_finite() else constant_term(self.series(arb_series([u])))
        finally:
            ctx.cap = previous

    def array(self, u: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(self.node(_ARRAYS, u), dtype=float), np.shape(u))


def constant_term(x: Any) -> arb:
    return x if isinstance(x, arb) else coefficients(x, 1)[0]


def coefficients(x: arb_series, count: int) -> list[arb]:
    """The first `count` coefficients, with the zeros that python-flint leaves out."""
    if x.prec < count:
        raise RuntimeError(f"internal check failed: {count} terms asked of a series known to {x.prec}")
    found = x.coeffs()[:count]
    return found + [arb(0)] * (count - len(found))


def recentred(terms: list[arb], last: arb) -> arb_series:
    """Coefficients about every point of [-1, 1] at once.

    `terms` holds the first N coefficients of f about 0 and `last` encloses the N-th about every point of [-1, 1]; the result
    encloses coefficients 0 … N about every point.
    """
    count = len(terms)
    shifted = _shifted(terms, arb(0, 1))
    bound = arb(0, abs(last).upper())
    binomial = 1
    for k in range(count):
        shifted[k] = shifted[k] + binomial * bound
        binomial = binomial * (count - k) // (k + 1)
    return arb_series([*shifted, last])


def last_coefficient(function: Callable[[arb_series], arb_series], terms: list[arb], enough: arb) -> arb:
    """Encloses the N-th coefficient of function(p), p the polynomial of these N terms, about every point of [-1, 1].

    [-1, 1] is cut into smaller parts until the enclosure is smaller than `enough`, or no longer worth it. Undecided if none is finite.
    """
    count = len(terms)
    previous, ctx.cap = ctx.cap, count + 1
    best = arb("nan")
    try:
        for parts in PARTS:
            found: list[arb] = []
            for k in range(parts):
                place = arb(2 * k + 1 - parts, 1) / parts
                found.append(coefficients(function(arb_series(_shifted(terms, place))), count + 1)[count])
                if not found[-1].is_finite():
                    break
            value = reduce(hull, found)
            if value.is_finite():
                best = value
                if bool(abs(value) < enough):
                    break
    finally:
        ctx.cap = previous
    if not best.is_finite():
        raise Undecided("the series cannot be bounded on this panel")
    return best


def _shifted(terms: list[arb], place: arb) -> list[arb]:
    found = arb_poly(terms)(arb_poly([place, 1])).coeffs()
    return found + [arb(0)] * (len(terms) - len(found))


def _is_versed(expression: sp.Expr) -> bool:
    """1 + cos(x), whose double zero intervals would not see."""
    return (
        isinstance(expression, sp.Add)
        and len(expression.args) == 2
        and expression.args[0] == 1
        and expression.args[1].func is sp.cos
    )


def _compiled(expression: sp.Expr) -> _Node:
    if not expression.has(r):
        _SERIES.constant(expression)  # raises where there is no ball for it
        return _fixed(expression)
    if expression == r:
        return lambda numbers, u: numbers.call("exp", u)
    if expression == sp.log(r):
        return lambda numbers, u: u
    if isinstance(expression, sp.Piecewise):
        return _piecewise(expression)
    if isinstance(expression, sp.log):
        total = expression.args[0]
        if total.has(sp.cosh, sp.sinh):
            total = sp.expand(total.rewrite(sp.exp))
        if isinstance(total, sp.Add) and total.has(sp.exp):
            return _log_sum(total)
    parts = [_compiled(a) for a in expression.args]
    if isinstance(expression, sp.Add | sp.Mul):
        join = add if isinstance(expression, sp.Add) else mul
        return lambda numbers, u: reduce(join, (part(numbers, u) for part in parts))
    if isinstance(expression, sp.Pow):
        return _power(expression)
    if isinstance(expression, Log1p):
        return lambda numbers, u: numbers.call("log", 1 + parts[0](numbers, u))
    if isinstance(expression, Expm1):
        return lambda numbers, u: numbers.call("exp", parts[0](numbers, u)) - 1
    if isinstance(expression, Mixture):
        return lambda numbers, u: _mixture(numbers, [part(numbers, u) for part in parts])
    if isinstance(expression, Share):
        index = int(expression.args[0])
        return lambda numbers, u: _share(numbers, [part(numbers, u) for part in parts[1:]], index)
    if expression.func in _METHODS:
        name = _METHODS[expression.func]
        return lambda numbers, u: numbers.call(name, parts[0](numbers, u))
    raise NotImplementedError(f"no Taylor series for {expression.func.__name__}")


def _fixed(expression: sp.Expr) -> _Node:
    """A constant, computed once at each precision."""
    known: dict[int, Any] = {}

    def node(numbers: _Numbers, u: Any) -> Any:
        precision = numbers.precision()
        if precision not in known:
            known[precision] = numbers.constant(expression)
        return known[precision]

    return node


def _power(expression: sp.Pow) -> _Node:
    base, exponent = expression.args
    if exponent.has(r):
        return _compiled(sp.exp(exponent * sp.log(base)))
    fixed = _fixed(exponent)
    if base == r:
        return lambda numbers, u: numbers.call("exp", fixed(numbers, u) * u)
    inner = _compiled(base)
    if exponent.is_Integer and 0 < abs(int(exponent)) <= INTEGER_POWERS:
        count = abs(int(exponent))
        if exponent > 0:
            return lambda numbers, u: reduce(mul, [inner(numbers, u)] * count)
        return lambda numbers, u: 1 / reduce(mul, [inner(numbers, u)] * count)
    if abs(exponent) == sp.Rational(1, 2):
        name = "sqrt" if exponent > 0 else "rsqrt"
        return lambda numbers, u: numbers.call(name, inner(numbers, u))
    return lambda numbers, u: numbers.call("exp", fixed(numbers, u) * numbers.call("log", inner(numbers, u)))


def _mixture(numbers: _Numbers, parts: list[Any]) -> Any:
    pivot = numbers.pivot(parts)
    return pivot - numbers.call(
        "log", reduce(add, (1 if x is pivot else numbers.call("exp", pivot - x) for x in parts))
    )


def _log_sum(total: sp.Add) -> _Node:
    """log(Σ factor·exp(exponent)), the largest exponential taken out."""
    exponents: list[_Node] = []
    factors: list[_Node] = []
    for term in total.args:
        powers = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.exp)]
        exponents.append(_compiled(sp.Add(*(f.args[0] for f in powers))))
        factors.append(_compiled(term / sp.Mul(*powers)))

    def node(numbers: _Numbers, u: Any) -> Any:
        found = [-exponent(numbers, u) for exponent in exponents]
        pivot = numbers.pivot(found)
        scaled = (f(numbers, u) * numbers.call("exp", pivot - x) for f, x in zip(factors, found, strict=True))
        return numbers.call("log", reduce(add, scaled)) - pivot

    return node


def _share(numbers: _Numbers, parts: list[Any], index: int) -> Any:
    own = parts[index]
    return 1 / reduce(add, (1 if x is own else numbers.call("exp", own - x) for x in parts))


def _piecewise(expression: sp.Piecewise) -> _Node:
    branches = [(_compiled(value), _conditions(condition)) for value, condition in expression.args]

    def node(numbers: _Numbers, u: Any) -> Any:
        return numbers.select(
            [
                (partial(value, numbers, u), [(name, side(numbers, u)) for name, side in conditions])
                for value, conditions in branches
            ]
        )

    return node


def _conditions(condition: Any) -> list[tuple[str, _Node]]:
    """A conjunction of comparisons with 0."""
    if condition == sp.true:
        return []
    if isinstance(condition, sp.And):
        return [c for part in condition.args for c in _conditions(part)]
    if isinstance(condition, sp.Lt | sp.Le | sp.Gt | sp.Ge):
        return [(condition.rel_op, _compiled(condition.lhs - condition.rhs))]
    raise NotImplementedError(f"no test for the condition {condition}")


def _settled(relation: str, difference: Any) -> bool | None:
    value = constant_term(difference)
    if bool(value < 0):
        return relation in ("<", "<=")
    if bool(value > 0):
        return relation in (">", ">=")
    return None
