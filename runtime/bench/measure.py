"""All figures of one network, taken in one run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from runtime.allocator import keep_freed_memory
from runtime.batching import BatchCounter
from runtime.bench.certificates import by_the_plain_loop, through_the_driver
from runtime.bench.machine import peak_memory
from runtime.bench.noises import noise_alone
from runtime.bench.paths import (
    PlainLoop,
    best_forward,
    best_plain_loop,
    certification,
    sampler_of,
    worker_pool,
)
from runtime.bench.subject import Subject
from runtime.bench.timing import Work, in_turn, ratio
from runtime.engine import cores, prepare
from runtime.job import job_from
from runtime.rng import BLOCK
from runtime.threads import one_thread

Say = Callable[[str], None]
_MOST_INPUTS = 8
"""Inputs that share the batch of certification."""
_BATCH_SECONDS = 0.5
"""Longest forward pass of a batch of certification."""


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        rounds: of the comparison; figures are medians over them.
        seconds: of each way in a round, about.
        plain_batch: noisy copies that the published loop takes at a time.
        target: radius of the sequential decisions, in input units.
        adversary: its norm; None for the first that the noise is made for.
    """

    rounds: int
    seconds: float
    plain_batch: int
    target: float
    adversary: str | None

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.plain_batch < 1 or not 0.0 < self.seconds < math.inf:
            raise ValueError(
                f"rounds and the plain batch must be at least 1 and seconds positive, got {self.rounds}, "
                f"{self.plain_batch} and {self.seconds}"
            )


def measured(subject: Subject, device: torch.device, extent: Extent, say: Say) -> dict[str, Any]:
    """Forward, certification, published loop, noise and certificates of one network, as JSON-ready values.

    Args:
        subject: the network; on the CPU all ways may use all cores.
        say: called with a line before each part.
    """
    many = cores() if device.type == "cpu" else 1
    if device.type == "cpu":
        keep_freed_memory()  # for all ways, not only for the one that sets it
    say(f"{subject.name}: bare forward at batches of 32 to 1024")
    pool = worker_pool(many)
    try:
        bare, pace = best_forward(subject, device, cores(), pool)
        say(f"{subject.name}: {extent.rounds} rounds")
        forward = bare.work(pool, _passes(extent, bare.batch, bare.workers, pace))
        loop, threads = best_plain_loop(subject, device, extent.plain_batch, cores())
        found = _compared(subject, extent, many, pace, forward, loop)
    finally:
        pool.shutdown()
    found["forward"].update(batch=bare.batch, workers=bare.workers, threads=bare.threads)
    found["plain_loop"].update(batch=extent.plain_batch, workers=1, threads=threads)
    found["certification"].update(workers=many, threads=1)
    found["noise_alone"] = noise_alone(subject, device, max(3, extent.rounds))
    if subject.job is not None:
        say(f"{subject.name}: certificates")
        found["certificates"] = _certificates(subject, loop, extent, many)
    found["memory"] = peak_memory(device)
    return found


def _passes(extent: Extent, batch: int, workers: int, pace: float) -> int:
    """Passes of each worker that take about as long as asked for."""
    return max(1, round(extent.seconds / (pace * batch * workers)))


def _batch(pace: float, workers: int) -> int:
    """Votes at a time in certification: a power of two up to 1024 whose forward pass takes half a second at most."""
    most = max(64.0, _BATCH_SECONDS / (pace * workers))
    return int(min(1024, 2 ** math.floor(math.log2(most))))


def _compared(
    subject: Subject, extent: Extent, many: int, pace: float, bare: Work, loop: PlainLoop
) -> dict[str, Any]:
    """The three ways through the network in turn, and their ratios."""
    sampler = sampler_of(subject, _batch(pace, many))
    least = many * sampler.step
    votes = least * max(1, round(extent.seconds / (pace * least)))
    inputs = min(_MOST_INPUTS, votes // BLOCK)
    while len(subject.images) < inputs or votes % (inputs * BLOCK):
        inputs -= 1
    plain = max(
        extent.plain_batch, round(extent.seconds / pace / 2 / extent.plain_batch) * extent.plain_batch
    )
    with one_thread(), BatchCounter(sampler, lambda index: subject.images[index], many) as counter:
        certify = certification(counter, votes, inputs)
        ways = {"forward": bare, "certification": certify, "plain_loop": loop.work(plain, 1)}
        times = in_turn(ways, extent.rounds)
    return {
        "name": subject.name,
        "shape": list(subject.images.shape[1:]),
        "num_classes": subject.num_classes,
        "parameters": subject.parameters,
        "noise": subject.noise.spec,
        "grid": None if subject.grid is None else subject.grid.denominator,
        "fresh_weights": subject.network is None,
        **{name: {**found.record, "batch": sampler.step} for name, found in times.items()},
        "over_forward": ratio(times["certification"], times["forward"]).record,
        "over_certification": ratio(times["plain_loop"], times["certification"]).record,
    }


def _certificates(subject: Subject, loop: PlainLoop, extent: Extent, many: int) -> dict[str, Any]:
    """The published loop, a fixed n and sequential decisions over the same inputs with the same network."""
    job, network = subject.job, subject.network
    if job is None or network is None:
        raise ValueError("certificates need a network of real images")
    prepared = prepare(job_from(job, "bench"))
    certify = prepared.job.certify
    labels = prepared.dataset.y_test[list(prepared.indices)].tolist()
    adversary = extent.adversary or subject.noise.adversaries[0]
    aim = {"target_radii": [extent.target], "target_adversary": adversary}
    sequential = {**job, "certify": {**job.get("certify", {}), **aim}}
    budget = (certify.n0, certify.n, certify.alpha)
    found = {
        "fixed": through_the_driver(job, network, many, extent.target, adversary),
        "sequential": through_the_driver(sequential, network, many, extent.target, adversary),
        "plain_loop": by_the_plain_loop(subject, loop, labels, budget, extent.target, adversary),
    }
    plain = found["plain_loop"]
    return {
        "target": extent.target,
        "adversary": adversary,
        "n0": certify.n0,
        "n": certify.n,
        "alpha": certify.alpha,
        **{name: one.record for name, one in found.items()},
        "plain_over_fixed": plain.seconds / found["fixed"].seconds,
        "plain_over_sequential": plain.seconds / found["sequential"].seconds,
    }
