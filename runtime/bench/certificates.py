"""Seconds and votes a certificate: the published loop, a fixed number of votes, and sequential decisions about one radius."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.batching import BatchCounter
from runtime.bench.paths import PlainLoop
from runtime.bench.subject import Subject
from runtime.checkpoint import Checkpoint
from runtime.confidence import lower_bound
from runtime.driver import Driver
from runtime.engine import prepare, vote_sampler
from runtime.job import job_from
from runtime.noise import Noise
from runtime.results import ABSTAIN
from runtime.store import RunStore, load_runs
from runtime.threads import one_thread


@dataclass(frozen=True)
class Certificates:
    """What one way of certifying took and gave.

    Attributes:
        inputs: certified one after another or together.
        seconds: by the clock, all inputs.
        processor_seconds: of all threads, all inputs.
        votes: drawn, all inputs, those that choose the class included.
        accuracy: share of inputs with the right class and a radius of at least the target.
    """

    inputs: int
    seconds: float
    processor_seconds: float
    votes: int
    accuracy: float

    @property
    def record(self) -> dict[str, float]:
        """The same per input, as JSON-ready values."""
        return {
            **asdict(self),
            "seconds_each": self.seconds / self.inputs,
            "votes_each": self.votes / self.inputs,
        }


def through_the_driver(
    job: Mapping[str, Any], network: Checkpoint, workers: int, target: float, adversary: str
) -> Certificates:
    """Certifies the inputs of a job as `certify` does, store included, in a folder that is thrown away.

    Args:
        job: values of a job with one noise at one σ.
        network: whose votes are counted, on the job's device.
        workers: that count.
        target: radius that counts as certified.
        adversary: its norm.
    """
    prepared = prepare(job_from(job, "bench"))
    plan, labels = prepared.plans[0], prepared.dataset.y_test
    model = network.model.to(prepared.device).eval()
    with tempfile.TemporaryDirectory() as folder, one_thread():
        with RunStore(Path(folder) / "run", prepared.config, prepared.plans) as store:
            store.set_network(plan.name, network.sha256, 0.0)
            sampler = vote_sampler(prepared, plan, model)
            processor, wall = time.process_time(), time.perf_counter()
            with BatchCounter(sampler, lambda index: prepared.dataset.x_test[index], workers) as counter:
                run = Driver(store, plan, counter, labels, prepared.job.certify.chunk)
                run.count(prepared.indices, lambda name: None)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
        (found,) = load_runs(Path(folder) / "run")
    shown = [
        result.prediction == int(labels[result.index]) and result.radii[adversary] >= target
        for result in found.inputs
    ]
    votes = sum(result.n + plan.rule.selection() for result in found.inputs)
    return Certificates(len(shown), wall, processor, votes, sum(shown) / len(shown))


def by_the_plain_loop(
    subject: Subject,
    loop: PlainLoop,
    labels: list[int],
    budget: tuple[int, int, float],
    target: float,
    adversary: str,
) -> Certificates:
    """Certifies the subject's images by the published loop: n0 votes choose, n bound, input by input.

    Args:
        loop: counts votes under Gaussian noise.
        labels: true classes.
        budget: n0, n and alpha.
        target, adversary: as in `through_the_driver`.
    """
    n0, n, alpha = budget
    noise = Noise("gaussian", subject.noise.dim, sigma=subject.noise.sigma)
    shown = 0
    processor, wall = time.process_time(), time.perf_counter()
    for index, label in enumerate(labels):
        chosen = int(loop.counts(index, n0).argmax())
        p_lower = lower_bound(int(loop.counts(index, n)[chosen]), n, alpha)
        prediction = chosen if p_lower > 0.5 else ABSTAIN
        shown += prediction == label and noise.radius(p_lower, adversary) >= target
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    inputs = len(labels)
    return Certificates(inputs, wall, processor, inputs * (n0 + n), shown / inputs)
