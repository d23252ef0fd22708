"""Continuity of a density inside its support, by its structure: every step that could jump must be proved not to.

Functions of the grammar are continuous where they are defined; what can break is a division by zero, a logarithm, a gamma function or a power
at zero. So every such argument must have one strict sign over the whole support, for all parameters. min, max and abs are continuous; where
they switch, their two arguments must be proved to meet at the places found, and nowhere else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import sympy as sp

from derive.enclosure import signs
from derive.formula import r
from derive.ordering import sign_pattern
from derive.symbolic import attempt

SECONDS = 4.0
_t = sp.Symbol("t", positive=True)


def strictly_signed(expression: sp.Expr, bound: sp.Expr | None) -> bool:
    """Whether the expression is proved positive, or proved negative, at every point of (0, bound), for all parameters."""
    if expression.is_positive or expression.is_negative:
        return True
    if expression.is_Mul:
        return all(strictly_signed(factor, bound) for factor in expression.args)
    if expression.is_Pow:
        return strictly_signed(expression.base, bound)
    if not expression.has(r):
        return False
    if expression.is_Add and _same_signs(expression, bound):
        return True
    if not expression.has(sp.Min, sp.Max, sp.Abs) and attempt(
        _monotone_sign, expression, bound, seconds=SECONDS
    ):
        return True
    if (
        expression.free_symbols - {r}
        or (bound is not None and bound.free_symbols)
        or expression.has(sp.Min, sp.Max, sp.Abs)
    ):
        return False
    found = signs.sign_pattern(expression, (), bound)
    return found is not None and len(found) == 1 and found[0][0] in "+-"


def _same_signs(expression: sp.Expr, bound: sp.Expr | None) -> bool:
    """A sum whose terms all have one strict sign, after r = bound·t/(1+t) where the support is bounded."""
    if bound is not None and expression.is_rational_function(r):
        expression = sp.expand(sp.numer(sp.together(expression.subs(r, bound * _t / (1 + _t)))))
    terms = sp.Add.make_args(sp.expand(expression))
    return all(bool(term.is_positive) for term in terms) or all(bool(term.is_negative) for term in terms)


def _monotone_sign(expression: sp.Expr, bound: sp.Expr | None) -> bool:
    """A strictly monotone expression that starts or ends at 0 or beyond it on one side keeps away from 0 inside."""
    slope = sp.diff(expression, r)
    if not strictly_signed(slope, bound):
        return False
    ends = (sp.limit(expression, r, 0, "+"), sp.limit(expression, r, sp.oo if bound is None else bound, "-"))
    above = any(bool(end.is_nonnegative) for end in ends) and all(
        bool(end.is_nonnegative or end == sp.oo) for end in ends
    )
    below = any(bool(end.is_nonpositive) for end in ends) and all(
        bool(end.is_nonpositive or end == -sp.oo) for end in ends
    )
    return above or below


def first_doubt(density: sp.Expr, bound: sp.Expr | None) -> sp.Expr | None:
    """The first sub-expression at which a jump is not excluded; None where the density is proved continuous inside its support."""
    for node in sp.preorder_traversal(density):
        if (
            isinstance(node, sp.Pow)
            and node.base.has(r)
            and not (node.exp.is_integer and node.exp.is_nonnegative)
        ):
            doubtful = node.base
        elif isinstance(node, sp.log | sp.gamma):
            doubtful = node.args[0]
        else:
            continue
        if doubtful.has(r) and not strictly_signed(doubtful, bound):
            return node
    return None


def kinks_of(density: sp.Expr, bound: sp.Expr | None) -> tuple[sp.Expr, ...] | sp.Expr:
    """All radii at which a min, max or abs switches, proved complete; the first node where that cannot be proved otherwise."""
    found: list[sp.Expr] = []
    for node in sorted(density.atoms(sp.Min, sp.Max, sp.Abs), key=str):
        for difference in differences(node):
            roots = attempt(_all_roots, difference, bound, seconds=SECONDS)
            if roots is None:
                return node
            found += [root for root in roots if root not in found]
    return tuple(sorted(found, key=str))


def differences(node: sp.Expr) -> Iterable[sp.Expr]:
    """What changes sign where the node switches."""
    pairs = [node.args] if isinstance(node, sp.Abs) else itertools.combinations(node.args, 2)
    for pair in pairs:
        difference = pair[0] if len(pair) == 1 else pair[0] - pair[1]
        if difference.has(r):
            yield difference


def _all_roots(difference: sp.Expr, bound: sp.Expr | None) -> list[sp.Expr] | None:
    """The positive roots, as many as there are changes of sign over the whole support; None unless that is proved."""
    if difference.has(sp.Min, sp.Max, sp.Abs):
        return None
    roots = [q for q in sp.solve(difference, r) if q.is_positive is not False]
    if any(root.has(sp.I, sp.RootOf, sp.LambertW) or not root.is_positive for root in roots):
        return None
    if not difference.free_symbols - {r}:
        inside = [q for q in roots if bound is None or q < bound]
        pieces = signs.sign_pattern(difference, (), bound)
        if pieces is None or sum(a[0] != b[0] for a, b in itertools.pairwise(pieces)) > len(inside):
            return None
        return roots
    pattern = sign_pattern(difference)
    return roots if pattern is not None and len(pattern) <= 1 + len(roots) and len(roots) <= 1 else None
