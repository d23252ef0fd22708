"""Signs on the whole line: right splits for densities of every kind, and no answer where there is no proof."""

from __future__ import annotations

import math

import pytest
import sympy as sp
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.enclosure.ball import Program, evaluate, number
from derive.enclosure.signs import sign_pattern
from derive.enclosure.span import INFINITY, Span, span
from derive.formula import Mixture, r, written_out

ONE = sp.Integer(1)
HALF = sp.Rational(1, 2)
HUBER = sp.Min(r, 1) * (r - sp.Min(r, 1) / 2)

# psi, bound, signs of psi', signs of psi'', where psi'' changes its sign
PROFILES = {
    "laplace": (r, None, "+", "0", []),
    "cubic": (r**3, None, "+", "+", []),
    "root": (sp.sqrt(r), None, "+", "-", []),
    "logistic": (r + 2 * sp.log(1 + sp.exp(-r)), None, "+", "+", []),
    "sech": (sp.log(sp.cosh(r)), None, "+", "+", []),
    "student": (2 * sp.log(1 + r**2 / 3), None, "+", "+-", [math.sqrt(3)]),
    "pareto": (sp.Rational(5, 2) * sp.log(1 + r), None, "+", "-", []),
    "scale mixture": (Mixture(r**2 / 2, r**2 / 8 + sp.log(2)), None, "+", "+-+", [2.003119, 3.018639]),
    "three scales": (
        Mixture(r**2 / 2, r**2 / 8 + sp.log(2), r**2 / 200 + sp.log(7)),
        None,
        "+",
        "+-+",
        [1.69804, 7.63057],
    ),
    "gaussian-laplace": (-sp.log(sp.exp(-(r**2) / 2) + sp.exp(-r)), None, "+", "+-", [2.305170]),
    "log-normal": (sp.log(r) ** 2 / 2, None, "-+", "+-", [math.e]),
    "hyperbolic": (sp.sqrt(1 + r**2), None, "+", "+", []),
    "hollow": (r**2 - sp.log(1 + r**2), None, "+", "+", []),
    "inverse gaussian": (r / 2 + 1 / (2 * r) + sp.Rational(3, 2) * sp.log(r), None, "-+", "+-", [2 / 3]),
    "waved": (r + r**2 * sp.exp(-r), None, "+", "+-+", [2 - math.sqrt(2), 2 + math.sqrt(2)]),
    "tanh": (r * sp.tanh(r), None, "+", "+-", [1.199679]),
    "arctangent": (r * sp.atan(r), None, "+", "+", []),
    "iterated logarithm": (sp.log(1 + sp.log(1 + r)), None, "+", "-", []),
    "error function": (-sp.log(sp.erfc(r)), None, "+", "+", []),
    "bump": (1 / (1 - r**2), ONE, "+", "+", []),
    "raised cosine": (-sp.log(1 + sp.cos(sp.pi * r)), ONE, "+", "+", []),
    "squared cosine": (-2 * sp.log(sp.cos(sp.pi * r / 2)), ONE, "+", "+", []),
    "triangle": (-sp.log(1 - r), ONE, "+", "+", []),
    "epanechnikov": (-sp.log(1 - r**2), ONE, "+", "+", []),
    "huber": (HUBER, None, "++", "+0", [1]),
    "not integrable": (1 / r, None, "-", "+", []),
}


def _signs(expression: sp.Expr, **options: object) -> str | None:
    pieces = sign_pattern(expression, **options)  # type: ignore[arg-type]
    if pieces is None:
        return None
    assert bool(pieces[0][1] == 0)
    for (_, _, end), (_, start, _) in zip(pieces, pieces[1:], strict=False):
        assert end is start or bool(end == start) or str(end) == str(start)
        assert bool(end.rad() <= arb(1e-12) * abs(end))
    return "".join(sign for sign, _, _ in pieces)


@pytest.mark.parametrize("name", list(PROFILES))
def test_the_profile_of_a_density(name: str) -> None:
    psi, bound, first, second, places = PROFILES[name]
    assert _signs(sp.diff(psi, r), bound=bound) == first
    pieces = sign_pattern(sp.diff(psi, r, 2), bound=bound)
    assert pieces is not None
    assert "".join(sign for sign, _, _ in pieces) == second
    assert [float(end) for _, _, end in pieces[:-1]] == pytest.approx(places, rel=1e-5)
    last = pieces[-1][2]
    assert not last.is_finite() if bound is None else bool(last == number(bound))


def test_signs_agree_with_values() -> None:
    """No value between the ends of a piece contradicts its sign."""
    for psi, bound, _, _, _ in PROFILES.values():
        for order in (1, 2):
            expression = sp.diff(psi, r, order)
            if expression.has(sp.DiracDelta):
                continue
            for sign, low, high in sign_pattern(expression, bound=bound) or ():
                top = high if high.is_finite() else low + 30
                for part in range(1, 8):
                    at = (low + (top - low) * part / 8).mid()
                    value = evaluate(written_out(expression), {r: at})
                    assert {"+": not bool(value <= 0), "-": not bool(value >= 0), "0": value.contains(0)}[
                        sign
                    ]


@pytest.mark.parametrize(
    "expression", [sp.sin(r), sp.sin(1 / r), sp.exp(-r) * sp.cos(r), sp.cos(r) + sp.exp(-r)]
)
def test_endless_sign_changes_are_unknown(expression: sp.Expr) -> None:
    assert sign_pattern(expression) is None


def test_a_double_zero_without_exact_factors_is_unknown() -> None:
    assert sign_pattern(r**2 - 2 * sp.sqrt(2) * r + 2) is None


def test_touched_zeros_end_a_piece() -> None:
    assert _signs((r - 1) ** 2 * (r - 2)) == "--+"
    assert _signs(sp.expand((r - 1) ** 2)) == "++"


@pytest.mark.parametrize("steepness", [10, 1000, 10**6, 10**9])
def test_narrow_bumps_are_found(steepness: int) -> None:
    bump = 1 - 2 * sp.exp(-((steepness * (r - sp.Rational(13, 10))) ** 2))
    pieces = sign_pattern(bump)
    assert pieces is not None
    assert [sign for sign, _, _ in pieces] == ["+", "-", "+"]
    half = math.sqrt(math.log(2)) / steepness
    assert float(pieces[1][2] - pieces[1][1]) == pytest.approx(2 * half, rel=1e-3)


def test_waves_that_stay_positive() -> None:
    assert _signs(1 + sp.sin(r) / 2) == "+"
    assert _signs(sp.exp(-r) * (1 + sp.cos(r) / 2)) == "+"
    assert _signs(sp.sin(r), bound=sp.Integer(5)) == "+-"


def test_kinks_are_cut_and_solved() -> None:
    assert _signs(sp.Abs(r - 1) + r) == "++"
    assert _signs(sp.Abs(r - 1) - HALF) == "+--+"
    assert _signs(sp.Piecewise((1, r <= 1), (-1 / r, True)), kinks=(ONE,)) == "+-"
    assert _signs(sp.Max(r**2, sp.sqrt(r)) - HALF) == "-++"


def test_kinks_outside_the_domain_do_not_matter() -> None:
    assert _signs(r, kinks=(ONE, sp.Integer(7)), bound=sp.Integer(3)) == "++"


def test_time_runs_out_as_unknown() -> None:
    assert sign_pattern(sp.diff(PROFILES["three scales"][0], r, 2), budget=1e-3) is None


def test_other_symbols_are_refused() -> None:
    with pytest.raises(ValueError, match="r alone"):
        sign_pattern(r * sp.Symbol("k"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5))
def test_polynomials_change_sign_at_their_roots(coefficients: list[int]) -> None:
    polynomial = sum((c * r**n for n, c in enumerate(coefficients)), sp.Integer(0))
    if not polynomial.has(r):
        return
    pieces = sign_pattern(polynomial)
    roots = sorted({root for root in sp.Poly(polynomial, r).real_roots() if root > 0}, key=float)
    assert pieces is not None
    assert len(pieces) == len(roots) + 1
    for (sign, low, high), root in zip(pieces, [*roots, None], strict=True):
        inside = (low + high) / 2 if high.is_finite() else low + 1
        assert (sign == "+") == bool(Program(polynomial, r)(inside) > 0)
        assert root is None or bool(abs(high - number(sp.Rational(sp.N(root, 40)))) < arb(1e-12) * abs(high))


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-6, 50), st.floats(0, 5), st.floats(0, 1))
def test_spans_contain_values(low: float, width: float, share: float) -> None:
    at = min(max(low + width * share, low), low + width)
    on = Span(arb(low), arb(low + width))
    for expression in (
        sp.exp(-r) * (r**2 - 3),
        sp.cos(r) / (1 + r),
        sp.tanh(r - 2) ** 3,
        (r - 4) ** 2 * sp.atan(r) - sp.cosh(r - 1),
        sp.erf(r) - sp.erfc(r) * sp.sinh(1 - r),
        sp.sqrt(r) * sp.log(r) + sp.Abs(r - 3),
    ):
        found = span(expression, on)
        value = Program(expression, r)(arb(at))
        assert bool(found.lo <= value.upper())
        assert bool(found.hi >= value.lower())


def test_infinite_spans() -> None:
    far = Span(arb(2), INFINITY)
    assert float(span(sp.exp(-r), far).hi) == pytest.approx(math.exp(-2))
    assert bool(span(sp.exp(-r), far).lo == 0)
    assert bool(span(1 / r, Span(arb(0), arb(2))).lo == HALF.p / arb(2))
    assert not span(1 / r, Span(arb(0), arb(2))).hi.is_finite()
    assert float(span(sp.tanh(r) ** 2, far).lo) == pytest.approx(math.tanh(2) ** 2)
