"""Cells of level-set radii in the l1 and linf norms: below enclosures and near them; bounds of derivatives against divided differences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx

from derive.enclosure.cells import LevelCell, Path, _short, level_cells
from derive.enclosure.interpolation import negative, value
from derive.enclosure.radial import RadialDensity
from derive.enclosure.shell_cells import ShellCells
from derive.enclosure.shell_witness import proves_at_least, shell_ball, shell_witness
from derive.enclosure.witness import Witness
from derive.formula import r
from tests.derive.enclosure.reading import radius

DIM = 784
SMALLEST = "1e-2"
CUBE = RadialDensity(r**2, sp.Integer(DIM))
NEARNESS = 1e-10
HEAVY = 24
LAWS = {
    "convex": (CUBE, DIM),
    "concave": (RadialDensity(40 * sp.log(1 + r), sp.Integer(HEAVY)), HEAVY),
}


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    before, ctx.prec = ctx.prec, 300
    yield
    ctx.prec = before


@pytest.fixture(scope="module")
def cells() -> list[LevelCell]:
    before, ctx.prec = ctx.prec, 300
    try:
        small = arb(SMALLEST)
        return level_cells(ShellCells(CUBE, DIM, small), small)
    finally:
        ctx.prec = before


def test_cells_join_and_fall_from_a_half(cells: list[LevelCell]) -> None:
    assert value(cells[0].fail, arb(-1)) == 0.5
    assert cells[0].centre == cells[0].half
    for one, following in zip(cells, cells[1:], strict=False):
        assert one.centre + one.half == following.centre - following.half
    assert bool(value(cells[-1].fail, arb(1)) <= arb(SMALLEST))
    assert all(negative([k * c for k, c in enumerate(cell.fail)][1:]) for cell in cells)
    assert len(cells) < 60


@pytest.mark.parametrize("gap", ["1e-12", "3e-9", "1e-6", "0.001", "0.05", "0.2", "0.3", "0.4", "0.45", "0.489"])  # fmt: skip
def test_below_an_enclosure_and_near_it(cells: list[LevelCell], gap: str) -> None:
    p = arb(0.5) - arb(gap)
    found, exact = radius(cells, p), shell_ball(CUBE, "shell", DIM, p)
    assert bool(found < exact.upper()), f"{found} is above {exact}"
    assert float((exact - found) / exact) < NEARNESS


@pytest.mark.parametrize(("number", "place"), [(0, "0.3"), (7, "-0.7"), (-1, "0.9")])
def test_a_raised_cell_is_refuted(cells: list[LevelCell], number: int, place: str) -> None:
    """With the gap to 1/2 smaller, or the fail probability larger, by 1e-9 of it a cell's distance is proved to be too long."""
    cell = cells[number]
    distance = cell.centre + cell.half * arb(place)
    p = value(cell.fail, arb(place))
    raised = (p + (arb(0.5) - p).min(p) * arb("1e-9")).mid()
    _, high = shell_witness(CUBE, "shell", DIM, raised)
    assert bool(high < distance)


def test_witnesses_prove_their_nodes(cells: list[LevelCell]) -> None:
    for number in (1, 9, -1):
        cell = cells[number]
        assert len(cell.witnesses) >= 12
        for p, level, distance in cell.witnesses[:: len(cell.witnesses) - 1]:
            place = (arb(distance) - cell.centre) / cell.half
            assert bool(value(cell.fail, place) < p)
            assert proves_at_least(CUBE, "shell", DIM, arb(p), Witness(arb(level), arb(distance)))


def path(law: ShellCells, start: float, half: float) -> Path:
    """Nearly the best levels from start to start + 2·half, these in units of the radius's slope at rho = 1/2."""
    unit = 2.0 ** math.floor(math.log2(1 / float(law.slope())))
    start, half = start * unit, half * unit
    places = -np.cos(np.pi * (2 * np.arange(8) + 1) / 16)
    levels = [law.guess(float(e), 0.0)[0] for e in start + half * (1 + places)]
    terms = np.polynomial.chebyshev.cheb2poly(np.polynomial.chebyshev.chebfit(places, levels, 7))
    return Path(arb(start + half), arb(half), tuple(_short(float(c)) for c in terms))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("start", "half"), [(2.0**-20, 2.0**-21), (1.0, 0.125)])
def test_derivatives_are_bounded(name: str, start: float, half: float) -> None:
    """A divided difference of order n is coefficient number n of the Taylor series about some point between."""
    density, dim = LAWS[name]
    law, order = ShellCells(density, dim, arb("1e-9")), 10
    at = path(law, start, half)
    rest = law.remainder(at, order, arb(0), arb(0))
    places = [arb(round(-math.cos(math.pi * (2 * k + 1) / (2 * order + 2)) * 1024)) / 1024 for k in range(order + 1)]  # fmt: skip
    found = [law.set.dual(Witness(value(at.terms, x), at.centre + at.half * x)) for x in places]
    for j in range(1, order + 1):
        found = [(b - a) / (places[k + j] - places[k]) for k, (a, b) in enumerate(zip(found, found[1:], strict=False))]  # fmt: skip
    noise = rest.slack * arb(2) ** (2 * order)
    assert bool(abs(found[0]) <= rest.coefficient + noise)
    assert bool(found[0] > noise) or bool(found[0] < -noise)
    assert float(rest.coefficient) < 1e10 * float(abs(found[0]))


def test_processes_do_not_change_the_cells() -> None:
    few, density = arb(0.5) - arb("1e-8"), RadialDensity(r**3, sp.Integer(200))
    alone = level_cells(ShellCells(density, 200, few), few)
    assert level_cells(ShellCells(density, 200, few), few, workers=2) == alone


@pytest.mark.parametrize(
    "density",
    [
        RadialDensity(r, sp.Integer(64)),
        RadialDensity(40 * sp.log(1 + r**2), sp.Integer(64)),
        RadialDensity(sp.Piecewise((r**2 / 2, r < 8), (8 * r - 32, True)), sp.Integer(64), (sp.Integer(8),)),
        RadialDensity(-sp.log(1 - r), sp.Integer(64), (), sp.Integer(1)),
    ],
)
def test_laws_without_one_corner_are_refused(density: RadialDensity) -> None:
    with pytest.raises(ArithmeticError):
        ShellCells(density, 64, arb("1e-3"))
