"""Every generated radius against the independent oracle.

Soundness: a classifier with top-class probability ρ keeps its class at x + v exactly when the growth
G(1-ρ, v) stays below 1/2, so at ‖v‖ = R(ρ) the oracle must not find G above 1/2 by more than its stated
error, whatever the direction of v. Tightness, where a module claims it: at 1.02·R the oracle must not
find G below 1/2 in every direction. Both comparisons give the stated error to the product's favour; the
planted faults at the end show that they still decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from generated import registry
from tests.properties.densities import DENSITIES, Array
from tests.properties.directions import directions
from tests.properties.growth import Growth
from tests.properties.oracle import growth

FAMILIES = tuple(name for name in registry.FAMILIES if name in DENSITIES)
SMALL = st.sampled_from((1, 2, 3))
LARGE = st.sampled_from((4, 7, 16, 64, 256))
STEADY = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)
TIGHT = (("gaussian", "2"), ("gaussian", "1"), ("laplace", "1"), ("uniform", "1"), ("uniform", "inf"))

Radius = Callable[["Case"], float]


@dataclass(frozen=True)
class Case:
    """One radius to be judged: a family with its parameters, dimension and scale, a norm, and ρ."""

    family: str
    adversary: str
    dim: int
    scale: float
    rho: float
    params: dict[str, float] = field(default_factory=dict)

    @property
    def module(self) -> ModuleType:
        """The generated module of the family."""
        return registry.load(self.family)

    def growth(self, shift: Array, seed: int) -> Growth:
        """What the oracle finds for a shift of this noise."""
        return growth(self.family, shift, 1.0 - self.rho, scale=self.scale, params=self.params, seed=seed)


def generated_radius(case: Case) -> float:
    """The radius that the product would certify."""
    rho = np.array([case.rho])
    got = case.module.radius(rho, adversary=case.adversary, dim=case.dim, scale=case.scale, **case.params)
    return float(got[0])


def breaches(case: Case, radius: Radius, seed: int) -> list[str]:
    """Directions in which the oracle proves that the radius is too large; empty for a sound radius."""
    r = radius(case)
    assert math.isfinite(r) and r >= 0.0
    if r == 0.0:
        return []
    found = []
    for number, (name, v) in enumerate(directions(case.dim, case.adversary, seed).items()):
        g = case.growth(r * v, seed + number)
        if g.lower > 0.5:
            found.append(f"{name}: growth at least {g.lower:.6f} at radius {r:.9g}")
    return found


def is_loose(case: Case, radius: Radius, seed: int, factor: float = 1.02) -> bool:
    """Whether the oracle proves the growth at ``factor`` times the radius below 1/2 in every direction."""
    r = factor * radius(case)
    named = directions(case.dim, case.adversary, seed)
    return all(case.growth(r * v, seed + number).upper < 0.5 for number, v in enumerate(named.values()))


@st.composite
def cases(draw: st.DrawFn, dims: st.SearchStrategy[int], tight: bool = False) -> Case:
    """Cases within every family's domain; with ``tight``, only those for which tightness is claimed."""
    if tight:
        family, adversary = draw(st.sampled_from([row for row in TIGHT if row[0] in FAMILIES]))
    else:
        family = draw(st.sampled_from(FAMILIES))
        adversary = draw(st.sampled_from(registry.load(family).ADVERSARIES))
    dim = draw(dims)
    params = {}
    if family == "exp_linf":
        params["k"] = draw(st.sampled_from((0.5, 0.75, 1.0, 1.5, 2.0, 5.0, 10.0)))
        room = draw(st.sampled_from((0.0, 0.0, 0.3, 0.9)))
        params["j"] = room * (dim - 1)
    tail = draw(st.floats(0.35, 3.5))  # ρ = 1 - 10^-tail, 0.553 to 0.9997
    scale = draw(st.sampled_from((1.0, 0.25, 3.0)))
    case = Case(family, adversary, dim, scale, 1.0 - 10.0**-tail, params)
    if params:  # parts of the parameter domain have no radius, and say so
        try:
            case.module.method(adversary=adversary, dim=dim, **params)
        except ValueError:
            assume(False)
    return case


def test_the_oracle_knows_every_built_in_family() -> None:
    """The four families that ship are all judged here."""
    assert set(FAMILIES) >= {"exp_linf", "gaussian", "laplace", "uniform"}


@settings(STEADY, max_examples=80)
@given(case=cases(SMALL), seed=st.integers(0, 10_000))
def test_sound_in_low_dimension(case: Case, seed: int) -> None:
    """No direction breaks a radius in one to three dimensions."""
    assert breaches(case, generated_radius, seed) == []


@settings(STEADY, max_examples=40)
@given(case=cases(LARGE), seed=st.integers(0, 10_000))
def test_sound_in_high_dimension(case: Case, seed: int) -> None:
    """No direction breaks a radius in four to 256 dimensions."""
    assert breaches(case, generated_radius, seed) == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adversary", ["1", "2", "inf"])
@pytest.mark.parametrize("dim", [2, 3072])
def test_sound_for_every_family_and_norm(family: str, adversary: str, dim: int) -> None:
    """The whole table of families × norms at ρ = 0.97, on a plane and on the pixels of a small image."""
    if adversary not in registry.load(family).ADVERSARIES:
        with pytest.raises(ValueError, match="."):
            generated_radius(Case(family, adversary, dim, 1.0, 0.97))
        return
    case = Case(family, adversary, dim, 1.0, 0.97)
    assert generated_radius(case) > 0.0
    assert breaches(case, generated_radius, seed=11) == []


@settings(STEADY, max_examples=30)
@given(case=cases(st.one_of(SMALL, LARGE), tight=True), seed=st.integers(0, 10_000))
def test_tight_where_claimed(case: Case, seed: int) -> None:
    """In the worst direction the growth reaches 1/2 by 1.02·R."""
    assert "tight" in case.module.method(adversary=case.adversary, dim=case.dim, **case.params)
    assert not is_loose(case, generated_radius, seed)


def scaled(factor: float) -> Radius:
    """A wrong radius function: the generated one times a factor."""
    return lambda case: factor * generated_radius(case)


FAULTS = [
    Case("gaussian", "2", 2, 1.0, 0.9),
    Case("gaussian", "2", 64, 0.5, 0.99),
    Case("gaussian", "1", 3, 2.0, 0.999),
    Case("laplace", "1", 1, 1.0, 0.6),
    Case("laplace", "1", 64, 1.0, 0.99),
    Case("uniform", "1", 3, 0.25, 0.8),
    Case("uniform", "1", 256, 1.0, 0.99),
    Case("uniform", "inf", 2, 1.0, 0.75),
    Case("uniform", "inf", 64, 1.0, 0.99),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda c: f"{c.family}-{c.adversary}-{c.dim}")
def test_a_planted_fault_is_found(case: Case) -> None:
    """The test of the tests: 5 % too much is a breach, 5 % too little is loose, the radius is neither."""
    assert breaches(case, scaled(1.05), seed=2) != []
    assert is_loose(case, scaled(0.95 / 1.02), seed=2)
    assert breaches(case, generated_radius, seed=2) == []
    assert not is_loose(case, generated_radius, seed=2)


def test_a_radius_of_the_wrong_direction_is_found() -> None:
    """One that is right along an axis only: the l2 Gaussian radius sold as a radius against linf."""
    case = Case("gaussian", "inf", 2, 1.0, 0.9)
    found = breaches(case, lambda c: generated_radius(Case("gaussian", "2", 2, 1.0, c.rho)), seed=3)
    assert found != [] and not any(text.startswith("axis") for text in found)
