"""Times of several ways to do the same work, taken in turn, so that whatever else the machine does strikes all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], int]
"""Does some of the work and returns how many units (votes, coordinates) it was."""


@dataclass(frozen=True)
class Times:
    """Seconds a unit of work, one entry a round.

    Attributes:
        wall: by the clock.
        processor: of all threads of this process together; on a busy machine the steadier figure.
    """

    wall: tuple[float, ...]
    processor: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.wall or len(self.wall) != len(self.processor) or min(self.wall) <= 0.0:
            raise ValueError(f"times need at least one round of positive seconds, got {self.wall}")

    @property
    def record(self) -> dict[str, float]:
        """Medians, and the spread of the rounds, as JSON-ready values."""
        wall = statistics.median(self.wall)
        return {
            "per_second": 1.0 / wall,
            "seconds": wall,
            "processor_seconds": statistics.median(self.processor),
            "fastest_round": min(self.wall),
            "slowest_round": max(self.wall),
        }


@dataclass(frozen=True)
class Ratio:
    """How many times as long one way takes as another: medians of the ratios within a round."""

    wall: float
    processor: float

    @property
    def record(self) -> dict[str, float]:
        """The same as JSON-ready values."""
        return {"wall": self.wall, "processor": self.processor}


def timed(work: Work) -> tuple[float, float]:
    """Seconds a unit by the clock and of the processor, of one call."""
    processor, wall = time.process_time(), time.perf_counter()
    units = work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return wall / units, processor / units


def fastest(work: Work, enough: float, tries: int = 3) -> float:
    """Seconds a unit of the fastest of some calls after a first one; of the first alone where it takes longer than `enough`."""
    begin = time.perf_counter()
    first = timed(work)[0]
    if time.perf_counter() - begin > enough:
        return first
    return min(timed(work)[0] for _ in range(tries))


def in_turn(ways: Mapping[str, Work], rounds: int) -> dict[str, Times]:
    """Times of every way, each called once a round; every second round goes backwards.

    Args:
        ways: what is compared, by name; called once before, so that nobody pays for a first time.
        rounds: at least 1.

    Raises:
        ValueError: rounds below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    for work in ways.values():
        work()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways) if number % 2 == 0 else reversed(list(ways)):
            taken[name].append(timed(ways[name]))
    return {
        name: Times(tuple(wall for wall, _ in pairs), tuple(processor for _, processor in pairs))
        for name, pairs in taken.items()
    }


def ratio(above: Times, below: Times) -> Ratio:
    """Median over rounds of above/below, by the clock and in processor time."""
    wall = statistics.median(a / b for a, b in zip(above.wall, below.wall, strict=True))
    pairs = [(a, b) for a, b in zip(above.processor, below.processor, strict=True) if b > 0.0]
    return Ratio(wall, statistics.median(a / b for a, b in pairs) if pairs else wall)
