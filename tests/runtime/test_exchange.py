"""Runs as files: what is exported is what was certified, and published logs come back as they are."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest

from runtime.exchange import COLUMNS, export
from runtime.noise import Noise
from runtime.report.tsv import read_run
from runtime.sampling import Votes
from runtime.store import DATABASE, RunPlan, RunStore, load_runs
from tests.runtime.conftest import Command

PLANS = [
    RunPlan(f"{family}-0.5", family, Noise(family, 64, sigma=0.5), 100, 1000, 0.001, 7, 3, 3)
    for family in ("exp_linf", "gaussian")
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with RunStore(tmp_path / "run", {"name": "run"}, PLANS) as store:
        for plan in PLANS:
            for index, ahead in ((2, 990), (5, 700), (9, 480)):
                store.record(plan.name, index, "selection", 0, Votes((5, 95, 0), 0), 0.1)
                store.record(
                    plan.name,
                    index,
                    "estimation",
                    0,
                    Votes((997 - ahead, ahead, 0), 3),
                    0.25,
                    finished_label=1,
                )
    return tmp_path / "run"


def test_a_csv_file_holds_every_input_with_radii_to_the_last_bit(folder: Path, tmp_path: Path) -> None:
    assert export(folder, tmp_path / "out" / "all.csv", "csv") == 6
    rows = list(csv.DictReader((tmp_path / "out" / "all.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 6
    certified = {(run.name, str(r.index)): r for run in load_runs(folder) for r in run.inputs}
    for row in rows:
        result = certified[row["run"], row["idx"]]
        assert (int(row["predict"]), int(row["label"]), row["correct"]) == (
            result.prediction,
            1,
            "01"[result.correct],
        )
        assert json.loads(row["counts"]) == list(result.counts) and int(row["n"]) == 1000
        for norm, radius in result.radii.items():
            text = row[f"radius_l{norm}"]
            assert float(text) == radius and Decimal(text) <= Decimal(radius)
        assert float(row["p_lower"]) == result.p_lower and Decimal(row["p_lower"]) <= Decimal(result.p_lower)
    assert [row["predict"] for row in rows] == ["1", "1", "-1"] * 2


def test_a_tsv_file_holds_one_run_against_one_norm(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "gaussian-0.5.l2.tsv"
    assert export(folder, path, "tsv", "gaussian-0.5", 2) == 3
    assert path.read_text().splitlines()[0] == "idx\tlabel\tpredict\tradius\tcorrect\ttime"
    run = read_run(path)
    expected = load_runs(folder)[1].inputs
    assert [row.radius for row in run.rows] == [result.radii["2"] for result in expected]
    assert [row.prediction for row in run.rows] == [1, 1, -1]
    with pytest.raises(ValueError, match="--run gaussian-0.5 --adversary 2"):
        export(folder, tmp_path / "other.tsv", "tsv")
    with pytest.raises(ValueError, match="--run exp_linf-0.5 --adversary inf"):
        export(folder, tmp_path / "other.tsv", "tsv", "exp_linf-0.5")
    assert not (tmp_path / "other.tsv").exists()


def test_parquet_needs_pyarrow_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="pip install"):
        export(folder, tmp_path / "all.parquet", "parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_a_parquet_file_holds_the_doubles(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    assert export(folder, tmp_path / "all.parquet", "parquet") == 6
    rows = parquet.read_table(tmp_path / "all.parquet").to_pylist()
    expected = [result for run in load_runs(folder) for result in run.inputs]
    for row, result in zip(rows, expected, strict=True):
        assert tuple(row) == COLUMNS and row["radius_l1"] == result.radii["1"]
        assert MappingProxyType(
            {"1": row["radius_l1"], "2": row["radius_l2"], "inf": row["radius_linf"]}
        ) == (result.radii)


def test_bad_exports_are_one_line_and_write_nothing(folder: Path, tmp_path: Path, called: Command) -> None:
    (tmp_path / "there.csv").write_text("mine")
    before = {path.name for path in tmp_path.iterdir()}
    for arguments, word in (
        (["run", "--format", "xlsx", "--out", "x"], "tsv, csv, parquet"),
        (["run", "--format", "csv", "--out", "there.csv"], "exists already"),
        (["run", "--format", "csv", "--out", "x", "--run", "none"], "its runs: exp_linf-0.5"),
        (["run", "--format", "csv", "--out", "x", "--adversary", "2"], "all norms"),
        (["run", "--out", "x", "--adversary", "3"], "1, 2 or inf"),
        (["nowhere", "--out", "x"], "holds no run"),
        (["run"], "--out"),
    ):
        done = called("export", *arguments)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
        assert word in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / "there.csv").read_text() == "mine"


LOG = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t3\t3\t0.8\t1\t0:00:15.4\n7\t3\t-1\t0.0\t0\t0:00:15.4\n"


def test_published_logs_are_kept_as_they_are_and_reported(tmp_path: Path, called: Command) -> None:
    (tmp_path / "net_sigma_0.25.tsv").write_text(LOG)
    (tmp_path / "plain").write_text(LOG.replace("0.8", "0.3"))
    flags = "--noise gaussian --n0 100 --n 100000 --alpha 0.001".split()
    done = called("import", "net_sigma_0.25.tsv", "plain", "--out", "logs", *flags)
    assert done.returncode == 0 and done.stdout == "logs: 2 runs, 4 inputs\n", done.stderr
    assert (tmp_path / "logs" / "net_sigma_0.25.tsv").read_text() == LOG
    summary = json.loads(called("report", "logs", "--radii", "0.5", "--json").stdout)["runs"]
    assert [(run["name"], run["noise"], run["sigma"], run["n"], run["alpha"]) for run in summary] == [
        ("net_sigma_0.25", "gaussian", 0.25, 100000, 0.001),
        ("plain", "gaussian", None, 100000, 0.001),
    ]
    assert [run["certified_accuracy"]["0.5"] for run in summary] == [0.5, 0.0]
    (tmp_path / "logs" / "plain.tsv").write_text(LOG)
    changed = called("report", "logs", "--json")
    assert changed.returncode == 2 and "plain.tsv changed since it was imported" in changed.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["none.tsv", "--out", "logs"], "nothing is there"),
        (["bad.tsv", "--out", "logs"], "bad.tsv:1"),
        (["log.tsv", "log.tsv", "--out", "logs"], "log.tsv"),
        (["log.tsv", "--out", "."], "exists already"),
        (["log.tsv", "--out", "logs", "--adversary", "3"], "1, 2 or inf"),
        (["log.tsv"], "--out"),
        (["--out", "logs"], "LOGS"),
    ],
)
def test_bad_imports_are_one_line_and_write_nothing(
    arguments: list[str], word: str, tmp_path: Path, called: Command
) -> None:
    (tmp_path / "log.tsv").write_text(LOG)
    (tmp_path / "bad.tsv").write_text("idx\tlabel\n")
    done = called("import", *arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and word in done.stderr, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"log.tsv", "bad.tsv"}


def test_a_certificate_is_reproduced_and_a_changed_count_is_found(tmp_path: Path, called: Command) -> None:
    flags = "--inputs 3 --n 300 --chunk 128 --epochs 1 --architecture mlp --device cpu --quiet".split()
    noise = "--family laplace --sigma 0.5 --sigma 1".split()
    assert called("certify", *noise, *flags, "--out", "run").returncode == 0
    stored = {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.suffix == ".sqlite"}
    done = called("reproduce", "run", "1", "--run", "laplace-1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "laplace-1, input 1: 400 votes in 4 chunks, reproduced\n"
    assert {path: path.read_bytes() for path in stored} == stored
    connection = sqlite3.connect(tmp_path / "run" / DATABASE)
    with connection:
        where = "run = 'laplace-1' AND input = 1 AND purpose = 'estimation' AND start = 128"
        (text,) = connection.execute(f"SELECT counts FROM chunk WHERE {where}").fetchone()
        counts = json.loads(text)
        place = counts.index(max(counts))
        counts[place], counts[place - 1] = counts[place] - 1, counts[place - 1] + 1
        connection.execute(f"UPDATE chunk SET counts = ? WHERE {where}", (json.dumps(counts),))
    connection.close()
    found = called("reproduce", "run", "1", "--run", "laplace-1")
    assert found.returncode == 1
    first, last = found.stdout.splitlines()
    assert first.startswith(f"estimation votes 128 to 255: recorded {counts}") and "1 chunks differ" in last
    values = json.loads(called("reproduce", "run", "1", "--run", "laplace-1", "--json").stdout)
    assert not values["same"] and [item["start"] for item in values["differences"]] == [128]
    assert called("reproduce", "run", "0", "--run", "laplace-1").returncode == 0
    for arguments, word in (
        (["run", "1"], "--run: laplace-0.5, laplace-1"),
        (["run", "1", "--run", "none"], "no run 'none'"),
        (["run", "7", "--run", "laplace-1"], "not finished"),
        (["nowhere", "0"], "holds no run"),
    ):
        refused = called("reproduce", *arguments)
        assert refused.returncode == 2 and word in refused.stderr, refused.stderr
