"""Draws through a table of quantiles: within the stated distance of the law, monotone, in both tails, on the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import scipy.special as sc
import torch
from scipy import stats

from generated.special.gamma import GammaLaw
from generated.special.inverse import REACH, InverseCdf, QuantileLaw, inverse_cdf
from generated.special.monotone import RadialDensity
from generated.special.radial import RadialLaw
from tests.generated.special.round_trips import NoRoundTrips

LEVEL = (
    1e-4  # seeds are fixed: a correct sampler fails one of these tests about once in five hundred rewrites
)


@dataclass(frozen=True)
class Law:
    """A law by its four functions."""

    cdf: Callable[[Any], Any]
    survival: Callable[[Any], Any]
    ppf: Callable[[Any], Any]
    isf: Callable[[Any], Any]

    def quantile(self, lower: Any) -> Any:
        return self.ppf(lower)

    def upper_quantile(self, upper: Any) -> Any:
        return self.isf(upper)

    def lower(self, q: float, r: Any) -> Any:
        assert q == 0.0
        return self.cdf(r)

    def upper(self, q: float, r: Any) -> Any:
        assert q == 0.0
        return self.survival(r)


def scipy_law(law: Any) -> Law:
    return Law(law.cdf, law.sf, law.ppf, law.isf)


CAUCHY = Law(
    lambda r: 2.0 / math.pi * np.arctan(r),
    lambda r: 2.0 / math.pi * np.arctan(1.0 / r),
    lambda u: np.tan(math.pi / 2.0 * u),
    lambda u: 1.0 / np.tan(math.pi / 2.0 * u),
)


def kinked(at: float) -> Law:
    """Density 1 up to `at`, then 4 up to the end: the quantile function has a kink at the lower mass `at`."""
    end = at + (1.0 - at) / 4.0
    return Law(
        lambda r: np.where(r < at, r, 1.0 - 4.0 * np.clip(end - r, 0.0, None)),
        lambda r: np.where(r < at, 1.0 - r, 4.0 * np.clip(end - r, 0.0, None)),
        lambda u: np.where(u < at, u, end - (1.0 - u) / 4.0),
        lambda u: np.where(u > 1.0 - at, 1.0 - u, end - u / 4.0),
    )


GAP = Law(  # a third of the mass on (0, 1), the rest on (5, 7), nothing between
    lambda r: np.clip(r, 0.0, 1.0) / 3.0 + np.clip(r - 5.0, 0.0, 2.0) / 3.0,
    lambda r: 1.0 - np.clip(r, 0.0, 1.0) / 3.0 - np.clip(r - 5.0, 0.0, 2.0) / 3.0,
    lambda u: np.where(u < 1.0 / 3.0, 3.0 * u, 5.0 + 3.0 * (u - 1.0 / 3.0)),
    lambda u: np.where(u <= 2.0 / 3.0, 7.0 - 3.0 * u, 3.0 * (1.0 - u)),
)
LAWS: dict[str, QuantileLaw] = {
    "exponential": GammaLaw((1.0,), 1.0, 1.0),
    "singular": GammaLaw((0.1,), 1.0, 1.0),
    "root": GammaLaw((10.0,), 1.0, 0.5),
    "narrow": GammaLaw((150528.0,), 1.0, 2.0),
    "cauchy": CAUCHY,
    "lognormal": scipy_law(stats.lognorm(2.0)),
    "lopsided": scipy_law(stats.beta(40.0, 1.5)),
    "kinked": kinked(0.9),
    "gap": GAP,
}
laws = pytest.mark.parametrize("name", LAWS)


@pytest.fixture(scope="module")
def tables() -> dict[str, InverseCdf]:
    return {name: inverse_cdf(law) for name, law in LAWS.items()}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance(table: InverseCdf, law: QuantileLaw) -> float:
    """Largest distance of the table's cdf from the law's, at random points and densely around every knot."""
    rng = np.random.default_rng(1)
    near = table.knots[:, None] + rng.normal(size=(1, 40)) * np.diff(table.knots).min()
    score = np.clip(np.concatenate([rng.uniform(-REACH, REACH, 50_000), near.ravel()]), -REACH, REACH)
    r = table.at(torch.from_numpy(score)).numpy()
    low = np.abs(law.lower(0.0, r) - sc.ndtr(score))[score <= 0.0]
    high = np.abs(law.upper(0.0, r) - sc.ndtr(-score))[score > 0.0]
    return max(float(low.max()), float(high.max()))


@laws
@pytest.mark.parametrize("tolerance", [1e-4, 1e-9, 1e-11])
def test_distance_from_the_law_is_within_the_stated_error(name: str, tolerance: float) -> None:
    table = inverse_cdf(LAWS[name], tolerance=tolerance)
    assert 0.0 < table.error <= tolerance
    assert distance(table, LAWS[name]) <= table.error


@pytest.mark.parametrize("seed", range(5))
def test_the_stated_error_holds_wherever_a_kink_lies_in_its_cell(seed: int) -> None:
    for at in np.random.default_rng(seed).uniform(0.05, 0.95, 40):
        law = kinked(float(at))
        table = inverse_cdf(law, tolerance=1e-4)
        assert distance(table, law) <= table.error, at


@laws
def test_draws_follow_the_law(name: str, tables: dict[str, InverseCdf]) -> None:
    law = LAWS[name]
    r = tables[name].draw((50_000,), seeded(2)).numpy()
    assert np.all(np.isfinite(r)) and np.all(r > 0.0)
    assert stats.kstest(r, lambda x: law.lower(0.0, x)).pvalue > LEVEL


@pytest.mark.parametrize("name", ["exponential", "singular", "root", "narrow", "cauchy", "lognormal"])
def test_both_tails_keep_relative_accuracy(name: str, tables: dict[str, InverseCdf]) -> None:
    """Down to probabilities of 1e-16 each tail's mass is right to a millionth of itself."""
    law = LAWS[name]
    score = np.linspace(5.0, 8.2, 500)
    high = tables[name].at(torch.from_numpy(score)).numpy()
    low = tables[name].at(torch.from_numpy(-score)).numpy()
    assert law.upper(0.0, high) == pytest.approx(sc.ndtr(-score), rel=1e-6)
    assert law.lower(0.0, low) == pytest.approx(sc.ndtr(-score), rel=1e-6)


def test_far_draws_have_the_spread_of_the_tail(tables: dict[str, InverseCdf]) -> None:
    """The outer hundred of two million, relative to the hundred-and-first: uniform; no lattice of 24 bits."""
    r = np.sort(tables["cauchy"].draw((2_000_000,), seeded(3), torch.float32).double().numpy())
    upper = CAUCHY.survival(r[-100:]) / CAUCHY.survival(r[-101])
    lower = CAUCHY.cdf(r[:100]) / CAUCHY.cdf(r[100])
    assert len(np.unique(r[:100])) == len(np.unique(r[-100:])) == 100
    assert stats.kstest(upper, "uniform").pvalue > LEVEL and stats.kstest(lower, "uniform").pvalue > LEVEL


@laws
def test_monotone(name: str, tables: dict[str, InverseCdf]) -> None:
    """Never decreasing across and inside cells, beyond the last bits of a logarithm and an exponential."""
    table = tables[name]
    inside = np.linspace(table.knots[:-1], table.knots[1:], 33).T.ravel()
    score = np.concatenate([[-40.0, -9.0], np.sort(inside), [9.0, 40.0]])
    r = table.at(torch.from_numpy(score)).numpy()
    slack = 1e-15 * (2.0 + abs(math.log(table.largest)) + abs(math.log(table.smallest)))
    assert np.all(np.diff(r) >= -slack * r[1:])
    assert r[0] == table.smallest and r[-1] == table.largest


def test_a_bounded_law_stays_inside() -> None:
    table = inverse_cdf(scipy_law(stats.uniform(0.0, 0.7)))
    r = table.at(torch.linspace(-10.0, 10.0, 100_001, dtype=torch.float64))
    assert float(r.max()) <= 0.7 and float(r.min()) >= 0.0


@pytest.mark.parametrize("dim", [1.0, 3.0, 3072.0, 150528.0])
def test_laws_known_by_their_slope_alone(dim: float) -> None:
    """e^{-√(1+r²)} and 1-r on r ≤ 1, whose cdfs are panel integrals: in a fraction of a second, in any dimension."""
    for density in (
        RadialDensity(lambda xp, r: r * r / xp.sqrt(1.0 + r * r), lambda xp, r: r * r / (1.0 + r * r) ** 1.5),
        RadialDensity(lambda xp, r: r / (1.0 - r), lambda xp, r: (r / (1.0 - r)) ** 2, bound=1.0),
    ):
        law = RadialLaw(density, dim)
        table = inverse_cdf(law)
        assert distance(table, law) <= table.error <= 1e-9
        r = table.draw((20_000,), seeded(4)).numpy()
        assert stats.kstest(r, lambda x, law=law: law.lower(0.0, x)).pvalue > LEVEL


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reproducible_typed_and_from_the_generator_alone(
    dtype: torch.dtype, tables: dict[str, InverseCdf]
) -> None:
    state = torch.get_rng_state()
    first, again, other = (tables["root"].draw((6, 1, 5), seeded(s), dtype) for s in (1, 1, 2))
    assert first.shape == (6, 1, 5) and first.dtype == dtype and first.device.type == "cpu"
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_the_table_reaches_a_device_once_and_nothing_waits_for_it() -> None:
    table = inverse_cdf(CAUCHY)
    with NoRoundTrips():
        table.draw((100, 3), seeded(), torch.float32)
    before = table._table(torch.device("cpu"))
    table.draw((100, 3), seeded())
    assert all(a is b for a, b in zip(before, table._table(torch.device("cpu")), strict=True))
    assert len(table._tables) == 1


def test_a_quantile_function_that_is_off_is_refused() -> None:
    """Quantiles a millionth too large belong to another law: no table of any size makes up for that."""
    off = replace(CAUCHY, ppf=lambda u: CAUCHY.ppf(u) * (1.0 + 1e-6))
    with pytest.raises(ValueError, match="disagree"):
        inverse_cdf(off)
    assert inverse_cdf(off, tolerance=1e-5).error <= 1e-5
    with pytest.raises(ValueError, match="not finite"):
        inverse_cdf(replace(CAUCHY, ppf=lambda u: np.where(abs(u - 0.3) < 0.01, np.nan, CAUCHY.ppf(u))))


def test_a_law_beyond_the_range_of_floats_is_refused() -> None:
    """Gamma(0.01) has mass 8e-4 below the smallest float."""
    with pytest.raises(ValueError, match="range of floats with a probability of"):
        inverse_cdf(GammaLaw((0.01,), 1.0, 1.0))
    with pytest.raises(ValueError, match="range of floats"):
        inverse_cdf(replace(CAUCHY, ppf=lambda u: 0.0 * u, isf=lambda u: np.inf * u))


@pytest.mark.parametrize("tolerance", [0.0, -1e-9, 1.0, math.nan])
def test_a_tolerance_is_a_small_positive_number(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        inverse_cdf(CAUCHY, tolerance=tolerance)


def test_a_table_checks_itself() -> None:
    good = inverse_cdf(CAUCHY, tolerance=1e-3)
    for change in (
        {"knots": good.knots[::-1]},
        {"coefficients": good.coefficients[:, 1:]},
        {"coefficients": -good.coefficients},
        {"smallest": 0.0},
        {"largest": math.inf},
    ):
        with pytest.raises(ValueError, match="table"):
            replace(good, **change)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none")
def test_on_a_gpu(tables: dict[str, InverseCdf]) -> None:
    """The same numbers from the same scores; draws without one synchronisation after the table is there."""
    table = tables["cauchy"]
    generator = torch.Generator("cuda").manual_seed(1)
    table.draw((1,), generator)
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = table.draw((50_000,), generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert there.device.type == "cuda"
    assert stats.kstest(there.cpu().numpy(), CAUCHY.cdf).pvalue > LEVEL
    score = torch.linspace(-9.0, 9.0, 10_001, dtype=torch.float64)
    assert torch.allclose(table.at(score.cuda()).cpu(), table.at(score), rtol=1e-13, atol=0.0)
