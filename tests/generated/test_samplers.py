"""Generated samplers: the right law, the right shape, and the same numbers from the same generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from generated import registry

LAWS: list[tuple[str, dict[str, float]]] = [
    ("gaussian", {}),
    ("laplace", {}),
    ("uniform", {}),
    ("exp_linf", {"k": 1.0}),
    ("exp_linf", {"k": 10.0}),
    ("exp_linf", {"k": 0.5}),
    ("exp_linf", {"k": 2.0, "j": 9.5}),
]
laws = pytest.mark.parametrize("family, params", LAWS, ids=lambda v: str(v))
DIM = 12
SHAPE = (20_000, 3, 2, 2)
LEVEL = 1e-4  # seeds are fixed: a correct sampler fails one of these tests about once in a thousand rewrites


def draw(family: str, params: dict[str, float], seed: int = 0, **changes: Any) -> torch.Tensor:
    """A batch of noise of SHAPE at scale 0.7 in float64, unless told otherwise."""
    settings: dict[str, Any] = {"dim": DIM, "scale": 0.7, "dtype": torch.float64, **changes}
    shape = settings.pop("shape", SHAPE)
    generator = torch.Generator().manual_seed(seed)
    noise = registry.load(family).sample(shape, generator=generator, **settings, **params)
    assert isinstance(noise, torch.Tensor)
    return noise


def magnitude(family: str, x: np.ndarray[Any, Any], params: dict[str, float]) -> tuple[Any, Any]:
    """A statistic of each sample at unit scale, and its law by elementary probability."""
    if family == "gaussian":
        return np.sum(x * x, axis=1), stats.chi2(DIM)
    if family == "laplace":
        return np.sum(np.abs(x), axis=1), stats.gamma(DIM)
    if family == "uniform":
        return np.max(np.abs(x), axis=1), stats.beta(DIM, 1)
    k, j = params["k"], params.get("j", 0.0)
    return np.max(np.abs(x), axis=1) ** k, stats.gamma((DIM - j) / k)


@laws
def test_magnitude_and_coordinates(family: str, params: dict[str, float]) -> None:
    """Kolmogorov–Smirnov on the norm; mean, variance, signs and correlation of the coordinates."""
    x = draw(family, params).reshape(SHAPE[0], DIM).numpy() / 0.7
    value, law = magnitude(family, x, params)
    assert stats.kstest(value, law.cdf).pvalue > LEVEL

    sigma = registry.load(family).sigma_of_scale(1.0, dim=DIM, **params)
    square = x * x
    error = np.std(square.mean(axis=1)) / np.sqrt(SHAPE[0])
    assert float(square.mean()) == pytest.approx(sigma**2, abs=5.0 * float(error))
    per_coordinate = 5.0 * square.std(axis=0) / np.sqrt(SHAPE[0])
    assert np.all(np.abs(square.mean(axis=0) - sigma**2) <= per_coordinate)
    assert np.all(np.abs(x.mean(axis=0)) <= 5.0 * x.std(axis=0) / np.sqrt(SHAPE[0]))
    heads = (x > 0.0).sum(axis=0)
    assert np.all(np.abs(heads - SHAPE[0] / 2) <= 2.5 * np.sqrt(SHAPE[0]))
    signs = np.sign(x)
    dependence = np.abs(signs.T @ signs / SHAPE[0] - np.eye(DIM))
    assert float(dependence.max()) <= 5.5 / np.sqrt(SHAPE[0])


@pytest.mark.parametrize(
    "family, law", [("gaussian", stats.norm), ("laplace", stats.laplace), ("uniform", stats.uniform(-1, 2))]
)
def test_coordinates_of_the_products(family: str, law: Any) -> None:
    """Every coordinate, and the pooled ones, follow the one-dimensional law."""
    x = draw(family, {}, seed=1).reshape(SHAPE[0], DIM).numpy() / 0.7
    values = [stats.kstest(column, law.cdf).pvalue for column in x.T]
    assert min(values) > LEVEL / DIM
    assert stats.kstest(x.reshape(-1), law.cdf).pvalue > LEVEL


@pytest.mark.parametrize("params", [p for f, p in LAWS if f == "exp_linf"], ids=str)
def test_directions_of_the_cube(params: dict[str, float]) -> None:
    """Given its maximum, the point is uniform on the surface: 2d faces alike, the rest uniform on each."""
    x = draw("exp_linf", params, seed=2).reshape(SHAPE[0], DIM).numpy()
    top = np.argmax(np.abs(x), axis=1)
    rows = np.arange(SHAPE[0])
    face = 2 * top + (x[rows, top] > 0.0)
    counts = np.bincount(face, minlength=2 * DIM)
    assert stats.chisquare(counts).pvalue > LEVEL
    rest = np.delete((x / np.abs(x[rows, top])[:, None]).reshape(-1), rows * DIM + top)
    assert stats.kstest(rest, stats.uniform(-1, 2).cdf).pvalue > LEVEL
    assert abs(np.corrcoef(np.abs(x[rows, top]), np.abs(x).mean(axis=1) / np.abs(x[rows, top]))[0, 1]) < 0.04


@laws
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reproducible_shaped_and_typed(family: str, params: dict[str, float], dtype: torch.dtype) -> None:
    """The same generator state gives the same bits; a later draw or another seed gives others."""
    shape = (5, 3, 2, 2)
    first = draw(family, params, seed=3, dtype=dtype, shape=shape)
    again = draw(family, params, seed=3, dtype=dtype, shape=shape)
    other = draw(family, params, seed=4, dtype=dtype, shape=shape)
    assert first.shape == shape and first.dtype == dtype and torch.equal(first, again)
    assert not torch.equal(first, other) and bool(torch.isfinite(first).all())
    generator = torch.Generator().manual_seed(3)
    module = registry.load(family)
    one = module.sample(shape, dim=DIM, scale=0.7, generator=generator, dtype=dtype, **params)
    two = module.sample(shape, dim=DIM, scale=0.7, generator=generator, dtype=dtype, **params)
    assert torch.equal(one, first) and not torch.equal(two, first)


@laws
def test_scale_multiplies(family: str, params: dict[str, float]) -> None:
    """Noise at scale λ is λ times the noise at scale 1 from the same generator state, up to rounding."""
    unit = draw(family, params, seed=5, scale=1.0)
    wide = draw(family, params, seed=5, scale=8.0)
    assert torch.allclose(wide, 8.0 * unit, rtol=1e-12, atol=0.0)


@laws
def test_the_event_must_have_dim_entries(family: str, params: dict[str, float]) -> None:
    """A shape whose event does not hold dim numbers is an error, as is a scale that is not positive."""
    with pytest.raises(ValueError, match="."):
        draw(family, params, shape=(4, DIM + 1))
    with pytest.raises(ValueError, match="."):
        draw(family, params, shape=(4, DIM), scale=0.0)


@laws
def test_global_random_state_is_left_alone(family: str, params: dict[str, float]) -> None:
    """Only the generator that is passed in supplies randomness."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = draw(family, params, seed=6, shape=(3, DIM))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    np.random.seed(1)
    assert torch.equal(first, draw(family, params, seed=6, shape=(3, DIM)))


def test_uniform_stays_inside_its_support() -> None:
    """No rounding may leave the cube, in float32 either: the radius counts on it."""
    for dtype in (torch.float32, torch.float64):
        x = draw("uniform", {}, seed=7, dtype=dtype, scale=1.0, shape=(100_000, DIM))
        assert float(x.abs().max()) <= 1.0
