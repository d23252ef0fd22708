"""Clopper–Pearson: never above the exact bound, and close to it."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import mpmath
import pytest
from scipy.stats import beta

from runtime.confidence import (
    lower_bound,
    majority_p_value,
    smallest_decidable_n,
    smallest_useful_n,
    upper_tail,
)


def rational_tail(successes: int, n: int, p: Fraction) -> Fraction:
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(successes, n + 1)), start=Fraction(0))


def precise_tail(successes: int, n: int, p: float) -> mpmath.mpf:
    """P(Bin(n, p) ≥ successes) at 50 digits: first term by log-gamma, then the ratios of terms."""
    with mpmath.workdps(50):
        x = mpmath.mpf(p)
        first = mpmath.exp(
            mpmath.loggamma(n + 1)
            - mpmath.loggamma(successes + 1)
            - mpmath.loggamma(n - successes + 1)
            + successes * mpmath.log(x)
            + (n - successes) * mpmath.log(1 - x)
        )
        odds, term, total, i = x / (1 - x), mpmath.mpf(1), mpmath.mpf(1), successes
        while i < n and term > total * mpmath.mpf(10) ** -20:
            term *= odds * (n - i) / (i + 1)
            total += term
            i += 1
        return first * total


@pytest.mark.parametrize("alpha", [1e-6, 0.001, 0.05, 0.7])
def test_bound_never_exceeds_the_exact_one_for_every_small_count(alpha: float) -> None:
    for n in (1, 2, 3, 7, 10, 11, 20, 33):
        for successes in range(1, n + 1):
            p = Fraction(lower_bound(successes, n, alpha))
            assert rational_tail(successes, n, p) <= Fraction(alpha), (successes, n)
            assert rational_tail(successes, n, p * (1 + Fraction(1, 10**10))) > Fraction(alpha), (
                successes,
                n,
            )


@pytest.mark.parametrize(
    ("successes", "n"),
    [
        (99_000, 100_000),
        (99_999, 100_000),
        (50_400, 100_000),
        (150_100_000, 300_000_000),
        (299_999_000, 300_000_000),
        (299_999_999, 300_000_000),
    ],
)
def test_bound_never_exceeds_the_exact_one_for_large_counts(successes: int, n: int) -> None:
    alpha = 0.001
    p = lower_bound(successes, n, alpha)
    assert precise_tail(successes, n, p) <= alpha
    closer = p + 1e-9 * min(p, 1.0 - p) + 4.0 * 2.0**-53
    assert precise_tail(successes, n, closer) > alpha


def test_unanimous_votes_approach_the_largest_possible_bound() -> None:
    for n in (10, 1000, 10**5, 3 * 10**8):
        exact = mpmath.mpf("0.001") ** (mpmath.mpf(1) / n)
        p = lower_bound(n, n, 0.001)
        assert p <= exact
        assert float(1 - exact) == pytest.approx(1.0 - p, rel=1e-7)


def test_a_library_quantile_does_exceed_the_exact_bound() -> None:
    """Why the bound is verified: a quantile taken as it is lies above the exact bound for many counts."""
    alpha, n = 0.001, 40
    above = sum(
        rational_tail(k, n, Fraction(float(beta.ppf(alpha, k, n - k + 1)))) > Fraction(alpha)
        for k in range(1, n + 1)
    )
    assert above >= 5


def test_tail_is_an_upper_bound_and_tight() -> None:
    for successes, n, p in ((1, 5, 0.1), (5, 5, 0.3), (3, 40, 0.5), (39, 40, 0.99), (17, 30, 0.6)):
        exact = rational_tail(successes, n, Fraction(p))
        bound = Fraction(upper_tail(successes, n, p))
        assert exact <= bound <= exact * (1 + Fraction(1, 10**10))


def test_bound_is_monotone() -> None:
    bounds = [lower_bound(k, 500, 0.01) for k in range(501)]
    assert bounds[0] == 0.0
    assert all(a < b for a, b in zip(bounds, bounds[1:], strict=False))
    assert lower_bound(450, 500, 0.001) < lower_bound(450, 500, 0.01)


@pytest.mark.parametrize(("alpha", "n"), [(0.001, 10), (0.05, 5), (0.5, 2), (0.6, 1), (1e-9, 30)])
def test_smallest_useful_n(alpha: float, n: int) -> None:
    assert smallest_useful_n(alpha) == n
    assert Fraction(alpha) > Fraction(1, 2**n)
    assert Fraction(alpha) <= Fraction(1, 2 ** (n - 1))


def test_prediction_test_is_the_exact_two_sided_binomial_one() -> None:
    from scipy.stats import binomtest

    for first, second in ((10, 0), (60, 40), (501, 499), (5, 5)):
        expected = binomtest(first, first + second, 0.5).pvalue
        assert majority_p_value(first, second) == pytest.approx(expected, rel=1e-9)
        assert majority_p_value(first, second) == majority_p_value(second, first)
    assert majority_p_value(0, 0) == 1.0
    assert smallest_decidable_n(0.001) == 11


@pytest.mark.parametrize(
    ("successes", "n", "alpha"),
    [(-1, 10, 0.1), (11, 10, 0.1), (1, 0, 0.1), (1, 10, 0.0), (1, 10, 1.0), (1, 10, float("nan"))],
)
def test_bad_arguments_are_refused(successes: int, n: int, alpha: float) -> None:
    with pytest.raises(ValueError):
        lower_bound(successes, n, alpha)
