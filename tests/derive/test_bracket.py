"""Upper bounds of radii: never below a radius, equal to the exact ones that are known, and the trap of the coordinate axis."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import numpy as np
import pytest
import sympy as sp
from click.testing import CliRunner
from flint import arb
from scipy import special, stats

from derive.bounds import enclose
from derive.bracket import Ceiling, ceiling, direction_name, gap
from derive.cli import cli
from derive.composition.coordinate import coordinate
from derive.composition.radius import lower_radius
from derive.enclosure.crosses import diagonal_bound
from derive.enclosure.likelihood import CoordinateShift, proved_shift
from derive.enclosure.line import LineLaw
from derive.enclosure.radial import RadialDensity
from derive.engine import Family, derive_family
from derive.formula import r
from derive.spec import Spec, find_spec
from derive.verification.bracketing import bracket_checks
from derive.verification.cases import cases_of
from generated import laplace

HALF, ONE = sp.Rational(1, 2), sp.Integer(1)
PEERS = Path(__file__).resolve().parents[3] / "shared" / "peers" / "reference_radii.json"


@lru_cache(maxsize=64)
def member(name: str, **values: str) -> Family:
    spec = find_spec(name)
    given = {q.name: sp.Rational(values.get(q.name, q.default)) for q in spec.parameters}
    return derive_family(spec.member(given))


def bound(family: Family, adversary: str, dim: int, rho: str) -> Ceiling:
    found = ceiling(family, adversary, dim=dim, rho=sp.Rational(rho))
    assert found is not None
    return found


@lru_cache(maxsize=16)
def line(density: str, bound: sp.Expr | None = None, convex: bool = False) -> LineLaw:
    return LineLaw(RadialDensity(sp.sympify(density, {"r": r}), ONE, (), bound), convex)


# masses of intervals


def test_masses_of_intervals_hold_known_distribution_functions() -> None:
    for density, law in (("r**2/2", stats.norm), ("log(1+r**2)", stats.cauchy), ("r", stats.laplace)):
        for point in (1e-9, 0.01, 0.3, 1.0, 2.5, 8.0):
            ball = line(density).below(arb(point))
            exact = law.cdf(point) - 0.5
            assert abs(float(ball.mid()) - exact) <= 4e-16
            assert float(ball.rad()) <= 1e-20
        points = np.linspace(-9.0, 9.0, 1001)
        assert np.allclose(line(density).below_floats(points), law.cdf(points) - 0.5, rtol=0, atol=5e-15)


def test_masses_end_with_the_support() -> None:
    law = line("0*r", ONE)
    assert law.below(arb(0.25)).overlaps(arb(0.125)) and law.below(arb(3)).overlaps(arb(0.5))
    assert float(law.below_floats(np.array([0.75]))[0]) == pytest.approx(0.375, abs=1e-15)
    assert law.losses(np.array([1.5, 0.5, -0.9]), 1.0).tolist() == [np.inf, 0.0, -np.inf]


# shifts of several coordinates


@pytest.mark.parametrize("fail", [0.4, 0.01, 1e-6])
def test_one_coordinate_gives_the_quantile_of_log_concave_noise(fail: float) -> None:
    shift = CoordinateShift(line("r**2/2"), 1)
    s = shift.radius(fail, 1.0)
    exact = -float(special.ndtri(fail))
    assert exact * (1 - 1e-12) <= s <= exact * (1 + 1e-8)


@pytest.mark.parametrize(("count", "slack"), [(2, 2e-5), (9, 1e-4), (3072, 2e-4)])
def test_many_coordinates_of_the_gaussian_add_in_squares(count: int, slack: float) -> None:
    s = proved_shift(
        line("r**2/2"), count, arb("0.01"), CoordinateShift(line("r**2/2"), count).radius(0.01, 0.1)
    )
    exact = -float(special.ndtri(0.01)) / count**0.5
    assert exact * (1 - 1e-12) < s < exact * (1 + slack)


def test_a_shift_below_the_radius_is_never_proved() -> None:
    for density, count, exact in (
        ("r**2/2", 1, 2.3263478740408408),
        ("r", 1, 3.912023005428146),
        ("r**2/2", 16, 0.5815869685102102),
    ):
        shift = CoordinateShift(line(density), count)
        for share in (0.5, 0.9, 1 - 1e-6, 1 - 1e-12):
            assert not shift.proves(exact * share, arb("0.01"))


def test_counts_of_signs_bound_laplace_noise_from_the_other_side() -> None:
    """With T = sign(x - s/2) the sum is binomial: a test of the same kind, so its shift is at least the best one."""
    count, fail = 64, 0.01
    s = CoordinateShift(line("r"), count).radius(fail, 0.3)

    def growth(shift: float) -> float:
        low = 0.5 * np.exp(-0.5 * shift)
        t = np.arange(count + 1)
        before, after = stats.binom.sf(t - 1, count, low), stats.binom.sf(t - 1, count, 1 - low)
        return float(np.interp(fail, before[::-1], after[::-1]))

    assert growth(s) < 0.5 < growth(1.03 * s)


def test_the_edge_of_a_support_costs_nothing() -> None:
    for count in (1, 3, 64):
        s = CoordinateShift(line("0*r", ONE), count).radius(0.01, 0.1)
        assert s == pytest.approx(-2.0 * np.expm1(np.log1p(-0.49) / count), rel=1e-9)


# bounds of densities


def test_a_coordinate_axis_is_not_the_worst_direction_of_heavy_tails() -> None:
    """Along one coordinate the Cauchy radius is 7.853; two coordinates alike already refute it, and so they bound the radius."""
    cauchy = member("cauchy")
    alone = bound(cauchy, "1", 1, "0.99")
    assert alone.direction == "one coordinate"
    assert float(alone.upper) == pytest.approx(7.853180911, rel=1e-7)
    pair = bound(cauchy, "1", 2, "0.99")
    assert pair.direction == "all coordinates alike"
    assert 4.15350522 < float(pair.upper) < 6.3919
    assert float(bound(cauchy, "1", 3072, "0.99").upper) <= float(pair.upper)


@pytest.mark.parametrize(
    ("name", "adversary", "dim"),
    [
        ("laplace", "1", 10),
        ("gaussian", "2", 10),
        ("gaussian", "inf", 10),
        ("uniform", "inf", 10),
        ("uniform_ball", "inf", 10),
        ("exp_l2", "1", 64),
    ],
)
def test_the_gap_closes_where_the_radius_is_exact(name: str, adversary: str, dim: int) -> None:
    family, rho = member(name), sp.Rational(99, 100)
    ball = enclose(family, adversary, dim=dim, rho=rho, parameters={}, scale=ONE)
    found = ceiling(family, adversary, dim=dim, rho=rho, lower=sp.Rational(ball.lower))
    assert found is not None
    excess = gap(found.upper, ball.lower)
    assert excess is not None and 0.0 <= excess < 1e-12


def test_composition_bounds_laplace_noise_closely() -> None:
    """Known: the differential radius .04198 against linf at d = 3072 has an exact one near .0423 above it."""
    found = bound(member("laplace"), "inf", 3072, "0.99")
    assert 0.0420 < float(found.upper) < 0.0423
    assert found.direction == "all coordinates alike"


@pytest.mark.parametrize(("name", "dim"), [("laplace", 2), ("logistic", 64)])
def test_composition_meets_the_bound_from_below(name: str, dim: int) -> None:
    """Two mechanisms without common code: privacy losses composed from below, a set of likelihood ratios from above."""
    family = member(name)
    lower = lower_radius(coordinate(family.profile), dim, arb("0.01"))
    upper = float(bound(family, "inf", dim, "0.99").upper)
    assert lower <= upper <= lower * (1 + 1e-4)


@pytest.mark.parametrize(("dim", "slack"), [(16, 4.0), (3072, 1.13)])
def test_signs_bound_noise_in_the_l1_norm_along_the_diagonal(dim: int, slack: float) -> None:
    """For exp(-r) the noise is iid Laplace, whose bound along the diagonal is nearly exact."""
    law = LineLaw(RadialDensity(r, sp.Integer(dim)), False)
    exact = CoordinateShift(line("r"), dim).radius(0.01, 1.0)
    assert exact < diagonal_bound(law, dim, arb("0.01")) < slack * exact
    with pytest.raises(ArithmeticError, match="rare enough"):
        diagonal_bound(LineLaw(RadialDensity(r, sp.Integer(2)), False), 2, arb("0.01"))


def test_noise_in_the_l1_norm_has_a_bound_in_every_norm() -> None:
    family = member("exp_l1", k="2")
    for adversary in family.adversaries:
        ball = enclose(family, adversary, dim=64, rho=sp.Rational(99, 100), parameters={}, scale=ONE)
        assert sp.Rational(ball.lower) <= sp.Rational(bound(family, adversary, 64, "0.99").upper)


def test_bounds_scale_and_follow_rho() -> None:
    pareto = member("pareto")
    one = ceiling(pareto, "inf", dim=4, rho=sp.Rational(9, 10))
    two = ceiling(pareto, "inf", dim=4, rho=sp.Rational(9, 10), scale=sp.Rational(7, 2))
    assert one is not None and two is not None
    assert float(two.upper) == pytest.approx(3.5 * float(one.upper), rel=1e-14)
    higher = bound(pareto, "inf", 4, "0.95")
    assert float(higher.upper) > float(one.upper)
    assert bound(pareto, "inf", 4, "0.4").upper == "0"
    assert ceiling(pareto, "inf", dim=4, rho=ONE) is None
    near = bound(pareto, "inf", 4, "0.5000000001")
    assert 0.0 < float(near.upper) < 1e-4


def test_a_family_with_free_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="value for every parameter"):
        ceiling(derive_family(find_spec("pareto")), "1", dim=2, rho=sp.Rational(9, 10))


def test_a_density_that_is_not_unimodal_gets_no_interval_bound() -> None:
    ring = derive_family(Spec("ring", "r**2*exp(-r**2)", "product", "", (), "", {}))
    assert ceiling(ring, "inf", dim=3, rho=sp.Rational(9, 10)) is None


def test_directions_in_words() -> None:
    assert [direction_name(k, 8) for k in (1, 2, 8)] == [
        "one coordinate",
        "2 coordinates alike",
        "all coordinates alike",
    ]
    assert direction_name(1, 1) == "one coordinate"


def test_gaps_round_up() -> None:
    assert gap("2", "1") == 1.0
    third = gap("4", "3")
    assert third is not None and Fraction(third) >= Fraction(1, 3)
    assert gap("1", "0") is None


# the command


def command(*arguments: str) -> dict[str, object]:
    done = CliRunner().invoke(cli, ["radius", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert isinstance(found, dict)
    return found


def test_the_command_prints_both_sides() -> None:
    found = command("laplace", "--adversary", "inf", "--dim", "16", "--rho", "0.99", "--scale", "2")
    assert Fraction(str(found["lower"])) <= Fraction(str(found["np_upper"]))
    assert found["np_direction"] == "all coordinates alike"
    assert found["np_upper_assurance"] == "enclosed by ball arithmetic"
    assert 0.0 < float(str(found["gap"])) < 0.2
    text = CliRunner().invoke(cli, ["radius", "laplace", "--adversary", "1", "--dim", "16", "--rho", "0.99"])
    assert (
        "np_upper 3.91202300" in text.output
        and "(one coordinate; enclosed by ball arithmetic)" in text.output
    )
    assert "gap " in text.output


def _reference_rows() -> list[dict[str, object]]:
    if not PEERS.exists():
        return []
    rows = json.loads(PEERS.read_text("utf-8"))["cases"]
    kept: dict[tuple[str, str], dict[str, object]] = {}
    for row in rows:  # one of each family and norm, the highest dimension below 100
        if 1 < row["dim"] <= 100 and Fraction("0.9") <= Fraction(row["rho"]) <= Fraction("0.999"):
            kept[row["family"], row["adversary"]] = row
    return list(kept.values())


@pytest.mark.parametrize(
    "row", _reference_rows(), ids=lambda row: f"{row['family']}-l{row['adversary']}-d{row['dim']}"
)
def test_no_reference_radius_exceeds_the_bound(row: dict[str, object]) -> None:
    values = {str(k): str(v) for k, v in dict(row["params"]).items()}  # type: ignore[call-overload]
    family = member(str(row["family"]), **values)
    found = ceiling(family, str(row["adversary"]), dim=int(str(row["dim"])), rho=sp.Rational(str(row["rho"])))
    if found is not None:
        assert Fraction(str(row["radius"])) <= Fraction(found.upper) * (1 + Fraction(1, 10**15))


# verify


@pytest.mark.parametrize(("factor", "passed"), [(1.0, True), (1.0 + 1e-6, False), (1.0 - 1e-6, False)])
def test_verify_holds_an_exact_radius_against_its_bracket(factor: float, passed: bool) -> None:
    family = derive_family(find_spec("laplace"))
    module = SimpleNamespace(radius=lambda rho, **others: factor * laplace.radius(rho, **others))
    checks = {c.subject: c for c in bracket_checks(family, cast(ModuleType, module), list(cases_of(family)))}
    assert set(checks) == {"l1", "l2", "linf"} and checks["l1"].passed is passed
    assert checks["linf"].passed and "np_upper" in checks["linf"].text
    assert 0.0 < float(checks["linf"].text.rpartition("gap ")[2]) < 1e-4  # by the table of compositions
