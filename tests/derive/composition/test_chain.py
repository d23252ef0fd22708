"""Chords between compositions: how far curves bend, levels at any multiplier, and bounds against exact radii."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb
from scipy import stats

from derive.composition.bend import bend
from derive.composition.chain import Chain, compose_chain, depths, link_fault
from derive.composition.curve import best_multiplier, delta_above, fail_below
from derive.composition.radius import loss_lattice
from tests.derive.composition.cases import law


@pytest.fixture(scope="module")
def chain() -> Chain:
    return compose_chain(law("gaussian"), 16, loss=4e-3, fineness=8e-3)


@pytest.mark.parametrize(
    ("name", "information"), [("laplace", 1.0), ("gaussian", 1.0), ("logistic", 1 / 3), ("hyperbolic_secant", math.pi**2 / 8)]
)  # fmt: skip
@pytest.mark.parametrize("dim", [1, 3072])
def test_the_bend_is_the_information(name: str, information: float, dim: int) -> None:
    found = bend(law(name), dim)
    scale = {"hyperbolic_secant": 4 / math.pi**2}.get(name, 1.0)  # sech(r), or of unit variance
    ratio = found.curvature / dim / information
    assert any(1 - 1e-12 <= ratio / s <= 1.02 for s in (1.0, scale))
    assert found.excess < 1e-12


def test_a_jump_free_end_has_a_finite_bend() -> None:
    """The triangular density has infinite information; its tail is straightened at the cost of a tiny mass."""
    found = bend(law("triangular"), 20)
    assert 20 < found.curvature < 20 * 60 and 0 < found.excess < 1e-11


@pytest.mark.parametrize("multiplier", [0.3, 1.0, 1.7, 20.0])
@pytest.mark.parametrize("shift", [0.1, 0.9])
def test_curves_stay_below_their_chord_and_bend(multiplier: float, shift: float) -> None:
    """Gaussian curves are known: delta_e(a) = P(Z > t/s - s/2) - a·P(Z > t/s + s/2), s = 4·e in 16 dimensions."""

    def delta(e: float) -> float:
        s, t = 4 * e, math.log(multiplier)
        return float(stats.norm.sf(t / s - s / 2) - multiplier * stats.norm.sf(t / s + s / 2))

    curvature = bend(law("gaussian"), 16).curvature
    for width in (0.02, 0.3):
        ends = delta(shift), delta(shift + width)
        for x in np.linspace(0.0, 1.0, 9):
            chord = (1 - x) * ends[0] + x * ends[1]
            assert delta(shift + x * width) <= chord + curvature / 2 * width**2 * x * (1 - x) + 1e-12


def test_levels_at_any_multiplier() -> None:
    lattice = loss_lattice(law("gaussian"), 16, 0.5, fineness=8e-3)
    for a in (1e-3, 0.4, 1.0, 3.3, 1e4):
        t = math.log(a)
        exact = float(stats.norm.sf(t / 2 - 1) - a * stats.norm.sf(t / 2 + 1))
        assert exact <= float(delta_above(lattice, a)) <= exact + 3e-5
    a, p = best_multiplier(lattice)
    assert float((0.5 - delta_above(lattice, a)) / a) == pytest.approx(p, rel=1e-9)
    assert p == pytest.approx(float(fail_below(lattice)), rel=1e-9)


def test_the_chain_proves_no_more_than_the_exact_radius(chain: Chain) -> None:
    """Between compositions as well: the radius of 16 coordinates is the quantile over 4."""
    for z in np.linspace(1e-3, 8.2, 500):
        p = float(stats.norm.sf(z))
        found = float(chain.piece(p).bound(arb(p)))
        assert found <= float(stats.norm.isf(p)) / 4 * (1 + 1e-13)
        assert found >= float(stats.norm.isf(p)) / 4 * (1 - 8e-3)


def test_pieces_join_and_cover(chain: Chain) -> None:
    pieces = chain.pieces
    assert float(pieces[0].top) == 0.5 and float(pieces[-1].bottom) <= 2.0**-53
    for one, two in zip(pieces, pieces[1:], strict=False):
        assert one.bottom is two.top or bool(abs(one.bottom - two.top) < 1e-12 * two.top)
        assert bool(two.bound(two.bottom) >= two.start * (1 - 1e-12))


def test_a_link_is_composed_again(chain: Chain) -> None:
    assert link_fault(law("gaussian"), 16, chain, 5, fineness=8e-3) == ""
    assert "not proved" in link_fault(law("logistic"), 160, chain, 5, fineness=8e-3)


def test_compositions_lie_closer_for_less_loss() -> None:
    few, many = depths(4e-3), depths(4e-5)
    assert 9 < len(many) / len(few) < 11
    assert few[0] == many[0] and few[-1] == many[-1] and np.all(np.diff(many) > 0)
