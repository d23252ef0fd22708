"""Differential l2 radii: a closed form, the Gaussian, the exact radius as a ceiling, and refusals."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special as sc

from generated.special.confidence import prepare
from generated.special.cosine import cosine_curve
from generated.special.levelset import level_set_curve
from generated.special.monotone import RadialDensity
from generated.special.tabulated import SLACK

Z = np.array([1e-3, 0.02, 0.25, 1.0, 2.33, 4.75, 7.0, 8.1])
RHO = 1.0 - sc.ndtr(-Z)
EXPONENTIAL = RadialDensity(lambda xp, r: r, lambda xp, r: 0.0 * r)
GAUSSIAN = RadialDensity(lambda xp, r: r * r, lambda xp, r: r * r)


def student(a: float) -> RadialDensity:
    """(1 + r**2)**-a: a score that rises and falls."""
    return RadialDensity(
        lambda xp, r: 2.0 * a * r * r / (1.0 + r * r),
        lambda xp, r: 2.0 * a * r * r * (1.0 - r * r) / (1.0 + r * r) ** 2,
    )


@pytest.mark.parametrize("dim", [2, 3, 10, 3072])
def test_exponential_has_a_closed_form(dim: int) -> None:
    """exp(-r): (d-1)·artanh of the Beta quantile, at 40 digits, from below."""
    got = cosine_curve(EXPONENTIAL, dim)(prepare(RHO))
    half = 0.5 * (dim - 1)
    with mpmath.workdps(40):
        for rho, value in zip(RHO, got, strict=True):
            u = mpmath.sqrt(sc.betaincinv(0.5, half, 2.0 * rho - 1.0))
            inside = mpmath.mpf(2.0 * rho - 1.0)
            for _ in range(4 if dim > 2 else 0):  # Newton on P(|A| < u) = 2 rho - 1
                miss = mpmath.betainc(0.5, half, 0, u * u, regularized=True) - inside
                u -= miss * mpmath.beta(0.5, half) / (2 * (1 - u * u) ** (mpmath.mpf(half) - 1))
            if dim == 2:  # an arc
                u = mpmath.sin(mpmath.pi * inside / 2)
            exact = (dim - 1) * mpmath.atanh(u)
            assert 1 - 2 * SLACK <= mpmath.mpf(float(value)) / exact <= 1, (dim, rho)


@pytest.mark.parametrize("dim", [2, 7, 784, 150528])
def test_gaussian(dim: int) -> None:
    """exp(-r**2/2) is the normal quantile in every dimension: the score is normal."""
    ratio = cosine_curve(GAUSSIAN, dim)(prepare(RHO)) / Z_EXACT
    assert ratio.max() <= 1.0 + 1e-15
    assert ratio.min() >= 1.0 - 2.0 * SLACK


Z_EXACT = -sc.ndtri(1.0 - RHO)


@pytest.mark.parametrize(("density", "dim"), [(student(4.0), 3), (student(800.0), 1500), (EXPONENTIAL, 64)])
def test_below_the_exact_radius_and_tangent_to_it(density: RadialDensity, dim: int) -> None:
    """The differential radius is a lower bound, tight for small shifts."""
    differential, exact = cosine_curve(density, dim), level_set_curve(density, dim)
    ratio = differential(prepare(RHO)) / exact(prepare(RHO))
    assert ratio.max() <= 1.0 + 1e-11
    assert ratio[0] >= 1.0 - 1e-5
    assert np.allclose(differential.growth(1.0 - RHO[:3]), exact.growth(1.0 - RHO[:3]), rtol=1e-2)


def test_growth_against_sums_of_the_score() -> None:
    """Phi(p) of (1 + r²)^-4 in dimension 3 by sorting the score on a grid of r and A (A is uniform there)."""
    t, w = np.polynomial.legendre.leggauss(4000)
    x = 12.0 * t  # log r
    mass = w * np.exp(3.0 * x - 4.0 * np.log1p(np.exp(2.0 * x)))
    score = 8.0 * np.exp(x) / (1.0 + np.exp(2.0 * x))
    a = (np.arange(2000) + 0.5) / 2000.0
    values = (score[:, None] * a[None, :]).ravel()
    weights = np.repeat(0.5 * mass / mass.sum() / a.size, a.size)
    order = np.argsort(values)[::-1]
    p, phi = np.cumsum(weights[order]), np.cumsum((weights * values)[order])
    table = cosine_curve(student(4.0), 3)
    for target in (0.4, 0.1, 0.01):
        assert float(table.growth(np.array([target]))[0]) == pytest.approx(
            np.interp(target, p, phi), rel=2e-4
        )


def test_refusals() -> None:
    flat = RadialDensity(lambda xp, r: 0.0 * r, lambda xp, r: 0.0 * r, bound=1.0)
    with pytest.raises(ValueError, match="jumps"):
        cosine_curve(flat, 3)
    with pytest.raises(ValueError, match="dimension of at least 2"):
        cosine_curve(GAUSSIAN, 1)
    pole = RadialDensity(lambda xp, r: 1.5 + r, lambda xp, r: -1.5 + 0.0 * r)
    with pytest.raises(ValueError, match="mean score is infinite"):
        cosine_curve(pole, 2)
