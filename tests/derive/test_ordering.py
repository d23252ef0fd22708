"""Signs over the whole half line: what structure proves, and what it must leave unknown."""

from __future__ import annotations

import pytest
import sympy as sp

from derive.formula import r
from derive.ordering import end_value, interval_pattern, score_steps, sign_of, sign_pattern

a = sp.Symbol("a", positive=True)
k = sp.Symbol("k", positive=True)
nu = sp.Symbol("nu", positive=True)
real = sp.Symbol("real", real=True)


@pytest.mark.parametrize(
    ("expression", "bound", "pattern"),
    [
        (r, None, "+"),
        (-a / (1 + r) ** 2, None, "-"),
        (sp.Integer(0), None, "0"),
        (nu - r**2, None, "+-"),
        ((nu - r**2) / (nu + r**2) ** 2, None, "+-"),
        (a * r**k - 1, None, "-+"),
        (sp.log(r), None, "-+"),
        (1 - r, sp.Integer(1), "+"),
        (1 - r**2, sp.Integer(1), "+"),
        (2 * r / (1 - r**2) ** 2, sp.Integer(1), "+"),
        (sp.tanh(r / 2), None, "+"),
        (1 - r, sp.Integer(2), "+-"),
        (sp.exp(-r) * (r - 3), None, "-+"),
    ],
    ids=str,
)
def test_patterns_that_structure_shows(expression: sp.Expr, bound: sp.Expr | None, pattern: str) -> None:
    """Products, sums of powers with one change of sign, monotone expressions between their limits."""
    assert sign_pattern(expression, bound) == pattern


@pytest.mark.parametrize(
    "expression", [sp.sin(r), r**2 - 3 * r + 2, real * r - 1, real + r**k, r - r**k], ids=str
)
def test_what_structure_does_not_show_is_unknown(expression: sp.Expr) -> None:
    """Two sign changes, free signs and powers that cannot be compared are no answer."""
    assert sign_pattern(expression) is None


def test_intervals_step_in_at_numbers() -> None:
    """Three zeros at given parameters, none of which sampling at powers of ten would show."""
    cubic = (r - 2) * (r - 3) * (r - 4) + 0 * a
    assert sign_of(cubic.expand() + r * 0, None, (), {}) == "-+-+"
    assert interval_pattern(r**2 - a * r + 1, None, (), {a: sp.Integer(3)}) == "+-+"
    assert interval_pattern(r**2 - a * r + 1, None, (), {}) is None


def test_a_narrow_bump_is_not_overlooked() -> None:
    """A dip below zero of width 1e-6 at 1/3."""
    dip = 1 - 2 / (1 + (sp.Integer(10) ** 6 * (r - sp.Rational(1, 3))) ** 2)
    assert sign_of(dip, None, (), {}) in ("+-+", None)


def test_limits_with_parameters() -> None:
    """The exponents of tails, with their parameters; None where a parameter decides the sign."""
    assert end_value(r * (a + 1) / (1 + r), sp.oo, "-") == a + 1
    assert end_value(r * sp.tanh(r), sp.oo, "-") == sp.oo
    assert end_value(real * r, sp.oo, "-") is None


def test_steps_at_kinks() -> None:
    """Jumps of a score: none for Huber's, upwards for a peak away from 0, downwards for a corner the other way."""
    smooth = sp.Piecewise((1, r >= 1), (r, True))
    up = sp.Piecewise((1, r >= 1), (-1, True))
    assert score_steps(smooth, (sp.Integer(1),)) == "0"
    assert score_steps(up, (sp.Integer(1),)) == "+"
    assert score_steps(-up, (sp.Integer(1),)) == "-"
