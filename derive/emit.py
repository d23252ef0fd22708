"""Writes a generated module: header with provenance, domain checks, radius functions, growth, sigma, sampler."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial

import sympy as sp

from derive.derivation import Closed, Cone, Derivation, Lattice
from derive.dispatch import (
    ARGUMENTS,
    BESIDE,
    Equal,
    beside_level_sets,
    dispatch,
    fixed,
    passed,
    signature,
    tables_name,
)
from derive.engine import Family
from derive.formula import NormalQuantile, fail, gap, rho, z
from derive.header import header
from derive.law import tidy
from derive.numeric import curve_lines, density_lines, law_call, needs_density
from derive.printer import code
from derive.sampler import sampler_lines, sampler_text
from derive.tail import accurate


def module_text(
    family: Family,
    verified: Sequence[str],
    tables: Mapping[str, str] | None = None,
    equals: Mapping[str, Equal] | None = None,
) -> str:
    """The source of generated/<name>.py; `verified` are the header's lines on what was checked and how, `tables` the SHA-256 of the
    shipped table files by name, `equals` what other densities it is, by a member's suffix."""
    parts = [_check(family)]
    parts += density_lines(family) if needs_density(family) else []
    for adversary, derivation in family.native.items():
        parts.append(_native(family, adversary, derivation))
        beside = beside_level_sets(family, adversary)
        parts += [_native(family, adversary, beside, BESIDE)] if beside else []
    for member in family.members:
        for adversary, derivation in member.family.native.items():
            parts.append(_native(member.family, adversary, derivation, member.suffix, fixed(member)))
    parts += dispatch(family, equals or {})
    for adversary, derivation in family.native.items():
        if derivation.method == "differential":
            parts.append(_growth(family, adversary, derivation))
    parts += [_sigma(family), _sampler(family)]
    body = "\n\n\n".join(parts) + "\n"
    imports = ["import math"] if "math." in body else []
    tools = [name for name in ("lru_cache", "partial") if f"{name}(" in body]
    imports += [f"from functools import {', '.join(tools)}"] if tools else []
    imports += [""] if imports else []
    imports += ["import numpy as np"] if "np." in body else []
    imports += ["import torch\n", "from generated import special\n"]
    return (
        "\n".join([header(family, verified), *imports, _constants(family, tables or {}, equals or {})])
        + "\n\n\n"
        + body
    )


def _names(family: Family) -> list[str]:
    return [q.name for q in family.spec.parameters]


def _constants(family: Family, tables: Mapping[str, str], equals: Mapping[str, Equal]) -> str:
    spec = family.spec
    quoted = partial(json.dumps, ensure_ascii=False)
    defaults = ", ".join(f"{quoted(q.name)}: {float(q.default)!r}" for q in spec.parameters)
    domains = ", ".join(f"{quoted(q.name)}: {quoted(q.domain)}" for q in spec.parameters)
    lines = [
        f"NAME = {quoted(spec.name)}",
        f"GEOMETRY = {quoted(spec.geometry)}",
        f"DENSITY = {quoted(spec.density)}",
        f"REFERENCE = {quoted(spec.reference)}",
        f"SPEC_HASH = {quoted(spec.hash)}",
        f"PARAMETERS: dict[str, float] = {{{defaults}}}",
        f"PARAMETER_DOMAINS: dict[str, str] = {{{domains}}}",
        f"ADVERSARIES = ({', '.join(quoted(a) for a in family.adversaries)},)",
    ]
    name = tables_name(family) or ("SHARPER_TABLES" if tables else "")
    if name:
        listed = [f"    {quoted(f)}: {quoted(h)}," for f, h in tables.items()]
        lines += (
            [f"{name}: dict[str, str] = {{", *listed, "}"] if listed else [f"{name}: dict[str, str] = {{}}"]
        )
        what = "proved radii" if name == "TABLES" else "sharper radii beside those that need none"
        lines += [f'"""Shipped tables of {what}: file in generated/tables, SHA-256."""']
    for equal in {one.name: one for one in equals.values()}.values():
        listed = [f"    {quoted(f)}: {quoted(h)}," for f, h in equal.tables.items()]
        lines += [f"{equal.constant}: dict[str, str] = {{", *listed, "}"]
        lines += [
            f'"""{_where(family, equals, equal)} {equal.name} noise: shipped tables of its linf radius, SHA-256."""'
        ]
    return "\n".join(lines)


def _where(family: Family, equals: Mapping[str, Equal], equal: Equal) -> str:
    """At which parameters the density is another one, in words."""
    places = [
        ", ".join(f"{s} = {v}" for s, v in sorted(member.values.items(), key=str))
        for member in family.members
        if equals.get(member.suffix) == equal
    ]
    return f"Where {' or '.join(places)}, this is" if places else "This is"


def _check(family: Family) -> str:
    lines = [
        f"def check(*, dim: int{signature(family)}) -> None:",
        '    """ValueError unless the dimension and the parameters are inside the law\'s domain."""',
        "    special.dimension(dim)",
    ]
    for q in family.spec.parameters:
        ends = [] if q.lower is None else [f"x >{'=' if q.lower_closed else ''} {float(q.lower)!r}"]
        ends += [] if q.upper is None else [f"x <{'=' if q.upper_closed else ''} {float(q.upper)!r}"]
        holds = " and ".join(ends) or "True"
        lines.append(
            f'    special.number("{q.name}", {q.name}, lambda x: {holds}, "a number with {q.domain or "any value"}")'
        )
    for condition, guard in family.conditions:
        shown = f"{family.spec.name} needs {_plain(condition)} > 0" + (
            f" where {guard} is not 0" if guard is not None else ""
        )
        values = ", ".join(
            f"{n} = {{{n}!r}}" for n in ["dim", *_names(family)] if n == "dim" or n in _plain(condition)
        )
        test = (
            f"{code(condition)} > 0.0"
            if guard is None
            else f"{code(guard)} == 0.0 or {code(condition)} > 0.0"
        )
        lines.append(f'    special.require({test}, f"{shown}, not {values}")')
    return "\n".join(lines)


def _plain(condition: sp.Expr) -> str:
    """The condition for people, with the module's name for d."""
    return re.sub(r"\bd\b", "dim", str(sp.sstr(sp.factor(sp.together(condition)))))


def _native(family: Family, adversary: str, derivation: Derivation, suffix: str = "", more: str = "") -> str:
    """One radius function, and its curve; for a member with its `suffix` and, in `more`, its fixed parameters."""
    lines = [
        "@special.traceable",
        f"def radius_l{adversary}{suffix}({ARGUMENTS}{signature(family)}) -> special.Array:",
        f'    """Certified l{adversary} radius at confidence rho: {derivation.label}. Never above the true radius of the method.',
        "",
        "    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.",
        "    log_fail: log(1 - rho) instead of rho.",
        '    """',
        f"    check(dim=dim{passed(family)}{more})",
        "    at = special.prepare(rho, log_fail)",
    ]
    for values, closed in derivation.special:
        test = " and ".join(f"{s} == {float(v)!r}" for s, v in sorted(values.items(), key=str))
        lines += [
            f"    if {test}:",
            *_closed_lines(closed, "        "),
            "        return special.finish(at, value, scale)",
        ]
    match derivation.evaluation:
        case Closed():
            lines += _closed_lines(derivation.evaluation, "    ")
        case _:
            lines.append(
                f"    value = _curve_l{adversary}{suffix}(dim{''.join(', ' + n for n in _names(family))})(at)"
            )
    lines.append("    return special.finish(at, value, scale)")
    if isinstance(derivation.evaluation, Closed):
        return "\n".join(lines)
    return _curve(family, adversary, derivation, suffix) + "\n\n\n" + "\n".join(lines)


def _closed_lines(closed: Closed, indent: str) -> list[str]:
    radius = accurate(closed.radius)
    text = code(radius)
    lines = [f"{indent}xp = at.xp"] if "xp." in text else []
    lines += [f"{indent}{s} = at.{s}" for s in (gap, fail, rho) if s in radius.free_symbols]
    return [*lines, f"{indent}value = {text}"]


def _curve(family: Family, adversary: str, derivation: Derivation, suffix: str) -> str:
    arguments = "".join(f", {n}: float" for n in _names(family))
    lines = [f"def _curve_l{adversary}{suffix}(dim: int{arguments}) -> special.RadiusCurve:"]
    match derivation.evaluation:
        case Cone(weight, law, terms):
            lines += [
                f'    """{{A = 1, psi\' ≥ c}} with P(A = 1) = {weight}; {law}."""',
                f"    law = special.GammaLaw({_addends(law.shape * law.power)}, {code(law.rate)}, {code(law.power)})",
                f"    score = ({', '.join(f'({code(c)}, {code(q)})' for c, q in terms)},)",
                f"    return special.cone_curve(special.GreedySet({code(weight)}, law, score))",
            ]
        case Lattice(slope):
            lines += [
                '    """The score takes the values slope · (2 i - dim), i ~ Bin(dim, 1/2)."""',
                f"    return special.binomial_curve(dim, {code(slope)})",
            ]
        case _:
            lines = curve_lines(family, adversary, derivation, suffix)
    return "\n".join(lines)


def _addends(expression: sp.Expr) -> str:
    terms = sp.Add.make_args(sp.expand(tidy(expression)))
    return f"({', '.join(code(t) for t in terms)},)"


def _pieces(least: sp.Min) -> sp.Expr:
    first, *others = sorted(least.args, key=lambda a: a.is_number)
    for other in others:
        first = sp.Piecewise((first, first < other), (other, True))
    return first


def _growth(family: Family, adversary: str, derivation: Derivation) -> str:
    lines = [
        f"def growth_l{adversary}(fail: np.ndarray, *, dim: int{signature(family)}) -> np.ndarray:",
        f'    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an l{adversary} shift."""',
        f"    check(dim=dim{passed(family)})",
        "    fail = special.small_probability(fail)",
    ]
    match derivation.evaluation:
        case Closed(radius):
            radius = radius.replace(lambda e: isinstance(e, sp.Min), _pieces)  # whose derivative has code
            slope = radius.diff(gap) - radius.diff(fail) + radius.diff(rho)
            slope = slope.subs(NormalQuantile(rho), z).subs({gap: sp.Rational(1, 2) - fail, rho: 1 - fail})
            growth = sp.simplify(1 / slope)
            if z in growth.free_symbols:
                lines += ["    z = -special.NUMPY.ndtri(fail)"]
            if not growth.free_symbols & {fail, z}:
                lines.append(f"    return np.full_like(fail, {code(growth)}) * special.ROUND_UP")
            else:
                lines += (["    xp = special.NUMPY"] if "xp." in code(growth) else []) + [
                    f"    return np.asarray(special.ROUND_UP * ({code(growth)}))"
                ]
        case _:
            lines.append(
                f"    return _curve_l{adversary}(dim{''.join(', ' + n for n in _names(family))}).growth(fail)"
            )
    return "\n".join(lines)


def _sigma(family: Family) -> str:
    arguments = "".join(f", {n}" for n in _names(family))
    if any(c.is_nonpositive for c in family.finite):
        unit = [
            f'    raise ValueError("{family.spec.name} has an infinite variance, so no sigma; give its scale instead")'
        ]
    else:
        unit = [
            f'    special.require({code(c)} > 0.0, "{family.spec.name} has an infinite variance unless {_plain(c)} > 0; give its scale instead")'
            for c in family.finite
        ]
        if family.variance is None:
            view = family.views[0]
            moment = f"{law_call(family, view.exponent)}.moment(2.0)"
            factor = view.second_moment
            product = moment if factor == 1 else f"({code(factor)}) * {moment}"
            unit.append(f"    return math.sqrt({product})")
        else:
            unit.append(f"    return {code(sp.sqrt(family.variance)) if family.variance != 1 else '1.0'}")
    lines = [
        f"def sigma_of_scale(scale: float, *, dim: int{signature(family)}) -> float:",
        '    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""',
        f"    check(dim=dim{passed(family)})",
        f'    return special.positive("scale", scale) * _unit_sigma(dim{arguments})',
        "",
        "",
        f"def scale_of_sigma(sigma: float, *, dim: int{signature(family)}) -> float:",
        '    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""',
        f"    check(dim=dim{passed(family)})",
        f'    return special.positive("sigma", sigma) / _unit_sigma(dim{arguments})',
        "",
        "",
        f"def _unit_sigma(dim: int{''.join(f', {n}: float' for n in _names(family))}) -> float:",
        *unit,
    ]
    return "\n".join(lines)


def _sampler(family: Family) -> str:
    before, body = sampler_lines(family)
    lines = [
        *before,
        "def sample(",
        f"    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32{signature(family)}",
        ") -> torch.Tensor:",
        '    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator\'s device.',
        "",
        f"    {sampler_text(family)}.",
        '    """',
        f"    check(dim=dim{passed(family)})",
        "    sizes = special.check_event(shape, dim)",
        '    scale = special.positive("scale", scale)',
        *(f"    {line}" for line in body),
    ]
    return "\n".join(lines)


def registry_text(names: Sequence[str]) -> str:
    """The source of generated/registry.py."""
    imports = "\n".join(f'    "{n}": "generated.{n}",' for n in names)
    return f'''"""The noise families of this package. Generated by `python -m derive regenerate`; do not edit."""

from __future__ import annotations

import importlib
from types import ModuleType

_MODULES = {{
{imports}
}}
FAMILIES: tuple[str, ...] = tuple(_MODULES)


def load(name: str) -> ModuleType:
    """The module of a family; ValueError naming the known ones otherwise."""
    if name not in _MODULES:
        raise ValueError(f"unknown noise {{name!r}}; known: {{', '.join(FAMILIES)}}")
    return importlib.import_module(_MODULES[name])
'''
