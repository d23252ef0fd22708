"""Boundaries of the group-sequential test: exact level in rational arithmetic, and no slack."""

from __future__ import annotations

import time
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binom

from runtime.binomial import binomial_window, convolved, cut, trimmed
from runtime.design import course, design, looks_up_to, spent_by

Masses = dict[int, Fraction]


def added(masses: Masses, trials: int, p: Fraction) -> Masses:
    found: Masses = {}
    for count, mass in masses.items():
        for more in range(trials + 1):
            term = mass * comb(trials, more) * p**more * (1 - p) ** (trials - more)
            found[count + more] = found.get(count + more, Fraction(0)) + term
    return found


@pytest.mark.parametrize(
    ("p0", "alpha", "totals"),
    [(0.7, 0.05, (5, 12, 30)), (0.9, 0.1, (8, 16, 24, 48)), (0.5, 0.001, (12, 40)), (0.83, 0.02, (40,))],
)
def test_level_is_at_most_alpha_exactly_and_no_boundary_can_be_lower(
    p0: float, alpha: float, totals: tuple[int, ...]
) -> None:
    early = 0.5
    test = design(p0, alpha, totals, early, 0.05)
    p, state, spent, before = Fraction(p0), {0: Fraction(1)}, Fraction(0), 0
    for look, n in enumerate(totals):
        state = added(state, n - before, p)
        level = Fraction(spent_by(look, len(totals), alpha, early))
        c = test.yes[look]
        beyond = sum((mass for count, mass in state.items() if count >= c), start=Fraction(0))
        assert spent + beyond <= level
        if c <= n:
            assert spent + beyond + state.get(c - 1, Fraction(0)) > level * (1 - Fraction(1, 10**9))
        spent += beyond
        state = {count: mass for count, mass in state.items() if count < c}
        before = n
    assert 0 < spent <= Fraction(alpha)


def test_masses_are_rounded_up_and_close() -> None:
    for n, p in ((30, 0.5), (40, 0.99), (7, 0.75)):
        window = binomial_window(n, p)
        exact = added({0: Fraction(1)}, n, Fraction(p))
        for count, mass in enumerate(window.masses, start=window.first):
            assert exact[count] <= Fraction(float(mass)) <= exact[count] * (1 + Fraction(1, 10**10))
        assert window.first == 0 and window.lost < 1e-280
    wide = binomial_window(100_000, 0.9)
    counts = np.arange(wide.first, wide.stop)
    assert np.allclose(wide.masses[1:], binom.pmf(counts[1:], 100_000, 0.9), rtol=1e-9)
    assert wide.lost < 1e-15 and 1.0 <= wide.masses.sum() + wide.lost < 1.0 + 1e-9


def test_convolution_never_loses_mass() -> None:
    joint = convolved(binomial_window(640, 0.9), binomial_window(1280, 0.9))
    whole = binomial_window(1920, 0.9)
    tails = dict(zip(range(joint.first, joint.stop), joint.tail().tolist(), strict=True))
    for count, tail in zip(
        range(whole.first + 1, whole.stop),
        binom.sf(np.arange(whole.first, whole.stop - 1), 1920, 0.9),
        strict=True,
    ):
        if count in tails:
            assert tail * (1 - 1e-12) - 1e-25 <= tails[count] <= tail * (1 + 1e-9) + 1e-15
    below, gone = cut(joint, 1730)
    assert below.stop == 1730 and below.masses.sum() + gone == pytest.approx(1.0, abs=1e-9)
    kept = trimmed(joint, 1e-6)
    assert kept.masses.sum() + kept.lost >= joint.masses.sum() + joint.lost


def test_a_design_for_many_votes_takes_no_time() -> None:
    begin = time.process_time()
    test = design(0.9772498680518208, 0.001, looks_up_to(100_000, 40), 0.5, 0.05)
    assert time.process_time() - begin < 1.0
    assert test is design(0.9772498680518208, 0.001, looks_up_to(100_000, 40), 0.5, 0.05)


def test_looks_grow_geometrically_in_blocks() -> None:
    looks = looks_up_to(100_000, 40)
    assert looks[0] == 64 and looks[-1] == 100_000 and all(total % 64 == 0 for total in looks[:-1])
    assert all(a < b <= 1.25 * a + 128 for a, b in zip(looks, looks[1:], strict=False))
    assert looks_up_to(1000, 1) == (1000,) and looks_up_to(50, 40) == (50,)
    assert looks_up_to(65, 5) == (64, 65)


def test_the_course_is_that_of_simulated_tests() -> None:
    test = design(0.84, 0.01, looks_up_to(5000, 20), 0.5, 0.05)
    generator = np.random.default_rng(3)
    for rho in (0.5, 0.86, 0.97):
        power, mean = course(test, rho)
        yes, used = simulated(test.totals, test.yes, test.no, rho, 20_000, generator)
        assert yes.mean() == pytest.approx(power, abs=0.015)
        assert used.mean() == pytest.approx(mean, rel=0.03)


def simulated(
    totals: tuple[int, ...],
    least: tuple[int, ...],
    most: tuple[int, ...],
    rho: float,
    trials: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each of many tests says yes, and with how many votes."""
    successes = np.zeros(trials, dtype=np.int64)
    yes, used = np.zeros(trials, dtype=bool), np.zeros(trials, dtype=np.int64)
    going, before = np.ones(trials, dtype=bool), 0
    for n, up, down in zip(totals, least, most, strict=True):
        successes += generator.binomial(n - before, rho, trials)
        used[going] = n
        yes |= going & (successes >= up)
        going &= (successes < up) & (successes > down)
        before = n
    assert not going.any()
    return yes, used


def test_giving_up_costs_little_and_only_where_yes_is_unlikely() -> None:
    totals = looks_up_to(10_000, 20)
    generous, strict = (design(0.9, 0.001, totals, 0.5, share) for share in (0.05, 1e-9))
    assert generous.yes == strict.yes
    for rho in (0.91, 0.915, 0.93):
        assert course(strict, rho)[0] - 0.05 <= course(generous, rho)[0] <= course(strict, rho)[0]
    assert course(generous, 0.42)[1] == pytest.approx(64.0, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.4, 0.01, (10,), 0.5, 0.05), "p0 must lie in"),
        ((0.6, 0.01, (10, 10), 0.5, 0.05), "totals must increase"),
        ((0.6, 0.01, (10,), 1.0, 0.05), "early must lie in"),
        ((0.99, 0.01, (64,), 0.5, 0.05), "no number of successes shows a probability of 0.99"),
        ((0.6, 2.0, (10,), 0.5, 0.05), "alpha must lie in"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: tuple[float, float, tuple[int, ...], float, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        design(*arguments)
