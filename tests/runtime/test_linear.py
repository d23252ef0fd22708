"""A linear classifier, whose exact radius is known: certified radii never exceed it and come close."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtri

from runtime.noise import Noise
from runtime.sampling import count_votes
from runtime.smooth import SmoothedClassifier

DIM, RUNS = 4, 16


class Half(torch.nn.Module):
    """Class 1 where the first coordinate is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x.flatten(1)[:, 0].double() - self.threshold
        return torch.stack([-first, first], dim=1)


def margin(family: str, scale: float, rho: float) -> float:
    """Distance to the boundary at which the class has probability rho: the exact radius against its norm."""
    if family == "gaussian":
        return scale * float(ndtri(rho))
    if family == "laplace":
        return -scale * math.log(2.0 * (1.0 - rho))
    return scale * (2.0 * rho - 1.0)


@pytest.mark.parametrize(("family", "norm"), [("gaussian", "2"), ("laplace", "1"), ("uniform", "1")])
def test_certified_radii_reach_98_percent_of_the_exact_one_and_never_pass_it(family: str, norm: str) -> None:
    noise = Noise(family, DIM, sigma=0.5)
    exact = margin(family, noise.scale, 0.9)
    x = torch.full((1, 2, 2), 0.5)
    smoothed = SmoothedClassifier(Half(0.5 - exact), noise, num_classes=2)
    radii = []
    for seed in range(RUNS):
        found = smoothed.certify(
            x, n0=100, n=100_000, alpha=0.001, batch_size=16_384, seed=seed, adversary=norm
        )
        assert not isinstance(found, list) and found.prediction == 1
        assert 0.9 * exact < found.radius <= exact
        radii.append(found.radius)
    assert np.mean(radii) >= 0.98 * exact
    assert len(set(radii)) > RUNS // 2, "every seed must count votes of its own"


def test_votes_of_a_linear_classifier_have_its_probability() -> None:
    noise = Noise("laplace", DIM, sigma=0.5)
    exact = margin("laplace", noise.scale, 0.9)
    votes = count_votes(
        Half(0.5 - exact),
        torch.full((1, 2, 2), 0.5),
        noise,
        2,
        seed=3,
        index=0,
        purpose="estimation",
        start=0,
        stop=200_000,
        batch_size=16_384,
    )
    assert abs(votes.counts[1] - 180_000) < 5.0 * math.sqrt(200_000 * 0.9 * 0.1)
