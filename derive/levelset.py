"""Exact Neyman–Pearson radii: of flat densities, of radial ones in the l2 norm, and of those in the l1 and linf norms.

Flat densities and their shifted copies agree wherever both are positive. For q uniform on a set K, the privacy loss of (q, q_v) is 0 on the overlap and infinite outside: with delta(v) the mass of
q_v outside K, G(p, v) = min(1, p + delta(v)), so R is where delta reaches rho - 1/2.
Source: Yang et al. 2020 (uniform noise, linf); the overlap of iid coordinates is a product.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from derive.derivation import HALF, Closed, Derivation, LevelSet, Overlap, Step
from derive.formula import BetaLower, BetaQuantile, Expm1, Log1p, dim, fail, gap, r
from derive.geometry import Reduction, View
from derive.profile import Profile

_OVERLAP = Step(
    "Level set",
    "By Neyman–Pearson G(p, v) = p + delta; the class is kept while delta < rho - 1/2.",
    (("delta(R)", gap),),
)
"""Of every flat density, whatever its overlap."""


def level_set(profile: Profile, found: list[View], adversary: str, unimodal: str) -> Derivation | None:
    """The exact radius where one is known to the engine; `unimodal` says how psi' ≥ 0 was proved, "" where it was not."""
    geometries = {view.geometry: view for view in found}
    if "product" in geometries:
        return flat_product(profile, geometries["product"], adversary)
    if profile.flat and ("l1" in geometries, adversary) == (True, "1"):
        return flat_cross(profile, geometries["l1"])
    if adversary != "2" or "l2" not in geometries:
        return None
    return (
        flat_ball(profile, geometries["l2"]) if profile.flat else radial(profile, geometries["l2"], unimodal)
    )


def flat_product(profile: Profile, view: View, adversary: str) -> Derivation | None:
    """The exact radius of a uniform cube against linf or l2; None for anything else."""
    if not profile.flat or profile.bound is None or adversary == "1":
        return None
    bound = profile.bound
    e = sp.Symbol("e", positive=True)
    square = adversary == "2"
    stretch = sp.sqrt(dim) if square else sp.Integer(1)  # ‖v‖ of v = (1, ..., 1)
    radius = -2 * bound * stretch * Expm1(Log1p(-gap) / dim)
    worst = (
        "and the overlap Π(1 - |v_i|/(2b)) is what the adversary makes small."
        if square
        else "and the overlap Π(1 - |v_i|/(2b)) is smallest in the ball ‖v‖inf ≤ e at |v_i| = e for all i."
    )
    steps = [
        Step(
            "Reduction",
            "The privacy loss of one coordinate shifted by s is 0 with probability 1 - |s|/(2b) and infinite otherwise; d coordinates "
            f"compose by multiplying, {worst}",
        )
    ]
    steps += _worst_spread() if square else []
    steps += [
        Step(
            "Growth",
            "Mass of the shifted cube outside the cube; it costs nothing under q.",
            (("delta(e)", 1 - (1 - e / (2 * bound * stretch)) ** dim),),
        ),
        _OVERLAP,
        Step("Radius", "Solved for e.", (("R(rho)", radius),)),
    ]
    reduction = Reduction(
        view,
        adversary,
        "overlap",
        HALF,
        "{-1, 1}^d/sqrt(d)" if square else "{-1, 1}^d",
        "not used: the overlap is exact",
        "an even spread of v gives the least overlap of at least 1/2"
        if square
        else "the overlap decreases in every |v_i|",
    )
    return Derivation(
        adversary,
        "level set",
        True,
        Closed(radius),
        reduction,
        tuple(steps),
        form="closed form",
        formula=radius,
    )


def flat_cross(profile: Profile, view: View) -> Derivation | None:
    """The exact l1 radius of a uniform cross-polytope."""
    bound = profile.bound
    if bound is None:
        return None
    e = sp.Symbol("e", positive=True)
    radius = -2 * bound * Expm1(Log1p(-gap) / dim)
    steps = (
        Step(
            "Reduction",
            "The privacy loss is 0 on the overlap of the cross-polytope and its copy, and infinite outside. By Brunn–Minkowski the overlap's volume to the "
            "power 1/d is concave in v, so on the ball ‖v‖1 ≤ e it is smallest at an extreme point, and permutations and signs make these alike.",
        ),
        Step(
            "Growth",
            "For v = e·e_1 the overlap is the cross-polytope of radius b - e/2 about v/2: ‖x‖1 ≤ b and ‖x - v‖1 ≤ b together say "
            "|x_1 - e/2| + e/2 + |x_2| + ... + |x_d| ≤ b.",
            (("delta(e)", 1 - (1 - e / (2 * bound)) ** dim),),
        ),
        _OVERLAP,
        Step("Radius", "Solved for e.", (("R(rho)", radius),)),
    )
    reduction = Reduction(
        view,
        "1",
        "overlap",
        HALF,
        "±e_i",
        "not used: the overlap is exact",
        "permutations and signs map any ±e_i to any other",
    )
    return Derivation(
        "1", "level set", True, Closed(radius), reduction, steps, form="closed form", formula=radius
    )


def _worst_spread() -> list[Step]:
    """Why, of all v of one l2 length, those spread evenly over the coordinates leave the least overlap."""
    y = sp.Symbol("y", positive=True)
    log_overlap = sp.log(1 - sp.sqrt(y))
    bend = (1 - 2 * sp.sqrt(y)) / (4 * y ** sp.Rational(3, 2) * (1 - sp.sqrt(y)) ** 2)
    if sp.simplify(sp.diff(log_overlap, y, 2) - bend) != 0:
        raise ValueError("internal check failed: the second derivative of log(1 - sqrt(y))")
    return [
        Step(
            "Only small shifts matter",
            "A radius needs delta < rho - 1/2 ≤ 1/2 on its ball. If delta reached rho - 1/2 anywhere in it, then, delta being continuous and growing "
            "along every ray, it would be equal to it at some v there; the overlap is then at least 1/2, and so is every factor 1 - |v_i|/(2b).",
        ),
        Step(
            "Convexity",
            "With y_i = (v_i/(2b))**2 the logarithm of the overlap is the sum of f(y_i), and the sum of the y_i is given; for sqrt(y) ≤ 1/2, which the "
            "step above grants, f'' ≥ 0.",
            (("f(y)", log_overlap), ("f''(y)", bend)),
        ),
        Step(
            "Worst direction",
            "By Jensen's inequality the overlap is at least that of |v_1| = ... = |v_d| = e/sqrt(d), with equality there; so no v shorter than the radius "
            "of this direction reaches delta = rho - 1/2.",
        ),
    ]


def _rotations(view: View) -> Reduction:
    return Reduction(
        view,
        "2",
        "cosine",
        HALF,
        "all of the unit sphere",
        "not used: the level sets are exact",
        "rotations map any v to any other",
    )


def flat_ball(profile: Profile, view: View) -> Derivation | None:
    """The exact l2 radius of the uniform ball."""
    bound = profile.bound
    if bound is None:
        return None
    a = (dim + 1) / sp.Integer(2)
    shown = bound * (2 - 4 * BetaQuantile(a, a, HALF / 2 + fail / 2))
    radius = 2 * bound * sp.sqrt(BetaQuantile(HALF, a, gap))
    steps = (
        Step(
            "Reduction",
            "The privacy loss is 0 on the overlap of the ball and its copy, and infinite outside; rotations make all shifts of one length alike.",
        ),
        Step(
            "Growth",
            "The overlap of two balls at distance e is two caps {x_1 ≥ e/2}, and for x uniform in the ball of radius b, "
            "(1 - x_1/b)/2 ~ Beta((d+1)/2, (d+1)/2).",
            (("delta(e)", 1 - 2 * sp.Function("P")(sp.Symbol("x_1 >= e/2"))),),
        ),
        _OVERLAP,
        Step(
            "Radius",
            "Solved for e; since (x_1/b)**2 ~ Beta(1/2, (d+1)/2), also in a form that keeps its digits near rho = 1/2.",
            (("R(rho)", shown), ("R(rho)", radius)),
        ),
    )
    exact = Overlap(radius, bound)
    return Derivation("2", "level set", True, exact, _rotations(view), steps, form="quantile", formula=radius)


def radial(profile: Profile, view: View, unimodal: str) -> Derivation | None:
    """The exact l2 radius of a unimodal l2-radial density, a pair of one-dimensional integrals to be solved for the shift."""
    if (
        not unimodal or profile.bound is not None
    ):  # at the end of a support the tables are not accurate enough
        return None
    s, t, e = sp.Symbol("s", positive=True), sp.Symbol("t", real=True), sp.Symbol("e", positive=True)
    cap, mean = sp.Function("W"), sp.Function("E")
    psi, share = sp.Function("psi"), sp.Function("P")
    steps = (
        Step(
            "Reduction",
            f"The superlevel sets of q are balls (psi' ≥ 0: {unimodal}), and rotations make all shifts of one length alike, so one v is enough "
            "for every threshold, and the growth increases with the length of v.",
            (("psi'(r)", profile.score),),
        ),
        Step(
            "Level pairs",
            "Given ‖x‖ = r, the likelihood ratio q(x - v)/q(x) is at least e**t where ‖x - v‖ ≤ s(r, t). W(r, s, e) is the part of the sphere of radius r "
            "that lies outside the ball of radius s about v, ‖v‖ = e: an incomplete beta function.",
            (
                ("psi(s)", psi(r) - t),
                ("W(r, s, e)", BetaLower((dim - 1) / 2, (dim - 1) / 2, ((r + e) ** 2 - s**2) / (4 * e * r))),
                ("P(t, e)", mean(cap(r, s, e))),
            ),
        ),
        Step(
            "Level set",
            "By Neyman–Pearson the threshold t makes the shifted mass 1/2, and then the other side is 1 - rho.",
            (("1/2", share(t, e)), ("1 - rho", 1 - share(-t, e))),
        ),
        Step(
            "Radius",
            "R(rho(e)) = e. At any level t, solved or not, R(1 - p) >= e for every p <= m + exp(-t)*(1/2 - M) with M = P(t, e) and "
            "m = 1 - P(-t, e): these are enclosed in ball arithmetic, and tables of polynomials in rho are proved to lie below the radius.",
        ),
    )
    return Derivation("2", "level set", True, LevelSet(), _rotations(view), steps, form="table")


_SHELLS = {("l1", "1"): "shell", ("linf", "inf"): "shell", ("linf", "1"): "face"}


def shells(profile: Profile, found: Iterable[Reduction], unimodal: str) -> Derivation | None:
    """The exact radius of a unimodal density in the l1 or linf norm, by a one-dimensional integral; None for other pairs of norms.

    Iid noise is left out on purpose: where its level sets are no balls of the norm, the coordinate direction need not be the worst.
    """
    for reduction in found:
        kind = _SHELLS.get((reduction.view.geometry, reduction.adversary))
        if kind and unimodal and not profile.flat:
            return _shells(profile, reduction, kind, unimodal)
    return None


def _shells(profile: Profile, reduction: Reduction, kind: str, unimodal: str) -> Derivation:
    s, t, e = sp.Symbol("s", positive=True), sp.Symbol("t", nonnegative=True), sp.Symbol("e", positive=True)
    psi, mean, level = sp.Function("psi"), sp.Function("E"), sp.Function("s_t")
    z = sp.Symbol("z")
    power = dim if kind == "shell" else sp.Integer(1)
    meeting = {
        ("l1", "1"): "Two cross-polytopes displaced along e_1 meet in one of radius (s + s_t - e)/2",
        ("linf", "inf"): "Two cubes displaced along (1, …, 1) meet in a cube of half width (s + s_t - e)/2",
        (
            "linf",
            "1",
        ): "Two cubes displaced along e_1 meet in a box, shorter in one coordinate alone, of half width (s + s_t - e)/2 there",
    }[reduction.view.geometry, reduction.adversary]
    steps = (
        Step(
            "Worst shift",
            f"The superlevel sets of q are nested balls of the {reduction.view.geometry} norm (psi' ≥ 0: {unimodal}), convex and symmetric. The integral of "
            "min(q, kappa·q_v) is one of volumes Vol(A ∩ (B + v)) of such balls, each quasi-concave in v by Brunn–Minkowski; so on ‖v‖ ≤ e each is smallest "
            f"at an extreme point, {reduction.extreme_points}. {reduction.transitive[0].upper()}{reduction.transitive[1:]}: one v serves for every threshold.",
            (("psi'(r)", profile.score),),
        ),
        Step(
            "Mixture of balls",
            "q is a mixture of uniform laws on balls of radius s, whose law nu has the density ∝ psi'(s) exp(-psi(s)) s**d. With kappa = exp(-t) and s_t the "
            f"radius where psi has risen by t, the ball of radius s of q meets the one of radius s_t of q_v. {meeting}, as long as this is between 0 and s.",
            (
                ("psi(s_t)", psi(s) + t),
                ("z", (s + level(s) - e) / (2 * s)),
                ("J(t, e)", mean(sp.Min(1, sp.Max(0, z)) ** power)),
            ),
        ),
        Step(
            "Level set",
            "By Neyman–Pearson in its dual form the class is kept at distance e if for some t ≥ 0 the failure probability is below h(t, e); the best t is "
            "that where the set q_v > exp(t) q has shifted mass 1/2.",
            (
                ("h(t, e)", sp.exp(-t) * (sp.Function("J")(t, e) - HALF)),
                ("1 - rho", sp.Function("max_t h")(e)),
            ),
        ),
        Step(
            "Radius",
            "R(rho(e)) = e: found in floats, then proved from both sides in ball arithmetic, by the dual from below and by chords of the growth from above.",
        ),
    )
    return Derivation(reduction.adversary, "level set", True, LevelSet(kind), reduction, steps, form="table")
