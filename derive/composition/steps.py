"""The derivation of the composed radius: why one shift is the worst, and what is composed."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from derive.composition.coordinate import log_concave
from derive.composition.radius import METHOD
from derive.derivation import HALF, Composition, Derivation, Step
from derive.formula import r
from derive.geometry import Reduction, View
from derive.profile import Profile
from derive.spec import Spec


def composed(profile: Profile, at_defaults: Profile, found: list[View]) -> Derivation | None:
    """The linf radius of product noise that is proved log-concave, at least at its default parameters; None for any other.

    Where the noise is l2-radial as well, or flat, the exact radius is known otherwise.
    """
    product = [view for view in found if view.geometry == "product"]
    if not product or any(view.geometry == "l2" for view in found) or profile.flat:
        return None
    if log_concave(profile):
        where = "for all parameters" if profile.psi.free_symbols - {r} else "by its signs"
    elif log_concave(at_defaults):
        where = "at the default parameters, and again at others when a table is made"
    else:
        return None
    x, s, t = sp.Symbol("x", real=True), sp.Symbol("s", positive=True), sp.Symbol("t", real=True)
    loss, delta = sp.Function("L"), sp.Function("delta")
    psi, mean = sp.Function("psi"), sp.Function("E")
    steps = (
        Step(
            "Worst shift",
            f"psi is convex on the line (psi' ≥ 0 and nondecreasing in r, proved {where}), so the likelihood ratio of one coordinate shifted by s "
            "increases in x, its tests are half lines, and its growth increases with |s|. Growth curves of independent coordinates compose "
            "monotonically: of all v with ‖v‖inf ≤ e, v = e·(1, …, 1) is the worst for every threshold.",
            (("psi'(r)", profile.score),),
        ),
        Step(
            "Privacy loss",
            "The mean below is over the shifted law. The privacy loss of d coordinates is the sum of d independent losses of one coordinate; by Neyman–Pearson it alone matters.",
            (("L(x)", psi(x) - psi(x - s)), ("delta(t)", mean(sp.Max(0, 1 - sp.exp(t - loss(x)))))),
        ),
        Step(
            "Level set",
            "For every t, G(p) ≤ delta(t) + exp(t)·p, with equality at the best t: R(1 - p) ≥ e wherever p is at most the right side.",
            (("p", sp.exp(-t) * (HALF - delta(t))),),
        ),
        Step(
            "Evaluation",
            "The loss goes onto a grid from above: each cell's two masses are split between its ends, which by Jensen's inequality raises delta. "
            "Its d-fold convolution is computed in integers by repeated squaring, every rounding, truncation and coarsening to the same side. Between "
            "two such proofs delta(t) lies at most d·I/2·(e - e1)·(e2 - e) above its chord in the shift e, I the Fisher information of a coordinate: S² - Σ psi'' ≥ "
            "-Σ psi'', whose mean is -d·I. Polynomials proved below what follows make the table.",
        ),
    )
    reduction = Reduction(
        product[0], "inf", "composition", HALF, "{-1, 1}^d", "not used: the losses are composed", "growth increases in every |v_i|"
    )  # fmt: skip
    return Derivation("inf", METHOD, False, Composition(), reduction, steps, form="table")


def announced(derivation: Derivation | None, spec: Spec) -> list[Step]:
    """The steps for a page on which another radius comes first; the generated code returns this one where a table was compiled."""
    if derivation is None:
        return []
    params = "".join(f" --param {q.name}=VALUE" for q in spec.parameters)
    text = (
        f"A larger radius by composition, returned where its table is there, shipped or made by: python -m derive compile {spec.name} --dim DIM{params} "
        "--adversary inf. Its derivation follows."
    )
    steps = [replace(step, title=f"{step.title} (composition)") for step in derivation.steps]
    return [Step("Sharper with a table", text), *steps]
