"""The signs of an expression in r on the whole of (0, bound) or (0, oo), proved: structure, intervals at the ends, subdivision between.

The expression is cut at its kinks; on each part it is factored, and every factor's signs are proved on the whole part. Nothing is
sampled: a sign holds because an interval containing the factor's values excludes 0, or because a derivative's does and the ends agree.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sympy as sp
from flint import arb, ctx

from derive.enclosure.ball import Program, number
from derive.enclosure.span import INFINITY, ZERO, Span
from derive.enclosure.steady import OutOfTime, Steady
from derive.formula import r, written_out
from derive.timelimit import limited

BUDGET = 12.0
STEP = 3.0
"""Seconds of processor time for one symbolic step; far above what the steps of proofs that succeed take, so that a slow or busy machine
finds the same proofs."""
PRECISION = 160
MAX_BOXES = 20_000
ROOT_WIDTH = arb(2) ** -60
SMALLEST = arb(2) ** -100
SPLIT = arb(0.4837)
"""Boxes are not split in the middle, where roots like to be."""

Piece = tuple[str, arb, arb]
_NONSMOOTH = (sp.Piecewise, sp.Min, sp.Max, sp.Abs, sp.sign, sp.Heaviside, sp.DiracDelta)


class Unproved(ArithmeticError):
    """No proof was found."""


@dataclass(frozen=True)
class Part:
    """From `low` to `high`, exact constants; high None is oo."""

    low: sp.Expr
    high: sp.Expr | None

    @property
    def span(self) -> Span:
        low = max(number(self.low).lower(), ZERO, key=float)
        return Span(low, INFINITY if self.high is None else number(self.high).upper())


def sign_pattern(
    expression: sp.Expr,
    kinks: Iterable[sp.Expr] = (),
    bound: sp.Expr | None = None,
    *,
    budget: float = BUDGET,
) -> tuple[Piece, ...] | None:
    """The pieces of (0, bound), or (0, oo), on each of which the expression is positive ("+"), negative ("-") or zero ("0").

    Args:
        expression: in `formula.r` alone, real on the line; Piecewise, Min, Max and Abs are cut where they switch.
        kinks: exact numbers where it, or a derivative, may jump. A piece always ends at a kink.
        bound: an exact positive number; None for oo.
        budget: seconds.

    Returns:
        Pieces (sign, low, high) from 0 to the end. `low` and `high` are balls that contain the exact ends, so consecutive pieces share
        one: a kink, a sign change (width ≤ 1e-12 of it), or a zero that is touched. The sign holds strictly at every point between
        the exact ends. None when this is not proved: unknown.
    """
    try:
        with _precision():
            return _pattern(written_out(expression), kinks, bound, Steady(time.process_time() + budget))
    except (Unproved, OutOfTime, NotImplementedError):
        return None


def smooth_parts(
    expression: sp.Expr,
    kinks: Iterable[sp.Expr] = (),
    bound: sp.Expr | None = None,
    *,
    budget: float = BUDGET,
) -> tuple[tuple[Part, sp.Expr], ...] | None:
    """The parts between kinks and switches, each with the smooth expression that applies on it; None when that is not proved."""
    steady = Steady(time.process_time() + budget)
    try:
        with _precision():
            cuts = _cuts([*kinks, *_switches(expression, steady)], bound)
            ends = itertools.pairwise([sp.Integer(0), *cuts, bound])
            parts = [Part(low, high) for low, high in ends]
            return tuple((part, _smooth(expression, part, steady)) for part in parts)
    except (Unproved, OutOfTime, NotImplementedError):
        return None


def signs_on(expression: sp.Expr, part: Part, *, budget: float = BUDGET) -> tuple[Piece, ...] | None:
    """The sign pattern of a smooth expression on one part; None when it is not proved."""
    try:
        with _precision():
            return tuple(_smooth_pattern(expression, part, Steady(time.process_time() + budget)))
    except (Unproved, OutOfTime, NotImplementedError):
        return None


@contextmanager
def _precision() -> Iterator[None]:
    before = ctx.prec
    ctx.prec = PRECISION
    try:
        yield
    finally:
        ctx.prec = before


def _pattern(
    expression: sp.Expr, kinks: Iterable[sp.Expr], bound: sp.Expr | None, steady: Steady
) -> tuple[Piece, ...]:
    if expression.free_symbols - {r}:
        raise ValueError(
            f"internal check failed: a sign pattern needs an expression in r alone, not {expression}"
        )
    cuts = _cuts([*kinks, *_switches(expression, steady)], bound)
    pieces: list[Piece] = []
    for low, high in itertools.pairwise([sp.Integer(0), *cuts, bound]):
        part = Part(low, high)
        pieces += _smooth_pattern(_smooth(expression, part, steady), part, steady)
    return tuple(pieces)


# kinks
def _switches(expression: sp.Expr, steady: Steady) -> list[sp.Expr]:
    """Candidates for places where a non-smooth part switches; that they are all is proved by `_smooth`."""
    found: list[sp.Expr] = []
    for condition in _conditions(expression):
        if condition.has(*_NONSMOOTH):
            continue
        roots: list[sp.Expr] = limited(sp.solve, condition, r, seconds=min(steady.check(), STEP), default=[])
        found += [
            root for root in roots if isinstance(root, sp.Expr) and root.is_real and not root.free_symbols
        ]
    return found


def _conditions(expression: sp.Expr) -> list[sp.Expr]:
    """Expressions whose signs decide which smooth branch applies."""
    found: list[sp.Expr] = []
    for node in sp.preorder_traversal(expression):
        if isinstance(node, sp.Piecewise):
            relations = [
                c for _, condition in node.args for c in condition.atoms(sp.core.relational.Relational)
            ]
            found += [c.lhs - c.rhs for c in relations]
        elif isinstance(node, sp.Min | sp.Max):
            found += [a - b for a, b in itertools.combinations(node.args, 2)]
        elif isinstance(node, _NONSMOOTH):
            found.append(node.args[0])
    return [e for e in dict.fromkeys(found) if e.free_symbols]


def _cuts(places: list[sp.Expr], bound: sp.Expr | None) -> list[sp.Expr]:
    end = INFINITY if bound is None else number(bound)
    inside: list[sp.Expr] = []
    for place in places:
        ball = number(place)
        if bool(ball <= 0) or bool(ball >= end) or any(sp.simplify(place - other) == 0 for other in inside):
            continue
        if not (bool(ball > 0) and bool(ball < end)):
            if bound is not None and sp.simplify(place - bound) == 0:
                continue
            raise Unproved("a kink that may be at an end")
        inside.append(place)
    inside.sort(key=lambda place: float(number(place)))
    for one, other in itertools.pairwise(inside):
        if not bool(number(one) < number(other)):
            raise Unproved("kinks that cannot be told apart")
    return inside


def _smooth(expression: sp.Expr, part: Part, steady: Steady) -> sp.Expr:
    """The branch that applies on a part, innermost switches first."""
    if not isinstance(expression, sp.Expr) or not expression.has(*_NONSMOOTH):
        return expression
    if isinstance(expression, sp.Piecewise):
        for value, condition in expression.args:
            if _holds(condition, part, steady):
                return _smooth(value, part, steady)
        raise Unproved("no branch of a Piecewise applies")
    arguments = [_smooth(a, part, steady) for a in expression.args]
    if not isinstance(expression, _NONSMOOTH):
        return expression.func(*arguments)
    first = arguments[0]
    if isinstance(expression, sp.Min | sp.Max):
        for other in arguments[1:]:
            keep = _one_sign(first - other, part, steady) * (1 if isinstance(expression, sp.Max) else -1)
            first = first if keep >= 0 else other
        return first
    sign = _one_sign(first, part, steady)
    if isinstance(expression, sp.Abs):
        return first * sign
    if isinstance(expression, sp.DiracDelta):
        if sign == 0:
            raise Unproved("a point mass on an interval")
        return sp.Integer(0)
    return sp.Integer(sign if isinstance(expression, sp.sign) else (sign + 1) // 2)


def _holds(condition: sp.Basic, part: Part, steady: Steady) -> bool:
    if condition in (sp.true, sp.false):
        return bool(condition)
    if isinstance(condition, sp.And):
        return all(_holds(c, part, steady) for c in condition.args)
    if isinstance(condition, sp.Or):
        return any(_holds(c, part, steady) for c in condition.args)
    if not isinstance(condition, sp.core.relational.Relational):
        raise Unproved(f"a condition that is no comparison: {condition}")
    sign = _one_sign(_smooth(condition.lhs - condition.rhs, part, steady), part, steady)
    return bool(condition.func(sp.Integer(sign), 0))


def _one_sign(expression: sp.Expr, part: Part, steady: Steady) -> int:
    pieces = _smooth_pattern(expression, part, steady)
    signs = {sign for sign, _, _ in pieces}
    if len(signs) != 1:
        raise Unproved("a switch inside a part")
    return {"+": 1, "-": -1, "0": 0}[signs.pop()]


# one smooth part
def _smooth_pattern(expression: sp.Expr, part: Part, steady: Steady) -> list[Piece]:
    product = steady.factored(expression)
    if product == 0 or (expression.has(sp.sin, sp.cos) and _is_zero(expression, steady)):
        return _pieces([], 0, part)
    forms = [product, expression]
    if expression.has(sp.sin, sp.cos):
        simple = limited(sp.trigsimp, product, seconds=min(steady.check(), STEP), default=product)
        forms.insert(0, steady.factored(simple))
    for form in dict.fromkeys(forms):
        try:
            return _product_pattern(form, part, steady)
        except Unproved:
            continue
    raise Unproved(f"the signs of {expression}")


def _is_zero(expression: sp.Expr, steady: Steady) -> bool:
    return bool(limited(sp.simplify, expression, seconds=min(steady.check(), STEP), default=expression) == 0)


def _product_pattern(product: sp.Expr, part: Part, steady: Steady) -> list[Piece]:
    sign, zeros = 1, []  # the sign at the right end, and (place, changes the sign)
    for factor in sp.Mul.make_args(product):
        found = steady.sign(factor, part.span)
        if found is not None:
            sign *= found
            continue
        base, exponent = factor.as_base_exp()
        if isinstance(factor, sp.exp) or exponent.free_symbols:
            base, exponent = factor, sp.Integer(1)
        last, roots = _factor_signs(base, part, steady)
        if not exponent.is_Integer and (roots or last != 1):
            raise Unproved("a fractional power of a factor that is not positive")
        if exponent.is_negative and roots:
            raise Unproved("a pole inside")
        odd = not exponent.is_Integer or int(exponent) % 2 == 1
        sign *= last if odd else last * last
        zeros += [(root, odd) for root in roots]
    return _pieces(zeros, sign, part)


def _pieces(zeros: list[tuple[arb, bool]], sign: int, part: Part) -> list[Piece]:
    end = INFINITY if part.high is None else number(part.high)
    zeros.sort(key=lambda zero: float(zero[0]))
    for (one, _), (other, _) in itertools.pairwise(zeros):
        if not bool(one < other):
            raise Unproved("zeros of two factors that cannot be told apart")
    pieces: list[Piece] = []
    for place, changes in reversed(zeros):
        pieces.append((_NAMES[sign], place, end))
        end, sign = place, -sign if changes else sign
    pieces.append((_NAMES[sign], number(part.low), end))
    return pieces[::-1]


_NAMES = {1: "+", -1: "-", 0: "0"}


def _factor_signs(f: sp.Expr, part: Part, steady: Steady) -> tuple[int, list[arb]]:
    """(sign at the right end, simple roots): ends first, then what lies between."""
    value, slope = Program(f, r), Program(sp.diff(f, r), r)
    low, high = number(part.low), INFINITY if part.high is None else number(part.high)
    width = high - low if high.is_finite() else None
    first: int | None = None
    last: int | None = None
    start, stop = low.lower(), high.upper() if high.is_finite() else None
    if part.low == 0 or _sign(value(low)) is None:
        reach = (width / 4).lower() if width is not None else arb(1)
        near = steady.near_zero(f if part.low == 0 else sp.expand(f.subs(r, part.low + r)), reach)
        if near is not None and near[0]:
            first, start = near[0], (low + near[1]).lower()
        elif _sign(value(low)) is None:
            raise Unproved("the lower end")
    if stop is None:
        far = steady.far_out(f, (start + 1).upper())
        if far is None or not far[0]:
            raise Unproved("the upper end")
        last, stop = far
    elif part.high is not None and width is not None and _sign(value(high)) is None:
        near = steady.near_zero(sp.expand(f.subs(r, part.high - r)), (width / 4).lower())
        if near is None or not near[0]:
            raise Unproved("the upper end")
        last, stop = near[0], (high - near[1]).upper()
    signs, roots = _between(value, slope, start, stop, steady)
    if first not in (None, signs[0]) or last not in (None, signs[-1]):
        raise Unproved("signs at the ends disagree with those between")
    return signs[-1], roots


def _sign(ball: arb) -> int | None:
    return 1 if bool(ball > 0) else -1 if bool(ball < 0) else None


def _between(
    value: Program, slope: Program, low: arb, high: arb, steady: Steady
) -> tuple[list[int], list[arb]]:
    """The signs from low to high, and the simple roots at which they change."""
    signs: list[int] = []
    roots: list[arb] = []
    stack = [(low, high)]
    for count in itertools.count():
        if not stack:
            return signs, roots
        if count > MAX_BOXES:
            raise Unproved("too many boxes")
        steady.check()
        low, high = stack.pop()
        box = low.union(high)
        found = _sign(value(box))
        tilt = slope(box)
        if found is None and tilt.is_finite():
            middle = box.mid()
            found = _sign(value(middle) + tilt * (box - middle))
        if found is None and _sign(tilt) is not None:
            ends = _sign(value(low)), _sign(value(high))
            if ends[0] is not None and ends[1] is not None:
                if ends[0] != ends[1]:
                    signs += [ends[0]] if not signs else []
                    roots.append(_refined(value, low, high))
                found = ends[1]
        if found is not None:
            signs += [found] if not signs or signs[-1] != found else []
            continue
        if bool(high - low < SMALLEST * (abs(high) + SMALLEST)):
            raise Unproved("zeros closer than the precision")
        cut = _split(low, high)
        stack += [(cut, high), (low, cut)]
    raise Unproved("unreachable")


def _split(low: arb, high: arb) -> arb:
    if bool(low > 0) and bool(high > 4 * low):
        return (low.sqrt() * high.sqrt() * (SPLIT + arb(0.5))).mid()
    return (low + (high - low) * SPLIT).mid()


def _refined(value: Program, low: arb, high: arb) -> arb:
    """Bisection of a monotone sign change; stops where the ball cannot decide any more."""
    left = _sign(value(low))
    while bool(high - low > ROOT_WIDTH * abs(low)):
        for share in (SPLIT, 1 - SPLIT):
            cut = (low + (high - low) * share).mid()
            found = _sign(value(cut))
            if found is not None:
                break
        else:
            break
        low, high = (cut, high) if found == left else (low, cut)
    if bool(high - low > arb(1e-12) * abs(high)):
        raise Unproved("a zero that cannot be placed")
    return low.union(high)
