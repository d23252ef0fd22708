"""The head of a generated module: what it is, the command that makes it, its domain, its radii, what was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from derive.derivation import Cone, Cosine, Derivation, Lattice, LevelSet, NumericCone
from derive.engine import NORMS, Family
from derive.formula import in_rho
from derive.law import QuadratureLaw
from derive.sampler import sampler_text

TITLES = {"product": "r = |x_i|, iid coordinates", "l1": "r = ‖x‖₁", "l2": "r = ‖x‖₂", "linf": "r = ‖x‖∞"}


def header(family: Family, verified: Sequence[str]) -> str:
    spec = family.spec
    domain = ["dim ≥ 1", *(q.domain for q in spec.parameters if q.domain)]
    domain += [f"{c} > 0" + ("" if g is None else f" where {g} ≠ 0") for c, g in family.conditions]
    radii = [f"    {'l' + a:5} R = {_one_line(d)}   [{d.label}]" for a, d in family.native.items()]
    radii += [f"    {'l' + a:5} {family.method(a)}" for a in family.adversaries if family.routes[a]]
    for member in family.members:
        radii.append(f"    where {_values(member.values)}:")
        radii += [
            f"        {'l' + a:5} R = {_one_line(d)}   [{d.label}]" for a, d in member.family.native.items()
        ]
        radii += [f"        {'l' + a:5} {member.family.method(a)}" for a in NORMS if member.family.routes[a]]
    lines = [
        f'"""{spec.name}: noise with density q(x) ∝ {spec.density}, {TITLES[spec.geometry]}, at scale 1.',
        "",
        "Generated; do not edit. Made by:",
        f"    {spec.command}",
        f"Spec hash: {spec.hash}",
        *([f"Reference: {spec.reference}"] if spec.reference else []),
        "",
        f"Support: {spec.support or 'all r > 0'}",
        f"Law of the radius: {family.law}.",
        f"Variance of a coordinate: {_variance(family)}",
        f"Domain: {'; '.join(domain)}",
        f"Assumptions: none. The density is even because it is a function of r; {_integrable(family)}.",
        f"Sampler: {sampler_text(family)}.",
        "",
        "Radii at scale 1, for rho > 1/2 (0 below):",
        *radii,
        "",
        "Verified when this file was written:",
        *(f"    {line}" for line in verified),
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    return "\n".join(lines)


def _variance(family: Family) -> str:
    if any(c.is_nonpositive for c in family.finite):
        return "infinite"
    shown = "by quadrature" if family.variance is None else str(family.variance)
    return shown + "".join(f", finite where {c} > 0" for c in family.finite)


def _integrable(family: Family) -> str:
    if not isinstance(family.law, QuadratureLaw):
        return "it is integrable because the law above is one"
    far = (
        f"at the end of the support exp(-psi) tends to {family.profile.edge}"
        if family.profile.bound is not None
        else f"at infinity to {family.profile.end}"
    )
    return f"it is integrable because r·psi'(r) tends to {family.profile.start} at 0 and {far}"


def _one_line(derivation: Derivation) -> str:
    shown = "" if derivation.formula is None else str(sp.sstr(in_rho(derivation.formula)))
    if derivation.boundary is not None:
        shown += f" where 1 - rho = {sp.sstr(derivation.mass)}"
    match derivation.evaluation:
        case Cone(weight, _, _) | NumericCone(weight, _):
            cases = [f"{sp.sstr(in_rho(c.radius))} for {_values(v)}" for v, c in derivation.special]
            curve = f"integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass {weight}"
            return "; ".join([f"{curve} = {shown}" if shown else curve, *cases])
        case Lattice(slope):
            return f"integral of dp/Phi(p) from 1 - rho to 1/2, Phi piecewise linear with slopes {slope}*(2*m - d)"
        case Cosine():
            return "integral of dp/Phi(p) from 1 - rho to 1/2, Phi of psi'(r) times a cosine"
        case LevelSet():
            return "exact level sets of the likelihood ratio, by tables of proved lower bounds (TABLES; `python -m derive compile`)"
    return shown


def _values(values: Mapping[sp.Symbol, sp.Rational]) -> str:
    return ", ".join(f"{s} = {v}" for s, v in sorted(values.items(), key=str))
