"""A table of the radius of product noise against linf: polynomials proved below what a chain of compositions gives.

The chain is part of the file: its claims can be composed again one by one, and every polynomial is proved from them again without any
composition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from flint import arb, arb_poly, ctx
from scipy.interpolate import CubicSpline
from scipy.special import ndtri

from derive.bounds import checked_values
from derive.composition.bend import Bend
from derive.composition.chain import FINENESS, LOSS, Chain, Link, Piece, compose_chain
from derive.composition.coordinate import Coordinate, coordinate
from derive.composition.radius import METHOD
from derive.engine import derive_family
from derive.profile import profile_of
from derive.spec import Spec, SpecError
from derive.tables.file import density_table, short_hex
from derive.tables.fit import Fitted, cells
from derive.tables.proof import Cell, least, rounding
from generated.special.lookup import COMPOSED

ASSURANCE = (
    "every composition and every polynomial proved in ball and integer arithmetic: the float value, its rounding included, is at most the "
    "radius for every double rho"
)
PRECISION = 128
PARTS, FIRST = 16, -8
DEGREE = 3
DIGITS = 38
"""Coefficients are multiples of 2**-DIGITS of the constant one: finer would change nothing, and fill the file."""
TRIALS = 40


@dataclass(frozen=True)
class Composed:
    """The table's numbers and the chain behind them; `fitted.loss` is against a curve through the compositions."""

    fitted: Fitted
    chain: Chain


def compose_table(law: Coordinate, dim: int, *, loss: float = LOSS, fineness: float = FINENESS) -> Composed:
    """Every polynomial proved, with its rounding, to lie below R at every double; ArithmeticError where one is not."""
    before, ctx.prec = ctx.prec, PRECISION
    try:
        chain = compose_chain(law, dim, loss=loss, fineness=fineness)
        return Composed(_fit(chain), chain)
    finally:
        ctx.prec = before


def _fit(chain: Chain) -> Fitted:
    smooth = _smooth(chain)
    gap: list[tuple[float, ...]] = []
    far: list[tuple[float, ...]] = []
    worst = 0.0
    for rows, near, first in ((gap, True, FIRST), (far, False, -53)):
        for cell in cells(near, first, PARTS):
            row = _row(chain, cell, smooth)
            worst = max(worst, _lost(smooth, cell, row))
            rows.append(row)
    slope = _down(1.0 / chain.growth * (1 - 2.0**-50), 0.0)
    return Fitted(slope, FIRST, PARTS, tuple(gap), tuple(far), worst)


def _smooth(chain: Chain) -> CubicSpline:
    """Radius over normal quantile, through the compositions; in floats."""
    z = np.array([0.0, *chain.depths])
    first = 1.0 / (chain.growth * math.sqrt(2.0 * math.pi))
    return CubicSpline(z, [first, *(x.shift / depth for x, depth in zip(chain.links, z[1:], strict=True))])


def slope_fault(chain: Chain, slope: float) -> str:
    """Whether slope·gap, as floats round it, is proved below the radius nearest to rho = 1/2; empty if it is."""
    good = bool(arb(slope) * (1 + arb(2) ** -53) * arb(chain.growth) <= 1)
    return (
        "" if good and bool(chain.links[0].fail <= 0.5 - 2.0**FIRST) else f"the slope {slope!r} is not proved"
    )


def lack(chain: Chain, cell: Cell, row: Sequence[float]) -> arb:
    """By how much the polynomial, its rounding added, may exceed the chain's bound on the cell: at most 0 says that it is proved."""
    weight = cell.line if cell.near else arb_poly([arb(1)])
    polynomial = weight * (arb_poly([arb(c) for c in row]) + arb_poly([rounding(row, cell.near)]))
    worst: arb | None = None
    for piece, line in _parts(chain, cell):
        missing = -least(piece.bound(cell.fail(line)) - polynomial(line))
        worst = missing if worst is None else worst.max(missing)
    assert worst is not None
    return worst


def _parts(chain: Chain, cell: Cell) -> Iterator[tuple[Piece, arb_poly]]:
    """The pieces of the chain on a cell, each with u on its part as a line in v, v in [-1, 1]."""
    ends = [cell.fail(arb(end)) for end in (-1, 1)]
    top, bottom = (ends[0], ends[1]) if cell.near else (ends[1], ends[0])
    sign = -1 if cell.near else 1
    middle = cell.fail(arb(0))
    index = chain.pieces.index(chain.piece(float(top)))
    while index > 0 and not bool(chain.pieces[index].top >= top):
        index -= 1
    high = top
    for piece in chain.pieces[index:]:
        last = bool(piece.bottom <= bottom)
        low = bottom if last else piece.bottom
        u_low, u_high = ((x - middle) / (sign * arb(cell.half)) for x in (low, high))
        yield piece, arb_poly([(u_high + u_low) / 2, (u_high - u_low) / 2])
        if last:
            return
        high = low
    raise ArithmeticError("the chain does not reach the cell")


def _row(chain: Chain, cell: Cell, smooth: CubicSpline) -> tuple[float, ...]:
    """Coefficients of R, or of R/gap, below the bound on the whole cell: a smooth curve, lowered."""
    nodes = [(arb.pi() * (2 * i + 1) / (2 * DEGREE + 2)).cos().mid() for i in range(DEGREE + 1)]
    weight = cell.line if cell.near else arb_poly([arb(1)])
    values = []
    for u in nodes:
        depth = -float(ndtri(float(cell.fail(u))))
        values.append(arb(depth * float(smooth(depth))) / weight(u).mid())
    row = _rounded(_interpolant(nodes, values))
    unit = _unit(row)
    largest = arb(cell.mid + cell.half) if cell.near else arb(1)  # lowered by too little rather than too much
    for _ in range(TRIALS):
        missing = lack(chain, cell, row)
        if bool(missing <= 0):
            return tuple(row)
        row[0] = _down(row[0] - float((missing / largest).upper()), unit)
    raise ArithmeticError(f"no polynomial was proved on the cell about {cell.mid!r}")


def _unit(row: Sequence[float]) -> float:
    return math.ldexp(1.0, math.frexp(row[0])[1] - DIGITS)


def _rounded(row: list[float]) -> list[float]:
    unit = _unit(row)
    return [round(c / unit) * unit for c in row]


def _down(value: float, unit: float) -> float:
    """The next multiple of the unit below, or double if that is 0."""
    return (math.ceil(value / unit) - 1) * unit if unit else math.nextafter(value, -math.inf)


def _interpolant(nodes: list[arb], values: list[arb]) -> list[float]:
    """Monomial coefficients of the polynomial through these points."""
    total, basis = arb_poly([values[0]]), arb_poly([arb(1)])
    for k in range(1, len(nodes)):
        basis = basis * arb_poly([-nodes[k - 1], arb(1)])
        total = total + basis * ((values[k] - total(nodes[k])) / basis(nodes[k]))
    return [float(total[n].mid()) for n in range(len(nodes))]


def _lost(smooth: CubicSpline, cell: Cell, row: Sequence[float]) -> float:
    """What the polynomial lies below a smooth curve through the compositions, relative, at a few points; in floats."""
    u = np.linspace(-1.0, 1.0, 9)
    x = cell.mid + cell.half * u
    z = -ndtri(0.5 - x if cell.near else x)
    value = np.polynomial.polynomial.polyval(u, row) * (x if cell.near else 1.0)
    return float(np.max(1.0 - value / (z * smooth(z))))


def law_of(spec: Spec, parameters: Mapping[str, sp.Rational]) -> Coordinate:
    """One coordinate of a density at exact parameters; SpecError where log-concavity is not proved for them."""
    try:
        return coordinate(profile_of(spec.member(parameters)))
    except ValueError as error:
        raise SpecError(f"no linf table for {spec.name}: {error}") from None


def composed_file(
    spec: Spec, dim: int, parameters: Mapping[str, sp.Rational], *, loss: float = LOSS
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
    found = compose_table(law_of(spec, exact_values), dim, loss=loss)
    chain = found.chain
    rows = [[x.shift, x.multiplier, x.before, x.here, x.after] for x in chain.links]
    more = {
        "curvature": short_hex(chain.bend.curvature),
        "excess": short_hex(chain.bend.excess),
        "growth": short_hex(chain.growth),
        "compositions": [[short_hex(x) for x in row] for row in rows],
    }
    file, text = density_table(
        spec, "inf", dim, floats, found.fitted, (),
        method=METHOD, kind=COMPOSED, assurance=ASSURANCE, more=more,
    )  # fmt: skip
    return file, text, found


def read_chain(record: Mapping[str, Any]) -> Chain:
    """The chain in a table file's entries; ValueError where it is none."""
    try:
        rows = [[float.fromhex(x) for x in row] for row in record["compositions"]]
        curvature, excess, growth = (float.fromhex(record[k]) for k in ("curvature", "excess", "growth"))
        return Chain(tuple(Link(*row) for row in rows), Bend(curvature, excess), growth)
    except (KeyError, TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise ValueError(f"its compositions cannot be read ({error})") from None
