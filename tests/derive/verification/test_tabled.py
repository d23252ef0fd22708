"""What `verify` says of tables: true ones pass, and one raised by 1e-9 anywhere is caught though its hashes are right."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from derive.tables.file import short_hex
from derive.verification.tabled import file_fault
from generated.special.lookup import SHIPPED, read_record

TABLES = sorted(SHIPPED.glob("*.json"))


def hashed(body: str) -> bytes:
    return (body + '"hash": "' + hashlib.sha256(body.encode()).hexdigest() + '"\n}\n').encode()


def perturbed(path: Path, kind: str, row: int, place: int) -> bytes:
    """The table with one number raised by 1e-9 of the radius, its own hash put right."""
    record, text = read_record(path), path.read_text("ascii")
    rows = record["witnesses"] if kind == "witnesses" else record["cells"][kind]
    old = rows[row % len(rows)]
    size = float.fromhex(old[2] if kind == "witnesses" else old[0])
    new = list(old)
    new[place] = short_hex(float.fromhex(old[place]) + 1e-9 * size)
    before, after = (json.dumps(r, separators=(",", ":")) for r in (old, new))
    assert text.count(before) == 1
    return hashed(text.replace(before, after).rpartition('"hash": "')[0])


@pytest.mark.skipif(not TABLES, reason="no table is shipped")
@pytest.mark.parametrize(
    ("kind", "row", "place"),
    [("gap", 0, 0), ("gap", 31, 2), ("fail", 3, 0), ("fail", 100, 0), ("fail", 150, 1), ("fail", 203, 3), ("witnesses", 40, 2)],
)  # fmt: skip
def test_a_table_raised_by_1e_9_is_caught(tmp_path: Path, kind: str, row: int, place: int) -> None:
    for path in TABLES[:3]:
        good = path.read_bytes()
        assert file_fault(path, hashlib.sha256(good).hexdigest()) == ""
        bad = perturbed(path, kind, row, place)
        other = tmp_path / path.name
        other.write_bytes(bad)
        assert read_record(other)  # its own hash is right
        assert "SHA-256" in file_fault(other, hashlib.sha256(good).hexdigest())
        assert file_fault(other, hashlib.sha256(bad).hexdigest()) != ""
