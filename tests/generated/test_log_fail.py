"""Radii from log(1 - rho): the same where rho says it as well, accurate or at least sound where 1 - rho is no double any more."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
import torch

from generated import registry
from generated.special import prepare
from tests.generated.members import DIGITS, MEMBERS, Member

LOGS = (
    -0.6931471805599455,
    -0.7,
    -1.0,
    -5.0,
    -30.0,
    -36.7,
    -37.0,
    -200.0,
    -599.0,
    -601.0,
    -700.0,
    -745.0,
    -746.0,
    -1e4,
    -1e9,
    -1e300,
)


def _quantile(log_fail: mp.mpf) -> mp.mpf:
    """z with log(normal tail at z) = log_fail: by Newton's rule, far out from the asymptotic series of the tail (to 30 digits)."""
    square = -2 * log_fail
    if log_fail < -1e5:
        for _ in range(8):
            series = mp.log(1 - 1 / square + 3 / square**2 - 15 / square**3 + 105 / square**4)
            square = -2 * log_fail - mp.log(2 * mp.pi * square) + 2 * series
        return mp.sqrt(square)
    z = mp.sqrt(square)
    for _ in range(12 if log_fail < -2 else 40):
        log_tail = mp.log(mp.erfc(z / mp.sqrt(2)) / 2)
        z += (log_tail - log_fail) * mp.exp(log_tail + z * z / 2) * mp.sqrt(2 * mp.pi)
    return z


def _exp_linf_l1(log_fail: mp.mpf, dim: int) -> mp.mpf:
    inside = mp.log(2 * dim) + log_fail
    return 2 * dim * (mp.mpf(1) / 2 - mp.exp(log_fail)) if inside > 0 else dim - 1 - inside


EXACT: dict[tuple[str, str], Callable[[mp.mpf, int], mp.mpf]] = {
    ("gaussian", "2"): lambda log_fail, dim: _quantile(log_fail),
    ("laplace", "1"): lambda log_fail, dim: -mp.log(2) - log_fail,
    ("uniform", "1"): lambda log_fail, dim: 1 - 2 * mp.exp(log_fail),
    ("uniform", "inf"): lambda log_fail, dim: (
        2 - 2 * mp.power(mp.mpf(1) / 2 + mp.exp(log_fail), mp.mpf(1) / dim)
    ),
    ("exp_linf", "1"): _exp_linf_l1,
    ("exp_linf", "inf"): lambda log_fail, dim: -mp.log(2) - log_fail,
}


@pytest.mark.parametrize(("family", "adversary"), list(EXACT), ids=str)
@pytest.mark.parametrize("dim", [2, 3072])
def test_closed_forms_stay_accurate(family: str, adversary: str, dim: int) -> None:
    """Never above the exact radius, and within 1e-11 of it, where 1 - rho is denormal or no double at all."""
    radii = registry.load(family).radius(log_fail=np.array(LOGS), adversary=adversary, dim=dim)
    for log_fail, value in zip(LOGS, radii, strict=True):
        with mp.workdps(DIGITS):
            exact = EXACT[family, adversary](mp.mpf(log_fail), dim)
            assert mp.mpf(float(value)) <= exact
            if (
                log_fail < -0.694
            ):  # closer to 1/2 the last digit of the logarithm is all that is left of the radius
                assert mp.mpf(float(value)) >= exact * (1 - mp.mpf(10) ** -11)


@pytest.mark.parametrize(("family", "adversary"), list(EXACT), ids=str)
def test_never_above_the_exact_radius_at_drawn_logarithms(family: str, adversary: str) -> None:
    """A thousand doubles from log 1/2 to -1e5, as many next to 1/2 and around the places where the code changes its way."""
    rng = np.random.default_rng(8)
    logs = -np.concatenate(
        [
            np.exp(rng.uniform(np.log(0.6931471805599456), np.log(1e5), 700)),
            0.6931471805599453 + np.exp(rng.uniform(np.log(1e-15), np.log(0.1), 200)),
            rng.uniform(599.0, 601.0, 60),
            rng.uniform(707.0, 746.0, 40),
        ]
    )
    for dim in (3, 150528):
        radii = registry.load(family).radius(log_fail=logs, adversary=adversary, dim=dim)
        with mp.workdps(max(DIGITS, 60)):
            for log_fail, value in zip(logs.tolist(), radii.tolist(), strict=True):
                assert mp.mpf(value) <= EXACT[family, adversary](mp.mpf(log_fail), dim), (log_fail, dim)


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.dim in (2, 3072)], ids=str)
def test_the_two_arguments_agree(member: Member) -> None:
    """Where rho is a double, its own radius is met from below; beyond, radii do not fall and stay finite."""
    fail = 1.0 - (1.0 - np.array([0.4, 0.1, 1e-3, 1e-9, 2.0**-50]))  # such that 1 - fail is exact
    by_rho = member.radius(1.0 - fail)
    by_log = member.module.radius(
        log_fail=np.log(fail), adversary=member.adversary, dim=member.dim, **member.params
    )
    assert np.all(by_log <= by_rho * (1.0 + 1e-13))
    assert by_log == pytest.approx(by_rho, rel=1e-9)
    far = member.module.radius(
        log_fail=np.array([-36.0, -37.0, -50.0, -800.0, -1e6]),
        adversary=member.adversary,
        dim=member.dim,
        **member.params,
    )
    assert np.all(np.isfinite(far)) and np.all(np.diff(far) >= -1e-12 * far[1:])
    assert far[0] >= by_rho[-1] * (1.0 - 1e-9)


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_family_takes_it(family: str) -> None:
    """Zero where rho ≤ 1/2, a float64 tensor back, gradients down: dR/dlog(1 - rho) = -(1 - rho)/Phi < 0."""
    module = registry.load(family)
    if any(word in module.method(adversary=a, dim=64) for a in module.ADVERSARIES for word in ("level set",)):
        pytest.skip("level sets in this dimension need a table: see test_tables.py")
    for adversary in module.ADVERSARIES:
        log_fail = torch.tensor([-0.1, -0.69, -1.0, -20.0, -800.0], dtype=torch.float64, requires_grad=True)
        radius = module.radius(log_fail=log_fail, adversary=adversary, dim=64)
        assert (
            radius.dtype == torch.float64
            and bool((radius[:2] == 0.0).all())
            and bool((radius[2:] > 0.0).all())
        )
        (slope,) = torch.autograd.grad(radius.sum(), log_fail)
        assert (
            bool((slope[:2] == 0.0).all())
            and bool((slope[2:4] < 0.0).all())
            and bool((slope[4:] <= 0.0).all())
        )


def test_parts_are_rounded_to_the_safe_side() -> None:
    """1 - rho up, rho and rho - 1/2 down, also where the exponential is denormal or zero."""
    logs = np.concatenate([-np.geomspace(0.7, 760.0, 400), [-744.44, -745.13, -745.14, -1e300]])
    at = prepare(None, logs)
    with mp.workdps(400):
        for log, rho, fail, gap in zip(logs, at.rho, at.fail, at.gap, strict=True):
            exact = mp.exp(mp.mpf(float(log)))
            assert mp.mpf(float(fail)) >= exact
            assert mp.mpf(float(rho)) <= 1 - exact
            assert mp.mpf(float(gap)) <= mp.mpf(1) / 2 - exact


def test_one_of_the_two_is_required() -> None:
    module = registry.load("laplace")
    rho, log_fail = np.array([0.9]), np.array([-3.0])
    with pytest.raises(ValueError, match="exactly one of rho and log_fail .* both"):
        module.radius(rho, log_fail=log_fail, adversary=1, dim=3)
    with pytest.raises(ValueError, match="exactly one of rho and log_fail .* neither"):
        module.radius(adversary=1, dim=3)
    for bad in (0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="log_fail must lie in"):
            module.radius(log_fail=np.array([-1.0, bad]), adversary=1, dim=3)
    with pytest.raises(ValueError, match="float64"):
        module.radius(log_fail=np.array([-1.0], dtype=np.float32), adversary=1, dim=3)
    assert module.radius(log_fail=np.array([-math.inf]), adversary=1, dim=3)[0] == math.inf
