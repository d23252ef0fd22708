"""Parts of an expression while it is read: the SymPy form, the values at trial points, the size. Arithmetic within limits.

SymPy computes while it builds: 9**9999999 or gamma(10**9) would never end, and neither would an alarm stop them. So every part is
first evaluated in ball arithmetic (microseconds at any size); only then is it built, if it has a value and is small enough.
Constants are exact. A part that has a finite real value at no trial point is refused: this is how 1/(r - r) or sqrt(-r) are found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sympy as sp
from flint import arb, fmpq

MAX_NESTING = 10  # functions, powers and divisors inside one another
MAX_BITS = 4096  # of a numerator or denominator
MAX_DECADES = 300  # a constant is 0 or between 1e-300 and 1e300
MAX_EXPONENT = 10_000  # of a power of an expression
MAX_CONSTANT_EXPONENT = 100  # of a power of an irrational constant
MAX_TERMS = 100_000  # when multiplied out
MAX_DEGREE = 200  # of a term of a sum: SymPy factors sums to find their signs
PRECISION = 128  # bits of the balls

Balls = tuple[arb, ...]
NO_NUMBERS = (sp.nan, sp.zoo, sp.oo, -sp.oo)
_TRIALS = tuple(
    fmpq(*v)
    for v in ((37, 101), (171, 103), (1, 1009), (533, 107), (1009, 109), (89, 97), (1, 999983), (10**12, 113))
)
_WHOLE_TRIALS = tuple(fmpq(v) for v in (3, 2, 5, 7, 4, 11, 6, 9))


class OperandError(ValueError):
    """An operation without a value or beyond a limit; the message is one line."""


@dataclass(frozen=True)
class Function:
    """A function of the grammar: as a SymPy expression, on balls, and how many arguments it takes."""

    build: Callable[..., sp.Expr]
    ball: Callable[..., arb]
    least: int = 1
    most: int = 1


def _fold(choose: Callable[[arb, arb], arb]) -> Callable[..., arb]:
    def fold(best: arb, *others: arb) -> arb:
        for other in others:
            best = choose(best, other)
        return best

    return fold


FUNCTIONS: Mapping[str, Function] = {
    "exp": Function(sp.exp, arb.exp),
    "expm1": Function(lambda x: sp.exp(x) - 1, arb.expm1),
    "log": Function(sp.log, arb.log),
    "log1p": Function(lambda x: sp.log(1 + x), arb.log1p),
    "sqrt": Function(sp.sqrt, arb.sqrt),
    "abs": Function(sp.Abs, abs),
    "min": Function(sp.Min, _fold(arb.min), 2, 8),
    "max": Function(sp.Max, _fold(arb.max), 2, 8),
    "sin": Function(sp.sin, arb.sin),
    "cos": Function(sp.cos, arb.cos),
    "atan": Function(sp.atan, arb.atan),
    "sinh": Function(sp.sinh, arb.sinh),
    "cosh": Function(sp.cosh, arb.cosh),
    "tanh": Function(sp.tanh, arb.tanh),
    "sech": Function(lambda x: 1 / sp.cosh(x), arb.sech),
    "asinh": Function(lambda x: sp.log(x + sp.sqrt(x**2 + 1)), arb.asinh),
    "acosh": Function(lambda x: sp.log(x + sp.sqrt(x**2 - 1)), arb.acosh),
    "erf": Function(sp.erf, arb.erf),
    "erfc": Function(sp.erfc, arb.erfc),
    "gamma": Function(sp.gamma, arb.gamma),
}


_SUMS = ("min", "max", "asinh", "acosh")  # SymPy looks for the sign of a sum: of a difference, or of x**2 ± 1


@dataclass(frozen=True)
class Operand:
    """A part that has been read. `terms` and `degree` bound those of the part when multiplied out."""

    expression: sp.Expr
    balls: Balls
    nesting: int = 0
    terms: int = 1
    degree: int = 1

    @property
    def constant(self) -> bool:
        return not self.expression.free_symbols


def number(value: sp.Rational) -> Operand:
    """An exact number."""
    return Operand(value, _exactly(value), degree=0)


def named(value: sp.Expr, place: int) -> Operand:
    """What a name stands for: a real symbol, an exact number or pi. `place` keeps the trial values of different names apart."""
    if value.is_Rational:
        return number(value)
    if value == sp.pi:
        return Operand(value, (arb.pi(),) * len(_TRIALS), degree=0)
    if not value.is_Symbol:
        raise TypeError(f"a name must stand for a symbol, an exact number or pi, not {value}")
    trials = _WHOLE_TRIALS if value.is_integer else _TRIALS
    signs = (1, 1) if value.is_nonnegative else (1, -1)
    places = [(i * (2 * place + 1) + place) % len(trials) for i in range(len(trials))]
    return Operand(value, tuple(arb(signs[(i + i // 2) % 2] * trials[j]) for i, j in enumerate(places)))


def negative(x: Operand) -> Operand:
    return replace(x, expression=-x.expression, balls=tuple(-b for b in x.balls))


def plus(x: Operand, y: Operand) -> Operand:
    degree = max(x.degree, y.degree)
    if degree > MAX_DEGREE and not (x.expression == 0 or y.expression == 0):
        raise OperandError(f"a sum with a power beyond {MAX_DEGREE}; use a smaller one")
    size = Operand(sp.Integer(0), (), 0, x.terms + y.terms, degree)
    return _built(
        "+", lambda a, b: a + b, (x, y), tuple(a + b for a, b in zip(x.balls, y.balls, strict=True)), size
    )


def times(x: Operand, y: Operand) -> Operand:
    size = Operand(sp.Integer(0), (), 0, x.terms * y.terms, x.degree + y.degree)
    return _built(
        "*", lambda a, b: a * b, (x, y), tuple(a * b for a, b in zip(x.balls, y.balls, strict=True)), size
    )


def over(x: Operand, y: Operand) -> Operand:
    size = Operand(sp.Integer(0), (), 0 if y.constant else 1, x.terms * y.terms, x.degree + y.degree)
    return _built(
        "/", lambda a, b: a / b, (x, y), tuple(a / b for a, b in zip(x.balls, y.balls, strict=True)), size
    )


def power(x: Operand, y: Operand) -> Operand:
    """x**y, where the numeric parts of y are bounded: they would be multiplied out."""
    if x.expression == 0 and y.expression == 0:
        raise OperandError("0**0 has no value; write 1 if you mean it")
    limit = MAX_EXPONENT
    if x.constant and not x.expression.is_Rational and y.expression.is_Rational:
        limit = MAX_CONSTANT_EXPONENT
    shift = y.expression.as_coeff_Add()[0]  # what can be split off: x**(n + k) = x**n·x**k
    size = abs(shift) if shift.is_Rational else sp.Integer(0)
    for factor in sp.Mul.make_args(x.expression):
        if factor.is_number and any(_bits(q) * size > MAX_BITS for q in factor.atoms(sp.Rational)):
            raise OperandError(f"a numeric power with more than {MAX_BITS} bits; use smaller numbers")
    if size > limit or all(abs(b) > limit for b in y.balls):
        raise OperandError(f"an exponent beyond {limit}; use a smaller one")
    _check_logarithms(y)
    whole = math.ceil(size)
    grown = Operand(sp.Integer(0), (), 1, _power_terms(x.terms, whole), max(x.degree, 1) * max(whole, 1))
    return _built(
        "**", lambda a, b: a**b, (x, y), tuple(a**b for a, b in zip(x.balls, y.balls, strict=True)), grown
    )


def applied(name: str, arguments: tuple[Operand, ...]) -> Operand:
    """The function of that name; OperandError where the number of arguments is wrong or there is no value."""
    function = FUNCTIONS[name]
    if not function.least <= len(arguments) <= function.most:
        wanted = (
            str(function.least) if function.most == function.least else f"{function.least} to {function.most}"
        )
        raise OperandError(
            f"{name} takes {wanted} argument{'' if wanted == '1' else 's'}, not {len(arguments)}"
        )
    if name in ("exp", "expm1"):
        _check_logarithms(arguments[0])
    if name in _SUMS and any(a.degree > MAX_DEGREE // 2 for a in arguments):
        raise OperandError(f"{name} of a power beyond {MAX_DEGREE // 2}; use a smaller one")
    balls = tuple(function.ball(*values) for values in zip(*(a.balls for a in arguments), strict=True))
    size = Operand(sp.Integer(0), (), 1, 1, max(a.degree for a in arguments))
    return _built(name, function.build, arguments, balls, size)


def check_whole(value: sp.Expr) -> None:
    """The limits again, on everything that the finished expression contains."""
    if value.has(*NO_NUMBERS, sp.I, sp.re, sp.im, sp.arg, sp.conjugate, sp.AccumBounds):
        raise OperandError("not a finite real expression; use functions inside their domains")
    if any(_bits(q) > MAX_BITS or abs(q) > 10**MAX_DECADES for q in value.atoms(sp.Rational)):
        raise OperandError(f"a number beyond 1e{MAX_DECADES} comes out; use smaller numbers")
    if any(p.exp.is_Rational and abs(p.exp) > MAX_EXPONENT for p in value.atoms(sp.Pow)):
        raise OperandError(f"an exponent beyond {MAX_EXPONENT} comes out; use a smaller one")


def _built(
    operator: str, make: Callable[..., sp.Expr], parts: tuple[Operand, ...], balls: Balls, grown: Operand
) -> Operand:
    """The operand made of `parts`, whose values are `balls` and whose size is that of `grown` (its nesting comes on top)."""
    nesting = max(q.nesting for q in parts) + grown.nesting
    if nesting > MAX_NESTING:
        raise OperandError(
            f"functions, powers and divisors nested more than {MAX_NESTING} deep; write it flatter"
        )
    if grown.terms > MAX_TERMS:
        raise OperandError(f"more than {MAX_TERMS} terms when multiplied out; write it shorter")
    if all(q.constant for q in parts):
        _check_constant(operator, balls[0])
    try:
        expression = make(*(q.expression for q in parts))
    except (ArithmeticError, AttributeError, NotImplementedError, RecursionError, TypeError, ValueError):
        raise OperandError(
            f"the result of {operator!r} is beyond what can be computed; write it simpler"
        ) from None
    if expression.is_Rational:
        return number(expression)
    if expression in NO_NUMBERS or not any(b.is_finite() for b in balls):
        raise OperandError(_undefined(operator))
    for factor in sp.Mul.make_args(expression):
        if factor.is_Rational and _bits(factor) > MAX_BITS:
            raise OperandError(f"a number with more than {MAX_BITS} bits; use smaller numbers")
        if factor.is_Pow and factor.exp.is_Rational and abs(factor.exp) > MAX_EXPONENT:
            raise OperandError(f"an exponent beyond {MAX_EXPONENT}; use a smaller one")
    return Operand(expression, balls, nesting, grown.terms, grown.degree)


def _check_constant(operator: str, ball: arb) -> None:
    if not ball.is_finite():
        raise OperandError(_undefined(operator))
    size = abs(ball)
    if not size < arb(10) ** MAX_DECADES:
        raise OperandError(f"a constant beyond 1e{MAX_DECADES}; use smaller numbers")
    if not size.contains(0) and not size > arb(10) ** -MAX_DECADES:
        raise OperandError(f"a constant below 1e-{MAX_DECADES}; use larger numbers")


def _check_logarithms(exponent: Operand) -> None:
    """exp(c·log(x)) becomes x**c: c may be no larger than an exponent."""
    if exponent.expression.has(sp.log):
        if any(abs(q) > MAX_EXPONENT for q in exponent.expression.atoms(sp.Rational)):
            raise OperandError(
                f"a number beyond {MAX_EXPONENT} beside a logarithm in an exponent; use a smaller one"
            )


def _undefined(operator: str) -> str:
    if operator == "/":
        return "division by zero, or by what cannot be told from zero; use a divisor that is not 0"
    return f"the result of {operator!r} is not a finite real number; use it inside its domain"


def _power_terms(terms: int, exponent: int) -> int:
    """Terms of (a_1 + … + a_terms)**exponent when multiplied out, or more than MAX_TERMS."""
    if terms == 1:
        return 1
    size = math.lgamma(exponent + terms) - math.lgamma(terms) - math.lgamma(exponent + 1)
    return round(math.exp(min(size, 2 * math.log(MAX_TERMS))))


def _exactly(value: sp.Rational) -> Balls:
    return (arb(fmpq(int(value.p), int(value.q))),) * len(_TRIALS)


def _bits(value: sp.Rational) -> int:
    return max(int(value.p).bit_length(), int(value.q).bit_length())
