"""What votes buy: exact bounds, forecasts by simulation, and the published logs."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from runtime.confidence import lower_bound
from runtime.design import course
from runtime.eprocess import EProcess
from runtime.forecast import forecast, text_of, votes_per_second
from runtime.noise import Noise
from runtime.plan import grouped, largest, outlook, rates_of, smallest_n
from runtime.procedure import FixedSample
from runtime.sampling import Votes
from runtime.sequential import GroupSequential
from tests.benchmarks.sequential_samples import SETTINGS, figures, published

NOISE = Noise("gaussian", 64, sigma=0.5)
LOGS = Path(__file__).resolve().parents[3] / "shared" / "peers" / "cohen2019"


def test_the_largest_radius_is_that_of_unanimous_votes() -> None:
    p_lower, radii = largest(NOISE, 100_000, 0.001)
    assert p_lower == lower_bound(100_000, 100_000, 0.001) <= 0.001 ** (1 / 100_000)
    assert radii["2"] == NOISE.radius(p_lower, 2) == pytest.approx(3.811 * 0.5, abs=1e-3)


@pytest.mark.parametrize(("p0", "rho"), [(0.84, 1.0), (0.84, 0.9), (0.977, 0.99), (0.6, 0.61)])
def test_the_smallest_sample_is_the_smallest(p0: float, rho: float) -> None:
    n = smallest_n(p0, 0.001, rho)
    assert n is not None
    assert (
        lower_bound(math.floor(rho * n), n, 0.001)
        >= p0
        > lower_bound(math.floor(rho * (n - 1)), n - 1, 0.001)
    )
    assert smallest_n(p0, 0.001, p0) is None and smallest_n(p0, 0.001, 0.3) is None


def test_a_forecast_is_what_the_exact_course_says() -> None:
    rule = GroupSequential.for_noise(NOISE, [0.5], 2, n=10_000)
    for rho in (0.42, 0.9, 0.99):
        power, mean = course(rule.tests()[0], rho)
        seen = outlook(rule, NOISE, rho, runs=150)
        assert seen.votes - 100 == pytest.approx(mean, rel=0.25)
        assert seen.certified == pytest.approx(power, abs=0.05)
    assert outlook(FixedSample(100, 1000, 0.001), NOISE, 0.95, runs=5).votes == 1100


def test_rates_behind_radii_give_the_radii_back() -> None:
    noise = Noise("gaussian", 3072, sigma=0.25)
    counts = [60_000, 99_000, 99_999]
    radii = [noise.radius(lower_bound(count, 100_000, 0.001), 2) for count in counts]
    assert rates_of(noise, [None, *radii, 0.0], 2, 100_000, 0.001) == [0.42, 0.6, 0.99, 0.99999, 0.42]


def test_rates_are_grouped_to_the_same_mean() -> None:
    rates = np.random.default_rng(1).random(1000).tolist()
    pairs = grouped(rates, 25)
    assert len(pairs) == 25 and sum(share for _, share in pairs) == pytest.approx(1.0)
    assert sum(rate * share for rate, share in pairs) == pytest.approx(float(np.mean(rates)))
    assert grouped([0.5, 0.5, 0.9]) == [(0.5, pytest.approx(2 / 3)), (0.9, pytest.approx(1 / 3))]


def test_a_plan_has_times_for_a_speed_and_survives_json() -> None:
    rule = GroupSequential.for_noise(NOISE, [0.5, 1.0], 2, n=5000)
    plan = forecast("trial", NOISE, rule, 200, [0.42, 0.99, 0.999], speed=1000.0, runs=5)
    assert json.loads(json.dumps(plan)) == plan
    assert (
        plan["seconds"] == pytest.approx(plan["votes"] * 200 / 1000.0)
        and plan["seconds"] < plan["most_seconds"]
    )
    assert plan["largest"]["n"] == 5000 and [t["radius"] for t in plan["targets"]] == [0.5, 1.0]
    assert "expected:" in text_of(plan) and "fixed n for 0.5: none" in text_of(plan)
    open_ended = forecast("open", NOISE, EProcess.for_noise(NOISE, [0.5], 2), 10, runs=2)
    assert open_ended["largest"] is open_ended["votes"] is open_ended["most_votes"] is None
    assert "no maximum" in text_of(open_ended)


def test_speed_is_that_of_what_is_timed() -> None:
    asked: list[tuple[int, int]] = []

    def count(start: int, stop: int) -> Votes:
        asked.append((start, stop))
        time.sleep(0.01)
        return Votes((stop - start, 0), 0)

    assert 1000.0 < votes_per_second(count, 130, span=0.1) < 12_800.0
    assert asked[:3] == [(0, 128), (128, 256), (256, 384)]


@pytest.mark.parametrize(("name", "dim", "target"), SETTINGS)
def test_published_rates_need_a_thirteenth_of_the_votes(name: str, dim: int, target: float) -> None:
    if not LOGS.is_dir():
        pytest.skip(f"the published logs of Cohen et al. 2019 are not at {LOGS}")
    noise = Noise("gaussian", dim, sigma=0.5)
    found = figures(*published(LOGS, name, noise), noise, target)
    assert found.saving >= 13.0
    assert found.over_wald <= 1.5
    assert abs(found.accuracy - found.fixed_accuracy) <= 0.005
    assert found.seconds < 1.0
