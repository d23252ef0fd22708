"""Cdf tables looked at again: every polynomial against a new proof, and drawn values against quadrature of the density text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import numpy as np
import sympy as sp

from derive.formula import r
from derive.profile import profile_of
from derive.spec import Spec, find_spec
from derive.tables.cdf import CdfRequest, check_cdf, prove_cdf
from derive.verification.check import Check
from generated.special.cdf import BITS, CdfCell, CdfTable
from generated.special.lookup import SHIPPED_CDF, cdf_file, read_cdf_table, read_record

DIGITS = 40
CLOSE = mp.mpf(2) ** -60
"""By how much quadrature may miss a value's enclosure."""
DRAWN = 3


def cdf_checks(spec: Spec, folder: Path = SHIPPED_CDF) -> Iterator[Check]:
    """A check of the density's cdf tables in a folder; nothing where there are none."""
    paths = sorted(path for path in folder.glob(f"{spec.name}_cdf*.json") if _name(path) == spec.name)
    cells = 0
    for path in paths:
        try:
            fault = cdf_fault(path, spec)
        except (ArithmeticError, NotImplementedError) as problem:
            yield Check("cdf", "coordinate", None, f"{path.name}: {problem}")
            return
        if fault:
            yield Check("cdf", "coordinate", False, f"{path.name}: {fault}")
            return
        cells += len(read_cdf_table(path).cells)
    if paths:
        text = f"{len(paths)} table: {cells} polynomials agree with a new proof, {DRAWN} drawn values with quadrature of the density text"
        yield Check("cdf", "coordinate", True, text)


def _name(path: Path) -> str:
    try:
        return str(read_record(path)["name"])
    except (ValueError, KeyError):
        return path.name.partition("_cdf")[0]  # broken: to be reported


def cdf_fault(path: Path, spec: Spec | None = None) -> str:
    """What is wrong with a cdf table; empty if nothing is."""
    try:
        record, table = read_record(path), read_cdf_table(path)
        spec = find_spec(str(record["name"])) if spec is None else spec
        values = {name: sp.Rational(Fraction(text)) for name, text in record["parameters"].items()}
        density, floats = check_cdf(CdfRequest(spec, values))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"it cannot be used: {error}"
    if record.get("spec") != spec.hash or path.name != cdf_file(spec.name, floats):
        return "it is of another density, or of another version of it"
    fault = _against_proof(table, prove_cdf(density))
    return fault or against_quadrature(path, table, spec, values)


def _against_proof(table: CdfTable, proved: CdfTable) -> str:
    """More points on each polynomial than it has coefficients, against polynomials of a new proof."""
    if table.cells[-1].end != proved.cells[-1].end or table.tail < proved.tail:
        return f"it says that 1 - F ≤ {table.tail}·2^-{BITS} beyond {table.cells[-1].end}, and proved is {proved.tail} beyond {proved.cells[-1].end}"
    for cell in table.cells:
        count = len(cell.coefficients) + 2
        width = cell.end - cell.start
        for k in range(count):
            place = cell.start + width * Fraction(2 * k + 1, 2 * count)
            beside = _cell_at(proved, place)
            (one, error), (other, margin) = (_value(c, place) for c in (cell, beside))
            same = (beside.start, beside.end) == (
                cell.start,
                cell.end,
            )  # then no less than the error proved may be claimed
            if abs(one - other) > error + margin or (same and abs(one - other) > error - margin):
                return f"at x = {float(place)!r} it claims an error of {error} units of 2^-{BITS}, and is {abs(one - other)} from a value proved to {margin}"
    return ""


def _cell_at(table: CdfTable, place: Fraction) -> CdfCell:
    return next(cell for cell in table.cells if cell.start <= place <= cell.end)


def _value(cell: CdfCell, place: Fraction) -> tuple[int, int]:
    values, error = cell.values(np.array([place.numerator], dtype=object), place.denominator)
    return int(values[0]), error


def against_quadrature(path: Path, table: CdfTable, spec: Spec, values: dict[str, sp.Rational]) -> str:
    """Values at places drawn by the file's name; empty if quadrature agrees."""
    member = spec.member(values)
    profile = profile_of(member)
    density = _function(member.expression)
    rng = np.random.default_rng(int(hashlib.sha256(path.name.encode()).hexdigest()[:8], 16))
    last = table.cells[-1].end
    with mp.workdps(DIGITS):
        end = mp.inf if profile.bound is None else _number(profile.bound)
        cuts = [_number(kink) for kink in profile.kinks]
        scales = [mp.mpf(2) ** k for k in (-3, 0, 1, 2, 3, 5)]
        inner = sorted({x for x in (*cuts, *scales) if 0 < x < end})
        whole = mp.quad(density, [mp.mpf(0), *inner, end])
        for _ in range(DRAWN):
            place = min(
                Fraction(float(rng.uniform(0.02, 3.0))), last * Fraction(float(rng.uniform(0.1, 0.9)))
            )
            x = mp.mpf(place.numerator) / place.denominator
            part = mp.quad(density, [mp.mpf(0), *(c for c in inner if c < x), x])
            exact = mp.mpf(1) / 2 + part / (2 * whole)
            found, error = _value(_cell_at(table, place), place)
            if abs(exact - mp.mpf(found) / 2**BITS) > mp.mpf(error) / 2**BITS + CLOSE:
                return f"at x = {float(place)!r} it says F = {mp.nstr(mp.mpf(found) / 2**BITS, 22)}, quadrature {mp.nstr(exact, 22)}"
    return ""


def _number(constant: sp.Expr) -> mp.mpf:
    with mp.workdps(DIGITS + 10):
        return mp.mpf(str(sp.N(constant, DIGITS + 10)))


def _function(expression: sp.Expr) -> Callable[[mp.mpf], mp.mpf]:
    """The expression in r at high precision, by its own structure; NotImplementedError for a function not known here."""
    if expression == r:
        return lambda x: x
    if not expression.has(r):
        constant = _number(expression)
        return lambda x: constant
    head = _HEADS.get(expression.func)
    if head is None:
        raise NotImplementedError(f"no quadrature of {expression.func.__name__}")
    parts = [_function(part) for part in expression.args]
    return lambda x: head(*(part(x) for part in parts))


_HEADS: Mapping[type, Callable[..., mp.mpf]] = {
    sp.Add: lambda *parts: mp.fsum(parts),
    sp.Mul: lambda *parts: mp.fprod(parts),
    sp.Pow: mp.power,
    sp.Min: min,
    sp.Max: max,
    sp.Abs: mp.fabs,
    sp.exp: mp.exp,
    sp.log: mp.log,
    sp.sin: mp.sin,
    sp.cos: mp.cos,
    sp.tan: mp.tan,
    sp.atan: mp.atan,
    sp.sinh: mp.sinh,
    sp.cosh: mp.cosh,
    sp.tanh: mp.tanh,
    sp.sech: mp.sech,
    sp.erf: mp.erf,
    sp.erfc: mp.erfc,
}
