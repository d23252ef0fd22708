"""Table files: where they lie, what they must say to be used, and the command that makes a missing one.

A file is text: one JSON object, its last entry "hash" the SHA-256 of all bytes before that entry's line. It is used only for
the very density (spec hash), dimension and parameters that it names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from generated.special.arguments import require
from generated.special.cdf import CdfTable, cdf_table
from generated.special.table import ProvedTable, coefficient_rows

FORMAT = 1
LEAST_PROOF = 1
"""The oldest version of a table's proof that is still trusted; a file that names none is of version 1. To be raised where a proof was wrong."""
COMPOSED = "compositions"
"""Kind of a table proved from a chain of compositions, which it lists."""
NODES = "nodes"
"""Kind of a table that follows proved radii with steps up to the next one; the polynomials of others meet."""
LARGEST = 1 << 18
"""Bytes of a table file, at most."""
SHIPPED = Path(__file__).resolve().parent.parent / "tables"
"""Tables that come with the package."""
CDF = "cdf"
"""Kind of a table of a coordinate's cdf, for noise on a grid."""
SHIPPED_CDF = SHIPPED.parent / "cdf"
"""Cdf tables that come with the package."""
VARIABLE = "SMOOTHING_RADII_TABLES"
"""Environment variable that names the user's folder of tables; without it, ~/.cache/smoothing-radii/tables."""


class MissingTable(ValueError):
    """No table is there for these parameters; the message ends in the command that makes it."""


def user_folder() -> Path:
    """Where `python -m derive compile` writes, and tables are looked up after the shipped ones."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "smoothing-radii" / "tables"


def value_text(value: float) -> str:
    """A parameter's double as the shortest decimal that reads back exactly."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


def table_file(name: str, adversary: str, dim: int, parameters: Mapping[str, float]) -> str:
    """The file name of a table: NAME_l2_d3072_j=0_k=2.json, parameters in alphabetical order."""
    values = "".join(f"_{key}={value_text(parameters[key])}" for key in sorted(parameters))
    return f"{name}_l{adversary}_d{dim}{values}.json"


def compile_command(name: str, adversary: str, dim: int, parameters: Mapping[str, float]) -> str:
    """The shell command that makes the table."""
    words = ["python", "-m", "derive", "compile", name, "--dim", str(dim)]
    for key in sorted(parameters):
        words += ["--param", f"{key}={value_text(parameters[key])}"]
    return shlex.join([*words, "--adversary", adversary])


def find_table(
    name: str,
    adversary: str,
    spec: str,
    shipped: Mapping[str, str],
    dim: int,
    parameters: Mapping[str, float],
) -> ProvedTable:
    """The table of a density at a dimension and parameters: the one shipped, else the one in the user's folder.

    `shipped` maps the names of shipped files to their SHA-256. MissingTable where there is none, ValueError for one that is
    broken or of another version of the density; both messages give the command to compile it.
    """
    file = table_file(name, adversary, dim, parameters)
    make = compile_command(name, adversary, dim, parameters)
    for folder in (SHIPPED, user_folder()):
        path = folder / file
        if not path.is_file():
            continue
        command = make if folder != SHIPPED else f"{make} --out {shlex.quote(str(folder))}"
        data = read_bytes(path, command)
        if folder == SHIPPED and file in shipped:
            require(
                hashlib.sha256(data).hexdigest() == shipped[file],
                f"the table {path} is not the one listed in {name}'s module (SHA-256 {shipped[file][:16]}…): install again, or restore it "
                f"with: {command}",
            )
        record = parse(data, path, command)
        _same(record, path, command, name=name, spec=spec, adversary=adversary, dim=dim,
              parameters={key: str(Fraction(float(value))) for key, value in parameters.items()})  # fmt: skip
        return _table(record, path, command)
    at = "".join(f", {key} = {value_text(value)}" for key, value in sorted(parameters.items()))
    raise MissingTable(
        f"the l{adversary} radius of {name} needs a table, and none is there for dim = {dim}{at}; make it with: {make}"
    )


def table_version(
    name: str, adversary: str, dim: int, parameters: Mapping[str, float]
) -> tuple[str, int] | None:
    """(path, time of its last change) of the table that `find_table` would read; None where there is none."""
    file = table_file(name, adversary, dim, parameters)
    paths = (folder / file for folder in (SHIPPED, user_folder()))
    return next(((str(path), path.stat().st_mtime_ns) for path in paths if path.is_file()), None)


def cdf_file(name: str, parameters: Mapping[str, float]) -> str:
    """The file name of a cdf table: NAME_cdf_p=2.json, parameters in alphabetical order."""
    values = "".join(f"_{key}={value_text(parameters[key])}" for key in sorted(parameters))
    return f"{name}_{CDF}{values}.json"


def cdf_command(name: str, parameters: Mapping[str, float]) -> str:
    """The shell command that makes the table."""
    words = ["python", "-m", "derive", "compile", name, "--cdf"]
    for key in sorted(parameters):
        words += ["--param", f"{key}={value_text(parameters[key])}"]
    return shlex.join(words)


def find_cdf_table(name: str, spec_hash: str, parameters: Mapping[str, float]) -> CdfTable:
    """The cdf table of a density at these parameters: the one shipped, else the one in the user's folder.

    MissingTable where there is none, ValueError for one that is broken or of another version of the density; both messages
    give the command to compile it.
    """
    file, command = cdf_file(name, parameters), cdf_command(name, parameters)
    for folder in (SHIPPED_CDF, user_folder()):
        path = folder / file
        if not path.is_file():
            continue
        make = command if folder != SHIPPED_CDF else f"{command} --out {shlex.quote(str(folder))}"
        record = parse(read_bytes(path, make), path, make)
        wanted: dict[str, Any] = {"name": name, "kind": CDF, "spec": spec_hash}
        wanted["parameters"] = {key: str(Fraction(float(value))) for key, value in parameters.items()}
        for key, value in wanted.items():
            found = record.get(key)
            require(
                found == value,
                f"the table {path} is of another density: it says {key} = {str(found)[:60]}, needed is {str(value)[:60]}; "
                f"make it again with: {make}",
            )
        return _cdf_table(record, path, make)
    at = "".join(f", {key} = {value_text(value)}" for key, value in sorted(parameters.items()))
    raise MissingTable(
        f"noise on a grid needs a table of the cdf of {name}{at}, and none is there; make it with: {command}"
    )


def read_cdf_table(path: Path) -> CdfTable:
    """The table in a file, whatever density it is of; ValueError if the file is broken."""
    return _cdf_table(read_record(path), path, "")


def _cdf_table(record: Mapping[str, Any], path: Path, command: str) -> CdfTable:
    try:
        return cdf_table(record)
    except (KeyError, TypeError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ValueError(_broken(path, f"its cells cannot be read ({error})", command)) from None


def load_table(path: Path) -> ProvedTable:
    """The table in a file, whatever it is of; ValueError if the file is broken."""
    return _table(read_record(path), path, "")


def read_record(path: Path) -> dict[str, Any]:
    """All entries of a table file, its hash checked; ValueError if it is broken."""
    return parse(read_bytes(path, ""), path, "")


def read_bytes(path: Path, command: str) -> bytes:
    """The file's bytes; ValueError if it cannot be read or is too long."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"the table {path} cannot be read: {error.strerror}") from None
    require(len(data) <= LARGEST, _broken(path, f"it is longer than {LARGEST} bytes", command))
    return data


def parse(data: bytes, path: Path, command: str) -> dict[str, Any]:
    """The entries of a table file's bytes; ValueError unless the hash is right."""
    body, found, end = data.rpartition(b'"hash": "')
    expected = hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'
    require(bool(found) and end == expected, _broken(path, "its SHA-256 does not fit its content", command))
    try:
        record = json.loads(data)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ValueError(_broken(path, "it is no JSON object", command))
    format_ = record.get("format")
    require(
        format_ == FORMAT, _broken(path, f"its format is {str(format_)[:20]}, this version reads {FORMAT}", command)
    )  # fmt: skip
    proof = record.get("proof", 1)
    require(
        isinstance(proof, int) and proof >= LEAST_PROOF,
        _broken(path, f"its proof is of version {str(proof)[:20]}, trusted from {LEAST_PROOF} on", command),
    )
    return record


def _same(record: Mapping[str, Any], path: Path, command: str, **expected: object) -> None:
    for key, value in expected.items():
        found = record.get(key)
        if key == "spec" and found != value:
            raise ValueError(
                f"the table {path} is of another version of the density (spec {str(found)[:16]}, needed {value}); make it again with: {command}"
            )
        require(
            found == value,
            _broken(path, f"it says {key} = {str(found)[:60]}, not {str(value)[:60]}", command),
        )


def _table(record: Mapping[str, Any], path: Path, command: str) -> ProvedTable:
    try:
        cells = record["cells"]
        gap, fail = coefficient_rows(cells["gap"]), coefficient_rows(cells["fail"])
        width = max(gap.shape[1], fail.shape[1])
        gap, fail = (np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (gap, fail))
        slope, first, parts = float.fromhex(cells["slope"]), int(cells["first"]), int(cells["parts"])
        return ProvedTable(slope, first, parts, gap, fail)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise ValueError(_broken(path, f"its cells cannot be read ({error})", command)) from None


def _broken(path: Path, why: str, command: str) -> str:
    return f"the table {path} is broken: {why}" + (f"; make it again with: {command}" if command else "")
