"""What the `verify` command checks of one density: symbols again, radii and growth against independent oracles, its sampler.

Nothing recorded by the engine is believed: identities are proved again from the density text, radii are compared with
quadrature of that text, no direction tried may break them, and the sampler's draws must follow it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from derive.engine import Family, derive_family
from derive.spec import Spec
from derive.verification.agreement import ENCLOSURE_SECONDS, Allowance, radius_checks
from derive.verification.bracketing import bracket_checks
from derive.verification.cases import Case, case_of, cases_of, draw_points, parameter_sets
from derive.verification.cdf import cdf_checks
from derive.verification.check import Check
from derive.verification.frontier import Array
from derive.verification.goodness import sampler_checks
from derive.verification.identities import identities
from derive.verification.refutation import direction_checks
from derive.verification.tabled import table_checks
from generated.registry import load

SAMPLED = (2, 5, 64)


@dataclass(frozen=True)
class Report:
    """All checks of one density. `passed` is False if any is; open ones are counted apart."""

    name: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    @property
    def lines(self) -> list[str]:
        false = sum(check.passed is False for check in self.checks)
        unknown = sum(check.passed is None for check in self.checks)
        total = f"{len(self.checks) - false - unknown} true, {false} false, {unknown} open"
        return [f"{self.name}: {total}", *(f"  {check.line}" for check in self.checks)]

    @property
    def record(self) -> dict[str, Any]:
        """The same for JSON."""
        checks = [
            {"kind": c.kind, "subject": c.subject, "passed": c.passed, "text": c.text} for c in self.checks
        ]
        return {"name": self.name, "passed": self.passed, "checks": checks}


def verify(spec: Spec, module: ModuleType | None = None) -> Report:
    """Checks a density's generated module (or another one given in its place) in some seconds.

    SpecError when the spec is refused by the engine; ValueError when there is no such module.
    """
    family = derive_family(spec)
    subject = load(spec.name) if module is None else module
    cases = list(cases_of(family))
    checks = list(identities(family))
    allowance = Allowance(ENCLOSURE_SECONDS)
    for adversary in family.adversaries:
        checks += radius_checks(family, subject, adversary, cases, allowance)
    for adversary in family.adversaries:
        checks += direction_checks(family, subject, adversary, cases)
    checks += bracket_checks(family, subject, cases)
    for listed in ("TABLES", "SHARPER_TABLES"):
        checks += table_checks(family, getattr(subject, listed, {}))
    checks += cdf_checks(spec)
    for dim in SAMPLED:
        checks += _sampler(family, subject, dim)
    return Report(spec.name, tuple(checks))


def _sampler(family: Family, module: ModuleType, dim: int) -> Iterator[Check]:
    for values in itertools.islice(parameter_sets(family, dim), 1 if dim != SAMPLED[-1] else 2):
        case = case_of(family, dim, values)
        name = str(case)

        def draw(n: int, scale: float, case: Case = case) -> Array:
            return draw_points(module, case, n, scale)

        def sigma(case: Case = case) -> float:
            return float(module.sigma_of_scale(1.0, **case.arguments))

        try:
            for check in sampler_checks(case.oracle, draw, sigma):
                yield Check(check.kind, name if values else check.subject, check.passed, check.text)
        except (ValueError, ArithmeticError, NotImplementedError) as problem:
            yield Check("sampler", name, None, f"no test: {problem}")
