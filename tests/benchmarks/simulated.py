"""Simulated workers for the real driver: they answer after the time that a device of a given speed would take."""

from __future__ import annotations

import heapq
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.cluster.hand_out import ClusterCounter
from runtime.cluster.messages import Answer, Greeting, Group
from runtime.driver import Driver
from runtime.job import CertifySection
from runtime.noise import Noise
from runtime.rng import Stretch
from runtime.sampling import Votes
from runtime.store import RunPlan, RunStore

CLASSES = 10
_TARGET = {"target_radii": [0.5], "target_adversary": "2"}


def plan_of(inputs: int, n: int, sequential: bool) -> RunPlan:
    """Gaussian noise at 0.5 on 16 coordinates: a fixed sample of n votes, or a sequential test of radius 0.5 with at most n."""
    noise = Noise("gaussian", 16, sigma=0.5)
    section = CertifySection.model_validate({"n": n, **(_TARGET if sequential else {})})
    rule = section.rule(noise, inputs)
    return RunPlan("gaussian-0.5", "gaussian", noise, 100, n, 0.001, 1, CLASSES, inputs, rule)


def votes_of(stretch: Stretch) -> Votes:
    """Votes whose share of class 0 is the input's own, between 0.7 and 1."""
    first = round(stretch.votes * (0.7 + 0.3 * (stretch.index * 0.6180339887 % 1.0)))
    return Votes((first, stretch.votes - first, *(0,) * (CLASSES - 2)), 0)


class Instant:
    """A counter that knows every answer: what remains is the driver and the store."""

    def __init__(self, enough: int) -> None:
        self.enough = enough

    def submit(self, stretch: Stretch) -> Future[tuple[Votes, float]]:
        future: Future[tuple[Votes, float]] = Future()
        future.set_result((votes_of(stretch), 0.0))
        return future


class Clock:
    """Settles futures at their time, on a thread of its own; a context manager."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Future[Any], Any]] = []
        self._changed = threading.Condition()
        self._number = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Clock:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def at(self, when: float, future: Future[Any], value: Any) -> None:
        """Settles the future at that time of the monotonic clock."""
        with self._changed:
            self._number += 1
            heapq.heappush(self._events, (when, self._number, future, value))
            if self._events[0][2] is future:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._events or self._events[0][0] > time.monotonic()):
                    self._changed.wait(self._events[0][0] - time.monotonic() if self._events else None)
                if self._closed:
                    return
                _, _, future, value = heapq.heappop(self._events)
            future.set_result(value)


class SimulatedSlot:
    """A worker of `speed` votes a second, at a distance of `latency` seconds (`runtime.cluster.messages.Slot`)."""

    def __init__(self, clock: Clock, speed: float, latency: float) -> None:
        self._clock, self._speed, self._latency = clock, speed, latency
        self._free = 0.0
        self.busy = 0.0

    def begin(self, shipment: Any) -> Future[Greeting]:
        future: Future[Greeting] = Future()
        future.set_result(Greeting("a simulated machine", "a simulated device"))
        return future

    def count(self, group: Group) -> Future[list[Answer]]:
        future: Future[list[Answer]] = Future()
        seconds = sum(stretch.votes for stretch in group.stretches) / self._speed
        begin = max(self._free, time.monotonic() + self._latency)
        self._free = begin + seconds
        self.busy += seconds
        answers = [Answer(votes_of(stretch), stretch.votes / self._speed) for stretch in group.stretches]
        self._clock.at(self._free + self._latency, future, answers)
        return future


@dataclass(frozen=True)
class Counted:
    """What a run of the real driver took.

    Attributes:
        inputs: finished.
        chunks, votes: recorded.
        seconds, processor: wall time, and processor time of this process.
        middle, peak: resident memory in MiB at 20% of the inputs, and the most later on.
        utilisation: share of their time for which workers counted, over the middle of the run; 1 where they take no time.
    """

    inputs: int
    chunks: int
    votes: int
    seconds: float
    processor: float
    middle: float
    peak: float
    utilisation: float


def resident() -> float:
    """Memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def driven(
    folder: Path,
    inputs: int,
    *,
    n: int,
    sequential: bool = False,
    chunk: int = 16_384,
    workers: int = 0,
    speed: float = 3000.0,
    latency: float = 0.002,
) -> Counted:
    """The real driver and store over `inputs` inputs, with so many simulated workers; 0: answers are there at once."""
    plan = plan_of(inputs, n, sequential)
    labels = torch.zeros(inputs, dtype=torch.int64)
    memory: list[float] = []
    marks: dict[int, tuple[float, float]] = {}
    done = 0
    with Clock() as clock, RunStore(folder, {"name": "simulated"}, [plan]) as store:
        slots = [SimulatedSlot(clock, speed, latency) for _ in range(workers)]

        def advance(run: str) -> None:
            nonlocal done
            done += 1
            if done % max(1, inputs // 50) == 0:
                memory.append(resident())
            if done in (inputs * 2 // 5, inputs * 4 // 5):
                marks[done] = (time.monotonic(), sum(slot.busy for slot in slots))

        begin, processor = time.monotonic(), time.process_time()
        if workers:
            x = torch.zeros(16)
            settings: dict[str, Any] = {"group": 4096, "chunk": chunk, "warn": print}
            with ClusterCounter(slots, None, lambda index: x, **settings) as counter:
                Driver(store, plan, counter, labels, chunk).count(range(inputs), advance)
        else:
            Driver(store, plan, Instant(64 * chunk), labels, chunk).count(range(inputs), advance)
        seconds, processor = time.monotonic() - begin, time.process_time() - processor
    utilisation = 1.0
    if len(marks) == 2 and workers:
        (first, busy_before), (last, busy_after) = (marks[key] for key in sorted(marks))
        utilisation = (busy_after - busy_before) / ((last - first) * workers) if last > first else 1.0
    chunks, votes = _recorded(folder)
    early = len(memory) // 5
    return Counted(
        done, chunks, votes, seconds, processor, memory[early], max(memory[early:]), min(1.0, utilisation)
    )


def _recorded(folder: Path) -> tuple[int, int]:
    import sqlite3

    from runtime.store import DATABASE

    with sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True) as database:
        chunks, votes = database.execute("SELECT count(*), sum(n) FROM chunk").fetchone()
    return int(chunks), int(votes)
