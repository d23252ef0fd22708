"""Signs of an expression in r on the whole half line, proved: symbolically where its structure shows them, else by intervals.

A pattern is the sequence of signs from 0 to the end, "+" for a positive expression, "-+" for one sign change, "0" for zero; zeros at
single points inside a sign are ignored. Unknown is None, and never counts as an answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import sympy as sp

from derive.enclosure import signs
from derive.formula import r, written_out
from derive.symbolic import attempt

SECONDS = 4.0
"""Time for one symbolic question; past it the answer is unknown."""
MAX_NESTING = 3

_t = sp.Symbol("t", positive=True)


def sign_pattern(
    expression: sp.Expr, bound: sp.Expr | None = None, kinks: tuple[sp.Expr, ...] = ()
) -> str | None:
    """The pattern for all parameters in their domains, from structure alone; None when it does not show."""
    expression = written_out(expression)
    if expression.has(sp.Piecewise):
        return attempt(_pieces_pattern, expression, bound, kinks, seconds=SECONDS)
    answer: str | None = attempt(_pattern, expression, bound, 0, seconds=SECONDS)
    return answer


def sign_of(
    expression: sp.Expr,
    bound: sp.Expr | None,
    kinks: tuple[sp.Expr, ...],
    values: Mapping[sp.Symbol, sp.Rational],
) -> str | None:
    """The pattern from structure, else at the given parameters by interval arithmetic over the whole line; None when unknown."""
    return sign_pattern(expression, bound, kinks) or interval_pattern(expression, bound, kinks, values)


def interval_pattern(
    expression: sp.Expr,
    bound: sp.Expr | None,
    kinks: tuple[sp.Expr, ...],
    values: Mapping[sp.Symbol, sp.Rational],
) -> str | None:
    """The pattern at exact parameter values, proved by interval arithmetic over the whole line; None when it is not."""
    at = written_out(expression).subs(values)
    if at.free_symbols - {r}:
        return None
    ends = None if bound is None else bound.subs(values)
    pieces = signs.sign_pattern(at, tuple(k.subs(values) for k in kinks), ends)
    return None if pieces is None else _joined([sign for sign, *_ in pieces])


def score_steps(score: sp.Expr, kinks: tuple[sp.Expr, ...]) -> str | None:
    """Signs of the jumps of the score at its kinks, "0" where it is continuous; None when one is unknown."""
    found = ""
    for kink in kinks:
        step = attempt(_step, score, kink, seconds=SECONDS)
        if step is None:
            return None
        sign = "0" if step.is_zero else "+" if step.is_positive else "-" if step.is_negative else None
        if sign is None:
            return None
        found += sign
    return found


def _step(score: sp.Expr, kink: sp.Expr) -> sp.Expr:
    """Right limit minus left limit at a kink, each from the branch that holds there."""
    near = sp.Rational(1, 10**30)
    after, before = (_decided(written_out(score), kink, kink * (1 + side * near)) for side in (1, -1))
    return sp.simplify(after.subs(r, kink) - before.subs(r, kink))


def end_value(expression: sp.Expr, at: sp.Expr, side: str) -> sp.Expr | None:
    """The one-sided limit in r, an expression in the parameters or ±oo; None when SymPy does not find it in time."""
    expression = written_out(expression)
    if expression.has(sp.Piecewise):
        expression = _last_piece(expression, at)
    value = attempt(_limit, expression, at, side, seconds=SECONDS)
    if value is None or value.has(sp.Limit, sp.nan, sp.AccumBounds, r, sp.zoo):
        return None
    return None if value.has(sp.oo) and value not in (sp.oo, -sp.oo) else value


def _limit(expression: sp.Expr, at: sp.Expr, side: str) -> sp.Expr | None:
    try:
        return sp.limit(expression, r, at, side)
    except (NotImplementedError, ValueError, TypeError, RecursionError, AttributeError, ZeroDivisionError):
        return None


def _last_piece(expression: sp.Expr, at: sp.Expr) -> sp.Expr:
    """The expression near an end: pieces are in ascending order of r, so the first one holds at 0 and the last one at the end."""
    place = 0 if at == 0 else -1
    return expression.replace(lambda e: isinstance(e, sp.Piecewise), lambda e: e.args[place][0])


def _joined(found: list[str]) -> str:
    """The signs without repetitions; zeros between equal signs leave no trace."""
    return "".join(sign for sign, _ in itertools.groupby(found))


def _pieces_pattern(expression: sp.Expr, bound: sp.Expr | None, kinks: tuple[sp.Expr, ...]) -> str | None:
    """One kink splits the line: each side is scaled to a half line of its own."""
    if len(kinks) != 1 or not kinks[0].is_positive:
        return None
    kink = kinks[0]
    inner = _decided(expression, kink, kink / 2)
    outer = _decided(expression, kink, 2 * kink)
    left = _pattern(inner, kink, 0)
    right = _pattern(outer.subs(r, kink + r), None if bound is None else bound - kink, 0)
    if left is None or right is None:
        return None
    return _joined(list(left + right))


def _decided(expression: sp.Expr, kink: sp.Expr, at: sp.Expr) -> sp.Expr:
    def choose(node: sp.Piecewise) -> sp.Expr:
        for value, condition in node.args:
            if sp.simplify(condition.subs(r, at)) == sp.true:
                return value
        return node

    return expression.replace(lambda e: isinstance(e, sp.Piecewise), choose)


def _pattern(expression: sp.Expr, bound: sp.Expr | None, depth: int) -> str | None:
    expression = sp.factor(sp.together(sp.powsimp(expression)))
    if expression == 0:
        return "0"
    if expression.has(sp.Piecewise) or depth > MAX_NESTING:
        return None
    total, changing = "+", 0
    for factor in sp.Mul.make_args(expression):
        base, exponent = factor.as_base_exp()
        if isinstance(factor, sp.exp) or (exponent.is_integer and exponent.is_even) or base == r:
            continue
        found = _base_pattern(base, bound, depth)
        if found is None or "0" in found:
            return None
        if not exponent.is_integer:
            if found != "+":
                return None
            continue
        changing += len(found) > 1
        if changing > 1:  # the order of their zeros is unknown
            return None
        total = _times(total, found)
    return total


def _times(one: str, other: str) -> str:
    if len(one) > 1:
        one, other = other, one
    flip = {"+": "-", "-": "+"}
    return other if one == "+" else "".join(flip[sign] for sign in other)


def _base_pattern(base: sp.Expr, bound: sp.Expr | None, depth: int) -> str | None:
    if base.is_positive or base.is_nonnegative:
        return "+"
    if base.is_negative or base.is_nonpositive:
        return "-"
    if not base.has(r):
        return None
    return _descartes(base, bound) or _by_slope(base, bound, depth)


def _descartes(base: sp.Expr, bound: sp.Expr | None) -> str | None:
    """A sum of powers of r whose coefficients change sign at most once has that many zeros, by Descartes' rule of signs."""
    x = r
    if bound is not None:
        base, x = sp.numer(sp.together(base.subs(r, bound * _t / (1 + _t)))), _t
    terms: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(sp.expand(base)):
        coefficient, power = term.as_independent(x, as_Add=False)
        root, exponent = power.as_base_exp()
        if power != 1 and (root != x or exponent.has(x)):
            return None
        exponent = exponent if power != 1 else sp.Integer(0)
        terms[exponent] = terms.get(exponent, sp.Integer(0)) + coefficient
    order = _ordered(list(terms))
    if order is None:
        return None
    found = []
    for exponent in order:
        coefficient = sp.factor(terms[exponent])
        if coefficient == 0:
            continue
        sign = "+" if coefficient.is_positive or coefficient.is_nonnegative else ""
        sign = sign or ("-" if coefficient.is_negative or coefficient.is_nonpositive else "")
        if not sign:
            return None
        found.append(sign)
    pattern = _joined(found)
    return pattern if 1 <= len(pattern) <= 2 else None


def _ordered(exponents: list[sp.Expr]) -> list[sp.Expr] | None:
    """Ascending, or None when two of them cannot be compared."""
    for a, b in itertools.combinations(exponents, 2):
        if not ((a - b).is_positive or (a - b).is_negative):
            return None
    return sorted(exponents, key=lambda a: sum(1 for b in exponents if (a - b).is_positive))


def _by_slope(base: sp.Expr, bound: sp.Expr | None, depth: int) -> str | None:
    """A monotone expression has the signs of its limits at the two ends."""
    slope = _pattern(sp.diff(base, r), bound, depth + 1)
    if slope not in ("+", "-"):
        return None
    low, high = _limit(base, sp.Integer(0), "+"), _limit(base, sp.oo if bound is None else bound, "-")
    if (
        low is None
        or high is None
        or low.has(sp.nan, sp.Limit, sp.AccumBounds)
        or high.has(sp.nan, sp.Limit, sp.AccumBounds)
    ):
        return None
    if slope == "-":
        low, high = high, low
    if low.is_nonnegative or low == sp.oo:
        return "+"
    if high.is_nonpositive or high == -sp.oo:
        return "-"
    if (low.is_negative or low == -sp.oo) and (high.is_positive or high == sp.oo):
        return "-+" if slope == "+" else "+-"
    return None
