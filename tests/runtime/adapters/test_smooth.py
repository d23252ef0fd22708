from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from scipy.stats import norm

from runtime import Noise, SmoothedClassifier
from runtime.adapters import Smooth
from runtime.confidence import lower_bound

Model = torch.nn.Module


def test_the_signature_is_the_known_one() -> None:
    assert list(inspect.signature(Smooth).parameters)[:3] == ["base_classifier", "num_classes", "sigma"]
    certify = inspect.signature(Smooth.certify).parameters
    assert list(certify)[:6] == ["self", "x", "n0", "n", "alpha", "batch_size"]
    assert list(inspect.signature(Smooth.predict).parameters)[:5] == ["self", "x", "n", "alpha", "batch_size"]
    assert Smooth.ABSTAIN == -1


def test_the_gaussian_l2_radius_is_the_known_formula(model: Model, image: torch.Tensor) -> None:
    smooth = Smooth(model, 10, 0.1)
    prediction, radius = smooth.certify(image, 100, 1000, 0.001, 256)
    assert smooth.last is not None and prediction >= 0
    p_lower = lower_bound(smooth.last.counts[prediction], 1000, 0.001)
    assert radius <= 0.1 * norm.ppf(p_lower)
    assert radius == pytest.approx(0.1 * norm.ppf(p_lower), rel=1e-6)


@pytest.mark.parametrize(("family", "adversary", "params"), [("laplace", 1, {}), ("exp_linf", 1, {"k": 2.0})])
def test_any_noise_gives_the_certificate_of_the_smoothed_classifier(
    model: Model, image: torch.Tensor, family: str, adversary: int, params: dict[str, Any]
) -> None:
    smooth = Smooth(model, 10, 0.1, family=family, adversary=adversary, seed=3, **params)
    smoothed = SmoothedClassifier(model, Noise(family, 64, sigma=0.1, **params), 10)
    for index in range(2):
        certificate = smoothed.certify(image, 100, 1000, 0.001, 256, 3, adversary, first_index=index)
        assert smooth.certify(image, 100, 1000, 0.001, 256) == (certificate.prediction, certificate.radius)  # type: ignore[union-attr]
        assert smooth.last == certificate


def test_calls_draw_fresh_noise_and_repeat_from_the_start(model: Model, image: torch.Tensor) -> None:
    def counts(smooth: Smooth) -> list[tuple[int, ...]]:
        found = []
        for _ in range(2):
            smooth.certify(image, 10, 500, 0.01, 64)
            assert smooth.last is not None
            found.append(smooth.last.counts)
        return found

    first, second = counts(Smooth(model, 10, 0.5)), counts(Smooth(model, 10, 0.5))
    assert first == second and first[0] != first[1]
    smooth = Smooth(model, 10, 0.5)
    smooth.certify(image, 10, 500, 0.01, 64, index=1)
    assert smooth.last is not None and smooth.last.counts == first[1]


def test_abstention_is_minus_one_with_radius_zero(image: torch.Tensor) -> None:
    def even(x: torch.Tensor) -> torch.Tensor:
        """Two classes that the noise makes equally likely."""
        side = (x - image).flatten(1).sum(1)
        return torch.stack([side, -side], dim=1)

    smooth = Smooth(even, 2, 0.5)
    assert smooth.certify(image, 50, 500, 0.001, 128) == (Smooth.ABSTAIN, 0.0)
    assert smooth.predict(image, 500, 0.001, 128) == Smooth.ABSTAIN
    assert smooth.predict(image - 1.0, 500, 0.001, 128) == 1


def test_grid_noise_certifies_inputs_on_the_grid_alone(model: Model, image: torch.Tensor) -> None:
    smooth = Smooth(model, 10, 0.1, grid=255)
    on_grid = torch.round(image * 255) / 255
    prediction, radius = smooth.certify(on_grid, 100, 1000, 0.001, 256)
    assert prediction >= 0 and 0.0 < radius < math.inf
    with pytest.raises(ValueError, match="off the grid"):
        smooth.certify(image, 100, 1000, 0.001, 256)


def test_inputs_of_another_size_get_noise_of_that_size(image: torch.Tensor) -> None:
    def brightness(x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(1)
        return torch.stack([mean, torch.full_like(mean, -5.0)], dim=1)

    smooth = Smooth(brightness, 2, 0.25)
    for x in (image, torch.rand(3, 4, 4)):
        assert smooth.certify(x, 10, 100, 0.01, 64)[0] == 0


def test_bad_arguments_are_refused(model: Model, image: torch.Tensor) -> None:
    for keywords, message in (
        ({"sigma": -1.0}, "sigma"),
        ({"num_classes": 1}, "num_classes"),
        ({"base_classifier": "net"}, "model must map"),
        ({"family": "unheard"}, "unheard"),
        ({"adversary": 3}, "adversary must be"),
        ({"seed": -1}, "seed"),
        ({"grid": 0}, "grid"),
    ):
        given = {"base_classifier": model, "num_classes": 10, "sigma": 0.5, **keywords}
        with pytest.raises(ValueError, match=message):
            Smooth(**given)  # type: ignore[arg-type]
    smooth = Smooth(model, 10, 0.5)
    with pytest.raises(ValueError, match="one input"):
        smooth.certify(image[None], 100, 1000, 0.001, 64)
    with pytest.raises(ValueError, match="every input abstains"):
        smooth.certify(image, 100, 9, 0.001, 64)
    with pytest.raises(ValueError, match="index"):
        smooth.predict(image, 100, 0.001, 64, index=-1)
