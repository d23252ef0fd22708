"""A pilot fixes the sample: near the full radius, few votes where nothing can be certified."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.adaptive import AdaptiveSample
from runtime.certificate import radii_of
from runtime.confidence import lower_bound
from runtime.noise import Noise
from runtime.sampling import Votes
from tests.runtime.votes import drawn, sampled

NOISE = Noise("gaussian", 64, sigma=0.5)
RULE = AdaptiveSample.for_noise(NOISE, 500, 100_000, 0.001, 0.9, 2)


@pytest.mark.parametrize("rho", [0.7, 0.9, 0.97, 0.995, 1.0])
def test_the_radius_is_near_that_of_the_full_sample(rho: float) -> None:
    generator = np.random.default_rng(7)
    used, radii = 0, []
    for _ in range(20):
        selection, estimation = sampled(RULE, [1.0 - rho, rho], generator)
        found = RULE.decide(selection, estimation, NOISE)
        used += sum(part.n for part in estimation)
        radii.append(found.radii["2"])
    full = radii_of(NOISE, lower_bound(round(rho * 100_000), 100_000, 0.001))["2"]
    assert np.mean(radii) >= 0.99 * 0.9 * full
    assert used / 20 < 30_000


def test_what_will_abstain_is_given_up() -> None:
    generator = np.random.default_rng(8)
    for probabilities in ([0.42, 0.3, 0.28], [0.3, 0.3, 0.3]):
        selection, estimation = sampled(RULE, probabilities, generator)
        found = RULE.decide(selection, estimation, NOISE)
        assert found.prediction == -1 and max(found.radii.values()) == 0.0
        assert sum(part.n for part in estimation) <= 640


def test_the_bound_is_taken_over_the_estimation_votes_alone() -> None:
    selection = Votes((50, 450), 0)
    size = RULE.samples[450]
    total = 0
    estimation: list[Votes] = []
    generator = np.random.default_rng(9)
    while (wanted := RULE.next_total(selection, estimation)) is not None:
        estimation.append(drawn(wanted - total, [0.2, 0.8], generator))
        total = wanted
    assert total == size
    count = sum(part.counts[1] for part in estimation)
    assert RULE.decide(selection, estimation, NOISE).p_lower == lower_bound(count, size, 0.001)
    with pytest.raises(ValueError, match="a decision needs"):
        RULE.decide(selection, estimation[:-1], NOISE)
    with pytest.raises(ValueError, match="a pilot of 500 votes is required, got 100"):
        RULE.next_total(Votes((50, 50), 0), [])


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="fraction must lie in"):
        AdaptiveSample.for_noise(NOISE, fraction=1.0)
    with pytest.raises(ValueError, match="sample in .1, 1000. for each of 11 pilot counts"):
        AdaptiveSample(10, 1000, 0.001, 0.9, "2", (64,))
