"""Whether some direction breaks a radius: exact growth where it is known, likelihood-ratio tests on samples everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from derive.engine import Family
from derive.verification import cases
from derive.verification.cases import NORMS, Case, Tally, case_of, draw_points, parameter_sets, radii_of
from derive.verification.check import Check
from derive.verification.neyman import Growth, directions, exact_growth, radius_along, sampled_growth

FAILS = (0.4, 0.1, 0.01)
POINTS = 60_000
"""Of one likelihood-ratio test; a third in high dimension."""
TOLERANCE = 1e-9
MOST_TIGHT, MOST_SOUND = 4, 2
"""Growth functions that are looked at: one evaluation of a shell's takes up to a second."""


def direction_checks(
    family: Family, module: ModuleType, adversary: str, points: list[Case]
) -> Iterator[Check]:
    """No direction breaks the radius: exactly along one where growth is known, elsewhere by sampling."""
    derivation = family.native.get(adversary)
    if (
        derivation is None or derivation.method == "differential"
    ):  # level sets were compared with the same growth above
        yield from _along(module, adversary, points, derivation is not None and derivation.tight)
    yield from _directions(family, module, adversary)


def _along(module: ModuleType, adversary: str, points: list[Case], tight: bool) -> Iterator[Check]:
    """The growth of an extreme direction at the radius, or where a radius is claimed tight the radius there."""
    tally = Tally()
    seen: list[object] = []
    for case in [c for c in points if c.dim != cases.DIMENSIONS[-1]]:
        try:
            growth = exact_growth(case.oracle, adversary)
            if len(seen) < (MOST_TIGHT if tight else MOST_SOUND) and not any(growth.same(g) for g in seen):
                seen.append(growth)
                for fail in FAILS[0 if tight else 1 :]:
                    radius = float(radii_of(module, adversary, case, (fail,))[0])
                    (_tight if tight else _sound)(growth, fail, radius, str(case), tally)
        except (ValueError, ArithmeticError, NotImplementedError) as error:
            if tight:  # elsewhere this check is one more beside the others
                tally.skipped.add(f"claimed tight: {error}")
    text = (
        "{count} radii are the exact ones along one direction, as claimed: worst relative difference {worst}"
        if tight
        else "{count} radii: exact growth along one direction at most {worst}, 1/2 allowed"
    )
    if tally.count or tally.skipped:
        yield from tally.checks("Neyman-Pearson", NORMS[adversary], text)


def _tight(growth: Growth, fail: float, radius: float, where: str, tally: Tally) -> None:
    bound = radius_along(growth, fail, radius, goal=1e-11)
    gap, slack = 1.0 - radius / bound.value, bound.error / bound.value
    fault = "TOO LARGE" if gap < -slack else "not tight as claimed" if gap > TOLERANCE + slack else ""
    text = f"{where} 1-rho={fail:g}: radius {radius!r}, Neyman-Pearson {bound.value!r} ± {bound.error:.1g}: "
    tally.add(abs(gap), text + fault if fault else "")


def _sound(growth: Growth, fail: float, radius: float, where: str, tally: Tally) -> None:
    found = growth(fail, radius)
    text = f"{where} 1-rho={fail:g}: radius {radius!r}, growth there {found.value!r}, more than 1/2"
    tally.add(found.value, "" if found.value - found.error <= 0.5 else text)


def _directions(family: Family, module: ModuleType, adversary: str) -> Iterator[Check]:
    """Likelihood-ratio tests on samples of the module, shifted by its radius in several directions."""
    tally, fail = Tally(), 0.1
    for dim in cases.DIMENSIONS[:2]:
        sets = parameter_sets(family, dim)
        if not sets:
            continue
        case = case_of(family, dim, sets[0])
        try:
            radius = float(radii_of(module, adversary, case, (fail,))[0])
            x = draw_points(module, case, POINTS // (1 if dim < 16 else 3), 1.0)
            for name, v in directions(dim, adversary):
                growth, margin = sampled_growth(case.oracle, x, (1.0 - 1e-9) * radius * v, fail)
                where = f"{case} along {name}: growth at least {growth:.4f} - {margin:.4f} at the radius {radius!r}"
                tally.add(growth, "" if growth <= 0.5 + margin else f"{where}: more than 1/2")
        except (ValueError, ArithmeticError, NotImplementedError) as problem:
            tally.skipped.add(f"{case}: {problem}")
    yield from tally.checks(
        "Neyman-Pearson",
        NORMS[adversary],
        f"{{count}} likelihood-ratio sets on samples at rho = {1 - fail:g}: largest growth {{worst}}, 1/2 allowed",
    )
