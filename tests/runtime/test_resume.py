"""A job that is killed, interrupted or batched otherwise ends with the counts of an undisturbed one."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.checkpoint import save_checkpoint
from runtime.models import build_model
from runtime.store import DATABASE, load_runs
from tests.runtime.conftest import Command, environment

Chunks = list[tuple[object, ...]]


@pytest.fixture
def job(tmp_path: Path) -> list[str]:
    """A job of many small transactions: 2 runs × 30 inputs × 41 chunks."""
    network = build_model("mlp", (1, 8, 8), 10, seed=2)
    save_checkpoint(tmp_path / "net.pt", network, architecture="mlp", shape=(1, 8, 8), num_classes=10)
    flags = "--family laplace --sigma 0.25 --sigma 0.5 --n 2560 --chunk 64 --inputs 30 --device cpu"
    return [*flags.split(), "--checkpoint", "net.pt", "--quiet"]


def chunks(folder: Path) -> Chunks:
    connection = sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True, timeout=30)
    try:
        query = "SELECT run, input, purpose, start, n, failed, counts FROM chunk ORDER BY 1, 2, 3, 4"
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def disturbed(tmp_path: Path, job: list[str], blow: signal.Signals) -> tuple[int, str]:
    """Starts the job in `broken`, strikes in the middle, returns exit status and stderr."""
    folder = tmp_path / "broken"
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime", "certify", *job, "--out", str(folder)],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "run.json").exists() and len(chunks(folder)) >= 100:
            break
        time.sleep(0.01)
    os.kill(process.pid, blow)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_disturbed_job_resumes_to_the_same_counts(
    blow: signal.Signals, tmp_path: Path, job: list[str], command: Command
) -> None:
    status, errors = disturbed(tmp_path, job, blow)
    folder = tmp_path / "broken"
    before = chunks(folder)
    assert 100 <= len(before) < 2 * 30 * 42
    assert not all(run.complete for run in load_runs(folder))
    if blow == signal.SIGINT:
        assert status == 130
        assert f"python -m runtime resume {folder}" in errors.splitlines()[-1]
    else:
        assert status == -signal.SIGKILL
    resumed = command("resume", "broken", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    whole = command("certify", *job, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    assert chunks(folder) == chunks(tmp_path / "whole")
    assert set(before) <= set(chunks(folder))
    assert all(run.complete for run in load_runs(folder))


def totals(folder: Path) -> list[tuple[object, ...]]:
    return [
        (run.name, result.index, result.counts, result.failed, result.prediction, result.p_lower)
        for run in load_runs(folder)
        for result in run.inputs
    ]


def test_batch_and_chunk_sizes_change_no_count(tmp_path: Path, job: list[str], command: Command) -> None:
    for name, sizes in {
        "small": "--batch-size 64 --chunk 256",
        "large": "--batch-size 1024 --chunk 4096",
    }.items():
        done = command("certify", *job, *sizes.split(), "--inputs", "4", "--out", name)
        assert done.returncode == 0, done.stderr
    assert totals(tmp_path / "small") == totals(tmp_path / "large")
    assert len(totals(tmp_path / "small")) == 8
