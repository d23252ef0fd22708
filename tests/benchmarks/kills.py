"""A job killed again and again: SIGKILL at random moments, resumption, and the counts of an undisturbed job.

    python -m tests.benchmarks.kills              100 kills of a job with a fixed n, 100 of one with target radii
    python -m tests.benchmarks.kills --quick      4 kills, of smaller jobs

Each attempt is a process of its own that opens the folder, counts, records and is killed: every other one at any time
from its start on, the rest at any time while it counts. A job that finishes in between is compared, and the next one
begun.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np

from runtime.checkpoint import save_checkpoint
from runtime.engine import certify_job, prepare
from runtime.job import job_from
from runtime.models import build_model
from runtime.store import DATABASE, RunStore

Rows = list[tuple[Any, ...]]
_SHARE = 0.4
"""A kill comes within this share of the time that a whole job counts: a few of them strike each job."""


@dataclass(frozen=True)
class Killed:
    """What came of it: kills, those that struck while votes were being recorded, jobs finished, all counts equal."""

    kills: int
    in_midst: int
    jobs: int
    equal: bool


def job_in(folder: Path, inputs: int, targets: bool) -> dict[str, Any]:
    """A job of many small transactions, over inputs and a network that are written to `folder`.

    Args:
        folder: where to write them.
        inputs: inputs to certify, 1 to 10.
        targets: whether target radii are decided, by stages whose number depends on the votes.
    """
    generator = np.random.default_rng(5)
    x, y = generator.random((10, 1, 4, 4)), np.arange(10) % 3
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    network = build_model("mlp", (1, 4, 4), 3, seed=2)
    save_checkpoint(folder / "net.pt", network, architecture="mlp", shape=(1, 4, 4), num_classes=3)
    rule = {"target_radii": [0.05, 0.1, 0.2], "target_adversary": 2} if targets else {}
    return {
        "dataset": str(folder / "data.npz"),
        "device": "cpu",
        "sigmas": [0.25, 0.5],
        "noise": [{"family": "gaussian"}],
        "training": {"checkpoint": str(folder / "net.pt")},
        "certify": {"n": 640, "chunk": 64, "inputs": inputs, "batch_size": 64, **rule},
    }


def certify(folder: Path, values: dict[str, Any], begun: Connection | None = None) -> None:
    """Begins the job in `folder`, or goes on with it; says through `begun` that it now counts."""
    prepared = prepare(job_from(values, "kills"))
    with RunStore(folder, prepared.config, prepared.plans) as store:
        if begun is not None:
            begun.send(True)
        certify_job(prepared, store, lambda line: None, lambda run: None)


def recorded(folder: Path) -> tuple[Rows, Rows]:
    """Chunks and finished inputs of a folder; times left out."""
    path = folder / DATABASE
    if not path.exists():
        return [], []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        chunks = "SELECT run, input, purpose, start, n, failed, counts FROM chunk ORDER BY 1, 2, 3, 4"
        inputs = "SELECT run, input, label, selection, estimation FROM input ORDER BY 1, 2"
        return connection.execute(chunks).fetchall(), connection.execute(inputs).fetchall()
    except sqlite3.OperationalError:  # killed before the tables were there
        return [], []
    finally:
        connection.close()


class _Attempt:
    """A process that begins a job or goes on with it.

    Args:
        context: where processes start quickly: the program is imported there once.
        run: run folder.
        values: the job.
    """

    def __init__(self, context: ForkServerContext, run: Path, values: dict[str, Any]) -> None:
        self._begun, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=certify, args=(run, values, theirs))
        self._process.start()
        theirs.close()

    def counts(self) -> bool:
        """Waits until it counts; False where it ended before."""
        try:
            return bool(self._begun.recv())
        except EOFError:
            return False

    def finish(self) -> bool:
        """Waits for its end; whether it ended well."""
        self._process.join()
        return self._process.exitcode == 0

    def killed(self, delay: float) -> bool:
        """Kills it after so many seconds; False where it ended before."""
        self._process.join(timeout=delay)
        if self._process.exitcode is not None or self._process.pid is None:
            return False
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        return self._process.exitcode == -signal.SIGKILL


def killed_jobs(folder: Path, kills: int, seed: int, *, inputs: int = 10, targets: bool = False) -> Killed:
    """Runs one job undisturbed, then kills it `kills` times in all, resuming it until it is finished.

    Args:
        folder: an empty folder for inputs, network and runs.
        kills: number of SIGKILLs.
        seed: of the moments at which they strike.
        inputs, targets: as in `job_in`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["runtime.engine", "generated.gaussian"])
    values = job_in(folder, inputs, targets)
    chance = random.Random(seed)

    whole = _Attempt(context, folder / "whole", values)
    equal = whole.counts()
    begin = time.monotonic()
    equal = whole.finish() and equal
    counting = time.monotonic() - begin
    expected = recorded(folder / "whole")
    equal = equal and bool(expected[1])
    jobs = struck = in_midst = 0
    while equal and (struck < kills or jobs == 0 or (folder / f"run-{jobs}").exists()):
        run = folder / f"run-{jobs}"
        attempt = _Attempt(context, run, values)
        if struck < kills:
            if struck % 2:
                attempt.counts()
            if attempt.killed(chance.uniform(0.0, counting * _SHARE)):
                struck += 1
                chunks, _ = recorded(run)
                in_midst += 0 < len(chunks) < len(expected[0])
                equal = equal and set(chunks) <= set(expected[0])
                continue
        jobs += 1
        equal = attempt.finish() and recorded(run) == expected and equal
    return Killed(struck, in_midst, jobs, equal)


def main() -> None:
    """Prints what came of it; exit status 1 where a count differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 kills of smaller jobs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kills, inputs = (2, 2) if options.quick else (100, 10)
    for targets in (False, True):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            found = killed_jobs(Path(name), kills, options.seed, inputs=inputs, targets=targets)
        what = "target radii" if targets else "fixed n"
        verdict = "all counts equal" if found.equal else "counts DIFFER"
        print(
            f"{what}: {found.kills} kills, {found.in_midst} amid recorded votes, {found.jobs} jobs finished: {verdict} "
            f"({time.monotonic() - begin:.0f} s)",
            flush=True,
        )
        if not found.equal:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
