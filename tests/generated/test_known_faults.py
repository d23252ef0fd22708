"""Faults found in published radius code, each by a test that this code must pass."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from generated import registry
from tests.generated.level_pairs import Radial, needed_failure
from tests.generated.members import CLOSED, MEMBERS, Member
from tests.generated.quadrature import differential_radius

ADVERSARIES = ("1", "2", "inf")
TABULATED: list[tuple[str, str, dict[str, float]]] = [
    ("exp_linf", "inf", {"k": 1.3, "j": 0.7}),
    ("exp_l1", "1", {"k": 1.3}),
]
"""Families whose radius comes from nodes that are computed first, at parameters that no other test uses."""


def test_defect_linf_radial_l1_second_branch() -> None:
    """Past ρ = 1-1/(2d) the radius bends upwards: 4.43 at d = 4, ρ = 0.97, not the straight line's 3.76."""
    got = Member("exp_linf", "1", 4, {"k": 1.0}).at(0.97)
    assert got == pytest.approx(3.0 + math.log(1.0 / (8.0 * 0.03)), rel=1e-9)
    assert 4.42 < got < 4.43


def test_defect_linf_radial_l1_switches_at_one_over_2d() -> None:
    """The radius follows its line past 1-1/d (0.75 for d = 4) up to 1-1/(2d) = 0.875, and leaves it there."""
    member = Member("exp_linf", "1", 4, {"k": 1.0})
    for rho in (0.75, 0.8, 0.87):
        assert member.at(rho) == pytest.approx(8.0 * (rho - 0.5), rel=1e-10)
    assert member.at(0.9) > 8.0 * 0.4 * 1.005


def test_defect_laplace_linf_is_no_normal_approximation() -> None:
    """In one dimension the exact radius at ρ = 0.6 is ln 1.25 = .2231…; the approximation certifies .253."""
    got = Member("laplace", "inf", 1).at(0.6)
    assert 0.0 < got <= math.log(1.25)
    assert (
        math.sqrt(2.0) * Member("gaussian", "2", 1).at(0.6) > 0.25
    )  # what a normal law of that σ would give


def test_defect_uniform_linf_keeps_its_digits_at_imagenet_size() -> None:
    """1 - (3/2-ρ)^(1/d) cancels at d = 150528; single precision is up to 7.5 % too large there."""
    member = Member("uniform", "inf", 150528)
    for rho in (0.5 + 1e-9, 0.51, 0.9, 1.0 - 1e-12):
        with mp.workdps(40):
            exact = CLOSED["uniform", "inf"](rho, 150528)
            assert exact * (1 - mp.mpf(10) ** -11) <= member.at(rho) <= exact


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_defect_single_precision_is_never_silent(family: str) -> None:
    """A float32 ρ has been rounded, up in half of all cases: it is refused, not widened."""
    for adversary in registry.load(family).ADVERSARIES:
        for rho in (np.float32(0.9) * np.ones(1, np.float32), torch.tensor([0.9], dtype=torch.float32)):
            with pytest.raises(ValueError, match="float64"):
                Member(family, adversary, 64).radius(rho)


def test_defect_gaussian_radius_stays_finite_for_many_samples() -> None:
    """p_lower = 0.001^(1/3e8) is 1 in single precision, and its radius infinite there."""
    p_lower = math.exp(math.log(0.001) / 3e8)
    assert np.float32(p_lower) == 1.0
    got = Member("gaussian", "2", 3072).at(p_lower)
    assert 5.4 < got < 5.5


def test_defect_linf_radial_with_decreasing_score() -> None:
    """k = 1/2, d = 10, ρ = .99, linf: 107.6112 differential, 159.06 exact; the wrong greedy set says 211."""
    member = Member("exp_linf", "inf", 10, {"k": 0.5})
    got = member.at(0.99)
    if "level set" in member.method:
        assert 107.6111946 < got < 159.07
    else:
        assert got == pytest.approx(107.6111946888277837, rel=1e-9)


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("j", [9.0, 9.5, 9.9, 10.0, 11.0])
def test_defect_singular_density_without_finite_score_is_refused(adversary: str, j: float) -> None:
    """For j >= d-1 the mean score is infinite and there is no radius: refused, with j named."""
    for k in (1.0, 2.0):
        with pytest.raises(ValueError, match=r"\bj\b"):
            Member("exp_linf", adversary, 10, {"k": k, "j": j}).at(0.99)


def test_defect_singular_density_just_inside_is_small() -> None:
    """As j nears d-1 the l1 radius falls to nothing."""
    radii = [Member("exp_linf", "1", 10, {"k": 1.0, "j": j}).at(0.9) for j in (0.0, 4.0, 8.0, 8.9, 8.999)]
    assert all(a > b > 0.0 for a, b in zip(radii, radii[1:], strict=False))
    # (2d/(d-1))·Γ(d-j)/Γ(d-j-1)·(ρ-1/2) = (20/9)·(d-j-1)·0.4 on the first branch
    assert radii[-1] == pytest.approx(20.0 / 9.0 * 0.001 * 0.4, rel=1e-6)


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.dim == 10], ids=str)
def test_defect_minority_class_has_no_negative_radius(member: Member) -> None:
    """ρ < 1/2 gives exactly 0."""
    assert np.all(member.radius(np.linspace(0.0, 0.5, 101)) == 0.0)


@pytest.mark.parametrize("k", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("bits", [20, 40, 50, 53])
def test_defect_nothing_is_extrapolated_upwards(k: float, bits: int) -> None:
    """At and past the last node of any table the radius stays below the exact one, down to ρ = 1 - 2⁻⁵³."""
    member = Member("exp_linf", "inf", 10, {"k": k})
    rho = 1.0 - 2.0**-bits
    exact = differential_radius(rho, 10, "inf", k)
    assert 0.9 * exact <= member.at(rho)
    if "level set" not in member.method:
        assert member.at(rho) <= exact


L2_SINGULAR = [(10, 1.0, 4.0), (10, 2.0, 4.5), (64, 2.0, 56.0), (784, 1.0, 300.0)]


@pytest.mark.parametrize(("dim", "k", "j"), L2_SINGULAR)
@pytest.mark.parametrize("fail", [0.4, 0.1, 2.0**-20, 2.0**-50])
def test_defect_l2_radial_tail_under_its_own_gamma_law(dim: int, k: float, j: float, fail: float) -> None:
    """r^k follows Gamma((d-j)/k), not Gamma(d/k): the radius needs the confidence it is given, by a separate quadrature."""
    member = Member("exp_l2", "2", dim, {"k": k, "j": j})
    assert "level set" in member.method
    got = member.estimated(1.0 - fail)
    needed = needed_failure(Radial(dim, k, j, (dim - j) / k), got)
    assert fail * (1.0 - 1e-10) <= needed <= fail * (1.0 + 1e-6)
    wrong = needed_failure(Radial(dim, k, j, dim / k), got)
    assert not 0.99 <= wrong / fail <= 1.01  # the wrong law would be noticed


@pytest.mark.parametrize(
    ("family", "params"),
    [("exp_l2", {"k": 1.7, "j": 3.0}), ("pow_l2", {"k": 1.7, "a": 2000.0})],
)
def test_defect_a_level_set_radius_takes_seconds(family: str, params: dict[str, float]) -> None:
    """By quadrature, at parameters never seen before, in dimension 3072: seconds, where tables took minutes."""
    member = Member(family, "2", 3072, params)
    start = time.perf_counter()
    got = member.estimated(0.99)
    assert got > 0.0 and time.perf_counter() - start < 30.0


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the tables built during a test, one entry for each."""
    names: list[str] = []

    def counting(kind: type, init: Any) -> Any:
        def counted(self: Any, *args: Any, **kwargs: Any) -> None:
            names.append(kind.__name__)
            init(self, *args, **kwargs)

        return counted

    kinds = {
        value
        for name, module in sorted(sys.modules.items())
        if name.startswith("generated.special")
        for value in vars(module).values()
        if isinstance(value, type) and value.__name__ in ("RadiusCurve", "Tabulated", "InverseCdf")
    }
    for kind in kinds:
        monkeypatch.setattr(kind, "__init__", counting(kind, kind.__init__))  # type: ignore[misc]
    yield names


@pytest.mark.parametrize(("family", "adversary", "params"), TABULATED)
def test_defect_table_is_not_built_again_on_every_call(
    family: str, adversary: str, params: dict[str, float], built: list[str]
) -> None:
    """One table for each set of parameters, found again after others were in use, and never taken for theirs."""
    rho = np.linspace(0.5, 0.999, 11)
    one = Member(family, adversary, 23, params)
    two = Member(family, adversary, 23, {**params, "k": 1.7})
    first, other = one.radius(rho), two.radius(rho)
    assert len(built) >= 2
    built.clear()
    assert np.array_equal(one.radius(rho), first) and np.array_equal(two.radius(rho), other)
    assert np.array_equal(one.radius(rho, 3.0)[1:] > first[1:], np.ones(10, bool))
    assert built == []
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("bits", [20, 40, 50, 53])
@pytest.mark.parametrize(("k", "j"), [(1.0, 0.0), (2.0, 5.0)])
def test_defect_level_set_estimates_are_not_extrapolated_upwards(bits: int, k: float, j: float) -> None:
    """At and past the last node the radius stays below the exact one, and close to it."""
    member, fail = Member("exp_l2", "2", 12, {"k": k, "j": j}), 2.0**-bits
    law = Radial(12, k, j, (12 - j) / k)
    got = member.estimated(1.0 - fail)
    assert needed_failure(law, got) >= fail * (1.0 - 1e-10)
    assert needed_failure(law, got * 1.02) < fail


@pytest.mark.parametrize("bits", [1.1, 3, 20, 40, 50, 53])
@pytest.mark.parametrize(("dim", "k"), [(64, 1.0), (3072, 1.0)])
def test_defect_level_set_tables_are_not_extrapolated_upwards(bits: float, dim: int, k: float) -> None:
    """Shipped tables against a separate quadrature: not above the exact radius anywhere, and close to it."""
    member, rho = Member("exp_l2", "2", dim, {"k": k, "j": 0.0}), 1.0 - 2.0**-bits
    law = Radial(dim, k, 0.0, dim / k)
    got = member.at(rho)
    assert needed_failure(law, got) >= (1.0 - rho) * (1.0 - 1e-9)
    assert needed_failure(law, got * 1.0001) < 1.0 - rho


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_defect_no_family_has_negative_radii(family: str) -> None:
    """ρ ≤ 1/2 gives exactly 0, ρ above it something that is not negative, against every norm."""
    module = registry.load(family)
    above = np.concatenate([0.5 + 2.0 ** -np.arange(2.0, 53.0), 1.0 - 2.0 ** -np.arange(2.0, 53.0)])
    tables = getattr(module, "TABLES", None)
    if tables == {}:
        pytest.skip("no table of this family is shipped")
    for adversary in module.ADVERSARIES:
        member = Member(family, adversary, 3072 if tables else 10)
        assert np.all(member.radius(np.linspace(0.0, 0.5, 101)) == 0.0)
        assert np.all(member.radius(above) >= 0.0)


@pytest.mark.parametrize("dim", [1, 10, 3072])
def test_defect_sixth_power_l1_radius_is_not_above_the_exact_one(dim: int) -> None:
    """e^{-|x/√2|⁶} iid, l1, ρ = 0.9: exactly √2·(Gamma_{1/6} quantile of 0.8)^{1/6} = 1.0779…, not 1.121."""
    got = Member("generalized_normal", "1", dim, {"p": 6.0}).at(0.9, math.sqrt(2.0))
    with mp.workdps(30):
        level = 2 * mp.mpf(0.9) - 1
        t = mp.findroot(lambda x: mp.gammainc(mp.mpf(1) / 6, 0, x, regularized=True) - level, 0.2)
        exact = mp.mpf(math.sqrt(2.0)) * t ** (mp.mpf(1) / 6)
    assert exact * (1 - mp.mpf(10) ** -9) <= got <= exact < 1.0785


def test_defect_laplace_l1_radius_is_not_far_below_the_exact_one() -> None:
    """Laplace noise of σ = 1, l1, ρ = 0.7: exactly -ln(0.6)/√2 = .3612, not .023."""
    scale = registry.load("laplace").scale_of_sigma(1.0, dim=10)
    got = Member("laplace", "1", 10).at(0.7, scale)
    assert got == pytest.approx(-math.log(0.6) / math.sqrt(2.0), rel=1e-12) and got > 0.361


@pytest.mark.parametrize(
    ("family", "adversary", "params"),
    [("laplace", "1", {}), ("generalized_normal", "1", {"p": 6.0})],
)
def test_defect_radii_need_no_search(family: str, adversary: str, params: dict[str, float]) -> None:
    """A thousand radii in less than the nine seconds that a Monte Carlo search takes for one, and always the same."""
    member, rho = Member(family, adversary, 64, params), np.linspace(0.5, 1.0 - 1e-9, 1000)
    start = time.perf_counter()
    first = member.radius(rho)
    assert time.perf_counter() - start < 9.0
    assert np.array_equal(first, member.radius(rho)) and np.all(np.diff(first) > 0.0)


@pytest.mark.parametrize("rho", ["0.55", "0.7", "0.9", "0.99", "0.9999"])
@pytest.mark.parametrize(("family", "adversary"), [("gaussian", "2"), ("laplace", "1"), ("uniform", "inf")])
def test_defect_printed_radius_is_never_rounded_up(family: str, adversary: str, rho: str) -> None:
    """The text names the very float of the generated code and lies below the proved lower end; three digits would not."""
    from derive.cli import cli

    command = ["radius", family, "--adversary", adversary, "--dim", "64", "--rho", rho]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0
    words = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    below = float(rho) if Decimal(float(rho)) <= Decimal(rho) else math.nextafter(float(rho), 0.0)
    assert float(words["radius"]) == Member(family, adversary, 64).at(below)
    assert Decimal(words["radius"]) <= Decimal(words["lower"]) <= Decimal(words["upper"])
