"""The text of a table file: one JSON object, an entry or a row to a line, its last entry the hash of all before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from derive.tables.fit import Fitted
from generated.special.lookup import FORMAT

Triple = tuple[float, float, float]


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
