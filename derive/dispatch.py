"""The part of a generated module that chooses among radii: every route to a norm by name, the best of them, what is special to a cube."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from derive.derivation import Closed, Cosine, Derivation, LevelSet, Tabulated
from derive.engine import Family, Member, source_name
from derive.printer import code

ARGUMENTS = (
    "rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None"
)


@dataclass(frozen=True)
class Equal:
    """Another density that is the same noise: its name, the hash of its spec, the SHA-256 of its shipped linf tables by file."""

    name: str
    spec_hash: str
    tables: Mapping[str, str]

    @property
    def constant(self) -> str:
        """What the module calls its tables."""
        return f"{self.name.upper()}_TABLES"


def signature(family: Family) -> str:
    """The parameters as annotated arguments with defaults, after another argument."""
    return "".join(f", {q.name}: float = {float(q.default)!r}" for q in family.spec.parameters)


def passed(family: Family) -> str:
    """The parameters handed on by name, after another argument."""
    return "".join(f", {q.name}={q.name}" for q in family.spec.parameters)


BESIDE = "_differential"
"""Ends the names of differential radii beside a larger one by level sets."""


def beside_level_sets(family: Family, adversary: str) -> Derivation | None:
    """The differential radius beside an exact one: a runner-up's growth is bounded by it (flat densities need none)."""
    if family.native[adversary].method != "level set" or family.profile.flat:
        return None
    known = Closed | Tabulated | Cosine
    others = (d for d in family.weaker.get(adversary, ()) if d.method == "differential")
    return next((d for d in others if isinstance(d.evaluation, known)), None)


def guard(member: Member) -> str:
    """The condition under which the member's radii hold, as code."""
    return " and ".join(f"{s} == {float(v)!r}" for s, v in sorted(member.values.items(), key=str))


def fixed(member: Member) -> str:
    """The member's parameter values by name, after another argument."""
    return "".join(f", {s}={float(v)!r}" for s, v in sorted(member.values.items(), key=str))


def dispatch(family: Family, equals: Mapping[str, Equal]) -> list[str]:
    """`routes`, `method`, `radius` and, for noise uniform on a cube, `half_width`, one block each.

    `equals`: other densities that are the family ("") or one of its members, by suffix.
    """
    names = ", ".join(f"l{a}" for a in family.adversaries)
    chosen = []
    for member in family.members:
        chosen += [f"    if {guard(member)}:"]
        chosen += [f"        return _routes{member.suffix}(name, dim{passed(member.family)})"]
    refusal = (
        '    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))'
    )
    blocks = [
        "\n".join(
            [
                f"def routes(*, adversary: object, dim: int{signature(family)}) -> tuple[special.Route, ...]:",
                '    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""',
                f"    check(dim=dim{passed(family)})",
                "    name = special.norm_name(adversary)",
                *chosen,
                *_route_lines(family, None, equals.get("")),
                refusal,
            ]
        ),
        *(
            "\n".join(
                [
                    *_member_head(member),
                    *_route_lines(member.family, member, equals.get(member.suffix)),
                    refusal,
                ]
            )
            for member in family.members
        ),
        "\n".join(
            [
                "def method(*, adversary: object, dim: int, **parameters: float) -> str:",
                '    """How the radius against this norm comes about; ValueError for a norm without one."""',
                "    return special.method_text(routes(adversary=adversary, dim=dim, **parameters))",
            ]
        ),
        "\n".join(
            [
                "@special.traceable",
                f"def radius({ARGUMENTS.replace('dim', 'adversary: object, dim')}{signature(family)}) -> special.Array:",
                f'    """The best certified radius known here against {names}; the source of each is in `routes`.',
                "",
                "    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.",
                "    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.",
                "    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.",
                '    """',
                f"    found = routes(adversary=adversary, dim=dim{passed(family)})",
                "    return special.best_radius(rho, found, scale, log_fail)",
            ]
        ),
    ]
    return blocks + _half_width(family)


def _member_head(member: Member) -> list[str]:
    arguments = "".join(f", {q.name}: float" for q in member.family.spec.parameters)
    others = " and ".join(view.geometry for view in member.family.views[1:])
    where = ", ".join(f"{s} = {v}" for s, v in sorted(member.values.items(), key=str))
    return [
        f"def _routes{member.suffix}(name: str, dim: int{arguments}) -> tuple[special.Route, ...]:",
        f'    """The same where {where}, at which the level sets are {others} as well."""',
    ]


def _route_lines(family: Family, member: Member | None, equal: Equal | None) -> list[str]:
    """The body of `routes`: its own radius, then the conversions and what a table adds, for each norm."""
    suffix = member.suffix if member else ""
    lines = [
        f"    l{a} = partial(radius_l{a}{suffix}, dim=dim{passed(family)})"
        for a in family.native
        if any(a == b or a in dict(family.routes[b]) for b in family.adversaries)
    ]
    lines += [
        f"    l{a}{BESIDE} = partial(radius_l{a}{BESIDE}, dim=dim{passed(family)})"
        for a in family.native
        if not suffix and beside_level_sets(family, a)
    ]
    for a in family.adversaries:
        found = [(a, sp.Integer(1))] if a in family.native else []
        lines.append(f'    if name == "{a}":')
        sources = [*found, *family.routes[a]]
        routes = [_route(family, a, b, factor) for b, factor in sources]
        routes += [
            _route(family, a, b, factor, BESIDE)
            for b, factor in sources
            if not suffix and beside_level_sets(family, b)
        ]
        routes += [_tabled(*found, family, member) for found in family.sharper(a)]
        routes += [
            _tabled_as(equal, *found) for found in family.sharper(a) if equal and found[1] == family.composed
        ]
        if len(routes) == 1:
            lines.append(f"        return ({routes[0]},)")
        else:
            lines += ["        return (", *(f"            {route}," for route in routes), "        )"]
    return lines


def tables_name(family: Family) -> str:
    """The module's constant that lists shipped tables; empty for a density that has none to look up."""
    if any(isinstance(d.evaluation, LevelSet) for d in family.native.values()):
        return "TABLES"
    members = [family, *(member.family for member in family.members)]
    return "SHARPER_TABLES" if any(one.exact or one.composed is not None for one in members) else ""


def _tabled(
    source: str, derivation: Derivation, factor: sp.Expr, family: Family, member: Member | None
) -> str:
    """The route by a table, which is filed under all parameters of the whole family."""
    values = {q.name: q.name for q in family.spec.parameters}
    values |= {str(s): repr(float(v)) for s, v in member.values.items()} if member else {}
    given = ", ".join(f'"{name}": {values[name]}' for name in sorted(values))
    listed = tables_name(family) or "{}"
    times = "" if factor == 1 else f", factor={code(factor)}"
    return f'*special.tabled_routes("{source}", NAME, "{derivation.adversary}", SPEC_HASH, {listed}, dim, {{{given}}}{times})'


def _tabled_as(equal: Equal, source: str, derivation: Derivation, factor: sp.Expr) -> str:
    """The route by a table of another density that is the same noise."""
    times = "" if factor == 1 else f", factor={code(factor)}"
    return (
        f'*special.tabled_routes("{source}", "{equal.name}", "{derivation.adversary}", "{equal.spec_hash}", '
        f"{equal.constant}, dim, {{}}{times})"
    )


def _route(family: Family, adversary: str, other: str, factor: sp.Expr, beside: str = "") -> str:
    derivation = beside_level_sets(family, other) if beside else None
    derivation = derivation or family.native[other]
    source = derivation.label if other == adversary else source_name(other, factor)
    parts = [f'"{source}"', f"l{other}{beside}"] + ([] if factor == 1 else [code(factor)])
    if derivation.method == "differential":
        closed = isinstance(derivation.evaluation, Closed) and not derivation.special
        parts.append("accuracy=special.CLOSED" if closed else "accuracy=special.CURVE")
    parts += ["alone=False"] if beside else []
    return f"special.Route({', '.join(parts)})"


def _half_width(family: Family) -> list[str]:
    """Only where the noise is uniform on a cube."""
    profile = family.profile
    if not profile.flat or profile.bound is None or all(v.geometry != "product" for v in family.views):
        return []
    return [
        "\n".join(
            [
                f"def half_width(*, dim: int, scale: float = 1.0{signature(family)}) -> float:",
                '    """The noise is uniform on a cube, |x_i| up to this; rounded down. Families without this function are not."""',
                f"    check(dim=dim{passed(family)})",
                f'    return special.ROUND_DOWN * special.positive("scale", scale){_times(profile.bound)}',
            ]
        )
    ]


def _times(bound: sp.Expr) -> str:
    return "" if bound == 1 else f" * ({code(bound)})"
