"""From a spec to everything known about it: law, sigma, a radius for each norm, conversions between norms."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.derivation import Closed, Cone, Derivation
from derive.differential import differential
from derive.formula import dim
from derive.geometry import View, reductions, views
from derive.law import RadialLaw, radial_law
from derive.levelset import flat_product
from derive.profile import Profile, profile_of
from derive.spec import Spec, SpecError

NORMS = ("1", "2", "inf")
_INVERSE = {"1": sp.Integer(1), "2": sp.Rational(1, 2), "inf": sp.Integer(0)}


@dataclass(frozen=True)
class Family:
    """A density with its derived radii. `routes[a]`: norms whose radius bounds the one for a, with the factor."""

    spec: Spec
    profile: Profile
    views: tuple[View, ...]
    law: RadialLaw
    variance: sp.Expr  # sigma² at scale 1
    native: Mapping[str, Derivation]
    routes: Mapping[str, tuple[tuple[str, sp.Expr], ...]]
    conditions: tuple[tuple[sp.Expr, sp.Expr | None], ...]  # (must be positive, only where this is not 0)

    @property
    def adversaries(self) -> tuple[str, ...]:
        return tuple(a for a in NORMS if a in self.native or self.routes[a])

    def method(self, adversary: str) -> str:
        """How the radius for this norm comes about, in words."""
        natives = [self.native[adversary].label] if adversary in self.native else []
        converted = [
            f"converted from l{b}: R{'' if f == 1 else f' * {f}'}" for b, f in self.routes[adversary]
        ]
        parts = natives + converted
        return parts[0] if len(parts) == 1 else "best of: " + "; ".join(parts)


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
    """Everything the engine derives from a spec; SpecError when it is refused, with the reason."""
    profile = profile_of(spec)
    found = views(spec, profile)
    laws = {view.geometry: radial_law(spec, profile, view.exponent) for view in found}
    own = found[0]
    variance = sp.factor(
        sp.gammasimp(sp.simplify(own.second_moment * laws[own.geometry].moment(sp.Integer(2))))
    )
    native: dict[str, Derivation] = {}
    for adversary in NORMS:
        exact = flat_product(profile, found, adversary)
        candidates = [exact] if exact else []
        for reduction in reductions(found, adversary):
            result = differential(profile, laws[reduction.view.geometry], reduction)
            candidates += [result] if result else []
        if candidates:
            best = max(
                candidates, key=lambda c: (c.tight, c.method == "level set", isinstance(c.evaluation, Closed))
            )
            native[adversary] = replace(best, special=special_cases(spec, profile, best))
    if not native:
        raise SpecError(
            f"no radius: for {spec.geometry} level sets with density {spec.density!r} the engine finds no greedy set against l1, l2 or "
            "linf; it derives product (l1), l1 (l1) and linf (l1, linf) for densities that fall in r and whose score has a finite mean"
        )
    routes: dict[str, tuple[tuple[str, sp.Expr], ...]] = {}
    for adversary in NORMS:
        if adversary in native and native[adversary].tight:
            routes[adversary] = ()
            continue
        others = [(b, conversion_factor(adversary, b)) for b in NORMS if b in native and b != adversary]
        routes[adversary] = tuple(route for route in others if not _dominated(route, others, native))
    conditions: list[tuple[sp.Expr, sp.Expr | None]] = [(c, None) for c in laws[own.geometry].conditions]
    for derivation in native.values():
        conditions += [c for c in derivation.conditions if c not in conditions]
    declared = {q.symbol - q.lower for q in spec.parameters if q.lower is not None}
    unproved = tuple(c for c in conditions if not c[0].is_positive and c[0] not in declared)
    return Family(spec, profile, tuple(found), laws[own.geometry], variance, native, routes, unproved)


def special_cases(
    spec: Spec, profile: Profile, general: Derivation
) -> tuple[tuple[Mapping[sp.Symbol, sp.Rational], Closed], ...]:
    """Parameter values at which a curve has a closed form: those that make the score constant.

    Each term coefficient·r**exponent becomes constant when its coefficient or its exponent vanishes.
    """
    if not isinstance(general.evaluation, Cone) or not spec.parameters:
        return ()
    choices: list[list[Mapping[sp.Symbol, sp.Rational]]] = []
    for coefficient, exponent in profile.terms:
        options: list[Mapping[sp.Symbol, sp.Rational]] = []
        for expression in (coefficient, exponent):
            for symbol in expression.free_symbols & set(spec.symbols):
                options += [{symbol: v} for v in sp.solve(expression, symbol) if v.is_Rational]
        if not (coefficient == 0 or exponent == 0):
            choices.append(options)
    cases = []
    for combination in itertools.product(*choices):
        values: dict[sp.Symbol, sp.Rational] = {}
        if any(values.setdefault(s, v) != v for option in combination for s, v in option.items()):
            continue
        if not all(q.contains(values[q.symbol]) for q in spec.parameters if q.symbol in values):
            continue
        terms = tuple((c.subs(values), q.subs(values)) for c, q in profile.terms)
        kept = tuple((c, q) for c, q in terms if c != 0)
        inside = Profile(profile.psi.subs(values), kept, profile.bound)
        result = differential(
            inside, radial_law(spec, inside, general.reduction.view.exponent), general.reduction
        )
        if result and isinstance(result.evaluation, Closed) and (values, result.evaluation) not in cases:
            cases.append((values, result.evaluation))
    return tuple(cases)
