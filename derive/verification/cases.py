"""The points at which a density is verified, and the tally of what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import sympy as sp
import torch

from derive.bounds import checked_values
from derive.engine import Family
from derive.spec import SpecError
from derive.verification.check import Check
from derive.verification.frontier import Array, Measured
from derive.verification.oracle import Oracle
from generated.special import best_radius

NORMS = {"1": "l1", "2": "l2", "inf": "linf"}
DIMENSIONS = (2, 64, 3072)
SEED = 20_200_208

Values = Mapping[str, sp.Rational]


@dataclass
class Tally:
    """Comparisons of one kind: how many, the worst, and the first that is false."""

    count: int = 0
    worst: float = 0.0
    false: str = ""
    skipped: set[str] = field(default_factory=set)

    def add(self, gap: float, fault: str = "") -> None:
        self.count, self.worst = self.count + 1, max(self.worst, gap)
        self.false = self.false or fault

    def checks(self, kind: str, subject: str, text: str) -> Iterator[Check]:
        """`text` with {count} and {worst} filled in, or the fault; and what was left open."""
        if self.false:
            yield Check(kind, subject, False, self.false)
        elif self.count:
            yield Check(kind, subject, True, text.format(count=self.count, worst=f"{self.worst:.3g}"))
        if self.skipped or not self.count:
            yield Check(kind, subject, None, "; ".join(sorted(self.skipped)) or "nothing to compare")


@dataclass
class Case:
    """One dimension and parameter set, with its oracle and the radii the oracle has found."""

    dim: int
    values: Values
    oracle: Oracle
    found: dict[str, list[Measured | None] | str] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"dim": self.dim, **{name: float(v) for name, v in self.values.items()}}

    def known(self, family: Family) -> Family:
        """What the family knows at these parameters."""
        return family.at(checked_values(family, self.dim, self.values))

    def __str__(self) -> str:
        return f"dim={self.dim}" + "".join(f" {n}={float(v):g}" for n, v in self.values.items())


def cases_of(family: Family) -> Iterator[Case]:
    """The defaults in all DIMENSIONS; each parameter moved, and all of them moved, in the middle one."""
    for dim in DIMENSIONS:
        for number, values in enumerate(parameter_sets(family, dim)):
            if number == 0 or dim == DIMENSIONS[1]:
                yield case_of(family, dim, values)


def case_of(family: Family, dim: int, values: Values) -> Case:
    spec = family.spec
    return Case(
        dim, values, Oracle(spec.expression, spec.geometry, spec.bound, checked_values(family, dim, values))
    )


def parameter_sets(family: Family, dim: int) -> list[Values]:
    """The defaults, then up to two other points, as far as the law allows them at this dimension."""
    parameters = family.spec.parameters
    defaults = {q.name: q.default for q in parameters}
    choices = (sp.Rational(1, 2), sp.Integer(2), sp.Integer(3), sp.Integer(dim + 16), sp.Rational(dim, 2))
    moved: list[Values] = []
    for step in range(2):
        point = dict(defaults)
        for q in parameters:
            fit = [
                v
                for v in choices
                if v != q.default and q.contains(v) and _allowed(family, dim, point | {q.name: v})
            ]
            if fit:
                point[q.name] = fit[min(step, len(fit) - 1)]
        if point not in (defaults, *moved):
            moved.append(point)
    return [v for v in (defaults, *moved) if _allowed(family, dim, v)]


def _allowed(family: Family, dim: int, values: Values) -> bool:
    try:
        checked_values(family, dim, values)
    except SpecError:
        return False
    return True


def radii_of(module: ModuleType, adversary: str, case: Case, fails: tuple[float, ...]) -> Array:
    """The radii that users get."""
    rhos = 1.0 - np.array(fails)
    return np.asarray(module.radius(rhos, adversary=adversary, **case.arguments), dtype=float)


def plain_radii(
    module: ModuleType, family: Family, adversary: str, case: Case, fails: tuple[float, ...]
) -> Array:
    """The same without the larger radius that a table beside them may give: that is proved from its file, and tested along shifts."""
    beside = {name for name, _, _ in family.sharper(adversary)}
    routes = module.routes(adversary=adversary, **case.arguments)
    kept = [route for route in routes if route.source not in beside]
    return np.asarray(best_radius(1.0 - np.array(fails), kept, 1.0), dtype=float)


def native_radii(module: ModuleType, adversary: str, case: Case, fails: tuple[float, ...]) -> Array:
    """The module's own radius against a norm, without conversions."""
    function = getattr(module, f"radius_{NORMS[adversary]}")
    return np.asarray(function(1.0 - np.array(fails), **case.arguments), dtype=float)


def draw_points(module: ModuleType, case: Case, n: int, scale: float) -> Array:
    generator = torch.Generator().manual_seed(SEED)
    noise = module.sample(
        (n, case.dim), scale=scale, generator=generator, dtype=torch.float64, **case.arguments
    )
    return np.asarray(noise.numpy(), dtype=float)
