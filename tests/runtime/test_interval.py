"""Upper and randomised Clopper–Pearson bounds: on the safe side of the exact ones, and close to them."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from runtime.confidence import lower_bound, randomised_lower_bound, upper_bound


def mass(k: int, n: int, p: Fraction) -> Fraction:
    return comb(n, k) * p**k * (1 - p) ** (n - k)


@pytest.mark.parametrize("alpha", [1e-6, 0.001, 0.05, 0.7])
def test_upper_bound_is_never_below_the_exact_one_for_every_small_count(alpha: float) -> None:
    for n in (1, 2, 7, 20, 33):
        for k in range(n):
            bound = Fraction(upper_bound(k, n, alpha))
            below = bound * (1 - Fraction(1, 10**9))
            assert sum(mass(i, n, bound) for i in range(k + 1)) <= Fraction(alpha), (k, n)
            assert sum(mass(i, n, below) for i in range(k + 1)) > Fraction(alpha), (k, n)
        assert upper_bound(n, n, alpha) == 1.0


def failure(n: int, p: float, alpha: float) -> float:
    """P(bound > p): enumerated over the count, and for each count the share of u, by bisection to 2^-12."""
    total = 0.0
    for k in range(n + 1):
        low, high = 0.0, 1.0  # the bound grows with u
        while high - low > 2.0**-12:
            middle = 0.5 * (low + high)
            above = randomised_lower_bound(k, n, alpha, middle) > p
            low, high = (low, middle) if above else (middle, high)
        if randomised_lower_bound(k, n, alpha, 0.0) > p:
            high = 0.0
        total += float(mass(k, n, Fraction(p))) * (1.0 - high)
    return total


@pytest.mark.parametrize(("n", "p", "alpha"), [(12, 0.6, 0.05), (25, 0.83, 0.02), (12, 0.3, 0.1)])
def test_randomised_bound_fails_with_probability_alpha(n: int, p: float, alpha: float) -> None:
    plain = sum(float(mass(k, n, Fraction(p))) for k in range(n + 1) if lower_bound(k, n, alpha) > p)
    assert failure(n, p, alpha) == pytest.approx(alpha, abs=2.0**-12)
    assert plain < 0.8 * alpha


def test_randomised_bound_never_exceeds_the_exact_one() -> None:
    alpha = 0.01
    for n, k, u in ((20, 17, 0.25), (20, 0, 0.999), (33, 32, 0.75), (50, 1, 0.5)):
        p = Fraction(randomised_lower_bound(k, n, alpha, u))
        tail = sum(mass(i, n, p) for i in range(k + 1, n + 1)) + (1 - Fraction(u)) * mass(k, n, p)
        assert tail <= Fraction(alpha), (n, k, u)
        assert float(p) >= lower_bound(k, n, alpha)


def test_unanimous_votes_are_never_certain() -> None:
    assert randomised_lower_bound(100, 100, 0.001, 1.0 - 2.0**-53) == lower_bound(100, 100, 0.001) < 1.0


@pytest.mark.parametrize("uniform", [-0.1, 1.0, float("nan")])
def test_a_uniform_number_outside_its_range_is_refused(uniform: float) -> None:
    with pytest.raises(ValueError, match="uniform must lie in"):
        randomised_lower_bound(5, 10, 0.1, uniform)
