"""A job on a Ray cluster of this machine whose workers and driver are killed: SIGKILL, resumption, the counts of an undisturbed job."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from tests.benchmarks.kills import certify, job_in, recorded

ROOT = Path(__file__).resolve().parents[2]
_TITLE = b"ray::Worker"


@dataclass(frozen=True)
class RayKilled:
    """What came of it: kills of workers and drivers, seconds, and whether the counts are those without Ray and kills."""

    workers: int
    drivers: int
    seconds: float
    equal: bool


def ray_job_in(folder: Path, n: int, inputs: int = 10) -> dict[str, Any]:
    """A job of many chunks over inputs and a network that are written to `folder`."""
    values = job_in(folder, inputs, targets=False)
    values["certify"].update(n=n, chunk=256)
    return values


def children_of(process: int) -> list[int]:
    """Descendants of a process."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(path.name))
    found, waiting = [], [process]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def workers_of(process: int) -> list[int]:
    """Processes of Ray below `process` that count votes."""
    found = []
    for child in children_of(process):
        try:
            if Path(f"/proc/{child}/cmdline").read_bytes().startswith(_TITLE):
                found.append(child)
        except OSError:
            continue
    return found


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "runtime", *arguments]


def started(arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """The process of a command, what it says goes to driver.log."""
    path = os.pathsep.join([str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with (folder / "driver.log").open("ab") as log:
        return subprocess.Popen(
            arguments, cwd=folder, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=log
        )


def killed_on_ray(
    folder: Path, seed: int, *, workers: int, drivers: int, n: int, longest: float = 3.0, limit: float = 900.0
) -> RayKilled:
    """Runs one job with two workers, kills some of them at random, and the driver now and then; resumes until it is finished.

    Args:
        folder: an empty folder for inputs, network and runs.
        seed: of the moments of the kills.
        workers, drivers: numbers of kills; a driver is killed after every workers/(drivers + 1) kills of workers.
        n: votes an input.
        longest: seconds between two kills, at most.
        limit: seconds for all of it.
    """
    chance = random.Random(seed)
    values = ray_job_in(folder, n)
    certify(folder / "whole", values)
    (folder / "job.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    cluster = ["--ray", "local", "--ray-workers", "2", "--quiet"]
    first = command("certify", "--job", str(folder / "job.toml"), "--out", str(folder / "run"), *cluster)
    again = command("resume", str(folder / "run"), *cluster)
    begin = time.monotonic()
    killed = gone = 0
    driver = started(first, folder)
    while driver.poll() is None and time.monotonic() - begin < limit:
        time.sleep(longest * chance.random())
        due = gone < drivers and killed >= (gone + 1) * workers // (drivers + 1)
        there = workers_of(driver.pid)
        if due and there:
            below = children_of(driver.pid)
            driver.kill()
            driver.wait()
            gone += 1
            _end(below)
            driver = started(again, folder)
        elif killed < workers and there and recorded(folder / "run")[0]:
            _kill(chance.choice(there))
            killed += 1
    seconds = time.monotonic() - begin
    if driver.poll() is None:
        below = children_of(driver.pid)
        driver.kill()
        driver.wait()
        _end(below)
    return RayKilled(killed, gone, seconds, recorded(folder / "whole") == recorded(folder / "run"))


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _end(processes: list[int]) -> None:
    """Ends what a killed driver left behind, where it does not end by itself."""
    time.sleep(1.0)
    for process in processes:
        _kill(process)
