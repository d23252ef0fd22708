"""Fixed samples: the protocol, two bounds at once, randomised bounds, and whole data sets."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from runtime.certificate import decide, radii_of
from runtime.confidence import lower_bound, randomised_lower_bound, upper_bound
from runtime.noise import Noise
from runtime.procedure import (
    FixedSample,
    Procedure,
    familywise_alpha,
    guarantee,
    runner_up_count,
    uniform_of,
)
from runtime.sampling import Votes

NOISE = Noise("gaussian", 64, sigma=0.5)


def test_a_fixed_sample_asks_once_and_decides_as_ever() -> None:
    rule = FixedSample(100, 1000, 0.001)
    selection, parts = Votes((10, 90), 0), [Votes((50, 462), 0), Votes((60, 428), 0)]
    assert isinstance(rule, Procedure)
    assert (rule.selection(), rule.maximum()) == (100, 1000)
    assert rule.next_total(selection, []) == rule.next_total(selection, parts[:1]) == 1000
    assert rule.next_total(selection, parts) is None
    found = rule.decide(selection, parts, NOISE)
    assert (found.prediction, found.p_lower) == decide(selection, Votes((110, 890), 0), 0.001)
    assert dict(found.radii) == radii_of(NOISE, found.p_lower) and found.p_upper is None


def test_a_decision_from_other_vote_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 1000 estimation votes, got 64"):
        FixedSample(100, 1000, 0.001).decide(Votes((1, 99), 0), [Votes((0, 64), 0)], NOISE)


def test_two_bounds_certify_below_one_half_and_are_taken_where_they_help() -> None:
    rule = FixedSample(100, 1000, 0.001, two_class=True)
    spread = rule.decide(Votes((45, 28, 27), 0), [Votes((450, 280, 268), 2)], NOISE)
    assert spread.p_lower == lower_bound(450, 1000, 0.0005) < 0.5
    assert spread.p_upper == upper_bound(282, 1000, 0.0005) < spread.p_lower
    assert spread.prediction == 0 and spread.radii["2"] > 0.0
    clear = rule.decide(Votes((99, 1, 0), 0), [Votes((990, 10, 0), 0)], NOISE)
    assert clear.p_upper is None and clear.p_lower == lower_bound(990, 1000, 0.001)


def test_whether_two_bounds_are_taken_depends_on_the_selection_votes_alone() -> None:
    rule = FixedSample(100, 1000, 0.001, two_class=True)
    for estimation in (Votes((990, 10, 0), 0), Votes((450, 280, 270), 0), Votes((0, 1000, 0), 0)):
        assert rule.decide(Votes((45, 28, 27), 0), [estimation], NOISE).p_upper is not None
        assert rule.decide(Votes((99, 1, 0), 0), [estimation], NOISE).p_upper is None


def test_failed_votes_count_for_every_other_class() -> None:
    assert runner_up_count(Votes((80, 5, 9), 6), 0) == 15
    assert runner_up_count(Votes((80, 5, 9), 6), 2) == 86


def test_the_largest_other_class_is_covered_without_a_share_for_each() -> None:
    """K equally likely other classes are the hardest case for a bound from the largest count."""
    generator, alpha, n, trials = np.random.default_rng(5), 0.05, 60, 4000
    probabilities = [0.4, *([0.6 / 6] * 6)]
    rows = generator.multinomial(n, probabilities, size=trials)
    below = sum(
        upper_bound(runner_up_count(Votes(tuple(row.tolist()), 0), 0), n, alpha) < 0.1 for row in rows
    )
    assert below <= alpha * trials


def test_a_randomised_bound_uses_the_number_of_the_input() -> None:
    rule = FixedSample(100, 1000, 0.001, interval="randomised")
    selection, votes = Votes((90, 10), 0), [Votes((900, 100), 0)]
    u = uniform_of(7, 3)
    assert rule.decide(selection, votes, NOISE, u).p_lower == randomised_lower_bound(900, 1000, 0.001, u)
    assert rule.decide(selection, votes, NOISE).p_lower == lower_bound(900, 1000, 0.001)


def test_uniform_numbers_are_uniform_and_belong_to_their_input() -> None:
    drawn = np.array([uniform_of(1, index) for index in range(4000)])
    assert uniform_of(1, 3) == drawn[3] != uniform_of(2, 3)
    assert (drawn >= 0.0).all() and (drawn < 1.0).all() and len(set(drawn)) == 4000
    counts = np.histogram(drawn, bins=20, range=(0.0, 1.0))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 50.0  # chi-squared with 19 degrees of freedom


def test_a_whole_set_shares_alpha() -> None:
    for inputs in (1, 3, 500, 10_000):
        share = familywise_alpha(0.001, inputs)
        assert inputs * Fraction(share) <= Fraction(0.001)
        assert share == pytest.approx(0.001 / inputs, rel=1e-12)
    assert "all 500 certificates" in guarantee(0.001, 500, True)
    assert "0.5 may be false on average" in guarantee(0.001, 500, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n0": 0}, "n0 must be an integer"),
        ({"n": 9}, "the smallest useful n is 10"),
        ({"n": 10, "two_class": True}, "the smallest useful n is 11"),
        ({"alpha": math.nan}, "alpha must lie in"),
        ({"interval": "wilson"}, "interval must be one of clopper-pearson, randomised, got 'wilson'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FixedSample(**{"n0": 100, "n": 1000, "alpha": 0.001, **arguments})  # type: ignore[arg-type]


def test_bad_shares_and_indices_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        familywise_alpha(0.001, 0)
    with pytest.raises(ValueError, match="index must be at least 0"):
        uniform_of(0, -1)
