"""From a spec to everything known about it: law, sigma, a radius for each norm, conversions between norms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.composition.steps import composed
from derive.derivation import Closed, Cone, Derivation, Lattice
from derive.differential import differential
from derive.formula import dim, r
from derive.geometry import View, reductions, views
from derive.law import Condition, QuadratureLaw, RadialLaw, radial_law
from derive.levelset import level_set, shells
from derive.ordering import interval_pattern
from derive.profile import Profile, profile_of
from derive.spec import Spec, SpecError
from derive.symbolic import attempt
from derive.timelimit import limited

NORMS = ("1", "2", "inf")
SECONDS = 25.0
"""Processor time for one density."""
_INVERSE = {"1": sp.Integer(1), "2": sp.Rational(1, 2), "inf": sp.Integer(0)}


@dataclass(frozen=True)
class Member:
    """Parameter values at which a density can be seen with other level sets as well, and what is derived for them alone."""

    values: Mapping[sp.Symbol, sp.Rational]
    family: Family

    @property
    def suffix(self) -> str:
        """What the member's functions are called by, e.g. `_k_2_j_0`."""
        values = (f"_{s}_{v}" for s, v in sorted(self.values.items(), key=str))
        return "".join(values).replace("/", "_").replace("-", "m")


@dataclass(frozen=True)
class Family:
    """A density with its derived radii. `routes[a]`: norms whose radius bounds the one for a, with the factor.

    `exact[a]`: the Neyman–Pearson radius where it is sharper than `native[a]`, which has a formula or a curve for every dimension and parameter;
    this one is enclosed at one rho at a time. `weaker[a]`: sound radii derived on the way that `native[a]` exceeds. `variance` is sigma² at scale 1 as a formula, None where it is
    computed by quadrature; it is finite where all of `finite` are positive. `unimodal`: how psi' ≥ 0 was proved, "" where it was not.
    `composed`: the linf radius by composition, returned where a table is there. `members`: where at some parameters more is known.
    """

    spec: Spec
    profile: Profile
    views: tuple[View, ...]
    law: RadialLaw
    variance: sp.Expr | None
    finite: tuple[sp.Expr, ...]
    native: Mapping[str, Derivation]
    exact: Mapping[str, Derivation]
    weaker: Mapping[str, tuple[Derivation, ...]]
    routes: Mapping[str, tuple[tuple[str, sp.Expr], ...]]
    conditions: tuple[Condition, ...]
    unimodal: str
    composed: Derivation | None = None
    members: tuple[Member, ...] = ()

    def at(self, values: Mapping[sp.Symbol, sp.Rational]) -> Family:
        """What is known at these parameters: the member they belong to, or all of the family."""
        found = (m.family for m in self.members if all(values[s] == v for s, v in m.values.items()))
        return next(found, self)

    @property
    def adversaries(self) -> tuple[str, ...]:
        return tuple(a for a in NORMS if a in self.native or self.routes[a])

    def sharper(self, adversary: str) -> tuple[tuple[str, Derivation, sp.Expr], ...]:
        """Radii that need a table or an enclosure of their own, beside those that need none: its name, the derivation and the factor of its conversion."""
        found: list[tuple[str, Derivation, sp.Expr]] = []
        for other, factor in ((adversary, sp.Integer(1)), *self.routes[adversary]):
            known = [self.exact[other]] if other in self.exact else []
            known += [self.composed] if other == "inf" and self.composed is not None else []
            for one in known:
                converted = f"{source_name(other, factor)}, by {one.method}"
                found.append((one.label if other == adversary else converted, one, factor))
        return tuple(found)

    def method(self, adversary: str) -> str:
        """How the radius for this norm comes about, in words."""
        natives = [self.native[adversary].label] if adversary in self.native else []
        converted = [source_name(b, f) for b, f in self.routes[adversary]]
        parts = natives + converted
        return parts[0] if len(parts) == 1 else "best of: " + "; ".join(parts)


def source_name(other: str, factor: sp.Expr) -> str:
    """The words for a radius converted from another norm."""
    return f"converted from l{other}: R{'' if factor == 1 else f' * {factor}'}"


def conversion_factor(adversary: str, other: str) -> sp.Expr:
    """c with R_adversary ≥ c · R_other: d**-(1/b - 1/a) where positive, by ‖v‖_b ≤ d**(1/b - 1/a)·‖v‖_a."""
    exponent = _INVERSE[other] - _INVERSE[adversary]
    return dim**-exponent if exponent > 0 else sp.Integer(1)


def _dominated(
    route: tuple[str, sp.Expr], others: list[tuple[str, sp.Expr]], native: Mapping[str, Derivation]
) -> bool:
    """Whether another route starts from the same radius with a larger factor."""
    return any(
        native[b].evaluation == native[route[0]].evaluation and bool((factor / route[1]).subs(dim, 4) > 1)
        for b, factor in others
    )


def derive_family(spec: Spec) -> Family:
    """Everything the engine derives from a spec; SpecError when it is refused, with the reason, or takes longer than SECONDS."""
    family: Family | None = limited(_derived, spec, seconds=SECONDS, default=None)
    if family is None:
        raise SpecError(
            f"the symbolic steps for {spec.density!r} did not end within {SECONDS:.0f} s; write the density more simply, or fix parameters "
            "with --param NAME=VALUE"
        )
    return family


def _derived(spec: Spec) -> Family:
    profile = profile_of(spec)
    found = views(spec, profile)
    laws = {view.geometry: radial_law(spec, profile, view.exponent) for view in found}
    own = found[0]
    law = laws[own.geometry]
    variance, finite = _variance(own, law)
    unimodal = _unimodal(spec, profile)
    native: dict[str, Derivation] = {}
    weaker: dict[str, tuple[Derivation, ...]] = {}
    sharper: dict[str, Derivation] = {}
    for adversary in NORMS:
        exact = level_set(profile, found, adversary, unimodal)
        candidates = [exact] if exact else []
        for reduction in reductions(found, adversary):
            result = differential(profile, laws[reduction.view.geometry], reduction)
            candidates += [result] if result else []
        if candidates:
            best = max(
                candidates, key=lambda c: (c.tight, c.method == "level set", isinstance(c.evaluation, Closed))
            )
            weaker[adversary] = tuple(c for c in candidates if c is not best)
            native[adversary] = replace(best, special=special_cases(spec, profile, best))
            tabulated = None if best.tight else shells(profile, reductions(found, adversary), unimodal)
            sharper |= {adversary: tabulated} if tabulated else {}
    if not native and spec.geometry == "l2" and profile.edge is not None and not profile.edge.is_zero:
        raise SpecError(
            f"no radius: {spec.density!r} jumps at the end of its support {spec.support} and is not constant before; as a function of the l2 norm that "
            "is beyond the engine, which takes it with --geometry product, l1 or linf"
        )
    if not native:
        raise SpecError(
            f"no radius: the mean score of {spec.density!r} is infinite in every norm (any shift costs infinitely much where the density is "
            "infinite), so nothing can be certified; use a density that is finite at 0 and at the end of its support"
        )
    routes: dict[str, tuple[tuple[str, sp.Expr], ...]] = {}
    for adversary in NORMS:
        if adversary in native and native[adversary].tight:
            routes[adversary] = ()
            continue
        others = [(b, conversion_factor(adversary, b)) for b in NORMS if b in native and b != adversary]
        routes[adversary] = tuple(route for route in others if not _dominated(route, others, native))
    conditions: list[Condition] = [(c, None) for c in law.conditions]
    for derivation in native.values():
        conditions += [c for c in derivation.conditions if c not in conditions]
    declared = {q.symbol - q.lower for q in spec.parameters if q.lower is not None}
    unproved = tuple(c for c in conditions if not c[0].is_positive and c[0] not in declared)
    _require_a_dimension(spec, unproved)
    family = Family(
        spec,
        profile,
        tuple(found),
        law,
        variance,
        finite,
        native,
        sharper,
        weaker,
        routes,
        unproved,
        unimodal,
        _composed(spec, profile, found),
    )
    return replace(family, members=_members(family))


def _composed(spec: Spec, profile: Profile, found: list[View]) -> Derivation | None:
    """The linf radius by composition; at the default parameters where it is not proved for all."""
    if spec.geometry != "product" or not spec.parameters or profile.flat:
        return composed(profile, profile, found)
    member = spec.member({q.name: q.default for q in spec.parameters})
    return composed(profile, profile_of(member), found)


def _members(family: Family) -> tuple[Member, ...]:
    """The parameter values at which psi is one multiple of r or of r**2, if more level sets come with them."""
    members = []
    for values in _parameter_values(family.spec, family.profile, exponents=(0, 1)):
        rest = tuple(q for q in family.spec.parameters if q.symbol not in values)
        fixed = {**family.spec.fixed, **{str(s): v for s, v in values.items()}}
        try:
            found = _derived(replace(family.spec, parameters=rest, fixed=fixed))
        except SpecError:
            continue
        closed = all(isinstance(d.evaluation, Closed | Lattice) for d in found.native.values())
        if closed and len(found.views) > len(family.views) and set(family.native) <= set(found.native):
            members.append(Member(values, found))
    return tuple(members)


def _require_a_dimension(spec: Spec, conditions: tuple[Condition, ...]) -> None:
    """SpecError where the defaults lie outside the law's domain in every dimension tried."""
    defaults = {q.symbol: q.default for q in spec.parameters}
    for d in (*range(1, 65), 784, 3072, 12288, 150528):
        at = defaults | {dim: sp.Integer(d)}
        if all((g is not None and g.subs(at) == 0) or bool(c.subs(at) > 0) for c, g in conditions):
            return
    needed = " and ".join(f"{c} > 0" for c, _ in conditions)
    shown = ", ".join(f"{n} = {v}" for n, v in sorted(defaults.items(), key=str))
    raise SpecError(
        f"no dimension from 1 to 150528 meets {needed}" + (f" at the default {shown}; give another, as in --param NAME=VALUE" if shown else
        f": {spec.density!r} is integrable at 0 or at infinity, not at both; give a --support or a faster decay")
    )  # fmt: skip


def _variance(own: View, law: RadialLaw) -> tuple[sp.Expr | None, tuple[sp.Expr, ...]]:
    """sigma² at scale 1, and what must be positive for it to be finite."""
    two = sp.Integer(2)
    finite = tuple(c for c in law.finite_moment(two) if not c.is_positive)
    if isinstance(law, QuadratureLaw) or any(c.is_nonpositive for c in finite):
        return None, finite
    whole = own.second_moment * law.moment(two)
    return attempt(_tidied, whole, seconds=8.0) or whole, finite


def _tidied(variance: sp.Expr) -> sp.Expr:
    return sp.factor(sp.gammasimp(sp.simplify(variance)))


def _unimodal(spec: Spec, profile: Profile) -> str:
    """How psi' ≥ 0 was proved: from structure for all parameters, or by intervals at the defaults (and again wherever it is used)."""
    if profile.unimodal:
        return "proved symbolically"
    defaults = {q.symbol: q.default for q in spec.parameters}
    pattern = interval_pattern(profile.score, profile.bound, profile.kinks, defaults)
    if pattern is None or pattern.strip("+0"):
        return ""
    return "proved by interval arithmetic over the whole line" + (
        " at the default parameters, and again at others when they are used" if defaults else ""
    )


def special_cases(
    spec: Spec, profile: Profile, general: Derivation
) -> tuple[tuple[Mapping[sp.Symbol, sp.Rational], Closed], ...]:
    """Parameter values at which a curve has a closed form: those that make the score constant.

    Each term coefficient·r**exponent becomes constant when its coefficient or its exponent vanishes.
    """
    if not isinstance(general.evaluation, Cone):
        return ()
    cases = []
    for values in _parameter_values(spec, profile, exponents=(0,)):
        terms = tuple((c.subs(values), q.subs(values)) for c, q in profile.powers)
        kept = tuple((c, q) for c, q in terms if c != 0)
        score = sum((c * r**q for c, q in kept), sp.Integer(0))
        inside = Profile(profile.psi.subs(values), score, kept, profile.bound)
        result = differential(
            inside, radial_law(spec, inside, general.reduction.view.exponent), general.reduction
        )
        if result and isinstance(result.evaluation, Closed) and (values, result.evaluation) not in cases:
            cases.append((values, result.evaluation))
    return tuple(cases)


def _parameter_values(
    spec: Spec, profile: Profile, exponents: tuple[int, ...]
) -> Iterator[Mapping[sp.Symbol, sp.Rational]]:
    """Parameter values, exact as doubles, at which every term of the score vanishes or has one of the exponents."""
    if not spec.parameters or not profile.powers:
        return
    choices: list[list[Mapping[sp.Symbol, sp.Rational]]] = []
    for coefficient, exponent in profile.powers:
        options: list[Mapping[sp.Symbol, sp.Rational]] = []
        for expression in (coefficient, *(exponent - e for e in exponents)):
            for symbol in expression.free_symbols & set(spec.symbols):
                options += [{symbol: v} for v in sp.solve(expression, symbol) if _is_double(v)]
        if not (coefficient == 0 or any(exponent == e for e in exponents)):
            choices.append(options)
    for combination in itertools.product(*choices):
        values: dict[sp.Symbol, sp.Rational] = {}
        if any(values.setdefault(s, v) != v for option in combination for s, v in option.items()):
            continue
        if values and all(q.contains(values[q.symbol]) for q in spec.parameters if q.symbol in values):
            yield values


def _is_double(value: sp.Expr) -> bool:
    return bool(value.is_Rational) and sp.Rational(float(value)) == value
