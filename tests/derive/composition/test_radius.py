"""Bounds of the composed radius against closed forms, another composition, and the differential radius."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb
from scipy import stats

from derive.composition.coordinate import Coordinate
from derive.composition.radius import (
    composition_bounds,
    lower_radius,
    proved_fail,
    refuted_fail,
    upper_radius,
)
from generated.registry import load
from tests.derive.composition.cases import law, of_density

WIDE = 8e-3


@pytest.mark.parametrize(("dim", "fail"), [(1, 0.1), (7, 0.01), (3072, 1e-9), (150528, 0.3)])
def test_gaussian_noise_has_its_exact_radius(dim: int, fail: float) -> None:
    exact = -stats.norm.ppf(fail) / math.sqrt(dim)
    lower, upper = composition_bounds(law("gaussian"), dim, arb(fail), fineness=WIDE)
    assert lower <= exact * (1 + 1e-12) and exact <= upper * (1 + 1e-12)
    assert lower == pytest.approx(exact, rel=2e-4) and upper == pytest.approx(exact, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "quantile"),
    [("laplace", stats.laplace().ppf), ("logistic", stats.logistic().ppf), ("triangular", stats.triang(0.5, loc=-1, scale=2).ppf)],
)  # fmt: skip
def test_one_dimension_is_the_exact_quantile(name: str, quantile) -> None:  # type: ignore[no-untyped-def]
    for rho in (0.6, 0.99):
        lower, upper = composition_bounds(law(name), 1, arb(1) - arb(rho), fineness=WIDE)
        assert lower <= quantile(rho) * (1 + 1e-12) <= upper * (1 + 2e-12)
        assert lower == pytest.approx(quantile(rho), rel=1e-3)


def test_uniform_noise_is_infinite_loss_alone() -> None:
    for dim, rho in ((3, 0.9), (64, 0.99)):
        exact = 2 * (1 - (1.5 - rho) ** (1 / dim))
        lower = lower_radius(law("uniform"), dim, arb(1) - arb(rho))
        assert lower == pytest.approx(exact, rel=1e-5) and lower <= exact


def _brute_force(name: str, shift: float, dim: int, cells: int) -> float:
    """max_t exp(-t)(1/2 - delta(t)) by a plain float convolution of the loss's law under P, rounded to a fine grid."""
    one = law(name)
    x = np.linspace(-one.end / 3 + shift, one.end / 3 + shift, 2_000_001)
    middle = 0.5 * (x[1:] + x[:-1])
    mass = np.exp(-one.float_psi(middle - shift)) * (x[1] - x[0]) / (2 * float(one.half))
    loss = one.float_psi(middle) - one.float_psi(middle - shift)
    step = float(loss.max() - loss.min()) / cells
    atoms = np.bincount(np.rint((loss - loss.min()) / step).astype(int), weights=mass)
    size = 1 << (dim * len(atoms)).bit_length()
    whole = np.fft.irfft(np.fft.rfft(atoms, size) ** dim, size)
    t = dim * float(loss.min()) + step * np.arange(size)
    best = 0.0
    for start in np.linspace(0.0, 8.0, 801):
        above = t > start
        delta = float(np.sum(whole[above] * -np.expm1(start - t[above])))
        best = max(best, math.exp(-start) * (0.5 - delta))
    return best


@pytest.mark.parametrize("name", ["laplace", "logistic", "huber", "hyperbolic_secant"])
def test_a_plain_float_convolution_lies_between_the_bounds(name: str) -> None:
    shift, dim = 0.4, 30
    p = _brute_force(name, shift, dim, 4001)
    assert float(proved_fail(law(name), dim, shift)) <= p * (1 + 1e-4)
    assert float(refuted_fail(law(name), dim, shift)) >= p * (1 - 1e-4)
    assert float(proved_fail(law(name), dim, shift)) == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize("dim", [2, 3, 10, 64, 784, 3072, 12288, 150528])
def test_laplace_noise_beats_its_differential_radius(dim: int) -> None:
    module = load("laplace")
    for rho in (0.6, 0.99, 1 - 1e-9):
        differential = float(module.radius_linf(np.array([rho]), dim=dim)[0])
        assert lower_radius(law("laplace"), dim, arb(1) - arb(rho)) > differential


def test_known_values_of_laplace_noise() -> None:
    for dim, expected in ((64, 0.305196), (3072, 0.042267)):
        lower, upper = composition_bounds(law("laplace"), dim, arb(1) - arb(0.99))
        assert lower == pytest.approx(expected, abs=1e-6) and lower <= upper <= lower * (1 + 2e-5)


@pytest.mark.parametrize(
    ("name", "parameters", "dim", "fail"),
    [("generalized_normal", {"p": "3/2"}, 784, 1e-6), ("generalized_normal", {"p": "1"}, 100, 0.01), ("huber", {"k": "1/3"}, 784, 0.1),
     ("logistic", {}, 3072, 0.2), ("hyperbolic_secant", {}, 64, 1e-12), ("generalized_normal", {"p": "4"}, 3072, 0.01)],
)  # fmt: skip
def test_bounds_enclose_and_are_close(name: str, parameters: dict[str, str], dim: int, fail: float) -> None:
    lower, upper = composition_bounds(law(name, **parameters), dim, arb(fail), fineness=WIDE)
    assert 0 < lower <= upper <= lower * (1 + 1e-2)


def test_a_density_of_the_user() -> None:
    one = of_density("exp(-r-r**2/3)")
    assert isinstance(one, Coordinate)
    lower, upper = composition_bounds(one, 16, arb(0.01), fineness=WIDE)
    assert 0 < lower <= upper <= lower * (1 + 2e-3)


def test_finer_grids_only_raise_the_bound() -> None:
    found = [float(proved_fail(law("logistic"), 100, 0.3, fineness=f)) for f in (0.032, 0.008, 0.002)]
    assert found == sorted(found)
    assert found[2] - found[1] < (found[1] - found[0]) / 4


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension"):
        proved_fail(law("laplace"), 0, 0.1)
    for shift in (0.0, -1.0, 1e6):
        with pytest.raises(ValueError, match="shift"):
            proved_fail(law("laplace"), 3, shift)
    assert upper_radius(law("laplace"), 4, arb(0.01)) > 0
