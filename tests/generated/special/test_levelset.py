"""Exact l2 radii: against closed forms, a table of reference values, scaling, and refusals."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special as sc

from generated.special.confidence import prepare
from generated.special.levelset import BOUNDED_SLACK, level_set_curve
from generated.special.monotone import RadialDensity
from generated.special.tabulated import SLACK, Tabulated

TABLE = Path(__file__).resolve().parents[4] / "shared" / "peers" / "reference_radii.json"
TOLERANCE = Fraction(1, 10**9)
Z = np.array([1e-3, 0.02, 0.25, 1.0, 2.33, 4.75, 7.0, 8.1])


def exponential(k: float, j: float = 0.0) -> RadialDensity:
    """r**-j·exp(-r**k)."""
    return RadialDensity(lambda xp, r: j + k * r**k, lambda xp, r: k * (k - 1.0) * r**k - j)


def power(k: float, a: float) -> RadialDensity:
    """(1 + r**k)**-a."""
    return RadialDensity(
        lambda xp, r: (a * k) / (1.0 + r ** (-k)),
        lambda xp, r: a * k * ((k - 1.0) - r**k) / (1.0 + r**k) ** 2 * r**k,
    )


HYPERBOLIC = RadialDensity(
    lambda xp, r: r * r / xp.sqrt(1.0 + r * r), lambda xp, r: r * r / xp.sqrt(1.0 + r * r) ** 3
)
FLAT = RadialDensity(lambda xp, r: 0.0 * r, lambda xp, r: 0.0 * r, bound=3.0)


@cache
def curve(family: str, dim: int, parameters: tuple[tuple[str, float], ...]) -> Tabulated:
    given = dict(parameters)
    density = {
        "exp_l2": lambda: exponential(given["k"], given["j"]),
        "pow_l2": lambda: power(given["k"], given["a"]),
        "(new) hyperbolic_l2": lambda: HYPERBOLIC,
    }[family]()
    return level_set_curve(density, dim)


def value(table: Tabulated, rho: float) -> float:
    return float(table(prepare(np.array([rho])))[0])


def rows() -> list[dict[str, Any]]:
    if not TABLE.exists():
        return []
    cases = json.loads(TABLE.read_text(encoding="utf-8"))["cases"]
    known = ("exp_l2", "pow_l2", "(new) hyperbolic_l2")
    return [
        c
        for c in cases
        if c["family"] in known and c["adversary"] == "2" and c["method"] == "level set, tight"
    ]


@pytest.mark.skipif(not rows(), reason=f"the table {TABLE.name} lies outside the repository")
def test_reference_values_from_below() -> None:
    """Every level-set row: at most the reference, and within 1e-9 of it but for what R grows from the double to rho."""
    assert len(rows()) >= 70
    for row in rows():
        parameters = tuple((n, float(v)) for n, v in sorted(row["params"].items()))
        table = curve(row["family"], row["dim"], parameters)
        rho = float(row["rho"])
        if Fraction(rho) > Fraction(row["rho"]):
            rho = math.nextafter(rho, 0.0)
        got, reference = value(table, rho), Fraction(row["radius"])
        step = (1.0 - rho) / 4.0
        growth = Fraction((value(table, rho + step) - got) / step) * (Fraction(row["rho"]) - Fraction(rho))
        assert Fraction(got) <= reference, row
        assert Fraction(got) >= reference * (1 - TOLERANCE) - growth, row


@pytest.mark.parametrize("dim", [1, 2, 3, 17, 784, 150528])
def test_gaussian(dim: int) -> None:
    """exp(-r**2): the normal quantile over sqrt(2), in every dimension, from below."""
    table = level_set_curve(exponential(2.0), dim)
    rho = 1.0 - sc.ndtr(-Z)
    with mpmath.workdps(40):
        exact = [mpmath.erfinv(2 * mpmath.mpf(float(x)) - 1) for x in rho]
        ratio = [float(mpmath.mpf(float(g)) / e) for g, e in zip(table(prepare(rho)), exact, strict=True)]
    assert max(ratio) <= 1.0
    assert min(ratio) >= 1.0 - 2.0 * SLACK


def test_laplace_in_one_dimension() -> None:
    """exp(-|x|): -log(2(1 - rho)); all likelihood ratios beyond one point are equal there."""
    table = level_set_curve(exponential(1.0), 1)
    rho = 1.0 - sc.ndtr(-Z)
    ratio = table(prepare(rho)) / -np.log1p(1.0 - 2.0 * rho)
    assert ratio.max() <= 1.0
    assert ratio.min() >= 1.0 - 2.0 * SLACK


@pytest.mark.parametrize("dim", [2, 3, 64])
def test_uniform_ball(dim: int) -> None:
    """The overlap of two balls; rho = 1 gives the distance at which half of the volume is lost."""
    table = level_set_curve(FLAT, dim)
    rho = 1.0 - sc.ndtr(-Z)
    exact = 2.0 * 3.0 * np.sqrt(sc.betaincinv(0.5, 0.5 * (dim + 1), rho - 0.5))
    ratio = table(prepare(rho)) / exact
    assert ratio.max() <= 1.0
    assert ratio.min() >= 1.0 - 2.0 * BOUNDED_SLACK
    limit = 6.0 * math.sqrt(sc.betaincinv(0.5, 0.5 * (dim + 1), 0.5))
    assert limit * (1.0 - 2.0 * BOUNDED_SLACK) <= value(table, 1.0) <= limit


def _brute(psi: Any, bound: float, dim: int, e: float) -> float:
    """1 - rho at distance e, by sums over a fine polar grid: the likelihood ratio sorted."""
    n, m = 3000, 1500
    angle, weight = np.polynomial.legendre.leggauss(m)
    theta = 0.5 * math.pi * (angle + 1.0)
    top = bound if math.isfinite(bound) else 9.0
    node, mass = np.polynomial.legendre.leggauss(n)
    r = 0.5 * top * (node + 1.0)
    q = (mass * r ** (dim - 1) * np.exp(-psi(r)))[:, None] * (weight * np.sin(theta) ** (dim - 2))[None, :]
    q /= q.sum()
    cosine = np.cos(theta)[None, :]
    far = np.sqrt(r[:, None] ** 2 + e * e - 2.0 * e * r[:, None] * cosine)
    beside = np.sqrt(r[:, None] ** 2 + e * e + 2.0 * e * r[:, None] * cosine)
    here = psi(r)[:, None]
    with np.errstate(all="ignore"):
        small = np.where(far < bound, here - psi(np.minimum(far, bound)), -np.inf)  # log q_v/q under q
        big = np.where(beside < bound, psi(np.minimum(beside, bound)) - here, np.inf)  # and under q_v
    order = np.argsort(big, axis=None)[::-1]
    threshold = big.ravel()[order][np.searchsorted(np.cumsum(q.ravel()[order]), 0.5)]
    return float(q[small > threshold].sum())


@pytest.mark.parametrize(
    ("density", "psi", "dim", "scale"),
    [
        (power(2.0, 4.0), lambda r: 4.0 * np.log1p(r**2), 4, 1.0),
        (HYPERBOLIC, lambda r: np.sqrt(1.0 + r * r), 2, 1.0),
    ],
)
def test_against_a_polar_grid(density: RadialDensity, psi: Any, dim: int, scale: float) -> None:
    """Coarse (1e-3) but independent: no caps, no level pairs, no inverse."""
    table = level_set_curve(density, dim)
    for e in (0.3 * scale, scale):
        fail = _brute(psi, density.bound, dim, e)
        assert value(table, 1.0 - fail) == pytest.approx(e, rel=4e-3)


def test_huber_with_a_kink() -> None:
    """psi quadratic up to 1 and linear beyond, in one dimension: log-concave, so R is the quantile."""
    density = RadialDensity(
        lambda xp, r: xp.where(r < 1.0, r * r, r),
        lambda xp, r: xp.where(r < 1.0, r * r, 0.0 * r),
        kinks=(1.0,),
    )
    table = level_set_curve(density, 1)
    inner = math.sqrt(math.pi / 2.0) * math.erf(math.sqrt(0.5))
    outer = math.exp(-0.5)
    for x in (0.3, 0.9, 1.4, 5.0, 20.0):
        if x < 1.0:
            fail = (inner - math.sqrt(math.pi / 2.0) * math.erf(x / math.sqrt(2.0)) + outer) / (
                2.0 * (inner + outer)
            )
        else:
            fail = math.exp(0.5 - x) / (2.0 * (inner + outer))
        got = value(table, 1.0 - fail)
        slip = 2.0**-53 / fail  # 1 - fail is rounded
        assert x * (1.0 - 2.0 * SLACK) - 3.0 * slip <= got <= x + 3.0 * slip


def test_scale_mixture_in_high_dimension() -> None:
    """Two Gaussians of different variance: between the radii of either, and at least the smaller one."""
    dim = 3072

    def steepness(xp: Any, r: Any) -> Any:
        tilt = 0.375 * r * r - dim * math.log(2.0)  # log ratio of the wide to the narrow component
        return r * r * (0.25 + 0.75 / (1.0 + xp.exp(tilt)))

    density = RadialDensity(steepness, steepness)
    table = level_set_curve(density, dim)
    rho = np.array([0.6, 0.9, 0.999, 1.0 - 1e-9])
    got = table(prepare(rho))
    assert (got >= sc.ndtri(rho) * (1.0 - 2.0 * SLACK)).all()
    assert (got <= 2.0 * sc.ndtri(rho)).all()


def test_other_densities_are_refused() -> None:
    """A shell has no nested superlevel sets; a law without a peak in range has no quadrature."""
    shell = RadialDensity(lambda xp, r: 2.0 * r * (r - 1.0), lambda xp, r: 2.0 * r * r)
    with pytest.raises(ValueError, match="unimodal"):
        level_set_curve(shell, 3)
    narrow_bump = RadialDensity(
        lambda xp, r: r * r - 3.0 * xp.exp(-((r - 1.2345) * 1e4) * ((r - 1.2345) * 1e4)), lambda xp, r: r * r
    )
    with pytest.raises(ValueError, match="unimodal|mode"):
        level_set_curve(narrow_bump, 3)
    with pytest.raises(ArithmeticError, match="range of floats"):
        level_set_curve(exponential(0.01, 2.9999), 3)
