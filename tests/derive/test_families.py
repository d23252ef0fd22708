"""Radii of many densities from their specs alone, against formulas worked out by hand and quadrature of the definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import mpmath as mp
import pytest
import sympy as sp

from derive.derivation import Derivation
from derive.engine import Family, derive_family
from derive.formula import dim, fail, gap, rho
from derive.law import BetaPrimeRadialLaw, BetaRadialLaw, GammaRadialLaw, QuadratureLaw
from derive.spec import Spec, parameters_from

Rho = mp.mpf


def family(density: str, geometry: str, support: str = "", params: Sequence[str] = ()) -> Family:
    parameters, fixed = parameters_from(params)
    return derive_family(Spec("trial", density, geometry, support, parameters, "", fixed))


def _root(function: Callable[[mp.mpf], mp.mpf], low: str | mp.mpf, high: str | mp.mpf) -> mp.mpf:
    """The root of a monotone function in a bracket, by bisection."""
    low, high = mp.mpf(low), mp.mpf(high)
    rises = function(high) > function(low)
    for _ in range(150):
        middle = (low + high) / 2
        low, high = (low, middle) if (function(middle) > 0) == rises else (middle, high)
    return low


def _gamma_quantile(a: mp.mpf, u: mp.mpf) -> mp.mpf:
    return _root(lambda x: mp.gammainc(a, 0, x, regularized=True) - u, "0", "200")


def _beta_quantile(a: mp.mpf, b: mp.mpf, u: mp.mpf) -> mp.mpf:
    return _root(lambda x: mp.betainc(a, b, 0, x, regularized=True) - u, "0", "1")


def value(derivation: Derivation, at: float, values: Mapping[str, float], d: int = 3) -> mp.mpf:
    """The formula of a derivation at rho, in forty digits; its boundary found from the mass where it is written in one."""
    formula = derivation.formula
    assert formula is not None
    names = {s: sp.Float(str(v), 40) for s in formula.free_symbols for n, v in values.items() if str(s) == n}
    inside = {
        rho: sp.Rational(str(at)),
        gap: sp.Rational(str(at)) - sp.Rational(1, 2),
        fail: 1 - sp.Rational(str(at)),
        dim: sp.Integer(d),
    } | names
    with mp.workdps(40):
        if derivation.boundary is not None:
            assert derivation.mass is not None
            mass = sp.lambdify(derivation.boundary, derivation.mass.subs(inside), "mpmath")
            c = _root(lambda x: mp.re(mass(x)) - (1 - mp.mpf(str(at))), "1e-12", "1000")
            inside[derivation.boundary] = sp.Float(c, 40)
        numbers = formula.subs(inside)
        modules = [{"GammaQuantile": _gamma_quantile, "BetaQuantile": _beta_quantile, "NormalQuantile": lambda u: mp.sqrt(2) * mp.erfinv(2 * u - 1),
                    "Log1p": mp.log1p}, "mpmath"]  # fmt: skip
        return mp.mpf(mp.re(sp.lambdify((), numbers, modules)()))


@dataclass(frozen=True)
class Closed:
    """A density whose radius is known in closed form."""

    density: str
    expected: Callable[[mp.mpf], mp.mpf]
    support: str = ""
    params: tuple[str, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    geometry: str = "product"
    adversary: str = "1"
    tight: bool = True

    def __str__(self) -> str:
        return self.density + self.support


def _student(nu: int) -> Callable[[mp.mpf], mp.mpf]:
    """Two-sided greedy sets c ≤ r ≤ nu/c, by quadrature of the definition."""

    def radius(at: mp.mpf) -> mp.mpf:
        root = mp.sqrt(nu)

        def cdf(x: mp.mpf) -> mp.mpf:
            return mp.betainc(mp.mpf(1) / 2, mp.mpf(nu) / 2, 0, x**2 / (nu + x**2), regularized=True)

        c = _root(lambda x: (cdf(nu / x) - cdf(x)) / 2 - (1 - at), "1e-12", root)
        x = c / root
        return mp.sqrt(nu) * mp.quad(lambda y: (1 + y ** (nu - 1)) / (1 - y ** (nu + 1)), [0, x])

    return radius


CASES = [
    Closed("exp(-r)/(1+exp(-r))**2", lambda p: mp.log(p / (1 - p))),
    Closed("sech(pi*r/2)", lambda p: 2 / mp.pi * mp.log(mp.tan(mp.pi * p / 2))),
    Closed("1-r", lambda p: 1 - mp.sqrt(2 * (1 - p)), "r<=1"),
    Closed("exp(-r)", lambda p: -mp.log(2 * (1 - p) * (1 - mp.exp(-2)) + mp.exp(-2)), "r<=2"),
    Closed("1/(1+r**2)", lambda p: 2 * mp.atanh(mp.tan(mp.pi * (2 * p - 1) / 4)), tight=False),
    Closed("(1+r**2/nu)**(-(nu+1)/2)", _student(2), params=("nu=2",), tight=False),
    Closed("(1+r**2/nu)**(-(nu+1)/2)", _student(3), params=("nu=3",), tight=False),
    Closed("(1+r**2/nu)**(-(nu+1)/2)", _student(5), params=("nu=5",), tight=False),
    Closed(
        "(1+r)**(-a-1)",
        lambda p: (2 * p - 1) / 3 * mp.hyp2f1(1, mp.mpf(3) / 4, mp.mpf(7) / 4, (2 * p - 1) ** (mp.mpf(4) / 3)),
        params=("a>0",),
        values={"a": 3},
        tight=False,
    ),
    Closed(
        "exp(-sqrt(r))",
        lambda p: mp.quad(lambda c: 1 / mp.expm1(mp.sqrt(c)), [_gamma_quantile(mp.mpf(2), 2 * (1 - p)) ** 2, 10, 100, 2000, 40000]),
        tight=False,
    ),
    Closed("exp(-r**p)", lambda p: _gamma_quantile(mp.mpf(1) / 3, 2 * p - 1) ** (mp.mpf(1) / 3), params=("p=3",)),
    Closed("(1-r**2)**k", lambda p: mp.sqrt(_beta_quantile(mp.mpf(1) / 2, mp.mpf(3), 2 * p - 1)), "r<=1", ("k>0",), {"k": 2}),
    Closed("1", lambda p: 2 - 4 * _beta_quantile(mp.mpf(2), mp.mpf(2), mp.mpf(3) / 4 - p / 2), "r<=1", geometry="l2", adversary="2"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("at", [0.6, 0.9, 0.99])
def test_closed_radii(case: Closed, at: float) -> None:
    """The formula that the engine derives has the value that the hand-made one has, to twenty digits."""
    derived = family(case.density, case.geometry, case.support, case.params).native[case.adversary]
    assert derived.tight == case.tight
    assert derived.form in ("closed form", "quantile")
    with mp.workdps(40):
        expected = case.expected(mp.mpf(str(at)))
        assert abs(value(derived, at, case.values) - expected) < mp.mpf("1e-20") * expected


def test_the_differential_radius_of_the_spherical_exponential() -> None:
    """(d-1)·artanh(1 - 2·ppf(1-rho)), derived beside the larger level-set radius."""
    derived = family("exp(-r)", "l2")
    (other,) = derived.weaker["2"]
    with mp.workdps(40):
        for at in (0.6, 0.99):
            quantile = _beta_quantile(mp.mpf(1), mp.mpf(1), 1 - mp.mpf(str(at)))
            assert abs(value(other, at, {}) - 2 * mp.atanh(1 - 2 * quantile)) < mp.mpf("1e-20")


LAWS = [
    ("(1+r)**(-a-1)", "product", "", ("a>0",), BetaPrimeRadialLaw),
    ("(1+r)**(-a)", "linf", "", ("a>0", "a=20"), BetaPrimeRadialLaw),
    ("(1+r**k)**(-a)", "l2", "", ("k>0", "a>0", "a=20"), BetaPrimeRadialLaw),
    ("(1+r**2/nu)**(-(nu+1)/2)", "product", "", ("nu>0",), BetaPrimeRadialLaw),
    ("(1-r**2)**k", "product", "r<=1", ("k>0",), BetaRadialLaw),
    ("r**(-j)*exp(-r**k)", "linf", "", ("k>0", "j>=0"), GammaRadialLaw),
    ("r**2*exp(-r**2)", "linf", "", (), GammaRadialLaw),
    ("exp(-r)/(1+exp(-r))**2", "product", "", (), QuadratureLaw),
    ("exp(-r**2-r)", "product", "", (), QuadratureLaw),
]


@pytest.mark.parametrize(("density", "geometry", "support", "params", "kind"), LAWS, ids=str)
def test_laws_are_recognised(
    density: str, geometry: str, support: str, params: tuple[str, ...], kind: type
) -> None:
    """Gamma, Beta and beta prime by a Pearson identity, quadrature where there is none."""
    assert isinstance(family(density, geometry, support, params).law, kind)


SIGMAS = [
    ("(1+r)**(-a-1)", "product", ("a>0",), {"a": 5}, 1, mp.mpf(2) / (4 * 3)),
    ("exp(-r**p)", "product", ("p>0",), {"p": 3}, 1, mp.gamma(1) / mp.gamma(mp.mpf(1) / 3)),
    ("exp(-r**k)", "l1", ("k>0",), {"k": 2}, 5, 2 * mp.gamma(mp.mpf(7) / 2) / (5 * 6 * mp.gamma(mp.mpf(5) / 2))),
    ("r**(-j)*exp(-r**k)", "l2", ("k>0", "j>=0"), {"k": 2, "j": 1}, 5, mp.gamma(3) / (5 * mp.gamma(2))),
    ("(1+r)**(-a)", "linf", ("a>0", "a=20"), {"a": 20}, 5, (mp.mpf(4) / 3 + 1) * 6 / (mp.mpf(14) * 13)),
    ("(1+r**k)**(-a)", "l2", ("k>0", "a>0", "a=20"), {"k": 2, "a": 10}, 5,
     mp.gamma(mp.mpf(7) / 2) * mp.gamma(mp.mpf(13) / 2) / (5 * mp.gamma(mp.mpf(5) / 2) * mp.gamma(mp.mpf(15) / 2))),
]  # fmt: skip


@pytest.mark.parametrize(("density", "geometry", "params", "values", "d", "variance"), SIGMAS, ids=str)
def test_variances(
    density: str, geometry: str, params: tuple[str, ...], values: dict[str, int], d: int, variance: mp.mpf
) -> None:
    """sigma² at scale 1, with symbolic parameters."""
    found = family(density, geometry, params=params).variance
    assert found is not None
    numbers = {s: values.get(str(s), d) for s in found.free_symbols}
    shown = found.subs(numbers).replace(
        lambda e: e.func.__name__ == "GammaRatio", lambda e: sp.gamma(e.args[0]) / sp.gamma(e.args[1])
    )
    assert abs(mp.mpf(str(sp.N(shown, 30))) - variance) < mp.mpf("1e-14") * variance


def test_infinite_variance_is_known() -> None:
    """Cauchy has none, Student's t and Pareto where their exponents are small."""
    cauchy = family("1/(1+r**2)", "product")
    assert cauchy.variance is None and cauchy.finite[0].is_negative
    assert family("(1+r)**(-a-1)", "product", params=("a>0",)).finite == (sp.Symbol("a", positive=True) - 2,)


def test_first_branch_of_the_power_law_cube() -> None:
    """(2d/(a-d))·(rho - 1/2), and both distribution functions in the boundary."""
    native = family("(1+r)**(-a)", "linf", params=("a>0", "a=20")).native["1"]
    first = next(step for step in native.steps if step.title == "First branch").formulas[0][1]
    a = sp.Symbol("a", positive=True)
    assert sp.simplify(first - 2 * dim * gap / (a - dim)) == 0
    growth = dict(next(step for step in native.steps if step.title == "Growth").formulas)
    assert growth["Phi(s)"].has(sp.Symbol("s", positive=True))


SHAPES = [
    ("exp(-r**2/2)+exp(-r**2/8)/2", "", "rising, then falling, then rising"),
    ("exp(-(min(r,1)**2/2+r-min(r,1)))", "", "rising"),
    ("exp(-abs(r-1))", "", "rising"),
    ("1+cos(pi*r)", "r<=1", "rising"),
    ("exp(-1/(1-r**2))", "r<=1", "rising"),
    ("exp(-log(r)**2/2)/r", "", "rising, then falling"),
]


@pytest.mark.parametrize(("density", "support", "shape"), SHAPES, ids=str)
def test_shapes_of_scores(density: str, support: str, shape: str) -> None:
    """The pieces on which psi' is monotone, kinks and jumps of psi' included."""
    assert family(density, "product" if "log" not in density else "l2", support).profile.shape == shape


def test_what_is_not_unimodal_is_not_called_so() -> None:
    """A ring, a log-normal radius: sound differential radii, no level set, nothing called tight."""
    for density in ("r**2*exp(-r**2)", "exp(-log(r)**2/2)/r"):
        derived = family(density, "l2")
        assert derived.unimodal == ""
        assert not derived.native["2"].tight and derived.native["2"].method == "differential"
