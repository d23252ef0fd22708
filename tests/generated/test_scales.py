"""σ and scale: known values at unit scale, and the way back."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from generated import registry

LAWS: list[tuple[str, dict[str, float]]] = [
    ("gaussian", {}),
    ("laplace", {}),
    ("uniform", {}),
    ("exp_linf", {"k": 1.0}),
    ("exp_linf", {"k": 10.0}),
    ("exp_linf", {"k": 0.5}),
    ("exp_linf", {"k": 2.0, "j": 0.9}),
]
laws = pytest.mark.parametrize("family, params", LAWS, ids=lambda v: str(v))


def unit_sigma(family: str, dim: int, k: float = 1.0, j: float = 0.0) -> float:
    """Per-coordinate standard deviation at unit scale, in high precision.

    For exp_linf, m = max|x| has E m² = Γ((d+2-j)/k)/Γ((d-j)/k), and on a face of the cube one squared
    coordinate is m² and the others average m²/3.
    """
    with mp.workdps(50):
        simple = {"gaussian": mp.mpf(1), "laplace": mp.sqrt(2), "uniform": 1 / mp.sqrt(3)}
        if family in simple:
            return float(simple[family])
        a, b = (dim + 2 - mp.mpf(j)) / k, (dim - mp.mpf(j)) / k
        square = mp.exp(mp.loggamma(a) - mp.loggamma(b))
        return float(mp.sqrt(square * (1 + mp.mpf(dim - 1) / 3) / dim))


@laws
@pytest.mark.parametrize("dim", [2, 3, 64, 3072, 150528])
def test_sigma_at_unit_scale(family: str, params: dict[str, float], dim: int) -> None:
    """The closed values, to 1e-9 in every dimension."""
    got = registry.load(family).sigma_of_scale(1.0, dim=dim, **params)
    assert isinstance(got, float)
    assert got == pytest.approx(unit_sigma(family, dim, **params), rel=1e-9)


@laws
@pytest.mark.parametrize("dim", [2, 3072])
@pytest.mark.parametrize("sigma", [1e-6, 0.25, 1.0, 64.0])
def test_round_trip(family: str, params: dict[str, float], dim: int, sigma: float) -> None:
    """scale_of_sigma undoes sigma_of_scale, and both are linear."""
    module = registry.load(family)
    scale = module.scale_of_sigma(sigma, dim=dim, **params)
    assert scale > 0.0
    assert module.sigma_of_scale(scale, dim=dim, **params) == pytest.approx(sigma, rel=1e-12)
    assert scale == pytest.approx(sigma * module.scale_of_sigma(1.0, dim=dim, **params), rel=1e-12)


@laws
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_bad_values_are_refused(family: str, params: dict[str, float], bad: float) -> None:
    """σ and scale are positive and finite."""
    module = registry.load(family)
    for convert in (module.scale_of_sigma, module.sigma_of_scale):
        with pytest.raises(ValueError, match="."):
            convert(bad, dim=10, **params)


def test_sigma_measures_what_the_sampler_draws() -> None:
    """The unit values above, from samples of the definition: coordinates of a scaled face of the cube."""
    generator = np.random.default_rng(0)
    m = generator.standard_gamma(10.0, 200_000)
    x = generator.uniform(-1.0, 1.0, (m.size, 10))
    x[:, 0] = 1.0
    spread = math.sqrt(float(np.mean((m[:, None] * x) ** 2)))
    assert spread == pytest.approx(unit_sigma("exp_linf", 10), rel=0.01)
