"""Simulated certifications with known probabilities: false ones at most alpha, and planted faults are found.

Every rate is judged by an exact binomial test at level 1e-4: P(Bin(trials, alpha) ≥ false) must not be below it.
The probability is put just below what a certificate claims, where a false one is likeliest.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from runtime.adaptive import AdaptiveSample
from runtime.confidence import lower_bound, randomised_lower_bound, upper_bound
from runtime.design import design, looks_up_to
from runtime.eprocess import EProcess, log_evidence, next_look
from runtime.noise import Noise
from runtime.sequential import GroupSequential
from tests.runtime.test_design import simulated
from tests.runtime.votes import sampled

TRIALS = 20_000
NOISE = Noise("gaussian", 64, sigma=0.5)


def too_many(false: int, alpha: float, trials: int = TRIALS) -> bool:
    """Whether a procedure of level alpha would show as many false certificates with probability below 1e-4."""
    return bool(binom.sf(false - 1, trials, alpha) < 1e-4)


def fixed(n: int, alpha: float, rho: float, generator: np.random.Generator) -> int:
    counts, times = np.unique(generator.binomial(n, rho, TRIALS), return_counts=True)
    claims = np.array([lower_bound(int(count), n, alpha) for count in counts])
    return int(times[claims > rho].sum())


def sequential(n: int, alpha: float, spent: float, rho: float, generator: np.random.Generator) -> int:
    test = design(math.nextafter(rho, 1.0), spent, looks_up_to(n, 30), 0.5, 0.05)
    return int(simulated(test.totals, test.yes, test.no, rho, TRIALS, generator)[0].sum())


@pytest.mark.parametrize("rho", [0.6, 0.9, 0.99])
@pytest.mark.parametrize(("n", "alpha"), [(100, 0.05), (1000, 0.01), (1000, 0.001), (20_000, 0.01)])
def test_false_certificates_are_at_most_alpha(n: int, alpha: float, rho: float) -> None:
    generator = np.random.default_rng(n)
    assert not too_many(fixed(n, alpha, rho, generator), alpha)
    if alpha > rho**n:  # unanimous votes can show this probability
        assert not too_many(sequential(n, alpha, alpha, rho, generator), alpha)


@pytest.mark.parametrize("rho", [0.6, 0.9])
def test_a_level_half_as_large_again_is_found(rho: float) -> None:
    generator = np.random.default_rng(11)
    assert too_many(fixed(20_000, 0.075, rho, generator), 0.05)
    assert too_many(sequential(20_000, 0.05, 0.075, rho, generator), 0.05)


def test_bounds_from_the_votes_that_chose_the_class_are_found() -> None:
    """Two equally likely classes: the winner of its own votes is bounded above 1/2 twice as often as allowed."""
    generator, n, alpha = np.random.default_rng(12), 1000, 0.05
    own = fresh = 0
    selection, estimation = (generator.binomial(n, 0.5, TRIALS) for _ in range(2))
    for chosen, count in zip(selection.tolist(), estimation.tolist(), strict=True):
        own += lower_bound(max(chosen, n - chosen), n, alpha) > 0.5
        fresh += lower_bound(count if 2 * chosen >= n else n - count, n, alpha) > 0.5
    assert too_many(own, alpha) and not too_many(fresh, alpha)


def test_looking_until_the_plain_bound_says_yes_is_found() -> None:
    generator, alpha, rho = np.random.default_rng(13), 0.05, 0.8
    totals = looks_up_to(5000, 20)
    least = tuple(
        next(c for c in range(int(rho * n), n + 2) if c > n or lower_bound(c, n, alpha) > rho) for n in totals
    )
    never = tuple([-1] * (len(totals) - 1) + [least[-1] - 1])
    yes, _ = simulated(totals, least, never, rho, TRIALS, generator)
    assert too_many(int(yes.sum()), alpha)


def test_randomised_bounds_fail_with_probability_alpha() -> None:
    generator, n, alpha, rho = np.random.default_rng(14), 60, 0.05, 0.85
    counts, uniforms = generator.binomial(n, rho, TRIALS), generator.random(TRIALS)
    above = lower_bound_is_above(n, alpha, rho)
    false = 0
    for count, u in zip(counts.tolist(), uniforms.tolist(), strict=True):
        certain = above[count] if above[count] or not above[min(count + 1, n)] else None
        false += randomised_lower_bound(count, n, alpha, u) > rho if certain is None else certain
    assert not too_many(false, alpha) and binom.cdf(false, TRIALS, alpha) > 1e-4


def lower_bound_is_above(n: int, alpha: float, rho: float) -> list[bool]:
    return [lower_bound(count, n, alpha) > rho for count in range(n + 1)]


def test_two_bounds_fail_with_probability_alpha_together() -> None:
    """Six classes; false where the first is below its bound or any other above the common one."""
    generator, n, alpha = np.random.default_rng(15), 200, 0.05
    for probabilities in ([0.4, 0.12, 0.12, 0.12, 0.12, 0.12], [0.45, 0.35, 0.05, 0.05, 0.05, 0.05]):
        rows = generator.multinomial(n, probabilities, TRIALS)
        first, largest = rows[:, 0].tolist(), rows[:, 1:].max(axis=1).tolist()
        false = sum(
            lower_bound(a, n, alpha / 2) > probabilities[0] or upper_bound(b, n, alpha / 2) < probabilities[1]
            for a, b in zip(first, largest, strict=True)
        )
        assert not too_many(false, alpha)


def test_the_e_process_shows_a_false_radius_with_probability_at_most_alpha() -> None:
    generator, alpha, p0, most = np.random.default_rng(16), 0.05, 0.8, 4096
    successes = np.zeros(TRIALS, dtype=np.int64)
    yes, total = np.zeros(TRIALS, dtype=bool), 0
    while total < most:
        following = next_look(total)
        successes += generator.binomial(following - total, p0, TRIALS)
        total = following
        counts = np.unique(successes)
        strong = np.array([log_evidence(int(c), total, p0) >= -math.log(alpha) for c in counts])
        yes |= strong[np.searchsorted(counts, successes)]
    assert 0 < int(yes.sum()) and not too_many(int(yes.sum()), alpha)


@pytest.mark.parametrize(
    "rule",
    [
        GroupSequential.for_noise(NOISE, [0.3, 0.5, 0.8], 2, n0=30, n=4000, alpha=0.05),
        EProcess.for_noise(NOISE, [0.3, 0.5, 0.8], 2, n0=30, alpha=0.05, most=4000),
        AdaptiveSample.for_noise(NOISE, 60, 4000, 0.05, 0.9, 2),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_whole_certifications_are_false_with_probability_at_most_alpha(
    rule: GroupSequential | EProcess | AdaptiveSample,
) -> None:
    """From selection to decision; the radius lies just below the second of three targets."""
    generator, trials = np.random.default_rng(17), 400
    truth = math.nextafter(GroupSequential.for_noise(NOISE, [0.5], 2, n=4000).p0s[0], 0.0)
    radius = NOISE.radius(truth, 2)
    false = 0
    for _ in range(trials):
        selection, estimation = sampled(rule, [truth, 1.0 - truth], generator)
        false += rule.decide(selection, estimation, NOISE).radii["2"] > radius
    assert not too_many(false, 0.05, trials)
