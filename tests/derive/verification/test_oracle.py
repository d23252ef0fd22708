"""The oracles themselves, on radii, growths and laws that are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from derive.formula import dim as dim_symbol
from derive.spec import Spec
from derive.verification.frontier import LineFrontier, bounds
from derive.verification.logdensity import log_density
from derive.verification.neyman import AxisGrowth, directions, exact_growth, radius_along, sampled_growth
from derive.verification.oracle import NoOracle, Oracle, _cosine
from derive.verification.shells import shell_growth

FAILS = np.array([0.5 - 2.0**-20, 0.4, 0.1, 0.01, 2.0**-20, 2.0**-40])
RHOS = 1.0 - FAILS


def oracle(density: str, geometry: str, dim: int, support: str = "") -> Oracle:
    """The oracle of a density without parameters."""
    spec = Spec("some_density", density, geometry, support)
    return Oracle(spec.expression, geometry, spec.bound, {dim_symbol: sp.Integer(dim)})


KNOWN = [
    ("exp(-r**2/2)", "product", 3, "", "1", stats.norm.isf(FAILS)),
    ("exp(-r**2/2)", "l2", 5, "", "2", stats.norm.isf(FAILS)),
    ("exp(-r)", "product", 2, "", "1", -np.log(2.0 * FAILS)),
    ("exp(-r)", "l1", 6, "", "1", -np.log(2.0 * FAILS)),
    ("exp(-r)", "linf", 3072, "", "inf", -np.log(2.0 * FAILS)),
    ("1", "product", 4, "r<=1", "1", 1.0 - 2.0 * FAILS),
    ("exp(-r)/(1+exp(-r))**2", "product", 2, "", "1", np.log1p(1.0 - 2.0 * FAILS) - np.log1p(-(1.0 - 2.0 * FAILS))),
    ("1-r", "product", 2, "r<=1", "1", -np.expm1(0.5 * np.log(2.0 * FAILS))),
    (
        "exp(-r)", "linf", 10, "", "1",
        20.0 * np.minimum(0.5 - FAILS, 0.45) - np.log(np.minimum(20.0 * FAILS, 1.0)),
    ),
    (
        "1/(1+r**2)", "product", 2, "", "1",  # artanh(tan(x)) = ½ log(tan(x + pi/4)/tan(pi/4 - x))
        np.log1p(2.0 * np.tan(np.pi * (0.5 - FAILS) / 2) / (1.0 - np.tan(np.pi * (0.5 - FAILS) / 2))),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "density, geometry, dim, support, adversary, radii", KNOWN, ids=lambda v: str(v)[:24]
)
def test_differential_radii_of_known_densities(
    density: str, geometry: str, dim: int, support: str, adversary: str, radii: np.ndarray
) -> None:
    """Within the stated error, and that is small; monotone, flat, jumping, two-sided and heavy-tailed scores."""
    found = oracle(density, geometry, dim, support).differential(adversary, FAILS.tolist())
    for fail, measured, known in zip(FAILS, found, radii, strict=True):
        reference = 1e-13 + (
            1e-16 / fail if density.startswith("1/(1+r**2)") else 0.0
        )  # of the closed form in floats
        assert abs(measured.value - known) <= measured.error + reference * known
        assert measured.error <= 3e-12 * known


def test_uniform_ball_is_a_jump() -> None:
    """Phi = d·E[A; A > 0] for every p, the surface mass of half the sphere; E[A; A > 0] = Γ(d/2)/(2·sqrt(pi)·Γ((d+1)/2))."""
    dim = 64
    found = oracle("1", "l2", dim, "r<=1").differential("2", [0.1])[0]
    positive_part = math.exp(math.lgamma(dim / 2) - math.lgamma((dim + 1) / 2)) / (2.0 * math.sqrt(math.pi))
    assert found.value == pytest.approx(0.4 / (dim * positive_part), rel=1e-11)


def test_binomial_score_at_dimension_two() -> None:
    """Laplace against linf, d = 2: A = 2 with probability 1/4, so Phi = 2p up to 1/4 and 1/2 beyond."""
    found = oracle("exp(-r)", "product", 2).differential("inf", [0.3, 0.1])
    assert found[0].value == pytest.approx(0.4, rel=1e-12)
    assert found[1].value == pytest.approx(0.5 + 0.5 * math.log(2.5), rel=1e-12)


def test_the_cosine_law_agrees_with_the_coordinate() -> None:
    """Gaussian noise seen as a function of the l2 norm has the radius of one coordinate."""
    found = _cosine(oracle("exp(-r**2/2)", "l2", 32).law, 32, [0.4, 0.01])
    for measured, fail in zip(found, (0.4, 0.01), strict=True):
        assert measured.value == pytest.approx(float(stats.norm.isf(fail)), rel=1e-11)


def test_views_are_found_by_values() -> None:
    """A product that is a function of a norm, and no other."""
    assert set(oracle("exp(-r**2/2)", "product", 3).views) == {"product", "l2"}
    assert set(oracle("exp(-r)", "product", 3).views) == {"product", "l1"}
    assert set(oracle("1", "product", 3, "r<=1").views) == {"product", "linf"}
    assert set(oracle("exp(-r)", "product", 3, "r<=2").views) == {"product"}
    assert set(oracle("1/(1+r**2)", "product", 3).views) == {"product"}


def test_no_reduction_is_said() -> None:
    with pytest.raises(NoOracle, match="no reduction"):
        oracle("exp(-r**2)", "product", 3).differential("inf", [0.1])


@pytest.mark.parametrize(
    "density, support",
    [
        ("exp(-r**2/2)+exp(-r**2/8)/2", ""),
        ("(1+r**2/3)**(-2)", ""),
        ("exp(-sqrt(1+r**2))", ""),
        ("sech(r)", ""),
        ("r**2*exp(-r)", ""),
        ("1+cos(pi*r)", "r<=1"),
        ("exp(-1/(1-r**2))", "r<=1"),
        ("exp(-max(r,r**2)-abs(r-3))", ""),
        ("erfc(r)*tanh(r)", ""),
    ],
)
def test_log_density_and_slope(density: str, support: str) -> None:
    """Against SymPy at 30 digits, by central differences for the slope."""
    spec = Spec("some_density", density, "product", support)
    function = log_density(spec.expression, {}, spec.bound)
    r = sp.Symbol("r", positive=True)
    for point in (sp.Rational(1, 9), sp.Rational(4, 7), sp.Rational(19, 20)):
        value, slope = function(np.array([math.log(point)]))
        exact = sp.log(sp.sympify(spec.expression)).subs(r, point)
        step = sp.Rational(1, 10**8)
        ends = [sp.N(sp.log(spec.expression).subs(r, point * (1 + s * step)), 40) for s in (1, -1)]
        assert value[0] == pytest.approx(float(sp.N(exact, 30)), abs=1e-13, rel=1e-13)
        assert slope[0] == pytest.approx(float((ends[0] - ends[1]) / (2 * step)), abs=1e-10, rel=1e-10)


def test_log_density_reaches_far_into_tails() -> None:
    """Sums of exponentials and powers keep their logarithm where they underflow, and vanish outside the support."""
    mixture = log_density(Spec("x", "exp(-r**2/2)+exp(-r**2/8)/2", "product").expression, {}, None)
    value, slope = mixture(np.log(np.array([200.0])))
    assert value[0] == pytest.approx(-5000.0 - math.log(2.0), rel=1e-14) and slope[0] == pytest.approx(-1e4)
    power = log_density(Spec("x", "(1+r)**(-4000)", "linf").expression, {}, None)
    assert power(np.array([500.0]))[0][0] == pytest.approx(-2e6)
    inside = log_density(Spec("x", "1-r", "product", "r<=1").expression, {}, sp.Integer(1))
    assert np.all(inside.at(np.array([1.5, 2.0])) == -np.inf)


def test_frontier_sides_enclose_a_known_growth() -> None:
    """Chord and tangent meet at the Gaussian's Phi(p), deep into the tail."""
    frontier = oracle("exp(-r**2/2)", "product", 1).law.frontier
    p = np.array([0.9, 0.2, 1e-3, 1e-9, 1e-13])
    low, high = bounds(frontier, p)
    exact = 2.0 * stats.norm.pdf(stats.norm.isf(0.5 * p))
    assert np.all(low <= exact * (1.0 + 1e-12)) and np.all(high >= exact * (1.0 - 1e-12))
    assert np.all(high - low <= 1e-12 * exact)


def test_frontier_of_a_jumping_ratio_refuses_nothing() -> None:
    """Two plateaus: Phi is a polygon with a corner at p = 1/2."""

    def measures(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(x), np.where(x < 0.5, math.log(1.5), math.log(0.5))

    frontier = LineFrontier.build(measures, np.linspace(0.0, 1.0, 4))
    low, high = bounds(frontier, np.array([0.25, 0.5, 0.75, 1.0]))
    exact = np.array([0.375, 0.75, 0.875, 1.0])
    assert low == pytest.approx(exact, rel=1e-10) and high == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("fail", [0.4, 0.01])
@pytest.mark.parametrize(
    "density, support",
    [("exp(-r**2/2)", ""), ("exp(-r)", ""), ("1-r", "r<=1"), ("exp(-r)", "r<=2"), ("1", "r<=1")],
)
def test_axis_radius_equals_the_differential_one_for_log_concave_noise(
    density: str, support: str, fail: float
) -> None:
    """Both are the quantile of a coordinate; truncation adds a jump to one and free mass to the other."""
    subject = oracle(density, "product", 2, support)
    differential = subject.differential("1", [fail])[0]
    axis = radius_along(AxisGrowth(subject.law), fail, differential.value, 1e-11)
    assert axis.value == pytest.approx(differential.value, rel=1e-10)


def test_the_trap_of_heavy_tails() -> None:
    """Cauchy, rho = .99: 7.853 along an axis, where the diagonal grows to .632; the differential radius breaks nowhere."""
    subject = oracle("1/(1+r**2)", "product", 2)
    axis = radius_along(AxisGrowth(subject.law), 0.01, 7.8, 1e-4)
    assert axis.value == pytest.approx(7.853, abs=1e-3)
    x = np.random.default_rng(0).standard_cauchy((200_000, 2))
    along = dict(directions(2, "1"))
    growth, margin = sampled_growth(subject, x, axis.value * along["the diagonal"], 0.01)
    assert growth - margin > 0.5
    sound = subject.differential("1", [0.01])[0].value
    for v in along.values():
        growth, margin = sampled_growth(subject, x, sound * v, 0.01)
        assert growth <= 0.5 + margin


SHELLS = [
    ("exp(-r**2)", "linf", "inf", 10, "", 0.7595),
    ("exp(-sqrt(r))", "linf", "inf", 10, "", 159.06),
    ("(1+r)**(-20)", "linf", "inf", 10, "", 0.4098),
    ("1", "linf", "inf", 10, "r<=1", 2.0 * (1.0 - 0.51**0.1)),
    ("exp(-r)", "l1", "1", 5, "", math.log(50.0)),
    ("1", "l2", "2", 64, "r<=1", 2.0 - 4.0 * float(stats.beta.ppf(0.255, 32.5, 32.5))),
]


@pytest.mark.parametrize(
    "density, geometry, adversary, dim, support, radius", SHELLS, ids=lambda v: str(v)[:16]
)
def test_neyman_pearson_radii_of_shells(
    density: str, geometry: str, adversary: str, dim: int, support: str, radius: float
) -> None:
    """Published values at rho = .99 (four digits) and closed forms: the growth passes 1/2 there."""
    growth = shell_growth(oracle(density, geometry, dim, support).law, geometry, adversary, dim)
    assert growth(0.01, radius * (1.0 - 5e-4)).value < 0.5 < growth(0.01, radius * (1.0 + 5e-4)).value + 1e-8


@pytest.mark.parametrize("dim", [2, 16, 3072])
def test_cap_growth_of_the_gaussian(dim: int) -> None:
    """G(p, e) = Φ(Φ⁻¹(p) + e) in every dimension."""
    growth = shell_growth(oracle("exp(-r**2/2)", "l2", dim).law, "l2", "2", dim)
    for p, e in ((0.1, 0.7), (0.01, 2.0)):
        found = growth(p, e)
        assert abs(found.value - stats.norm.cdf(stats.norm.ppf(p) + e)) <= found.error <= 2e-8


@pytest.mark.parametrize(
    "density, support", [("1-r**2", "r<=1"), ("exp(-r)", ""), ("exp(-1/(1-r**2))", "r<=1")]
)
def test_radii_of_level_sets_close_to_the_edge(density: str, support: str) -> None:
    """psi and its inverse, as far as the last digits of 1 - r and out to the tail of the law."""
    growth = shell_growth(oracle(density, "l2", 64, support).law, "l2", "2", 64)
    u = np.log1p(-np.geomspace(1e-9, 0.5, 40)) if support else np.linspace(-3.0, 5.5, 40)
    psi = -growth.law.density(u)[0]
    assert growth._inverse(psi, True) == pytest.approx(u, abs=1e-13, rel=1e-9)
    assert growth._inverse(psi, False) == pytest.approx(u, abs=1e-13, rel=1e-9)


def test_shells_need_unimodal_densities() -> None:
    growth = shell_growth(oracle("r**2*exp(-r)", "l2", 16).law, "l2", "2", 16)
    with pytest.raises(NoOracle, match="unimodal"):
        growth(0.1, 0.5)


def test_exact_growth_names_what_it_lacks() -> None:
    with pytest.raises(NoOracle, match="no exact growth"):
        exact_growth(oracle("exp(-r**3)", "product", 4), "2")


@pytest.mark.parametrize(
    "density, support, second, law",
    [
        ("exp(-r)", "", 2.0, stats.expon()),
        ("1/(1+r**2)", "", math.inf, stats.halfcauchy()),
        ("(1+r)**(-4)", "", 1.0, stats.lomax(3)),
        ("1-r", "r<=1", 1.0 / 6.0, stats.beta(1, 2)),
    ],
)
def test_radial_law(density: str, support: str, second: float, law: object) -> None:
    """Distribution function and second moment, infinite where the tail says so."""
    found = oracle(density, "product", 1, support).law
    assert found.moment(2.0) == pytest.approx(second, rel=1e-10)
    r = np.array([0.01, 0.3, 0.7, 0.99, 4.0])
    assert found.cdf(r) == pytest.approx(law.cdf(r), abs=1e-6)  # type: ignore[attr-defined]
