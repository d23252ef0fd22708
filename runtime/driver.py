"""The driver of a run: which votes are counted next, and what is recorded, whoever counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

import torch

from runtime.rng import Stretch
from runtime.sampling import Votes
from runtime.stages import cut, stage_of
from runtime.store import Chunk, RunPlan, RunStore

Advance = Callable[[str], None]
_MOST_AT_ONCE = 1024
"""Chunks a transaction."""


class InputLost(Exception):
    """Counting an input's votes failed for good, in a way that says nothing of other inputs: they go on without it."""


class VoteCounter(Protocol):
    """Whoever counts: threads of this process, or workers elsewhere."""

    enough: int
    """Votes that keep it busy while they are handed out."""

    def submit(self, stretch: Stretch) -> Future[tuple[Votes, float]]:
        """Hands a stretch out; the future gives its votes and the seconds they took, or raises what counting raised."""


@dataclass
class _Open:
    """An input under way: its recorded chunks, what is still to be counted in its present stage, and what is being counted."""

    index: int
    chunks: dict[str, list[tuple[int, Votes]]]
    purpose: str = "selection"
    pending: deque[tuple[int, int]] = field(default_factory=deque)
    flights: deque[_Flight] = field(default_factory=deque)


@dataclass(frozen=True, eq=False)
class _Flight:
    """A chunk handed out."""

    item: _Open
    start: int
    votes: int
    counted: Future[tuple[Votes, float]]


class Driver:
    """The votes of one run, several inputs at a time.

    An input's next stage is known once its present one is counted; meanwhile the workers count for the inputs
    after it. The chunks of an input are recorded in order, so that they never leave a gap; those that are there at the same
    time share a transaction, whatever their inputs. Memory holds the inputs under way, not those that are finished.

    Args:
        store: the folder, open for writing.
        plan: the run.
        counter: whoever counts.
        labels: true class by index, integers [number of inputs].
        chunk: votes a chunk at most, a multiple of 64.

    Attributes:
        lost: inputs that were given up (`InputLost`), each with the reason; what was recorded of them before stays.
    """

    def __init__(
        self, store: RunStore, plan: RunPlan, counter: VoteCounter, labels: torch.Tensor, chunk: int
    ) -> None:
        self.lost: dict[int, str] = {}
        self._store = store
        self._plan = plan
        self._counter = counter
        self._labels = labels
        self._size = chunk
        self._waiting: Iterable[int] = iter(())
        self._open: dict[int, _Open] = {}
        self._ready: deque[_Open] = deque()  # open inputs with something to hand out
        self._landed: SimpleQueue[_Flight] = SimpleQueue()
        self._in_flight = self._under_way = 0  # chunks, votes
        self._chunks: list[Chunk] = []

    def count(self, indices: Iterable[int], advance: Advance) -> None:
        """Counts and records until every one of the inputs is decided, or lost.

        Args:
            advance: called with the run's name after every input that is finished.

        Raises:
            whatever counting a chunk raised, after what was counted for other inputs is recorded.
        """
        self._waiting = iter(indices)
        while True:
            try:
                while self._under_way < self._counter.enough and self._launch():
                    pass
                if not self._in_flight:
                    return
                for flight in self._arrived():
                    self._take_in(flight.item)
            except Exception:
                self._keep(advance)
                raise
            self._commit(advance)

    def _launch(self) -> bool:
        """Hands out the next chunk: of the earliest open input that waits for one, else of a further input."""
        while not self._ready:
            if not self._open_next():
                return False
        item = self._ready[0]
        start, stop = item.pending.popleft()
        if not item.pending:
            self._ready.popleft()
        stretch = Stretch(self._plan.seed, item.index, item.purpose, start, stop)
        flight = _Flight(item, start, stretch.votes, self._counter.submit(stretch))
        item.flights.append(flight)
        self._in_flight += 1
        self._under_way += flight.votes
        flight.counted.add_done_callback(lambda _: self._landed.put(flight))
        return True

    def _arrived(self) -> list[_Flight]:
        """Chunks that are counted; waits for the first."""
        found = [self._landed.get()]
        with suppress(Empty):
            while len(found) < _MOST_AT_ONCE:
                found.append(self._landed.get_nowait())
        self._in_flight -= len(found)
        self._under_way -= sum(flight.votes for flight in found)
        return found

    def _take_in(self, item: _Open) -> None:
        """Adds an input's counted votes, as far as they leave no gap, to those that the next transaction records."""
        while item.flights and item.flights[0].counted.done():
            flight = item.flights.popleft()
            try:
                votes, seconds = flight.counted.result()
            except InputLost as error:
                self.lost[item.index] = str(error)
                self._close(item)
                return
            except BaseException:
                self._close(item)
                raise
            purpose = item.purpose
            item.chunks[purpose].append((flight.start, votes))
            decided = not item.pending and not item.flights and not self._plan_stage(item)
            label = int(self._labels[item.index]) if decided else None
            self._chunks.append(Chunk(item.index, purpose, flight.start, votes, seconds, label))
            if decided:
                self._close(item)

    def _close(self, item: _Open) -> None:
        """Forgets an input; what is still being counted for it is not recorded."""
        self._open.pop(item.index, None)
        item.flights.clear()
        if item.pending:
            item.pending.clear()
            self._ready.remove(item)

    def _commit(self, advance: Advance) -> None:
        chunks, self._chunks = self._chunks, []
        if chunks:
            self._store.record_all(self._plan.name, chunks)
        for chunk in chunks:
            if chunk.finished_label is not None:
                advance(self._plan.name)

    def _keep(self, advance: Advance) -> None:
        """After a fault: records what is being counted for other inputs, without a gap in any of them."""
        for item in list(self._open.values()):
            for flight in list(item.flights):
                if flight.counted.cancel():
                    break
                with suppress(Exception):  # the first fault is the one to tell
                    flight.counted.result()
            with suppress(Exception):
                self._take_in(item)
        with suppress(ValueError):
            self._commit(advance)

    def _open_next(self) -> bool:
        """Opens the next input; False when there is none. One that its recorded votes decide needs nothing."""
        index = next(iter(self._waiting), None)
        if index is None:
            return False
        item = _Open(index, self._store.chunks(self._plan.name, index))
        if self._plan_stage(item):
            self._open[index] = item
        return True

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
        self._ready.append(item)
        return True
