"""The oracle itself, on growths that are known in closed form, and the two methods against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from tests.properties.densities import DENSITIES, Array, Density, exp_linf, gaussian, laplace, uniform
from tests.properties.directions import ORDER, directions
from tests.properties.grid import growth_by_grid
from tests.properties.growth import discrete_growth
from tests.properties.monte_carlo import growth_by_sampling
from tests.properties.oracle import growth

MEMBERS = [
    gaussian(2),
    laplace(2),
    uniform(2),
    exp_linf(1, k=2.0),
    exp_linf(2, k=0.5),
    exp_linf(2, k=2.0, j=0.7),
    exp_linf(3, k=1.0),
    exp_linf(3, k=10.0, j=1.5),
]


def _label(density: Density) -> str:
    return f"{density.name}-{density.dim}"


def test_discrete_growth_takes_the_best_ratio_first() -> None:
    """Atoms by hand: ratio ∞, then 3, then the share of ratio 1/2 that p still pays for."""
    before, after = np.array([0.6, 0.2, 0.2, 0.0]), np.array([0.2, 0.1, 0.6, 0.1])
    assert discrete_growth(before, after, 0.0) == pytest.approx((0.1, 3.0))
    assert discrete_growth(before, after, 0.1) == pytest.approx((0.1 + 0.3, 3.0))
    assert discrete_growth(before, after, 0.3) == pytest.approx((0.1 + 0.6 + 0.05, 0.5))
    assert discrete_growth(before, after, 0.9)[0] == pytest.approx(0.1 + 0.6 + 0.1 + 0.5 / 3.0)


@pytest.mark.parametrize("density", MEMBERS, ids=_label)
def test_densities_have_mass_one(density: Density) -> None:
    """Integrals over the box: of the shells of the cubes, or of the marginal of a product."""
    if density.name == "exp_linf":
        d = density.dim

        def shell(r: float) -> float:
            corner = np.full((1, d), r)
            return float(d * (2.0 * r) ** (d - 1) * 2.0 * np.exp(density.log(corner))[0])

        inner = integrate.quad(shell, 0.0, 1.0)[0]
        outer = integrate.quad(shell, 1.0, density.box(1e-12), limit=400)[0]
        assert inner + outer == pytest.approx(1.0, abs=1e-6)
    else:  # a product: the square root of the density on the diagonal is the marginal, in two dimensions
        t = density.box(1e-13)

        def marginal(x: float) -> float:
            return float(np.exp(0.5 * density.log(np.array([[x, x]])))[0])

        assert 2.0 * integrate.quad(marginal, 0.0, t)[0] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("density", MEMBERS, ids=_label)
def test_samplers_draw_from_the_densities(density: Density) -> None:
    """Averages of three bounded functions over samples and over the grid's quadrature agree."""
    x = density.sample(200_000, np.random.default_rng(3))
    assert x.shape == (200_000, density.dim)
    typical = float(np.median(np.max(np.abs(x), axis=1)))
    inner = float(np.mean(np.max(np.abs(x), axis=1) <= 0.5 * typical))
    t = density.box(1e-6)
    u = np.random.default_rng(4).uniform(-1.0, 1.0, (400_000, density.dim)) * 0.5 * typical
    weights = np.exp(density.log(u)) * typical**density.dim
    assert np.max(np.abs(x)) <= 2.0 * t
    spread = 5.0 * float(np.std(weights)) / math.sqrt(weights.size) + 5.0 / math.sqrt(x.shape[0])
    assert inner == pytest.approx(float(np.mean(weights)), abs=spread)
    assert np.mean(x, axis=0) == pytest.approx(0.0, abs=6.0 * float(np.std(x)) / math.sqrt(x.shape[0]))


@pytest.mark.parametrize("density", [exp_linf(3, k=0.5), exp_linf(3, k=2.0, j=1.5)], ids=("k=1/2", "j=3/2"))
def test_radial_law_of_the_sampler(density: Density) -> None:
    """Kolmogorov–Smirnov: max|x| against the numerical integral of r^(d-1) times the density."""
    m = np.sort(np.max(np.abs(density.sample(20_000, np.random.default_rng(5))), axis=1))
    r = np.concatenate(([0.0], np.geomspace(1e-9, density.box(1e-10), 40_000)))
    middle = 0.5 * (r[1:] + r[:-1])
    shell = middle ** (density.dim - 1) * np.exp(density.log(middle[:, None] * np.ones(density.dim)))
    cdf = np.concatenate(([0.0], np.cumsum(shell * np.diff(r))))
    law = stats.kstest(m, lambda value: np.interp(value, r, cdf / cdf[-1]))
    assert law.pvalue > 1e-3


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("p", [0.3, 0.1, 0.003])
def test_grid_on_the_gaussian(dim: int, p: float) -> None:
    """The growth of the Gaussian is Φ(Φ⁻¹(p) + ‖v‖₂) for every direction."""
    for v in directions(dim, "2", seed=7).values():
        got = growth_by_grid(gaussian(dim), 0.8 * v, p)
        exact = stats.norm.cdf(stats.norm.ppf(p) + 0.8)
        assert abs(got.value - exact) <= got.error <= 0.02


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_grid_on_laplace_and_uniform(dim: int) -> None:
    """Laplace along an axis: p·e^v up to 1/2. Uniform: p plus the share of the cube that moves out."""
    axis = np.eye(dim)[0]
    for p, v in ((0.2, 0.5), (0.01, 2.0)):
        got = growth_by_grid(laplace(dim), v * axis, p)
        assert abs(got.value - p * math.exp(v)) <= got.error <= 1e-3
        for shift in (v / 4.0 * axis, np.full(dim, v / 4.0)):
            outside = 1.0 - float(np.prod(1.0 - np.abs(shift) / 2.0))
            exact = min(1.0, outside + p)
            got = growth_by_grid(uniform(dim), shift, p)
            assert abs(got.value - exact) <= got.error <= 1e-4


@pytest.mark.parametrize("dim", [2, 64, 3072])
@pytest.mark.parametrize("p", [0.4, 0.05, 1e-5])
def test_sampling_on_closed_forms(dim: int, p: float) -> None:
    """The stated interval covers the exact growth, at small p too, and is short."""
    n = min(200_000, 20_000_000 // dim)
    axis = np.eye(dim)[-1]
    gap = stats.norm.isf(p)
    cases = [
        (gaussian(dim), gap * np.full(dim, dim**-0.5), 0.5),
        (gaussian(dim), 0.5 * gap * axis, float(stats.norm.sf(0.5 * gap))),
        (laplace(dim), -math.log(2.0 * p) * axis, 0.5),
        (uniform(dim), (1.0 - 2.0 * p) * axis, 0.5),
        (uniform(dim), np.full(dim, 2.0 * (1.0 - (0.5 + p) ** (1.0 / dim))), 0.5),
    ]
    for number, (density, shift, exact) in enumerate(cases):
        got = growth_by_sampling(density, shift, p, n, seed=number)
        assert abs(got.value - exact) <= got.error, density.name
        assert got.error <= 6.0 / math.sqrt(n), density.name


@pytest.mark.parametrize("density", MEMBERS, ids=_label)
@pytest.mark.parametrize("length", [0.1, 0.7])
def test_the_two_methods_agree(density: Density, length: float) -> None:
    """Grid and sampling share nothing but the density; their stated intervals overlap."""
    typical = float(np.median(np.abs(density.sample(2000, np.random.default_rng(0)))))
    for number, v in enumerate(directions(density.dim, "inf", seed=1).values()):
        shift = length * typical * v
        grid = growth_by_grid(density, shift, 0.1)
        sampled = growth_by_sampling(density, shift, 0.1, 60_000, seed=number)
        assert grid.lower <= sampled.upper and sampled.lower <= grid.upper


def test_units_of_the_noise() -> None:
    """Stretching noise and shift together changes nothing; stretching the noise alone lowers the growth."""
    v = np.array([0.3, -0.4])
    for family in DENSITIES:
        unit = growth(family, v, 0.2)
        wide = growth(family, 8.0 * v, 0.2, scale=8.0)
        far = growth(family, v, 0.2, scale=8.0)
        assert wide.value == pytest.approx(unit.value, abs=1e-12)
        assert far.upper < unit.lower


def test_directions_lie_on_the_sphere() -> None:
    """Every direction has norm 1 in the adversary's norm."""
    for adversary, order in ORDER.items():
        for dim in (1, 2, 7):
            for v in directions(dim, adversary, seed=dim, randoms=3).values():
                assert np.linalg.norm(v, order) == pytest.approx(1.0, abs=1e-12)


def test_heavy_tails_make_an_edge_worse_than_a_vertex() -> None:
    """Independent Cauchy noise against l1, ρ = 0.99: growth 1/2 along an axis, 0.632 on an edge.

    The oracle sees what a radius along a coordinate would miss, at the same l1 length 7.853.
    """

    def log(x: Array) -> Array:
        return -np.sum(np.log1p(x * x) + math.log(math.pi), axis=-1)

    def sample(n: int, g: np.random.Generator) -> Array:
        return g.standard_cauchy((n, 2))

    cauchy = Density("cauchy", 2, log, sample, lambda mass: 2.0 / mass, (0.0,), True)
    axis = growth_by_sampling(cauchy, np.array([7.853, 0.0]), 0.01, 400_000, seed=0)
    edge = growth_by_sampling(cauchy, np.array([3.9265, 3.9265]), 0.01, 400_000, seed=1)
    assert abs(axis.value - 0.500) <= axis.error <= 0.01
    assert abs(edge.value - 0.632) <= edge.error <= 0.01
