"""Generated radii against a table of reference values computed elsewhere to at least eighteen digits.

In the table ρ is an exact decimal; a double lies beside it. Here the largest double at or below the decimal
is used, so the radius may not exceed the reference at all, and may fall short of it by the requested 1e-9 and
by what the radius grows between the two (at most a secant of the convex radius function).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from generated import registry
from generated.special import MissingTable
from generated.special.lookup import table_file

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT.parent / "shared" / "peers" / "reference_radii.json"
TOLERANCE = Fraction(1, 10**9)
DIGITS = Fraction(1, 10**17)  # the last digit of a reference may be rounded up


@dataclass(frozen=True)
class Reference:
    """One row of the table."""

    family: str
    adversary: str
    dim: int
    params: tuple[tuple[str, float], ...]
    rho: str
    radius: str
    method: str

    def __str__(self) -> str:
        named = "".join(f"-{k}={v:g}" for k, v in self.params)
        return f"{self.family}{named}-l{self.adversary}-d{self.dim}-{self.rho}"

    def evaluate(self, rho: float) -> float:
        """The generated radius at a double; the estimate where no table of it is shipped."""
        module, at, params = registry.load(self.family), np.array([rho]), dict(self.params)
        try:
            got = module.radius(at, adversary=self.adversary, dim=self.dim, **params)
        except MissingTable:
            got = module.estimate_l2(at, dim=self.dim, **params)
        return float(got[0])

    @property
    def double(self) -> float:
        """The largest double that does not exceed ρ."""
        rho = float(self.rho)
        return rho if Fraction(rho) <= Fraction(self.rho) else math.nextafter(rho, 0.0)

    def allowance(self) -> Fraction:
        """At least what the radius grows between that double and ρ."""
        step = (1.0 - self.double) / 4.0
        secant = (self.evaluate(self.double + step) - self.evaluate(self.double)) / step
        return Fraction(secant) * (Fraction(self.rho) - Fraction(self.double))

    @property
    def improved(self) -> bool:
        """Whether the product uses a sharper method than this row, which is not tight."""
        used = registry.load(self.family).method(adversary=self.adversary, dim=self.dim, **dict(self.params))
        return "tight" not in self.method and ("level set" in used or "composition" in used)


def references() -> list[Reference]:
    """The rows for families that exist; none where the table is not at hand."""
    if not TABLE.exists():
        return []
    rows = json.loads(TABLE.read_text(encoding="utf-8"))["cases"]
    return [
        Reference(
            row["family"],
            row["adversary"],
            row["dim"],
            tuple((name, float(value)) for name, value in sorted(row["params"].items())),
            row["rho"],
            row["radius"],
            row["method"],
        )
        for row in rows
        if row["family"] in registry.FAMILIES
    ]


ROWS = references()
needs_table = pytest.mark.skipif(not ROWS, reason=f"the table {TABLE.name} lies outside the repository")


@needs_table
def test_the_table_covers_the_built_in_families() -> None:
    """Rows exist for all four, so that the parametrised test below is not empty."""
    assert {row.family for row in ROWS} >= {"exp_linf", "gaussian", "laplace", "uniform"}
    assert len(ROWS) >= 100


@needs_table
def test_rows_of_shipped_tables_are_read_from_them() -> None:
    """The estimate stands in only where no table is shipped."""
    found = 0
    for row in ROWS:
        module = registry.load(row.family)
        if row.adversary != "2" or not hasattr(module, "TABLES"):
            continue
        if table_file(row.family, "2", row.dim, module.PARAMETERS | dict(row.params)) in module.TABLES:
            module.radius(np.array([0.9]), adversary="2", dim=row.dim, **dict(row.params))
            found += 1
    assert found >= 10


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_radius_agrees_and_never_exceeds(row: Reference) -> None:
    """|R - reference| <= 1e-9·reference, from below."""
    reference = Fraction(row.radius)
    got = Fraction(row.evaluate(row.double))
    assert got >= reference * (1 - TOLERANCE) - row.allowance()
    if not row.improved:
        assert got <= reference * (1 + DIGITS)


COMMAND_ROWS = [
    row
    for row in ROWS
    if (row.family, row.adversary, row.dim, row.rho, row.params)
    in {
        ("gaussian", "2", 3072, "0.999", ()),
        ("laplace", "1", 3072, "0.999999999999", ()),
        ("uniform", "inf", 150528, "0.999999", ()),
        ("exp_linf", "1", 3072, "0.99", (("j", 0.0), ("k", 2.0))),
        ("exp_linf", "1", 64, "0.995", (("j", 0.0), ("k", 2.0))),
        ("exp_linf", "inf", 10, "0.99", (("j", 0.0), ("k", 0.5))),
    }
]


@needs_table
def test_the_command_rows_are_in_the_table() -> None:
    """The selection below found what it names."""
    assert len(COMMAND_ROWS) == 6


@pytest.mark.parametrize("row", COMMAND_ROWS, ids=str)
def test_command_encloses_the_reference(row: Reference) -> None:
    """`derive radius` takes ρ as an exact decimal: lower <= reference <= upper, and the float is below."""
    command = [sys.executable, "-m", "derive", "radius", row.family, "--json"]
    command += ["--adversary", row.adversary, "--dim", str(row.dim), "--rho", row.rho]
    for name, value in row.params:
        command += ["--param", f"{name}={value:g}"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {"radius", "lower", "upper", "method", "tight"} <= answer.keys()
    lower, upper = Fraction(answer["lower"]), Fraction(answer["upper"])
    reference = Fraction(row.radius)
    assert Fraction(answer["radius"]) <= lower <= upper
    assert upper - lower <= reference / 10**12
    if not row.improved:
        assert lower <= reference * (1 + DIGITS)
        assert upper >= reference * (1 - DIGITS)
        assert Fraction(answer["radius"]) >= reference * (1 - TOLERANCE) - row.allowance()
