"""Which worker counts which stretches: the least busy one, several stretches at a time; those of a lost worker again.

A worker that goes away may have been taken away, or one of its stretches may have killed it. Stretches that were with a lost
worker are therefore counted alone from then on. One that loses its worker alone three times is given up, and with it its
input; nothing else is.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import torch

from runtime.cluster.messages import Answer, Greeting, Group, Slot, WorkerLost
from runtime.driver import InputLost
from runtime.rng import Stretch
from runtime.sampling import Votes

TRIES = 3
"""Times that a stretch may lose the worker that counts it alone."""
GROUPS = 2
"""Groups a worker has at a time: it counts one while the other travels."""


class _Ticket:
    """A stretch under way."""

    def __init__(self, stretch: Stretch) -> None:
        self.stretch = stretch
        self.future: Future[tuple[Votes, float]] = Future()
        self.running = False
        self.deaths = 0


class _Seat:
    """A slot and what is known of its present worker."""

    def __init__(self, slot: Slot, number: int) -> None:
        self.slot = slot
        self.name = f"worker {number}"
        self.generation = 0
        self.ready = False
        self.gone = False
        self.groups = 0
        self.alone = False
        self.lost_at: float | None = None


class ClusterCounter:
    """Counts stretches of one run's votes on workers of a cluster (`runtime.driver.VoteCounter`); a context manager.

    Args:
        slots: places for workers, at least one.
        shipment: what each worker is begun with: a `Shipment`, or what stands for one.
        image: the input of an index.
        group: votes that stretches are gathered up to, where several wait; a larger stretch travels alone.
        chunk: votes a stretch at most.
        warn: called with a line when a worker is lost; from any thread.
        patience: seconds to wait for the first answers of all workers, and for one that follows a lost one.
        pause: seconds between two attempts to reach it.

    Raises:
        ValueError: a worker cannot count (its reason), workers are of several kinds, or none answers.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        shipment: Any,
        image: Callable[[int], torch.Tensor],
        *,
        group: int,
        chunk: int,
        warn: Callable[[str], None],
        patience: float = 600.0,
        pause: float = 1.0,
    ) -> None:
        self.enough = len(slots) * (group + max(group, chunk))
        self._shipment = shipment
        self._image = image
        self._group = group
        self._warn = warn
        self._pause = pause
        self._patience = patience
        self._seats = [_Seat(slot, number) for number, slot in enumerate(slots)]
        self._free: OrderedDict[_Seat, None] = OrderedDict()
        self._busy: OrderedDict[_Seat, None] = OrderedDict()
        self._waiting: deque[_Ticket] = deque()
        self._suspects: deque[_Ticket] = deque()
        self._kind: str | None = None
        self._fault: str | None = None
        self._started = self._closed = False
        self._lock = threading.RLock()
        self._answered = threading.Condition(self._lock)
        for seat in self._seats:
            self._begin(seat)
        self._wait(patience)

    def __enter__(self) -> ClusterCounter:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def submit(self, stretch: Stretch) -> Future[tuple[Votes, float]]:
        """Hands a stretch out; the future gives its votes, or raises `InputLost` or what counting it raised."""
        ticket = _Ticket(stretch)
        with self._lock:
            self._waiting.append(ticket)
            if self._fault is None:
                self._hand_out()
            else:
                self._give_up(self._fault)
        return ticket.future

    def close(self) -> None:
        """Cancels what waits; workers finish what they have, and nobody listens."""
        with self._lock:
            self._closed = True
            waiting = [*self._suspects, *self._waiting]
            self._suspects.clear()
            self._waiting.clear()
        for ticket in waiting:
            ticket.future.cancel()

    def _wait(self, patience: float) -> None:
        with self._lock:
            here = self._answered.wait_for(
                lambda: self._fault is not None or all(seat.ready or seat.gone for seat in self._seats),
                patience,
            )
            self._started = True
            if self._fault is None and not any(seat.ready for seat in self._seats):
                text = "every worker went away" if here else f"none answered in {patience:g} s"
                self._fault = f"the cluster has no worker that can count: {text}; see its log"
            if self._fault is not None:
                raise ValueError(self._fault)

    def _begin(self, seat: _Seat) -> None:
        """Readies a seat's worker; the lock need not be held."""
        generation = seat.generation
        try:
            future = seat.slot.begin(self._shipment)
        except Exception as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(lambda done: self._greeted(seat, generation, done))

    def _greeted(self, seat: _Seat, generation: int, done: Future[Greeting]) -> None:
        with self._lock:
            if self._closed or seat.generation != generation:
                return
            error = None if done.cancelled() else done.exception()
            if done.cancelled() or error is not None:
                now = time.monotonic()
                seat.lost_at = now if seat.lost_at is None else seat.lost_at
                if now - seat.lost_at < self._patience:
                    timer = threading.Timer(self._pause, self._begin, (seat,))
                    timer.daemon = True
                    timer.start()
                else:
                    self._part(seat, f"no worker came in {self._patience:g} s ({error})")
            else:
                self._admit(seat, done.result())
            self._answered.notify_all()

    def _admit(self, seat: _Seat, greeting: Greeting) -> None:
        seat.name = f"worker on {greeting.worker}"
        fault = greeting.fault
        if fault is None and self._kind not in (None, greeting.kind):
            fault = (
                f"its device is {greeting.kind}, others have {self._kind}, and votes on devices of two kinds may "
                "differ; choose nodes of one kind"
            )
        if fault is None:
            self._kind = greeting.kind
            seat.ready, seat.lost_at = True, None
            self._place(seat)
            self._hand_out()
        elif self._started:
            self._part(seat, fault)
        elif self._fault is None:
            self._fault = f"{seat.name} cannot count: {fault}"

    def _part(self, seat: _Seat, reason: str) -> None:
        """Goes on without a seat."""
        seat.gone = True
        self._warn(f"{seat.name} is given up: {reason}")
        if self._started and all(other.gone for other in self._seats):
            self._fault = f"no worker is left ({reason}); mend the cluster, then resume"
            self._give_up(self._fault)

    def _give_up(self, fault: str) -> None:
        while self._suspects or self._waiting:
            ticket = (self._suspects or self._waiting).popleft()
            if ticket.running or ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(ValueError(fault))

    def _place(self, seat: _Seat) -> None:
        """Notes how busy a seat is."""
        self._free.pop(seat, None)
        self._busy.pop(seat, None)
        if seat.ready and not seat.alone and seat.groups < GROUPS:
            (self._busy if seat.groups else self._free)[seat] = None

    def _hand_out(self) -> None:
        """Gives the least busy workers what waits: suspects first, each to a worker that has nothing else."""
        while self._suspects and self._free:
            self._send(self._free.popitem(last=False)[0], [self._suspects.popleft()], alone=True)
        while self._waiting and not self._suspects and (self._free or self._busy):
            tickets = self._gathered()
            if tickets:
                self._send((self._free or self._busy).popitem(last=False)[0], tickets, alone=False)

    def _gathered(self) -> list[_Ticket]:
        found: list[_Ticket] = []
        votes = 0
        while self._waiting and (not found or votes + self._waiting[0].stretch.votes <= self._group):
            ticket = self._waiting.popleft()
            if ticket.future.set_running_or_notify_cancel():
                ticket.running = True
                found.append(ticket)
                votes += ticket.stretch.votes
        return found

    def _send(self, seat: _Seat, tickets: list[_Ticket], alone: bool) -> None:
        seat.groups += 1
        seat.alone = alone
        self._place(seat)
        generation = seat.generation
        try:
            inputs = {index: self._input(index) for index in {ticket.stretch.index for ticket in tickets}}
            future = seat.slot.count(Group(tuple(ticket.stretch for ticket in tickets), inputs))
        except Exception as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(lambda done: self._settled(seat, generation, tickets, alone, done))

    def _input(self, index: int) -> Any:
        return self._image(index).detach().cpu().contiguous().numpy()

    def _settled(
        self, seat: _Seat, generation: int, tickets: list[_Ticket], alone: bool, done: Future[list[Answer]]
    ) -> None:
        with self._lock:
            seat.groups -= 1
            if alone:
                seat.alone = False
            error = done.exception()
            if error is None:
                for ticket, answer in zip(tickets, done.result(), strict=True):
                    _give(ticket, answer)
            elif isinstance(error, WorkerLost):
                self._again(tickets, error, alone)
                if seat.generation == generation and not self._closed:
                    seat.generation += 1  # what is still under way belongs to the worker that is lost
                    seat.ready = False
                    if error.suspicious:
                        self._warn(f"{seat.name} was lost ({error}); what it was counting is counted again")
                    self._begin(seat)
            else:
                for ticket in tickets:
                    ticket.future.set_exception(error)
            self._place(seat)
            if not self._closed:
                self._hand_out()

    def _again(self, tickets: list[_Ticket], error: WorkerLost, alone: bool) -> None:
        """Hands out again what was with a lost worker, each stretch alone; gives up one that did this alone too often."""
        for ticket in tickets:
            ticket.deaths += alone and error.suspicious
            if ticket.deaths >= TRIES:
                votes = f"{ticket.stretch.purpose} votes {ticket.stretch.start} to {ticket.stretch.stop - 1}"
                text = f"its {votes}, counted alone, lost their worker {TRIES} times (the last: {error})"
                ticket.future.set_exception(InputLost(text))
            elif self._closed or self._fault is not None:
                ticket.future.set_exception(ValueError(self._fault or str(error)))
            else:
                self._suspects.append(ticket)


def _give(ticket: _Ticket, answer: Answer) -> None:
    if answer.votes is not None:
        ticket.future.set_result((answer.votes, answer.seconds))
        return
    kind = ValueError if answer.bad_input else RuntimeError
    ticket.future.set_exception(kind(answer.fault or "a worker gave no answer"))
