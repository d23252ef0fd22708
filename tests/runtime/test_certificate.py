"""From votes to prediction, bound and radii."""

from __future__ import annotations

import pytest

from runtime.certificate import Certificate, check_budget, decide, radii_of, selected_class
from runtime.confidence import lower_bound
from runtime.noise import Noise
from runtime.results import ABSTAIN
from runtime.sampling import Votes


def test_the_class_comes_from_selection_and_the_bound_from_estimation() -> None:
    selection, estimation = Votes((10, 90), 0), Votes((150, 850), 0)
    assert decide(selection, estimation, 0.001) == (1, lower_bound(850, 1000, 0.001))


def test_the_bound_is_that_of_the_selected_class_even_if_another_one_has_more_votes() -> None:
    prediction, p_lower = decide(Votes((90, 10), 0), Votes((150, 850), 0), 0.001)
    assert prediction == ABSTAIN and p_lower == lower_bound(150, 1000, 0.001) < 0.5


def test_failed_votes_count_towards_n() -> None:
    whole, failing = (decide(Votes((0, 9), 0), Votes((0, 900), f), 0.001)[1] for f in (0, 100))
    assert failing == lower_bound(900, 1000, 0.001) < whole


def test_ties_go_to_the_lowest_class() -> None:
    assert selected_class(Votes((1, 5, 5), 0)) == 1
    assert selected_class(Votes((0, 0, 0), 9)) == 0


def test_radii_are_zero_up_to_one_half_and_finite_for_unanimous_votes() -> None:
    for family in ("uniform", "gaussian", "laplace", "exp_linf"):
        noise = Noise(family, 64, sigma=0.5)
        assert set(radii_of(noise, 0.5).values()) == {0.0}
        largest = radii_of(noise, lower_bound(300_000_000, 300_000_000, 0.001))
        assert all(0.0 < radius < 1e3 for radius in largest.values())


@pytest.mark.parametrize(
    ("n0", "n", "alpha", "message"),
    [
        (0, 100, 0.001, "n0"),
        (True, 100, 0.001, "n0"),
        (100, 0, 0.001, "n must"),
        (100, 9, 0.001, "smallest useful n is 10"),
        (100, 100, 0.0, "alpha"),
        (100, 100, float("nan"), "alpha"),
    ],
)
def test_useless_budgets_are_refused(n0: int, n: int, alpha: float, message: str) -> None:
    check_budget(1, 10, 0.001)
    with pytest.raises(ValueError, match=message):
        check_budget(n0, n, alpha)


def test_a_certificate_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="contradicts"):
        Certificate(1, 0.5, {"1": 0.5}, 0.4, (0, 10), 10, 0)
    with pytest.raises(ValueError, match="add up"):
        Certificate(1, 0.5, {"1": 0.5}, 0.9, (0, 10), 11, 0)
