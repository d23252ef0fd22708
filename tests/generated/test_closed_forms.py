"""Generated radii against closed forms and quadrature in many digits: never above, hardly below."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generated.members import CLOSED, DIGITS, Member
from tests.generated.quadrature import differential_radius

STEADY = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
LAST = math.nextafter(1.0, 0.0)
DIMS = (1, 2, 3, 10, 784, 3072, 150528)


@st.composite
def probabilities(draw: st.DrawFn) -> float:
    """Doubles in (1/2, 1): anywhere, or crowded at either end."""
    kind = draw(st.sampled_from(("any", "half", "one", "grid")))
    if kind == "any":
        return draw(st.floats(0.5, 1.0, exclude_min=True, exclude_max=True))
    if kind == "grid":
        return draw(st.integers(501, 999)) / 1000.0
    distance = 10.0 ** draw(st.floats(-15.9, -0.31))
    rho = 0.5 + distance if kind == "half" else 1.0 - distance
    return min(max(rho, math.nextafter(0.5, 1.0)), math.nextafter(1.0, 0.0))


@pytest.mark.parametrize("family, adversary", list(CLOSED), ids=lambda v: str(v))
@settings(STEADY, max_examples=200)
@given(
    rho=probabilities(),
    dim=st.sampled_from(DIMS),
    scale=st.one_of(st.just(1.0), st.floats(1e-3, 1e3)),
)
def test_never_above_the_exact_radius(
    family: str, adversary: str, rho: float, dim: int, scale: float
) -> None:
    """R <= scale × exact at the double ρ itself, and within 1e-11 of it."""
    if family == "exp_linf":
        dim = max(dim, 2)
    member = Member(family, adversary, dim)
    got = member.at(rho, scale)
    with mp.workdps(DIGITS):
        exact = mp.mpf(scale) * CLOSED[family, adversary](rho, dim)
        if "level set" not in member.method or "tight" in member.method:
            assert mp.mpf(got) <= exact
        assert mp.mpf(got) >= exact * (1 - mp.mpf(10) ** -11)


@pytest.mark.parametrize("family, adversary", list(CLOSED), ids=lambda v: str(v))
def test_arrays_do_not_round_up_either(family: str, adversary: str) -> None:
    """Vector code may use other instructions than scalar code: a whole array, each entry judged."""
    rho = 1.0 - np.geomspace(0.4999, 1e-15, 400)
    for dim in (2, 150528):
        got = Member(family, adversary, dim).radius(rho)
        with mp.workdps(DIGITS):
            for r, value in zip(rho, got, strict=True):
                exact = CLOSED[family, adversary](float(r), dim)
                assert mp.mpf(float(value)) <= exact
                assert mp.mpf(float(value)) >= exact * (1 - mp.mpf(10) ** -11)


@pytest.mark.parametrize(
    "rho, dim, adversary, k, j",
    [
        (0.501, 10, "inf", 2.0, 0.0),
        (0.9, 10, "inf", 1.0, 0.0),
        (0.99, 10, "inf", 2.0, 0.0),
        (1.0 - 1e-12, 10, "inf", 2.0, 0.0),
        (LAST, 10, "inf", 2.0, 0.0),
        (0.6, 64, "inf", 10.0, 0.0),
        (0.9999, 3, "inf", 10.0, 0.0),
        (0.7, 1, "inf", 1.5, 0.0),
        (0.99, 10, "inf", 0.5, 0.0),
        (1.0 - 1e-9, 5, "1", 0.75, 0.0),
        (0.96, 10, "1", 2.0, 0.0),
        (LAST, 64, "1", 2.0, 0.0),
        (0.999, 10, "1", 1.0, 3.0),
        (0.99, 10, "inf", 2.0, 4.5),
        (0.99, 10, "inf", 2.0, 8.9),
        (0.9999, 10, "1", 3.0, 8.5),
        (1.0 - 1e-9, 2, "inf", 5.0, 0.9),
        (0.9999, 784, "1", 2.0, 400.0),
        (0.99, 150528, "inf", 2.0, 0.0),
        (0.99, 150528, "inf", 10.0, 0.0),
        (1.0 - 1e-9, 150528, "1", 1.5, 0.0),
        (0.997, 50000, "1", 0.3, 0.0),
    ],
)
def test_linf_exponential_against_quadrature(
    rho: float, dim: int, adversary: str, k: float, j: float
) -> None:
    """Both branches, both norms and all shapes of greedy set: within 1e-9 of the integral, below."""
    member = Member("exp_linf", adversary, dim, {"k": k, "j": j})
    exact = differential_radius(rho, dim, adversary, k, j)
    got = mp.mpf(member.at(rho))
    assert got >= exact * (1 - mp.mpf(10) ** -9)
    if "level set" not in member.method:
        assert got <= exact


@pytest.mark.parametrize(
    "rho, dim, adversary, k, j",
    [
        (1.0 - 9.4e-15, 2, "inf", 100.0, 0.9),
        (1.0 - 6.7e-16, 3, "inf", 100.0, 0.002),
        (1.0 - 3.6e-11, 2, "inf", 100.0, 0.99),
        (1.0 - 4.0e-10, 5, "1", 100.0, 3.6),
        (1.0 - 1.4e-10, 2, "1", 3.0, 0.001),
        (1.0 - 1e-12, 2, "inf", 30.0, 0.5),
    ],
)
def test_sound_at_extreme_parameters(rho: float, dim: int, adversary: str, k: float, j: float) -> None:
    """Where the Gamma law of m^k has a tiny shape and its quantiles underflow, digits may be lost, soundness not."""
    got = mp.mpf(Member("exp_linf", adversary, dim, {"k": k, "j": j}).at(rho))
    exact = differential_radius(rho, dim, adversary, k, j)
    assert exact * (1 - mp.mpf(10) ** -3) <= got <= exact


def test_the_quadrature_on_closed_forms() -> None:
    """The judge judged: j = 0, k = 1 has both radii in closed form, and one value is known to many digits."""
    for rho in (0.6, 0.96, 1.0 - 1e-9):
        for adversary in ("1", "inf"):
            exact = CLOSED["exp_linf", adversary](rho, 10)
            assert abs(differential_radius(rho, 10, adversary, 1.0) / exact - 1) < mp.mpf(10) ** -13
    known = mp.mpf("0.6728781102394769")
    assert abs(differential_radius(0.99, 10, "inf", 2.0) / known - 1) < mp.mpf(10) ** -14


def laplace_linf(rho: float, dim: int) -> mp.mpf:
    """Differential linf radius of Laplace noise, whose score for (1, …, 1) is 2·Bin(dim, 1/2) - dim.

    Φ is linear with slope s between the tails of the binomial law, so ∫ dp/Φ is a sum of logarithms.
    """
    low, half = 1 - Fraction(rho), Fraction(1, 2)
    radius, start, rise = mp.mpf(0), Fraction(0), Fraction(0)
    for count in range(dim, -1, -1):
        slope, mass = 2 * count - dim, Fraction(math.comb(dim, count), 2**dim)
        left, right = max(start, low), min(start + mass, half)
        if left < right:
            at_left, at_right = rise + slope * (left - start), rise + slope * (right - start)
            if slope == 0:
                radius += _real((right - left) / at_left)
            else:
                radius += mp.log(_real(at_right / at_left)) / slope
        start, rise = start + mass, rise + slope * mass
    return radius


def _real(value: Fraction) -> mp.mpf:
    return mp.mpf(value.numerator) / mp.mpf(value.denominator)


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 9, 64, 257])
def test_laplace_linf_against_exact_sums(dim: int) -> None:
    """Within 1e-9 of the sum, from below, at both ends and between."""
    member = Member("laplace", "inf", dim)
    for rho in (math.nextafter(0.5, 1.0), 0.50001, 0.6, 0.75, 0.9, 0.999, 1.0 - 1e-6, 1.0 - 1e-12, LAST):
        with mp.workdps(DIGITS):
            exact = laplace_linf(rho, dim)
            got = mp.mpf(member.at(rho))
            assert got >= exact * (1 - mp.mpf(10) ** -9)
            if "composition" not in member.method:
                assert got <= exact
