"""The verification: right modules pass, and each planted fault is found by the check that is there for it."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

from derive.derivation import Closed
from derive.engine import Family, derive_family
from derive.formula import dim as dim_symbol
from derive.formula import gap
from derive.law import GammaRadialLaw
from derive.spec import Spec, find_spec
from derive.verification import cases, identities, refutation, verify
from derive.verification.cases import NORMS
from derive.verification.check import LEVEL, Check
from derive.verification.goodness import bernstein, distance, hoeffding, massart, sampler_checks
from derive.verification.oracle import Oracle
from generated import registry

FAMILIES = ("exp_linf", "gaussian", "laplace", "uniform")


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller samples and fewer cases: the checks are the same."""
    monkeypatch.setattr(refutation, "POINTS", 20_000)
    monkeypatch.setattr(cases, "DIMENSIONS", (2, 64))
    monkeypatch.setattr(verify, "SAMPLED", (5,))
    monkeypatch.setattr(refutation, "FAILS", (0.4, 0.1))


def faulty(name: str, **changes: Any) -> ModuleType:
    """A module like the generated one, some of its functions replaced."""
    original = registry.load(name)
    module = ModuleType(f"faulty_{name}")
    module.__dict__.update({k: v for k, v in vars(original).items() if not k.startswith("__")})
    module.__dict__.update(changes)
    return module


def scaled_radii(name: str, factor: float) -> ModuleType:
    """Every radius times a factor."""
    original = registry.load(name)
    names = ["radius"] + [f"radius_{a}" for a in ("l1", "l2", "linf") if hasattr(original, f"radius_{a}")]

    def changed(function: Any) -> Any:
        return lambda rho, **arguments: factor * function(rho, **arguments)

    def routes(**arguments: Any) -> Any:
        return [replace(route, factor=factor * route.factor) for route in original.routes(**arguments)]

    return faulty(name, routes=routes, **{n: changed(getattr(original, n)) for n in names})


def false_kinds(report: verify.Report) -> set[str]:
    return {check.kind for check in report.checks if check.passed is False}


@pytest.mark.parametrize("name", FAMILIES)
def test_committed_modules_are_true(name: str) -> None:
    """No false line, none left open, and every norm is compared with an oracle."""
    report = verify.verify(find_spec(name))
    assert report.passed and not [c.line for c in report.checks if c.passed is None]
    compared = {c.subject for c in report.checks if c.kind == "oracle" and "radii" in c.text}
    assert compared == {NORMS[a] for a in registry.load(name).ADVERSARIES}
    kinds = {"identity", "oracle", "Neyman-Pearson", "bracket", "sampler"}
    module = registry.load(name)
    kinds |= {"cdf"} if module.GEOMETRY == "product" else set()
    kinds |= {"table"} if getattr(module, "SHARPER_TABLES", {}) else set()
    assert kinds == {c.kind for c in report.checks}
    assert {c.subject for c in report.checks if c.kind == "bracket"} == compared
    assert report.lines[0] == f"{name}: {len(report.checks)} true, 0 false, 0 open"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("factor", [1.0 + 1e-8, 1.0 - 1e-8])
def test_radii_off_by_one_in_a_hundred_million_are_false(name: str, factor: float) -> None:
    """Too large and too small alike, in every norm."""
    report = verify.verify(find_spec(name), scaled_radii(name, factor))
    wrong = [c for c in report.checks if c.kind == "oracle" and c.passed is False]
    assert not report.passed
    assert {c.subject for c in wrong} == {NORMS[a] for a in registry.load(name).ADVERSARIES}
    words = ("TOO LARGE", "above it") if factor > 1.0 else ("too small",)
    assert all(any(word in c.text for word in words) for c in wrong)


def test_a_radius_that_some_direction_breaks_is_false_for_neyman_and_pearson() -> None:
    """A quarter too much: along an axis and on samples."""
    report = verify.verify(find_spec("gaussian"), scaled_radii("gaussian", 1.25))
    texts = [c.text for c in report.checks if c.kind == "Neyman-Pearson" and c.passed is False]
    assert any("TOO LARGE" in t for t in texts) and any("more than 1/2" in t for t in texts)


def test_a_growth_that_is_too_small_is_false() -> None:
    original = registry.load("exp_linf").growth_linf
    module = faulty(
        "exp_linf", growth_linf=lambda fail, **arguments: (1.0 - 1e-8) * original(fail, **arguments)
    )
    report = verify.verify(find_spec("exp_linf"), module)
    assert [c.subject for c in report.checks if c.passed is False] == ["linf"]
    assert any("TOO SMALL" in c.text for c in report.checks)


def sampler_faults(name: str, change: Any) -> list[str]:
    """What the checks of the sampler alone say of one whose output is changed."""
    original = registry.load(name).sample
    module = faulty(name, sample=lambda shape, **arguments: change(original(shape, **arguments), arguments))
    checks = verify._sampler(derive_family(find_spec(name)), module, 5)
    return [check.text for check in checks if check.passed is False]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("factor", [1.02, 0.98])
def test_a_sampler_of_another_scale_is_false(name: str, factor: float) -> None:
    """Two per cent are seen, in every family, by its radius or its moments alone."""
    assert sampler_faults(name, lambda x, _: factor * x)
    assert sampler_faults(name, lambda x, _: x) == []


def test_a_sampler_that_forgets_the_scale_is_false() -> None:
    faults = sampler_faults("laplace", lambda x, arguments: x / arguments["scale"])
    assert faults == ["noise at scale 3 is 3 times the noise at scale 1"]


def test_a_sampler_of_another_family_is_false() -> None:
    """Laplace noise of the Gaussian's variance."""

    def sample(
        shape: Any, *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype
    ) -> torch.Tensor:
        return registry.load("laplace").sample(
            shape, dim=dim, scale=scale * 0.5**0.5, generator=generator, dtype=dtype
        )

    assert "sampler" in false_kinds(verify.verify(find_spec("gaussian"), faulty("gaussian", sample=sample)))


def fold(x: torch.Tensor, _: Any) -> torch.Tensor:
    """One coordinate is never negative."""
    x = x.clone()
    x[:, 0] = x[:, 0].abs()
    return x


def repeat(x: torch.Tensor, _: Any) -> torch.Tensor:
    """The last coordinate copies the first."""
    x = x.clone()
    x[:, -1] = x[:, 0]
    return x


def swap(x: torch.Tensor, _: Any) -> torch.Tensor:
    """The largest coordinate stands first: the norm keeps its law, the direction does not."""
    at = x.abs().argmax(dim=1, keepdim=True)
    first, top = x[:, :1].clone(), x.gather(1, at)
    return x.scatter(1, at, first).index_copy(1, torch.tensor([0]), top)


@pytest.mark.parametrize("name", ["exp_linf", "laplace"])
@pytest.mark.parametrize("change", [fold, repeat])
def test_signs_and_dependence_are_seen(name: str, change: Any) -> None:
    assert sampler_faults(name, change)


def test_a_direction_that_prefers_a_face_is_seen() -> None:
    assert any("choice of the face" in text for text in sampler_faults("exp_linf", swap))


def test_a_wrong_sigma_is_false() -> None:
    original = registry.load("uniform").sigma_of_scale
    module = faulty(
        "uniform", sigma_of_scale=lambda scale, **arguments: (1.0 + 1e-8) * original(scale, **arguments)
    )
    report = verify.verify(find_spec("uniform"), module)
    assert any("sigma**2" in c.text for c in report.checks if c.passed is False)


def cauchy() -> Oracle:
    spec = Spec("some_density", "1/(1+r**2)", "product")
    return Oracle(spec.expression, "product", None, {dim_symbol: sp.Integer(2)})


def draw_cauchy(n: int, scale: float) -> np.ndarray:
    return scale * np.random.default_rng(4).standard_cauchy((n, 2))


def test_infinite_variance_is_reported_and_must_be_said_by_the_module() -> None:
    """Instead of a moment: sigma_of_scale has to raise ValueError."""

    def refuses() -> float:
        raise ValueError("infinite variance")

    checks = list(sampler_checks(cauchy(), draw_cauchy, refuses))
    assert all(c.passed for c in checks) and any(c.text.startswith("infinite variance") for c in checks)
    wrong = list(sampler_checks(cauchy(), draw_cauchy, lambda: 3.0))
    assert [c.passed for c in wrong if "variance" in c.text] == [False]
    other = list(sampler_checks(cauchy(), lambda n, s: 1.02 * draw_cauchy(n, s), refuses))
    assert not all(c.passed for c in other)


def changed_family(**changes: Any) -> Family:
    return replace(derive_family(find_spec("laplace")), **changes)


def test_identities_are_proved_again() -> None:
    """The family's own pass; a wrong law, a radius that starts above 0 and one of the wrong slope do not."""
    assert all(check.passed for check in identities.identities(changed_family()))
    law = GammaRadialLaw(sp.Integer(1), sp.Integer(1), sp.Rational(101, 100))
    assert [c.subject for c in identities.identities(changed_family(law=law)) if c.passed is False] == ["law"]
    native = dict(derive_family(find_spec("laplace")).native)
    right = native["1"].evaluation
    assert isinstance(right, Closed)
    native["1"] = replace(native["1"], evaluation=Closed(sp.Rational(102, 100) * right.radius))
    slope = [c for c in identities.identities(changed_family(native=native)) if c.passed is False]
    assert [c.text[:5] for c in slope] == ["dR/dr"]
    with pytest.raises(ValueError, match="radius at rho = 1/2"):
        Closed(right.radius + gap + 1)


def test_what_is_undecided_counts_as_neither() -> None:
    checks = (Check("oracle", "l1", True, "a"), Check("oracle", "l2", None, "b"))
    report = verify.Report("x", checks)
    assert report.passed and report.lines[0] == "x: 1 true, 0 false, 1 open"
    assert not replace(report, checks=(*checks, Check("oracle", "l1", False, "c"))).passed
    assert report.record["checks"][1] == {"kind": "oracle", "subject": "l2", "passed": None, "text": "b"}


def test_thresholds_hold_for_right_samples_and_are_inequalities() -> None:
    """Twenty seeds of right samples pass each bound; the bounds shrink with n and grow as the level falls."""
    for seed in range(20):
        u = np.random.default_rng(seed).random(5000)
        assert distance(u, lambda x: x) <= massart(5000)
        assert abs(float(np.mean(u)) - 0.5) <= min(hoeffding(5000, 1.0), bernstein(5000, 1.0 / 12.0, 0.5))
    assert distance(np.random.default_rng(0).random(200_000) ** 1.02, lambda x: x) > massart(200_000) / 2
    assert massart(400) == pytest.approx(2.0 * massart(1600)) and 0.0 < LEVEL <= 1e-9
