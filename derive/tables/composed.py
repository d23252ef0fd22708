"""A table of the radius of product noise against linf: polynomials proved below the bound that a chain of compositions gives.

On a cell of the table let q be the p of its end nearest to rho = 1/2, R(1 - q) ≥ a, and Phi(p) ≤ c·p + b. Then for y = q - p ≥ 0

    R(1 - p) ≥ a + ∫_0^y dx/(h - c·x) = a + Σ_{n ≥ 1} c**(n-1)·y**n/(n·h**n),   h = c·q + b,

and for c ≥ 0 every term of the series is positive: its first terms are a lower bound, a polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from flint import arb, arb_poly, ctx

from derive.bounds import checked_values
from derive.composition.coordinate import Coordinate, coordinate
from derive.composition.nodes import COMPOSITIONS, FINENESS, Nodes, composition_nodes
from derive.composition.radius import METHOD
from derive.composition.score import Line
from derive.engine import derive_family
from derive.profile import profile_of
from derive.spec import Spec, SpecError
from derive.tables.file import density_table, short_hex
from derive.tables.fit import Fitted, cells
from derive.tables.proof import Cell, least, rounding

ASSURANCE = (
    "every composition and every polynomial proved in ball and integer arithmetic: the float value, its rounding included, is at most the "
    "radius for every double rho"
)
PRECISION = 128
PARTS, FIRST = 16, -12
DEGREE, ORDER = 4, 8
TRIALS = 40


@dataclass(frozen=True)
class Composed:
    """The table's numbers, the (p, r) of the compositions behind them, and the largest gain over the differential radius."""

    fitted: Fitted
    proofs: tuple[tuple[float, float], ...]
    gain: float


def compose_table(
    law: Coordinate, dim: int, *, compositions: int = COMPOSITIONS, fineness: float = FINENESS
) -> Composed:
    """Every polynomial proved, with its rounding, to lie below R at every double; ArithmeticError where one is not."""
    before, ctx.prec = ctx.prec, PRECISION
    try:
        near, far = table_cells(FIRST)
        fails = node_fails([*near, *far])
        nodes = composition_nodes(law, dim, fails, compositions=compositions, fineness=fineness)
        fitted = fit_below(nodes, near, far, FIRST)
        gain = max(float(a / b) for a, b in zip(nodes.radii[1:], nodes.differential[1:], strict=True)) - 1
        return Composed(fitted, nodes.proofs, gain)
    finally:
        ctx.prec = before


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


def composed_file(
    spec: Spec, dim: int, parameters: Mapping[str, sp.Rational], compositions: int = COMPOSITIONS
) -> tuple[str, str, Composed]:
    """(file name, text, what is in it) of the linf table of a product density; parameters are rounded to doubles.

    SpecError where the parameters or the dimension are outside the domain, or log-concavity is not proved for them.
    """
    family = derive_family(spec)
    given = checked_values(family, dim, parameters)
    floats = {q.name: float(given[q.symbol]) for q in spec.parameters}
    exact_values = {name: sp.Rational(value) for name, value in floats.items()}
    values = checked_values(family, dim, exact_values)
    if spec.geometry != "product" and family.at(values).composed is None:
        raise SpecError(
            f"composition is for product densities; {spec.name} is a function of the {spec.geometry} norm"
        )
    try:
        law = coordinate(profile_of(spec.member(exact_values)))
    except ValueError as error:
        raise SpecError(f"no linf table for {spec.name}: {error}") from None
    composed = compose_table(law, dim, compositions=compositions)
    proofs = [[short_hex(p), short_hex(r)] for p, r in composed.proofs]
    file, text = density_table(
        spec, "inf", dim, floats, composed.fitted, (),
        method=METHOD, kind="cells", assurance=ASSURANCE, more={"compositions": proofs},
    )  # fmt: skip
    return file, text, composed
