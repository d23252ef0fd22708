"""The slack of closed radii against the errors that their operations can add up to."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp

from derive.derivation import Closed
from derive.engine import derive_family
from derive.formula import Expm1, Log1p, dim, fail, gap, rho
from derive.rounding import falls_with, rounding_bound
from derive.spec import known_specs
from derive.tail import LogFail, RhoQuantile, accurate
from generated.special.errors import ROUNDING

SPECS = known_specs(Path(__file__).resolve().parents[2] / "derive" / "specs")


def _closed(name: str) -> list[sp.Expr]:
    found = []
    for derivation in derive_family(SPECS[name]).native.values():
        parts = [derivation.evaluation, *(closed for _, closed in derivation.special)]
        found += [part.radius for part in parts if isinstance(part, Closed)]
    return found


@pytest.mark.parametrize(
    "name", ["exp_l1", "exp_linf", "gaussian", "generalized_normal", "laplace", "uniform"]
)
def test_the_slack_of_every_closed_radius_covers_its_rounding(name: str) -> None:
    radii = _closed(name)
    assert radii
    for radius in radii:
        assert 0.0 < rounding_bound(radius) <= ROUNDING, radius


@pytest.mark.parametrize(
    "name", ["exp_l1", "exp_linf", "gaussian", "generalized_normal", "laplace", "uniform"]
)
def test_a_radius_from_the_logarithm_is_covered_as_well(name: str) -> None:
    """Its slack covers the rounding down to 1 - rho = 2^-1022; with 1 - rho rounded up, rho and rho - 1/2 down, it can only be smaller."""
    for radius in _closed(name):
        assert 0.0 < rounding_bound(radius, logarithm=True) <= ROUNDING, radius
        code = accurate(radius).replace(
            lambda e: isinstance(e, LogFail | RhoQuantile), lambda e: e.written_out
        )
        assert code.has(fail, gap, rho)
        for argument, falls in ((fail, True), (gap, False), (rho, False)):
            assert not code.has(argument) or falls_with(code, argument) is falls, (code, argument)


def test_a_formula_that_rises_is_seen() -> None:
    assert falls_with(sp.log(fail), fail) is False
    assert falls_with(-sp.log(2 * fail) + 3 * gap, gap) is False
    assert falls_with(fail - sp.log(fail), fail) is None
    assert falls_with(sp.Min(-fail, 1 / fail), fail) is True
    assert falls_with(fail * (1 - fail), fail) is None


def test_bounds_by_hand() -> None:
    """2·gap is rounded nowhere but in gap itself; a logarithm of an exact product is trusted to 8 units."""
    assert rounding_bound(2 * gap) < 4.0
    assert 8.0 <= rounding_bound(-sp.log(2 * fail)) < 12.0


def test_lost_digits_are_seen() -> None:
    """A difference of nearly equal numbers has no such bound."""
    assert rounding_bound(sp.Rational(1, 2) - fail) < 4.0  # exact numbers, one rounding
    assert rounding_bound(sp.Rational(1, 3) - sp.Rational(2, 3) * fail) > 1e6
    assert rounding_bound(-sp.log(3 * fail) + sp.log(sp.Rational(3, 2))) > 1e6


def test_what_has_no_rule_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="formula in"):
        rounding_bound(sp.Symbol("k", positive=True) * gap)
    with pytest.raises(NotImplementedError, match="tan"):
        rounding_bound(sp.tan(gap))
    assert rounding_bound(-2 * Expm1(Log1p(-gap) / dim)) < ROUNDING
