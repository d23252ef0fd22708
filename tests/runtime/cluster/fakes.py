"""Workers of this process that count, die and come back as a test says, in the place of a cluster's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from runtime.cluster.messages import Answer, Greeting, Group, WorkerLost
from runtime.rng import Stretch
from runtime.sampling import Votes

Count = Callable[[Stretch], Votes]


def made_up(stretch: Stretch) -> Votes:
    """Votes that depend on their identity alone."""
    first = (7 * stretch.index + stretch.start // 64) % (stretch.votes + 1)
    return Votes((first, stretch.votes - first, 0), 0)


class FakeSlot:
    """A slot whose worker is a thread.

    Args:
        count: the votes of a stretch.
        dies: says of each group, with the worker's number, whether it kills the worker.
        kind: of the device of each worker, by number.
        fault: of each worker, by number.
    """

    def __init__(
        self,
        count: Count = made_up,
        dies: Callable[[Group, int], bool] = lambda group, worker: False,
        kind: Callable[[int], str] = lambda worker: "one",
        fault: Callable[[int], str | None] = lambda worker: None,
    ) -> None:
        self._count, self._dies, self._kind, self._fault = count, dies, kind, fault
        self._threads = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._under_way: list[Future[list[Answer]]] = []
        self.workers = 0
        self.most_at_once = 0
        self.groups: list[Group] = []

    def begin(self, shipment: Any) -> Future[Greeting]:
        self.workers += 1
        worker = self.workers - 1
        future: Future[Greeting] = Future()
        future.set_result(Greeting(f"machine, number {worker}", self._kind(worker), self._fault(worker)))
        return future

    def count(self, group: Group) -> Future[list[Answer]]:
        future: Future[list[Answer]] = Future()
        with self._lock:
            self._under_way.append(future)
            self.most_at_once = max(self.most_at_once, len(self._under_way))
            self.groups.append(group)
        self._threads.submit(self._run, group, future, self.workers - 1)
        return future

    def _run(self, group: Group, future: Future[list[Answer]], worker: int) -> None:
        if worker != self.workers - 1:  # it died before this group came, or with it
            with self._lock:
                here = future in self._under_way
                if here:
                    self._under_way.remove(future)
            if here:
                future.set_exception(WorkerLost("killed before"))
            return
        if self._dies(group, worker):
            with self._lock:
                lost, self._under_way = self._under_way, []
            for one in lost:
                one.set_exception(WorkerLost("killed"))
            return
        answers = [self._answer(stretch) for stretch in group.stretches]
        with self._lock:
            here = future in self._under_way
            if here:
                self._under_way.remove(future)
        if here:
            future.set_result(answers)

    def _answer(self, stretch: Stretch) -> Answer:
        try:
            return Answer(self._count(stretch), 0.001)
        except ValueError as error:
            return Answer(None, fault=str(error), bad_input=True)
