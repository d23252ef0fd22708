"""What the level sets and the adversary's norm leave of the problem: a radius times a sign.

For X ~ q and an extreme point v of the adversary's unit ball, the directional score <grad psi(X), v> is psi'(r)·A with r and
A independent. One v is enough where the symmetries of q act transitively on the extreme points; elsewhere nothing is
returned, and only conversions remain. Table: MATH of the differential method, Yang et al. 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from derive.formula import dim
from derive.profile import Profile
from derive.spec import Spec


@dataclass(frozen=True)
class View:
    """A density seen with one family of level sets; `exponent` m: the law of r has density ∝ r**(m-1)·exp(-psi(r))."""

    geometry: str
    exponent: sp.Expr
    reason: str

    @property
    def second_moment(self) -> sp.Expr:
        """E‖Y‖₂²/d for r = 1, so that sigma² = this · E[r²]."""
        return {
            "product": sp.Integer(1),
            "l1": 2 / (dim * (dim + 1)),
            "l2": 1 / dim,
            "linf": ((dim - 1) / sp.Integer(3) + 1) / dim,
        }[self.geometry]


def views(spec: Spec, profile: Profile) -> list[View]:
    """Every geometry in which the same law can be seen, the declared one first."""
    own = View(spec.geometry, sp.Integer(1) if spec.geometry == "product" else dim, "as declared")
    found = [own]

    def add(geometry: str, reason: str) -> None:
        found.append(View(geometry, sp.Integer(1) if geometry == "product" else dim, reason))

    if profile.flat:
        twins = {"product": "linf", "linf": "product"}
        if spec.geometry in twins:
            add(twins[spec.geometry], "a constant on a cube is both iid and a function of the linf norm")
    elif profile.terms is not None and len(profile.terms) == 1 and profile.bound is None:
        exponent = sp.expand(profile.terms[0][1] + 1)  # psi = c·r**exponent
        norm = {sp.Integer(1): "l1", sp.Integer(2): "l2"}.get(exponent)
        if norm and spec.geometry == "product":
            add(
                norm,
                f"the sum of psi(|x_i|) is psi of the {norm} norm when psi is a multiple of r**{exponent}",
            )
        if norm and spec.geometry == norm:
            add(
                "product",
                f"psi of the {norm} norm is the sum of psi(|x_i|) when psi is a multiple of r**{exponent}",
            )
    return found


@dataclass(frozen=True)
class Reduction:
    """The directional score as psi'(r)·A: A is a "sign" with P(A = 1) = P(A = -1) = `weight`, a "binomial" 2 Bin(d, 1/2) - d, or a "cosine"."""

    view: View
    adversary: str
    kind: str
    weight: sp.Expr
    extreme_points: str
    law_of_a: str
    transitive: str


def reductions(found: list[View], adversary: str) -> Iterator[Reduction]:
    """The reductions that hold for this adversary, at most one for each view."""
    half = sp.Rational(1, 2)
    geometries = {view.geometry for view in found}
    for view in found:
        key = (view.geometry, adversary)
        if key == ("product", "1"):
            yield Reduction(
                view, adversary, "sign", half, "±e_i", "A = sign(x_1) = ±1, probability 1/2 each",
                "permutations and sign changes of the coordinates keep an iid even density and map any ±e_i to any other",
            )  # fmt: skip
        elif key == ("product", "2") and "l2" in geometries:
            yield Reduction(
                view, adversary, "sign", half, "all of the unit sphere", "for v = e_1: A = sign(x_1) = ±1, probability 1/2 each",
                "the density is a function of the l2 norm too, so rotations map any v to e_1",
            )  # fmt: skip
        elif key in (("l1", "1"), ("linf", "inf")):
            points = "±e_i" if adversary == "1" else "{-1, 1}^d"
            yield Reduction(
                view, adversary, "sign", half, points, "A = ±1, probability 1/2 each: the gradient of the norm meets v in one signed unit",
                "permutations and sign changes keep the density and map any extreme point to any other",
            )  # fmt: skip
        elif key == ("linf", "1"):
            yield Reduction(
                view, adversary, "sign", 1 / (2 * dim), "±e_i", "A = ±1 with probability 1/(2d) each (the largest coordinate is x_1), else 0",
                "permutations and sign changes keep the density and map any ±e_i to any other",
            )  # fmt: skip
        elif key == ("l1", "inf"):
            yield Reduction(
                view, adversary, "binomial", half, "{-1, 1}^d", "A = Σ ±1 over d independent signs: 2 Bin(d, 1/2) - d",
                "permutations and sign changes keep the density and map any vertex to any other",
            )  # fmt: skip
        elif key == ("l2", "2") and "product" not in geometries:
            yield Reduction(
                view, adversary, "cosine", half, "all of the unit sphere",
                "A = cosine of the angle between X and v, (1 - A)/2 ~ Beta((d-1)/2, (d-1)/2)", "rotations keep the density and map any v to any other",
            )  # fmt: skip
