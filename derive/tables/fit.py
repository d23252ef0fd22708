"""Float polynomials fitted to a chain of level cells and lowered until each is proved to lie below the radius."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from flint import arb, arb_mat, arb_poly, ctx

from derive.tables.curve import Chain
from derive.tables.proof import Cell, rounding, shortfall
from generated.special.table import ProvedTable, sub_cells

PRECISION = 224
"""Bits of the ball arithmetic; whatever they are, only what is proved is written."""
DIGITS = 57
"""Coefficients are multiples of 2**-DIGITS of the constant one: finer would change nothing, and fill the file."""
TRIALS = 12
SHAPES = ((4, 8), (4, 10), (8, 10), (16, 11))
"""(parts of a binade, degree), tried in this order."""
FIRSTS = (-18, -24, -32, -36)
"""Exponents of the gap below which one slope serves, tried in this order."""
GOAL = 5e-11
"""Largest relative distance of a polynomial from the chain; a finer shape is tried above it."""


@dataclass(frozen=True)
class Fitted:
    """A table's numbers as ProvedTable takes them, and the largest relative distance from the level cells, about."""

    slope: float
    first: int
    parts: int
    gap: tuple[tuple[float, ...], ...]
    fail: tuple[tuple[float, ...], ...]
    loss: float

    @property
    def table(self) -> ProvedTable:
        """The numbers as the generated code uses them."""
        return ProvedTable(self.slope, self.first, self.parts, np.array(self.gap), np.array(self.fail))


def fit(chain: Chain) -> Fitted:
    """The coarsest table within GOAL of the chain, every cell proved; ArithmeticError where none is.

    The chain must reach down to fail = 2**-53.
    """
    before, ctx.prec = ctx.prec, PRECISION
    try:
        if not bool(chain.least <= 2.0**-53):
            raise ArithmeticError("the level cells do not reach 1 - rho = 2**-53")
        first, slope, start = _slope(chain)
        best: Fitted | None = None
        for parts, degree in SHAPES:
            try:
                gap, near = _rows(chain, True, first, parts, degree)
                fail, far = _rows(chain, False, -53, parts, degree)
            except ArithmeticError:
                continue
            found = Fitted(slope, first, parts, gap, fail, max(near, far, start))
            best = found if best is None or found.loss < best.loss else best
            if best.loss <= GOAL:
                break
        if best is None:
            raise ArithmeticError("no table of polynomials could be proved to lie below the radius")
        return best
    finally:
        ctx.prec = before


def _slope(chain: Chain) -> tuple[int, float, float]:
    """(exponent, slope, relative loss): R(1/2 + gap) ≥ slope·gap, as floats round it, for gap ≤ 2**exponent."""
    gap, half = chain.pieces[0].gap, chain.pieces[0].cell.half
    assert gap is not None
    top = half / gap(arb(-1))
    found: tuple[int, float, float] | None = None
    for first in FIRSTS:
        cell = Cell(True, math.ldexp(0.5, first), math.ldexp(0.5, first))
        lowered = lower(chain, cell, [float(top.mid())])
        if lowered is None:
            continue
        there = arb(math.ldexp(1.0, first))
        loss = 1.0 - lowered[0] / float((chain.distance(arb(0.5) - there, there) / there).mid())
        if found is None or loss < found[2]:
            found = first, lowered[0], loss
        if loss <= GOAL:
            break
    if found is None:
        raise ArithmeticError("no slope at rho = 1/2 could be proved to lie below the radius")
    return found


def cells(near: bool, first: int, parts: int) -> Iterator[Cell]:
    """The cells of gap (`near`) or of fail from 2**first to 1/4, in the order of a table's rows."""
    for mid, half in zip(*sub_cells(first, -2, parts), strict=True):
        yield Cell(near, float(mid), float(half))


def _rows(
    chain: Chain, near: bool, first: int, parts: int, degree: int
) -> tuple[tuple[tuple[float, ...], ...], float]:
    rows, worst = [], 0.0
    for cell in cells(near, first, parts):
        values = _values(chain, cell, degree)
        start = _rounded(_interpolant(values))
        proved = lower(chain, cell, start)
        if proved is None:
            raise ArithmeticError(f"no polynomial was proved on the cell about {cell.mid!r}")
        nodes = _nodes(degree + 1)
        lost = [
            float((v - arb_poly([arb(c) for c in proved])(u)) / v) for v, u in zip(values, nodes, strict=True)
        ]
        worst = max(worst, *lost)
        rows.append(tuple(proved))
    return tuple(rows), worst


def lower(chain: Chain, cell: Cell, coefficients: Sequence[float]) -> list[float] | None:
    """The polynomial with its constant term lowered until it is proved; None if that does not succeed."""
    start = list(coefficients)
    # beside what rounding adds, the last digits of the coefficients
    taken = float((rounding(start, cell.near) / abs(arb(start[0]))).upper())
    for _ in range(TRIALS):
        trial = [_below(start[0], taken), *start[1:]]
        lack = shortfall(chain, cell, trial)
        if lack is None:
            taken = max(2.0 * taken, 1e-13)
        elif bool(lack == 0):
            return trial
        else:
            taken += max(1.02 * float(lack.upper()), 2.0**-52)  # one ulp at least
    return None


def _below(value: float, taken: float) -> float:
    return math.nextafter(value - abs(value) * taken, -math.inf)


def _values(chain: Chain, cell: Cell, degree: int) -> list[arb]:
    """The chain's radius (over gap, on a cell of gap) at the cell's Chebyshev nodes."""
    found = []
    for u in _nodes(degree + 1):
        at = arb(cell.mid) + arb(cell.half) * u
        if cell.near:
            found.append((chain.distance(arb(0.5) - at, at) / at).mid())
        else:
            found.append(chain.distance(at, arb(0.5) - at))
    return found


@lru_cache(maxsize=16)
def _nodes(count: int) -> tuple[arb, ...]:
    """Chebyshev nodes, as exact numbers."""
    return tuple(((arb.pi() * (2 * i + 1) / (2 * count)).cos()).mid() for i in range(count))


@lru_cache(maxsize=16)
def _inverse(count: int) -> arb_mat:
    """Values at the nodes to monomial coefficients."""
    return arb_mat([[u**n for n in range(count)] for u in _nodes(count)]).inv()


def _interpolant(values: Sequence[arb]) -> list[float]:
    count = len(values)
    series = _inverse(count) * arb_mat(count, 1, list(values))
    return [float(series[n, 0].mid()) for n in range(count)]


def _rounded(coefficients: Sequence[float]) -> list[float]:
    """The same to DIGITS bits after the constant coefficient's first: shorter texts, no more error than rounding makes."""
    unit = math.ldexp(1.0, math.frexp(coefficients[0])[1] - DIGITS)
    return [coefficients[0], *(round(c / unit) * unit for c in coefficients[1:])]
