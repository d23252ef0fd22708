"""Balls that shrink to nothing: the radius put in their place, what it changes in a cap, and cells where it is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sympy as sp
from flint import arb, arb_series, ctx

from derive.enclosure.boxes import PathBox, Radii, Shares
from derive.enclosure.cells import _March, value
from derive.enclosure.cosine import cosine_distribution
from derive.enclosure.floor import Floor
from derive.enclosure.nodes import Nodes
from derive.enclosure.radial import RadialDensity
from derive.enclosure.series import Terms
from derive.enclosure.smooth import SmoothLaw
from derive.enclosure.taylor import Undecided, coefficients
from derive.enclosure.witness import level_set_ball
from derive.formula import r

DIM, COUNT, POWER, BOXES = 33, 8, 40, 15
MIDDLES = range(1 - BOXES, BOXES, 2)
ALLOWED = arb("1e-12")
CENTRE, HALF = arb("0.9"), arb("0.05")
TERMS = (arb(16), arb(10))
"""Levels to which psi falls from radii about 1 for half of the path alone."""


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    before, ctx.prec = ctx.prec, 128
    yield
    ctx.prec = before


def law() -> Shares:
    return SmoothLaw(RadialDensity(POWER * sp.log(1 + r**2), sp.Integer(DIM)), DIM, arb("1e-3")).shares


def problem(shares: Shares) -> tuple[Radii, list[PathBox], Floor]:
    panel = shares.radii(arb("-0.15"), arb("-0.14"))
    boxes = [PathBox.of(CENTRE, HALF, TERMS, arb(middle, 1) / BOXES, COUNT) for middle in MIDDLES]
    return panel, boxes, Floor.of(shares.law, panel, boxes, ALLOWED, COUNT)


def level(u: arb, x: arb) -> arb_series:
    return POWER * (1 + (2 * u).exp()).log() - arb_series([TERMS[0] + TERMS[1] * x, TERMS[1]])


def distance(x: arb) -> arb_series:
    return arb_series([CENTRE + HALF * x, HALF])


def square(u: arb, x: arb, floor: Floor) -> tuple[arb_series, bool]:
    """s² at one radius and about one point, and whether it is the density's own."""
    psi = level(u, x)
    depth = psi - floor.start
    if bool(coefficients(depth, 1)[0] > 0):
        return (psi / POWER).exp() - 1, True
    # the Taylor polynomial of its own log s is the continuation
    own = ((arb_series([floor.start, 1]) / POWER).exp() - 1).log() / 2
    log = arb_series([arb(0)])
    for term in reversed(coefficients(own, COUNT)):
        log = log * depth + term
    return (2 * log).exp(), False


def cosine(u: arb, x: arb, squared: arb_series) -> list[arb]:
    e, radius = distance(x), u.exp()
    return coefficients((radius * radius + e * e - squared) / (2 * e * radius), COUNT)


PLACES = [(arb(k) / 10, u) for k in range(-10, 11, 2) for u in (arb("-0.15"), arb("-0.1437"), arb("-0.14"))]


def test_the_cosine_holds_the_new_radius_everywhere() -> None:
    shares = law()
    panel, boxes, floor = problem(shares)
    kinds = set()
    for x, u in PLACES:
        for box, middle in zip(boxes, MIDDLES, strict=True):
            if not bool(abs(BOXES * x - middle) <= 1):
                continue
            found = floor.cosine(panel, box)
            assert found.series is not None
            with Terms(COUNT):
                squared, own = square(u, x, floor)
                exact = cosine(u, x, squared)
            kinds.add(own)
            for outer, inner in zip(
                [found.value, *coefficients(found.series, COUNT)[1:]], exact, strict=True
            ):
                assert outer.overlaps(inner) and bool(outer.rad() < 1e10)
            assert bool(found.value.rad() < 0.1)
    assert kinds == {True, False}


def test_caps_differ_by_no_more_than_is_said() -> None:
    shares = law()
    _, _, floor = problem(shares)
    assert bool(floor.rest <= ALLOWED) and bool(floor.rest > 0)
    worst = arb(0)
    for x, u in PLACES:
        with Terms(COUNT):
            squared, _ = square(u, x, floor)
            new = cosine(u, x, squared)[0]
            psi = coefficients(level(u, x), 1)[0]
            true = cosine(u, x, arb_series([((psi / POWER).exp() - 1).max(arb(0))]))[0]
        gap = abs(cosine_distribution(DIM, -new) - cosine_distribution(DIM, -true))
        worst = worst.max(gap)
        assert bool(gap.upper() <= floor.rest)
    assert bool(worst > 0)


def test_no_floor_where_the_cap_is_not_negligible() -> None:
    shares = law()
    panel, boxes, _ = problem(shares)
    with pytest.raises(Undecided):
        Floor.of(shares.law, panel, boxes, arb(20), COUNT)
    wide = shares.radii(arb("-0.5"), arb("0.5"))
    with pytest.raises(Undecided, match="negligible"):
        Floor.of(shares.law, wide, boxes, arb("1e-300"), COUNT)


@pytest.mark.parametrize(("psi", "start"), [(68 * sp.log(1 + r**2), 6.5), (68 * sp.log(1 + r**2), 7.6)])
def test_a_cell_where_balls_vanish_lies_just_below_the_radius(psi: sp.Expr, start: float) -> None:
    """In 64 dimensions the distance is that of the radii of most of the noise when the fail probability is small."""
    dim, density = 64, RadialDensity(psi, sp.Integer(64))
    ctx.prec = 400
    small = arb(2) ** -54
    shared = SmoothLaw(density, dim, small)
    with Nodes(shared, 1) as nodes:
        march = _March(shared, small, nodes)
        cell, _ = march._cell(round(start * march.unit / march.grid) * march.grid, 0.15 * march.unit)
    assert float(cell.half) > 0.1 * march.unit
    for place in (arb("-0.55"), arb("0.9")):
        fail = value(cell.fail, place).mid()
        radius = level_set_ball(density, dim, fail)
        found = cell.centre + cell.half * place
        assert bool(found < radius.lower())
        assert bool(found > radius.upper() * (1 - arb("2e-10")))
