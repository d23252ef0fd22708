"""Proved level-set radii: they contain independent values, witnesses can be checked again, and false claims are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx
from scipy import integrate, optimize

from derive.enclosure.radial import RadialDensity
from derive.enclosure.witness import (
    Witness,
    level_set_ball,
    level_set_witness,
    proves_at_least,
    proves_at_most,
)
from derive.formula import Mixture, r

REFERENCES = Path(__file__).resolve().parents[4] / "shared" / "peers" / "reference_radii.json"
FAMILIES: dict[str, Callable[..., sp.Expr]] = {
    "exp_l2": lambda k, j: j * sp.log(r) + r**k,
    "pow_l2": lambda k, a: a * sp.log(1 + r**k),
    "(new) hyperbolic_l2": lambda: sp.sqrt(1 + r**2),
}
GAUSSIAN = r**2 / 2
MIXTURE = Mixture(r**2 / 2, r**2 / 8 + sp.log(2))
HUBER = sp.Piecewise((r**2 / 2, r < 1), (r - sp.Rational(1, 2), True))


def ball(
    psi: sp.Expr,
    dim: int,
    fail: str | Fraction,
    bound: sp.Expr | None = None,
    kinks: tuple[sp.Expr, ...] = (),
) -> arb:
    value = Fraction(fail)
    ctx.prec = 250
    try:
        p = arb(value.numerator) / value.denominator
        return level_set_ball(RadialDensity(psi, sp.Integer(dim), kinks, bound), dim, p)
    finally:
        ctx.prec = 53


def contains(enclosure: arb, decimal: str) -> bool:
    """Whether the ball, widened by a unit in the decimal's last place, contains it."""
    ctx.prec = 250
    try:
        mantissa = decimal.lower().split("e")[0]
        digits = len(mantissa.split(".")[1]) if "." in mantissa else 0
        return bool((enclosure + arb(0, arb(10) ** -digits)).contains(arb(decimal)))
    finally:
        ctx.prec = 53


def relative_width(enclosure: arb) -> float:
    return 2 * float(enclosure.rad()) / float(enclosure.mid())


def cases(every: int) -> list[dict[str, object]]:
    found = json.loads(REFERENCES.read_text())["cases"] if REFERENCES.exists() else []
    tight = [c for c in found if c["family"] in FAMILIES and c["method"].startswith("level set")]
    return tight[::every]


@pytest.mark.parametrize("case", cases(9), ids=lambda c: f"{c['density']}-{c['dim']}-{c['rho']}")
def test_encloses_the_reference(case: dict[str, str]) -> None:
    parameters = {name: sp.nsimplify(value) for name, value in case["params"].items()}  # type: ignore[attr-defined]
    psi = FAMILIES[case["family"]](**parameters)
    found = ball(psi, int(case["dim"]), 1 - Fraction(case["rho"]))
    assert contains(found, case["radius"])
    assert relative_width(found) < 1e-13


@pytest.mark.parametrize(
    ("dim", "fail"),
    [
        (3, "0.2"),
        (64, "1e-15"),
        (64, "0.4999999999"),
        (150528, "1e-15"),
        (150528, "0.4999999999"),
    ],
)
def test_the_gaussian_radius_is_the_normal_quantile(dim: int, fail: str) -> None:
    with mpmath.workdps(40):
        exact = mpmath.nstr(mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * mpmath.mpf(fail)), 30)
    found = ball(GAUSSIAN, dim, fail)
    assert contains(found, exact)
    assert relative_width(found) < 1e-10


def test_on_a_line_the_radius_is_the_quantile_of_a_log_concave_law() -> None:
    with mpmath.workdps(40):
        exact = mpmath.findroot(
            lambda x: mpmath.gammainc(sp.Rational(1, 3), 0, x**3, regularized=True) - mpmath.mpf("0.9"), 1
        )
        assert contains(ball(r**3, 1, "0.05"), mpmath.nstr(exact, 25))


@pytest.mark.parametrize("scale", [sp.Rational(1, 7)])
def test_the_radius_scales(scale: sp.Rational) -> None:
    once, scaled = ball(MIXTURE, 16, "0.02"), ball(MIXTURE.subs(r, r / scale), 16, "0.02")
    ctx.prec = 120
    try:
        assert bool((once * int(scale.p) / int(scale.q)).overlaps(scaled))
    finally:
        ctx.prec = 53


def test_the_radius_falls_with_fail_and_vanishes_at_a_half() -> None:
    radii = [ball(r, 8, p) for p in ("1e-3", "0.1", "0.4")]
    assert all(bool(a > b) for a, b in zip(radii, radii[1:], strict=False))
    assert ball(r, 8, "0.5") == 0


def masses_by_quadrature(psi: sp.Expr, dim: int, bound: float, level: float, e: float) -> tuple[float, float]:
    """M and m by quadrature over r and the cosine, from the density alone (odd dim ≥ 3: the cosine's law is a polynomial)."""
    f = sp.lambdify(r, psi, "math")
    a = (dim - 3) // 2
    law = np.polynomial.Polynomial([1, 0, -1]) ** a
    cdf = law.integ()
    low, total = cdf(-1.0), cdf(1.0) - cdf(-1.0)

    def share(z: float) -> float:
        return float((cdf(min(1.0, max(-1.0, z))) - low) / total)

    def partner(target: float) -> float:
        if target <= f(1e-12):
            return 0.0
        if target >= f(bound * (1 - 1e-14)):
            return bound
        return float(optimize.brentq(lambda s: f(s) - target, 1e-12, bound * (1 - 1e-14), xtol=1e-14))

    def integrand(x: float, side: int) -> float:
        s = partner(f(x) + side * level)
        weight = x ** (dim - 1) * np.exp(-f(x))
        return float(weight * share(side * (x * x + e * e - s * s) / (2 * e * x))) if side else float(weight)

    grid = np.linspace(0, bound, 41)

    def mass(side: int) -> float:
        return sum(
            integrate.quad(integrand, p, q, args=(side,), epsabs=1e-13, epsrel=1e-11, limit=200)[0]
            for p, q in zip(grid, grid[1:], strict=False)
        )

    def plain() -> float:
        return sum(
            integrate.quad(lambda x: x ** (dim - 1) * np.exp(-f(x)), p, q)[0]
            for p, q in zip(grid, grid[1:], strict=False)
        )

    total_mass = plain()
    return mass(1) / total_mass, mass(-1) / total_mass


@pytest.mark.parametrize(
    ("psi", "dim", "bound", "kinks"),
    [
        (HUBER, 3, None, (sp.Integer(1),)),
        (sp.log(sp.cosh(r)), 5, None, ()),
        (4 * sp.log(1 + sp.exp(r)) - 2 * r, 3, None, ()),
        (MIXTURE, 5, None, ()),
        (-sp.log(1 - r), 5, sp.Integer(1), ()),
        (r, 5, sp.Integer(4), ()),
    ],
    ids=["huber", "cosh", "logistic", "mixture", "cone", "truncated"],
)
def test_the_witness_solves_the_two_equations(
    psi: sp.Expr, dim: int, bound: sp.Expr | None, kinks: tuple[sp.Expr, ...]
) -> None:
    """At the radius the likelihood-ratio set of q-mass fail has shifted mass 1/2: by quadrature that shares no code."""
    density = RadialDensity(psi, sp.Integer(dim), kinks, bound)
    low, high = level_set_witness(density, dim, arb("0.05"))
    plain = sp.log(sum(sp.exp(-x) for x in psi.args)) * -1 if isinstance(psi, Mixture) else psi
    end = float(bound) if bound is not None else 40.0
    shifted, own = masses_by_quadrature(plain, dim, end, float(low.level), float(low.distance))
    assert abs(shifted - 0.5) < 2e-7
    assert abs(own - 0.05) < 2e-7
    assert bool(low.distance < high.distance)


def test_a_witness_proves_its_side_only() -> None:
    density, fail = RadialDensity(r, sp.Integer(20)), arb("0.01")
    low, high = level_set_witness(density, 20, fail)
    assert proves_at_least(density, 20, fail, low) and proves_at_most(density, 20, fail, high)
    assert not proves_at_most(density, 20, fail, low) and not proves_at_least(density, 20, fail, high)


@pytest.mark.parametrize("excess", [1e-6, 1e-9, 1e-12])
def test_no_level_proves_too_large_a_radius(excess: float) -> None:
    """Weak duality holds for every level, so none may certify more than the Gaussian's exact radius; nor less, from above."""
    density, fail = RadialDensity(GAUSSIAN, sp.Integer(12)), arb("0.01")
    low, _ = level_set_witness(density, 12, fail)
    exact = 2.3263478740408408
    for level in np.linspace(-1.0, 1.0, 5) * 0.3 + float(low.level):
        assert not proves_at_least(density, 12, fail, Witness(arb(float(level)), arb(exact * (1 + excess))))
        assert not proves_at_most(density, 12, fail, Witness(arb(float(level)), arb(exact * (1 - excess))))


def test_a_loose_level_proves_a_smaller_radius() -> None:
    density, fail = RadialDensity(GAUSSIAN, sp.Integer(12)), arb("0.01")
    assert proves_at_least(density, 12, fail, Witness(arb(2.5), arb(2.3)))
    assert proves_at_most(density, 12, fail, Witness(arb(2.9), arb(2.45)))


def test_what_has_no_enclosure_is_refused() -> None:
    with pytest.raises(ArithmeticError):
        ball(sp.Integer(0) * r, 3, "0.1", bound=sp.Integer(1))  # flat: ties everywhere
    with pytest.raises(ArithmeticError):
        ball(r, 3, "0")
    with pytest.raises(ArithmeticError):
        ball(sp.gamma(1 + r), 3, "0.1")
    with pytest.raises(ValueError, match="exact"):
        Witness(arb(2.5), arb("0.1"))
    with pytest.raises(ValueError, match="exponent"):
        level_set_ball(RadialDensity(r, sp.Integer(4)), 3, arb("0.1"))


@pytest.mark.parametrize("lead", ["1/10000", "1/1000000000"])
def test_enclosures_near_one_half_are_as_narrow_as_elsewhere(lead: str) -> None:
    found = ball(r, 64, Fraction(1, 2) - Fraction(lead))
    assert 0 < float(found.lower()) and float(found.rad()) <= 5e-13 * float(found.lower())
