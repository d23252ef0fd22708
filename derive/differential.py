"""The differential method: R(rho) = int_{1-rho}^{1/2} dp / Phi(p), the greedy set parametrised by its boundary.

Source: Yang, Duan, Hu, Salman, Razenshteyn, Li, "Randomized Smoothing of All Shapes and Sizes", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from derive.closed import log_convex_radius
from derive.derivation import HALF, Closed, Cone, Derivation, Evaluation, Lattice, Step
from derive.formula import GammaQuantile, Log1p, dim, fail, gap, p, r, rho, threshold
from derive.general import SERIES, cosine, general
from derive.geometry import Reduction
from derive.law import FlatRadialLaw, GammaRadialLaw, RadialLaw, tidy
from derive.profile import Profile


def differential(profile: Profile, law: RadialLaw, reduction: Reduction) -> Derivation | None:
    """The differential radius for one reduction, or None where the greedy set is beyond the engine."""
    steps = [_reduction_step(reduction), _law_step(law, reduction)]
    if isinstance(law, FlatRadialLaw):
        return _jump(law, reduction, steps) if reduction.kind == "sign" else None
    if reduction.kind == "binomial":
        constant = profile.shape == "constant" and profile.bound is None and profile.unimodal
        return _lattice(profile, reduction, steps) if constant else None
    if reduction.kind == "cosine":
        return cosine(profile, law, reduction, steps)
    powers = profile.bound is None and isinstance(law, GammaRadialLaw) and profile.terms is not None
    if not powers or not all(c.is_nonnegative for c, _ in profile.powers):
        return general(profile, law, reduction, steps)
    assert isinstance(law, GammaRadialLaw)
    if profile.shape == "constant":
        return _constant(profile.score, reduction, steps)
    if reduction.view.exponent == 1 and profile.shape == "rising":
        return _quantile(law, profile, reduction, steps)
    if reduction.view.exponent == 1 and profile.shape == "falling":
        return _log_convex(law, profile, reduction, steps)
    return _cone(law, profile, reduction, steps)


def _reduction_step(reduction: Reduction) -> Step:
    return Step(
        "Reduction",
        f"The supremum over the ball sits at its extreme points {reduction.extreme_points}; {reduction.transitive}, so one v is "
        f"enough. The directional score is S = psi'(r)·A with r and A independent; {reduction.law_of_a}.",
    )


def _law_step(law: RadialLaw, reduction: Reduction) -> Step:
    return Step(
        "Law of the radius",
        f"r has density proportional to {r ** (reduction.view.exponent - 1)}·exp(-psi(r)): {law}.",
    )


def _jump(law: FlatRadialLaw, reduction: Reduction, steps: list[Step]) -> Derivation:
    jump = sp.simplify(reduction.weight * law.edge_density)
    radius = gap / jump
    steps += [
        Step(
            "Greedy set",
            "psi' = 0 inside; all of the derivative is the surface mass of the jump, taken first and whole.",
        ),
        Step("Growth", "Phi is this jump for every p.", (("Phi(p)", jump),)),
        Step("Radius", "The integral of a constant.", (("R(rho)", radius),)),
    ]
    tight = reduction.adversary == "1" and reduction.view.geometry == "product"
    return Derivation(
        reduction.adversary,
        "differential",
        tight,
        Closed(radius),
        reduction,
        tuple(steps),
        form="closed form",
        formula=radius,
    )


def _constant(score: sp.Expr, reduction: Reduction, steps: list[Step]) -> Derivation:
    weight = reduction.weight
    steps.append(
        Step(
            "Greedy set",
            "The score is constant, so inside A = 1 any set of measure p is as good.",
            (("psi'", score),),
        )
    )
    if weight == HALF:
        radius = -Log1p(-2 * gap) / score
        steps.append(Step("Growth", "For p ≤ 1/2.", (("Phi(p)", score * p),)))
    else:
        radius = sp.Min(gap, HALF - weight) / (weight * score) - sp.log(sp.Min(1, fail / weight)) / score
        steps.append(
            Step(
                "Growth",
                f"Two branches: the cone A = 1 has mass {weight}; beyond it the score is 0 and Phi stays constant.",
                (("Phi(p), p ≤ " + str(weight), score * p), ("Phi(p), p ≥ " + str(weight), score * weight)),
            )
        )
    steps.append(Step("Radius", "The integral is elementary.", (("R(rho)", radius),)))
    tight = reduction.view.geometry == "product"
    evaluation = Closed(radius)
    return Derivation(
        reduction.adversary,
        "differential",
        tight,
        evaluation,
        reduction,
        tuple(steps),
        form="closed form",
        formula=radius,
    )


def _quantile(law: GammaRadialLaw, profile: Profile, reduction: Reduction, steps: list[Step]) -> Derivation:
    """iid, rising score: Phi at the boundary s is the density there, and R is a quantile."""
    radius = law.quantile(2 * gap)
    share = sum((c * law.moment(q) * law.upper_share(q, threshold) for c, q in profile.powers), sp.Integer(0))
    steps += [
        Step(
            "Greedy set", "psi' rises, so the greedy sets are {A = 1, r ≥ s}.", (("psi'(r)", profile.score),)
        ),
        Step(
            "Growth",
            "Phi(s) = ½E[psi'; r ≥ s] is the density of x_1 at s: both have derivative -psi'·density and vanish at infinity.",
            (("p(s)", law.upper_share(sp.Integer(0), threshold) / 2), ("Phi(s)", share / 2)),
        ),
        Step(
            "Substitution",
            "With the boundary s as variable, dp = -density ds, hence dp/Phi = -ds: no integral is left.",
        ),
        Step("Radius", "R is the rho-quantile of one coordinate.", (("R(rho)", radius),)),
    ]
    evaluation: Evaluation = Closed(radius)
    if radius.has(GammaQuantile):  # no such quantile on a GPU: the curve of the same law instead
        evaluation = Cone(HALF, law, profile.powers)
    conditions = tuple(_mean_conditions(law, profile))
    form = "quantile" if radius.has(GammaQuantile) else "closed form"
    return Derivation(
        reduction.adversary,
        "differential",
        True,
        evaluation,
        reduction,
        tuple(steps),
        conditions,
        form=form,
        formula=radius,
    )


def _log_convex(
    law: GammaRadialLaw, profile: Profile, reduction: Reduction, steps: list[Step]
) -> Derivation | None:
    """iid, falling score: the curve of the cone, and the sum of its geometric series where that has a name."""
    result = _cone(law, profile, reduction, steps)
    closed = log_convex_radius(profile, law) if result is not None else None
    if result is None or closed is None:
        return result
    series = Step(
        "Geometric series", f"The integral of dp/Phi in closed form. {SERIES}", (("R(rho)", closed.radius),)
    )
    return replace(result, steps=(*result.steps, series), form="closed form", formula=closed.radius)


def _mean_conditions(law: GammaRadialLaw, profile: Profile) -> Iterator[tuple[sp.Expr, sp.Expr | None]]:
    """E[r**q] must be finite for every term coefficient·r**q that is there."""
    for coefficient, q in profile.powers:
        yield tidy(law.shape + q / law.power), None if coefficient.is_nonzero else coefficient


def _cone(
    law: GammaRadialLaw, profile: Profile, reduction: Reduction, steps: list[Step]
) -> Derivation | None:
    weight = reduction.weight
    if any(c.is_nonpositive for c, guard in _mean_conditions(law, profile) if guard is None):
        return None  # an infinite mean score: Phi(1/2) is infinite and R is 0
    mean = _mean(law, profile, reduction.view.exponent)
    orders = {
        "rising": "The score psi' rises, so the greedy sets are {A = 1, r ≥ s}",
        "falling": "The score psi' falls, so the greedy sets are {A = 1, r ≤ s}",
    }
    text = orders.get(
        profile.shape,
        "By Descartes' rule of signs psi'(r) has at most one turning point: the greedy sets {A = 1, psi' ≥ c} are {r ≥ s}, {r ≤ s} "
        "or {r ≤ s'} ∪ {r ≥ s}, decided by the signs of coefficient·exponent at the given parameters",
    )
    steps.append(Step("Greedy set", text + ".", (("psi'(r)", profile.score),)))
    upper = sum((c * law.moment(q) * law.upper_share(q, threshold) for c, q in profile.powers), sp.Integer(0))
    tail = law.upper_share(sp.Integer(0), threshold)
    steps.append(
        Step(
            "Growth",
            "In the boundary s (Q is the regularised upper incomplete gamma function); the part r ≤ s has 1 - Q for Q. "
            "At the threshold c = psi'(s), Phi'(p) = c.",
            (("p(s)", weight * tail), ("Phi(s)", weight * upper)),
        )
    )
    if weight != HALF:
        steps.append(
            Step(
                "First branch",
                f"For {weight} ≤ p ≤ 1/2 the whole cone is taken and Phi is constant; R is linear for rho ≤ 1 - {weight}.",
                (("Phi", weight * mean), ("R(rho)", gap / (weight * mean))),
            )
        )
    density = (
        law.power * threshold ** (law.power * law.shape - 1) * law.rate**law.shape * sp.exp(-law.t(threshold))
    )
    integrand = density / sp.gamma(law.shape) / upper
    s_rho = sp.Symbol("s_rho")
    if profile.shape == "rising":
        branch = "Second branch" if weight != HALF else "Radius"
        text = "With s as variable; no quantile is left under the integral, whose upper end is where p(s) = 1 - rho."
        formula = sp.Integral(integrand, (threshold, 0, s_rho))
        steps.append(
            Step(branch, text, (("R(rho)" if weight == HALF else "R(rho) - R(1 - weight)", formula),))
        )
    else:
        text = "R is the integral of dp/Phi along the boundary, evaluated on a curve of tangents of Phi (Phi is concave): never above R."
        steps.append(
            Step("Radius", text, (("R(rho)", sp.Integral(1 / sp.Function("Phi")(p), (p, 1 - rho, HALF))),))
        )
    if reduction.view.exponent == 1 and profile.shape == "unknown":
        text = (
            "Where psi' rises (for psi = r**p: p ≥ 1) the boundary s itself is R: with it as variable dp/Phi = -ds, and R is the rho-quantile of a "
            "coordinate, tight; the curve gives the same value."
        )
        steps.append(Step("Rising score", text, (("R(rho)", law.quantile(2 * gap)),)))
    conditions = tuple(_mean_conditions(law, profile))
    evaluation = Cone(weight, law, profile.powers)
    return Derivation(
        reduction.adversary, "differential", False, evaluation, reduction, tuple(steps), conditions
    )


def _mean(law: GammaRadialLaw, profile: Profile, exponent: sp.Expr) -> sp.Expr:
    """E[psi'], by parts (m - 1)·E[1/r] where that is the same, else in the shortest form that SymPy reaches."""
    shapes = ((c, q, tidy(law.shape + q / law.power)) for c, q in profile.powers)
    whole = sum(
        (c * law.rate ** (-q / law.power) * sp.gamma(s) for c, q, s in shapes), sp.Integer(0)
    ) / sp.gamma(law.shape)
    by_parts = (
        (exponent - 1)
        * law.rate ** (1 / law.power)
        * sp.gamma(tidy(law.shape - 1 / law.power))
        / sp.gamma(law.shape)
    )
    if by_parts != 0 and sp.simplify(sp.gammasimp(whole / by_parts)) == 1:
        return by_parts
    return sp.factor(sp.gammasimp(whole))


def _lattice(profile: Profile, reduction: Reduction, steps: list[Step]) -> Derivation:
    """A constant score times 2 Bin(d, 1/2) - d: Phi is piecewise linear, R a sum of logarithms."""
    m = sp.Symbol("m", integer=True, nonnegative=True)
    i = sp.Symbol("i", integer=True, nonnegative=True)
    slope = profile.score
    binomial = sp.binomial(dim, i) / 2**dim
    steps += [
        Step(
            "Greedy set",
            "The score takes the values psi'·(2i - d); the largest are taken first.",
            (("psi'", slope),),
        ),
        Step(
            "Growth",
            "Knots of the piecewise linear Phi; between p_{m+1} and p_m its slope is psi'·(2m - d).",
            (("p_m", sp.Sum(binomial, (i, m, dim))), ("Phi_m", slope * m * sp.binomial(dim, m) / 2**dim)),
        ),
        Step(
            "Radius",
            "The integral of dp/Phi over a linear piece is log(Phi_m/Phi_{m+1})/slope; R is their sum, without quadrature.",
        ),
    ]
    return Derivation(reduction.adversary, "differential", False, Lattice(slope), reduction, tuple(steps))
