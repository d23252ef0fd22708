"""What may happen to a run folder from outside: full disks, other programs, other code. One line, nothing lost."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import schema
from runtime.noise import Noise
from runtime.sampling import Votes
from runtime.store import DATABASE, RunPlan, RunStore, load_runs
from tests.runtime.conftest import Command, environment

PLAN = RunPlan("laplace-0.5", "laplace", Noise("laplace", 64, sigma=0.5), 100, 200, 0.001, 7, 2, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with RunStore(tmp_path / "run", {"name": "run"}, [PLAN]) as store:
        store.record(PLAN.name, 0, "selection", 0, Votes((1, 99), 0), 0.1)
        store.record(PLAN.name, 0, "estimation", 0, Votes((1, 199), 0), 0.1, finished_label=1)
    return tmp_path / "run"


def changed(folder: Path, key: str, value: str) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    with connection:
        (text,) = connection.execute("SELECT value FROM meta WHERE key = 'code'").fetchone()
        row = (json.dumps({**json.loads(text), key: value}),)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'code'", row)
    connection.close()


def test_votes_of_other_code_are_read_but_not_added_to(folder: Path) -> None:
    changed(folder, "sources", "0" * 64)
    with pytest.raises(ValueError, match="code that counts votes changed.*sources 0000.*another folder"):
        RunStore(folder, None)
    assert len(load_runs(folder)[0].inputs) == 1


def test_another_library_is_a_remark(folder: Path) -> None:
    with RunStore(folder, None) as store:
        assert store.remarks == ()
    changed(folder, "torch", "1.0")
    with RunStore(folder, None) as store:
        (remark,) = store.remarks
    assert "torch 1.0 →" in remark


def test_the_digest_of_the_code_follows_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import version

    first = version.code_record(["laplace"])
    assert first == version.code_record(["laplace", "laplace"]) and len(first["sources"]) == 64
    assert first["sources"] != version.code_record(["gaussian"])["sources"]
    version._sources_digest.cache_clear()
    monkeypatch.setattr(version, "_DECIDING", ("rng",))
    assert version.code_record(["laplace"])["sources"] != first["sources"]
    version._sources_digest.cache_clear()


def test_a_database_that_another_program_has_locked_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = sqlite3.connect
    monkeypatch.setattr(
        schema.sqlite3, "connect", lambda path, timeout, **keys: usual(path, timeout=0.1, **keys)
    )
    with RunStore(folder, None) as store:
        other = usual(folder / DATABASE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ValueError, match="locked by another program"):
            store.record(PLAN.name, 1, "selection", 0, Votes((1, 99), 0), 0.1)
        other.execute("ROLLBACK")
        other.close()
        store.record(PLAN.name, 1, "selection", 0, Votes((1, 99), 0), 0.1)


def test_a_disk_that_fills_up_costs_no_count(tmp_path: Path, called: Command) -> None:
    flags = "--family laplace --sigma 0.5 --inputs 60 --n 640 --chunk 64 --epochs 1 --architecture mlp --device cpu --quiet".split()
    assert called("train", *flags, "--out", "run").returncode == 0
    size = max(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())

    def limited() -> None:  # writes beyond this size fail, as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, size + 20_000))

    full = subprocess.run(
        [sys.executable, "-m", "runtime", "certify", *flags, "--out", "run"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=limited,
        timeout=120,
    )
    lines = full.stderr.splitlines()
    assert full.returncode == 2 and len(lines) == 1, full.stderr
    assert "cannot be written" in lines[0] and "python -m runtime resume run" in lines[0]
    assert not load_runs(tmp_path / "run")[0].complete
    assert called("resume", "run", "--quiet").returncode == 0
    assert called("certify", *flags, "--out", "whole").returncode == 0
    ended, whole = (load_runs(tmp_path / name)[0] for name in ("run", "whole"))
    assert ended.complete
    assert [(r.counts, r.failed) for r in ended.inputs] == [(r.counts, r.failed) for r in whole.inputs]
