"""Exact Neyman–Pearson radii. Here: flat densities, whose shifted copies agree wherever both are positive.

For q uniform on a set K, the privacy loss of (q, q_v) is 0 on the overlap and infinite outside: with delta(v) the mass of
q_v outside K, G(p, v) = min(1, p + delta(v)), so R is where delta reaches rho - 1/2.
Source: Yang et al. 2020 (uniform noise, linf); the overlap of iid coordinates is a product.
"""

from __future__ import annotations

import sympy as sp

from derive.derivation import Closed, Derivation, Step
from derive.formula import Expm1, Log1p, dim, gap
from derive.geometry import Reduction, View
from derive.profile import Profile


def flat_product(profile: Profile, found: list[View], adversary: str) -> Derivation | None:
    """The exact radius of a uniform cube against linf; None for anything else."""
    product = [view for view in found if view.geometry == "product"]
    if not profile.flat or profile.bound is None or adversary != "inf" or not product:
        return None
    bound = profile.bound
    radius = -2 * bound * Expm1(Log1p(-gap) / dim)
    e = sp.Symbol("e", positive=True)
    steps = (
        Step(
            "Reduction",
            "The privacy loss of one coordinate shifted by s is 0 with probability 1 - |s|/(2b) and infinite otherwise; d coordinates "
            "compose by multiplying, and the overlap Π(1 - |v_i|/(2b)) is smallest in the ball ‖v‖inf ≤ e at |v_i| = e for all i.",
        ),
        Step(
            "Growth",
            "Mass of the shifted cube outside the cube; it costs nothing under q.",
            (("delta(e)", 1 - (1 - e / (2 * bound)) ** dim),),
        ),
        Step(
            "Level set",
            "By Neyman–Pearson G(p, v) = p + delta; the class is kept while delta < rho - 1/2.",
            (("delta(R)", gap),),
        ),
        Step("Radius", "Solved for e.", (("R(rho)", radius),)),
    )
    reduction = Reduction(
        product[0],
        adversary,
        None,
        "{-1, 1}^d",
        "not used: the overlap is exact",
        "the overlap decreases in every |v_i|",
    )
    return Derivation(adversary, "level set", True, Closed(radius), reduction, steps)
