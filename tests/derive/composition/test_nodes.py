"""The bound of the growth function, and radii that follow it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb
from scipy import stats

from derive.composition.nodes import Nodes
from derive.composition.score import GrowthBound
from tests.derive.composition.cases import law

WIDE, LONGEST = 8e-3, 2500


@pytest.mark.parametrize("dim", [1, 2, 9, 64, 3072])
def test_laplace_growth_is_the_binomial_tail(dim: int) -> None:
    bound = GrowthBound(law("laplace"), dim, fineness=WIDE, longest=LONGEST)
    i = np.arange(dim + 1)
    mass = stats.binom.pmf(i, dim, 0.5)
    for p in (0.5, 0.31, 0.01, 1e-6, 1e-12):
        exact = min(float(c * p + mass @ np.maximum(2 * i - dim - c, 0)) for c in range(-dim, dim + 1))
        found = float(bound.line(p).at(arb(p)))
        assert exact * (1 - 1e-12) <= found <= exact * (1 + 1e-3)


@pytest.mark.parametrize("dim", [1, 30, 12288])
def test_gaussian_growth_is_the_normal_density(dim: int) -> None:
    bound = GrowthBound(law("gaussian"), dim, fineness=WIDE, longest=LONGEST)
    for z in (0.0, 1.0, 4.0, 8.2):
        p = float(stats.norm.sf(z))
        exact = math.sqrt(dim) * float(stats.norm.pdf(z))
        for near in (p, 0.7 * p):  # a line bounds Phi everywhere
            beyond = math.sqrt(dim) * float(stats.norm.pdf(stats.norm.isf(near)))
            assert beyond * (1 - 1e-12) <= float(bound.line(p).at(arb(near)))
        assert float(bound.line(p).at(arb(p))) <= exact * (1 + 2e-3)
    assert math.sqrt(dim / (2 * math.pi)) <= bound.middle() <= math.sqrt(dim / (2 * math.pi)) * (1 + 1e-4)


def test_uniform_growth_is_its_jump() -> None:
    bound = GrowthBound(law("uniform"), 5, fineness=WIDE, longest=LONGEST)
    assert float(bound.line(0.2).at(arb(0.2))) == pytest.approx(2.5, rel=1e-9)


def test_nodes_check_themselves() -> None:
    fails = (arb(0.5), arb(0.25), arb(0.125))
    radii = (arb(0), arb(0.1), arb(0.3))
    lines = (GrowthBound(law("laplace"), 4, fineness=WIDE, longest=LONGEST).line(0.3),) * 3
    nodes = Nodes(fails, radii, lines, radii, ())
    assert bool(nodes.lower(arb(0.2)) > 0.1) and bool(nodes.lower(arb(0.25)) <= 0.1)
    with pytest.raises(ValueError, match="increase"):
        Nodes(nodes.fails[::-1], nodes.radii, nodes.lines, nodes.differential, ())
    with pytest.raises(ValueError, match="decrease"):
        Nodes(nodes.fails, nodes.radii[::-1], nodes.lines, nodes.differential, ())
