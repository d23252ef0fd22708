"""The cdf of one coordinate of a product density, proved: polynomials with integer coefficients and their error, in ball arithmetic.

F(x) = 1/2 + M(x)/(2·M(oo)) for x ≥ 0, M(x) the integral of exp(-psi) from 0 to x. An interval becomes a cell when the Taylor
polynomial of the density about its middle is proved close, the remainder through the next coefficient about every point at once;
otherwise it is halved, down to what is left out at 0 and at a far or singular end, whose masses are bounded from the signs of psi'.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from flint import arb, arb_series, ctx, fmpq

from derive.bounds import checked_values, radial_density
from derive.enclosure.ball import Program, hull, number
from derive.enclosure.branch import for_balls
from derive.enclosure.pieces import SECONDS, ends
from derive.enclosure.radial import RadialDensity
from derive.enclosure.series import Terms
from derive.enclosure.signs import smooth_parts
from derive.enclosure.taylor import Undecided, coefficients, last_coefficient
from derive.engine import derive_family
from derive.formula import dim as dim_symbol
from derive.formula import r
from derive.spec import Spec, SpecError
from derive.tables.file import sealed
from generated.special.cdf import BITS, CdfCell, CdfTable
from generated.special.lookup import CDF, FORMAT, LARGEST, cdf_file

PRECISION = 256
ORDER = 32
"""Coefficients of the density on a cell."""
SLACK = 84
"""Bits of the whole mass to which a cell's remainder is proved."""
LEFT_OUT = 82
"""Bits of the whole mass that may be left out at each end."""
NARROW = 200
"""Bits to which irrational ends of the support and kinks are enclosed."""
DROPPED = 77
"""Bits of what dropping the last coefficients of a cell may change."""
WIDEST = 66
"""The largest error of a table, in bits: one unit of a threshold is 2**-WORD."""
MOST_CELLS = 4000
ASSURANCE = "every polynomial and its error proved in ball arithmetic, the normalisation and what is left of the tails included"

_Density = Callable[[arb_series], arb_series]


@dataclass(frozen=True)
class _Cell:
    """From `start` to `end`: the mass from the start as a polynomial in t, balls; `total` at the end."""

    start: Fraction
    end: Fraction
    mass: tuple[arb, ...]
    total: arb


@dataclass(frozen=True)
class BuiltCdf:
    """A cdf table ready to be written, and what is to be said of it."""

    file: str
    text: str
    cells: int
    error: Fraction
    seconds: float

    @property
    def record(self) -> dict[str, object]:
        """The same for JSON."""
        return {"file": self.file, "bytes": len(self.text), "cells": self.cells, "error": float(self.error),
                "seconds": round(self.seconds, 2)}  # fmt: skip

    @property
    def lines(self) -> list[str]:
        """What was proved, for people."""
        return [
            f"  proved    {self.cells} polynomials within {float(self.error):.1e} of the cdf of a coordinate, at scale 1",
            f"  size      {len(self.text)} bytes in {self.seconds:.1f} s",
        ]


@dataclass(frozen=True)
class CdfRequest:
    """A cdf table to be made: parameters that are missing take their defaults, all are rounded to doubles."""

    spec: Spec
    parameters: Mapping[str, sp.Rational]


def check_cdf(request: CdfRequest) -> tuple[RadialDensity, dict[str, float]]:
    """(the law of |x|, parameters as doubles); SpecError where no cdf table can be made."""
    spec = request.spec
    if spec.geometry != "product":
        raise SpecError(
            f"a cdf table is of independent coordinates (geometry product); {spec.name} has the geometry {spec.geometry}"
        )
    family = derive_family(spec)
    given = checked_values(family, 1, request.parameters)
    floats = {q.name: float(given[q.symbol]) for q in spec.parameters}
    values = checked_values(family, 1, {name: sp.Rational(v) for name, v in floats.items()})
    profile = family.at(values).profile
    if dim_symbol in profile.psi.free_symbols:
        raise SpecError(f"the density of {spec.name} depends on d: its coordinates have no one cdf")
    return radial_density(profile, sp.Integer(1), values), floats


def build_cdf(request: CdfRequest) -> BuiltCdf:
    """The file of a cdf table; ArithmeticError where it cannot be proved."""
    start = time.perf_counter()
    density, floats = check_cdf(request)
    table = prove_cdf(density)
    spec = request.spec
    entries: dict[str, object] = {
        "format": FORMAT,
        "name": spec.name,
        "spec": spec.hash,
        "geometry": spec.geometry,
        "density": spec.density,
        "support": spec.support,
        "parameters": {name: str(Fraction(floats[name])) for name in sorted(floats)},
        "kind": CDF,
        "assurance": ASSURANCE,
        "bits": BITS,
        "tail": f"{table.tail:x}",
        "cells": [[str(c.end), f"{c.error:x}", *(f"{k:x}" for k in c.coefficients)] for c in table.cells],
    }
    text = sealed(entries, rows=("cells",))
    if len(text) > LARGEST:
        raise ArithmeticError(f"the table would take {len(text)} bytes, more than the {LARGEST} allowed")
    error = Fraction(max(c.error for c in table.cells), 1 << BITS)
    return BuiltCdf(cdf_file(spec.name, floats), text, len(table.cells), error, time.perf_counter() - start)


def prove_cdf(density: RadialDensity) -> CdfTable:
    """The table of the even law on the line with density ∝ exp(-psi(|x|)); ArithmeticError where it cannot be proved."""
    before = ctx.prec, ctx.cap
    ctx.prec = PRECISION
    try:
        return _Proof(density).table()
    except (ValueError, ZeroDivisionError) as error:  # flint's words for a division by a ball around 0
        raise ArithmeticError(f"the cdf could not be enclosed: {error}") from None
    finally:
        ctx.prec, ctx.cap = before


class _Proof:
    """The cells of one density, from 0 outwards."""

    def __init__(self, density: RadialDensity) -> None:
        found = ends(density, LEFT_OUT)
        parts = smooth_parts(for_balls(density.psi), density.kinks, density.bound, budget=SECONDS)
        if parts is None:
            raise ArithmeticError(f"the smooth parts of {density.psi} are not known")
        self._parts = parts
        self._rest = hull(arb(0), found.mass.upper())
        self._near = found.low.exp().lower() if found.low.is_finite() else arb(0)
        self._far = found.high.exp().upper()
        self._slack = found.size * arb(2) ** -SLACK
        self._bound = density.bound
        self._cells: list[_Cell] = []
        self._total = arb(0)

    def table(self) -> CdfTable:
        start = Fraction(0)
        for index, (part, psi) in enumerate(self._parts):
            density = _density(psi)
            if part.high is None:
                self._fill(start, self._last(), density)
                self._total = self._total + self._rest  # beyond the last cell
                break
            inside, outside = _around(part.high)
            self._fill(start, inside, density)
            if outside > inside:
                other = density if part.high == self._bound else _density(self._parts[index + 1][1])
                self._gap(inside, outside, density, other)
            start = outside
        return self._rounded()

    def _last(self) -> Fraction:
        """A power of two past which no more is left than what was bounded."""
        end = Fraction(1)
        while not bool(_exact(end) >= self._far):
            end *= 2
        return end

    def _fill(self, start: Fraction, end: Fraction, density: _Density) -> None:
        pending = [(start, end)]
        while pending:
            low, high = pending.pop()
            if self._cell(low, high, density):
                continue
            if low == 0 and bool(_exact(high) <= self._near):
                self._append(low, high, (self._rest,), self._rest)
            elif high == end and self._bound is not None and bool(_exact(low) >= self._far):
                self._append(low, high, (self._rest,), self._rest)
            else:
                middle = (low + high) / 2
                pending += [(middle, high), (low, middle)]
            if len(self._cells) + len(pending) > MOST_CELLS:
                raise ArithmeticError("the cdf needs too many polynomials")

    def _cell(self, low: Fraction, high: Fraction, density: _Density) -> bool:
        centre, half = _exact((low + high) / 2), _exact((high - low) / 2)
        terms = [centre, half] + [arb(0)] * (ORDER - 2)
        enough = self._slack / half
        try:
            rest = last_coefficient(density, terms, enough)
            if not bool(abs(rest) < enough):
                return False
            with Terms(ORDER):
                found = coefficients(density(arb_series(terms)), ORDER)
        except (Undecided, ValueError, ZeroDivisionError):
            return False
        error = (abs(rest) * half * 2 / (ORDER + 1)).upper()
        mass = [arb(0), *(c * half / (k + 1) for k, c in enumerate(found))]
        at_start = sum((c if k % 2 == 0 else -c for k, c in enumerate(mass)), arb(0))
        mass[0] = arb(0, error) - at_start
        total = sum(mass, arb(0))
        if not total.is_finite() or not bool(total.rad() < 4 * self._slack):
            return False
        self._append(low, high, tuple(mass), total)
        return True

    def _gap(self, low: Fraction, high: Fraction, left: _Density, right: _Density) -> None:
        """Around an irrational kink or end of the support: the width times the density's range."""
        place = hull(_exact(low), _exact(high))
        with Terms(1):
            try:
                found = [coefficients(f(arb_series([place])), 1)[0].upper() for f in (left, right)]
            except (Undecided, ValueError, ZeroDivisionError):
                found = [arb("nan")]
        top = found[0].max(found[-1]) * _exact(high - low)
        if not bool(top < 4 * self._slack):
            if not bool(_exact(low) >= self._far):
                raise ArithmeticError(
                    "the mass at an irrational kink or end of the support is not proved small"
                )
            top = self._rest.upper()
        self._append(low, high, (hull(arb(0), top),), hull(arb(0), top))

    def _append(self, low: Fraction, high: Fraction, mass: tuple[arb, ...], total: arb) -> None:
        self._cells.append(_Cell(low, high, (mass[0] + self._total, *mass[1:]), self._total + total))
        self._total = self._total + total

    def _rounded(self) -> CdfTable:
        """The cells of F in integers, with the error of each."""
        unit = arb(2) ** BITS
        cells = []
        for cell in self._cells:
            values = [unit * (c / (2 * self._total)) for c in cell.mass]
            values[0] = values[0] + unit / 2
            kept, error = len(values), arb(0)
            while kept > 1 and bool(error + abs(values[kept - 1]).upper() < arb(2) ** (BITS - DROPPED)):
                kept -= 1
                error = error + abs(values[kept]).upper()
            rounded = [_whole(v.mid(), up=False) for v in values[:kept]]
            for value, whole in zip(values, rounded, strict=False):
                error = error + abs(value - whole).upper()
            bound = _whole(error, up=True)
            if bound > 1 << (BITS - WIDEST):
                raise ArithmeticError(f"the cdf is enclosed to 2^-{BITS - bound.bit_length()} alone")
            cells.append(CdfCell(cell.start, cell.end, bound, tuple(rounded)))
        tail = 0
        if self._bound is None:
            tail = _whole(unit * (self._rest / (2 * self._total)), up=True)
        return CdfTable(tuple(cells), tail)


def _density(psi: sp.Expr) -> _Density:
    program = Program(sp.exp(-psi), r)

    def series(x: arb_series) -> arb_series:
        value = program(x)
        return value if isinstance(value, arb_series) else arb_series([value])

    return series


def _whole(value: arb, *, up: bool) -> int:
    """A ball's upper or lower end, rounded to an integer on the same side."""
    found = (value.upper().ceil() if up else value.lower().floor()).unique_fmpz()
    if found is None:
        raise ArithmeticError("the cdf could not be enclosed")
    return int(found)


def _exact(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


def _around(place: sp.Expr) -> tuple[Fraction, Fraction]:
    """A rational place twice, or fractions just below and above another."""
    if place.is_Rational:
        return Fraction(int(place.p), int(place.q)), Fraction(int(place.p), int(place.q))
    scaled = number(place) * arb(2) ** NARROW
    below, above = _whole(scaled, up=False), _whole(scaled, up=True)
    inside, outside = Fraction(below - 1, 1 << NARROW), Fraction(above + 1, 1 << NARROW)
    if not (bool(_exact(inside) < number(place)) and bool(_exact(outside) > number(place))):
        raise ArithmeticError(f"the place {place} is not enclosed")
    return inside, outside
