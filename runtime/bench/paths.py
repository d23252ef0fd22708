"""Three ways through one network: forward passes alone, certification, and the loop that is usually published."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from runtime.batching import BatchCounter
from runtime.bench.subject import Subject
from runtime.bench.timing import Work, fastest
from runtime.rng import Stretch
from runtime.sampling import VoteSampler

BATCHES = (32, 64, 128, 256, 512, 1024)
"""Batch sizes that the bare forward is tried with."""
PUBLISHED = 400
"""Batch of the published loop."""
_LONGEST = 1.0
"""Seconds of a forward pass after which larger batches are not tried."""


def settle(device: torch.device) -> None:
    """Waits until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def threads_of_torch(number: int) -> Iterator[None]:
    """Lets torch use so many threads for one operation inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Bare:
    """Forward passes over one noisy batch, nothing else.

    Attributes:
        subject: the network.
        device: where it runs.
        batch: inputs a pass.
        workers: threads that run passes beside each other, each with `threads` threads of torch.
        threads: of torch, within a pass.
    """

    subject: Subject
    device: torch.device
    batch: int
    workers: int
    threads: int

    def work(self, pool: ThreadPoolExecutor, passes: int) -> Work:
        """So many passes of every worker as work to be timed; its units are inputs."""
        inputs = noisy_batch(self.subject, self.batch, self.device)

        def alone() -> None:
            torch.set_num_threads(self.threads)
            with torch.inference_mode():
                for _ in range(passes):
                    self.subject.model(inputs)

        def run() -> int:
            for future in [pool.submit(alone) for _ in range(self.workers)]:
                future.result()
            settle(self.device)
            return self.workers * passes * self.batch

        return run


def noisy_batch(subject: Subject, batch: int, device: torch.device) -> torch.Tensor:
    """A batch such as votes see: the first image under the subject's noise, by a generator of its own."""
    shape = (batch, *subject.images.shape[1:])
    noise = subject.noise.sample(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    return (noise + subject.images[0]).to(device)


def best_forward(
    subject: Subject, device: torch.device, cores: int, pool: ThreadPoolExecutor
) -> tuple[Bare, float]:
    """The fastest bare forward and its seconds an input: one-thread workers against threads of torch, over `BATCHES`."""
    manners = [(cores, 1)] if cores == 1 or device.type != "cpu" else [(cores, 1), (1, cores)]
    if device.type != "cpu":
        manners = [(1, torch.get_num_threads())]
    found: list[tuple[float, Bare]] = []
    for workers, threads in manners:
        for batch in BATCHES:
            way = Bare(subject, device, batch, workers, threads)
            seconds = fastest(way.work(pool, 1), _LONGEST)
            found.append((seconds, way))
            if seconds * batch * workers > _LONGEST:
                break
    seconds, way = min(found, key=lambda pair: pair[0])
    return way, seconds


def certification(counter: BatchCounter, votes: int, inputs: int) -> Work:
    """Counting as a job does it, as work to be timed: votes of many inputs in one continuous batch.

    Args:
        counter: over images 0, 1, …
        votes: a call.
        inputs: that share them.
    """
    each = votes // inputs

    def run() -> int:
        futures = [counter.submit(Stretch(0, index, "estimation", 0, each)) for index in range(inputs)]
        return sum(future.result()[0].n for future in futures)

    return run


class PlainLoop:
    """The loop of published code: one input at a time, float noise by `randn_like`, votes counted on the host.

    Args:
        subject: the network, images and σ; the noise is Gaussian, whatever the subject's.
        device: where it runs.
        batch: noisy copies at a time.
        threads: of torch.

    Source: the procedure of Cohen, Rosenfeld and Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019.
    """

    def __init__(self, subject: Subject, device: torch.device, batch: int, threads: int) -> None:
        self._subject = subject
        self._device = device
        self._batch = batch
        self._threads = threads
        self._sigma = float(subject.noise.sigma)

    def counts(self, index: int, votes: int) -> npt.NDArray[np.int64]:
        """Votes of one input, int64 [classes]."""
        counts = np.zeros(self._subject.num_classes, dtype=np.int64)
        x = self._subject.images[index].to(self._device)
        left = votes
        with torch.no_grad(), threads_of_torch(self._threads):
            while left > 0:
                size = min(self._batch, left)
                left -= size
                batch = x.repeat((size, 1, 1, 1))
                noise = torch.randn_like(batch) * self._sigma
                for label in self._subject.model(batch + noise).argmax(1).cpu().numpy():
                    counts[label] += 1
        return counts

    def work(self, votes: int, inputs: int) -> Work:
        """So many votes over so many inputs, as work to be timed."""

        def run() -> int:
            for index in range(inputs):
                self.counts(index, votes // inputs)
            return votes // inputs * inputs

        return run


def best_plain_loop(subject: Subject, device: torch.device, batch: int, cores: int) -> tuple[PlainLoop, int]:
    """The published loop with all threads of torch or with one, whichever is faster here, and how many it has."""
    found = []
    for threads in sorted({1, cores}):
        loop = PlainLoop(subject, device, batch, threads)
        found.append((fastest(loop.work(batch, 1), _LONGEST), threads, loop))
    _, threads, loop = min(found, key=lambda item: item[0])
    return loop, threads


def worker_pool(workers: int) -> ThreadPoolExecutor:
    """Threads for bare forward passes; all of them exist before anything is timed."""
    pool = ThreadPoolExecutor(workers)
    barrier = threading.Barrier(workers)
    for future in [pool.submit(barrier.wait) for _ in range(workers)]:
        future.result()
    return pool


def sampler_of(subject: Subject, batch: int) -> VoteSampler:
    """What draws the votes of certification."""
    return VoteSampler(
        subject.model, subject.noise, subject.num_classes, subject.images[0], subject.grid, batch
    )
