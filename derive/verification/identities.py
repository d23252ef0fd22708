"""Identities of a derivation, proved again from the density text: law of the radius, radius at 1/2, greedy sets, growth.

Each is an expression that must be 0. SymPy's simplification decides; where it does not come to 0 in time, the expression is
evaluated at fixed points to 40 digits: a value away from 0 refutes it, zeros leave it undecided ("open").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sympy as sp

from derive.derivation import HALF, Closed, Derivation, Tabulated
from derive.engine import Family
from derive.formula import BetaQuantile, dim, fail, gap, p, r, rho
from derive.law import BetaPrimeRadialLaw, BetaRadialLaw, FlatRadialLaw, GammaRadialLaw
from derive.timelimit import limited
from derive.verification.check import Check

SECONDS = 2.0
POINTS = (sp.Rational(3, 7), sp.Rational(5, 11), sp.Rational(13, 17))
DIGITS = 40


def identities(family: Family) -> Iterator[Check]:
    """Every identity that the family's record lets one state."""
    found = _law(family)
    if found is not None:
        yield _decide("law", found[0], found[1], family)
    for adversary, derivation in family.native.items():
        yield from _radius(family, f"l{adversary}", derivation)


def _law(family: Family) -> tuple[str, sp.Expr] | None:
    """The logarithmic slope of the law of r, from the text, against that of the stated law of t."""
    law, spec = family.law, family.spec
    exponent = sp.Integer(1) if spec.geometry == "product" else dim
    slope = exponent + r * sp.diff(spec.expression, r) / spec.expression
    match law:
        case GammaRadialLaw():
            stated, text = law.power * (law.shape - law.t(r)), "r*d/dr log(r**m*q) = power*(shape - t)"
        case BetaPrimeRadialLaw():
            t = law.t(r)
            stated, text = (
                law.power * (law.a - (law.a + law.b) * t / (1 + t)),
                "r*d/dr log(r**m*q) = power*(a - (a+b)*t/(1+t))",
            )
        case BetaRadialLaw():
            t = law.t(r)
            stated, text = (
                law.power * (law.a - (law.b - 1) * t / (1 - t)),
                "r*d/dr log(r**m*q) = power*(a - (b-1)*t/(1-t))",
            )
        case FlatRadialLaw():
            stated, text = exponent, "q is constant, so (r/bound)**m is uniform"
        case _:
            return None
    return text, slope - stated


def _radius(family: Family, subject: str, derivation: Derivation) -> Iterator[Check]:
    evaluation = derivation.evaluation
    forms: list[tuple[str, sp.Expr]] = []
    if isinstance(evaluation, Closed | Tabulated):
        forms.append(("", evaluation.radius))
    for values, closed in derivation.special:
        forms.append((" at " + ", ".join(f"{s} = {v}" for s, v in values.items()), closed.radius))
    for where, radius in forms:
        start = radius.subs({gap: 0, fail: HALF, rho: HALF})
        yield _decide(subject, f"R(1/2) = 0{where}", start, family)
    growth = dict(pair for step in derivation.steps for pair in step.formulas).get("Phi(p)")
    if isinstance(evaluation, Closed) and derivation.method == "differential" and growth is not None:
        radius = evaluation.radius.subs({gap: rho - HALF, fail: 1 - rho})
        product = sp.diff(radius, rho) * growth.subs(p, 1 - rho)
        yield _decide(subject, "dR/drho * Phi(1 - rho) = 1", product - 1, family)


def _decide(subject: str, text: str, expression: sp.Expr, family: Family) -> Check:
    if expression == 0 or limited(_vanishes, expression, seconds=SECONDS, default=False):
        return Check("identity", subject, True, f"{text}, symbolically")
    values = limited(_values, expression, family, seconds=SECONDS, default=())
    if any(abs(v) > sp.Float(10) ** (10 - DIGITS) for v in values):
        return Check("identity", subject, False, f"{text}: off by {sp.N(max(values, key=abs), 5)}")
    return Check(
        "identity",
        subject,
        None,
        f"{text}: no proof in time; 0 to {DIGITS - 10} digits at {len(values)} points",
    )


def _known_quantiles(expression: sp.Expr) -> sp.Expr:
    """The 0-quantile of a Beta law is 0, the median of a symmetric one 1/2."""

    def median(e: sp.Basic) -> bool:
        return isinstance(e, BetaQuantile) and e.args[0] == e.args[1] and e.args[2] == HALF

    def start(e: sp.Basic) -> bool:
        return isinstance(e, BetaQuantile) and e.args[2] == 0

    return expression.replace(median, lambda e: HALF).replace(start, lambda e: sp.Integer(0))


def _vanishes(expression: sp.Expr) -> bool:
    expression = _known_quantiles(expression)
    return any(
        form(expression) == 0
        for form in (sp.expand, sp.simplify, lambda e: sp.simplify(sp.gammasimp(sp.expand_func(e))))
    )


def _values(expression: sp.Expr, family: Family) -> tuple[sp.Expr, ...]:
    """The expression at points inside its domain; none where it has no numeric value."""
    found = []
    for point in POINTS:
        edge = family.spec.bound
        values: Mapping[sp.Symbol, sp.Expr] = {
            dim: sp.Integer(5),
            r: point * (edge if edge is not None else 1),
            rho: HALF + point / 2,
            gap: point / 2,
            fail: HALF - point / 2,
        } | {q.symbol: q.default for q in family.spec.parameters}
        value = sp.N(expression.subs(values), DIGITS)
        if value.is_Float or value.is_Integer:
            found.append(sp.Abs(value))
    return tuple(found)
