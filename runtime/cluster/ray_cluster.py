"""Workers on a Ray cluster: an actor per GPU or CPU. The one file that imports Ray.

Ray starts the actors, moves the messages, notices what dies and starts it anew; which worker counts what is decided by
`runtime.cluster.hand_out`.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import torch

from runtime.cluster.hand_out import ClusterCounter
from runtime.cluster.messages import Answer, Greeting, Group, WorkerLost
from runtime.cluster.shipment import packed
from runtime.cluster.worker import Worker
from runtime.engine import Counting, PreparedJob, cores
from runtime.store import RunPlan, RunStore

ANY, AUTO, LOCAL = "", "auto", "local"
_STORE_BYTES = 100 * 2**20
_SECONDS_TO_CONNECT = 5.0
_BATCHES_A_GROUP = 4


class Relay:
    """Brings Ray's answers to this program's futures, on a thread of its own: Ray's must not be kept."""

    def __init__(self) -> None:
        self._done: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def future(self, reference: Any) -> Future[Any]:
        """The future of a Ray reference, whose faults are this program's."""
        mine: Future[Any] = Future()
        reference.future().add_done_callback(lambda done: self._done.put(lambda: _settle(mine, done)))
        return mine

    def _run(self) -> None:
        while True:
            self._done.get()()


def _settle(mine: Future[Any], done: Future[Any]) -> None:
    from ray.exceptions import RayError

    error = done.exception()
    if error is None and done.result() is None:
        mine.set_exception(WorkerLost("it was begun anew meanwhile", suspicious=False))
    elif error is None:
        mine.set_result(done.result())
    elif isinstance(error, RayError):
        mine.set_exception(WorkerLost(_cause(error)))
    else:
        mine.set_exception(error)


def _cause(error: BaseException) -> str:
    """A fault of Ray in a few words."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text.partition('is unavailable: ')[2] or text}"[:160]


class RaySlot:
    """One actor, which Ray starts anew whenever it is lost (`runtime.cluster.messages.Slot`)."""

    def __init__(self, actor: Any, relay: Relay) -> None:
        self._actor = actor
        self._relay = relay

    def begin(self, shipment: Any) -> Future[Greeting]:
        return self._relay.future(self._actor.begin.remote(shipment))

    def count(self, group: Group) -> Future[list[Answer]]:
        return self._relay.future(self._actor.count.remote(group))


def ray_module() -> Any:
    """Ray.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray

        ray.init, ray.remote  # noqa: B018  (a folder called "ray" is importable, too)
    except (ImportError, AttributeError):
        raise ValueError(
            "--ray needs Ray, which is not installed; install it: pip install 'smoothing-radii[ray]'"
        ) from None
    return ray


def _connect(ray: Any, address: str) -> None:
    common = {"logging_level": logging.ERROR, "log_to_driver": False}
    local = {
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
    }
    try:
        if address == LOCAL:
            ray.init(address="local", **local, **common)
        elif address != ANY:
            if address != AUTO:
                _reach(address)
            ray.init(address=address, **common)
        else:
            try:
                ray.init(address=AUTO, **common)
            except ConnectionError:
                ray.init(address="local", **local, **common)
    except (ConnectionError, RuntimeError, OSError) as error:
        where = f"at {address}" if address not in (ANY, AUTO) else "on this machine"
        lines = str(error).split("\n")
        raise ValueError(
            f"no Ray cluster can be reached {where} ({lines[0][:200]}); start one (ray start --head), give "
            "HOST:PORT, or --ray local for one of this machine alone"
        ) from None


def _reach(address: str) -> None:
    """Refuses an address where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ValueError(f"--ray takes auto, local or HOST:PORT of a cluster's head, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(str(error)) from None


def _number(ray: Any, resource: str, asked: int | None) -> int:
    there = int(ray.cluster_resources().get(resource, 0))
    number = there if asked is None else asked
    if not 1 <= number <= there:
        raise ValueError(
            f"{number or 1} workers need as many {resource}s, but the cluster has {there}; give another --ray-workers, "
            "or add nodes"
        )
    return number


@contextmanager
def ray_counting(
    address: str,
    workers: int | None,
    device: torch.device,
    warn: Callable[[str], None],
) -> Iterator[Counting]:
    """Starts or joins a cluster; what it gives counts the votes of one run after the other.

    Args:
        address: "auto" joins the cluster of this machine, "local" starts one here, HOST:PORT joins one elsewhere; "" joins
            one of this machine, or starts one.
        workers: number of workers; as many as there are GPUs or CPUs when None.
        device: what a worker counts on.
        warn: called with a line when a worker is lost.

    Raises:
        ValueError: Ray is not installed, no cluster at that address, or fewer devices than workers.
    """
    ray = ray_module()
    if workers is not None and workers < 1:
        raise ValueError(f"--ray-workers must be at least 1, got {workers}")
    _connect(ray, address)
    try:
        resource = "GPU" if device.type == "cuda" else "CPU"
        number = _number(ray, resource, workers)
        kind = ray.remote(Worker)
        options = {"num_cpus": 1, "num_gpus": 1 if resource == "GPU" else 0}
        relay = Relay()
        actors = [
            kind.options(**options, max_restarts=-1, max_task_retries=0, max_concurrency=4).remote()
            for _ in range(number)
        ]
        slots = [RaySlot(actor, relay) for actor in actors]

        def counting(
            prepared: PreparedJob, store: RunStore, plan: RunPlan, model: torch.nn.Module
        ) -> ClusterCounter:
            sha256, _ = store.network(plan.name)
            shipment = ray.put(packed(prepared, store.folder, plan, str(sha256)))
            step = prepared.job.certify.batch_size
            return ClusterCounter(
                slots,
                shipment,
                lambda index: prepared.dataset.x_test[index],
                group=_BATCHES_A_GROUP * step,
                chunk=prepared.job.certify.chunk,
                warn=warn,
            )

        yield counting
    finally:
        ray.shutdown()
