"""The text of a table file: one JSON object, an entry or a row to a line, its last entry the hash of all before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from derive.spec import Spec
from derive.tables.fit import Fitted
from generated.special.lookup import FORMAT, LARGEST, table_file

Triple = tuple[float, float, float]


def density_table(
    spec: Spec,
    adversary: str,
    dim: int,
    parameters: Mapping[str, float],
    fitted: Fitted,
    witnesses: Iterable[Triple],
    *,
    method: str,
    kind: str,
    assurance: str,
    more: Mapping[str, object] | None = None,
) -> tuple[str, str]:
    """(file name, text) of the table of a density at these parameters; `more` are entries of this kind alone.

    ArithmeticError where the file would be larger than tables may be.
    """
    entries = {
        "name": spec.name,
        "spec": spec.hash,
        "geometry": spec.geometry,
        "density": spec.density,
        "support": spec.support,
        "adversary": adversary,
        "dim": dim,
        "parameters": {name: str(Fraction(parameters[name])) for name in sorted(parameters)},
        "method": method,
        "kind": kind,
        "assurance": assurance,
    }
    text = table_text(entries | dict(more or {}), fitted, witnesses)
    if len(text) > LARGEST:
        raise ArithmeticError(f"the table would take {len(text)} bytes, more than the {LARGEST} allowed")
    return table_file(spec.name, adversary, dim, parameters), text


def table_text(entries: Mapping[str, object], fitted: Fitted, witnesses: Iterable[Triple]) -> str:
    """The file of a table: what it is of (`entries`), its polynomials and its witnesses, floats in hexadecimal.

    The same input gives the same bytes on every machine.
    """
    head = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=True)}" for key, value in entries.items()]
    cells = [
        f'"slope": {json.dumps(short_hex(fitted.slope))}',
        f'"first": {fitted.first}',
        f'"parts": {fitted.parts}',
        f'"gap": {_rows(fitted.gap)}',
        f'"fail": {_rows(fitted.fail)}',
    ]
    lines = [
        f'"format": {FORMAT}',
        *head,
        '"cells": {' + ",\n".join(cells) + "}",
        f'"witnesses": {_rows(witnesses)}',
    ]
    return _sealed(lines)


def sealed(entries: Mapping[str, object], rows: Sequence[str] = ()) -> str:
    """A file of these entries, the hash after them; those named in `rows` are lists, with one item to a line."""
    lines = []
    for key, value in entries.items():
        text = json.dumps(value, ensure_ascii=True)
        if key in rows and isinstance(value, list):
            text = "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in value) + "\n]"
        lines.append(f"{json.dumps(key)}: {text}")
    return _sealed(lines)


def _sealed(lines: Sequence[str]) -> str:
    body = "{\n" + ",\n".join(lines) + ',\n"hash": "'
    # the hash covers every byte before its entry's line
    covered = body[: -len('"hash": "')]
    return body + hashlib.sha256(covered.encode("ascii")).hexdigest() + '"\n}\n'


def short_hex(value: float) -> str:
    """A float in hexadecimal without the zeros that end its mantissa; float.fromhex reads it back exactly."""
    mantissa, _, exponent = value.hex().partition("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}"


def _rows(rows: Iterable[Sequence[float]]) -> str:
    return (
        "[\n"
        + ",\n".join(json.dumps([short_hex(x) for x in row], separators=(",", ":")) for row in rows)
        + "\n]"
    )
