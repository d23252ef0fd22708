"""Pictures: the curves are the radii and densities they claim to be, and the bytes do not depend on the platform."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from derive import formula
from derive.expression import FUNCTIONS
from derive.pages import chart, pictures
from derive.pages.drawn_law import drawn_law
from derive.pages.summary import Cell, Summary
from derive.spec import Spec, find_spec, known_specs, parameters_from
from generated import registry
from generated.special import norm_name

NAMESPACE = "{http://www.w3.org/2000/svg}"
PAIRS = [(name, adversary) for name in registry.FAMILIES for adversary in registry.load(name).ADVERSARIES]


def spec_of(density: str, geometry: str, support: str = "", *params: str) -> Spec:
    parameters, fixed = parameters_from(params)
    return Spec("drawn", density, geometry, support, parameters, "", fixed)


def picture(name: str, adversary: str, module: Any = None) -> str:
    return pictures.radius_picture(
        find_spec(name), module or registry.load(name), adversary, registry.load("gaussian")
    )


def polylines(text: str) -> list[tuple[str, np.ndarray]]:
    """Colour and points of each line, in pixels."""
    root = ElementTree.fromstring(text)
    found = []
    for line in root.iter(f"{NAMESPACE}polyline"):
        points = np.array([[float(c) for c in pair.split(",")] for pair in line.attrib["points"].split()])
        found.append((line.attrib["stroke"], points))
    return found


def words(text: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(text).iter(f"{NAMESPACE}text")]


def shaken(module: Any) -> Any:
    """The module with radii and scale off by a few last digits, as another mathematical library would give them."""
    generator = np.random.default_rng(5)

    def radius(rho: np.ndarray, **keywords: Any) -> np.ndarray:
        noise = 1.0 + 2.0**-50 * generator.uniform(-1.0, 1.0, rho.shape)
        return np.asarray(module.radius(rho, **keywords) * noise)

    def scale_of_sigma(sigma: float, *, dim: int) -> float:
        return float(module.scale_of_sigma(sigma, dim=dim)) * (1.0 + 2.0**-51)

    return SimpleNamespace(
        NAME=module.NAME,
        PARAMETERS=module.PARAMETERS,
        ADVERSARIES=module.ADVERSARIES,
        radius=radius,
        scale_of_sigma=scale_of_sigma,
    )


@pytest.mark.parametrize(("name", "adversary"), PAIRS)
def test_the_last_digits_of_a_library_do_not_show(name: str, adversary: str) -> None:
    plain = picture(name, adversary)
    assert picture(name, adversary, shaken(registry.load(name))) == plain
    assert len(plain.encode()) < 30_000
    assert not re.search(r"20\d\d-\d\d|href|font-face|[Nn]a[Nn]\b|\binf,|,inf\b", plain)


def test_a_visible_difference_does_show() -> None:
    module = shaken(registry.load("laplace"))
    module.scale_of_sigma = lambda sigma, *, dim: (
        1.001 * registry.load("laplace").scale_of_sigma(sigma, dim=dim)
    )
    assert picture("laplace", "1", module) != picture("laplace", "1")


@pytest.mark.parametrize(("name", "adversary"), PAIRS)
def test_the_curve_is_the_radius_at_unit_sigma(name: str, adversary: str) -> None:
    module = registry.load(name)
    text = picture(name, adversary)
    colour, points = polylines(text)[-1]
    assert colour == chart.COLOURS[0]
    left = float(points[0, 0])
    z = (points[:, 0] - left) / 330.0 * stats.norm.ppf(0.9999)
    where = pictures.setting(module, norm_name(adversary))
    assert where is not None and where.dim == 3072
    assert where.scale == (module.scale_of_sigma(1.0, dim=3072) if where.finite_variance else 1.0)
    scale = where.scale
    radii = module.radius(
        np.clip(stats.norm.cdf(z), 0.0, 1.0), adversary=norm_name(adversary), dim=3072, scale=scale
    )
    heights = points[0, 1] - points[:, 1]
    top = [
        float(t) for t in words(text)[words(text).index("certified radius") :] if re.fullmatch(r"[\d.e-]+", t)
    ]
    highest = max(t for t in top if t not in pictures.CONFIDENCES or t > 1)
    assert np.allclose(heights / 232.0 * highest, radii, atol=2e-4 * highest)


@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        (spec_of("sech(r/2)**2", "product"), stats.logistic),
        (spec_of("(1 + r**2/nu)**(-(nu + 1)/2)", "product", "", "nu>0", "nu=3"), stats.t(3)),
        (spec_of("exp(-r)", "product"), stats.laplace),
        (spec_of("1 + cos(pi*r)", "product", "r<=1"), stats.cosine(scale=1 / math.pi)),
        (spec_of("exp(-min(r**2, max(2*r - 1, r**2))/2)", "product"), stats.norm),
        (spec_of("erfc(r)/2 + exp(-log(cosh(r)) - erf(r))", "product"), None),
    ],
)
def test_a_coordinates_density_is_normalised(spec: Spec, reference: Any) -> None:
    law = drawn_law(spec, 1)
    r = np.linspace(0.05, 0.95, 19)
    if reference is not None:
        assert np.allclose(law.density(r), 2.0 * reference.pdf(r), rtol=2e-4)
    fine = np.linspace(1e-9, 60.0 if law.bound is None else law.bound, 600_001)
    missing = 0.0 if reference is None else 2.0 * float(reference.sf(fine[-1]))
    assert float(np.trapezoid(law.density(fine), fine)) == pytest.approx(1.0 - missing, abs=3e-4)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_function_of_the_grammar_can_be_drawn(function: str) -> None:
    call = f"{function}(1 + r{', 3/2 + r/7' if function in ('min', 'max') else ''})"
    for density in (f"exp(-r**2)*(3 + {call})", f"exp(-r**2 - {call}**2/9)", f"exp(-r**2)*{call}**2"):
        spec = spec_of(density, "product")
        r = np.array([0.1, 0.7, 2.5])
        exact = np.array(
            [float(sp.log(spec.expression.subs(formula.r, sp.Rational(str(x)))).n(20)) for x in r]
        )
        assert np.allclose(drawn_law(spec, 1).log_density(np.log(r)), exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 10, 3072])
@pytest.mark.parametrize(
    ("density", "geometry", "reference"),
    [
        ("exp(-r)", "linf", lambda d: stats.gamma(d)),
        ("exp(-r**2/2)", "l2", lambda d: stats.chi(d)),
        ("(1 + r)**(-d - 20)", "l1", lambda d: stats.betaprime(d, 20)),
    ],
)
def test_a_norms_density_holds_in_high_dimension(
    density: str, geometry: str, reference: Any, dim: int
) -> None:
    law, expected = drawn_law(spec_of(density, geometry), dim), reference(dim)
    r = expected.ppf([0.01, 0.2, 0.5, 0.8, 0.99])
    assert np.allclose(law.density(r), expected.pdf(r), rtol=5e-4)
    assert law.quantile(0.3) == pytest.approx(expected.ppf(0.3), rel=1e-3)


def test_mass_beyond_the_range_of_floats_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond the range of floats"):
        drawn_law(spec_of("exp(-log(r)**2/2)", "l2"), 3072).quantile(0.5)
    middle = drawn_law(spec_of("exp(-log(r)**2/2)", "l2"), 64)
    assert math.log(middle.quantile(0.5)) == pytest.approx(64.0, rel=1e-4)


def test_a_radius_is_drawn_even_where_the_density_cannot_be() -> None:
    text = pictures.radius_picture(spec_of("exp(-log(r)**2/2)", "l2"), limited(3072, True), "1")
    assert len(polylines(text)) == 1 and "The density is not drawn: the mass lies at" in text


def test_a_jump_is_upright_and_nothing_lies_beyond_it() -> None:
    _, points = polylines(picture("uniform", "1"))[1]
    edge = chart.LEFT + 330.0 * (4.0 + math.sqrt(3.0)) / 8.0
    right = points[points[:, 0] > edge + 0.02]
    floor = points[:, 1].max()
    assert len(right) and np.all(right[:, 1] == floor)
    at_edge = points[np.abs(points[:, 0] - edge) < 0.02][:, 1]
    assert at_edge.min() < floor - 100 and at_edge.max() == floor


def limited(highest_dim: int, variance: bool) -> Any:
    def radius(rho: np.ndarray, *, adversary: str, dim: int, scale: float = 1.0) -> np.ndarray:
        if dim > highest_dim:
            raise ValueError("outside")
        return scale * (2.0 * rho - 1.0)

    def scale_of_sigma(sigma: float, *, dim: int) -> float:
        if not variance:
            raise ValueError("the variance is infinite")
        return sigma

    return SimpleNamespace(
        NAME="cauchy", PARAMETERS={"a": 9.5}, ADVERSARIES=("1",), radius=radius, scale_of_sigma=scale_of_sigma
    )


def test_without_a_finite_variance_the_scale_is_one_and_there_is_no_comparison() -> None:
    spec = spec_of("1/(1 + r**2)", "product")
    text = pictures.radius_picture(spec, limited(10**6, False), "1", registry.load("gaussian"))
    assert "λ = 1 (σ is infinite)" in text and "gaussian" not in text
    assert "gaussian" in pictures.radius_picture(spec, limited(10**6, True), "1", registry.load("gaussian"))


def test_the_dimension_is_the_largest_that_the_parameters_allow() -> None:
    assert pictures.setting(limited(9, True), "1") == pictures.Setting(8, 1.0, True)
    assert pictures.setting(limited(10**6, True), "1") == pictures.Setting(3072, 1.0, True)
    spec = spec_of("1/(1 + r**2)", "product")
    with pytest.raises(ValueError, match="no ℓ₁ radius at its default parameters"):
        pictures.radius_picture(spec, limited(0, True), "1")


def summary(name: str, module: Any) -> Summary:
    cells = {a: Cell("integral", False, "tested", c) for a, c in pictures.overview_curves(module).items()}
    return Summary(name, pictures.label(module), "", "product", cells)


def test_the_overview_ranks_all_and_names_who_is_missing() -> None:
    everyone = {name: registry.load(name) for name in registry.FAMILIES}
    curves = {name: pictures.overview_curves(module)["1"] for name, module in everyone.items()}
    modules = {name: module for name, module in everyone.items() if not curves[name].missing}
    assert {name: curves[name].missing for name in everyone.keys() - modules} == {
        "cauchy": "infinite variance"
    }
    missing = [summary("cauchy", limited(10**6, False)), summary("tail", limited(9, True))]
    present = [summary(name, module) for name, module in modules.items()]
    text = pictures.overview_picture("1", missing + present)
    assert pictures.overview_picture("1", present[::-1] + missing) == text
    assert len(polylines(text)) == len(modules)
    assert "cauchy (a = 9.5) (infinite variance); cauchy (a = 9.5) (no radius at d = 3072)." in text
    shown = words(text)
    at = {
        n: float(
            m.radius(np.array([0.99]), adversary="1", dim=3072, scale=m.scale_of_sigma(1.0, dim=3072))[0]
        )
        for n, m in modules.items()
    }
    labels = {next(w for w in shown if w.split(" ")[0] == name): value for name, value in at.items()}
    assert all(
        float(shown[shown.index(label) + 1]) == pytest.approx(value, rel=6e-4)
        for label, value in labels.items()
    )
    ranked = sorted(labels, key=lambda w: (-float(f"{labels[w]:.6g}"), w))
    assert sorted(labels, key=shown.index) == ranked
    assert [summary(name, shaken(module)) for name, module in modules.items()] == present


def test_the_overview_draws_the_radii_of_the_record() -> None:
    module = registry.load("laplace")
    _, points = polylines(pictures.overview_picture("1", [summary("laplace", module)]))[0]
    radii = np.array(pictures.overview_curves(module)["1"].radii)
    heights = points[0, 1] - points[:, 1]
    assert np.allclose(heights / heights[-1], radii / radii[-1], atol=1e-4)
    rho = stats.norm.cdf((points[:, 0] - chart.LEFT) / 430.0 * stats.norm.ppf(0.9999))
    expected = module.radius(rho, adversary="1", dim=3072, scale=module.scale_of_sigma(1.0, dim=3072))
    assert np.allclose(radii, expected, rtol=1e-2, atol=1e-3)


def test_radii_of_different_orders_share_a_logarithmic_axis() -> None:
    modules = {name: registry.load(name) for name in ("gaussian", "laplace", "uniform")}
    plain = pictures.overview_picture("1", [summary(name, module) for name, module in modules.items()])
    far = limited(10**6, True)
    far.radius = lambda rho, **_: 1e4 * (rho - 0.5)
    text = pictures.overview_picture("1", [*(summary(n, m) for n, m in modules.items()), summary("far", far)])
    assert "100" not in words(plain) and {"1", "10", "100", "1000"} <= set(words(text))
    ticks = {word: float(y) - 4.0 for y, word in re.findall(r'x="56" y="([\d.]+)"[^>]*>([^<]*)</text>', text)}
    decade = ticks["10"] - ticks["100"]
    assert ticks["100"] - ticks["1000"] == pytest.approx(decade, abs=0.02) and decade > 30.0
    found = {float(points[-1, 1]) for _, points in polylines(text)}
    for module in modules.values():
        scale = module.scale_of_sigma(1.0, dim=3072)
        radius = float(module.radius(np.array([0.9999]), adversary="1", dim=3072, scale=scale)[0])
        assert min(abs(y - (ticks["10"] - decade * math.log10(radius / 10.0))) for y in found) < 0.03
    assert all(points[:, 1].max() - points[:, 1].min() > 30.0 for _, points in polylines(text))


def test_many_families_stay_distinct_and_small() -> None:
    many = [replace(summary("laplace", registry.load("laplace")), name=f"noise{k:02d}") for k in range(30)]
    text = pictures.overview_picture("1", many)
    styles = re.findall(r"<polyline[^>]*?(stroke=.*?)/>", text)
    assert len(set(styles)) == 30
    assert len(text.encode()) < 60_000


def test_the_coordinate_density_of_every_built_in_is_drawn_inside_its_frame() -> None:
    for name in known_specs():
        for _, points in polylines(picture(name, registry.load(name).ADVERSARIES[0])):
            assert np.isfinite(points).all() and points[:, 1].max() - points[:, 1].min() <= 232.0


@given(st.floats(1e-12, 1e12), st.floats(-100.0, 100.0))
def test_ticks_are_few_and_inside(width: float, offset: float) -> None:
    low = offset * width
    ticks = chart.plain_ticks(low, low + width)
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-6 * width <= value <= low + width * (1 + 1e-6) for value, _ in ticks)


@given(st.floats(1e-200, 1e200), st.floats(0.0, 20.0))
def test_a_decade_axis_holds_its_values_with_few_ticks(lowest: float, decades: float) -> None:
    axis = chart.decade_axis("R", lowest, lowest * 10.0**decades)
    assert axis.low <= math.log10(lowest) + 1e-8 and axis.high >= math.log10(lowest) + decades - 1e-8
    assert axis.high - axis.low <= decades + 0.9
    assert len(axis.ticks) >= 1 and all(axis.low <= value <= axis.high for value, _ in axis.ticks)


@given(st.floats(1e-300, 1e300))
def test_an_axis_from_zero_reaches_the_highest_value_and_not_far_beyond(highest: float) -> None:
    axis = chart.axis_from_zero("R", highest)
    assert highest * (1 - 1e-8) <= axis.high <= 2.0 * highest
    assert axis.ticks[0][0] == 0.0


def test_bad_axes_and_lines_are_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        chart.Axis("x", 1.0, 1.0, ())
    with pytest.raises(ValueError, match="as many x as y"):
        chart.Line("l", np.zeros(3), np.zeros(2), "#000000")


def test_text_is_escaped() -> None:
    axis = chart.Axis("a < b & c", 0.0, 1.0, ((0.0, "0"),))
    line = chart.Line("<i>", np.array([0.0, 1.0]), np.array([0.0, math.nan]), "#000000")
    text = chart.svg("R < 1", [chart.Panel("p", axis, axis, (line,))])
    assert "a < b & c" in words(text) and "<i>" in words(text)
    assert [points.shape for _, points in polylines(text)] == [(1, 2)]
