"""Shipped tables looked at again: their hashes, their polynomials against each other and the witnesses, drawn values against enclosures.

A polynomial, coefficient or witness raised by 1e-9 of the radius shows in one of the first three, without a new proof:
neighbouring polynomials meet to much less than that, and so do table and witnesses.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from derive.bounds import checked_values, enclose_derivation
from derive.engine import Family
from derive.verification.cases import NORMS
from derive.verification.check import Check
from derive.verification.composed import SAMPLE, check_composed, composed_kind
from generated.special.lookup import NODES, SHIPPED, load_table, read_record
from generated.special.table import ProvedTable, sub_cells

JOIN = 5e-10
"""Largest relative step between neighbouring polynomials, and from a witness down to the table."""
NODE_REACH = 2.0**-10
"""Nodes lie at most this far before the start of the cell whose polynomial passes through them, relative to 1 - rho or rho - 1/2."""
CLOSE, CLOSE_NODES = 1e-9, 1e-2
"""By how much a table may lie below an enclosure, relative: one of polynomials that meet, and one that follows nodes."""
SECONDS = 20.0
"""For enclosures at drawn confidences, over all tables of a density."""


def table_checks(family: Family, tables: Mapping[str, str], folder: Path = SHIPPED) -> Iterator[Check]:
    """A check for each table that is false, and one that counts those that are true; nothing for a density without tables."""
    good, values, spent = 0, 0, 0.0
    made = [file for file in tables if composed_kind(folder / file)]
    if made:
        yield _composed(made, tables, folder)
    for file, listed in tables.items():
        if file in made:
            continue
        path = folder / file
        fault = file_fault(path, listed)
        if not fault:
            start = time.process_time()
            if spent < SECONDS:
                fault = _drawn_fault(family, path)
                values += 1
            spent += time.process_time() - start
        if fault:
            yield Check("table", file, False, fault)
        else:
            good += 1
    if good:
        text = (
            f"{good} shipped tables: hashes right, polynomials meet to {JOIN:g} or pass through nodes, none further than that from a witness; "
            f"{values} values at drawn rho not above their enclosures"
        )
        yield Check("table", ", ".join(NORMS[a] for a in family.native), True, text)


def _composed(files: list[str], tables: Mapping[str, str], folder: Path) -> Check:
    """Tables from compositions: their hashes, every polynomial, and a few of the compositions made again."""
    claims = 0
    for file in files:
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != tables[file]:
            return Check("table", file, False, "its SHA-256 is not the one that the module lists")
        try:
            verdict = check_composed(folder / file, SAMPLE)
        except ValueError as error:
            return Check("table", file, False, f"it cannot be used: {error}")
        if verdict.faults:
            return Check("table", file, False, verdict.faults[0])
        claims += verdict.checked
    text = f"{len(files)} tables from compositions: hashes right, {claims} claims proved again: every polynomial, {SAMPLE} compositions each"
    return Check("table", NORMS["inf"], True, text)


def file_fault(path: Path, listed: str) -> str:
    """What is wrong with a table file by itself; empty if nothing is."""
    try:
        data, record, table = path.read_bytes(), read_record(path), load_table(path)
        witnesses = [[float.fromhex(x) for x in row] for row in record["witnesses"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"it cannot be used: {error}"
    if hashlib.sha256(data).hexdigest() != listed:
        return "its SHA-256 is not the one that the module lists"
    if record.get("kind") == NODES:
        return _node_fault(table, witnesses)
    step = largest_step(table)
    if not step <= JOIN:
        return f"neighbouring polynomials differ by {step:.3g} (relative) where they meet"
    for p, _, e in witnesses:
        if 2.0**-53 <= p < 0.5:
            radius = float(table.at(np.array([0.5 - p]), np.array([p]))[0])
            if not e * (1.0 - JOIN) <= radius <= e:
                return f"at 1 - rho = {p!r} its radius is {radius!r}, and the witness proves {e!r}"
    return ""


def _node_fault(table: ProvedTable, witnesses: list[list[float]]) -> str:
    """What is wrong with a table that follows nodes: polynomials meet, but where one starts just beyond a node and passes through it."""
    near, far = sub_cells(table.first, -2, table.parts), sub_cells(-53, -2, table.parts)
    pieces = [_Piece(True, row, m, h) for row, m, h in zip(table.gap, *near, strict=True)]
    pieces += [_Piece(False, row, m, h) for row, m, h in zip(table.fail, *far, strict=True)][::-1]
    known = sorted(witnesses)
    end = table.slope * (near[0][0] - near[1][0])
    if not pieces[0].at(pieces[0].start) * (1.0 - CLOSE_NODES) <= end <= pieces[0].at(pieces[0].start):
        return "the slope at rho = 1/2 does not lead to the first polynomial"
    end = pieces[0].at(pieces[0].start)
    for piece in pieces:
        start = piece.start
        found = piece.at(start)
        if known and start <= known[-1][0] <= start + NODE_REACH * min(start, 0.5 - start):
            p, _, e = known.pop()
            if not e * (1.0 - JOIN) <= piece.at(p) <= e * (1.0 + JOIN):
                return f"from 1 - rho = {start!r} on it follows {piece.at(p)!r} at {p!r}, and the witness proves {e!r}"
            if found < end * (1.0 - JOIN):
                return f"its radius falls at 1 - rho = {start!r}"
        elif not abs(found - end) <= JOIN * end:
            return f"neighbouring polynomials differ at 1 - rho = {start!r}, where no node is"
        end = piece.at(piece.end)
    return f"{len(known)} witnesses are at no start of a polynomial" if known else ""


@dataclass(frozen=True)
class _Piece:
    """The polynomial of one cell, from its end nearest to rho = 1/2 to the other."""

    near: bool
    row: np.ndarray
    middle: float
    half: float

    @property
    def start(self) -> float:
        return float(0.5 - (self.middle - self.half) if self.near else self.middle + self.half)

    @property
    def end(self) -> float:
        return float(0.5 - (self.middle + self.half) if self.near else self.middle - self.half)

    def at(self, p: float) -> float:
        """The radius at 1 - rho = p, also a little outside the cell."""
        x = 0.5 - p if self.near else p
        value = float(self.row @ ((x - self.middle) / self.half) ** np.arange(len(self.row)))
        return x * value if self.near else value


def largest_step(table: ProvedTable) -> float:
    """The largest relative difference of two neighbouring polynomials at the point where they meet."""
    signs = (-1.0) ** np.arange(table.gap.shape[1])
    steps = [abs(float(table.gap[0] @ signs) / table.slope - 1.0)]
    steps.append(abs(0.25 * float(table.gap[-1].sum()) / float(table.fail[-1].sum()) - 1.0))
    for rows in (table.gap, table.fail):
        steps.append(float(np.abs((rows[1:] @ signs) / rows[:-1].sum(axis=1) - 1.0).max()))
    return max(steps)


def _drawn_fault(family: Family, path: Path) -> str:
    """One confidence, drawn by the file's name, against its enclosure in ball arithmetic."""
    record: dict[str, Any] = read_record(path)
    seed = int(hashlib.sha256(path.name.encode()).hexdigest()[:8], 16)
    fail = float(2.0 ** -np.random.default_rng(seed).uniform(1.1, 40.0))
    values = checked_values(
        family, int(record["dim"]), {k: sp.Rational(Fraction(v)) for k, v in record["parameters"].items()}
    )
    at = 1 - sp.Rational(fail)
    try:
        adversary = str(record["adversary"])
        derivation = family.exact.get(adversary) or family.native[adversary]
        ball = enclose_derivation(family, derivation, values, at)
    except (ArithmeticError, NotImplementedError):
        return ""
    radius = float(load_table(path).at(np.array([0.5 - fail]), np.array([fail]))[0])
    low, close = sp.Rational(ball.lower), CLOSE_NODES if record.get("kind") == NODES else CLOSE
    if sp.Rational(radius) > low or sp.Rational(radius) < low * (1 - sp.Rational(close)):
        return f"at 1 - rho = {fail!r} its radius is {radius!r}, the enclosure [{ball.lower}, {ball.upper}]"
    return ""
