"""Enclosures of differential radii of radial densities, against closed forms, the Gamma-law enclosure and plain quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx
from scipy import integrate, optimize

from derive.enclosure.ball import exact, hull
from derive.enclosure.cone import BallCone, ConeEnclosure
from derive.enclosure.panels import cone_ball
from derive.enclosure.pieces import cut
from derive.enclosure.radial import RadialDensity
from derive.formula import Mixture, r

ONE = sp.Integer(1)
HALF = sp.Rational(1, 2)
FAILS = (sp.Rational(1, 4), sp.Rational(1, 100), sp.Rational(1, 10**6), sp.Rational(1, 10**12))
HUBER = sp.Min(r, 1) * (r - sp.Min(r, 1) / 2)


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    before = ctx.prec
    ctx.prec = 192
    yield
    ctx.prec = before


def _radius(
    psi: sp.Expr, fail: sp.Rational, m: int = 1, weight: sp.Rational = HALF, **options: object
) -> arb:
    density = RadialDensity(psi, sp.Integer(m), **options)  # type: ignore[arg-type]
    return cone_ball(density, weight, exact(fail))


def _narrow(ball: arb, width: float = 1e-12) -> bool:
    return bool(ball.rad() <= arb(width) * abs(ball))


CLOSED: dict[str, tuple[sp.Expr, sp.Expr | None, Callable[[arb], arb]]] = {
    "laplace": (r, None, lambda p: -(2 * p).log()),
    "logistic": (r + 2 * sp.log(1 + sp.exp(-r)), None, lambda p: ((1 - p) / p).log()),
    "gaussian": (r**2 / 2, None, lambda p: (1 - 2 * p).erfinv() * arb(2).sqrt()),
    "sech": (sp.log(sp.cosh(r)), None, lambda p: -((arb.pi() * p / 2).tan().log())),
    "triangle": (-sp.log(1 - r), ONE, lambda p: 1 - (2 * p).sqrt()),
    "uniform": (sp.Integer(0), ONE, lambda p: 1 - 2 * p),
    "epanechnikov at 1/3": (
        -sp.log(1 - 9 * r**2),
        sp.Rational(1, 3),
        lambda p: 2 * ((1 - 2 * p).asin() / 3).sin() / 3,
    ),
    "pareto": (3 * sp.log(1 + r), None, lambda p: _pareto(p)),
    "cauchy": (sp.log(1 + r**2), None, lambda p: 2 * (arb.pi() * (1 - 2 * p) / 4).tan().atanh()),
}


def _pareto(p: arb) -> arb:
    """(2 rho - 1)/2 · 2F1(1, 2/3; 5/3; (2 rho - 1)**(3/2)), MATH.md section 4 at a = 2."""
    x = 1 - 2 * p
    return x / 2 * (x * x.sqrt()).hypgeom_2f1(arb(1), arb(2) / 3, arb(5) / 3)


@pytest.mark.parametrize("name", list(CLOSED))
def test_closed_forms(name: str) -> None:
    psi, bound, closed = CLOSED[name]
    for fail in FAILS[1:3] if name == "cauchy" else FAILS:
        found, wanted = _radius(psi, fail, bound=bound), closed(exact(fail))
        assert _narrow(found), (name, fail, found)
        assert found.overlaps(wanted), (name, fail, found, wanted)


@pytest.mark.parametrize(
    ("k", "m"),
    [(sp.Integer(2), 2), (HALF, 7), (sp.Integer(3), 64), (sp.Rational(3, 2), 3072), (sp.Integer(2), 150528)],
)
def test_gamma_laws_have_the_radii_of_the_gamma_enclosure(k: sp.Rational, m: int) -> None:
    cone = BallCone(HALF, sp.Integer(m) / k, ONE, k, ((k, k - 1),))
    for fail in FAILS[1:]:
        found, wanted = _radius(r**k, fail, m), ConeEnclosure(cone).radius(exact(fail))
        assert _narrow(found, 1e-14)
        assert found.overlaps(wanted), (k, m, fail)


@pytest.mark.parametrize("m", [1, 10, 3072])
def test_a_cone_of_small_probability_has_a_second_branch(m: int) -> None:
    """e^-r with A = ±1 with probability 1/(2m) each: m - 1 + log(1/(2m(1-rho))) beyond 1 - 1/(2m), and linear before."""
    weight = sp.Rational(1, 2 * m)
    for fail in FAILS:
        found = _radius(r, fail, m, weight)
        p = exact(fail)
        wanted = arb(m) - 1 - (2 * m * p).log() if bool(p < exact(weight)) else 2 * m * (arb(1) / 2 - p)
        assert _narrow(found, 1e-14)
        assert found.overlaps(wanted)


def _by_quadrature(psi: sp.Expr, fail: float, reach: float) -> float:
    """R in floats for m = 1 from a fine grid in r, pieces found by sorting the scores: an independent, approximate way."""
    value, score = sp.lambdify(r, psi, "numpy"), sp.lambdify(r, sp.diff(psi, r), "numpy")
    edges = np.concatenate([[0.0], np.geomspace(1e-9, reach, 2_000_000)])
    centres = 0.5 * (edges[1:] + edges[:-1])
    mass = np.exp(-value(centres)) * np.diff(edges)
    mass /= mass.sum()
    s = np.abs(score(centres)) + 0 * centres
    order = np.argsort(-s)
    p, phi = 0.5 * np.cumsum(mass[order]), 0.5 * np.cumsum((mass * s)[order])
    inside = p >= fail
    return float(np.sum(0.5 * mass[order][inside] / phi[inside]))


FOLDED = {
    "student": (2 * sp.log(1 + r**2 / 3), 1e7),
    "scale mixture": (-sp.log(sp.exp(-(r**2) / 2) + sp.exp(-(r**2) / 8) / 2), 35.0),
    "gaussian-laplace": (-sp.log(sp.exp(-(r**2) / 2) + sp.exp(-r)), 35.0),
    "log-normal": (sp.log(r) ** 2 / 2, 1e7),
    "waved": (r + r**2 * sp.exp(-r), 60.0),
}


@pytest.mark.parametrize("name", list(FOLDED))
def test_greedy_sets_of_several_intervals(name: str) -> None:
    psi, reach = FOLDED[name]
    found = _radius(psi, sp.Rational(1, 100))
    assert _narrow(found)
    assert float(found) == pytest.approx(_by_quadrature(psi, 0.01, reach), rel=2e-4)


def test_mixtures_kept_whole_give_the_same_balls() -> None:
    written, _ = FOLDED["scale mixture"]
    whole = Mixture(r**2 / 2, r**2 / 8 + sp.log(2))
    assert _radius(written, FAILS[1]).overlaps(_radius(whole, FAILS[1]))


def test_every_confidence_comes_from_the_convex_radius() -> None:
    """R is convex in rho with slope 1/Phi(1 - rho), however the fractions fall into sweeps."""
    psi, _ = FOLDED["scale mixture"]
    fails = [sp.Rational(1, 10) / 4**n for n in range(7)]
    radii = [_radius(psi, fail) for fail in fails]
    slopes = [(radii[n + 1] - radii[n]) / exact(fails[n] - fails[n + 1]) for n in range(6)]
    assert all(bool(a < b) for a, b in zip(slopes, slopes[1:], strict=False))


def test_kinks_and_jumps() -> None:
    """Huber-type psi and a cut Laplace density, both with flat scores, against their integrals."""
    for fail in FAILS:
        p = exact(fail)
        jump = _radius(r, fail, bound=ONE)  # Phi = 1/2·density of r at the bound + p
        edge = 1 / (arb(1).exp() - 1)
        assert jump.overlaps(((1 + edge) / (2 * p + edge)).log())
        assert _narrow(jump, 1e-14)
    tail = _radius(HUBER, sp.Rational(1, 10**6), kinks=(ONE,))
    inner = math.sqrt(math.pi / 2) * math.erf(math.sqrt(0.5))
    total = inner + math.exp(-0.5)
    quantile = 0.5 - math.log(2e-6 * total)  # log-concave with m = 1: the radius is the quantile
    assert float(tail) == pytest.approx(quantile, rel=1e-12)


def test_log_concave_products_have_their_quantile_as_radius() -> None:
    psi = sp.sqrt(1 + r**2)
    total = integrate.quad(lambda x: math.exp(-math.sqrt(1 + x * x)), 0, 60, epsabs=0, epsrel=1e-12)[0]

    def excess(q: float) -> float:
        return (
            integrate.quad(lambda x: math.exp(-math.sqrt(1 + x * x)), q, q + 60, epsabs=0, epsrel=1e-12)[0]
            / total
            - 0.02
        )

    found = _radius(psi, sp.Rational(1, 100))
    assert float(found) == pytest.approx(optimize.brentq(excess, 0, 30, xtol=1e-13), rel=1e-10)


def test_log_convex_products_have_the_integral_of_math_md() -> None:
    """R = int_c0^oo dc/(e**(phi(c)-phi(0)) - 1) with P(|X| ≤ c0) = 2(1 - rho), for sqrt(r)."""
    fail = sp.Rational(1, 100)
    with mpmath.workdps(30):
        start = mpmath.findroot(lambda y: 1 - (1 + y) * mpmath.exp(-y) - mpmath.mpf(2) / 100, 0.2) ** 2
        wanted = mpmath.quad(lambda y: 2 * y / mpmath.expm1(y), [mpmath.sqrt(start), 5, 20, 90])
    found = _radius(sp.sqrt(r), fail)
    assert float(found) == pytest.approx(float(wanted), rel=1e-14)
    assert _narrow(found)


@pytest.mark.parametrize(
    ("psi", "m", "words"),
    [
        (sp.log(r) / 2, 1, "mean score|integrable|bounded"),
        (sp.log(1 + r) / 2, 1, "bounded|integrable"),
        (r + sp.sin(r) / 2, 1, "monotone"),
        (1 / r, 1, "bounded|integrable"),
    ],
)
def test_what_is_not_proved_is_refused(psi: sp.Expr, m: int, words: str) -> None:
    with pytest.raises(ArithmeticError, match=words):
        _radius(psi, sp.Rational(1, 100), m)


def test_numbers_outside_the_domain_are_refused() -> None:
    for weight, fail in ((ONE, sp.Rational(1, 100)), (HALF, HALF), (HALF, sp.Integer(0))):
        with pytest.raises(ValueError, match="must be in"):
            _radius(r, fail, weight=weight)


def test_pieces_meet_and_cover_the_line() -> None:
    ctx.prec = 256
    found = cut(RadialDensity(FOLDED["log-normal"][0], ONE), 80)
    assert [(p.sign, p.direction) for p in found.pieces] == [(-1, -1), (1, 1), (1, -1)]
    assert all(a.high is b.low for a, b in zip(found.pieces, found.pieces[1:], strict=False))
    assert bool(found.tail_mass < found.size * arb(2) ** -75)
    assert hull(found.pieces[0].high, found.pieces[0].high).contains(0)
