"""The curve of the uniform ball: its series against ball arithmetic, its lines and its curvature, its radii in many digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special as sc
from flint import arb, ctx

from generated.special.confidence import prepare
from generated.special.errors import UNIT
from generated.special.overlap import LARGEST, UNITS, ball_curve, share_within

DIMENSIONS = (1, 2, 3, 10, 64, 3072, 150528, 10**9 + 1, LARGEST)


def _within(half: arb, x: arb) -> tuple[arb, arb]:
    """(P(|X_1| ≤ x), density of |X_1| at x), by the hypergeometric function and the logarithms of gamma functions."""
    ratio = ((half + 1.5).lgamma() - (half + 1).lgamma()).exp()
    top = 2 * ratio / arb.pi().sqrt()
    inside = (x * x).hypgeom_2f1(-half, arb(0.5), arb(1.5))
    return top * x * inside, top * (half * (-x * x).log1p()).exp()


@pytest.mark.parametrize("dim", DIMENSIONS)
def test_the_series_keeps_its_error(dim: int) -> None:
    half = 0.5 * (dim - 1)
    end = math.sqrt(sc.betaincinv(0.5, half + 1.0, 0.5))
    x = end * np.concatenate([np.random.default_rng(1).random(40), [1e-9, 1e-3, 1.0]])
    share, density = share_within(half, x)
    before, ctx.prec = ctx.prec, 400
    try:
        for place, *found in zip(x, share, density, strict=True):
            for value, exact in zip(found, _within(arb(half), arb(float(place))), strict=True):
                assert abs(arb(float(value)) / exact - 1) < 0.5 * UNITS * UNIT, (dim, place)
    finally:
        ctx.prec = before


@pytest.mark.parametrize("dim", DIMENSIONS)
def test_never_above_the_exact_radius_and_close_to_it(dim: int) -> None:
    """R is certified exactly where P(|X_1| ≤ R/2) ≤ rho - 1/2."""
    rng = np.random.default_rng(dim)
    rho = np.concatenate(
        [0.5 + 10.0 ** rng.uniform(-15.6, -0.31, 60), 1.0 - 10.0 ** rng.uniform(-16.0, -0.31, 60)]
    )
    rho = np.concatenate([rho, [np.nextafter(0.5, 1.0), np.nextafter(1.0, 0.0), 1.0]])
    curve = ball_curve(dim, 3.0)
    half, radius = 0.5 * (dim - 1), curve(prepare(rho)) / 3.0
    before, ctx.prec = ctx.prec, 400
    try:
        for confidence, value in zip(rho, radius, strict=True):
            gap, there = arb(float(confidence)) - 0.5, arb(float(value)) / 2
            assert _within(arb(half), there)[0] <= gap, (dim, confidence)
            assert _within(arb(half), there * (1 + arb(2) ** -33))[0] >= gap, (dim, confidence)
    finally:
        ctx.prec = before


@pytest.mark.parametrize("dim", (2, 3, 64, 3072))
def test_slopes_and_curvature_are_those_of_the_growth(dim: int) -> None:
    """Phi' = m·x/(1 - x²) and what the curve takes for -Phi'' against differences of Phi over p; Phi is f/2."""
    half = 0.5 * (dim - 1)
    x = math.sqrt(sc.betaincinv(0.5, half + 1.0, 0.5)) * np.array([0.3, 0.9])
    step = 1e-4 * x
    for low, middle, high in zip(x - step, x, x + step, strict=True):
        share, density = share_within(half, np.array([low, middle, high]))
        p, phi = 0.5 - share, 0.5 * density
        slopes = np.diff(phi) / np.diff(p)
        slope = half * middle / (1.0 - middle**2)
        bend = half * (1.0 + middle**2) / (1.0 - middle**2) ** 2 / density[1]
        assert (phi[2] - phi[0]) / (p[2] - p[0]) == pytest.approx(slope, rel=1e-6)
        assert (slopes[1] - slopes[0]) * 2.0 / (p[2] - p[0]) == pytest.approx(-bend, rel=1e-3)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="up to dimension"):
        ball_curve(LARGEST + 1)
    with pytest.raises(ValueError, match="inner half"):
        share_within(1.0, np.array([0.9]))
