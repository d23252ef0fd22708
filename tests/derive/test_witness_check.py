"""The independent checker: it proves what is true, near to it and no more, and catches tables that say too much."""

from __future__ import annotations

import ast
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from flint import arb
from numpy.polynomial import chebyshev
from scipy.special import ndtri

import derive.cell_check
import derive.reading_check
import derive.strip_check
import derive.table_check
import derive.witness_check
from derive.bounds import checked_values, radial_density
from derive.cli import main
from derive.enclosure.witness import level_set_witness
from derive.engine import derive_family
from derive.formula import dim as dim_symbol
from derive.spec import find_spec
from derive.table_check import check_table
from derive.witness_check import Density, Law, Unreadable

SLOPE = math.sqrt(math.pi)
FIRST, PARTS = -16, 2


def gaussian(p: np.ndarray) -> np.ndarray:
    """R(1 - p) of exp(-r²)."""
    return -ndtri(p) / math.sqrt(2)


def coefficients(f: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> list[str]:
    x = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    found = chebyshev.cheb2poly(chebyshev.chebfit(x, f(low + (high - low) * (x + 1) / 2), 12))
    return [float(c).hex() for c in found * (1 - 4e-10)]


def cells(first: int, f: Callable[[np.ndarray], np.ndarray]) -> list[list[str]]:
    starts = [math.ldexp(1 + n / PARTS, k) for k in range(first, -2) for n in range(PARTS)]
    widths = [math.ldexp(1 / PARTS, k) for k in range(first, -2) for _ in range(PARTS)]
    return [coefficients(f, low, low + width) for low, width in zip(starts, widths, strict=True)]


def gaussian_table() -> dict[str, Any]:
    witnesses = []
    for z in np.linspace(0.02, 8.2, 60):
        p, e = math.erfc(z / math.sqrt(2)) / 2, z / math.sqrt(2) * (1 - 1e-13)
        witnesses.append([float(v).hex() for v in (p, z * z / 2, e)])
    return {
        "format": 1, "name": "exp_l2", "geometry": "l2", "density": "r**(-j)*exp(-r**k)", "support": "",
        "adversary": "2", "dim": 784, "parameters": {"k": "2", "j": "0"},
        "cells": {
            "slope": (SLOPE * (1 - 4e-10)).hex(), "first": FIRST, "parts": PARTS,
            "gap": cells(FIRST, lambda gap: gaussian(0.5 - gap) / gap), "fail": cells(-53, gaussian),
        },
        "witnesses": witnesses,
    }  # fmt: skip


def written(path: Path, table: dict[str, Any]) -> Path:
    body = json.dumps(table)[:-1] + ", "
    path.write_text(f'{body}"hash": "{hashlib.sha256(body.encode()).hexdigest()}"}}', encoding="ascii")
    return path


@pytest.mark.parametrize(
    ("name", "dim", "parameters", "fail"),
    [
        ("exp_l2", 3072, {"k": "1", "j": "0"}, 1e-9),
        ("exp_l2", 64, {"k": "4", "j": "62"}, 0.01),
        ("pow_l2", 784, {"k": "2", "a": "520"}, 0.3),
        ("hyperbolic_l2", 64, {}, 0.49),
    ],
)
def test_the_engines_witnesses_are_proved_again_and_slightly_larger_radii_are_not(
    name: str, dim: int, parameters: dict[str, str], fail: float
) -> None:
    spec, family = find_spec(name), derive_family(find_spec(name))
    values = checked_values(family, dim, {n: sp.Rational(v) for n, v in parameters.items()})
    low, _ = level_set_witness(radial_density(family.profile, dim_symbol, values), dim, arb(fail))
    law = Law(Density(spec.density, parameters | {"d": str(dim)}), "l2/2", dim, fail, 60)
    assert bool(law.h(fail, low.level, low.distance) > fail)
    farther = (low.distance * (1 + arb(2) ** -36)).mid()
    assert bool(law.h(fail, low.level, farther) < fail)


def test_gaussian_noise_in_ten_dimensions() -> None:
    for dim in (10,):
        law = Law(Density("exp(-r**2/2)", {}), "l2/2", dim, 0.2)
        z = -float(ndtri(0.2))
        for factor, holds in ((1 - 1e-9, True), (1 + 1e-9, False)):
            h = law.h(0.2, arb(z * z / 2), arb(z * factor))
            assert bool(h > 0.2) is holds and bool(h < 0.2) is not holds


def test_masses_of_faces_agree_with_their_definition() -> None:
    """Against a plain sum over radii: ‖x + v‖ > s by counting faces."""
    from scipy.integrate import quad
    from scipy.special import gammaln

    dim, e, t = 5, 0.8, 0.3
    for kind in ("l1/1", "linf/inf", "linf/1"):

        def chance(r: float, s: float, kind: str = kind) -> float:
            if s <= abs(r - e):
                return 1.0
            if s > r + e:
                return 0.0
            if kind != "linf/1":
                return 1 - 0.5 * ((r + s - e) / (2 * r)) ** (dim - 1)
            if s > r:  # the first coordinate on its face (r + e > s), or inside and beyond s
                return 1 / (2 * dim) + (dim - 1) / dim * (r + e - s) / (2 * r)
            return 1 - (s / r) ** (dim - 1) / (2 * dim)

        def mass(side: int, chance: Callable[[float, float], float] = chance) -> float:
            def integrand(r: float) -> float:
                square = r * r + side * t
                value = chance(r, math.sqrt(square)) if square > 0 else 1.0
                return (
                    math.exp((dim - 1) * math.log(r) - r * r - gammaln(dim / 2))
                    * 2
                    * (value if side > 0 else 1 - value)
                )

            turns = sorted({abs(t - e * e) / (2 * e), (t + e * e) / (2 * e), math.sqrt(t)})
            return quad(integrand, 0, 8, points=turns, epsabs=1e-12, limit=400)[0]

        expected = mass(-1) + math.exp(-t) * (0.5 - mass(1))
        found = Law(Density("exp(-r**2)", {}), kind, dim, 0.01).h(0.1, arb(t), arb(e))
        assert abs(float(found.mid()) - expected) < 1e-9 and bool(found.rad() < 1e-12)


def test_a_true_table_is_proved_and_one_raised_is_caught(tmp_path: Path) -> None:
    table = gaussian_table()
    good = check_table(written(tmp_path / "good.json", table), 6)
    assert good.faults == () and good.checked == 6 and 0 <= good.margin < 1e-8
    for part in ("fail", "gap"):  # a cell of each is raised, and all of the others with it
        raised = json.loads(json.dumps(table))
        raised["cells"][part] = [
            [(float.fromhex(c) * (1 + 1e-9)).hex() for c in row] for row in table["cells"][part]
        ]
        assert check_table(written(tmp_path / "raised.json", raised), 4).faults


def test_the_command_exits_by_what_it_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = gaussian_table()
    good, cut = written(tmp_path / "good.json", table), tmp_path / "cut.json"
    main(["verify", "--witnesses", "--sample", "3", str(good)])
    assert "3 of" in capsys.readouterr().out
    table["witnesses"] = [[w[0], w[1], (float.fromhex(w[2]) * 1.000001).hex()] for w in table["witnesses"]]
    with pytest.raises(SystemExit) as stop:
        main(["verify", "--witnesses", "--sample", "4", str(written(tmp_path / "bad.json", table))])
    assert stop.value.code == 1
    for text in (
        good.read_text()[:-300],
        "{}",
        "no table",
        good.read_text().replace('"dim": 784', '"dim": 785'),
    ):
        cut.write_text(text)
        with pytest.raises(SystemExit) as stop:
            main(["verify", "--witnesses", str(cut)])
        assert stop.value.code == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "text", ["__import__('os')", "exp(-q)", "exp(-r).real", "erf(r)", "lambda: r", "exp(r)"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        Law(Density(text, {}), "l2/2", 3, 0.1)


def test_nothing_of_the_engine_is_used() -> None:
    own = {f"derive.{n}_check" for n in ("witness", "reading", "strip", "cell")}
    modules = (
        derive.witness_check,
        derive.reading_check,
        derive.strip_check,
        derive.cell_check,
        derive.table_check,
    )
    for module in modules:
        assert module.__file__ is not None
        names = set()
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
        inside = {
            n
            for n in names
            if n.split(".")[0] in ("derive", "generated", "runtime", "sympy", "mpmath", "numpy")
        }
        assert inside <= own
