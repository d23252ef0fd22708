"""Noise: validation, and that it hands numbers to the generated family unchanged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from generated import registry
from runtime.noise import Noise, adversary_name

FAMILIES = ("uniform", "gaussian", "laplace", "exp_linf")


@pytest.mark.parametrize("family", FAMILIES)
def test_sigma_and_scale_are_two_views_of_one_noise(family: str) -> None:
    noise = Noise(family, 64, sigma=0.5)
    assert noise.sigma == 0.5
    assert 0.5 * (1.0 - 1.2e-7) <= Noise(family, 64, scale=noise.scale).sigma <= 0.5 * (1.0 + 1e-12)
    assert float(np.float32(noise.scale)) == noise.scale


@pytest.mark.parametrize("family", FAMILIES)
def test_radius_is_the_generated_one_for_every_kind_of_rho(family: str) -> None:
    noise = Noise(family, 64, sigma=0.5)
    module = registry.load(family)
    rho = np.array([0.0, 0.5, 0.6, 0.99])
    for adversary in noise.adversaries:
        expected = module.radius(rho, adversary=adversary, dim=64, scale=noise.scale, **module.PARAMETERS)
        found = noise.radius(rho, adversary)
        assert np.array_equal(found, expected)
        tensor = noise.radius(torch.from_numpy(rho).reshape(2, 2), adversary)
        assert tensor.dtype == torch.float64 and tensor.shape == (2, 2)
        assert np.array_equal(tensor.numpy().ravel(), expected)
        assert noise.radius(0.99, adversary) == expected[3]
        assert expected[0] == expected[1] == 0.0 < expected[2] < expected[3]


def test_radius_is_differentiable() -> None:
    rho = torch.tensor([0.7, 0.9], dtype=torch.float64, requires_grad=True)
    Noise("uniform", 64, scale=1.0).radius(rho, 1).sum().backward()
    assert rho.grad is not None
    assert rho.grad.tolist() == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_have_the_right_shape_spread_and_identity(family: str) -> None:
    noise = Noise(family, 64, sigma=0.5)
    first, second = (noise.sample((4000, 1, 8, 8), torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (4000, 1, 8, 8) and first.dtype == torch.float32
    assert torch.equal(first, second)
    assert float(first.std()) == pytest.approx(0.5, rel=0.02)


def test_a_noise_comes_back_from_its_description() -> None:
    noise = Noise("exp_linf", 64, sigma=0.3, k=2)
    again = Noise.from_spec(noise.spec)
    assert (again.sigma, again.scale, again.params) == (noise.sigma, noise.scale, noise.params)
    assert again.radius(0.9) == noise.radius(0.9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "nonsense", "dim": 4, "sigma": 1.0}, "uniform"),
        ({"family": "uniform", "dim": 0, "sigma": 1.0}, "dim"),
        ({"family": "uniform", "dim": 2.5, "sigma": 1.0}, "dim"),
        ({"family": "uniform", "dim": 4}, "neither"),
        ({"family": "uniform", "dim": 4, "sigma": 1.0, "scale": 1.0}, "both"),
        ({"family": "uniform", "dim": 4, "sigma": 0.0}, "sigma"),
        ({"family": "uniform", "dim": 4, "scale": -1.0}, "scale"),
        ({"family": "uniform", "dim": 4, "sigma": math.nan}, "sigma"),
        ({"family": "uniform", "dim": 4, "sigma": math.inf}, "sigma"),
        ({"family": "uniform", "dim": 4, "sigma": True}, "sigma"),
        ({"family": "uniform", "dim": 4, "sigma": 1.0, "k": 2.0}, "no parameter 'k'"),
        ({"family": "exp_linf", "dim": 4, "sigma": 1.0, "k": -1.0}, "k"),
        ({"family": "exp_linf", "dim": 4, "sigma": 1.0, "k": math.nan}, "k"),
    ],
)
def test_bad_noises_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Noise(**arguments)


@pytest.mark.parametrize("rho", [math.nan, -0.1, 1.1])
def test_bad_probabilities_are_refused(rho: float) -> None:
    noise = Noise("uniform", 4, sigma=1.0)
    with pytest.raises(ValueError):
        noise.radius(rho)
    with pytest.raises(ValueError):
        noise.radius(torch.tensor([0.9, rho], dtype=torch.float64))


def test_float32_probabilities_are_refused() -> None:
    with pytest.raises(ValueError):
        Noise("uniform", 4, sigma=1.0).radius(torch.tensor([0.9]))


@pytest.mark.parametrize("adversary", [3, "l1", math.nan, None])
def test_unknown_norms_are_refused(adversary: Any) -> None:
    with pytest.raises(ValueError, match="1, 2 or inf"):
        Noise("uniform", 4, sigma=1.0).radius(0.9, adversary)


def test_norm_names() -> None:
    assert [adversary_name(a) for a in (1, 2.0, math.inf, "inf", "1")] == ["1", "2", "inf", "inf", "1"]


def test_wrong_sample_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="64 coordinates"):
        Noise("uniform", 64, sigma=1.0).sample((5, 3, 8, 8), torch.Generator())


def test_noise_without_a_variance_has_a_scale_and_an_infinite_sigma() -> None:
    """Cauchy noise is built from its scale, samples, certifies, and comes back from its record; a sigma is refused."""
    noise = Noise("cauchy", dim=12, scale=0.5)
    assert math.isinf(noise.sigma) and noise.scale == 0.5
    draws = noise.sample((1000, 3, 2, 2), generator=torch.Generator().manual_seed(1))
    assert draws.shape == (1000, 3, 2, 2) and 0.45 < float(draws.abs().median()) < 0.55
    assert (
        2.07
        < float(noise.radius(torch.tensor([0.99], dtype=torch.float64), adversary=1))
        <= 4.1535052292592 / 2
    )
    with pytest.raises(ValueError, match="infinite variance"):
        Noise("cauchy", dim=12, sigma=0.5)
