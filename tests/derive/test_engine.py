"""From a density to radii: laws, closed forms, conversions, refusals."""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
import pytest
import sympy as sp

from derive.derivation import Closed, Cone, Lattice
from derive.engine import Family, conversion_factor, derive_family
from derive.formula import Log1p, NormalQuantile, dim, fail, gap, rho
from derive.law import GammaRadialLaw
from derive.spec import Spec, SpecError, find_spec, parameters_from


def family(density: str, geometry: str, support: str = "", params: Sequence[str] = ()) -> Family:
    parameters, fixed = parameters_from(params)
    return derive_family(Spec("trial", density, geometry, support, parameters, "", fixed))


def closed(derived: Family, adversary: str) -> sp.Expr:
    evaluation = derived.native[adversary].evaluation
    assert isinstance(evaluation, Closed)
    return evaluation.radius


def test_the_classical_radii_are_found() -> None:
    gaussian, laplace, uniform = (derive_family(find_spec(n)) for n in ("gaussian", "laplace", "uniform"))
    assert closed(gaussian, "2") == closed(gaussian, "1") == NormalQuantile(rho)
    assert closed(laplace, "1") == -Log1p(-2 * gap)
    assert closed(uniform, "1") == 2 * gap
    exact = closed(uniform, "inf").subs({gap: sp.Rational(1, 4), dim: 3}).doit()
    assert abs(sp.N(exact.rewrite(sp.exp).replace(lambda e: e.func.__name__ == "Expm1", lambda e: sp.exp(e.args[0]) - 1)
                    .replace(lambda e: e.func.__name__ == "Log1p", lambda e: sp.log(1 + e.args[0])), 30)
               - 2 * (1 - sp.Rational(3, 4).evalf(40) ** sp.Rational(1, 3))) < 1e-25  # fmt: skip
    assert isinstance(laplace.native["inf"].evaluation, Lattice)
    assert {n: f.variance for n, f in (("g", gaussian), ("l", laplace), ("u", uniform))} == {
        "g": 1, "l": 2, "u": sp.Rational(1, 3)}  # fmt: skip


def test_both_branches_of_the_linf_exponential() -> None:
    derived = derive_family(find_spec("exp_linf"))
    native = derived.native["1"]
    assert isinstance(native.evaluation, Cone) and native.evaluation.weight == 1 / (2 * dim)
    (values, form), = native.special  # fmt: skip
    assert {str(s): v for s, v in values.items()} == {"k": 1, "j": 0}
    d = sp.Integer(10)
    low, high = sp.Rational(9, 10), sp.Rational(999, 1000)

    def at(x: sp.Rational) -> sp.Expr:
        return sp.simplify(form.radius.subs({gap: x - sp.Rational(1, 2), fail: 1 - x, dim: d}))

    assert at(low) == 2 * d * (low - sp.Rational(1, 2))
    assert sp.simplify(at(high) - (d - 1 + sp.log(1 / (2 * d * (1 - high))))) == 0
    first = next(s for s in native.steps if s.title == "First branch").formulas[0][1]
    k, j = (q.symbol for q in derived.spec.parameters)
    shape = (dim - j) / k
    expected = (dim - 1) * sp.gamma(shape - 1 / k) / (2 * dim * sp.gamma(shape))
    ratio = sp.gammasimp(first / expected)
    assert sp.simplify(ratio) == 1


@pytest.mark.parametrize(
    ("density", "geometry", "params"),
    [("exp(-r**2/2)", "product", []), ("exp(-3*r)", "product", []), ("exp(-r**p)", "product", ["p>0"]),
     ("r**(-j)*exp(-r**k)", "linf", ["k>0", "j>=0"]), ("exp(-r**k)", "l1", ["k>0"]), ("exp(-a*r**2)", "linf", ["a>0", "a=3"])],
)  # fmt: skip
def test_law_and_variance_against_quadrature(density: str, geometry: str, params: list[str]) -> None:
    derived = family(density, geometry, params=params)
    values = {q.symbol: q.default + sp.Rational(1, 2) for q in derived.spec.parameters} | {dim: sp.Integer(4)}
    exponent = 1 if geometry == "product" else 4
    psi = sp.lambdify(sp.Symbol("r", positive=True), derived.profile.psi.subs(values), "mpmath")
    weight = lambda x: x ** (exponent - 1) * mpmath.exp(-psi(x))  # noqa: E731
    cuts = [0, 0.5, 1, 2, 4, 8, 20, mpmath.inf]
    total = mpmath.quad(weight, cuts)
    second = mpmath.quad(lambda x: x**2 * weight(x), cuts) / total
    factor = derived.views[0].second_moment.subs(values)
    assert derived.variance is not None
    assert mpmath.almosteq(mpmath.mpf(sp.N(derived.variance.subs(values).doit().rewrite(sp.gamma).replace(
        lambda e: e.func.__name__ == "GammaRatio", lambda e: sp.gamma(e.args[0]) / sp.gamma(e.args[1])), 20)), second * mpmath.mpf(sp.N(factor, 20)), 1e-8)  # fmt: skip
    assert isinstance(derived.law, GammaRadialLaw)


@pytest.mark.parametrize(
    ("density", "geometry", "support", "reason"),
    [
        ("exp(r)", "product", "", "not integrable"),
        ("exp(-r**k)", "product", "", "unknown name"),
        ("1/r", "product", "", "not integrable"),
        ("exp(-1/r)", "product", "", "not integrable"),
        ("r**(-5)*exp(-r)", "product", "", "not integrable"),
        ("1", "product", "", "not integrable"),
        ("-exp(-r)", "product", "", "positive"),
        ("cos(r)", "product", "", "positive"),
        ("0", "product", "", "positive"),
        ("r**(-1/2)*exp(-r)", "product", "", "mean score"),
        ("1/sqrt(1-r)", "product", "r<=1", "infinite at the end of its support"),
        ("sin(r)*exp(-r)", "product", "", "positive"),
        ("1/(1+r)", "product", "", "not integrable"),
        ("r**(-2)", "linf", "", "no dimension"),
        ("exp(-max(r, abs(r - 1)))", "product", "", "switches"),
        # jumps inside: psi' does not show them
        ("exp(-r)*(2-abs(r-1)/(r-1))", "product", "", "continuous"),
        ("exp(-r+abs(r-1)/(r-1))", "l2", "", "continuous"),
        ("exp(-r-atan(1/(r-1))/2)", "product", "", "continuous"),
        ("exp(-r-atan(sin(r)/cos(r))/2)", "product", "", "continuous"),
        ("exp(-r+max(0,r-1)/(r-1))", "product", "", "continuous|jump"),
        # switches that an equation solver does not list
        ("exp(-r-abs(sin(r))/2)", "product", "r<=10", "switches"),
        ("exp(-r/8-2*abs(sin(r)))", "product", "r<=20", "switches"),
        ("exp(-r)/min(r,1e-60)**2", "product", "", "not integrable at 0"),
    ],
)
def test_refusals(density: str, geometry: str, support: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason) as caught:
        family(density, geometry, support)
    assert "\n" not in str(caught.value)


def test_a_sign_that_is_not_proved_is_not_used() -> None:
    """exp(-r**p) with p > 0 may be log-convex: no closed quantile, no claim of tightness."""
    open_power, steep = (
        family("exp(-r**p)", "product", params=["p>0"]),
        family("exp(-r**p)", "product", params=["p>=1"]),
    )
    assert not open_power.native["1"].tight and isinstance(open_power.native["1"].evaluation, Cone)
    assert family("exp(-r**3)", "product").native["1"].tight
    assert not steep.native["1"].tight or steep.profile.shape == "rising"


def test_one_law_in_two_geometries_has_one_radius() -> None:
    product, cube = family("1", "product", "r<=1"), family("1", "linf", "r<=1")
    assert closed(product, "1") == closed(cube, "1") and closed(product, "inf") == closed(cube, "inf")
    assert closed(family("exp(-r)", "l1"), "1") == closed(family("exp(-r)", "product"), "1")
    ball = family("exp(-r**2/2)", "l2")
    assert closed(ball, "2") == NormalQuantile(rho)


def test_scale_is_homogeneous() -> None:
    """exp(-r/3) is the unit law at scale 3."""
    assert (
        sp.simplify(closed(family("exp(-r/3)", "product"), "1") / closed(family("exp(-r)", "product"), "1"))
        == 3
    )
    assert sp.simplify(closed(family("exp(-r**2/18)", "product"), "2") / NormalQuantile(rho)) == 3


@pytest.mark.parametrize(("adversary", "other", "power"), [("2", "1", sp.Rational(1, 2)), ("inf", "1", 1), ("inf", "2", sp.Rational(1, 2)), ("1", "2", 0), ("1", "inf", 0), ("2", "inf", 0)])  # fmt: skip
def test_conversions_are_the_norm_inequalities(adversary: str, other: str, power: sp.Rational) -> None:
    assert conversion_factor(adversary, other) == dim**-power


@pytest.mark.parametrize(
    ("density", "support", "params", "reason"),
    [
        ("exp(-r**2+abs(r-a)/(r-a))", "", ["a>0", "a=0.5"], "continuous"),
        ("exp(-abs(r-a)-abs(r-b))", "", ["a>0", "b>0"], "order"),
        ("exp(-abs(r**2-2*r+k)-r)", "", ["k>0", "k=1.75"], "switches"),
        ("c-r", "r<=1", ["c>0", "c=2"], "positive for all parameters"),
        ("exp(-r)-a*exp(-3*r)", "", ["a>0", "a=0.5"], "positive for all parameters"),
    ],
)
def test_what_holds_at_the_defaults_only_is_refused(
    density: str, support: str, params: list[str], reason: str
) -> None:
    """A parameter that could break a hypothesis inside its domain is no matter of luck."""
    with pytest.raises(SpecError, match=reason):
        family(density, "product", support, params)
