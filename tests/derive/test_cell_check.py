"""Whole tables proved again: masses by Gauss's rule with proved errors, every polynomial at every double, and nothing that is too large."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from flint import acb, arb, arb_poly

from derive.cell_check import Piece, check_pieces, slope_fault
from derive.cell_check import _least as least
from derive.reading_check import reader
from derive.strip_check import PRECISION, Box, Strip, precision
from derive.table_check import _load as load
from derive.table_check import check_table
from derive.witness_check import Density, Law, Unreadable
from generated.special.lookup import SHIPPED
from tests.derive.test_witness_check import gaussian_table, written

TABLE = SHIPPED / "exp_l2_l2_d3072_j=0_k=1.json"
HEAVY = SHIPPED / "pow_l2_l2_d784_a=402_k=2.json"


@pytest.mark.parametrize(
    "text", ["r**(-j)*exp(-r**k)", "(1+r**k)**(-j)", "exp(-sqrt(1+r**2))", "1/(2+r-r/3)"]
)
def test_both_readings_of_a_text_agree(text: str) -> None:
    density = Density(text, {"j": "5/2", "k": "3"})
    balls, floats = reader(density, False), reader(density, True)
    for u in (-1.25, 0.5, 2.0):
        log, slope, _ = density.log(acb(u))
        assert log.real.overlaps(balls(arb(u))[0]) and slope.real.overlaps(balls(arb(u))[1])
        assert math.isclose(float(log.real), floats(u)[0], rel_tol=1e-13, abs_tol=1e-13)
        assert math.isclose(float(slope.real), floats(u)[1], rel_tol=1e-13, abs_tol=1e-13)


def test_other_texts_are_not_read() -> None:
    with pytest.raises(Unreadable):
        reader(Density("exp(-abs(r))", {}), True)


@pytest.mark.parametrize("path", [TABLE, HEAVY], ids=lambda path: str(path.name))
def test_masses_are_those_of_the_integrals(path: Path) -> None:
    table, (density, kind, dim, smallest) = load(path)
    strip, law = Strip(density, dim, smallest), Law(density, kind, dim, smallest, 60)
    for p, t, e in table.witnesses[40::150]:
        with precision(PRECISION):
            level = t / (arb(e) * arb(e))
            real = Box(acb(arb(e, e * 0.02)), acb(arb(level, level * 0.001)))
            rules = strip.rules(real, (arb(p) * 2.0**-56, arb(p) * 2.0**-56 * arb(0.9 * t).exp()))
            found = strip.h(rules, arb(t), arb(e))
            assert found.overlaps(law.h(p, arb(t), arb(e))) and bool(found.rad() < p * 2.0**-50)
            assert bool(found >= p)


def test_sums_are_no_farther_off_than_they_say() -> None:
    """Coarse rules against fine ones: the errors stated cover the difference."""
    table, (density, _, dim, smallest) = load(TABLE)
    strip, (p, t, e) = Strip(density, dim, smallest), table.witnesses[100]
    with precision(PRECISION):
        level = t / (arb(e) * arb(e))
        real = Box(acb(arb(e, e * 0.01)), acb(arb(level, level * 0.001)))
        fine, coarse = (strip.rules(real, (arb(p) * 2.0**-b, arb(p) * 2.0**-b)) for b in (60, 16))
        for one, other in zip(fine, coarse, strict=True):
            assert len(one.pieces) and sum(part[2] for part in one.pieces) > sum(
                part[2] for part in other.pieces
            )
            assert strip.mass(one, arb(t), arb(e)).overlaps(strip.mass(other, arb(t), arb(e)))


def test_a_lower_bound_of_a_polynomial_is_close() -> None:
    with precision(PRECISION):
        wave = arb_poly([0, 0, 0, 0, 1]) - arb_poly([0, 0, 1]) + arb_poly([arb(1) / 4])  # (u² - 1/2)²
        assert bool(-1e-3 < least(wave - arb_poly([arb(2) ** -20]), 6) < 0)
        assert bool(least(wave + arb_poly([arb(2) ** -6]), 6) >= 0)


def near_by(
    path: Path, first: int, count: int
) -> tuple[Strip, list[Piece], list[tuple[float, float, float]]]:
    """A law, some neighbouring polynomials of its table, and the witnesses between."""
    table, (density, _, dim, smallest) = load(path)
    pieces = sorted(table.pieces(), key=lambda piece: piece.distances)[first : first + count]
    low, high = pieces[0].distances[0], pieces[-1].distances[1]
    return Strip(density, dim, smallest), pieces, [w for w in table.witnesses if low <= w[2] <= high]


@pytest.mark.parametrize(("path", "first"), [(TABLE, 50), (TABLE, 200), (HEAVY, 120)])
def test_any_coefficient_raised_by_1e_9_is_caught(path: Path, first: int) -> None:
    strip, pieces, witnesses = near_by(path, first, 3)
    level = load(path)[0].level
    good = check_pieces(strip, pieces, witnesses, level)
    assert good.faults == [] and good.open == [] and 0 <= good.margin < 1e-8
    for place in (0, 5):
        row = list(pieces[1].row)
        row[place] += 1e-9 * row[0]
        raised = [pieces[0], replace(pieces[1], row=tuple(row)), pieces[2]]
        faults = check_pieces(strip, raised, [], level).faults
        assert len(faults) == 1 and repr(pieces[1].mid) in faults[0]


def test_a_witness_that_says_too_much_is_left_open() -> None:
    strip, pieces, witnesses = near_by(TABLE, 150, 4)
    level = load(TABLE)[0].level
    p, t, e = witnesses[1]
    found = check_pieces(strip, pieces, [witnesses[0], (p, t, e * (1 + 1e-9)), *witnesses[2:]], level)
    assert found.faults == [] and found.open == [(p, t, e * (1 + 1e-9))]


def test_the_slope_at_one_half() -> None:
    """R(1/2 + gap) ≥ √π·gap for exp(-r²), and no more."""
    strip = Strip(Density("exp(-r**2)", {}), 784, 2.0**-55)
    assert slope_fault(strip, math.sqrt(math.pi) * (1 - 1e-15)) == ""
    assert "not proved" in slope_fault(strip, math.sqrt(math.pi) * (1 + 1e-15))


def test_a_whole_table_is_looked_at_and_one_coefficient_raised_is_found(tmp_path: Path) -> None:
    table = gaussian_table()
    row = table["cells"]["fail"][70]  # a slope alone: the middle of the cell does not show it
    row[1] = (float.fromhex(row[1]) + 1e-9 * float.fromhex(row[0])).hex()
    found = check_table(written(tmp_path / "raised.json", table))
    polynomials = len(table["cells"]["gap"]) + len(table["cells"]["fail"]) + 1
    assert found.checked == found.total == polynomials + len(table["witnesses"])
    assert len(found.faults) == 1 and "is not proved" in found.faults[0]
