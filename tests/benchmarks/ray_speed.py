"""One and two one-thread workers of Ray on this machine: votes a second, and the same counts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from runtime.checkpoint import save_checkpoint
from runtime.engine import certify_job, prepare
from runtime.job import job_from
from runtime.models import build_model
from runtime.store import RunStore
from tests.benchmarks.kills import recorded


def _job(folder: Path) -> dict[str, Any]:
    network = build_model("cnn", (1, 8, 8), 10, seed=2)
    save_checkpoint(folder / "cnn.pt", network, architecture="cnn", shape=(1, 8, 8), num_classes=10)
    return {
        "dataset": "digits",
        "device": "cpu",
        "sigmas": [0.5],
        "noise": [{"family": "gaussian"}],
        "training": {"checkpoint": str(folder / "cnn.pt")},
        "certify": {"n": 20_000, "inputs": 40, "chunk": 4096},
    }


def speeds(folder: Path) -> tuple[float, float, bool]:
    """Votes a second with one worker and with two, between the first and the last input finished; whether counts agree."""
    from runtime.cluster.ray_cluster import ray_counting

    prepared = prepare(job_from(_job(folder), "speed"))

    def speed(workers: int) -> float:
        times: list[float] = []
        with (
            ray_counting("local", workers, prepared.device, print) as counting,
            RunStore(folder / f"workers-{workers}", prepared.config, prepared.plans) as store,
        ):
            certify_job(
                prepared, store, lambda line: None, lambda run: times.append(time.monotonic()), None, counting
            )
        return (len(times) - 1) * 20_100 / (times[-1] - times[0])

    one, two = speed(1), speed(2)
    return one, two, recorded(folder / "workers-1") == recorded(folder / "workers-2")
