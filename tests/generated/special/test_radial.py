"""Numeric radial laws against laws and radii known in closed form or computed in many digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sc
import scipy.stats

from generated.special import NUMPY, GammaLaw, GreedySet, prepare
from generated.special.monotone import RadialDensity
from generated.special.radial import RadialLaw
from generated.special.thresholds import radial_curve
from tests.generated.special.line import Line

RHO = np.array(
    [
        0.5 + 2.0**-30,
        0.5 + 1e-5,
        0.51,
        0.6,
        0.75,
        0.9,
        0.99,
        0.999,
        1 - 1e-5,
        1 - 1e-8,
        1 - 1e-12,
        1 - 2.0**-50,
    ]
)
TIGHT = 1e-9


def power(k: float, j: float = 0.0) -> RadialDensity:
    """r**-j·exp(-r**k)."""
    return RadialDensity(lambda xp, r: k * r**k + j, lambda xp, r: k * (k - 1.0) * r**k - j)


def heavy(a: float) -> RadialDensity:
    """(1 + r)**-a."""
    return RadialDensity(lambda xp, r: r * a / (1.0 + r), lambda xp, r: -a * (r / (1.0 + r)) ** 2)


def student(nu: float) -> RadialDensity:
    return RadialDensity(
        lambda xp, r: (nu + 1.0) * r**2 / (nu + r**2),
        lambda xp, r: (nu + 1.0) * r**2 * (nu - r**2) / (nu + r**2) ** 2,
    )


def edge(k: float) -> RadialDensity:
    """(1 - r)**k on r < 1."""
    return RadialDensity(lambda xp, r: k * r / (1.0 - r), lambda xp, r: k * (r / (1.0 - r)) ** 2, bound=1.0)


def mixture(w: float, inner: float, outer: float) -> RadialDensity:
    """w·Normal(0, inner²) + (1-w)·Normal(0, outer²)."""
    u, v, odds = inner**-2.0, outer**-2.0, w / inner / ((1.0 - w) / outer)

    def share(xp: Any, r: Any) -> Any:
        weight = odds * xp.exp(-0.5 * (u - v) * r**2)
        return weight / (1.0 + weight)

    def bend(xp: Any, r: Any) -> Any:
        t = share(xp, r)
        return r**2 * (t * u + (1.0 - t) * v - (u - v) ** 2 * r**2 * t * (1.0 - t))

    return RadialDensity(lambda xp, r: r**2 * (v + (u - v) * share(xp, r)), bend)


LOGISTIC = RadialDensity(lambda xp, r: r * xp.tanh(0.5 * r), lambda xp, r: 0.5 * (r / xp.cosh(0.5 * r)) ** 2)
LAPLACE = RadialDensity(lambda xp, r: r, lambda xp, r: 0.0 * r)
CUT = RadialDensity(lambda xp, r: r, lambda xp, r: 0.0 * r, bound=2.0)
FLAT = RadialDensity(lambda xp, r: 0.0 * r, lambda xp, r: 0.0 * r, bound=1.0)
COSINE = RadialDensity(
    lambda xp, r: math.pi * r * xp.tan(0.5 * math.pi * r),
    lambda xp, r: 0.5 * (math.pi * r / xp.cos(0.5 * math.pi * r)) ** 2,
    bound=1.0,
)
HUBER = RadialDensity(
    lambda xp, r: xp.where(r <= 1.0, r * r, r), lambda xp, r: xp.where(r <= 1.0, r * r, 0.0 * r), (1.0,)
)
LOGNORMAL = RadialDensity(lambda xp, r: xp.log(r) / 0.25, lambda xp, r: (1.0 - xp.log(r)) / 0.25)
BUMP = RadialDensity(
    lambda xp, r: 2.0 * r**2 / (1.0 - r**2) ** 2,
    lambda xp, r: 2.0 * r**2 * (1.0 + 3.0 * r**2) / (1.0 - r**2) ** 3,
    bound=1.0,
)


def inverse(cdf: Callable[[Any], Any], low: Any, high: Any) -> Callable[[Any], Any]:
    """The quantile function of an even law on the line, as iid log-concave noise needs it."""

    def quantile(rho: Any) -> Any:
        a, b = mp.mpf(low), mp.mpf(high)
        for _ in range(190):
            middle = (a + b) / 2
            a, b = (middle, b) if cdf(middle) < rho else (a, middle)
        return (a + b) / 2

    return quantile


def huber_cdf(x: Any) -> Any:
    inner = mp.sqrt(mp.pi / 2) * mp.erf(min(x, 1) / mp.sqrt(2))
    tail = mp.exp(mp.mpf(-0.5)) * (1 - mp.exp(1 - max(x, 1)))
    whole = mp.sqrt(mp.pi / 2) * mp.erf(1 / mp.sqrt(2)) + mp.exp(mp.mpf(-0.5))
    return mp.mpf(0.5) + (inner + tail) / whole / 2


def pareto(a: int) -> Callable[[Any], Any]:
    """The closed form for (1 + |x|)**(-a-1)."""
    b = mp.mpf(a) / (a + 1)
    return lambda q: (2 * q - 1) / a * mp.hyp2f1(1, b, b + 1, (2 * q - 1) ** (1 + mp.mpf(1) / a))


CLOSED: dict[str, tuple[RadialDensity, float, float, Callable[[Any], Any]]] = {
    "laplace": (LAPLACE, 1.0, 0.5, lambda q: -mp.log(2 * (1 - q))),
    "exp_l1": (LAPLACE, 3072.0, 0.5, lambda q: -mp.log(2 * (1 - q))),
    "exp_l1_150528": (LAPLACE, 150528.0, 0.5, lambda q: -mp.log(2 * (1 - q))),
    "gaussian": (
        RadialDensity(lambda xp, r: r * r, lambda xp, r: r * r),
        1.0,
        0.5,
        lambda q: mp.sqrt(2) * mp.erfinv(2 * q - 1),
    ),
    "logistic": (LOGISTIC, 1.0, 0.5, lambda q: mp.log(q / (1 - q))),
    "cauchy": (student(1.0), 1.0, 0.5, lambda q: 2 * mp.atanh(mp.tan(mp.pi * (2 * q - 1) / 4))),
    "pareto": (heavy(3.0), 1.0, 0.5, pareto(2)),
    "linear": (edge(1.0), 1.0, 0.5, lambda q: 1 - mp.sqrt(2 * (1 - q))),
    "root": (edge(0.125), 1.0, 0.5, lambda q: 1 - (2 * (1 - q)) ** (mp.mpf(8) / 9)),
    "cosine": (COSINE, 1.0, 0.5, inverse(lambda x: mp.mpf(0.5) + (x + mp.sinpi(x) / mp.pi) / 2, 0, 1)),
    "huber": (HUBER, 1.0, 0.5, inverse(huber_cdf, 0, 60)),
    "cut": (CUT, 1.0, 0.5, lambda q: -mp.log(1 - (2 * q - 1) * (1 - mp.exp(-2)))),
    "cube": (FLAT, 1.0, 0.5, lambda q: 2 * q - 1),
    "cube_3072": (FLAT, 3072.0, 0.5, lambda q: (2 * q - 1) / 3072),
    "cube_150528": (FLAT, 150528.0, 0.5, lambda q: (2 * q - 1) / 150528),
}


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_radii_known_in_closed_form(name: str) -> None:
    density, exponent, weight, reference = CLOSED[name]
    values = radial_curve(weight, RadialLaw(density, exponent))(prepare(RHO))
    with mp.workdps(60):
        for rho, value in zip(RHO, values, strict=True):
            exact = reference(mp.mpf(float(rho)))
            assert exact * (1 - mp.mpf(TIGHT)) < mp.mpf(float(value)) <= exact, (rho, float(value), exact)


@pytest.mark.parametrize(
    ("k", "j", "exponent"),
    [(2.0, 0.0, 1.0), (3.0, 0.0, 1.0), (0.5, 0.0, 1.0), (0.1, 0.0, 1.0), (3.0, 2.0, 10.0), (2.0, 5.0, 3072.0)]
    + [(0.5, 7.0, 3072.0), (2.0, 0.0, 150528.0), (0.5, 0.0, 150528.0), (2.0, 100.0, 150528.0)],
)
@pytest.mark.parametrize("cone", [False, True])
def test_radii_of_powers_agree_with_the_gamma_law(k: float, j: float, exponent: float, cone: bool) -> None:
    weight = 0.5 / exponent if cone else 0.5
    terms = tuple(term for term in ((k, k - 1.0), (j, -1.0)) if term[0])
    gamma = GreedySet(weight, GammaLaw((exponent, -j) if j else (exponent,), 1.0, k), terms).curve()
    values = radial_curve(weight, RadialLaw(power(k, j), exponent))(prepare(RHO))
    expected = gamma(
        prepare(RHO)
    )  # both are bounds from below, and further apart at the last doubles below 1
    for near, share in ((RHO <= 1.0 - 1e-9, 3e-10), (RHO <= 1.0 - 1e-12, 1e-9), (RHO <= 1.0, 2e-9)):
        assert np.allclose(values[near], expected[near], rtol=share, atol=0.0)


@pytest.mark.parametrize(("dim", "a"), [(1, 3.0), (10, 20.0), (3072, 4000.0), (150528, 3e5)])
def test_growth_of_power_laws_by_the_beta_prime_law(dim: int, a: float) -> None:
    curve = radial_curve(0.5, RadialLaw(heavy(a), float(dim)))
    p = curve.p[1::50]
    p = p[p > 1e-15]
    t = sc.betaincinv(dim, a - dim, 2.0 * p)
    growth = 0.5 * (a - dim) * sc.betainc(dim, a + 1.0 - dim, t)
    ratio = curve.growth(p) / growth - 1.0
    assert np.all(ratio > -1e-11) and np.all(ratio < 1e-9)  # SciPy's own error is on both sides


def test_a_heavy_tail_by_quadrature() -> None:
    dim, a = 10, 20.0
    curve = radial_curve(0.5, RadialLaw(heavy(a), float(dim)))
    rho = np.array([0.6, 0.99, 1 - 1e-6])
    with mp.workdps(25):
        whole = mp.beta(dim, a - dim)
        for q, value in zip(rho, curve(prepare(rho)), strict=True):
            t = inverse(lambda t: mp.betainc(dim, a - dim, 0, t, regularized=True), 0, 1)(
                2 * (1 - mp.mpf(float(q)))
            )
            exact = mp.quad(
                lambda t: (
                    t ** (dim - 1)
                    * (1 - t) ** (a - dim - 1)
                    / ((a - dim) * mp.betainc(dim, a + 1 - dim, 0, t, regularized=True))
                ),
                [t, (t + 1) / 2, 1],
            )
            exact /= whole
            assert exact * (1 - mp.mpf(TIGHT)) < mp.mpf(float(value)) <= exact


def lines() -> dict[str, tuple[RadialDensity, Line, list[str]]]:
    tau = mp.mpf(0.25)
    return {
        "student": (
            student(3.0),
            Line(
                lambda r: 2 * mp.log(1 + r * r / 3),
                lambda r: 4 * r / (3 + r * r),
                lambda r: 4 * (3 - r * r) / (3 + r * r) ** 2,
                (mp.sqrt(3),),
            ),
            ["0.05", "1.1"],
        ),
        "lognormal": (
            LOGNORMAL,
            Line(
                lambda r: mp.log(r) ** 2 / (2 * tau) if r else mp.inf,
                lambda r: mp.log(r) / r / tau,
                lambda r: (1 - mp.log(r)) / r**2 / tau,
                (mp.mpf(1), mp.e),
            ),
            ["2"],
        ),
        "bump": (
            BUMP,
            Line(
                lambda r: 1 / (1 - r * r),
                lambda r: 2 * r / (1 - r * r) ** 2,
                lambda r: 2 * (1 + 3 * r * r) / (1 - r * r) ** 3,
                (),
                mp.mpf(1),
            ),
            ["0.3", "10", "100"],
        ),
    }


@pytest.mark.parametrize("name", ["student", "lognormal", "bump"])
def test_radii_of_several_pieces_in_many_digits(name: str) -> None:
    with mp.workdps(20):
        density, line, thresholds = lines()[name]
        curve = radial_curve(0.5, RadialLaw(density, 1.0))
        for c in thresholds:
            p, radius = line.radius(mp.mpf(c))
            rho = np.array([float(1 - p)])
            growth = line.growth(line.level_set(mp.mpf(c))) / line.whole() / 2
            exact = radius + (p - (1 - mp.mpf(float(rho[0])))) / growth  # where the float lies
            value = mp.mpf(float(curve(prepare(rho))[0]))
            assert exact * (1 - mp.mpf(TIGHT)) < value <= exact * (1 + mp.mpf("1e-15"))


def test_growth_of_a_mixture_by_duality() -> None:
    """Phi(p) ≤ c·p + E(S - c)₊ for every c: the curve's Phi lies under all of them and touches each."""
    w, s, t = 0.9, 1.0, 5.0
    law = RadialLaw(mixture(w, s, t), 1.0)
    curve = radial_curve(0.5, law)
    assert set(law.pieces.trend.tolist()) == {1, 0, -1}
    r = np.linspace(0.0, 60.0, 300_001)[1:]
    normal = scipy.stats.norm
    density = 2.0 * (w * normal.pdf(r, scale=s) + (1.0 - w) * normal.pdf(r, scale=t))
    score = np.asarray(law.density.steepness(NUMPY, r)) / r
    p = curve.p[(curve.p > 1e-6) & (curve.p < 0.5)][::7]
    phi = curve.growth(p)
    touch = np.full_like(p, np.inf)
    for c in curve.slope[:: curve.p.size // 150]:
        tangent = c * p + 0.5 * np.trapezoid(density * np.maximum(score - c, 0.0), r)
        assert np.all(phi <= tangent * (1.0 + 1e-7))
        touch = np.minimum(touch, tangent / phi - 1.0)
    assert touch.max() < 1e-3


def test_beyond_the_cone_the_growth_is_flat() -> None:
    """exp(-max|x|) against l1: R = d - 1 + log(1/(2d(1-rho))) beyond the mass of one cone."""
    dim = 64
    values = radial_curve(0.5 / dim, RadialLaw(LAPLACE, float(dim)))(prepare(RHO))
    with mp.workdps(40):
        for rho, value in zip(RHO, values, strict=True):
            fail = 1 - mp.mpf(float(rho))
            flat = 2 * dim * (mp.mpf(0.5) - max(fail, mp.mpf(1) / (2 * dim)))
            exact = flat + max(mp.log(1 / (2 * dim * fail)), 0)
            assert exact * (1 - mp.mpf(TIGHT)) < mp.mpf(float(value)) <= exact


def test_steps_only_lower_a_radius() -> None:
    """A slope hidden from the intervals leaves a radius that is sound and hardly smaller."""
    hidden = RadialDensity(lambda xp, r: r * r, lambda xp, r: r * r + 5.0 * (r**3 - r**3))
    values = radial_curve(0.5, RadialLaw(hidden, 1.0))(prepare(RHO))
    exact = sc.ndtri(RHO)
    assert np.all(values <= exact * (1 + 1e-13)) and np.all(values[2:] > exact[2:] * (1 - 1e-3))


def test_both_tails_of_the_law() -> None:
    law, shape = RadialLaw(power(2.0), 6.0), 3.0
    tails = np.array([1e-30, 1e-17, 1e-5, 0.3, 0.5])
    low, high = law.quantile(tails), law.upper_quantile(tails)
    assert np.allclose(sc.gammainc(shape, low**2), tails, rtol=1e-12, atol=0.0)
    assert np.allclose(sc.gammaincc(shape, high**2), tails, rtol=1e-12, atol=0.0)
    assert np.allclose(law.lower(0.0, low), tails, rtol=1e-12, atol=0.0)
    assert np.allclose(law.upper(0.0, high), tails, rtol=1e-12, atol=0.0)
    assert np.allclose(law.upper(2.0, high), sc.gammaincc(shape + 1.0, high**2), rtol=1e-12, atol=0.0)
    assert np.allclose(law.lower(1.0, low), sc.gammainc(shape + 0.5, low**2), rtol=1e-12, atol=0.0)
    far = np.array([0.0, 1e-300, 1e300, math.inf])
    assert np.all(law.lower(0.0, far)[[0, 2, 3]] == [0.0, 1.0, 1.0]) and np.all(
        law.upper(0.0, far)[2:] == 0.0
    )


def test_moments_and_edges() -> None:
    assert RadialLaw(power(2.0), 6.0).moment(2.0) == pytest.approx(3.0, rel=1e-13)
    assert RadialLaw(power(2.0), 150528.0).moment(2.0) == pytest.approx(75264.0, rel=1e-11)
    assert RadialLaw(student(3.0), 1.0).moment(2.0) == pytest.approx(3.0, rel=1e-12)
    assert RadialLaw(student(1.0), 1.0).moment(2.0) == math.inf
    assert RadialLaw(FLAT, 3072.0).edge_density == pytest.approx(3072.0, rel=1e-10)
    assert RadialLaw(CUT, 1.0).edge_density == pytest.approx(1.0 / math.expm1(2.0), rel=1e-11)
    assert RadialLaw(edge(1.0), 1.0).edge_density == 0.0 == RadialLaw(LAPLACE, 1.0).edge_density
    assert RadialLaw(edge(1.0), 1.0).mean_score() == pytest.approx(2.0, rel=1e-12)
    assert RadialLaw(student(1.0), 1.0).mean_score() == pytest.approx(2.0 / math.pi, rel=1e-12)


def test_the_law_near_a_finite_bound() -> None:
    law = RadialLaw(edge(1.0), 1.0)  # P(r ≥ x) = (1 - x)²
    r = 1.0 - 2.0 ** -np.arange(1.0, 40.0)
    assert np.allclose(law.upper(0.0, r), (1.0 - r) ** 2, rtol=1e-11, atol=0.0)
    assert np.all(law.upper(0.0, np.array([1.0, 1.5])) == 0.0) and np.all(
        law.lower(0.0, np.array([1.0, 2.0])) == 1.0
    )


REFUSED: dict[str, tuple[RadialDensity, float, str]] = {
    "a pole at 0": (power(1.0, 0.5), 1.0, "mean score is infinite"),
    "a pole at the bound": (edge(-0.5), 1.0, "mean score is infinite"),
    "a growing density": (RadialDensity(lambda xp, r: -r, lambda xp, r: 0.0 * r), 1.0, "not integrable"),
    "1/r": (RadialDensity(lambda xp, r: 1.0 + 0.0 * r, lambda xp, r: -1.0 + 0.0 * r), 1.0, "not integrable"),
    "a tail too heavy for floats": (heavy(1.01), 1.0, "range of floats"),
    "a radius too large for floats": (LOGNORMAL, 150528.0, "range of floats"),
    "a density without values": (
        RadialDensity(lambda xp, r: xp.log(-r), lambda xp, r: r),
        1.0,
        "no finite number",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
@pytest.mark.filterwarnings("error")
def test_refusals(name: str) -> None:
    density, exponent, reason = REFUSED[name]
    with pytest.raises(ValueError, match=reason):
        radial_curve(0.5, RadialLaw(density, exponent))


@pytest.mark.parametrize("weight", [0.0, 0.6, math.nan])
def test_weights_outside_the_half_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        radial_curve(weight, RadialLaw(LAPLACE, 1.0))


@pytest.mark.parametrize("exponent", [0.0, -1.0, math.nan, math.inf])
def test_exponents_must_be_positive(exponent: float) -> None:
    with pytest.raises(ValueError, match="exponent"):
        RadialLaw(LAPLACE, exponent)
