"""The differential method for densities of any shape: the same greedy sets, their growth by the law's closed form or by quadrature.

Source: Yang, Duan, Hu, Salman, Razenshteyn, Li, "Randomized Smoothing of All Shapes and Sizes", ICML 2020.
"""

from __future__ import annotations

import sympy as sp

from derive.closed import (
    ClosedRadius,
    boundary,
    density_of,
    log_convex_radius,
    quantile_radius,
    two_sided_radius,
)
from derive.derivation import HALF, Cosine, Derivation, NumericCone, Step, Tabulated
from derive.formula import BetaLower, BetaQuantile, dim, fail, gap, p, r, rho, threshold
from derive.geometry import Reduction
from derive.law import BetaPrimeRadialLaw, BetaRadialLaw, Condition, RadialLaw, tidy
from derive.profile import Profile
from derive.symbolic import attempt

SERIES = (
    "With q(c)/q(0) = exp(psi(0) - psi(c)) the integrand 1/(exp(psi(c) - psi(0)) - 1) is a geometric series; its terms are "
    "integrated from the boundary of the greedy set to infinity and summed."
)
QUADRATURE = (
    "No closed form is known to the engine: p, Phi and R are computed by quadrature in the boundary of the greedy set (Chebyshev panels in "
    "log r), with a relative error of at most 1e-9, on the safe side."
)


def general(profile: Profile, law: RadialLaw, reduction: Reduction, steps: list[Step]) -> Derivation | None:
    """A = ±1 with any score: greedy sets {A = 1, |psi'| ≥ c}; None where the mean score is infinite, so that nothing is certified."""
    conditions = mean_conditions(profile, reduction.view.exponent)
    if conditions is None:
        return None
    evaluation = NumericCone(reduction.weight, reduction.view.exponent)
    steps.append(_greedy_step(profile))
    jump = _jump_step(profile, reduction)
    steps += [jump] if jump else []
    product = reduction.view.exponent == 1
    found: ClosedRadius | None = None
    form, tight = "integral", False
    concave = product and profile.unimodal and profile.shape in ("rising", "constant")
    if concave:
        found, form, tight = _log_concave(profile, law, steps), "quantile", True
    elif product and profile.shape == "falling" and jump is None:
        found = _log_convex(profile, law, steps)
    elif product and profile.shape == "rising, then falling" and profile.unimodal:
        found = _two_sided(profile, law, steps)
    elif isinstance(law, BetaPrimeRadialLaw | BetaRadialLaw) and jump is None:
        _shared_law(profile, law, reduction, steps)
    if reduction.weight != HALF:
        flat_text = f"For {reduction.weight} ≤ p ≤ 1/2 the whole cone is taken and Phi is constant; R is linear for rho ≤ 1 - {reduction.weight}."
        mean = _mean(profile, law)
        shown = () if mean is None else (("R(rho)", gap / (reduction.weight * mean)),)
        steps.append(Step("First branch", flat_text, shown))
    if found is not None:
        form = "closed form"
    else:
        integral = sp.Integral(1 / sp.Function("Phi")(p), (p, 1 - rho, HALF))
        if not tight:
            steps.append(Step("Radius", QUADRATURE, (("R(rho)", integral),)))
    return Derivation(
        reduction.adversary, "differential", tight, evaluation, reduction, tuple(steps), conditions, form=form,
        formula=None if found is None else found.radius,
        boundary=boundary if found is not None and found.mass is not None else None,
        mass=None if found is None else found.mass,
    )  # fmt: skip


def mean_conditions(profile: Profile, exponent: sp.Expr) -> tuple[Condition, ...] | None:
    """What makes E|psi'(r)| finite at 0: nothing where the density is finite there; None where the mean is infinite."""
    start = profile.start
    if start is None:
        return None
    if start == -sp.oo:
        return ()
    if start.is_zero or start.is_negative:
        if exponent == 1 and (profile.height is None or profile.height == sp.oo):
            return None
        return ()
    room = sp.factor(exponent - 1 - start)
    if room.is_positive:
        return ()
    if start.is_positive and room.is_nonpositive:
        return None
    return ((room, None if start.is_nonzero else start),)


def _greedy_step(profile: Profile) -> Step:
    sets = {
        "constant": "The score is constant, so inside A = 1 any set is as good",
        "rising": "The score psi' rises, so the greedy sets are {A = 1, r ≥ s}",
        "falling": "The score psi' falls, so the greedy sets are {A = 1, r ≤ s}",
        "rising, then falling": "The score rises and then falls, so the greedy sets are {A = 1, s ≤ r ≤ y(s)}, with equal scores at both ends",
        "falling, then rising": "The score falls and then rises, so the greedy sets are {A = 1, r ≤ s'} ∪ {A = 1, r ≥ s}, with equal scores at both ends",
    }
    text = sets.get(
        profile.shape if profile.unimodal else "",
        "S is distributed as |psi'(r)|·A, so the greedy sets are {A = 1, |psi'(r)| ≥ c}; they may have several parts. Their ends are found between "
        "the turning points of psi', which interval arithmetic isolates at the given parameters; where it cannot, |psi'| is replaced by an "
        "upper bound. Soundness rests on Phi(p) ≤ c·p + E(S - c)₊ alone",
    )
    return Step("Greedy set", text + ".", (("psi'(r)", profile.score),))


def _jump_step(profile: Profile, reduction: Reduction) -> Step | None:
    if profile.bound is None or profile.edge is None or profile.edge.is_zero:
        return None
    jump = reduction.weight * sp.Symbol("f_r")
    text = f"The density jumps to 0 at r = {profile.bound}: a score of +∞ on a null set, taken first; f_r is the density of r there."
    return Step("Jump", text, (("J", jump), ("Phi(p)", jump + sp.Function("Phi_0")(p))))


def _log_concave(profile: Profile, law: RadialLaw, steps: list[Step]) -> ClosedRadius | None:
    """iid, rising score: Phi at the boundary s is the density there, and R is a quantile."""
    steps += [
        Step(
            "Growth",
            "Phi(s), the surface mass of a jump included, is the density of x_1 at s: both have derivative -psi'·density inside and agree at the end.",
            (("Phi(s)", density_of(profile).subs(r, threshold) / (2 * sp.Symbol("Z"))),),
        ),
        Step(
            "Substitution",
            "With the boundary s as variable, dp = -density ds, hence dp/Phi = -ds: no integral is left.",
        ),
    ]
    found = quantile_radius(profile, law)
    name = sp.Function("F^-1")(rho)
    text = "R is the rho-quantile of one coordinate" + (
        "." if found else ", found by quadrature and root finding."
    )
    steps.append(Step("Radius", text, (("R(rho)", found.radius if found else name),)))
    return found


def _log_convex(profile: Profile, law: RadialLaw, steps: list[Step]) -> ClosedRadius | None:
    """iid, falling score: p = ½P(r ≤ s) and Phi = ½(f(0) - f(s)), hence dp/Phi = ds/(exp(psi(s) - psi(0)) - 1)."""
    ratio = (
        sp.powsimp(profile.height / density_of(profile))
        if profile.height is not None
        else sp.exp(sp.Function("psi")(r))
    )
    steps.append(
        Step(
            "Growth",
            "With f the density of r, p(s) = ½P(r ≤ s) and Phi(s) = ½(f(0) - f(s)), so that p runs from 1 - rho to 1/2 as s runs from c to ∞, "
            "where P(r ≤ c) = 2(1 - rho).",
            (("R(rho)", sp.Integral(1 / (ratio.subs(r, threshold) - 1), (threshold, boundary, sp.oo))),),
        )
    )
    found = log_convex_radius(profile, law)
    if found is not None:
        steps += [Step("Geometric series", SERIES), Step("Radius", "The sum.", (("R(rho)", found.radius),))]
    return found


def _two_sided(profile: Profile, law: RadialLaw, steps: list[Step]) -> ClosedRadius | None:
    """iid, rising and then falling score: p = ½P(c ≤ r ≤ y), Phi = ½(f(c) - f(y)), parametrised by c."""
    found = two_sided_radius(profile, law)
    if found is None:
        return None
    partner, integrand, radius = found
    steps.append(
        Step(
            "Growth",
            "With f the density of r, p(c) = ½P(c ≤ r ≤ y(c)) and Phi(c) = ½(f(c) - f(y(c))).",
            (("y(c)", partner), ("dR/dc", integrand)),
        )
    )
    if radius is not None and radius.mass is not None:
        text = "The integral from 0 to c is elementary; c is where the mass of the greedy set is 1 - rho."
        steps.append(Step("Radius", text, (("R(c)", radius.radius), ("1 - rho", radius.mass))))
    return radius


def _shared_law(
    profile: Profile, law: BetaPrimeRadialLaw | BetaRadialLaw, reduction: Reduction, steps: list[Step]
) -> None:
    """p and Phi in the boundary, both distribution functions of one type, where psi' = constant·r**q/(1 ± t)."""
    if profile.shape not in ("rising", "falling"):
        return
    found = weighted_score(profile, law)
    if found is None:
        return
    mean, other = found
    upper = profile.shape == "rising"
    zero = sp.Integer(0)
    p_tail, phi_tail = law.upper_share(zero, threshold), other.upper_share(zero, threshold)
    p_share, phi_share = (p_tail, phi_tail) if upper else (_complement(p_tail), _complement(phi_tail))
    text = "In the boundary s; I is the regularised incomplete beta function. At the threshold c = psi'(s), Phi'(p) = c."
    weight = reduction.weight
    steps.append(Step("Growth", text, (("p(s)", weight * p_share), ("Phi(s)", weight * mean * phi_share))))


def _complement(share: sp.Expr) -> sp.Expr:
    a, b, x = share.args
    return BetaLower(b, a, sp.simplify(1 - x))


def weighted_score(
    profile: Profile, law: RadialLaw
) -> tuple[sp.Expr, BetaPrimeRadialLaw | BetaRadialLaw] | None:
    """(E[psi'], the law weighted by psi') where psi' = constant·r**q/(1 ± t)."""
    if not isinstance(law, BetaPrimeRadialLaw | BetaRadialLaw):
        return None
    sign = 1 if isinstance(law, BetaPrimeRadialLaw) else -1
    rest = attempt(sp.simplify, profile.score * (1 + sign * law.t(r)), seconds=3.0)
    if rest is None:
        return None
    coefficient, power = rest.as_independent(r, as_Add=False)
    base, q = power.as_base_exp() if power != 1 else (r, sp.Integer(0))
    if base != r or q.has(r):
        return None
    mean, other = law.weighted(q)
    return tidy(sp.gammasimp(coefficient * mean)), other


def _mean(profile: Profile, law: RadialLaw) -> sp.Expr | None:
    found = weighted_score(profile, law)
    return None if found is None else found[0]


def cosine(profile: Profile, law: RadialLaw, reduction: Reduction, steps: list[Step]) -> Derivation | None:
    """l2-radial against l2: S = psi'(r)·A with A the cosine of a uniform direction."""
    conditions = mean_conditions(profile, dim)
    if conditions is None or (profile.edge is not None and not profile.edge.is_zero):
        return None
    half = (dim - 1) / sp.Integer(2)
    if profile.shape == "constant" and profile.unimodal and profile.bound is None:
        a = sp.sqrt(
            BetaQuantile(HALF, half, 2 * gap)
        )  # A**2 ~ Beta(1/2, (d-1)/2); no cancellation near rho = 1/2
        radius = (dim - 1) / profile.score * sp.atanh(a)
        x = sp.Symbol("a", real=True)
        steps += [
            Step(
                "Greedy set",
                "The score is constant, so the greedy sets are the caps {A ≥ a}.",
                (("psi'", profile.score),),
            ),
            Step(
                "Growth",
                "A has density proportional to (1 - a**2)**((d-3)/2), and E[A; A ≥ a] is (1 - a**2)/(d - 1) times that density.",
                (("dR/da", (dim - 1) / (profile.score * (1 - x**2))),),
            ),
            Step(
                "Radius",
                "The integral from 0 to the rho-quantile of A, which is 1 - 2·ppf(1 - rho) of Beta((d-1)/2, (d-1)/2) and, since A**2 ~ "
                "Beta(1/2, (d-1)/2), a root that keeps its digits near rho = 1/2.",
                (
                    ("R(rho)", (dim - 1) / profile.score * sp.atanh(1 - 2 * BetaQuantile(half, half, fail))),
                    ("R(rho)", radius),
                ),
            ),
        ]
        return Derivation(
            reduction.adversary, "differential", False, Tabulated(radius), reduction, tuple(steps), ((dim - 1, None),),
            form="closed form", formula=radius,
        )  # fmt: skip
    s = sp.Symbol("s", positive=True)
    steps += [
        Step(
            "Growth",
            "Given r, S ≥ c where A ≥ c/psi'(r); with C the survival function of A and C₁(a) = E[A; A ≥ a], both incomplete beta functions.",
            (
                ("p(c)", sp.Function("E")(sp.Function("C")(sp.Symbol("c") / sp.Function("psi'")(s)))),
                (
                    "Phi(c)",
                    sp.Function("E")(
                        sp.Function("psi'")(s) * sp.Function("C_1")(sp.Symbol("c") / sp.Function("psi'")(s))
                    ),
                ),
            ),
        ),
        Step("Radius", QUADRATURE, (("R(rho)", sp.Integral(1 / sp.Function("Phi")(p), (p, 1 - rho, HALF))),)),
    ]
    return Derivation(
        reduction.adversary, "differential", False, Cosine(), reduction, tuple(steps), conditions
    )
