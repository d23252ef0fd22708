"""No radius may exceed its Neyman–Pearson bound, and one that is claimed exact must reach it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import sympy as sp

from derive.bracket import Ceiling, ceiling
from derive.engine import Family, derive_family
from derive.timelimit import limited
from derive.verification.cases import NORMS, Case, radii_of
from derive.verification.check import Check
from derive.verification.neyman import exact_growth, radius_along
from derive.verification.oracle import NoOracle

FAIL = 0.01
MIDDLE = 64
"""The dimension nearest to this is preferred."""
SECONDS = 12.0
"""Processor time for one bound."""
EXACT = 1e-9


def bracket_checks(family: Family, module: ModuleType, points: list[Case]) -> Iterator[Check]:
    """The bracket of every norm at the defaults, in a middle dimension if there is a radius."""
    cases = {case.dim: case for case in reversed(points)}  # of each dimension the first: the defaults
    if not cases:
        return
    middle, *others = sorted(cases.values(), key=lambda case: abs(case.dim - MIDDLE))
    member = derive_family(
        family.spec.member({q.name: middle.values[q.name] for q in family.spec.parameters})
    )
    for adversary in family.adversaries:
        yield _bracket(member, module, adversary, _with_radius(module, adversary, [middle, *others]))


def _with_radius(module: ModuleType, adversary: str, cases: list[Case]) -> Case:
    """The first for which the module has a radius, or a table of it; the first of all where it has none."""
    for case in cases:
        try:
            radii_of(module, adversary, case, (FAIL,))
        except (ValueError, ArithmeticError):
            continue
        if case.values == cases[0].values:
            return case
    return cases[0]


def _bracket(member: Family, module: ModuleType, adversary: str, case: Case) -> Check:
    norm = NORMS[adversary]
    rho = 1 - sp.Rational(FAIL)
    try:
        radius = float(radii_of(module, adversary, case, (FAIL,))[0])
        found: Ceiling | None = limited(
            _ceiling, member, adversary, case.dim, rho, sp.Rational(radius), seconds=SECONDS, default=None
        )
        if found is None:
            found = _by_quadrature(adversary, case, radius)
    except (ValueError, ArithmeticError, NotImplementedError) as problem:
        return Check("bracket", norm, None, f"{case}: no upper bound: {problem}")
    upper = sp.Rational(found.upper)
    excess = float(upper / sp.Rational(radius) - 1)
    text = (
        f"{case} 1-rho={FAIL:g}: radius {radius:.9g}, np_upper {float(upper):.9g} along {found.direction} ({found.assurance}): "
        f"gap {max(excess, 0.0):.3g}"
    )
    if sp.Rational(radius) > upper:
        return Check("bracket", norm, False, f"{text}: TOO LARGE")
    tight = adversary in member.native and member.native[adversary].tight
    if tight and excess > EXACT:
        return Check("bracket", norm, False, f"{text}: not tight as claimed")
    return Check("bracket", norm, True, text)


def _ceiling(
    member: Family, adversary: str, dim: int, rho: sp.Rational, reached: sp.Rational
) -> Ceiling | None:
    """Sought no further once it has come down to the radius that is checked."""
    return ceiling(member, adversary, dim=dim, rho=rho, lower=reached)


def _by_quadrature(adversary: str, case: Case, start: float) -> Ceiling:
    """Along the extreme direction of a norm in which the growth is a line integral; its end in the norm asked for. NoOracle elsewhere."""
    best: Ceiling | None = None
    for own, count in (("1", 1), ("inf", case.dim)):
        try:
            found = radius_along(exact_growth(case.oracle, own), FAIL, start, goal=1e-9)
        except NoOracle:
            continue
        share = {"1": float(count), "2": count**0.5, "inf": 1.0}[adversary]
        upper = (found.value + found.error) * share
        if best is None or upper < float(best.upper):
            direction = "one coordinate" if count == 1 else "all coordinates alike"
            best = Ceiling(repr(upper), direction, "quadrature, with its stated error")
    if best is None:
        raise NoOracle("no direction could be computed")
    return best
