"""Exact radii of l1- and linf-radial densities: against closed forms, quadrature that shares no code, and each other."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx

from derive.enclosure.radial import RadialDensity
from derive.enclosure.shell_witness import proves_at_least, shell_ball, shell_set, shell_witness
from derive.enclosure.shells import ShellLaw
from derive.enclosure.witness import Witness
from derive.formula import r
from derive.verification.logdensity import LogDensity
from derive.verification.oracle import RadialLaw
from derive.verification.shells import shell_growth

HUBER = sp.Piecewise((r**2 / 2, r <= 1), (r - sp.Rational(1, 2), True))


def ball(psi: sp.Expr, kind: str, dim: int, fail: str, **more: object) -> arb:
    with_bits, ctx.prec = ctx.prec, 256
    try:
        at = arb(fail)
    finally:
        ctx.prec = with_bits
    return shell_ball(RadialDensity(psi, sp.Integer(dim), **more), kind, dim, at)  # type: ignore[arg-type]


def relative_width(found: arb) -> float:
    return float(2 * found.rad() / abs(found.mid()))


@pytest.mark.parametrize(
    ("psi", "dim", "shown", "unit"),
    [
        (r**2, 10, ".7595", 1e-4),
        (r**2, 3072, ".049854", 1e-6),
        (sp.sqrt(r), 10, "159.06", 1e-2),
        (20 * sp.log(1 + r), 10, ".4098", 1e-4),
    ],
)
def test_published_values(psi: sp.Expr, dim: int, shown: str, unit: float) -> None:
    found = ball(psi, "shell", dim, "0.01")
    assert abs(float(found.mid()) - float(shown)) <= unit / 2
    assert relative_width(found) < 1e-12


@pytest.mark.parametrize("dim", [1, 10, 3072])
@pytest.mark.parametrize("fail", ["0.3", "1e-6"])
def test_the_exponential_density_has_the_closed_radius(dim: int, fail: str) -> None:
    """exp(-‖x‖): the likelihood ratio along the worst shift has an atom at its maximum, and R = ln(1/(2(1-rho)))."""
    with mpmath.workdps(40):
        exact = mpmath.nstr(mpmath.log(1 / (2 * mpmath.mpf(fail))), 30)
    found = ball(r, "shell", dim, fail)
    ctx.prec = 120
    try:
        assert found.overlaps(arb(exact))
    finally:
        ctx.prec = 53
    assert relative_width(found) < 1e-12


@pytest.mark.parametrize("dim", [2, 64])
def test_the_first_branch_of_the_face_is_linear(dim: int) -> None:
    """Up to 1/2 - fail ≈ 1/2 - 1/(2d) the level 0 is best: gap = e·E[psi'; r > e/2]/(2d), short of balls that no longer meet."""
    found = ball(r, "face", dim, "0.4999")
    linear = 2 * dim * 0.0001
    assert abs(float(found.mid()) - linear) < (1e-3 if dim == 2 else 1e-12) * linear


def masses(kind: str, psi: object, dim: int, level: float, e: float) -> tuple[float, float]:
    """M and m by drawing r on a grid of quantiles and adding up the law of ‖x + v‖ given r: from the definitions, brute force."""
    f = sp.lambdify(r, psi, "numpy")
    u = np.linspace(-12.0, 8.0, 400_001)
    x = np.exp(u)
    weight = np.exp(dim * u - f(x))
    weight /= weight.sum()
    grid = np.exp(np.linspace(-14.0, 10.0, 400_001))
    values = f(grid)

    def below(s: np.ndarray, strict: bool) -> np.ndarray:
        """P(‖x + v‖ ≤ s), or < s, given ‖x‖ = r."""
        first = (lambda a, b: a < b) if strict else (lambda a, b: a <= b)
        near, far = np.abs(x - e), x + e
        if kind == "shell":
            part = 0.5 * np.clip((x + s - e) / (2 * x), 0, 1) ** (dim - 1)
            return np.where(first(far, s), 1.0, np.where(first(near, s), part, 0.0))
        inside = (1 - 1 / dim) * np.where(first(x, s), np.clip((s + x - e) / (2 * x), 0, 1), 0.0)
        face = np.where(first(near, s), np.clip(s / x, 0, 1) ** (dim - 1), 0.0)
        return inside + (np.where(first(far, s), 1.0, 0.0) + face) / (2 * dim)

    out = np.interp(f(x) + level, values, grid)
    back = np.interp(f(x) - level, values, grid, left=0.0)
    return float(weight @ (1 - below(out, False))), float(weight @ below(back, True))


@pytest.mark.parametrize("kind", ["shell", "face"])
@pytest.mark.parametrize(
    ("psi", "dim", "level", "e"),
    [
        (r**2, 3, 1.0, 0.7),
        (r**2, 20, 1.5, 0.5),
        (sp.sqrt(r), 2, 0.3, 1.0),
        (8 * sp.log(1 + r), 5, 0.5, 0.3),
        (sp.log(r) / 2 + r, 3, 0.4, 0.5),
        (HUBER, 4, 0.3, 0.4),
    ],
)
def test_masses_are_those_of_the_definition(
    kind: str, psi: sp.Expr, dim: int, level: float, e: float
) -> None:
    kinks = (sp.Integer(1),) if psi is HUBER else ()
    density = RadialDensity(psi, sp.Integer(dim), kinks)
    before, ctx.prec = ctx.prec, 166
    try:
        found = shell_set(density, kind, dim, 16).masses(Witness(arb(level), arb(e)))
    finally:
        ctx.prec = before
    expected = masses(kind, psi, dim, level, e)
    assert [float(x.mid()) for x in found] == pytest.approx(expected, abs=1e-4)
    assert all(float(x.rad()) < 1e-15 for x in found)


@pytest.mark.parametrize(
    ("psi", "geometry", "adversary", "dim", "fail"),
    [
        (r**2, "linf", "inf", 10, 0.01),
        (r**2, "linf", "1", 10, 0.01),
        (r**2, "linf", "1", 10, 0.3),
        (sp.sqrt(r), "l1", "1", 5, 0.05),
        (12 * sp.log(1 + r), "linf", "1", 5, 0.1),
    ],
)
def test_the_independent_growth_reaches_one_half_at_the_radius(
    psi: sp.Expr, geometry: str, adversary: str, dim: int, fail: float
) -> None:
    kind = "face" if (geometry, adversary) == ("linf", "1") else "shell"
    found = float(ball(psi, kind, dim, repr(fail)).mid())
    law = RadialLaw(LogDensity(sp.exp(-psi), math.inf), dim)
    growth = shell_growth(law, geometry, adversary, dim)
    low, high = (growth(fail, found * x) for x in (1 - 1e-5, 1 + 1e-5))
    assert low.value - low.error < 0.5 < high.value + high.error
    assert high.value - low.value < 1e-3


@pytest.mark.parametrize("psi", [r**2, r**4, 4 * sp.log(1 + r)])
def test_on_a_line_the_norms_agree_and_give_the_coordinate_shift(psi: sp.Expr) -> None:
    density = RadialDensity(psi, sp.Integer(1))
    shell, face = (shell_ball(density, kind, 1, arb("0.1")) for kind in ("shell", "face"))
    assert shell.overlaps(face)
    if psi.is_Pow:  # log-concave: the quantile of one coordinate
        k = int(psi.exp)
        exact = mpmath.findroot(
            lambda x: mpmath.gammainc(mpmath.mpf(1) / k, 0, x**k, regularized=True) - mpmath.mpf("0.8"), 1
        )
        assert float(shell.mid()) == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize(("kind", "dim"), [("shell", 150528), ("face", 150528), ("shell", 2)])
@pytest.mark.parametrize("fail", ["1e-15", "0.499999"])
def test_far_dimensions_and_probabilities(kind: str, dim: int, fail: str) -> None:
    assert relative_width(ball(r**2, kind, dim, fail)) < 1e-12


@pytest.mark.parametrize(
    ("psi", "kind", "dim", "fail"),
    [
        (r**10, "face", 1, "0.001"),  # nearly flat, then nearly an edge: little of log r holds the mass
        (7 * sp.log(1 + r), "shell", 3, "0.499999999999"),  # levels of 1e-15, below the rounding of psi
        (sp.sqrt(r), "face", 64, "0.499999999999"),
        ((62 * sp.log(r) + r), "shell", 64, "1e-15"),
    ],
)
def test_hard_searches_end(psi: sp.Expr, kind: str, dim: int, fail: str) -> None:
    assert relative_width(ball(psi, kind, dim, fail)) < 1e-12


def test_a_density_with_an_end() -> None:
    """Nothing is certified beyond the shift at which half of the noise leaves the support, and it is reached as fail falls."""
    psi = r
    near, far = (ball(psi, "shell", 5, fail, bound=sp.Integer(2)) for fail in ("0.01", "1e-9"))
    assert near < far
    assert all(relative_width(found) < 1e-9 for found in (near, far))
    x = np.linspace(0, 2, 200_001)[1:-1]
    weight = x**4 * np.exp(-sp.lambdify(r, psi)(x))
    e = float(far.mid())
    part = 0.5 * np.clip((x + 2 - e) / (2 * x), 0, 1) ** 4
    inside = np.where(x + e <= 2, 1.0, np.where(np.abs(x - e) <= 2, part, 0.0))
    assert float(weight @ (1 - inside) / weight.sum()) == pytest.approx(0.5, abs=2e-4)


def test_a_witness_proves_no_more_than_the_radius() -> None:
    density, fail = RadialDensity(r**2, sp.Integer(12)), arb("0.01")
    low, high = shell_witness(density, "shell", 12, fail)
    assert proves_at_least(density, "shell", 12, fail, low)
    for excess in (1e-12, 1e-6):
        for level in (0.5, 0.9, 1.0, 1.1):
            raised = Witness((low.level * level).mid(), (high * (1 + excess)).mid())
            assert not proves_at_least(density, "shell", 12, fail, raised)


def test_a_level_below_zero_proves_nothing() -> None:
    density = RadialDensity(r**2, sp.Integer(3))
    assert not proves_at_least(density, "shell", 3, arb("0.1"), Witness(arb(-1), arb("0.01").mid()))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="kind"):
        ShellLaw("cube", 3)
    with pytest.raises(ArithmeticError, match="0 < fail < 1/2"):
        ball(r, "shell", 3, "0")
    with pytest.raises(ArithmeticError):
        ball(sp.gamma(1 + r), "shell", 3, "0.1")
    assert ball(r, "shell", 3, "0.5") == 0
