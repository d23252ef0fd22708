"""Enclosures: they contain independent high-precision values and are narrow."""

from __future__ import annotations

import json
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx

from derive.bounds import checked_values, enclose, native_ball
from derive.enclosure.ball import evaluate, exact
from derive.enclosure.cone import BallCone, ConeEnclosure
from derive.engine import derive_family
from derive.formula import Expm1, GammaRatio, Log1p, NormalQuantile
from derive.spec import SpecError, find_spec
from generated.registry import load

REFERENCES = Path(__file__).resolve().parents[3] / "shared" / "peers" / "reference_radii.json"


def quadrature(d: int, k: str, j: str, weight: str, rho: str) -> mpmath.mpf:
    """R of ‖x‖inf**-j·exp(-‖x‖inf**k) from densities alone: int dp/Phi, thresholds by root finding, 30 digits."""
    with mpmath.workdps(30):
        k_, j_, w, p = mpmath.mpf(k), mpmath.mpf(j), mpmath.mpf(weight), 1 - mpmath.mpf(rho)
        total = mpmath.gamma((d - j_) / k_) / k_

        def density(r: mpmath.mpf) -> mpmath.mpf:
            return r ** (d - 1 - j_) * mpmath.exp(-(r**k_)) / total

        def score(r: mpmath.mpf) -> mpmath.mpf:
            return j_ / r + k_ * r ** (k_ - 1)

        lowest = (j_ / (k_ * (k_ - 1))) ** (1 / k_)

        def left(r: mpmath.mpf) -> mpmath.mpf:
            low, high = mpmath.mpf(10) ** -9, lowest
            for _ in range(110):
                middle = (low + high) / 2
                low, high = (middle, high) if score(middle) > score(r) else (low, middle)
            return low

        def beyond(power: mpmath.mpf, r: mpmath.mpf, l: mpmath.mpf) -> mpmath.mpf:  # noqa: E741
            shape = (d - j_ + power) / k_
            tails = mpmath.gammainc(shape, r**k_, mpmath.inf) + mpmath.gammainc(shape, 0, l**k_)
            return tails / (k_ * total)

        def mass(r: mpmath.mpf) -> mpmath.mpf:
            return w * beyond(mpmath.mpf(0), r, left(r))

        def growth(r: mpmath.mpf) -> mpmath.mpf:
            return w * (j_ * beyond(mpmath.mpf(-1), r, left(r)) + k_ * beyond(k_ - 1, r, left(r)))

        low, high = lowest, lowest + 20
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if mass(middle) > p else (low, middle)

        def slope(r: mpmath.mpf) -> mpmath.mpf:
            other = left(r)
            ratio = (-j_ / r**2 + k_ * (k_ - 1) * r ** (k_ - 2)) / (
                -j_ / other**2 + k_ * (k_ - 1) * other ** (k_ - 2)
            )
            return w * (density(r) - density(other) * ratio)

        mean = j_ * mpmath.gamma((d - j_ - 1) / k_) / (k_ * total) + k_ * mpmath.gamma(
            (d - j_ + k_ - 1) / k_
        ) / (k_ * total)
        flat = (mpmath.mpf(1) / 2 - w) / (w * mean)
        return flat + mpmath.quad(
            lambda r: slope(r) / growth(r),
            [lowest + mpmath.mpf(10) ** -12, (lowest + low) / 2, low],
            maxdegree=6,
        )


def test_two_sided_greedy_sets_against_quadrature() -> None:
    family = derive_family(find_spec("exp_linf"))
    parameters = {"k": sp.Integer(2), "j": sp.Integer(3)}
    for adversary, weight in (("1", "0.05"), ("inf", "0.5")):
        found = enclose(
            family, adversary, dim=10, rho=sp.Rational("0.99"), parameters=parameters, scale=sp.Integer(1)
        )
        reference = quadrature(10, "2", "3", weight, "0.99")
        middle = (mpmath.mpf(found.lower) + mpmath.mpf(found.upper)) / 2
        assert abs(middle - reference) < 1e-9 * reference
        assert mpmath.mpf(found.upper) - mpmath.mpf(found.lower) < 1e-11 * reference


@pytest.mark.parametrize("function", [Log1p, Expm1, NormalQuantile])
def test_balls_of_functions_contain_the_value(function: type[sp.Function]) -> None:
    exactly = {
        Log1p: mpmath.log1p,
        Expm1: mpmath.expm1,
        NormalQuantile: lambda x: mpmath.sqrt(2) * mpmath.erfinv(2 * x - 1),
    }
    with mpmath.workdps(60):
        previous, ctx.prec = ctx.prec, 120
        try:
            for text in ("0.51", "0.75", "0.999999"):
                x = sp.Symbol("x")
                ball = evaluate(function(x), {x: exact(sp.Rational(text))})
                value = mpmath.nstr(exactly[function](mpmath.mpf(text)), 50)
                assert abs(ball - arb(value)) < arb("1e-25")
                assert ball.contains(arb(value)) or ball.overlaps(arb(value))
        finally:
            ctx.prec = previous


def test_gamma_ratio_stays_narrow_at_large_arguments() -> None:
    x, y = sp.Symbol("x"), sp.Symbol("y")
    previous, ctx.prec = ctx.prec, 192
    try:
        ball = evaluate(GammaRatio(x, y), {x: exact(sp.Rational("75264.5")), y: exact(sp.Rational("75264"))})
        assert ball.rel_accuracy_bits() > 120
    finally:
        ctx.prec = previous


def test_precision_does_not_move_the_enclosure() -> None:
    cone = BallCone(
        sp.Rational(1, 128),
        sp.Rational(61, 2),
        sp.Integer(1),
        sp.Integer(2),
        ((sp.Integer(3), sp.Integer(-1)), (sp.Integer(2), sp.Integer(1))),
    )
    found = []
    for bits in (160, 224):
        previous, ctx.prec = ctx.prec, bits
        try:
            found.append(ConeEnclosure(cone).radius(exact(sp.Rational("0.0001"))))
        finally:
            ctx.prec = previous
    assert found[0].overlaps(found[1]) and all(f.rel_accuracy_bits() > 40 for f in found)


def test_reference_cases_lie_inside() -> None:
    if not REFERENCES.exists():
        pytest.skip("the reference radii are not beside this checkout")
    known = {"gaussian", "laplace", "uniform", "exp_linf"}
    cases = [c for c in json.loads(REFERENCES.read_text())["cases"] if c["family"] in known]
    for case in cases[::3]:
        family = derive_family(find_spec(case["family"]))
        parameters = {n: sp.Rational(str(v)) for n, v in case["params"].items()}
        adversary = str(case["adversary"])
        found = enclose(
            family,
            adversary,
            dim=case["dim"],
            rho=sp.Rational(case["rho"]),
            parameters=parameters,
            scale=sp.Integer(1),
        )
        reference = sp.Rational(case["radius"])
        slack = reference / 10**17  # the references carry at least 18 digits
        if "differential" in family.method(adversary) or "tight" in case["method"]:
            assert sp.Rational(found.lower) - slack <= reference <= sp.Rational(found.upper) + slack, case
    assert len(cases) > 90


@pytest.mark.parametrize("k", ["0.1", "3", "7"])
@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("dim", [2, 64, 3072])
def test_shapes_near_their_limit_never_exceed_the_enclosure(dim: int, gap: float, k: str) -> None:
    """j near dim - 1: the mean score is a difference of nearly equal numbers."""
    module, family = load("exp_linf"), derive_family(find_spec("exp_linf"))
    j = dim - 1 - gap
    parameters = {"k": sp.Rational(float(k)), "j": sp.Rational(j)}
    for adversary in ("1", "inf"):
        rho = 0.55
        radius = getattr(module, f"radius_l{adversary}")(np.array([rho]), dim=dim, k=float(k), j=j)[0]
        values = checked_values(family, dim, parameters)
        previous, ctx.prec = ctx.prec, 192
        try:
            ball = native_ball(family.profile, family.native[adversary], values, sp.Rational(rho))
            assert arb(float(radius)) <= ball.upper(), (radius, ball)
            if adversary == "1":  # the first branch is closed: the enclosure is narrow there
                assert arb(float(radius)) <= ball.lower() and ball.lower() * (1 - arb("1e-9")) <= arb(
                    float(radius)
                )
        finally:
            ctx.prec = previous


def test_a_dimension_beyond_the_lattice_is_refused_at_once() -> None:
    family = derive_family(find_spec("laplace"))
    with pytest.raises(SpecError, match="up to dimension"):
        enclose(family, "inf", dim=10**8, rho=sp.Rational("0.9"), parameters={}, scale=sp.Integer(1))
    with pytest.raises(ValueError, match="up to dimension"):
        load("laplace").radius_linf(np.array([0.9]), dim=10**8)


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
@pytest.mark.parametrize("depth", [20, 60, 400])
def test_a_radius_is_finite_however_close_rho_is_to_one(name: str, depth: int) -> None:
    """1 - rho far below the usual precision: rho must not be taken for 1, where the radius is infinite."""
    found = enclose(
        derive_family(find_spec(name)),
        "1",
        dim=3,
        rho=1 - sp.Rational(1, 10**depth),
        parameters={},
        scale=sp.Integer(1),
    )
    with mpmath.workdps(depth + 40):
        fail = mpmath.mpf(10) ** -depth
        exact_radius = (
            mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * fail) if name == "gaussian" else -mpmath.log(2 * fail)
        )
        assert mpmath.mpf(found.lower) <= exact_radius <= mpmath.mpf(found.upper)
        assert mpmath.mpf(found.upper) - mpmath.mpf(found.lower) < mpmath.mpf(10) ** -20


def test_a_ball_without_numbers_is_no_enclosure_below_rho_one() -> None:
    """At a precision that does not tell rho from 1, nothing is said."""
    family, previous = derive_family(find_spec("laplace")), ctx.prec
    ctx.prec = 53
    try:
        with pytest.raises(ArithmeticError, match="could not be enclosed"):
            native_ball(
                family.profile, family.native["1"], checked_values(family, 1, {}), 1 - sp.Rational(1, 2**70)
            )
    finally:
        ctx.prec = previous
