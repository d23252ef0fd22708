"""The command that makes tables: what it writes, what it refuses, and what `regenerate` says of tables."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from derive.cli import main
from derive.spec import SpecError, find_spec, known_specs
from derive.table_check import has_witnesses
from derive.tables.build import Request, check
from derive.tables.shipped import shipped_requests, shipped_tables, table_faults
from generated import registry
from generated.special.lookup import LARGEST, SHIPPED, VARIABLE, table_file
from runtime import Noise


def test_a_table_is_made_again_byte_for_byte_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: density, cells, polynomials, file, radius."""
    file = "exp_l2_l2_d64_j=0_k=1.json"
    main(["compile", "exp_l2", "--dim", "64", "--param", "k=1", "--out", str(tmp_path), "--json"])
    (record,) = json.loads(capsys.readouterr().out)
    assert record["path"] == str(tmp_path / file) and record["bytes"] <= LARGEST
    assert [f.name for f in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_bytes() == (SHIPPED / file).read_bytes()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr("generated.special.lookup.SHIPPED", tmp_path / "none")
    module = registry.load("exp_l2")
    module._curve_l2.cache_clear()
    found = Noise("exp_l2", dim=64, scale=1.0).radius(0.99, 2)
    module._curve_l2.cache_clear()
    estimate = float(module.estimate_l2(np.array([0.99]), dim=64)[0])
    assert found == pytest.approx(estimate, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "needs the name of a density and --dim"),
        (["exp_l2"], "needs the name of a density and --dim"),
        (["nothing", "--dim", "64"], "unknown density"),
        (["laplace", "--dim", "64"], "tables are for radii by level sets"),
        (["exp_l2", "--dim", "64", "--adversary", "1"], "asked for l1"),
        (["exp_l2", "--dim", "0"], "at least 1"),
        (["exp_l2", "--dim", str(10**20)], "below 2**53"),
        (["exp_l2", "--dim", "64", "--out", "/proc/none"], "cannot write into /proc/none"),
        (["exp_l2", "--dim", "64", "--param", "k=-1"], "k must satisfy"),
        (["exp_l2", "--dim", "64", "--param", "k"], "NAME=VALUE"),
        (["exp_l2", "--dim", "64", "--param", "q=1"], "no parameter 'q'"),
        (["exp_l2", "--dim", "64", "--param", "j=64"], "(d - j)/k > 0"),
        (["exp_l2", "--shipped"], "give no name"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        main(["compile", *arguments])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and words in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_radius_without_a_table_is_an_error_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    noise = Noise("exp_l2", dim=100, scale=1.0, k=1.5, j=0.25)
    with pytest.raises(ValueError) as caught:
        noise.radius(0.9, 2)
    assert str(caught.value).endswith(
        "make it with: python -m derive compile exp_l2 --dim 100 --param j=0.25 --param k=1.5 --adversary 2"
    )


def test_the_command_radius_needs_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    main(
        ["radius", "exp_l2", "--adversary", "2", "--dim", "100", "--param", "k=1.5", "--rho", "0.9", "--json"]
    )
    answer = json.loads(capsys.readouterr().out)
    assert answer["compile"].startswith("python -m derive compile exp_l2 --dim 100")
    assert float(answer["lower"]) * (1 - 1e-12) <= answer["radius"] <= float(answer["lower"])


def test_members_with_independent_coordinates_are_composed() -> None:
    """exp(-‖x‖₁) is Laplace noise: where its module looks for a table, one can be made."""
    check(Request(find_spec("exp_l1"), "inf", 784, {"k": sp.Integer(1)}))
    with pytest.raises(SpecError, match="asked for linf"):
        check(Request(find_spec("exp_l1"), "inf", 784, {"k": sp.Integer(2)}))


def test_a_table_without_witnesses_is_named_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = {"format": 1, "method": "composition", "support": "", "witnesses": []}
    head = json.dumps(entries)[:-1] + ", "
    path = tmp_path / "composed.json"
    path.write_text(head + f'"hash": "{hashlib.sha256(head.encode()).hexdigest()}"\n}}\n')
    assert not has_witnesses(path)
    with pytest.raises(SystemExit) as caught:
        main(["verify", "--witnesses", str(path)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no witnesses in it; check it by compiling it again" in error


def test_modules_list_exactly_the_shipped_files() -> None:
    listed: dict[str, str] = {}
    for name, spec in known_specs().items():
        module = registry.load(name)
        tables = {**getattr(module, "TABLES", {}), **getattr(module, "SHARPER_TABLES", {})}
        assert tables == shipped_tables(SHIPPED, spec)
        listed |= tables
    assert set(listed) == {path.name for path in SHIPPED.glob("*.json")}
    assert all(path.stat().st_size <= LARGEST for path in SHIPPED.glob("*.json"))
    assert table_faults(SHIPPED, known_specs()) == []


def test_what_is_shipped_is_on_the_list() -> None:
    requested = {
        table_file(r.spec.name, r.adversary, r.dim, {k: float(v) for k, v in r.parameters.items()})
        for r in shipped_requests()
    }
    assert {path.name for path in SHIPPED.glob("*.json")} <= requested


def test_faults_of_a_folder_of_tables(tmp_path: Path) -> None:
    name = "exp_l2_l2_d3072_j=0_k=1.json"
    good = tmp_path / name
    shutil.copy(SHIPPED / name, good)
    specs = {"exp_l2": find_spec("exp_l2")}
    assert table_faults(tmp_path, specs) == []
    assert shipped_tables(tmp_path, specs["exp_l2"]) == {name: hashlib.sha256(good.read_bytes()).hexdigest()}
    assert "which is gone" in table_faults(tmp_path, {})[0]
    good.rename(tmp_path / "exp_l2_l2_d3072_j=0_k=2.json")
    assert "its name should be" in table_faults(tmp_path, specs)[0]
    assert shipped_tables(tmp_path, specs["exp_l2"]) == {}
    (tmp_path / "exp_l2_l2_d3072_j=0_k=2.json").write_bytes((SHIPPED / name).read_bytes()[:-200])
    assert "SHA-256" in table_faults(tmp_path, specs)[0]
