"""A worker: one network on one device, counting the groups of stretches that it is handed."""

from __future__ import annotations

import os
import platform
import threading
from concurrent.futures import Future

import torch

from runtime.batching import BatchCounter, Counted
from runtime.cluster.messages import Answer, Greeting, Group, Shipment
from runtime.cluster.shipment import rebuilt


class Worker:
    """Counts votes of the run that it was last begun with; its methods may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counter: BatchCounter | None = None
        self._sent = threading.local()

    def begin(self, shipment: Shipment) -> Greeting:
        """Rebuilds a run's network and noise; says what it runs on, or why it cannot count."""
        name = f"{platform.node()} (process {os.getpid()})"
        try:
            with self._lock:
                if self._counter is not None:
                    self._counter.close()
                    self._counter = None
                torch.set_num_threads(1)
                sampler = rebuilt(shipment)
                self._counter = BatchCounter(sampler, lambda index: self._sent.inputs[index], 1)
        except Exception as error:
            return Greeting(name, "none", f"{type(error).__name__}: {error}")
        return Greeting(name, kind_of(sampler.device))

    def count(self, group: Group) -> list[Answer] | None:
        """The answers to a group's stretches, in their order; None from a worker that was not begun."""
        counter = self._counter
        if counter is None:
            return None
        self._sent.inputs = {index: torch.tensor(values) for index, values in group.inputs.items()}
        found: list[Answer] = []
        under_way: list[Future[Counted] | Exception] = []
        for stretch in group.stretches:
            try:
                under_way.append(counter.submit(stretch))
            except Exception as error:
                under_way.append(error)
        for future in under_way:
            try:
                if isinstance(future, Exception):
                    raise future
                found.append(Answer(*future.result()))
            except Exception as error:
                bad = isinstance(error, ValueError)
                found.append(
                    Answer(
                        None, fault=f"{error}" if bad else f"{type(error).__name__}: {error}", bad_input=bad
                    )
                )
        return found


def kind_of(device: torch.device) -> str:
    """The kind of a device: workers of one kind give one input the same votes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"a CPU with {torch.backends.cpu.get_cpu_capability()}"
