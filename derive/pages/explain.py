"""A derivation as text, Markdown or LaTeX, from the engine's own steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from derive.composition.steps import announced
from derive.derivation import Derivation, Step
from derive.engine import Family
from derive.formula import Log1p, dim, in_rho, rho, written_out
from derive.law import QuadratureLaw
from derive.ordering import end_value
from derive.pages.brackets import Brackets, bracket_text
from derive.pages.summary import ALL, image
from derive.sampler import sampler_text
from derive.spec import Spec, SpecError
from derive.symbolic import attempt

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
        steps += [
            *derivation.steps,
            *_special(derivation),
            *_limits(family, derivation),
            _tightness(derivation),
        ]
        steps += _comparison(family, adversary)
        steps += _sharper(family, adversary)
    steps += _conversions(family, adversary)
    steps += _members(family, adversary)
    steps += announced(family.composed, family.spec) if adversary == "inf" else []
    title = f"{family.spec.name} against {_NORM[adversary]}"
    return {"text": _text, "markdown": _markdown, "latex": _latex}[form](title, steps)


def hypotheses(family: Family) -> list[Step]:
    """What was asked of the density and how each was shown."""
    spec, profile = family.spec, family.profile
    conditions = [f"{c} > 0" + ("" if g is None else f" where {g} ≠ 0") for c, g in family.conditions]
    domain = "; ".join([q.domain for q in spec.parameters if q.domain] + conditions) or "no conditions"
    finite = "".join(f" Finite where {c} > 0." for c in family.finite)
    if any(c.is_nonpositive for c in family.finite):
        variance = Step("Variance", "Infinite: the noise has a scale, but no sigma.")
    elif family.variance is None:
        variance = Step("Variance", "Of a coordinate, at scale 1: by quadrature." + finite)
    else:
        variance = Step("Variance", f"Of a coordinate, at scale 1.{finite}", (("sigma**2", family.variance),))
    return [
        Step(
            "Density",
            f"q(x) ∝ {spec.density} with {'r = |x_i| for each coordinate' if spec.geometry == 'product' else 'r the ' + spec.geometry + ' norm'}"
            + (f" on {spec.support}" if spec.support else "")
            + f"; {domain}.",
            (("psi(r)", _shown(written_out(profile.psi))),),
        ),
        Step("Hypotheses", " ".join(_checks(family)), (("psi'(r)", profile.score),)),
        variance,
        Step("Sampler", sampler_text(family) + "."),
    ]


def _shown(psi: sp.Expr) -> sp.Expr:
    """psi with the terms in one logarithm collected."""
    return psi if psi.has(sp.Piecewise) else sp.collect(psi, sorted(psi.atoms(sp.log), key=str), sp.factor)


def _checks(family: Family) -> list[str]:
    """One sentence for each hypothesis: how it was proved, or what follows from its not being proved."""
    profile = family.profile
    sentences = [
        "Even: a function of r (by the grammar). Positive: its signs are +, proved over the whole line."
    ]
    if isinstance(family.law, QuadratureLaw):
        far = (
            f"exp(-psi) tends to {profile.edge} at the end of the support"
            if profile.bound is not None
            else f"to {profile.end} at infinity"
        )
        sentences.append(f"Integrable: r·psi'(r) tends to {profile.start} at 0 and {far}.")
    else:
        sentences.append(f"Integrable: {family.law} (Pearson identity, proved symbolically).")
    if profile.kinks:
        sentences.append(f"Continuous, with kinks at r = {', '.join(map(str, profile.kinks))}.")
    if profile.bound is not None and profile.edge is not None:
        sentences.append(
            "No jump at the end of the support."
            if profile.edge.is_zero
            else "It jumps to 0 at the end of the support."
        )
    sentences.append(
        f"Unimodal: {family.unimodal}." if family.unimodal else "Unimodal: not proved, and not used."
    )
    if profile.shape == "unknown":
        sentences.append(
            "Shape of the score: not the same, or not proved, for all parameters; nothing rests on it, for the pieces on which the score is monotone are "
            "found at the parameters in use."
        )
    else:
        sentences.append(f"Score psi': {'0 inside the support' if profile.flat else profile.shape}, proved.")
    return sentences


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


def _limits(family: Family, derivation: Derivation) -> list[Step]:
    """R at both ends, and its slope: limits of the formula where there is one, else what convexity and the law give."""
    profile, formula = family.profile, derivation.formula
    shown: list[tuple[str, sp.Expr]] = []
    texts = [
        "R(1/2) = 0"
        + (", and R is convex in rho because Phi is concave." if derivation.method == "differential" else ".")
    ]
    if formula is not None and derivation.boundary is None and not formula.has(sp.Min, sp.Max):
        at = in_rho(formula).replace(Log1p, lambda x: sp.log(1 + x))
        for name, point, side in (("slope", sp.Rational(1, 2), "+"), ("end", sp.Integer(1), "-")):
            inner = sp.diff(at, rho) if name == "slope" else at
            value = attempt(_simple_limit, inner, rho, point, side, seconds=1.0)
            if value is not None and not value.has(sp.Limit, sp.Derivative, sp.Subs, sp.nan, sp.zoo, rho):
                shown.append(("dR/drho at 1/2" if name == "slope" else "R(1)", value))
        if formula.has(dim):
            far = attempt(sp.limit, at, dim, sp.oo, seconds=1.0)
            if far is not None and not far.has(sp.Limit, sp.nan):
                shown.append(("R as d -> oo", far))
    if profile.bound is not None:
        texts.append("As rho → 1 the radius stays finite: shifts beyond the support leave nothing in common.")
    elif derivation.method == "level set":
        texts.append("As rho → 1 the radius grows without bound, for the density is positive everywhere.")
    elif not any(left == "R(1)" for left, _ in shown) and _bounded_score(family):
        texts.append(
            "As rho → 1 the radius grows without bound: psi' is bounded, by c say, so that Phi(p) ≤ c·p."
        )
    if derivation.reduction.view.exponent == 1:
        texts.append("It does not depend on d." if derivation.adversary == "1" else "")
    return [Step("Limits", " ".join(t for t in texts if t), tuple(shown))]


def _simple_limit(expression: sp.Expr, symbol: sp.Symbol, point: sp.Expr, side: str) -> sp.Expr:
    return sp.gammasimp(sp.simplify(sp.limit(expression, symbol, point, side)))


def _bounded_score(family: Family) -> bool:
    """Whether psi' is proved to have finite limits at both ends, and so, being continuous up to jumps, to be bounded."""
    ends = (end_value(family.profile.score, sp.Integer(0), "+"), end_value(family.profile.score, sp.oo, "-"))
    return all(end is not None and bool(end.is_finite) for end in ends)


def _tightness(derivation: Derivation) -> Step:
    source = "Yang et al., ICML 2020"
    if derivation.tight and derivation.method == "level set":
        text = "Tight: this is the exact Neyman–Pearson radius along the worst shift."
    elif derivation.tight:
        text = (
            "Tight: along this v the likelihood ratio is monotone in x_1, so the Neyman–Pearson sets are half spaces for shifts of "
            "any length, and they give the same radius; no larger one can be certified from rho alone."
        )
    else:
        text = "Sound for every shift; tight for infinitesimal shifts. A larger radius may be provable by level sets."
    return Step("Tightness", text + f" Method: {derivation.method}, {derivation.form}. Source: {source}.")


def _comparison(family: Family, adversary: str) -> list[Step]:
    """Sound radii that the one above exceeds, in one step each."""
    return [
        Step(
            "For comparison",
            f"The {other.method} radius, sound and not larger."
            + (" Its integral has no closed form." if other.formula is None else ""),
            () if other.formula is None else (("R(rho)", other.formula),),
        )
        for other in family.weaker.get(adversary, ())
        if other.formula is None or other.formula != family.native[adversary].formula
    ]


def _sharper(family: Family, adversary: str) -> list[Step]:
    """The exact radius, where the generated code does not return it."""
    if adversary not in family.exact:
        return []
    exact = family.exact[adversary]
    text = (
        "The radius above is what the generated code returns. The exact Neyman–Pearson radius is larger; it has no closed form, and is enclosed at any rho "
        f"by: python -m derive radius {family.spec.name} --adversary {adversary} --dim DIM --rho RHO"
        + "".join(f" --param {q.name}=VALUE" for q in family.spec.parameters) + "."
    )  # fmt: skip
    titles = (f"Exact radius: {step.title[0].lower()}{step.title[1:]}" for step in exact.steps)
    steps = [replace(step, title=title) for step, title in zip(exact.steps, titles, strict=True)]
    return [Step("Exact radius", text), *steps, _tightness(exact)]


def _conversions(family: Family, adversary: str) -> list[Step]:
    steps = []
    for other, factor in family.routes[adversary]:
        text = f"A lower bound from {_NORM[other]}: every v shorter than this in {_NORM[adversary]} is shorter than the {_NORM[other]} radius in {_NORM[other]}."
        steps.append(Step("Conversion", text, ((f"R_{adversary}", factor * sp.Symbol(f"R_{other}")),)))
    if len(steps) + (adversary in family.native) > 1:
        steps.append(Step("Best of all", "The largest of these sound radii is returned."))
    return steps


def _members(family: Family, adversary: str) -> list[Step]:
    """What is returned where some parameters give the density more symmetry."""
    steps = []
    for member in family.members:
        where = ", ".join(f"{s} = {v}" for s, v in sorted(member.values.items(), key=str))
        seen = "; ".join(f"{view.geometry}: {view.reason}" for view in member.family.views[1:])
        found = member.family.native.get(adversary)
        formula = None if found is None else found.formula
        steps.append(
            Step(
                "Special parameters",
                f"For {where} there are more level sets ({seen}), and the radius is: {member.family.method(adversary)}.",
                () if formula is None else (("R(rho)", formula),),
            )
        )
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
        "delta(e)": r"\delta(e)",
        "psi(s)": r"\psi(s)",
        "psi(s_t)": r"\psi(s_t)",
        "max_t h": r"\max_t h",
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
    shown = (
        shown.replace("R_inf", r"R_{\infty}")
        .replace(r"dR/d\rho at 1/2", r"\frac{dR}{d\rho}\Big|_{1/2}")
        .replace("R as d -> oo", r"\lim_{d\to\infty} R")
    )
    return f"{shown} = {sp.latex(right)}".replace("R_{inf}", r"R_{\infty}")


def _plain(text: str) -> str:
    """Prose whose asterisks and underscores are no markup."""
    return text.replace("*", r"\*").replace("_", r"\_")


def _markdown(title: str, steps: Sequence[Step]) -> str:
    out = [f"## {title}"]
    for step in steps:
        out += ["", f"**{step.title}.** {_plain(step.text)}"]
        for left, right in _lines(step):
            out += ["", f"$${_math(left, right)}$$"]
    return "\n".join(out) + "\n"


_ESCAPES = {"‖": r"$\|$", "Σ": r"$\Sigma$", "≥": r"$\ge$", "≤": r"$\le$", "·": r"$\cdot$", "±": r"$\pm$", "½": r"$\frac12$", "∝": r"$\propto$", "∪": r"$\cup$", "∩": r"$\cap$", "≠": r"$\ne$"}  # fmt: skip
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
    "→": r"$\to$",
    "₊": "$_+$",
    "∫": r"$\int$",
    "²": "$^2$",
    "ε": r"$\varepsilon$",
    "λ": r"$\lambda$",
    "’": "'",
    "…": r"$\dots$",
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


def page(family: Family, brackets: Brackets) -> str:
    """The Markdown page of a density: every norm it has a radius for, and its bracket there."""
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
        *(f"| {_NORM[a]} | {_plain(family.method(a))} |" for a in family.adversaries),
        "",
    ]
    return "\n".join(head) + "\n" + "\n".join(_section(family, a, brackets) for a in family.adversaries)


def _section(family: Family, adversary: str, brackets: Brackets) -> str:
    """One norm: its picture under the heading, then the steps, then how much more there could be."""
    heading, _, body = explain(family, adversary, "markdown").partition("\n")
    caption = f"Density and certified radius of {family.spec.name} against {_NORM[adversary]}"
    rest = bracket_text(brackets.get(family.spec.name, {}).get(adversary), adversary)
    return f"{heading}\n\n![{caption}]({image(family.spec.name, adversary)})\n{body}\n**Bracket.** {_plain(rest)}\n"


def index_page(specs: Sequence[Spec], more: Sequence[str] = ()) -> str:
    """The list of derivation pages; `more`: lines that follow it."""
    rows = [
        f"| [{s.name}]({s.name}.md) | `{s.density}` | {s.geometry} | {s.support or 'all r > 0'} |"
        for s in specs
    ]
    return (
        "\n".join(
            [
                "# Derivations",
                "",
                "Written by the engine from its own steps. [Coverage](coverage.md): what is derived for each density and norm, how, and how fast.",
                "",
                *(
                    f"![All densities against {norm} at equal sigma, d = 3072]({image(ALL, a)})\n"
                    for a, norm in _NORM.items()
                ),
                "| density | q ∝ | geometry | support |",
                "|---|---|---|---|",
                *rows,
                *(["", *more] if more else []),
            ]
        )
        + "\n"
    )
