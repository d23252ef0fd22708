"""Sequential decisions: targets, nesting, and what a recorded input decides again."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from runtime import Certificate, SmoothedClassifier
from runtime.certificate import radii_of
from runtime.noise import Noise
from runtime.rules import procedure_for
from runtime.sampling import Votes
from runtime.sequential import GroupSequential
from runtime.targets import check_targets, shown, threshold, thresholds
from tests.runtime.votes import sampled

NOISE = Noise("gaussian", 64, sigma=0.5)
RULE = GroupSequential.for_noise(NOISE, [0.5, 1.0], 2, n=20_000)


@pytest.mark.parametrize(
    ("noise", "adversary", "target"),
    [
        (NOISE, 2, 0.5),
        (NOISE, 1, 1.3),
        (Noise("laplace", 3072, sigma=0.5), 1, 0.25),
        (Noise("uniform", 64, sigma=0.5), 1, 0.5),
        (Noise("exp_linf", 100, sigma=0.25, k=2), 1, 0.1),
    ],
    ids=repr,
)
def test_the_threshold_is_the_least_double_that_certifies_the_target(
    noise: Noise, adversary: int, target: float
) -> None:
    p0 = threshold(noise, target, adversary)
    assert noise.radius(p0, adversary) >= target
    assert noise.radius(math.nextafter(p0, 0.0), adversary) < target


def test_targets_out_of_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="no probability below 1 certifies radius 50"):
        threshold(Noise("uniform", 64, sigma=0.5), 50.0, 1)
    with pytest.raises(ValueError, match="target radius 2: with n = 1000"):
        GroupSequential.for_noise(NOISE, [0.5, 2.0], 2, n=1000)
    for targets in ([], [0.5, 0.5], [-1.0], [math.inf]):
        with pytest.raises(ValueError, match="target radi"):
            check_targets(targets)
    with pytest.raises(ValueError, match="adversary must be 1, 2 or inf"):
        threshold(NOISE, 0.5, 4)


def test_a_radius_is_shown_only_with_all_smaller_ones() -> None:
    assert shown([True, True]) == (2, False)
    assert shown([True, None]) == (1, True)
    assert shown([True, False]) == shown([True, False, True]) == (1, False)
    assert shown([None, True]) == (0, True)
    assert shown([False, None]) == (0, False)


@pytest.mark.parametrize(("rho", "target"), [(0.42, 0.0), (0.7, 0.0), (0.92, 0.5), (0.995, 1.0), (1.0, 1.0)])
def test_the_certificate_is_the_largest_target_below_the_radius(rho: float, target: float) -> None:
    generator = np.random.default_rng(1)
    selection, estimation = sampled(RULE, [1.0 - rho, rho] if rho > 0.5 else [rho, 0.3], generator)
    found = RULE.decide(selection, estimation, NOISE)
    if target == 0.0:
        assert found.prediction == -1 and found.p_lower == 0.0 and found.radii["2"] == 0.0
    else:
        assert found.prediction == 1 and found.p_lower == threshold(NOISE, target, 2)
        assert target <= found.radii["2"] < target * (1 + 1e-12)
        assert dict(found.radii) == radii_of(NOISE, found.p_lower)
    assert sum(part.n for part in estimation) < 20_000 / 5


def test_ranges_may_be_split_anywhere_but_not_run_past_a_look() -> None:
    selection, estimation = sampled(RULE, [0.08, 0.92], np.random.default_rng(2))
    halves = []
    for part in estimation:
        first = Votes(tuple(count // 2 for count in part.counts), 0)
        rest = tuple(a - b for a, b in zip(part.counts, first.counts, strict=True))
        halves += [first, Votes(rest, part.failed)]
    assert RULE.decide(selection, halves, NOISE) == RULE.decide(selection, estimation, NOISE)
    assert RULE.next_total(selection, halves[:1]) == 64
    with pytest.raises(ValueError, match="64 votes were wanted"):
        RULE.next_total(selection, [Votes((0, 128), 0)])
    with pytest.raises(ValueError, match="a decision needs"):
        RULE.decide(selection, estimation[:-1], NOISE)
    with pytest.raises(ValueError, match="a decision needs"):
        RULE.decide(selection, [*estimation, Votes((0, 64), 0)], NOISE)


def test_a_yes_stands_though_later_votes_fall_below_its_boundary() -> None:
    """The smaller radius is shown at an early look; votes for the larger one go on, and go badly."""
    selection = Votes((0, 100), 0)
    estimation: list[Votes] = []
    while (total := RULE.next_total(selection, estimation)) is not None:
        have = sum(part.n for part in estimation)
        good = have < 256
        estimation.append(Votes((0, total - have) if good else (total - have, 0), 0))
    found = RULE.decide(selection, estimation, NOISE)
    assert found.prediction == 1 and found.p_lower == thresholds(NOISE, [0.5], 2)[0]
    assert "1 not shown" in found.statement


def test_failed_votes_count_against_the_radius() -> None:
    selection, estimation = sampled(RULE, [0.0, 0.6], np.random.default_rng(4))
    assert sum(part.failed for part in estimation) > 0
    assert RULE.decide(selection, estimation, NOISE).prediction == -1


def test_thresholds_of_another_noise_are_refused() -> None:
    selection, estimation = sampled(RULE, [0.0, 1.0], np.random.default_rng(5))
    with pytest.raises(ValueError, match="belong to another noise"):
        RULE.decide(selection, estimation, Noise("gaussian", 64, sigma=0.25))


def test_a_classifier_is_certified_by_any_procedure() -> None:
    """A classifier far from its boundary needs few votes, and the votes are those of the fixed sample."""
    linear = torch.nn.Linear(64, 2, bias=False)
    model = torch.nn.Sequential(torch.nn.Flatten(), linear)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0] * 64, [-1.0] * 64]))
    smoothed = SmoothedClassifier(model, NOISE, num_classes=2)
    x = torch.full((1, 8, 8), 0.1)  # 0.8 from the boundary: ρ = Φ(1.6)
    found = smoothed.certify(x, adversary=2, procedure=RULE)
    whole = smoothed.certify(x, adversary=2, n=20_000)
    assert isinstance(found, Certificate) and isinstance(whole, Certificate)
    assert found.n < 5000 and 0.5 <= found.radius < 0.5 + 1e-12 < whole.radius <= 0.8
    fewer = smoothed.certify(x, adversary=2, n=found.n)
    assert isinstance(fewer, Certificate) and fewer.counts == found.counts
    two = smoothed.certify(x, adversary=2, procedure=procedure_for(NOISE, n=500, two_class=True))
    assert isinstance(two, Certificate) and two.n == 500
