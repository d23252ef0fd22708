"""Mass and level of one coordinate against closed forms; what is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from flint import arb, ctx
from scipy import stats

from derive.composition.coordinate import coordinate, log_concave
from tests.derive.composition.cases import law, profile

LAWS = {
    "gaussian": stats.norm(),
    "laplace": stats.laplace(),
    "logistic": stats.logistic(),
    "hyperbolic_secant": stats.hypsecant(scale=2 / math.pi),
    "triangular": stats.triang(0.5, loc=-1, scale=2),
    "uniform": stats.uniform(-1, 2),
}


@pytest.mark.parametrize("name", LAWS)
def test_mass_is_that_of_the_law(name: str) -> None:
    one = law(name)
    for x in (1e-9, 0.03, 0.5, 0.77, 0.999 * min(one.end, 6.0)):
        share = float((one.mass(arb(x)) / one.half / 2).mid())
        assert share == pytest.approx(LAWS[name].cdf(x) - 0.5, rel=1e-13, abs=1e-16)
        assert bool(one.mass(arb(-x)) == -one.mass(arb(x)) or one.mass(arb(-x)).overlaps(-one.mass(arb(x))))


def test_panels_hold_exact_values() -> None:
    before, ctx.prec = ctx.prec, 200
    try:
        one = law("gaussian")
        for x in (0.1, 1.7, 6.25):
            exact = (arb(x) / arb(2).sqrt()).erf() * (arb.pi() / 2).sqrt()
            assert one.mass(arb(x)).overlaps(exact)
            assert bool(one.mass(arb(x)).rad() < 1e-28)
            assert one.psi(arb(x)).overlaps(arb(x) ** 2 / 2)
        assert one.half.overlaps((arb.pi() / 2).sqrt())
    finally:
        ctx.prec = before


@pytest.mark.parametrize("k", ["1", "1/3", "7/5"])
def test_kinks_are_crossed(k: str) -> None:
    one = law("huber", k=k)
    at = arb(1) * 2
    value = _huber(k)
    assert float(one.mass(at).mid()) == pytest.approx(value, rel=1e-13)


def _huber(k: str) -> float:
    c = float(Fraction(k))
    inside = math.sqrt(math.pi / 2) * math.erf(c / math.sqrt(2))
    return inside + (math.exp(-c * c / 2) - math.exp(c * c / 2 - 2 * c)) / c


@pytest.mark.parametrize(("name", "parameters"), [("student_t", {}), ("cauchy", {}), ("pareto", {}), ("generalized_normal", {"p": "1/2"})])  # fmt: skip
def test_what_is_not_log_concave_is_refused(name: str, parameters: dict[str, str]) -> None:
    found = profile(name, **parameters)
    assert not log_concave(found)
    with pytest.raises(ValueError, match="log-concave"):
        coordinate(found)


def test_a_place_outside_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="outside"):
        law("triangular").mass(arb(1.5))
