"""Shipped tables looked at again: their hashes, their polynomials against each other and the witnesses, drawn values against enclosures.

A polynomial, coefficient or witness raised by 1e-9 of the radius shows in one of the first three, without a new proof:
neighbouring polynomials meet to much less than that, and so do table and witnesses.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from derive.bounds import checked_values, enclose_native
from derive.engine import Family
from derive.verification.cases import NORMS
from derive.verification.check import Check
from generated.special.lookup import SHIPPED, load_table, read_record
from generated.special.table import ProvedTable

JOIN = 5e-10
"""Largest relative step between neighbouring polynomials, and from a witness down to the table."""
SECONDS = 20.0
"""For enclosures at drawn confidences, over all tables of a density."""


def table_checks(family: Family, tables: Mapping[str, str], folder: Path = SHIPPED) -> Iterator[Check]:
    """A check for each table that is false, and one that counts those that are true; nothing for a density without tables."""
    good, values, spent = 0, 0, 0.0
    for file, listed in tables.items():
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
            f"{good} shipped tables: hashes right, polynomials meet to {JOIN:g}, none above a witness or further than that below it; "
            f"{values} values at drawn rho not above their enclosures"
        )
        yield Check("table", ", ".join(NORMS[a] for a in family.native), True, text)


def file_fault(path: Path, listed: str) -> str:
    """What is wrong with a table file by itself; empty if nothing is."""
    try:
        data, record, table = path.read_bytes(), read_record(path), load_table(path)
        witnesses = [[float.fromhex(x) for x in row] for row in record["witnesses"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"it cannot be used: {error}"
    if hashlib.sha256(data).hexdigest() != listed:
        return "its SHA-256 is not the one that the module lists"
    step = largest_step(table)
    if not step <= JOIN:
        return f"neighbouring polynomials differ by {step:.3g} (relative) where they meet"
    for p, _, e in witnesses:
        if 2.0**-53 <= p < 0.5:
            radius = float(table.at(np.array([0.5 - p]), np.array([p]))[0])
            if not e * (1.0 - JOIN) <= radius <= e:
                return f"at 1 - rho = {p!r} its radius is {radius!r}, and the witness proves {e!r}"
    return ""


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
        ball = enclose_native(family, str(record["adversary"]), values, at)
    except (ArithmeticError, NotImplementedError):
        return ""
    radius = float(load_table(path).at(np.array([0.5 - fail]), np.array([fail]))[0])
    low = sp.Rational(ball.lower)
    if sp.Rational(radius) > low or sp.Rational(radius) < low * (1 - sp.Rational(1, 10**9)):
        return f"at 1 - rho = {fail!r} its radius is {radius!r}, the enclosure [{ball.lower}, {ball.upper}]"
    return ""
