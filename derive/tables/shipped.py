"""Which tables come with the package, and what can be said of their files without proving them again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import sympy as sp

from derive.spec import Spec, find_spec, known_specs
from derive.tables.build import Request
from derive.tables.cdf import CdfRequest
from generated.special.lookup import (
    cdf_command,
    cdf_file,
    compile_command,
    read_cdf_table,
    read_record,
    table_file,
)

Record = Mapping[str, Any]
Names = Callable[[Record, str, dict[str, float]], tuple[str, str]]

DIMENSIONS = (64, 784, 3072, 12288, 150528)
"""8 by 8 digits, MNIST, CIFAR, 64 by 64 and ImageNet images."""

COMPOSED: tuple[tuple[str, dict[str, sp.Rational], tuple[int, ...]], ...] = (
    ("laplace", {}, (64, 784, 3072, 12288)),
    ("logistic", {}, (64, 784, 3072, 12288, 150528)),
    ("hyperbolic_secant", {}, (784, 3072)),
    ("generalized_normal", {"p": sp.Rational(3, 2)}, (784, 3072)),
    ("generalized_normal", {"p": sp.Integer(3)}, (784, 3072)),
)
"""Product noise against linf: density, parameters, dimensions."""


def shipped_tables(folder: Path, spec: Spec) -> dict[str, str]:
    """SHA-256 of the density's table files in a folder, by name in alphabetical order; those of another version are left out."""
    pattern = re.compile(rf"{re.escape(spec.name)}_l(1|2|inf)_d\d+(_.*)?\.json")
    found = {}
    for path in sorted(folder.glob("*.json")):
        if pattern.fullmatch(path.name) and not _fault(path, {spec.name: spec}):
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def table_faults(folder: Path, specs: Mapping[str, Spec]) -> list[str]:
    """A line for every file in a folder that is broken, misnamed, or of a density that is gone or has changed."""
    lines = ((path, _fault(path, specs)) for path in sorted(folder.glob("*")) if path.suffix != ".py")
    return [f"table {path.name}: {fault}" for path, fault in lines if fault]


def _fault(path: Path, specs: Mapping[str, Spec]) -> str:
    if path.suffix != ".json" or path.name.startswith("."):
        return "no table; remove it"

    def names(record: Record, name: str, floats: dict[str, float]) -> tuple[str, str]:
        place = name, str(record["adversary"]), int(record["dim"]), floats
        return table_file(*place), compile_command(*place)

    return _identity_fault(path, specs, names)


def _identity_fault(path: Path, specs: Mapping[str, Spec], names: Names) -> str:
    """What is wrong with a table's density, its version or the file's name; `names` gives the right name and the command."""
    try:
        record = read_record(path)
        name = str(record["name"])
        floats = {key: float(Fraction(value)) for key, value in record["parameters"].items()}
        file, command = names(record, name, floats)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{error}; restore it, or remove it and compile again"
    if name not in specs:
        return f"of the density {name!r}, which is gone; remove it"
    if record.get("spec") != specs[name].hash:
        return f"of another version of {name}; make it again with: {command} --out {path.parent}"
    return "" if path.name == file else f"its name should be {file}"


def cdf_requests() -> Iterator[CdfRequest]:
    """Every shipped cdf table: one for each product density, at its default parameters."""
    return (
        CdfRequest(spec, {})
        for spec in known_specs().values()
        if spec.geometry == "product" and "d" not in {s.name for s in spec.expression.free_symbols}
    )


def cdf_faults(folder: Path, specs: Mapping[str, Spec]) -> list[str]:
    """A line for every cdf table in a folder that is broken, misnamed, or of a density that is gone or has changed."""
    lines = ((path, _cdf_fault(path, specs)) for path in sorted(folder.glob("*")))
    return [f"cdf table {path.name}: {fault}" for path, fault in lines if fault]


def _cdf_fault(path: Path, specs: Mapping[str, Spec]) -> str:
    def names(record: Record, name: str, floats: dict[str, float]) -> tuple[str, str]:
        del record
        read_cdf_table(path)  # ValueError where its polynomials are not sound
        return cdf_file(name, floats), cdf_command(name, floats)

    return _identity_fault(path, specs, names)


def shipped_requests() -> Iterator[Request]:
    """Every shipped table: the dimensions and parameters of the published experiments, and around them."""
    for name, adversary, dim, parameters in _sets():
        values = {key: sp.Rational(value) for key, value in parameters.items()}
        yield Request(find_spec(name), adversary, dim, values)


def _sets() -> Iterator[tuple[str, str, int, Mapping[str, int | sp.Rational]]]:
    for d in DIMENSIONS:
        yield "exp_l2", "2", d, {"k": 1, "j": 0}
        for j in (d - 8, d // 2):
            yield "exp_l2", "2", d, {"k": 2, "j": j}
        yield "pow_l2", "2", d, {"k": 2, "a": d // 2 + 10}
        yield "hyperbolic_l2", "2", d, {}
        for k in (4, 10):
            if (d, k) != (64, 10):  # hundreds of cells: compiled where it is wanted
                yield "exp_l2", "2", d, {"k": k, "j": 0}
        for a in (d + 4, d + 16, d + 128):
            yield "pow_l2", "2", d, {"k": 2, "a": a}
        yield "pow_l2", "2", d, {"k": 1, "a": d + 10}
    for name, parameters, dims in COMPOSED:
        for d in dims:
            yield name, "inf", d, parameters
