"""Random variates: the right law for every shape, both tails, and nothing but the generator's own device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special as sc
from scipy import stats

from generated.special import variates
from tests.generated.special.round_trips import NoRoundTrips

COUNT = 40_000
LEVEL = 1e-4  # seeds are fixed: a correct sampler fails one of these tests about once in a hundred rewrites
SHAPES = [0.01, 0.3, 0.5, 1.0, 1.7, 40.0, 1e5]
PAIRS = [(a, b) for a in SHAPES for b in SHAPES]
Draw = Callable[[tuple[int, ...], torch.Generator, torch.dtype], torch.Tensor]

DRAWS: dict[str, Draw] = {
    "gamma-small": lambda s, g, t: variates.standard_gamma(s, 0.3, g, t),
    "gamma-large": lambda s, g, t: variates.standard_gamma(s, 7.5, g, t),
    "beta": lambda s, g, t: variates.standard_beta(s, 0.3, 2.5, g, t),
    "beta-power": lambda s, g, t: variates.standard_beta(s, 2.5, 1.0, g, t),
    "beta-prime": lambda s, g, t: variates.beta_prime(s, 2.5, 0.5, g, t),
    "beta-prime-pareto": lambda s, g, t: variates.beta_prime(s, 1.0, 3.0, g, t),
    "l1": lambda s, g, t: variates.l1_direction(s[0], s[1], g, t),
    "l2": lambda s, g, t: variates.l2_direction(s[0], s[1], g, t),
    "linf": lambda s, g, t: variates.linf_direction(s[0], s[1], g, t),
}
draws = pytest.mark.parametrize("name", DRAWS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pvalue(values: Any, cdf: Callable[[Any], Any]) -> float:
    return float(stats.kstest(np.asarray(values), cdf).pvalue)


@pytest.mark.parametrize("a", SHAPES)
def test_gamma_follows_its_law(a: float) -> None:
    x = variates.standard_gamma((COUNT,), a, seeded(1)).numpy()
    assert np.all(np.isfinite(x) & (x >= 0.0))
    lost = sc.gammainc(a, 1e-300)  # the mass that floats need not hold: 1e-3 at shape 0.01
    kept = x[x > 1e-300]
    assert abs(len(x) - len(kept) - COUNT * lost) <= 5.0 * np.sqrt(COUNT * lost)
    assert pvalue(kept, lambda v: (sc.gammainc(a, v) - lost) / (1.0 - lost)) > LEVEL


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_beta_and_beta_prime_follow_their_laws(a: float, b: float) -> None:
    """On the logit scale, where no value of either law is lost by rounding to 0 or 1."""
    t = variates.beta_prime((COUNT,), a, b, seeded(2)).numpy()
    u = variates.standard_beta((COUNT,), a, b, seeded(2)).numpy()
    assert np.all((u >= 0.0) & (u <= 1.0)) and np.all(t >= 0.0) and not np.any(np.isnan(t))
    inside = (t > 1e-300) & (t < 1e300)
    lost = 1e-300 ** min(a, b)  # the mass beyond floats, up to a factor below 1
    assert np.mean(~inside) <= 2.0 * lost + 1e-4
    assert np.allclose(u[inside], t[inside] / (1.0 + t[inside]), rtol=1e-13, atol=0.0)
    low, high = stats.betaprime(a, b).cdf([1e-300, 1e300]) if min(a, b) < 0.05 else (0.0, 1.0)

    def cdf(v: Any) -> Any:
        small = sc.betainc(a, b, v / (1.0 + v))
        large = 1.0 - sc.betainc(b, a, 1.0 / (1.0 + v))
        return (np.where(v < 1.0, small, large) - low) / (high - low)

    assert pvalue(t[inside], cdf) > LEVEL


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1.0, 1.0), (2.5, 0.5), (0.3, 0.4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_tails_of_beta_prime(a: float, b: float, dtype: torch.dtype) -> None:
    """The outer hundred of two million values have the law's own spread, in single precision too."""
    count, outer = 2_000_000, 100
    t = np.sort(variates.beta_prime((count,), a, b, seeded(3), dtype).double().numpy())
    upper = sc.betainc(b, a, 1.0 / (1.0 + t[-outer:])) / sc.betainc(b, a, 1.0 / (1.0 + t[-outer - 1]))
    lower = sc.betainc(a, b, t[:outer] / (1.0 + t[:outer])) / sc.betainc(a, b, t[outer] / (1.0 + t[outer]))
    assert np.all(np.isfinite(t)) and t[0] > 0.0
    assert pvalue(upper, stats.uniform.cdf) > LEVEL and pvalue(lower, stats.uniform.cdf) > LEVEL


@pytest.mark.parametrize("dim", [2, 3, 17, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_l2_directions_are_uniform(dim: int, dtype: torch.dtype) -> None:
    """(1 + y_i)/2 follows Beta((d-1)/2, (d-1)/2); coordinates are uncorrelated; the norm is 1 to rounding."""
    n = 20_000 if dim < 100 else 2000
    y = variates.l2_direction(n, dim, seeded(4), dtype)
    assert y.shape == (n, dim) and y.dtype == dtype
    x = y.double().numpy()
    assert np.max(np.abs(np.linalg.norm(x, axis=1) - 1.0)) <= 2.0 * torch.finfo(dtype).eps
    half = (dim - 1) / 2
    for i in (0, dim // 2, dim - 1):
        assert pvalue((1.0 + x[:, i]) / 2.0, stats.beta(half, half).cdf) > LEVEL
    assert abs(np.mean(x[:, 0] * x[:, -1])) <= 5.0 / (dim * np.sqrt(n))
    assert abs(np.mean(x[:, 0] ** 2) - 1.0 / dim) <= 5.0 * np.sqrt(2.0 / n) / dim


@pytest.mark.parametrize("dim", [2, 3, 40])
def test_l1_directions_are_uniform(dim: int) -> None:
    """|y_i| follows Beta(1, d-1), signs are fair, the norm is 1."""
    x = variates.l1_direction(20_000, dim, seeded(5), torch.float64).numpy()
    assert np.max(np.abs(np.abs(x).sum(axis=1) - 1.0)) <= 1e-15 * dim
    for i in (0, dim - 1):
        assert pvalue(np.abs(x[:, i]), stats.beta(1, dim - 1).cdf) > LEVEL
        assert abs(np.mean(np.sign(x[:, i]))) <= 5.0 / np.sqrt(len(x))
    assert abs(np.mean(np.sign(x[:, 0] * x[:, -1]))) <= 5.0 / np.sqrt(len(x))


@pytest.mark.parametrize("direction", [variates.l1_direction, variates.l2_direction, variates.linf_direction])
def test_in_one_dimension_a_direction_is_a_fair_sign(direction: Any) -> None:
    y = direction(10_000, 1, seeded(6), torch.float32)
    assert bool((y.abs() == 1.0).all()) and abs(float(y.mean())) < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_over_many_coordinates_keep_their_digits(dtype: torch.dtype) -> None:
    """At ImageNet's size the norm of a direction is off by roundings of its coordinates alone."""
    dim = 150528
    one = variates.l1_direction(4, dim, seeded(7), dtype).double()
    two = variates.l2_direction(4, dim, seeded(7), dtype).double()
    eps = torch.finfo(dtype).eps
    assert float((one.abs().sum(dim=1) - 1.0).abs().max()) <= 0.02 * eps + 1e-14
    assert float((two.square().sum(dim=1) - 1.0).abs().max()) <= 0.02 * eps + 1e-14


def test_a_direction_of_zeros_is_still_a_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(shape: Any, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype)

    monkeypatch.setattr(variates, "standard_normal", zeros)
    monkeypatch.setattr(variates, "standard_exponential", zeros)
    for direction in (variates.l1_direction, variates.l2_direction):
        y = direction(3, 4, seeded(), torch.float32)
        assert bool((y.abs() == torch.tensor([1.0, 0.0, 0.0, 0.0])).all())


@draws
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reproducible_typed_and_from_the_generator_alone(name: str, dtype: torch.dtype) -> None:
    state = torch.get_rng_state()
    first, again, other = (DRAWS[name]((6, 5), seeded(s), dtype) for s in (1, 1, 2))
    assert first.shape == (6, 5) and first.dtype == dtype and first.is_contiguous()
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@draws
def test_nothing_waits_for_the_device(name: str) -> None:
    with NoRoundTrips():
        DRAWS[name]((6, 5), seeded(), torch.float32)


def test_the_watch_for_round_trips_sees_them() -> None:
    x = torch.arange(3.0)
    for waits in (lambda: float(x.sum()), lambda: bool(x[0] == 0), lambda: x[x > 1], lambda: x.nonzero()):
        with pytest.raises(AssertionError, match="waits"), NoRoundTrips():
            waits()


@pytest.mark.parametrize("name", ["gamma-small", "beta", "beta-prime", "beta-prime-pareto"])
def test_blocks_give_one_law_and_every_entry(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn in many small blocks, one of them short: the same law as in one."""
    whole = DRAWS[name]((400, 25), seeded(8), torch.float32)
    monkeypatch.setattr(variates, "BLOCK", 999)
    parts = DRAWS[name]((400, 25), seeded(9), torch.float32)
    assert parts.shape == (400, 25) and parts.dtype == torch.float32
    assert stats.ks_2samp(whole.flatten().numpy(), parts.flatten().numpy()).pvalue > LEVEL
    assert len(torch.unique(parts)) > 9_900


def test_single_and_double_precision_round_the_same_draws() -> None:
    for name in ("gamma-small", "beta", "beta-prime"):
        double = DRAWS[name]((100,), seeded(), torch.float64)
        assert torch.equal(double.float(), DRAWS[name]((100,), seeded(), torch.float32))


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_shapes_must_be_positive_numbers(bad: float) -> None:
    for draw in (variates.standard_beta, variates.beta_prime):
        for a, b in ((bad, 1.0), (1.0, bad), (2.0, bad)):
            with pytest.raises(ValueError, match="positive finite"):
                draw((3,), a, b, seeded())
    with pytest.raises(ValueError, match="positive finite"):
        variates.standard_gamma((3,), bad, seeded())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none")
@draws
def test_on_a_gpu(name: str) -> None:
    """The same law on the device as on the CPU, drawn without one synchronisation."""
    generator = torch.Generator("cuda").manual_seed(1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = DRAWS[name]((20_000, 2), generator, torch.float32)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    here = DRAWS[name]((20_000, 2), seeded(1), torch.float32)
    assert there.device.type == "cuda"
    assert stats.ks_2samp(there[:, 0].cpu().numpy(), here[:, 0].numpy()).pvalue > LEVEL
