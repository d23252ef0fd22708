"""One continuous batch: the votes of many inputs share the network's batches.

Stretches of votes wait in a queue; whoever counts takes as many votes as fill a batch, from one stretch or from several, so that an input
that is finished leaves no row empty while others wait. A vote's noise is its own, so its company changes nothing. On the CPU as
many threads count as there are cores, each on one thread of arithmetic; on an accelerator one thread keeps
two batches under way, so that the host prepares and reads while the device computes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

import torch

from runtime.allocator import keep_freed_memory
from runtime.rng import Stretch
from runtime.sampling import Launched, Votes, VoteSampler

Counted = tuple[Votes, float]
"""The votes of a stretch, and the seconds of one worker that they took."""


class _Ticket:
    """A stretch under way."""

    def __init__(self, stretch: Stretch, centre: torch.Tensor) -> None:
        self.stretch = stretch
        self.centre = centre
        self.next = stretch.start
        self.found: list[Votes] = []
        self.left = stretch.votes
        self.seconds = 0.0
        self.begun = False
        self.future: Future[Counted] = Future()


@dataclass(frozen=True)
class _Part:
    ticket: _Ticket
    stretch: Stretch


class BatchCounter:
    """Counts stretches of one network's votes, in batches shared between them.

    Args:
        sampler: draws the votes.
        image: the input of an index.
        workers: threads that count.

    Attributes:
        enough: votes that keep all workers busy while they are handed out.
    """

    def __init__(self, sampler: VoteSampler, image: Callable[[int], torch.Tensor], workers: int) -> None:
        self._sampler = sampler
        self._image = image
        if sampler.device.type == "cpu":
            keep_freed_memory()
        self._ahead = 0 if sampler.device.type == "cpu" else 1
        self.enough = 3 * workers * sampler.step
        self._waiting: deque[_Ticket] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> BatchCounter:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def submit(self, stretch: Stretch) -> Future[Counted]:
        """Hands a stretch out; the future gives its votes, or raises what counting it raised.

        Raises:
            ValueError: an input that cannot be certified as it stands.
        """
        ticket = _Ticket(stretch, self._sampler.centre(self._image(stretch.index)))
        with self._changed:
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket.future

    def close(self) -> None:
        """Ends the workers after the batches under way; stretches that wait are cancelled."""
        with self._changed:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for ticket in waiting:
            ticket.future.cancel()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        try:
            self._count()
        except BaseException as error:  # whoever waits for votes must hear of it
            with self._changed:
                waiting = list(self._waiting)
            for ticket in waiting:
                self._fail(ticket, error)
            raise

    def _count(self) -> None:
        if self._sampler.device.type == "cpu":
            torch.set_num_threads(1)
        flying: deque[tuple[list[_Part], Launched, float]] = deque()
        while True:
            parts = self._take(wait=not flying)
            if parts:
                begin = time.monotonic()
                launched = self._launched(parts)
                if launched is not None:
                    flying.append((parts, launched, begin))
            elif not flying and self._closed:
                return
            if flying and (not parts or len(flying) > self._ahead):
                self._settle(*flying.popleft())

    def _take(self, wait: bool) -> list[_Part]:
        """Votes for one batch, in whole shapes of the network as long as there are enough; none once closed, or where nobody waits."""
        sampler = self._sampler
        with self._changed:
            while wait and not self._waiting and not self._closed:
                self._changed.wait()
            there = sum(ticket.stretch.stop - ticket.next for ticket in self._waiting)
            shape = max(sampler.rows, sampler.unit)  # rows fall below the unit where memory is short
            room = min(sampler.step, max(there // shape * shape, min(there, shape)))
            parts: list[_Part] = []
            while room and self._waiting:
                ticket = self._waiting[0]
                if not ticket.begun and not ticket.future.set_running_or_notify_cancel():
                    self._waiting.popleft()
                    continue
                ticket.begun = True
                left = ticket.stretch.stop - ticket.next
                taken = left if left <= room else room - room % sampler.unit
                if not taken:
                    break  # it begins the next batch
                stop = ticket.next + taken
                parts.append(_Part(ticket, replace(ticket.stretch, start=ticket.next, stop=stop)))
                ticket.next = stop
                room -= taken
                if taken == left:
                    self._waiting.popleft()
            if self._waiting:
                self._changed.notify()
            return parts

    def _launched(self, parts: list[_Part]) -> Launched | None:
        """The batch, under way; after a fault each part alone, so that it strikes its own input only."""
        try:
            return self._start(parts)
        except Exception as error:
            if len(parts) == 1:
                self._fail(parts[0].ticket, error)
                return None
        for part in parts:
            begin = time.monotonic()
            alone = self._launched([part])
            if alone is not None:
                self._settle([part], alone, begin)
        return None

    def _start(self, parts: list[_Part]) -> Launched:
        return self._sampler.launch([part.stretch for part in parts], [part.ticket.centre for part in parts])

    def _settle(self, parts: list[_Part], launched: Launched, begin: float) -> None:
        try:
            found = launched.votes()
        except Exception as error:  # a fault of the device: nobody knows whose
            for part in parts:
                self._fail(part.ticket, error)
            return
        seconds = (time.monotonic() - begin) / sum(part.stretch.votes for part in parts)
        for part, votes in zip(parts, found, strict=True):
            ticket = part.ticket
            with self._changed:
                ticket.found.append(votes)
                ticket.left -= votes.n
                ticket.seconds += seconds * votes.n
                done = ticket.left == 0 and not ticket.future.done()
            if done:
                total = sum(ticket.found[1:], ticket.found[0])
                ticket.future.set_result((total, ticket.seconds))

    def _fail(self, ticket: _Ticket, error: BaseException) -> None:
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            first = not ticket.future.done()
        if first:
            ticket.future.set_exception(error)
