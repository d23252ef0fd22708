"""Faults found in published radius code, each by a test that this code must pass."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import torch

from generated import registry
from tests.generated.members import CLOSED, MEMBERS, Member
from tests.generated.quadrature import differential_radius

ADVERSARIES = ("1", "2", "inf")


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


@pytest.mark.parametrize("family", ["gaussian", "laplace", "uniform", "exp_linf"])
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
