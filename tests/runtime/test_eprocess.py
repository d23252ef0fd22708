"""The beta-mixture e-process: evidence rounded down, level at any time, and its answers."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.stats import binom

from runtime.eprocess import EProcess, log_evidence, next_look
from runtime.noise import Noise
from tests.runtime.votes import sampled

NOISE = Noise("gaussian", 64, sigma=0.5)


def precise(successes: int, n: int, p0: float, above: bool) -> mpmath.mpf:
    """The same logarithm at 60 digits."""
    with mpmath.workdps(60):
        p, s, f = mpmath.mpf(p0), successes, n - successes
        term, shares = (1 - p) ** (n + 1), [mpmath.mpf(0), mpmath.mpf(0)]
        for count in range(n + 2):  # the integral is a binomial tail: P(Bin(n + 1, p0) ≤ s) or the rest
            shares[count > s] += term
            term *= p / (1 - p) * (n + 1 - count) / (count + 1)
        integral = mpmath.beta(s + 1, f + 1) * shares[0 if above else 1]
        width = 1 - p if above else p
        return mpmath.log(integral / width) - s * mpmath.log(p) - f * mpmath.log(1 - p)


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize(
    ("successes", "n", "p0"),
    [
        (60, 64, 0.84),
        (20, 64, 0.84),
        (0, 64, 0.7),
        (64, 64, 0.9),
        (950, 1000, 0.93),
        (7100, 10_000, 0.69),
        (29_850, 30_000, 0.994),
    ],
)
def test_evidence_is_rounded_down_and_close(successes: int, n: int, p0: float, above: bool) -> None:
    exact = precise(successes, n, p0, above)
    assert exact - 1e-5 <= log_evidence(successes, n, p0, above) <= exact


def test_the_level_holds_at_any_time_by_enumeration() -> None:
    """The probability under p0 that the evidence ever reaches 1/alpha, looking after every vote."""
    p0, alpha, n = 0.7, 0.05, 400
    alive, crossed = {0: 1.0}, 0.0
    for total in range(1, n + 1):
        after: dict[int, float] = {}
        for count, mass in alive.items():
            after[count] = after.get(count, 0.0) + mass * (1.0 - p0)
            after[count + 1] = after.get(count + 1, 0.0) + mass * p0
        alive = {}
        for count, mass in after.items():
            if log_evidence(count, total, p0) >= -math.log(alpha):
                crossed += mass
            elif mass > 1e-12:
                alive[count] = mass
    assert 0.2 * alpha < crossed <= alpha


def test_evidence_has_mean_one_at_the_boundary() -> None:
    for n in (1, 30, 200):
        counts = np.arange(n + 1)
        evidence = np.exp([log_evidence(int(count), n, 0.8) for count in counts])
        assert 0.999 < float(evidence @ binom.pmf(counts, n, 0.8)) <= 1.0


@pytest.mark.parametrize(("rho", "target"), [(0.3, 0.0), (0.7, 0.0), (0.93, 0.5), (0.995, 1.0)])
def test_the_answer_is_the_largest_target_below_the_radius(rho: float, target: float) -> None:
    rule = EProcess.for_noise(NOISE, [0.5, 1.0], 2)
    probabilities = [1.0 - rho, rho] if rho > 0.5 else [rho, 0.25, 0.2]
    selection, estimation = sampled(rule, probabilities, np.random.default_rng(6))
    found = rule.decide(selection, estimation, NOISE)
    assert rule.maximum() is None
    assert (found.prediction == -1) == (target == 0.0)
    assert target <= found.radii["2"] <= target * (1 + 1e-12)
    with pytest.raises(ValueError, match="a decision needs"):
        rule.decide(selection, estimation[:-1], NOISE)


def test_a_cap_ends_an_input_on_the_boundary_with_no() -> None:
    rule = EProcess.for_noise(NOISE, [0.5], 2, most=2000)
    selection, estimation = sampled(rule, [1.0 - rule.p0s[0], rule.p0s[0]], np.random.default_rng(8))
    assert sum(part.n for part in estimation) <= 2000 == rule.maximum()
    assert rule.decide(selection, estimation, NOISE).prediction == -1


def test_looks_grow_by_a_sixteenth() -> None:
    assert [next_look(seen) for seen in (0, 64, 1024, 2048, 102_400)] == [64, 128, 1088, 2176, 108_800]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="200 unanimous votes do not show"):
        EProcess.for_noise(NOISE, [1.0], 2, most=200)
    with pytest.raises(ValueError, match="p0 in"):
        log_evidence(3, 5, 0.2)
    with pytest.raises(ValueError, match="each p0 must lie in"):
        EProcess(100, 0.001, (0.5,), "2", (0.3,))
