"""The run folder: nothing lost, nothing overwritten, one writer."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.certificate import decide
from runtime.noise import Noise
from runtime.sampling import Votes
from runtime.store import CONFIG, DATABASE, RunPlan, RunStore, StorageFull, canonical, load_runs
from tests.runtime.conftest import environment

NOISE = Noise("exp_linf", 64, sigma=0.5)
PLAN = RunPlan("exp_linf-0.5", "exp_linf", NOISE, 100, 1000, 0.001, 7, 3, 2)
CONFIGURATION: dict[str, Any] = {"name": "trial", "certify": {"n": 1000, "alpha": 0.001}}


def fill(store: RunStore, index: int, label: int = 1) -> None:
    store.record(PLAN.name, index, "selection", 0, Votes((5, 95, 0), 0), 0.1)
    store.record(PLAN.name, index, "estimation", 0, Votes((1, 636, 0), 3), 0.2)
    store.record(PLAN.name, index, "estimation", 640, Votes((0, 360, 0), 0), 0.2, finished_label=label)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with RunStore(tmp_path / "run", CONFIGURATION, [PLAN]) as store:
        fill(store, 4)
    return tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_runs_come_back_computed_from_the_counts(folder: Path) -> None:
    (run,) = load_runs(folder)
    assert (run.name, run.group, run.family, run.dim, run.seed) == (
        PLAN.name,
        "exp_linf",
        "exp_linf",
        64,
        7,
    )
    assert run.sigma == NOISE.sigma and run.scale == NOISE.scale and run.params == NOISE.params
    assert not run.complete and run.clean_accuracy is None
    (result,) = run.inputs
    assert result.counts == (1, 996, 0) and result.failed == 3 and result.n == 1000
    expected = decide(Votes((5, 95, 0), 0), Votes((1, 996, 0), 3), 0.001)
    assert (result.prediction, result.p_lower) == expected
    assert result.radii["1"] == NOISE.radius(result.p_lower, 1) > 0.0
    assert set(run.methods) == set(result.radii) == set(NOISE.adversaries)
    assert result.seconds == pytest.approx(0.5)


def test_a_folder_is_taken_up_where_it_was_left(folder: Path) -> None:
    with RunStore(folder, CONFIGURATION, [PLAN]) as store:
        assert store.finished(PLAN.name) == {4}
        assert store.chunks(PLAN.name, 4) == {
            "selection": [(0, Votes((5, 95, 0), 0))],
            "estimation": [(0, Votes((1, 636, 0), 3)), (640, Votes((0, 360, 0), 0))],
        }
        store.set_network(PLAN.name, "ab", 0.5)
        fill(store, 9)
    with RunStore(folder, None) as store:
        assert store.config == CONFIGURATION
        assert store.network(PLAN.name) == ("ab", 0.5)
    (run,) = load_runs(folder)
    assert run.complete and [result.index for result in run.inputs] == [4, 9]
    assert json.loads((folder / CONFIG).read_text()) == CONFIGURATION


def test_a_chunk_is_recorded_whole_or_not_at_all(folder: Path) -> None:
    with RunStore(folder, None) as store:
        with pytest.raises(ValueError):
            store.record(PLAN.name, 4, "estimation", 1024, Votes((1, 0, 0), 0), 0.1, finished_label=1)
        assert [start for start, _ in store.chunks(PLAN.name, 4)["estimation"]] == [0, 640]


def test_another_configuration_is_refused_and_named(folder: Path) -> None:
    before = contents(folder)
    changed = {"name": "trial", "certify": {"n": 2000, "alpha": 0.001}}
    with pytest.raises(ValueError, match=r"another configuration.*certify\.n"):
        RunStore(folder, changed, [PLAN])
    assert contents(folder) == before


def test_a_second_writer_is_refused(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from runtime.store import RunStore\n"
        "try: RunStore(Path(sys.argv[1]), None)\n"
        "except ValueError as error: print(error); sys.exit(2)\n"
    )
    call = [sys.executable, "-c", script, str(folder)]
    with RunStore(folder, None):
        assert len(load_runs(folder)) == 1
        second = subprocess.run(call, env=environment(), capture_output=True, text=True)
        assert second.returncode == 2 and "another process" in second.stdout
    assert subprocess.run(call, env=environment()).returncode == 0


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="holds files but no run"):
        RunStore(tmp_path, CONFIGURATION, [PLAN])
    assert contents(tmp_path) == {"thesis.tex": b"mine"}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ValueError, match="is a file"):
        RunStore(tmp_path / "run", CONFIGURATION, [PLAN])


def test_resuming_nothing_is_refused(tmp_path: Path) -> None:
    for call in (lambda: RunStore(tmp_path / "none", None), lambda: load_runs(tmp_path / "none")):
        with pytest.raises(ValueError, match="holds no run"):
            call()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("damage", ["noise", "truncated", "empty", "pages"])
def test_a_damaged_store_is_refused_and_left_as_it_is(damage: str, folder: Path) -> None:
    path = folder / DATABASE
    data = path.read_bytes()
    damaged = {
        "noise": b"not a database at all" * 100,
        "truncated": data[: len(data) // 2],
        "empty": b"",
        "pages": data[:4096] + bytes(len(data) - 4096),
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged|not a run store|empty"):
        RunStore(folder, CONFIGURATION, [PLAN])
    assert path.read_bytes() == damaged
    with pytest.raises(ValueError):
        load_runs(folder)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 99", "schema version 99.*a later version"),
        ("PRAGMA user_version = 2", "schema version 2.*an earlier version"),
        ("PRAGMA application_id = 5", "another program"),
        ("UPDATE meta SET value = '{}' WHERE key = 'config'", "digest"),
    ],
)
def test_a_foreign_store_is_refused(statement: str, message: str, folder: Path) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute(statement)
    connection.commit()
    connection.close()
    for call in (lambda: RunStore(folder, CONFIGURATION, [PLAN]), lambda: load_runs(folder)):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_full_disk_is_one_clear_line_and_loses_nothing(folder: Path) -> None:
    with RunStore(folder, None) as store:
        database = store._database
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageFull, match="resume") as caught:
            for index in range(10, 2000):
                fill(store, index)
        assert "\n" not in str(caught.value)
        whole = len(store.finished(PLAN.name))
        database.execute("PRAGMA max_page_count = 1000000")
        chunks = store.chunks(PLAN.name, index)["estimation"]
        assert index not in store.finished(PLAN.name) and len(chunks) < 2
    (run,) = load_runs(folder)
    assert len(run.inputs) == whole >= 1


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("runtime.store.create", full)
    with pytest.raises(StorageFull, match="same command again"):
        RunStore(tmp_path / "run", CONFIGURATION, [PLAN])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    RunStore(tmp_path / "run", CONFIGURATION, [PLAN]).close()


def test_a_copy_on_a_read_only_disk_can_be_read(folder: Path) -> None:
    folder.chmod(0o555)
    try:
        assert len(load_runs(folder)) == 1
    finally:
        folder.chmod(0o755)


def test_the_canonical_text_ignores_order_and_refuses_nan() -> None:
    assert canonical({"b": 1, "a": [0.5]}) == canonical({"a": [0.5], "b": 1}) == '{"a":[0.5],"b":1}'
    with pytest.raises(ValueError):
        canonical({"a": float("nan")})
