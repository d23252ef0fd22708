"""The smoothed classifier: certificates against an independent recount, abstention, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from runtime import ABSTAIN, Certificate, Noise, SmoothedClassifier
from runtime.confidence import lower_bound
from runtime.sampling import Votes

NOISE = Noise("uniform", 64, sigma=0.5)


def bright(x: torch.Tensor) -> torch.Tensor:
    """Class 1 where the mean brightness is above 0.1, else class 0."""
    score = 50.0 * (x.flatten(1).mean(dim=1) - 0.1)
    return torch.stack([-score, score, torch.full_like(score, -1e3)], dim=1)


def one(certificate: Certificate | list[Certificate]) -> Certificate:
    assert isinstance(certificate, Certificate)
    return certificate


def test_certificate_follows_from_its_counts() -> None:
    smoothed = SmoothedClassifier(bright, NOISE, 3)
    found = one(smoothed.certify(torch.full((1, 8, 8), 0.15), n=2000))
    assert found.prediction == 1 and found.n == sum(found.counts) == 2000 and found.failed == 0
    assert found.p_lower == lower_bound(found.counts[1], 2000, 0.001)
    assert set(found.radii) == set(NOISE.adversaries)
    for adversary in NOISE.adversaries:
        assert found.radii[adversary] == NOISE.radius(found.p_lower, adversary) > 0.0
    assert found.radius == found.radii["1"]


def test_the_votes_are_the_same_for_every_norm() -> None:
    smoothed = SmoothedClassifier(bright, NOISE, 3)
    x = torch.full((1, 8, 8), 0.15)
    l1, l2, linf = (one(smoothed.certify(x, n=500, adversary=a)) for a in (1, 2, math.inf))
    assert l1.counts == l2.counts == linf.counts
    assert l1.radii == l2.radii == linf.radii
    assert (l2.radius, linf.radius) == (l1.radii["2"], l1.radii["inf"])


def test_batch_gives_one_certificate_an_input_with_its_own_noise(model: torch.nn.Module) -> None:
    smoothed = SmoothedClassifier(model, NOISE, 10)
    batch = torch.rand((3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    certificates = smoothed.certify(batch, n=500, seed=4)
    assert isinstance(certificates, list) and len(certificates) == 3
    for index in range(3):
        assert certificates[index] == smoothed.certify(batch[index], n=500, seed=4, first_index=index)
    assert isinstance(smoothed.predict(batch), list)


@pytest.mark.parametrize("batch_size", [64, 100, 1024])
def test_certificates_do_not_depend_on_the_batch_size(
    batch_size: int, model: torch.nn.Module, image: torch.Tensor
) -> None:
    smoothed = SmoothedClassifier(model, NOISE, 10)
    assert smoothed.certify(image, n=1500, batch_size=batch_size) == smoothed.certify(image, n=1500)


def test_an_undecided_input_abstains() -> None:
    smoothed = SmoothedClassifier(bright, NOISE, 3)
    found = one(smoothed.certify(torch.full((1, 8, 8), 0.1), n=1000))
    assert found.prediction == ABSTAIN == -1
    assert found.p_lower <= 0.5 and found.radius == 0.0 and set(found.radii.values()) == {0.0}
    assert smoothed.predict(torch.full((1, 8, 8), 0.1)) == ABSTAIN


def test_selection_and_estimation_are_separate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class comes from the selection votes even where the estimation votes favour another one."""
    scripted = {"selection": Votes((90, 10, 0), 0), "estimation": Votes((0, 1000, 0), 0)}
    purposes: list[str] = []

    def scripted_votes(*_: Any, purpose: str, **__: Any) -> Votes:
        purposes.append(purpose)
        return scripted[purpose]

    monkeypatch.setattr("runtime.smooth.count_votes", scripted_votes)
    found = one(SmoothedClassifier(bright, NOISE, 3).certify(torch.zeros(1, 8, 8), n=1000))
    assert purposes == ["selection", "estimation"]
    assert found.prediction == ABSTAIN and found.p_lower == 0.0


def test_failed_votes_weigh_against_the_class() -> None:
    def fragile(x: torch.Tensor) -> torch.Tensor:
        logits = bright(x)
        logits[x.flatten(1)[:, 0] > 0.0] = math.nan
        return logits

    smoothed = SmoothedClassifier(fragile, NOISE, 3)
    x = torch.full((1, 8, 8), 0.5)
    x[0, 0, 0] = -0.5
    found = one(smoothed.certify(x, n=1000))
    assert found.failed > 100 and sum(found.counts) + found.failed == 1000
    assert found.p_lower == lower_bound(found.counts[1], 1000, 0.001) < 0.9
    x[0, 0, 0] = 0.8
    assert one(smoothed.certify(x, n=1000)).prediction == ABSTAIN
    assert smoothed.predict(x) == ABSTAIN


def test_predict_names_the_clear_winner() -> None:
    smoothed = SmoothedClassifier(bright, NOISE, 3)
    assert smoothed.predict(torch.full((1, 8, 8), 0.9)) == 1
    assert smoothed.predict(torch.full((2, 1, 8, 8), -0.5)) == [0, 0]


def test_certified_probability_covers_the_true_one() -> None:
    """200 certificates at alpha = 0.2 of a class whose probability is known: at most 20 % + 4 sd too high."""
    noise = Noise("uniform", 1, scale=1.0)
    smoothed = SmoothedClassifier(lambda x: torch.stack([x.flatten() * 0, x.flatten() + 0.5], 1), noise, 2)
    batch = torch.zeros(200, 1, 1, 1)
    certificates = smoothed.certify(batch, n0=50, n=200, alpha=0.2)
    assert isinstance(certificates, list)
    failures = sum(certificate.p_lower > 0.75 for certificate in certificates)
    assert 10 <= failures <= 200 * 0.2 + 4 * math.sqrt(200 * 0.2 * 0.8)


def test_predict_needs_enough_votes() -> None:
    with pytest.raises(ValueError, match="smallest useful n is 11"):
        SmoothedClassifier(bright, NOISE, 3).predict(torch.zeros(1, 8, 8), n=10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.certify(torch.zeros(1, 8, 8), n=9), "smallest useful n is 10"),
        (lambda s: s.certify(torch.zeros(1, 8, 8), n0=0), "n0"),
        (lambda s: s.certify(torch.zeros(1, 8, 8), alpha=0.0), "alpha"),
        (lambda s: s.certify(torch.zeros(8, 8)), "C, H, W"),
        (lambda s: s.certify(torch.full((1, 8, 8), 200.0)), "255"),
        (lambda s: s.certify(torch.zeros(1, 9, 9)), "dim = 64"),
        (lambda s: s.certify(torch.zeros(1, 8, 8), adversary=3), "1, 2 or inf"),
        (lambda s: s.certify(torch.zeros(1, 8, 8), seed=-1), "seed"),
        (lambda s: s.certify(torch.zeros(1, 8, 8), first_index=-1), "first_index"),
        (lambda s: SmoothedClassifier(bright, NOISE, 4).certify(torch.zeros(1, 8, 8)), "num_classes"),
        (lambda s: SmoothedClassifier(bright, NOISE, 1), "num_classes"),
        (lambda s: type(s)(bright, NOISE, 3, grid=0), "grid"),
        (lambda s: type(s)(bright, NOISE, 3, grid=65536), "grid"),
        (
            lambda s: type(s)(bright, NOISE, 3, grid=16).certify(torch.full((1, 8, 8), 0.3)),
            "off the grid k/16",
        ),
        (lambda s: type(s)("model.pt", NOISE, 3), "model"),
        (lambda s: type(s)(bright, "uniform", 3), "noise"),
    ],
)
def test_bad_calls_are_refused(call: Callable[[Any], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(SmoothedClassifier(bright, NOISE, 3))


def test_nothing_is_sampled_where_every_input_abstains() -> None:
    def untouched(x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("sampled")

    with pytest.raises(ValueError, match="every input abstains"):
        SmoothedClassifier(untouched, NOISE, 3).certify(torch.zeros(1, 8, 8), n=5)
