"""Polynomials proved to lie below a chain of level cells: soundness at doubles, accuracy, and proofs that must fail."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from flint import arb, ctx

from derive.enclosure.cells import LevelCell
from derive.tables.curve import Chain
from derive.tables.fit import GOAL, PRECISION, Fitted, cells, fit, lower
from derive.tables.proof import Cell, rounding, shortfall
from generated.special import prepare
from tests.derive.tables.gaussian import exponential_cells, normal_cells


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    before, ctx.prec = ctx.prec, PRECISION
    yield
    ctx.prec = before


@cache
def chain(width: float = 0.7) -> Chain:
    return Chain(normal_cells(width))


@cache
def fitted() -> Fitted:
    return fit(chain())


def normal_radius(gap: float, fail: float) -> arb:
    """The normal quantile in ball arithmetic, from the smaller of the two."""
    return arb(2).sqrt() * (arb(2) * arb(gap)).erfinv() if gap < 0.25 else -_quantile(arb(fail))


def _quantile(p: arb) -> arb:
    """z with erfc(-z/√2)/2 = p, by bisection on doubles and Newton's iteration; good to 1e-25."""
    low, high = -9.0, 0.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if bool((-arb(middle) / arb(2).sqrt()).erfc() / 2 < p) else (low, middle)
    z = arb(low)
    for _ in range(5):
        density = (-z * z / 2).exp() / (2 * arb.pi()).sqrt()
        z = (z + (p - (-z / arb(2).sqrt()).erfc() / 2) / density).mid()
    return z


def doubles() -> np.ndarray:
    """rho at both ends, at the borders of all cells and one ulp beside them, and at random."""
    rng = np.random.default_rng(7)
    powers = 2.0 ** -np.arange(2, 54)
    borders = np.concatenate([powers * part for part in (1.0, 1.25, 1.5, 1.75)])
    borders = np.concatenate([np.nextafter(borders, 0.0), borders, np.nextafter(borders, 1.0)])
    drawn = 2.0 ** -rng.uniform(1.0, 53.0, 300)
    both = np.concatenate([0.5 + borders, 1.0 - borders, 0.5 + drawn, 1.0 - drawn])
    return np.unique(both[(both > 0.5) & (both < 1.0)])


def test_below_the_normal_quantile_at_every_double_tried_and_close() -> None:
    table, rho = fitted().table, doubles()
    for r, value in zip(rho.tolist(), table(prepare(rho)).tolist(), strict=True):
        exact = normal_radius(r - 0.5, 1.0 - r)
        assert bool(arb(value) <= exact), r
        assert bool(arb(value) >= exact * (1 - arb(2 * GOAL))), r


def test_one_takes_the_radius_of_the_largest_double_below_it() -> None:
    table = fitted().table
    ends = table(prepare(np.array([1.0 - 2.0**-53, 1.0])))
    assert ends[0] == ends[1] and 8.2 < ends[0] < 8.21


def test_log_linear_law_with_a_coarse_goal() -> None:
    """exp(-|x|): R = -log(2p), whose ratio to the gap is not flat at 1/2; a small first binade is taken."""
    found = fit(Chain(exponential_cells()))
    table, rho = found.table, doubles()
    exact = np.where(rho < 0.75, -np.log1p(-2.0 * (rho - 0.5)), -np.log(2.0 * (1.0 - rho)))
    ratio = table(prepare(rho)) / exact
    assert found.loss < 1e-9 and ratio.max() <= 1.0 + 1e-15 and ratio.min() > 1.0 - 1e-9


@pytest.mark.parametrize("width", [0.7, 0.33])
def test_a_cell_across_level_cells_is_proved(width: float) -> None:
    """0.33: the first cell of fail spans two level cells or more."""
    here = chain(width)
    crossed = 0
    for near, first in ((True, -18), (False, -53)):
        for cell in cells(near, first, 2):
            p = [here.index(cell.fail(arb(u))) for u in (-1, 1)]
            if p[0] == p[1]:
                continue
            crossed += 1
            middle = here.distance(cell.fail(arb(0)), cell.line(arb(0)) if near else 0.5 - cell.line(arb(0)))
            flat = [float((middle / (cell.mid if near else 1)).mid())]
            # a rough straight line below the radius, still to be proved across the border
            e = [
                here.distance(cell.fail(arb(u)), 0.5 - cell.fail(arb(u))) / (cell.line(arb(u)) if near else 1)
                for u in (-1, 1)
            ]
            line = [flat[0] * 0.999, float(((e[1] - e[0]) / 2).mid())]
            assert lower(here, cell, line) is not None
    assert crossed > 3


@pytest.mark.parametrize("index", [0, 5, 40, 120])
def test_a_polynomial_raised_by_1e_9_is_not_proved(index: int) -> None:
    here, found = chain(), fitted()
    for near, first, rows in ((True, found.first, found.gap), (False, -53, found.fail)):
        cell = list(cells(near, first, found.parts))[index % len(rows)]
        row = list(rows[index % len(rows)])
        assert bool(shortfall(here, cell, row) == 0)
        row[0] *= 1.0 + 1e-9
        lack = shortfall(here, cell, row)
        assert lack is None or bool(lack > 5e-10)


def test_the_rounding_bound_holds_for_horner_in_doubles() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        coefficients = (rng.standard_normal(9) * 0.3 ** np.arange(9)).tolist()
        bound = rounding(coefficients, False)
        for u in rng.uniform(-1.0, 1.0, 50).tolist():
            value, exact = 0.0, arb(0)
            for c in reversed(coefficients):
                value, exact = value * u + c, exact * arb(u) + arb(c)
            assert bool(abs(arb(value) - exact) <= bound)
    assert float(bound.upper()) < 40 * 2.0**-53 * sum(map(abs, coefficients))


def test_chains_that_do_not_join_or_start_are_refused() -> None:
    good = normal_cells()
    with pytest.raises(ValueError, match="join"):
        Chain([good[0], good[2]])
    with pytest.raises(ValueError, match="start at distance 0"):
        Chain(good[1:])
    first = good[0]
    lifted = LevelCell(first.centre, first.half, (first.fail[0] * 0.9, *first.fail[1:]), ())
    with pytest.raises(ValueError, match="start at distance 0"):
        Chain([lifted, *good[1:]])
    with pytest.raises(ArithmeticError, match="2\\*\\*-53"):
        fit(Chain(good[:-2]))


def test_a_cell_outside_the_chain_is_not_proved() -> None:
    cell = Cell(False, 1.125 * 2.0**-53, 0.125 * 2.0**-53)
    assert shortfall(chain(), cell, [9.2, -0.01]) is None
    assert shortfall(chain(), cell, [8.0, 0.01]) is None  # grows with fail
    assert math.isfinite(float(shortfall(chain(), cell, [8.0, -0.001]) or 0))
