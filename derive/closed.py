"""Radii without an integral for iid noise against l1: quantiles, geometric series, rational integrands."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from derive.formula import fail, gap, r, written_out
from derive.law import BetaPrimeRadialLaw, BetaRadialLaw, GammaRadialLaw, RadialLaw
from derive.profile import Profile
from derive.symbolic import attempt

SECONDS = 5.0
"""Time for one integral, sum or equation; past it the radius keeps its integral."""

_n = sp.Symbol("n", positive=True, integer=True)
_x = sp.Symbol("x", positive=True)
boundary = sp.Symbol("c", positive=True)


@dataclass(frozen=True)
class ClosedRadius:
    """R as a formula in gap and fail, or in the boundary c of the greedy set where `mass`(c) = 1 - rho fixes c."""

    radius: sp.Expr
    mass: sp.Expr | None = None


def density_of(profile: Profile) -> sp.Expr:
    """exp(-psi), written for integration."""
    density = sp.powsimp(sp.exp(-sp.expand(written_out(profile.psi))))
    return sp.powsimp(density.replace(sp.exp, _power_of))


def _power_of(argument: sp.Expr) -> sp.Expr:
    """exp(a·log(x)) as x**a, term by term."""
    result = sp.Integer(1)
    for term in sp.Add.make_args(argument):
        logs = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.log)]
        result *= logs[0].args[0] ** (term / logs[0]) if len(logs) == 1 else sp.exp(term)
    return result


def half_mass(profile: Profile, law: RadialLaw) -> sp.Expr | None:
    """P(|x| ≤ c) in the boundary c, without an integral; None when there is no antiderivative."""
    share = _integrated(profile)
    if share is None and isinstance(law, BetaPrimeRadialLaw | BetaRadialLaw):
        return 1 - law.upper_share(sp.Integer(0), boundary)
    return share


def _integrated(profile: Profile) -> sp.Expr | None:
    """P(|x| ≤ c) by an antiderivative of the density; None where there is none in time, or it may have branches."""
    if profile.psi.has(sp.Piecewise):
        return None
    return attempt(_half_mass, density_of(profile), profile.bound, seconds=SECONDS)


def _half_mass(density: sp.Expr, bound: sp.Expr | None) -> sp.Expr | None:
    primitive = sp.integrate(density, r)
    if primitive.has(sp.Integral, sp.Piecewise, sp.RootSum):
        primitive = sp.integrate(sp.simplify(density), r)
    if primitive.has(sp.Integral, sp.Piecewise, sp.RootSum):
        return None
    end = sp.limit(primitive, r, sp.oo) if bound is None else primitive.subs(r, bound)
    start = sp.limit(primitive, r, 0, "+")
    share = sp.simplify((primitive.subs(r, boundary) - start) / (end - start))
    return None if share.has(sp.oo, sp.nan, sp.zoo, sp.Limit) else share


def quantile_radius(profile: Profile, law: RadialLaw) -> ClosedRadius | None:
    """Log-concave: R is the rho-quantile of a coordinate, where its distribution function can be inverted."""
    if isinstance(law, GammaRadialLaw):
        return ClosedRadius(law.quantile(2 * gap))
    share = _integrated(profile)
    root = None if share is None else _inverse(share)
    if root is not None:
        return ClosedRadius(sp.simplify(root))
    if isinstance(law, BetaPrimeRadialLaw | BetaRadialLaw):
        return ClosedRadius(law.quantile(2 * gap))
    return None


def _inverse(share: sp.Expr) -> sp.Expr | None:
    """c in gap with share(c) = 2·gap, where the equation has such a solution."""
    roots = attempt(sp.solve, share - 2 * gap, boundary, seconds=SECONDS) or []
    return next((root for root in roots if _inverts(share, root)), None)


def _inverts(share: sp.Expr, root: sp.Expr) -> bool:
    """Whether share(root(gap)) = 2·gap with root > 0, at a few places (the identity itself was solved for)."""
    others = sorted((share.free_symbols | root.free_symbols) - {boundary, gap}, key=str)
    for value in (sp.Rational(1, 10), sp.Rational(1, 4), sp.Rational(2, 5)):
        at = {gap: value} | {symbol: sp.Rational(3, 2) + n for n, symbol in enumerate(others)}
        point = root.subs(at).evalf(30)
        if not (point.is_real and point > 0):
            return False
        error = (share.subs(at | {boundary: point}) - 2 * value).evalf(30)
        if not error.is_real or abs(error) > 1e-20:
            return False
    return True


def log_convex_radius(profile: Profile, law: RadialLaw) -> ClosedRadius | None:
    """Log-convex on each half line: R = ∫_c^∞ ds/(exp(psi(s) - psi(0)) - 1), a geometric series summed term by term."""
    height = profile.height
    if profile.bound is not None or height is None or not height.is_finite or height.is_zero:
        return None
    ratio = sp.simplify(density_of(profile) / height)
    summed = attempt(_summed, ratio, seconds=2 * SECONDS)
    if summed is None:
        return None
    c = _boundary_of(profile, law)
    return None if c is None else ClosedRadius(_shortest(summed.subs(boundary, c)))


def _shortest(radius: sp.Expr) -> sp.Expr:
    plain = sp.powdenest(radius, force=True)
    short = attempt(sp.simplify, plain, seconds=SECONDS)
    return short if short is not None and 2 * short.count_ops() < plain.count_ops() else plain


def _boundary_of(profile: Profile, law: RadialLaw) -> sp.Expr | None:
    """c with P(|x| ≤ c) = 2(1 - rho)."""
    if isinstance(law, GammaRadialLaw):
        return law.quantile(2 * fail)
    share = _integrated(profile)
    return None if share is None else _inverse(1 - share)


def _summed(ratio: sp.Expr) -> sp.Expr | None:
    """Σ_{n ≥ 1} ∫_c^∞ ratio(s)**n ds as polylogarithms and 2F1, or None."""
    power = sp.powdenest(sp.expand_log(ratio**_n, force=True), force=True)
    primitive = sp.integrate(power, r)
    if primitive.has(sp.Integral):
        return None
    if isinstance(primitive, sp.Piecewise):
        primitive = primitive.args[0][0]
    if primitive.has(sp.Piecewise, sp.gamma, sp.lowergamma, sp.uppergamma, sp.expint, sp.erf):
        return None
    term = sp.expand(sp.expand_power_exp(-primitive.subs(r, boundary)))
    total = sp.Integer(0)
    for part in sp.Add.make_args(term):
        found = _summed_term(part)
        if found is None:
            return None
        total += found
    return total


def _summed_term(part: sp.Expr) -> sp.Expr | None:
    """Σ_{n ≥ 1} K·x**n/n**m = K·Li_m(x);  Σ K·x**n/(A·n + B) = K·x/(A + B)·2F1(1, 1 + B/A; 2 + B/A; x)."""
    factor, rest = part.as_independent(_n, as_Add=False)
    base, weight = sp.Integer(1), sp.Integer(1)
    for root, exponent in _powers(rest, sp.Integer(1)):
        if not root.has(_n) and exponent.has(_n):
            step = sp.simplify(exponent / _n)
            if step.has(_n):
                return None
            base *= root**step
        else:
            weight *= root**exponent
    weight = sp.factor(weight)
    top, bottom = sp.fraction(weight)
    if top.has(_n):
        return None
    poly = sp.Poly(bottom, _n)
    if len(poly.terms()) == 1:
        ((order,), coefficient) = poly.terms()[0]
        return factor * top / coefficient * sp.expand_func(sp.polylog(order, base))
    if poly.degree() != 1:
        return None
    slope, offset = poly.all_coeffs()
    share = sp.factor(1 + offset / slope)
    return factor * top * base / (slope + offset) * sp.hyper((1, share), (1 + share,), base)


def _powers(expression: sp.Expr, exponent: sp.Expr) -> list[tuple[sp.Expr, sp.Expr]]:
    """The factors of expression**exponent as (base, exponent), products and powers of positive bases taken apart."""
    if expression.is_Mul:
        return [pair for factor in expression.args for pair in _powers(factor, exponent)]
    base, inner = expression.as_base_exp()
    base = sp.factor(sp.powsimp(base)) if base.is_Add else base
    if base.is_Mul or base.is_Pow:
        return _powers(sp.expand_power_exp(base), inner * exponent)
    return [(base, inner * exponent)]


def two_sided_radius(profile: Profile, law: RadialLaw) -> tuple[sp.Expr, sp.Expr, ClosedRadius | None] | None:
    """Rising, then falling scores: the greedy set is c ≤ r ≤ y(c) with equal scores at both ends.

    Returns (y(c), the integrand of R in c, the radius if no integral is left); None where y has no formula.
    """
    if profile.bound is not None or profile.psi.has(sp.Piecewise):
        return None
    found = attempt(_two_sided, profile, seconds=2 * SECONDS)
    if found is None:
        return None
    partner, turning, integrand = found
    radius = attempt(_primitive, integrand, turning, seconds=SECONDS)
    share = None if radius is None else half_mass(profile, law)
    if radius is None or share is None:
        return partner, integrand, None
    mass = sp.simplify((share.subs(boundary, partner) - share) / 2)
    return partner, integrand, ClosedRadius(radius, mass)


def _two_sided(profile: Profile) -> tuple[sp.Expr, sp.Expr, sp.Expr] | None:
    y = sp.Symbol("y", positive=True)
    score, density = written_out(profile.score), density_of(profile)
    equation = sp.factor(sp.numer(sp.together(score.subs(r, y) - score.subs(r, boundary))))
    rest = [f for f in sp.Mul.make_args(equation) if f.has(y) and sp.simplify(f.subs(y, boundary)) != 0]
    roots = [q for q in sp.solve(sp.Mul(*rest), y) if q.is_positive]
    turns = [q for q in sp.solve(profile.slope, r) if q.is_positive]
    if len(roots) != 1 or len(turns) != 1:
        return None
    here, there = density.subs(r, boundary), density.subs(r, roots[0])
    integrand = sp.simplify((here - there * sp.diff(roots[0], boundary)) / (here - there))
    return roots[0], turns[0], integrand


def _primitive(integrand: sp.Expr, turning: sp.Expr) -> sp.Expr | None:
    """∫_0^c of the integrand, elementary in c in units of the turning point; None otherwise."""
    scaled = sp.factor(sp.cancel(sp.powsimp(sp.simplify(turning * integrand.subs(boundary, turning * _x)))))
    if not scaled.is_rational_function(_x):
        return None
    primitive = sp.integrate(scaled, _x)
    if primitive.has(sp.Integral, sp.RootSum):
        return None
    primitive = primitive.replace(
        sp.log, lambda inside: sp.log(-inside) if inside.subs(_x, 0).is_negative else sp.log(inside)
    )
    return sp.simplify((primitive - primitive.subs(_x, 0)).subs(_x, boundary / turning))
