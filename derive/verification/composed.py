"""A table from compositions proved again: every polynomial from the file's chain, and the chain's own claims by composing anew."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import sympy as sp
from flint import ctx

from derive.composition.bend import bend
from derive.composition.chain import FINENESS, Chain, link_fault
from derive.composition.coordinate import Coordinate
from derive.composition.radius import SPAN
from derive.composition.score import GrowthBound
from derive.spec import find_spec
from derive.table_check import Verdict
from derive.tables.composed import PRECISION, lack, law_of, read_chain, slope_fault
from derive.tables.fit import cells
from generated.special.lookup import COMPOSED, load_table, read_record

SAMPLE = 2
"""Compositions made again for each table by default."""


def composed_kind(path: Path) -> bool:
    """Whether a readable table file is one from compositions."""
    try:
        return bool(read_record(path).get("kind") == COMPOSED)
    except ValueError:
        return False


def check_composed(path: Path, most: int = 0) -> Verdict:
    """Checks every polynomial and the law's numbers, and composes `most` links again, drawn by the file's name (0: all).

    ValueError for a file that cannot be read, or is of a density that is not known or has changed.
    """
    start = time.process_time()
    record = read_record(path)
    chain, law, dim = read_chain(record), _law(record), int(record["dim"])
    faults = polynomial_faults(path, chain)
    faults += law_faults(law, dim, chain)
    indices = list(range(len(chain.links)))
    if 0 < most < len(indices):
        seed = int(hashlib.sha256(path.name.encode()).hexdigest()[:8], 16)
        indices = random.Random(seed).sample(indices, most)
    for index in sorted(indices):
        fault = link_fault(law, dim, chain, index)
        faults += [fault] if fault else []
    table = load_table(path)
    polynomials = len(table.gap) + len(table.fail) + 1
    checked, total = (polynomials + 2 + n for n in (len(indices), len(chain.links)))
    return Verdict(path.name, checked, total, 0.0, tuple(faults), time.process_time() - start)


def polynomial_faults(path: Path, chain: Chain) -> list[str]:
    """Every polynomial of the table that is not proved below what its chain gives."""
    table, faults = load_table(path), []
    before, ctx.prec = ctx.prec, PRECISION
    try:
        fault = slope_fault(chain, table.slope)
        faults += [fault] if fault else []
        for near, first, rows in ((True, table.first, table.gap), (False, -53, table.fail)):
            for cell, row in zip(cells(near, first, table.parts), rows, strict=True):
                if not bool(lack(chain, cell, [float(c) for c in row]) <= 0):
                    place = "rho - 1/2" if near else "1 - rho"
                    faults.append(f"the polynomial about {place} = {cell.mid!r} is not proved")
        return faults
    except ArithmeticError as error:
        return [*faults, str(error)]
    finally:
        ctx.prec = before


def law_faults(law: Coordinate, dim: int, chain: Chain) -> list[str]:
    """What the file says of the law itself: how far curves bend, and Phi(1/2)."""
    before, ctx.prec = ctx.prec, PRECISION
    try:
        found = bend(law, dim)
        growth = GrowthBound(law, dim, fineness=FINENESS, longest=int(SPAN / FINENESS)).middle()
    finally:
        ctx.prec = before
    faults = []
    if not (found.curvature <= chain.bend.curvature and found.excess <= chain.bend.excess):
        faults.append(f"the bend {chain.bend} is not proved, only {found}")
    if not growth <= chain.growth:
        faults.append(f"Phi(1/2) ≤ {chain.growth!r} is not proved, only {growth!r}")
    return faults


def _law(record: Mapping[str, Any]) -> Coordinate:
    try:
        spec = find_spec(str(record["name"]))
        values = {name: sp.Rational(Fraction(text)) for name, text in record["parameters"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the table cannot be read ({error})") from None
    if record.get("spec") != spec.hash:
        raise ValueError(
            f"the table is of another version of {spec.name} (spec {str(record.get('spec'))[:16]}, now {spec.hash})"
        )
    return law_of(spec, values)
