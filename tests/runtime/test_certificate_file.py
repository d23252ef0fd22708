"""Certificate files and their independent checker: true ones pass, every false claim is found, the rest is refused."""

from __future__ import annotations

import ast
import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from derive.check import verdict
from runtime.certificate_file import certificate_file, certificate_record, digest
from runtime.noise import Noise
from runtime.procedure import FixedSample
from runtime.reader import StoredInput, StoredRun
from runtime.sampling import Votes
from runtime.stages import stage_of
from tests.contracts.sources import ROOT
from tests.runtime.conftest import Command

N0, N, ALPHA = 100, 1000, 0.001
GIVEN = {"index": 3, "sha256": "0" * 64, "shape": [1, 8, 8], "dtype": "float32", "grid": 255}


def made(
    family: str = "laplace", adversary: str = "1", *, ahead: int = 990, **params: float
) -> dict[str, Any]:
    """The certificate of an input with these votes."""
    noise = Noise(family, 64, scale=0.5, **params)
    rule = FixedSample(N0, N, ALPHA)
    run = StoredRun("run", family, noise, rule, 7, 3, 1, None, "ab" * 32, None)
    chunks = {
        "selection": ((0, Votes((5, 95, 0), 0)),),
        "estimation": ((0, Votes((N - 3 - ahead, ahead, 0), 3)),),
    }
    stored = StoredInput(3, 1, chunks, stage_of(rule, chunks, 3), 0.1)
    return certificate_record(run, stored, adversary, GIVEN, {"package": "1"})


def checked(record: dict[str, Any], path: Path, sign: bool = True) -> tuple[int, str]:
    if sign:
        record = {**record, "digest": digest(record)}
    path.write_text(json.dumps(record))
    return verdict(str(path))


@pytest.mark.parametrize(
    ("family", "adversary", "params"),
    [
        ("gaussian", "2", {}),
        ("laplace", "inf", {}),
        ("uniform", "1", {}),
        ("uniform", "2", {}),
        ("uniform", "inf", {}),
        ("logistic", "1", {}),
        ("generalized_normal", "1", {"p": 3.0}),
        ("generalized_normal", "1", {"p": 0.5}),
        ("pareto", "2", {}),
    ],
)
def test_true_certificates_pass_and_a_longer_radius_does_not(
    family: str, adversary: str, params: dict[str, float], tmp_path: Path
) -> None:
    record = made(family, adversary, ahead=990, **params)
    status, line = checked(record, tmp_path / "c.json", sign=False)
    if "composition" in record["route"]:
        assert status == 2 and "cannot check" in line
        return
    assert status == 0 and line.startswith("true: class 1"), line
    radius = float.fromhex(record["radius"])
    assert radius > 0.0
    status, line = checked({**record, "radius": (radius * (1 + 1e-9)).hex()}, tmp_path / "c.json")
    assert status == 1 and "above" in line


Change = Callable[[dict[str, Any]], object]
TAMPERED: dict[str, Change] = {
    "counts": lambda c: c["estimation"]["counts"].__setitem__(1, 991),
    "votes from one class to another": lambda c: c["estimation"].__setitem__("counts", [6, 991, 0]),
    "fewer votes": lambda c: c["estimation"].__setitem__("counts", [8, 989, 0]),
    "failed votes": lambda c: c["estimation"].__setitem__("failed", 2),
    "n": lambda c: (c["estimation"].__setitem__("n", 1001), c["estimation"].__setitem__("failed", 4)),
    "selection": lambda c: c["selection"].__setitem__("counts", [95, 5, 0]),
    "prediction": lambda c: c.update(prediction=0),
    "abstention": lambda c: c.update(prediction=-1),
    "p_lower": lambda c: c.__setitem__("p_lower", (float.fromhex(c["p_lower"]) + 1e-9).hex()),
    "alpha": lambda c: (c["procedure"].update(alpha=0.002), c.update(alpha=(0.002).hex())),
    "radius": lambda c: c.__setitem__("radius", (float.fromhex(c["radius"]) + 1e-6).hex()),
    "scale": lambda c: c["noise"].__setitem__("scale", (0.4).hex()),
    "density": lambda c: c["noise"].__setitem__("density", "exp(-2*r)"),
    "adversary": lambda c: c.__setitem__("adversary", "2"),
    "radius as a decimal": lambda c: c.__setitem__("radius_decimal", "9.0"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_each_changed_field_is_a_false_claim_even_under_a_fresh_digest(name: str, tmp_path: Path) -> None:
    record = made()
    changed = copy.deepcopy(record)
    TAMPERED[name](changed)
    assert changed != record
    status, line = checked(changed, tmp_path / "c.json")
    assert status == 1 and line.startswith("false: "), line


def test_a_change_of_anything_is_seen_by_the_digest(tmp_path: Path) -> None:
    status, line = checked({**made(), "input": {**GIVEN, "index": 4}}, tmp_path / "c.json", sign=False)
    assert status == 1 and "digest" in line


def test_a_radius_off_by_what_rounding_leaves_is_found_to_a_few_units(tmp_path: Path) -> None:
    record = made()
    exact = 0.5 * -math.log(2 * (1 - float.fromhex(record["p_lower"])))
    assert checked({**record, "radius": (exact * (1 - 1e-15)).hex()}, tmp_path / "c.json")[0] == 0
    assert checked({**record, "radius": (exact * (1 + 1e-15)).hex()}, tmp_path / "c.json")[0] == 1


def test_abstentions_claim_nothing(tmp_path: Path) -> None:
    record = made(ahead=500)
    assert record["prediction"] == -1 and checked(record, tmp_path / "c.json", sign=False)[0] == 0
    assert checked({**record, "radius": (0.1).hex()}, tmp_path / "c.json")[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        '{"format": "smoothing-radii certificate", "version": 2}',
        "[" * 100_000,
        "1" * 5000,
    ],
)
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    assert verdict(str(tmp_path / "c.json"))[0] == 2
    assert verdict(str(tmp_path / "missing.json"))[0] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"density": "exp(-r).__class__"},
        {"density": "open('x')"},
        {"density": "exp(-r**(9**9**9))"},
        {"density": "1+r"},
        {"density": "1/(1+r**2)"},
        {"support": "r<=2"},
        {"geometry": "linf"},
        {"dim": 10**30},
    ],
)
def test_what_it_does_not_know_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    record = made()
    status, line = checked({**record, "noise": {**record["noise"], **change}}, tmp_path / "c.json")
    assert status == 2 and "cannot" in line, line


def test_the_checker_shares_no_code_with_what_it_checks() -> None:
    text = (ROOT / "derive" / "check.py").read_text()
    found = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert found == {"__future__", "ast", "hashlib", "json", "operator", "typing", "mpmath"}
    assert len(text.splitlines()) < 200


def test_the_commands_write_and_check_a_file(called: Command, tmp_path: Path) -> None:
    from derive.cli import main

    job = (
        "--family",
        "laplace",
        "--sigma",
        "0.5",
        "--epochs",
        "1",
        "--inputs",
        "1",
        "--n",
        "1000",
        "--quiet",
    )
    assert called("certify", *job, "--out", "run").returncode == 0
    done = called("certificate", "run", "0", "--adversary", "1", "--out", "c.json")
    assert done.returncode == 0, done.stderr
    with pytest.raises(SystemExit) as ended:
        main(["check", str(tmp_path / "c.json")])
    assert ended.value.code == 0
    assert json.loads((tmp_path / "c.json").read_text())["input"]["shape"] == [1, 8, 8]
    assert called("certificate", "run", "0", "--adversary", "3", "--out", "d.json").returncode == 2
    with pytest.raises(ValueError, match="not finished"):
        certificate_file(tmp_path / "run", 5, 1, tmp_path / "d.json")
