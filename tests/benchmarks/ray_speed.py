"""One and two one-thread workers of Ray on this machine: votes a second, and the same counts."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.checkpoint import save_checkpoint
from runtime.cluster.messages import Answer, Group
from runtime.cluster.ray_cluster import RaySlot, Relay, ray_counting, ray_module
from runtime.engine import certify_job, prepare
from runtime.job import job_from
from runtime.models import build_model
from runtime.rng import Stretch
from runtime.sampling import Votes
from runtime.store import RunStore
from tests.benchmarks.kills import recorded
from tests.benchmarks.ray_kills import workers_of


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


@dataclass(frozen=True)
class Speed:
    """Votes a second of all workers together, and votes a processor second of one."""

    wall: float
    processor: float


def _processor() -> float:
    """Processor seconds of this program's workers so far."""
    fields = [
        Path(f"/proc/{worker}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        for worker in workers_of(os.getpid())
    ]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def speeds(folder: Path) -> tuple[Speed, Speed, bool]:
    """One worker and two, between the first input finished and the last; whether their counts agree."""
    prepared = prepare(job_from(_job(folder), "speed"))

    def speed(workers: int) -> Speed:
        times: list[tuple[float, float]] = []
        with (
            ray_counting("local", workers, prepared.device, print) as counting,
            RunStore(folder / f"workers-{workers}", prepared.config, prepared.plans) as store,
        ):
            certify_job(
                prepared,
                store,
                lambda line: None,
                lambda run: times.append((time.monotonic(), _processor())),
                None,
                counting,
            )
        votes = (len(times) - 1) * 20_100
        (begin, before), (end, after) = times[0], times[-1]
        return Speed(votes / (end - begin), votes / (after - before))

    one, two = speed(1), speed(2)
    return one, two, recorded(folder / "workers-1") == recorded(folder / "workers-2")


class Echo:
    """Answers a group without counting."""

    def count(self, group: Group) -> list[Answer]:
        return [Answer(Votes((stretch.votes,), 0)) for stretch in group.stretches]


def messages(dims: Sequence[int], number: int = 300) -> list[float]:
    """Processor seconds of the driver for one group of one stretch and its answer, by coordinates of the input."""
    ray = ray_module()
    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=100 * 2**20)
    try:
        actor = ray.remote(Echo).options(num_cpus=1).remote()
        slot = RaySlot(actor, Relay())
        found = []
        for dim in dims:
            group = Group((Stretch(1, 1, "estimation", 0, 16_384),), {1: torch.zeros(dim).numpy()})
            slot.count(group).result(timeout=120)
            begin = time.process_time()
            for _ in range(number):
                slot.count(group).result(timeout=60)
            found.append((time.process_time() - begin) / number)
        return found
    finally:
        ray.shutdown()
