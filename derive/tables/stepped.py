"""Polynomials proved below a chain of proved radii with a bound of the growth function between them.

On a cell of the table let q be the p of its end nearest to rho = 1/2, R(1 - q) ≥ a, and Phi(p) ≤ c·p + b. Then for y = q - p ≥ 0

    R(1 - p) ≥ a + ∫_0^y dx/(h - c·x) = a + Σ_{n ≥ 1} c**(n-1)·y**n/(n·h**n),   h = c·q + b,

and for c ≥ 0 every term of the series is positive: its first terms are a lower bound, a polynomial.
"""

from __future__ import annotations

import math

from flint import arb, arb_poly

from derive.composition.nodes import Nodes
from derive.composition.score import Line
from derive.tables.fit import Fitted, cells
from derive.tables.proof import Cell, least, rounding

PARTS = 16
DEGREE, ORDER = 4, 8
TRIALS = 40


def table_cells(first: int) -> tuple[list[Cell], list[Cell]]:
    """The table's cells from rho = 1/2 on: those of gap, then those of fail."""
    return list(cells(True, first, PARTS)), list(cells(False, -53, PARTS))[::-1]


def node_fails(cells_: list[Cell]) -> list[arb]:
    """The probabilities at which a table needs radii: 1/2, where each cell starts, and the end."""
    return [arb(0.5), *(_start(cell) for cell in cells_), arb(2) ** -53]


def fit_below(nodes: Nodes, near: list[Cell], far: list[Cell], first: int) -> Fitted:
    """Polynomials below the bound that these nodes give, at `node_fails` of these cells."""
    slope = _slope(nodes)
    rows, worst = [], 0.0
    for j, cell in enumerate((*near, *far), start=1):
        row, loss = _row(cell, nodes.fails[j], nodes.radii[j], nodes.lines[j])
        rows.append(row)
        worst = max(worst, loss)
    return Fitted(slope, first, PARTS, tuple(rows[: len(near)]), tuple(rows[len(near) :][::-1]), worst)


def _start(cell: Cell) -> arb:
    """p at the cell's end nearest to rho = 1/2."""
    if cell.near:
        return arb(0.5) - (arb(cell.mid) - arb(cell.half))
    return arb(cell.mid) + arb(cell.half)


def _slope(nodes: Nodes) -> float:
    """R ≥ slope·gap below the first cell, as floats round it: there 1/Phi is at least that of p = 1/2."""
    line = nodes.lines[0]
    steepest = line.at(nodes.fails[0]).max(line.at(nodes.fails[1]))
    return _below(float((1 / steepest).lower().mid()), 2.0**-51)


def _bound(cell: Cell, start: arb, radius: arb, line: Line) -> arb_poly:
    """The lower bound of R as a polynomial in u."""
    height = line.at(start)
    slope = line.slope if bool(line.slope >= 0) else arb(0)
    height = (
        height if bool(line.slope >= 0) else height.max(line.offset)
    )  # Phi ≤ offset where the slope is negative
    if not bool(height > 0):
        raise ArithmeticError("the growth function could not be bounded")
    y = arb_poly([start]) - cell.fail
    total, power = arb_poly([radius]), arb_poly([arb(1)])
    for n in range(1, ORDER + 1):
        power = power * y
        total = total + power * (slope ** (n - 1) / (n * height**n))
    return total


def _row(cell: Cell, start: arb, radius: arb, line: Line) -> tuple[tuple[float, ...], float]:
    """Coefficients of R, or of R/gap, below the bound on the whole cell, and the relative loss."""
    bound = _bound(cell, start, radius, line)
    nodes = [(arb.pi() * (2 * i + 1) / (2 * DEGREE + 2)).cos().mid() for i in range(DEGREE + 1)]
    weight = cell.line if cell.near else arb_poly([arb(1)])
    values = [(bound(u) / weight(u)).mid() for u in nodes]
    fitted = _interpolant(nodes, values)
    taken = float((rounding(fitted, cell.near) / abs(arb(fitted[0]))).upper())
    for _ in range(TRIALS):
        row = [_below(fitted[0], taken), *fitted[1:]]
        polynomial = arb_poly([arb(c) for c in row]) + arb_poly([rounding(row, cell.near)])
        lack = -least(bound - weight * polynomial)
        if bool(lack <= 0):
            return tuple(row), float(taken)
        scale = abs(arb(row[0])) * (arb(cell.mid - cell.half) if cell.near else arb(1))
        taken += max(1.02 * float((lack / scale).upper()), 2.0**-52)
    raise ArithmeticError(f"no polynomial was proved on the cell about {cell.mid!r}")


def _interpolant(nodes: list[arb], values: list[arb]) -> list[float]:
    """Monomial coefficients of the polynomial through these points."""
    total, basis = arb_poly([values[0]]), arb_poly([arb(1)])
    for k in range(1, len(nodes)):
        basis = basis * arb_poly([-nodes[k - 1], arb(1)])
        total = total + basis * ((values[k] - total(nodes[k])) / basis(nodes[k]))
    return [float(total[n].mid()) for n in range(len(nodes))]


def _below(value: float, taken: float) -> float:
    return math.nextafter(value - abs(value) * taken, -math.inf)
