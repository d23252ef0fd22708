"""Real Ray on this machine: the counts of a run without it, with kills, and with an input that no worker survives."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from runtime.store import load_runs
from tests.benchmarks.kills import job_in, recorded
from tests.benchmarks.ray_kills import command, killed_on_ray
from tests.runtime.conftest import environment

pytest.importorskip("ray.actor", reason="Ray is not installed (pip install 'smoothing-radii[ray]')")
FACTORIES = "tests.runtime.cluster.deadly"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=folder, env=environment(), capture_output=True, text=True, timeout=240
    )


def test_counts_with_ray_and_kills_are_those_without(tmp_path: Path) -> None:
    found = killed_on_ray(tmp_path, 1, workers=2, drivers=1, n=20_000, longest=1.0)
    assert found.equal and found.drivers == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_target_radii_are_decided_by_the_same_counts(tmp_path: Path, workers: str) -> None:
    values = job_in(tmp_path, 10, targets=True)
    (tmp_path / "job.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    job = ["certify", "--job", "job.toml", "--quiet", "--out"]
    assert run(tmp_path, *job, "alone").returncode == 0
    done = run(tmp_path, *job, "ray", "--ray", "local", "--ray-workers", workers)
    assert done.returncode == 0, done.stderr
    assert recorded(tmp_path / "alone") == recorded(tmp_path / "ray")


def test_an_input_that_kills_each_worker_is_listed_and_the_job_finishes_the_others(tmp_path: Path) -> None:
    x = np.random.default_rng(1).integers(0, 100, (6, 1, 4, 4)) / 255.0
    x[3] = 1.0
    y = np.arange(6) % 3
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    job = [
        "certify",
        "--dataset",
        "data.npz",
        "--family",
        "gaussian",
        "--sigma",
        "0.1",
        "--n",
        "640",
        "--quiet",
    ]
    job += ["--chunk", "128", "--normalise", "none", "--ray", "local", "--model"]
    done = run(tmp_path, *job, f"{FACTORIES}:deadly", "--out", "run")
    assert done.returncode == 1, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("given up")] == [
        line for line in done.stderr.splitlines() if "given up: run gaussian-0.1, input 3: its " in line
    ]
    assert "counted alone, lost their worker 3 times" in done.stderr
    assert [result.index for result in load_runs(tmp_path / "run")[0].inputs] == [0, 1, 2, 4, 5]

    refused = run(tmp_path, *job, f"{FACTORIES}:other_each_time", "--out", "other")
    assert refused.returncode == 2 and "cannot be shipped" in refused.stderr
    assert refused.stderr.strip().splitlines()[-1].startswith("error: worker on ")


def test_too_many_workers_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    job = ["certify", "--family", "gaussian", "--sigma", "0.5", "--out", "run", "--ray", "local"]
    done = run(tmp_path, *job, "--ray-workers", str(2 * (os.cpu_count() or 1) + 1))
    assert done.returncode == 2 and "give another --ray-workers" in done.stderr
    assert not (tmp_path / "run").exists()
