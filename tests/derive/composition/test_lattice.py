"""Lattices keep their side: hockey-stick curves after every operation, in exact rationals."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.composition.lattice import LOSS_ABOVE, LOSS_BELOW, SCORE_ABOVE, Lattice, composed

STEP = 0.125


def _lattice(rule, weights: list[int], low: int, overflow: int = 0) -> Lattice:  # type: ignore[no-untyped-def]
    unit = 1 << rule.bits
    return Lattice(rule, arb(STEP), low, [w * unit // 1000 for w in weights], overflow * unit // 1000)


def _curve(one: Lattice, alpha: float) -> float:
    unit = 2.0**-one.rule.bits
    step = float(one.step)
    total = one.overflow * unit
    for i, a in enumerate(one.atoms):
        total += a * unit * max(0.0, 1 - alpha * math.exp(-step * (one.low + i)))
    return total


def _excess(one: Lattice, c: float) -> Fraction:
    step = Fraction(float(one.step))
    unit = Fraction(1, 1 << one.rule.bits)
    total = one.overflow * unit * step
    for i, a in enumerate(one.atoms):
        total += a * unit * max(Fraction(0), step * (one.low + i) - Fraction(c))
    return total


weights = st.lists(st.integers(0, 300), min_size=1, max_size=9).filter(lambda w: sum(w) > 0)
alphas = [math.exp(t) for t in (-2.0, -0.5, -0.06, 0.0, 0.1, 0.33, 1.0, 2.5)]


@given(weights, st.integers(-7, 5), st.integers(0, 50))
@settings(max_examples=100, deadline=None)
def test_coarser_losses_have_a_higher_curve(w: list[int], low: int, overflow: int) -> None:
    fine = _lattice(LOSS_ABOVE, w, low, overflow)
    coarse = fine.coarsened()
    assert sum(coarse.atoms) == sum(fine.atoms)
    for alpha in alphas:
        assert _curve(coarse, alpha) >= _curve(fine, alpha) - 1e-14


@given(weights, st.integers(-7, 5))
@settings(max_examples=100, deadline=None)
def test_coarser_scores_have_a_higher_excess(w: list[int], low: int) -> None:
    fine = _lattice(SCORE_ABOVE, w, low)
    coarse = fine.coarsened()
    for c in (-1.0, -0.125, 0.0, 0.06, 0.125, 0.5):
        assert _excess(coarse, c) >= _excess(fine, c)
    mean = [sum(a * (one.low + i) for i, a in enumerate(one.atoms)) * (1 if one is fine else 2) for one in (fine, coarse)]  # fmt: skip
    assert mean[1] - mean[0] in range(0, 2 * len(w) + 2)


@given(weights, st.integers(-7, 5), st.integers(1, 200))
@settings(max_examples=100, deadline=None)
def test_trimming_keeps_the_side(w: list[int], low: int, budget: int) -> None:
    for rule, sign in ((LOSS_ABOVE, 1), (LOSS_BELOW, -1)):
        whole = _lattice(rule, w, low)
        cut = whole.trimmed((budget << rule.bits) // 1000)
        for alpha in alphas:
            assert sign * (_curve(cut, alpha) - _curve(whole, alpha)) >= -1e-14
    score = _lattice(SCORE_ABOVE, w, low)
    cut = score.trimmed((budget << SCORE_ABOVE.bits) // 1000)
    for c in (-1.0, -0.125, 0.0, 0.06, 0.5):
        assert _excess(cut, c) >= _excess(score, c)


@given(weights, weights, st.integers(-4, 4))
@settings(max_examples=60, deadline=None)
def test_products_round_to_their_side(u: list[int], v: list[int], low: int) -> None:
    for rule, sign in ((LOSS_ABOVE, 1), (LOSS_BELOW, -1)):
        a, b = _lattice(rule, u, low, 3), _lattice(rule, v, -low, 5)
        product = a.times(b)
        exact = [Fraction(0)] * (len(u) + len(v) - 1)
        for i, x in enumerate(a.atoms):
            for j, y in enumerate(b.atoms):
                exact[i + j] += Fraction(x * y, 1 << rule.bits)
        for found, true in zip(product.atoms, exact, strict=True):
            assert 0 <= sign * (found - true) < 1
        everything = Fraction(a.mass * b.mass, 1 << rule.bits)
        assert 0 <= sign * (product.mass - everything) <= len(exact) + 1


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 64, 100])
def test_repeated_squaring_is_the_convolution_power(dim: int) -> None:
    base = _lattice(LOSS_ABOVE, [200, 300, 500], -1)
    whole = composed(base, dim, longest=10_000, waste=1e-18)
    unit = 2.0**-LOSS_ABOVE.bits
    mean = sum(a * unit * (whole.low + i) for i, a in enumerate(whole.atoms))
    square = sum(a * unit * (whole.low + i) ** 2 for i, a in enumerate(whole.atoms))
    assert mean == pytest.approx(0.3 * dim, rel=1e-12)
    assert square - mean**2 == pytest.approx(0.61 * dim, rel=1e-9)
    assert whole.mass >= (1 << LOSS_ABOVE.bits) - 3 * dim


def test_a_lattice_checks_its_atoms() -> None:
    good = _lattice(LOSS_ABOVE, [1], 0)
    for atoms in ([], [3, -1]):
        with pytest.raises(ValueError, match="atoms"):
            replace(good, atoms=atoms)
    with pytest.raises(ValueError, match="upper"):
        _lattice(LOSS_BELOW, [1], 0).coarsened()
