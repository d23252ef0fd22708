"""Exact level-set radii in the engine: for which families they are derived, their order, and the trap of iid heavy tails."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.bounds import enclose, enclose_exact, enclose_native
from derive.derivation import LevelSet
from derive.engine import Family, derive_family
from derive.formula import dim as d
from derive.formula import r
from derive.pages.explain import explain
from derive.query import query
from derive.spec import Spec, find_spec
from generated.registry import load


def spec(density: str, geometry: str, support: str = "") -> Spec:
    return Spec("drawn", density, geometry, support)


def derived(density: str, geometry: str, support: str = "") -> Family:
    return derive_family(spec(density, geometry, support))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("exp_linf", {"1": "face", "inf": "shell"}),
        ("pow_linf", {"1": "face", "inf": "shell"}),
        ("exp_l1", {"1": "shell"}),
        ("laplace", {}),
        ("uniform", {}),
        ("gaussian", {}),
        ("cauchy", {}),
        ("pareto", {}),
        ("student_t", {}),
        ("generalized_normal", {}),
    ],
)
def test_which_families_have_a_sharper_exact_radius(name: str, kinds: dict[str, str]) -> None:
    family = derive_family(find_spec(name))
    found = {a: e.evaluation for a, e in family.exact.items()}
    assert found == {a: LevelSet(kind) for a, kind in kinds.items()}
    for adversary in kinds:
        assert family.exact[adversary].label == "level set, tight"
        assert family.native[adversary].method == "differential"
        shown = explain(family, adversary)
        assert (
            "Exact radius: worst shift" in shown and f"derive radius {name} --adversary {adversary}" in shown
        )


def test_densities_that_are_not_unimodal_have_none() -> None:
    family = derived("r**2*exp(-r)", "linf")
    assert not family.exact
    assert family.unimodal == ""


@pytest.mark.parametrize(
    ("name", "adversary", "dim", "parameters"),
    [
        ("exp_linf", "inf", 10, {"k": 2}),
        ("exp_linf", "1", 10, {"k": 2}),
        ("exp_linf", "inf", 3072, {"k": 2, "j": 3000}),
        ("pow_linf", "1", 8, {"a": 20}),
        ("exp_l1", "1", 10, {"k": 2}),
    ],
)
def test_the_exact_radius_exceeds_the_differential_one(
    name: str, adversary: str, dim: int, parameters: dict[str, int]
) -> None:
    family = derive_family(find_spec(name))
    values = {key: sp.Rational(value) for key, value in parameters.items()}
    at, one = sp.Rational("0.97"), sp.Integer(1)
    exact = enclose_exact(family, adversary, dim=dim, rho=at, parameters=values, scale=one)
    differential = enclose(family, adversary, dim=dim, rho=at, parameters=values, scale=one)
    assert exact is not None
    assert sp.Rational(exact.enclosure.upper) >= sp.Rational(exact.enclosure.lower)
    assert sp.Rational(exact.enclosure.lower) > sp.Rational(differential.upper)
    assert exact.tight and exact.norm == adversary


def test_the_exact_radius_is_proportional_to_the_scale() -> None:
    family = derive_family(find_spec("exp_l1"))
    found = [
        enclose_exact(
            family, "1", dim=5, rho=sp.Rational("0.9"), parameters={"k": sp.Integer(2)}, scale=sp.Rational(s)
        )
        for s in (1, "0.25")
    ]
    once, quarter = (sp.Rational(f.enclosure.lower) for f in found if f is not None)
    assert abs(once / 4 - quarter) <= once / 10**14


def test_the_exact_radius_is_converted_to_other_norms() -> None:
    family = derive_family(find_spec("exp_l1"))
    values, at, one = {"k": sp.Integer(2)}, sp.Rational("0.97"), sp.Integer(1)
    own = enclose_exact(family, "1", dim=10, rho=at, parameters=values, scale=one)
    other = enclose_exact(family, "inf", dim=10, rho=at, parameters=values, scale=one)
    assert own is not None and other is not None
    assert other.enclosure.route == "converted from l1: R * 1/d, by level set" and not other.tight
    ratio = sp.Rational(own.enclosure.lower) / sp.Rational(other.enclosure.lower)
    assert abs(ratio - 10) < sp.Rational(1, 10**13) and other.norm == "1"


@pytest.mark.parametrize("digits", [20, 40])
def test_exact_radii_of_cubes_come_with_as_many_digits_as_asked_for(digits: int) -> None:
    family = derive_family(find_spec("exp_linf"))
    given = {
        "dim": 10,
        "rho": sp.Rational("0.99"),
        "parameters": {"k": sp.Rational(1, 2)},
        "scale": sp.Integer(1),
    }
    usual = enclose_exact(family, "inf", **given)  # type: ignore[arg-type]
    closer = enclose_exact(family, "inf", digits=digits, **given)  # type: ignore[arg-type]
    assert usual is not None and closer is not None
    low, high = sp.Rational(closer.enclosure.lower), sp.Rational(closer.enclosure.upper)
    assert 0 <= high - low <= low / sp.Integer(10) ** digits
    assert sp.Rational(usual.enclosure.lower) <= low <= high <= sp.Rational(usual.enclosure.upper)


@pytest.mark.parametrize("rho", ["1/2 + 2**-53", "0.6", "0.99", "1 - 10**-15"])
@pytest.mark.parametrize("parameters", [{"k": "1/2"}, {"k": "1", "j": "1/2"}, {"k": "1"}])
def test_on_a_line_the_l2_radius_is_that_of_an_l1_radial_density(
    rho: str, parameters: dict[str, str]
) -> None:
    values = {key: sp.Rational(value) for key, value in parameters.items()}
    family = derive_family(find_spec("exp_l2"))
    at = sp.sympify(rho, rational=True)
    found = enclose(family, "2", dim=1, rho=at, parameters=values, scale=sp.Integer(1))
    low, high = sp.Rational(found.lower), sp.Rational(found.upper)
    assert 0 < low <= high <= low * (1 + sp.Rational(1, 10**12))
    if parameters == {"k": "1"}:  # the quantile of Laplace noise
        true = -sp.log(2 * (1 - at))
        assert low <= sp.Rational(str(true.evalf(40))) <= high


@pytest.mark.parametrize("dim", [10, 3072, 150528])
def test_slowly_varying_densities_are_enclosed(dim: int) -> None:
    family = derive_family(find_spec("exp_l2"))
    at, values = sp.Rational("0.99"), {"k": sp.Rational(1, 10)}
    found = enclose(family, "2", dim=dim, rho=at, parameters=values, scale=sp.Integer(1))
    low, high = sp.Rational(found.lower), sp.Rational(found.upper)
    assert 0 < low <= high <= low * (1 + sp.Rational(1, 10**12))


def test_families_without_a_sharper_radius_say_so() -> None:
    family = derive_family(find_spec("gaussian"))
    assert (
        enclose_exact(family, "2", dim=5, rho=sp.Rational("0.9"), parameters={}, scale=sp.Integer(1)) is None
    )


@pytest.mark.parametrize("dim", [1, 2, 7, 3072])
def test_the_uniform_cross_polytope_has_the_radius_of_the_cube_in_its_own_norm(dim: int) -> None:
    """The overlap of two cross-polytopes displaced by e along e_1 is (1 - e/2b)**d of one."""
    family = derived("1", "l1", "r<=2")
    native = family.native["1"]
    assert native.tight and native.method == "level set" and not family.exact
    at = sp.Rational("0.9")
    found = enclose_native(family, "1", {d: sp.Integer(dim)}, at)
    exact = 4 * (1 - float(sp.Rational(3, 2) - at) ** (1 / dim))
    assert float(found.lower) == pytest.approx(exact, rel=1e-11)


def test_the_overlap_of_cross_polytopes_by_counting() -> None:
    rng = np.random.default_rng(5)
    x = rng.exponential(size=(400_000, 3)) * rng.choice([-1.0, 1.0], size=(400_000, 3))
    x *= (rng.random(400_000) ** (1 / 3) / np.abs(x).sum(1))[:, None]
    for direction in ([1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]):
        outside = np.mean(np.abs(x + 0.4 * np.array(direction)).sum(1) > 1.0)
        assert outside <= 1 - (1 - 0.2) ** 3 + 4e-3  # the coordinate is worst
    assert np.mean(np.abs(x + [0.4, 0, 0]).sum(1) > 1.0) == pytest.approx(1 - 0.8**3, abs=4e-3)


def growth(log_density: object, p: float, shift: tuple[float, float]) -> float:
    """G(p, v) of a density on the plane by summing a fine grid in (-1, 1)**2, x = tan(pi·y/2): sorted likelihood ratios."""
    y = (np.arange(3000) + 0.5) / 1500 - 1
    x = np.tan(np.pi / 2 * y)
    weight = np.log(np.pi / 2) - 2 * np.log(np.cos(np.pi / 2 * y)) + np.log(1 / 1500)
    f = log_density
    own = (f(x) + weight)[:, None] + (f(x) + weight)[None, :]  # type: ignore[operator]
    moved = (f(x - shift[0]) + weight)[:, None] + (f(x - shift[1]) + weight)[None, :]  # type: ignore[operator]
    order = np.argsort((own - moved).ravel())
    q, shifted = np.exp(own).ravel()[order], np.exp(moved).ravel()[order]
    q, shifted = q / q.sum(), shifted / shifted.sum()
    return float(np.interp(p, np.cumsum(q), np.cumsum(shifted)))


@pytest.mark.parametrize(
    ("name", "parameters", "log_density", "coordinate"),
    [
        ("cauchy", {}, lambda x: -np.log1p(x * x), 7.853),
        ("pareto", {"a": 1.0}, lambda x: -2 * np.log1p(np.abs(x)), None),
    ],
)
def test_a_coordinate_radius_of_heavy_tails_is_no_certificate(
    name: str, parameters: dict[str, float], log_density: object, coordinate: float | None
) -> None:
    """Along (½, ½) the growth passes 1/2 at the distance that one coordinate allows: so the engine must not return that distance."""
    module, p = load(name), 0.01
    if coordinate is None:
        low, high = 0.0, 100.0
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if growth(log_density, p, (middle, 0.0)) < 0.5 else (low, middle)
        coordinate = low
    else:
        assert growth(log_density, p, (coordinate, 0.0)) == pytest.approx(0.5, abs=5e-3)
    assert growth(log_density, p, (coordinate / 2, coordinate / 2)) > 0.55
    returned = float(module.radius(np.array([1 - p]), adversary="1", dim=2, **parameters)[0])
    assert returned < 0.9 * coordinate
    assert growth(log_density, p, (returned / 2, returned / 2)) < 0.5
    family = derive_family(find_spec(name))
    assert not family.exact and family.native["1"].method == "differential"
    assert (r in family.profile.psi.free_symbols) and family.views[0].geometry == "product"


def test_the_command_prints_both_radii_and_their_bracket() -> None:
    result = query(find_spec("exp_linf"), "inf", 10, "0.99", ["k=2"], None, None)
    assert result["method"] == "differential" and not result["tight"]
    exact = result["exact"]
    assert exact["method"] == "level set, tight"
    assert float(exact["lower"]) == pytest.approx(0.75945382017152, rel=1e-13)
    assert result["radius"] <= float(result["lower"]) < float(exact["lower"])
    assert float(result["np_upper"]) == pytest.approx(float(exact["upper"]), rel=1e-12)
    assert query(find_spec("gaussian"), "2", 10, "0.99", [], None, None)["exact"] is None


def test_an_exact_radius_is_told_only_where_it_is_sharper() -> None:
    """Cubes against l1 on the first branch: the differential radius is the exact one."""
    result = query(find_spec("exp_linf"), "1", 784, "0.99", ["k=2"], None, None)
    assert result["exact"] is None and float(result["gap"]) < 1e-12


def test_parameters_too_large_to_be_written_as_exponents_have_a_radius() -> None:
    """Densities of images in large dimensions: a = d + 16."""
    result = query(find_spec("pow_l2"), "2", 64, "0.99", ["k=1", "a=20001"], None, None)
    assert result["method"] == "level set, tight"
    lower, upper = float(result["lower"]), float(result["np_upper"])
    assert 0 < lower <= upper <= lower * (1 + 1e-12)


@pytest.mark.parametrize(
    ("name", "dim"), [("exp_l2", 2), ("exp_l2", 3), ("pow_l2", 3072), ("exp_l2", 150528)]
)
@pytest.mark.parametrize("gap", [sp.Rational(1, 2**77), sp.Rational(1, 10**40)])
def test_close_to_one_half_the_radius_is_that_of_the_mean_growth(
    name: str, dim: int, gap: sp.Rational
) -> None:
    """R(1/2 + gap) = gap/(F'(0)·E[1/r]) but for a relative gap."""
    family = derive_family(find_spec(name))
    at = sp.Rational(1, 2) + gap
    found = enclose(family, "2", dim=dim, rho=at, parameters={}, scale=sp.Integer(1))
    low, high = sp.Rational(found.lower), sp.Rational(found.upper)
    assert 0 < low <= high <= low * (1 + sp.Rational(1, 10**12))
    if name == "exp_l2":  # E[1/r] = 1/(d - 1) for r ~ Gamma(d)
        slope = sp.gamma(sp.Rational(dim, 2)) / sp.gamma(sp.Rational(dim - 1, 2)) / sp.sqrt(sp.pi)
        true = (sp.loggamma(sp.Rational(dim - 1, 2)) - sp.loggamma(sp.Rational(dim, 2))).evalf(40)
        true = (
            sp.exp(true).evalf(40) * sp.sqrt(sp.pi).evalf(40) * (dim - 1)
            if dim > 100
            else ((dim - 1) / slope).evalf(40)
        )
        assert low <= sp.Rational(str(true)) * gap * (1 + gap * 4) and sp.Rational(str(true)) * gap <= high
