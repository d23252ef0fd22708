"""The sign of an expression in r where it has one sign throughout: on (0, eps], on [T, oo), or on any interval.

Signs come from structure (products, exponentials, sums of terms of one sign), from intervals (`span`), and from dominance: in a sum,
the largest term outweighs those of the opposite sign when their ratios are monotone, by the sign of a simpler expression, and add up to
less than 1 where they are largest. This decides sums of powers, exponentials and logarithms at both ends without any sampling.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import sympy as sp
from flint import arb

from derive.enclosure.ball import Program, number
from derive.enclosure.span import INFINITY, ZERO, Span, Undefined, span, whole
from derive.formula import Expm1, Log1p, r
from derive.timelimit import limited

MAX_DEPTH = 8
FACTORING, STEP = 2.5, 3.0
"""Seconds of processor time for one factoring, and for any other symbolic step."""
MAX_ORDER = 7
MOST_DEGREE = 20_000
"""SymPy factors a sum of fractional powers as a polynomial in a root of r: one of a higher degree is left a sum."""
NEAR = tuple(arb(2) ** -k for k in (0, 3, 8, 16, 32))
CLOSE = 1 - arb(2) ** -10
FAR = tuple(arb(2) ** k for k in (1, 4, 8, 16, 32))
_POSITIVE = (sp.exp, sp.cosh, sp.erfc)
_ODD = (sp.sinh, sp.tanh, sp.atan, sp.erf, Expm1, Log1p)


class OutOfTime(ArithmeticError):
    """The budget is spent."""


@dataclass
class Steady:
    """Proves signs until `deadline` (time.process_time); every answer None means unknown. OutOfTime when the time is over."""

    deadline: float
    _slopes: dict[tuple[sp.Expr, sp.Expr], sp.Expr] = field(default_factory=dict)
    _signs: dict[tuple[sp.Expr, object, object], int | None] = field(default_factory=dict)
    _products: dict[sp.Expr, sp.Expr] = field(default_factory=dict)

    def check(self) -> float:
        """Seconds left."""
        left = self.deadline - time.process_time()
        if left <= 0:
            raise OutOfTime("the time for a proof is over")
        return left

    def factored(self, expression: sp.Expr) -> sp.Expr:
        """A product where SymPy finds one in time, else the expression."""
        if expression not in self._products:
            product = expression
            if sp.count_ops(expression) < 2000:
                product = limited(
                    _factored, expression, seconds=min(self.check(), FACTORING), default=expression
                )
            self._products[expression] = product
        return self._products[expression]

    def sign(self, e: sp.Expr, on: Span, depth: int = 0) -> int | None:
        """The sign of an expression, real and defined on `on`, at every r > 0 inside; 0 where it is zero; None when unknown."""
        self.check()
        if depth > MAX_DEPTH:
            return None
        key = (
            e,
            on.lo.man_exp() if on.lo.is_finite() else None,
            on.hi.man_exp() if on.hi.is_finite() else None,
        )
        if key not in self._signs:
            self._signs[key] = None  # while it is being asked: no proof may rest on itself
            self._signs[key] = self._find(e, on, depth)
        return self._signs[key]

    def _find(self, e: sp.Expr, on: Span, depth: int) -> int | None:
        if not e.free_symbols:
            return _constant_sign(e)
        if e == r or isinstance(e, _POSITIVE):
            return 1
        if isinstance(e, _ODD):
            return self.sign(e.args[0], on, depth)
        match e:
            case sp.Mul():
                total = 1
                for factor in e.args:
                    found = self.sign(factor, on, depth)
                    if found is None:
                        return None
                    total *= found
                return total
            case sp.Pow():
                base = self.sign(e.base, on, depth)
                if e.exp.is_Integer:
                    return None if base in (None, 0) else base if e.exp % 2 else 1
                return 1 if base == 1 else None
            case sp.log():
                return self.sign(e.args[0] - 1, on, depth)
            case sp.Add():
                return self._sum(e, on, depth)
        return _span_sign(e, on)

    def _sum(self, e: sp.Expr, on: Span, depth: int) -> int | None:
        signs = [(term, self.sign(term, on, depth + 1)) for term in e.args]
        known = {sign for _, sign in signs if sign != 0}
        if len(known) <= 1:
            return known.pop() if known else 0
        found = _span_sign(e, on)
        if found is not None:
            return found
        if None not in known:
            return self._dominant([(t, s) for t, s in signs if s], on, depth)
        product = self.factored(e)
        return self.sign(product, on, depth + 1) if isinstance(product, sp.Mul) else None

    def _dominant(self, terms: list[tuple[sp.Expr, int]], on: Span, depth: int) -> int | None:
        programs = [Program(term, r) for term, _ in terms]
        sizes = [[abs(program(probe)) for program in programs] for probe in _probes(on)]
        sizes = [row for row in sizes if all(size.is_finite() for size in row)]
        leaders = [max(range(len(terms)), key=lambda n: _Size(row[n])) for row in sizes]
        for best in dict.fromkeys(leaders):
            leader, sign = terms[best]
            others = [n for n, (_, other) in enumerate(terms) if other == -sign]
            if not all(bool(sum((row[n] for n in others), ZERO) < CLOSE * row[best]) for row in sizes):
                continue  # hopeless: the leader does not lead everywhere
            total = ZERO
            for n in others:
                total = total + self._largest_ratio(terms[n][0], leader, on, depth)
                if not bool(total < 1):
                    break
            else:
                return sign
        return None

    def _largest_ratio(self, term: sp.Expr, leader: sp.Expr, on: Span, depth: int) -> arb:
        """An upper bound of |term/leader| on the span; oo where none is found."""
        ratio = sp.powsimp(term / leader)
        slope = self._slopes.get((term, leader))
        if slope is None:
            slope = self.factored(_log_slope(term) - _log_slope(leader))
            self._slopes[term, leader] = slope
        direction = 0 if slope == 0 else self.sign(slope, on, depth + 1)
        if direction is not None:
            at = on.hi if direction > 0 else on.lo
            if direction == 0:
                at = on.lo if bool(on.lo > 0) else on.hi if on.hi.is_finite() else arb(1)
            if at.is_finite() and bool(at > 0):
                value = abs(Program(ratio, r)(at))
                if value.is_finite():
                    return value.upper()
        try:
            found = span(ratio, on)
        except Undefined:
            return INFINITY
        return max(abs(found.lo), abs(found.hi), key=_Size)

    # the ends
    def near_zero(self, e: sp.Expr, limit: arb) -> tuple[int, arb] | None:
        """(sign, eps): the sign on (0, eps], eps ≤ limit."""
        for step in NEAR:
            eps = (limit * step).lower()
            found = self._beside_zero(e, eps)
            if found is not None:
                return found, eps
        return None

    def _beside_zero(self, e: sp.Expr, eps: arb) -> int | None:
        """The sign on (0, eps], factor by factor."""
        found = self.sign(e, Span(ZERO, eps))
        if found is not None:
            return found
        if isinstance(e, sp.Mul):
            total = 1
            for factor in e.args:
                found = self._beside_zero(factor, eps)
                if found is None:
                    return None
                total *= found
            return total
        if isinstance(e, sp.Pow) and e.exp.is_Integer:
            base = self._beside_zero(e.base, eps)
            return None if not base else base if e.exp % 2 else 1
        return self._by_derivatives(e, eps)

    def _by_derivatives(self, e: sp.Expr, eps: arb) -> int | None:
        """All derivatives below one vanish at 0, exactly, and that one has a sign on (0, eps]."""
        here = ZERO.union(eps)
        for _ in range(MAX_ORDER):
            self.check()
            try:
                ball = Program(e, r)(here)
            except NotImplementedError:
                return None
            found = whole(ball).sign if ball.is_finite() else None
            if found is None:
                found = self.sign(e, Span(ZERO, eps), 2)
            if found is not None:
                return found
            if not ball.is_finite() or not self._vanishes(e):
                return None
            e = self.factored(sp.diff(e, r))
        return None

    def _vanishes(self, e: sp.Expr) -> bool:
        at = e.subs(r, 0)
        if at.has(sp.nan, sp.zoo, sp.oo) or not number(at).contains(0):
            return False
        return at == 0 or limited(sp.simplify, at, seconds=min(self.check(), STEP), default=None) == 0

    def far_out(self, e: sp.Expr, start: arb, depth: int = 0) -> tuple[int, arb] | None:
        """(sign, T): the sign on [T, oo), T ≥ start."""
        for step in FAR:
            end = (start * step).upper()
            found = self.sign(e, Span(end, INFINITY))
            if found is not None:
                return found, end
        for form in _scaled(e) if depth < 2 else []:
            if limited(sp.limit, form, r, sp.oo, seconds=min(self.check(), STEP), default=None) == 0:
                slope = self.far_out(self.factored(sp.diff(form, r)), start, depth + 1)
                if slope is not None and slope[0]:  # it comes from above or below to 0
                    return -slope[0], slope[1]
        return None


def _scaled(e: sp.Expr) -> list[sp.Expr]:
    """The expression, and what is left of it without the exponential factor of any one term."""
    factors = {f for term in sp.Add.make_args(e) for f in sp.Mul.make_args(term) if isinstance(f, sp.exp)}
    return [e, *(sp.expand(e * sp.exp(-f.args[0])) for f in sorted(factors, key=sp.default_sort_key))]


class _Size:
    """Balls in the order of their midpoints, for proposals only."""

    def __init__(self, value: arb) -> None:
        self.value = value.mid()

    def __lt__(self, other: _Size) -> bool:
        return bool(self.value < other.value)

    def __gt__(self, other: _Size) -> bool:
        return bool(self.value > other.value)


def _probes(on: Span) -> list[arb]:
    low = on.lo if bool(on.lo > 0) else (on.hi * arb(2) ** -64 if on.hi.is_finite() else arb(2) ** -64)
    high = on.hi if on.hi.is_finite() else low * arb(2) ** 64
    order = [high, low] if not on.hi.is_finite() else [low, high]
    return [value.mid() for value in (*order, (low * high).sqrt())]


def _constant_sign(e: sp.Expr) -> int | None:
    if e == 0:
        return 0
    ball = number(e)
    return 1 if bool(ball > 0) else -1 if bool(ball < 0) else None


def _span_sign(e: sp.Expr, on: Span) -> int | None:
    try:
        return span(e, on).sign
    except ArithmeticError:
        return None


def _log_slope(term: sp.Expr) -> sp.Expr:
    """The derivative of log|term|, factor by factor, so that exponentials vanish from it."""
    total = sp.Integer(0)
    for factor in sp.Mul.make_args(term):
        if not factor.free_symbols:
            continue
        if isinstance(factor, sp.exp):
            total += sp.diff(factor.args[0], r)
        else:
            base, exponent = factor.as_base_exp()
            if exponent.free_symbols:
                total += sp.diff(exponent * sp.log(base), r)
            else:
                total += exponent * sp.diff(base, r) / base
    return total


def _degree(expression: sp.Expr) -> int:
    """The degree as a polynomial in the root of r that makes every power of r whole."""
    exponents = [power.exp for power in expression.atoms(sp.Pow) if power.exp.is_Rational]
    root = math.lcm(*(int(x.q) for x in exponents))
    return max((abs(int(x.p)) * root // int(x.q) for x in exponents), default=0)


def _factored(expression: sp.Expr) -> sp.Expr:
    if expression.has(sp.cosh, sp.sinh, sp.tanh):
        expression = expression.rewrite(sp.exp)
    if _degree(expression) > MOST_DEGREE:
        return sp.powsimp(sp.expand(expression))
    return sp.factor(sp.together(sp.powsimp(expression)))
