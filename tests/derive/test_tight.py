"""Where a radius is called tight, one half space or one pair of overlapping cubes reaches 1/2 at that very distance."""

from __future__ import annotations

import mpmath as mp
import pytest
import sympy as sp

from derive.bounds import enclose_native
from derive.engine import Family, derive_family
from derive.formula import dim as dim_symbol
from derive.formula import r, written_out
from derive.spec import known_specs

FAMILIES = {name: derive_family(spec) for name, spec in known_specs().items()}
TIGHT = [
    (name, adversary)
    for name, family in FAMILIES.items()
    for adversary, native in family.native.items()
    if native.tight and native.reduction.view.geometry == "product" and adversary == "1"
]


def test_there_are_some() -> None:
    assert {name for name, _ in TIGHT} >= {"gaussian", "laplace", "uniform", "logistic", "triangular"}


def _tail(family: Family, values: dict[sp.Symbol, sp.Rational], place: mp.mpf) -> mp.mpf:
    """P(x_1 ≥ place) of one coordinate, by quadrature of the density alone."""
    psi = sp.lambdify(r, written_out(family.profile.psi).subs(values), "mpmath")
    bound = family.profile.bound
    end = mp.inf if bound is None else mp.mpf(sp.Rational(bound).p) / sp.Rational(bound).q
    kinks = [mp.mpf(1)] if not mp.isfinite(end) else []

    def mass(low: mp.mpf) -> mp.mpf:
        breaks = [k for k in [*kinks, 3 * low + 1] if low < k < end]
        return mp.quad(lambda x: mp.exp(-psi(x)), sorted({low, *breaks, end}))

    return mass(place) / (2 * mass(mp.mpf(0)))


@pytest.mark.parametrize(("name", "adversary"), TIGHT)
def test_the_half_space_of_a_tight_radius_reaches_one_half(name: str, adversary: str) -> None:
    """{x_1 ≥ R} has measure 1 - rho; shifted by R it is {x_1 ≥ 0}, of measure 1/2 since the law is even."""
    family, rho = FAMILIES[name], sp.Rational(97, 100)
    values = {dim_symbol: sp.Integer(5)} | {q.symbol: q.default for q in family.spec.parameters}
    ball = enclose_native(family, adversary, values, rho)
    with mp.workdps(30):
        measure = _tail(family, values, mp.mpf(ball.lower))
        assert abs(measure / (1 - mp.mpf(rho.p) / rho.q) - 1) < mp.mpf(10) ** -9, measure


def test_cubes_overlap_by_one_half_less_what_fails() -> None:
    """Uniform noise against linf: 1 - overlap of the two cubes and the failure mass make 1/2, at the diagonal shift."""
    family = FAMILIES["uniform"]
    assert family.native["inf"].tight
    for dim in (1, 3, 3072):
        ball = enclose_native(family, "inf", {dim_symbol: sp.Integer(dim)}, sp.Rational(9, 10))
        with mp.workdps(40):
            overlap = (1 - mp.mpf(ball.lower) / 2) ** dim
            assert abs((1 - overlap) + mp.mpf(1) / 10 - mp.mpf(1) / 2) < mp.mpf(10) ** -20
