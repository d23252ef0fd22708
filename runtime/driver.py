"""The driver of a run: which votes are counted next, and what is recorded, whoever counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import torch

from runtime.rng import Stretch
from runtime.sampling import Votes
from runtime.stages import cut, stage_of
from runtime.store import Chunk, RunPlan, RunStore

Advance = Callable[[str], None]
_MOST_AT_ONCE = 1024
"""Chunks a transaction."""


class VoteCounter(Protocol):
    """Whoever counts: threads of this process, or workers elsewhere."""

    enough: int
    """Votes that keep it busy while they are handed out."""

    def submit(self, stretch: Stretch) -> Future[tuple[Votes, float]]:
        """Hands a stretch out; the future gives its votes and the seconds they took."""


@dataclass
class _Open:
    """An input under way: its recorded chunks, and what is still to be counted in its present stage."""

    index: int
    chunks: dict[str, list[tuple[int, Votes]]]
    purpose: str = "selection"
    pending: deque[tuple[int, int]] = field(default_factory=deque)
    in_flight: int = 0


@dataclass(frozen=True)
class _Flight:
    """A chunk handed out."""

    item: _Open
    start: int
    votes: int
    counted: Future[tuple[Votes, float]]


class Driver:
    """The votes of one run, several inputs at a time.

    An input's next stage is known once its present one is counted; meanwhile the workers count for the inputs
    after it. Chunks are recorded in the order in which they were handed out, so that those of an input never
    leave a gap; those that are there at the same time share a transaction.

    Args:
        store: the folder, open for writing.
        plan: the run.
        counter: whoever counts.
        labels: true class by index, integers [number of inputs].
        chunk: votes a chunk at most, a multiple of 64.
    """

    def __init__(
        self, store: RunStore, plan: RunPlan, counter: VoteCounter, labels: torch.Tensor, chunk: int
    ) -> None:
        self._store = store
        self._plan = plan
        self._counter = counter
        self._labels = labels
        self._size = chunk
        self._waiting: Iterable[int] = iter(())
        self._open: list[_Open] = []
        self._chunks: list[Chunk] = []

    def count(self, indices: Iterable[int], advance: Advance) -> None:
        """Counts and records until every one of the inputs is decided.

        Args:
            advance: called with the run's name after every input that is finished.

        Raises:
            whatever counting a chunk raised, after what was counted for other inputs is recorded.
        """
        self._waiting = iter(indices)
        flying: deque[_Flight] = deque()
        under_way = 0
        while True:
            while under_way < self._counter.enough and (flight := self._launch()) is not None:
                flying.append(flight)
                under_way += flight.votes
            if not flying:
                return
            arrived = 0
            while flying and (not arrived or flying[0].counted.done()) and arrived < _MOST_AT_ONCE:
                flight = flying.popleft()
                under_way -= flight.votes
                arrived += 1
                try:
                    self._take_in(flight)
                except Exception:
                    self._keep(flying, {flight.item.index}, advance)
                    raise
            self._commit(advance)

    def _take_in(self, flight: _Flight) -> None:
        """Adds counted votes to those that the next transaction records."""
        votes, seconds = flight.counted.result()
        item, purpose = flight.item, flight.item.purpose
        item.in_flight -= 1
        item.chunks[purpose].append((flight.start, votes))
        decided = not item.pending and item.in_flight == 0 and not self._plan_stage(item)
        label = int(self._labels[item.index]) if decided else None
        self._chunks.append(Chunk(item.index, purpose, flight.start, votes, seconds, label))
        if decided:
            self._open.remove(item)

    def _commit(self, advance: Advance) -> None:
        chunks, self._chunks = self._chunks, []
        if chunks:
            self._store.record_all(self._plan.name, chunks)
        for chunk in chunks:
            if chunk.finished_label is not None:
                advance(self._plan.name)

    def _keep(self, flying: Iterable[_Flight], broken: set[int], advance: Advance) -> None:
        """After a fault: records what is being counted for other inputs, without a gap in any of them."""
        for flight in flying:
            if flight.item.index in broken or flight.counted.cancel():
                broken.add(flight.item.index)
                continue
            try:
                self._take_in(flight)
            except Exception:
                broken.add(flight.item.index)
        with suppress(ValueError):  # the first fault is the one to tell
            self._commit(advance)

    def _launch(self) -> _Flight | None:
        """Hands out the next chunk: of the earliest open input that waits for one, else of a further input."""
        item = next((item for item in self._open if item.pending), None) or self._next_input()
        if item is None:
            return None
        start, stop = item.pending.popleft()
        item.in_flight += 1
        stretch = Stretch(self._plan.seed, item.index, item.purpose, start, stop)
        return _Flight(item, start, stop - start, self._counter.submit(stretch))

    def _next_input(self) -> _Open | None:
        for index in self._waiting:
            item = _Open(index, self._store.chunks(self._plan.name, index))
            if self._plan_stage(item):
                self._open.append(item)
                return item
        return None

    def _plan_stage(self, item: _Open) -> bool:
        """Cuts what the procedure wants next into chunks; False when the input is decided."""
        try:
            wanted = stage_of(self._plan.rule, item.chunks, self._plan.num_classes).wanted
        except ValueError as error:
            raise ValueError(
                f"damaged: run {self._plan.name} in {self._store.folder}, input {item.index}: {error}; "
                "restore the folder, or certify into another one"
            ) from None
        if wanted is None:
            return False
        item.purpose, start, stop = wanted
        item.pending = deque(cut(start, stop, self._size))
        return True
