"""Exact Neyman–Pearson radii. Here: flat densities, whose shifted copies agree wherever both are positive.

For q uniform on a set K, the privacy loss of (q, q_v) is 0 on the overlap and infinite outside: with delta(v) the mass of
q_v outside K, G(p, v) = min(1, p + delta(v)), so R is where delta reaches rho - 1/2.
Source: Yang et al. 2020 (uniform noise, linf); the overlap of iid coordinates is a product.
"""

from __future__ import annotations

import sympy as sp

from derive.derivation import HALF, Closed, Derivation, LevelSet, Step, Tabulated
from derive.formula import BetaLower, BetaQuantile, Expm1, Log1p, dim, fail, gap, r
from derive.geometry import Reduction, View
from derive.profile import Profile


def level_set(profile: Profile, found: list[View], adversary: str, unimodal: str) -> Derivation | None:
    """The exact radius where one is known to the engine; `unimodal` says how psi' ≥ 0 was proved, "" where it was not."""
    geometries = {view.geometry: view for view in found}
    if "product" in geometries:
        return flat_product(profile, geometries["product"], adversary)
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
        Step(
            "Level set",
            "By Neyman–Pearson G(p, v) = p + delta; the class is kept while delta < rho - 1/2.",
            (("delta(R)", gap),),
        ),
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
        Step(
            "Level set",
            "By Neyman–Pearson G(p, v) = p + delta; the class is kept while delta < rho - 1/2.",
            (("delta(R)", gap),),
        ),
        Step(
            "Radius",
            "Solved for e; since (x_1/b)**2 ~ Beta(1/2, (d+1)/2), also in a form that keeps its digits near rho = 1/2.",
            (("R(rho)", shown), ("R(rho)", radius)),
        ),
    )
    return Derivation(
        "2", "level set", True, Tabulated(radius), _rotations(view), steps, form="quantile", formula=radius
    )


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
            "R(rho(e)) = e: solved by quadrature in log r and tabulated in the normal quantile of rho, a little below the exact value.",
        ),
    )
    return Derivation("2", "level set", True, LevelSet(), _rotations(view), steps, form="table")
