from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from runtime.report.envelope import Envelope, default_radii, envelopes
from tests.runtime.report.conftest import certified_run


def test_certified_accuracy_counts_correct_inputs_with_at_least_the_radius() -> None:
    run = certified_run([0.5, 0.49999999999999994, 1.0], wrong=1, abstained=1)
    assert run.certified(0.0) == Fraction(3, 5)
    assert run.certified(0.5) == Fraction(2, 5)
    assert run.certified(1.0) == Fraction(1, 5)
    assert run.certified(1.0000000000000002) == 0
    assert run.abstained == 1
    assert run.average_certified_radius == pytest.approx(2.0 / 5)


def test_envelope_is_the_best_run_at_every_radius() -> None:
    near = certified_run([0.2, 0.3, 0.4, 0.4], name="noise-0.25", sigma=0.25)
    far = certified_run([0.4, 2.0], name="noise-1", sigma=1.0, abstained=2)
    (envelope,) = envelopes([far, near], "1")
    assert [run.sigma for run in envelope.runs] == [0.25, 1.0]
    assert envelope.best(0.0) == (Fraction(1), near)
    assert envelope.best(0.4) == (Fraction(1, 2), near)
    assert envelope.best(1.0) == (Fraction(1, 4), far)
    radii, accuracy = envelope.curve()
    assert radii.tolist() == [0.0, 0.2, 0.3, 0.4, 2.0]
    assert accuracy.tolist() == [1.0, 1.0, 0.75, 0.5, 0.25]


def test_curve_agrees_with_counting_between_its_points() -> None:
    radii = np.random.default_rng(1).gamma(2.0, size=40)
    runs = tuple(certified_run(list(radii[i::2]), name=f"noise-{i + 1}", sigma=i + 1.0) for i in range(2))
    envelope = Envelope("noise", runs)
    points, accuracy = envelope.curve()
    for probe in np.random.default_rng(2).uniform(0.0, points[-1], 200):
        counted = max(np.mean(radii[i::2] >= probe) for i in range(2))
        assert accuracy[np.searchsorted(points, probe)] == pytest.approx(counted)


def test_noises_and_norms_stay_apart() -> None:
    runs = [
        certified_run([1.0], noise="b"),
        certified_run([1.0], noise="a"),
        certified_run([1.0], adversary="2"),
    ]
    assert [envelope.noise for envelope in envelopes(runs, "1")] == ["b", "a"]
    assert envelopes(runs, "inf") == ()


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (4.1, (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)),
        (1.3, (0.25, 0.5, 0.75, 1.0, 1.25)),
        (0.98, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
        (0.075, (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)),
        (33.0, (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)),
        (0.0, (0.5,)),
        (float("inf"), (0.5,)),
    ],
)
def test_default_radii_are_round_and_reach_the_largest(largest: float, expected: tuple[float, ...]) -> None:
    assert default_radii([certified_run([largest])], "1") == pytest.approx(expected)


@pytest.mark.parametrize("largest", [1e-9, 3.3e-4, 0.012, 7.0, 123.0, 1e5, 1e9])
def test_default_radii_of_any_magnitude_are_few(largest: float) -> None:
    radii = default_radii([certified_run([largest])], "1")
    assert 1 <= len(radii) <= 10
    assert all(a < b for a, b in zip(radii, radii[1:], strict=False))
