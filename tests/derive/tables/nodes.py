"""Tables of steps made on the spot, and the same with one number falsified."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import sympy as sp

from derive.bounds import checked_values, radial_density
from derive.engine import derive_family
from derive.formula import dim as dim_symbol
from derive.spec import find_spec
from derive.tables.file import short_hex
from derive.tables.shells import NodeTable, node_file
from derive.verification.tabled import file_fault
from generated.special.lookup import read_record

Made = tuple[str, str, NodeTable]
"""File name, text and table."""


def made(name: str, adversary: str, dim: int, parameters: dict[str, str], spacing: float) -> Made:
    """The table of the norm's exact radius where it has one, else of its own."""
    spec = find_spec(name)
    family = derive_family(spec)
    values = checked_values(family, dim, {k: sp.Rational(v) for k, v in parameters.items()})
    floats = {q.name: float(values[q.symbol]) for q in spec.parameters}
    density = radial_density(family.profile, dim_symbol, values)
    derivation = family.exact.get(adversary) or family.native[adversary]
    return node_file(spec, derivation, density, dim, floats, spacing=spacing)


def changed(text: str, kind: str, row: int, place: int, raised: float) -> bytes:
    """The file with one number raised relative to the radius there, its own hash put right."""
    record = json.loads(text)
    rows = record["witnesses"] if kind == "witnesses" else record["cells"][kind]
    new = list(rows[row])
    size = float.fromhex(rows[row][2 if kind == "witnesses" else 0])
    new[place] = short_hex(float.fromhex(new[place]) + raised * size)
    before, after = (json.dumps(r, separators=(",", ":")) for r in (rows[row], new))
    assert text.count(before) == 1
    body = text.replace(before, after).rpartition('"hash": "')[0]
    return (body + '"hash": "' + hashlib.sha256(body.encode()).hexdigest() + '"\n}\n').encode()


def check_that_a_change_is_caught(path: Path, table: Made, kind: str, row: int, place: int) -> None:
    """A number raised by 1e-9 is found although all hashes are right; the table as it was is sound."""
    path.write_text(table[1])
    assert read_record(path)["kind"] == "nodes"
    assert file_fault(path, hashlib.sha256(path.read_bytes()).hexdigest()) == ""
    bad = changed(table[1], kind, row, place, 1e-9)
    path.write_bytes(bad)
    assert file_fault(path, hashlib.sha256(bad).hexdigest()) != ""
