"""Cells of level-set radii: below independent values everywhere and near them, and a raised cell is refuted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from functools import reduce
from pathlib import Path

import mpmath
import pytest
import sympy as sp
from flint import arb, arb_poly, ctx

from derive.enclosure.cells import LevelCell, Remainder, _March, level_cells
from derive.enclosure.cells import Path as Levels
from derive.enclosure.interpolation import Interpolation, negative, value
from derive.enclosure.radial import RadialDensity
from derive.enclosure.smooth import SmoothLaw
from derive.enclosure.witness import Witness, level_set_ball, level_set_witness, proves_at_least
from derive.formula import r
from tests.derive.enclosure.reading import radius

REFERENCES = Path(__file__).resolve().parents[4] / "shared" / "peers" / "reference_radii.json"
DIM = 3072
SMALLEST = "1e-4"
NODES = 16
NEARNESS = 2e-10
DENSITIES = {
    "gaussian": RadialDensity(r**2 / 2, sp.Integer(DIM)),
    "exponential": RadialDensity(r, sp.Integer(DIM)),
}


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    before, ctx.prec = ctx.prec, 300
    yield
    ctx.prec = before


@pytest.fixture(scope="module")
def tables() -> dict[str, list[LevelCell]]:
    before, ctx.prec = ctx.prec, 300
    try:
        small = arb(SMALLEST)
        return {
            name: level_cells(SmoothLaw(density, DIM, small), small) for name, density in DENSITIES.items()
        }
    finally:
        ctx.prec = before


def check(found: arb, exact: arb) -> None:
    """Below the exact radius, by 2e-10 of it at most."""
    assert bool(found < exact), f"{found} is above {exact}"
    assert float((exact - found) / exact) < NEARNESS


def test_cells_join_and_fall_from_a_half(tables: dict[str, list[LevelCell]]) -> None:
    for cells in tables.values():
        assert value(cells[0].fail, arb(-1)) == 0.5
        assert cells[0].centre == cells[0].half
        for one, following in zip(cells, cells[1:], strict=False):
            assert one.centre + one.half == following.centre - following.half
        assert bool(value(cells[-1].fail, arb(1)) <= arb(SMALLEST))
        assert all(c.is_exact() for cell in cells for c in cell.fail)
        assert all(negative([k * c for k, c in enumerate(cell.fail)][1:]) for cell in cells)
        assert len(cells) <= 10


@pytest.mark.parametrize(
    "gap", ["1e-16", "1e-12", "1e-6", "0.001", "0.05", "0.2", "0.3", "0.4", "0.45", "0.49", "0.499", "0.4998"]
)
def test_the_gaussian_radius_is_the_normal_quantile(tables: dict[str, list[LevelCell]], gap: str) -> None:
    with mpmath.workdps(60):
        exact = arb(mpmath.nstr(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(gap)), 50))
    check(radius(tables["gaussian"], arb(0.5) - arb(gap)), exact)


def references() -> list[dict[str, str]]:
    found = json.loads(REFERENCES.read_text())["cases"] if REFERENCES.exists() else []
    return [
        case
        for case in found
        if case["family"] == "exp_l2"
        and case["method"].startswith("level set")
        and case["dim"] == DIM
        and case["params"] == {"k": 1, "j": 0}
        and 1 - Fraction(case["rho"]) > Fraction(SMALLEST)
    ]


@pytest.mark.parametrize("case", references(), ids=lambda case: case["rho"])
def test_undercuts_the_reference(tables: dict[str, list[LevelCell]], case: dict[str, str]) -> None:
    p = 1 - Fraction(case["rho"])
    found = radius(tables["exponential"], arb(p.numerator) / p.denominator)
    last_digit = arb(10) ** -len(case["radius"].split(".")[1])
    check(found, arb(case["radius"]) + last_digit)


@pytest.mark.parametrize("p", ["0.4321", "0.123", "0.0007"])
def test_never_above_an_enclosure(tables: dict[str, list[LevelCell]], p: str) -> None:
    check(
        radius(tables["exponential"], arb(p)), level_set_ball(DENSITIES["exponential"], DIM, arb(p)).lower()
    )


@pytest.mark.parametrize(("number", "place"), [(0, "0.3"), (3, "-0.7"), (-1, "0.9")])
def test_a_raised_cell_is_refuted(tables: dict[str, list[LevelCell]], number: int, place: str) -> None:
    """At 1 + 1e-9 times its fail probability a cell's distance is proved to be too long."""
    cell = tables["exponential"][number]
    distance = cell.centre + cell.half * arb(place)
    raised = (value(cell.fail, arb(place)) * (1 + arb("1e-9"))).mid()
    _, high = level_set_witness(DENSITIES["exponential"], DIM, raised)
    assert bool(high.distance < distance)


def test_witnesses_prove_their_nodes(tables: dict[str, list[LevelCell]]) -> None:
    for number in (0, 2, -1):
        cell = tables["exponential"][number]
        assert len(cell.witnesses) >= 12
        for p, level, distance in cell.witnesses[:: len(cell.witnesses) - 1]:
            place = (arb(distance) - cell.centre) / cell.half
            assert bool(value(cell.fail, place) < p)
            assert proves_at_least(
                DENSITIES["exponential"], DIM, arb(p), Witness(arb(level), arb(distance))
            ), f"no proof at {distance}"


def test_processes_do_not_change_the_cells() -> None:
    few = arb("0.3")
    law = SmoothLaw(DENSITIES["gaussian"], DIM, few)
    assert level_cells(law, few, workers=2) == level_cells(SmoothLaw(DENSITIES["gaussian"], DIM, few), few)


def test_laws_that_are_not_smooth_enough_are_refused() -> None:
    with pytest.raises(ArithmeticError, match="dimensions"):
        SmoothLaw(RadialDensity(r, sp.Integer(8)), 8, arb("1e-3"))
    bent = sp.Piecewise((r**2 / 2, r < 8), (8 * r - 32, True))
    law = SmoothLaw(RadialDensity(bent, sp.Integer(64), (sp.Integer(8),)), 64, arb("1e-3"))
    with pytest.raises(ArithmeticError):
        level_cells(law, arb("1e-3"))
    with pytest.raises(ValueError, match="between 0 and 1/2"):
        level_cells(law, arb("0.5"))


def test_interpolation_bounds_its_error() -> None:
    rule = Interpolation(12)
    values = [x.exp() + arb(0, "1e-20") for x in rule.nodes]
    terms, error = rule.through(values)
    rest = rule.product * arb(1).exp() / arb(12).gamma() / 12  # |exp⁽¹²⁾|/12! ≤ e/12!
    assert bool(error < arb("1e-18")) and bool(rule.product < arb(2) ** -11 * arb("1.01"))
    worst = max(float(abs(value(terms, arb(k) / 50) - (arb(k) / 50).exp())) for k in range(-50, 51))
    assert 0.2 * float(rest) < worst < float(rest + error)


def test_a_sign_is_proved_or_not() -> None:
    line = list(arb_poly([-1, 1]).coeffs())  # x - 1
    assert not negative(line)
    assert negative(line, arb(-1), arb("0.99"))
    assert not negative([arb(-1), arb(0), arb("1.001")])


class _Wavering:
    """A law given by its values at the nodes, within `SLACK` of a straight line, on which every derivative is known."""

    SLACK = arb(1) / 10**6
    bends = 2

    def __init__(self, rule: Interpolation, place: arb) -> None:
        self.heights: dict[str, arb] = {}
        for x in rule.nodes:
            share = reduce(
                lambda a, y: a * (place - y) / (x - y), (y for y in rule.nodes if y is not x), arb(1)
            )
            self.heights[str(2 + x)] = self.line(x) + (self.SLACK if bool(share > 0) else -self.SLACK)

    @staticmethod
    def line(x: arb) -> arb:
        return (10 - x) / 100

    def remainder(self, path: Levels, order: int, enough: arb, slack: arb) -> Remainder:
        return Remainder(arb(0), self.SLACK)

    def masses(self, tasks: list[tuple[Witness, arb, arb]]) -> list[tuple[arb, arb]]:
        return [(arb(0.5), self.heights[str(at.distance)]) for at, _, _ in tasks]


def test_slack_counts_at_the_nodes_as_well() -> None:
    """Values at the nodes may err to whichever side lifts the polynomial most, and the law dip elsewhere, all within the slack."""
    place = arb(0.99999)
    march = object.__new__(_March)
    march.rule, march.unit = Interpolation(NODES), 1.0
    march.law = march.nodes = _Wavering(march.rule, place)  # type: ignore[assignment]
    cell, _ = march._proved(Levels(arb(2), arb(1), (arb(0),)), arb("1e-3"))
    lifted = value(cell.fail, place)
    assert bool(lifted <= _Wavering.line(place) - _Wavering.SLACK)
    assert bool(lifted > _Wavering.line(place) - 10 * _Wavering.SLACK)


def test_the_lebesgue_constant_bounds_its_sum() -> None:
    rule = Interpolation(NODES)
    for place in (arb(-1), arb(0.3), arb(0.95), arb(1)):
        column = [value(list(terms), place) for terms in _basis(rule)]
        assert bool(sum((abs(c) for c in column), arb(0)) <= rule.lebesgue)
    assert 2.5 < float(rule.lebesgue) < 5.0


def _basis(rule: Interpolation) -> list[list[arb]]:
    count = len(rule.nodes)
    found = []
    for k in range(count):
        terms = arb_poly([0])
        for j in range(count):
            terms += rule.inverse[j, k] * arb_poly(rule.basis[j])
        found.append(list(terms.coeffs()))
    return found
