"""A derivation as text, Markdown or LaTeX, from the engine's own steps."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from derive.derivation import Cone, Derivation, Step
from derive.engine import Family
from derive.formula import in_rho
from derive.sampler import sampler_text
from derive.spec import Spec, SpecError

FORMATS = ("text", "markdown", "latex")
_NORM = {"1": "l1", "2": "l2", "inf": "linf"}


def explain(family: Family, adversary: str, form: str = "text") -> str:
    """Every step from the density to the radius against one norm; SpecError when there is none."""
    if form not in FORMATS:
        raise SpecError(f"the format must be one of {', '.join(FORMATS)}, not {form!r}")
    if adversary not in family.adversaries:
        raise SpecError(
            f"{family.spec.name} has no radius against {_NORM.get(adversary, adversary)}; it has {', '.join(family.adversaries)}"
        )
    steps = [*hypotheses(family)]
    if adversary in family.native:
        derivation = family.native[adversary]
        steps += [*derivation.steps, *_special(derivation), *_limits(derivation), _tightness(derivation)]
    steps += _conversions(family, adversary)
    title = f"{family.spec.name} against {_NORM[adversary]}"
    return {"text": _text, "markdown": _markdown, "latex": _latex}[form](title, steps)


def hypotheses(family: Family) -> list[Step]:
    """What was assumed of the density and how each was shown."""
    spec, profile = family.spec, family.profile
    names = {"flat": "0 inside the support", "constant": "constant", "rising": "rising", "falling": "falling"}
    score = names.get(profile.shape, "decided by the parameters: the signs of coefficient·exponent")
    conditions = [f"{c} > 0" + ("" if g is None else f" where {g} ≠ 0") for c, g in family.conditions]
    domain = "; ".join([q.domain for q in spec.parameters if q.domain] + conditions) or "no conditions"
    return [
        Step(
            "Density",
            f"q(x) ∝ {spec.density} with {'r = |x_i| for each coordinate' if spec.geometry == 'product' else 'r the ' + spec.geometry + ' norm'}"
            + (f" on {spec.support}" if spec.support else "")
            + f"; {domain}.",
            (("psi(r)", profile.psi),),
        ),
        Step(
            "Hypotheses",
            "Even: a function of r (by the grammar). Positive: its constant factor is. Integrable: its radial law is a law (Pearson "
            f"identity, checked symbolically). Score psi': {score}.",
            (("psi'(r)", profile.score),),
        ),
        Step("Variance", "Of a coordinate, at scale 1.", (("sigma**2", family.variance),)),
        Step("Sampler", sampler_text(family) + "."),
    ]


def _special(derivation: Derivation) -> list[Step]:
    steps = []
    for values, closed in derivation.special:
        where = ", ".join(f"{s} = {v}" for s, v in sorted(values.items(), key=str))
        steps.append(
            Step(
                "Closed form",
                f"For {where} the score is constant and no integral is left.",
                (("R(rho)", closed.radius),),
            )
        )
    return steps


def _limits(derivation: Derivation) -> list[Step]:
    if isinstance(derivation.evaluation, Cone):
        return [Step("Limits", "R(1/2) = 0; R grows with slope 1/Phi(1 - rho), so it is convex in rho.")]
    return [Step("Limits", "R(1/2) = 0, and R is convex in rho because Phi is concave.")]


def _tightness(derivation: Derivation) -> Step:
    if derivation.tight and derivation.method == "level set":
        text = "Tight: this is the exact Neyman–Pearson radius along the worst shift."
    elif derivation.tight:
        text = (
            "Tight: along this v the likelihood ratio is monotone in x_1, so the Neyman–Pearson sets are half spaces for shifts of "
            "any length, and they give the same radius; no larger one can be certified from rho alone."
        )
    else:
        text = "Sound for every shift; tight for infinitesimal shifts. A larger radius may be provable by level sets."
    return Step("Tightness", text + f" Method: {derivation.method}. Source: Yang et al., ICML 2020.")


def _conversions(family: Family, adversary: str) -> list[Step]:
    steps = []
    for other, factor in family.routes[adversary]:
        text = f"A lower bound from {_NORM[other]}: every v shorter than it against {_NORM[adversary]} is shorter than R_{other} there."
        steps.append(Step("Conversion", text, ((f"R_{adversary}", factor * sp.Symbol(f"R_{other}")),)))
    if len(steps) + (adversary in family.native) > 1:
        steps.append(Step("Best of all", "The largest of these sound radii is returned."))
    return steps


def _lines(step: Step) -> list[tuple[str, sp.Expr]]:
    return [(left, in_rho(right)) for left, right in step.formulas]


def _text(title: str, steps: Sequence[Step]) -> str:
    out = [title, "=" * len(title)]
    for step in steps:
        out += [
            "",
            f"{step.title}",
            f"  {step.text}",
            *(f"    {left} = {sp.sstr(right)}" for left, right in _lines(step)),
        ]
    return "\n".join(out) + "\n"


def _math(left: str, right: sp.Expr) -> str:
    names = {
        "psi'": r"\psi'",
        "psi'(r)": r"\psi'(r)",
        "psi(r)": r"\psi(r)",
        "R(rho)": r"R(\rho)",
        "Phi": r"\Phi",
        "sigma**2": r"\sigma^2",
    }
    names |= {
        "Phi(p)": r"\Phi(p)",
        "Phi(s)": r"\Phi(s)",
        "Phi_m": r"\Phi_m",
        "delta(e)": r"\delta(e)",
        "delta(R)": r"\delta(R)",
    }
    shown = names.get(left)
    if shown is None:
        shown = (
            left.replace("Phi", r"\Phi")
            .replace("rho", r"\rho")
            .replace("≤", r"\le ")
            .replace("≥", r"\ge ")
            .replace("*", "")
        )
    return f"{shown} = {sp.latex(right)}"


def _markdown(title: str, steps: Sequence[Step]) -> str:
    out = [f"## {title}"]
    for step in steps:
        out += ["", f"**{step.title}.** {step.text}"]
        for left, right in _lines(step):
            out += ["", f"$${_math(left, right)}$$"]
    return "\n".join(out) + "\n"


_ESCAPES = {"‖": r"$\|$", "Σ": r"$\Sigma$", "≥": r"$\ge$", "≤": r"$\le$", "·": r"$\cdot$", "±": r"$\pm$", "½": r"$\frac12$", "∝": r"$\propto$", "∪": r"$\cup$", "≠": r"$\ne$"}  # fmt: skip
_ESCAPES |= {
    "₁": "$_1$",
    "₂": "$_2$",
    "∞": r"$_\infty$",
    "Π": r"$\Pi$",
    "^": r"\^{}",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "–": "--",
    "σ": r"$\sigma$",
}


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in text)


def _latex(title: str, steps: Sequence[Step]) -> str:
    out = [rf"\section*{{{_escaped(title)}}}"]
    for step in steps:
        out += ["", rf"\paragraph{{{_escaped(step.title)}.}} {_escaped(step.text)}"]
        for left, right in _lines(step):
            out += [r"\[", f"  {_math(left, right)}", r"\]"]
    return "\n".join(out) + "\n"


def page(family: Family) -> str:
    """The Markdown page of a density: every norm it has a radius for."""
    spec = family.spec
    head = [
        f"# {spec.name}",
        "",
        f"Noise with density proportional to `{spec.density}`, geometry `{spec.geometry}`"
        + (f", support `{spec.support}`" if spec.support else "")
        + ". This page is written by the engine; made by",
        "",
        "```text",
        spec.command,
        "```",
        "",
        *([f"Reference: {spec.reference}", ""] if spec.reference else []),
        "| adversary | radius |",
        "|---|---|",
        *(f"| {_NORM[a]} | {family.method(a)} |" for a in family.adversaries),
        "",
    ]
    return "\n".join(head) + "\n" + "\n".join(explain(family, a, "markdown") for a in family.adversaries)


def index_page(specs: Sequence[Spec]) -> str:
    """The list of derivation pages."""
    rows = [
        f"| [{s.name}]({s.name}.md) | `{s.density}` | {s.geometry} | {s.support or 'all r > 0'} |"
        for s in specs
    ]
    return (
        "\n".join(
            [
                "# Derivations",
                "",
                "Written by the engine from its own steps.",
                "",
                "| density | q ∝ | geometry | support |",
                "|---|---|---|---|",
                *rows,
            ]
        )
        + "\n"
    )
