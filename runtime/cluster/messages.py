"""What driver and workers say to each other, and what a driver needs of a worker, whatever carries it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.rng import Stretch
from runtime.sampling import Votes


class WorkerLost(Exception):
    """A worker is gone before it answered.

    Args:
        text: what is known of it.
        suspicious: whether what it was counting may be the cause.
    """

    def __init__(self, text: str, suspicious: bool = True) -> None:
        super().__init__(text)
        self.suspicious = suspicious


@dataclass(frozen=True)
class Shipment:
    """All that a worker needs to draw the votes of one run; plain data, rebuilt and checked where it arrives.

    Attributes:
        run: name of the run.
        config: the job's settled configuration.
        noise: `runtime.noise.Noise.spec`.
        denominator, source: of the noise on the grid; None where floats are added to floats.
        num_classes: of the data set.
        shape, dtype: of one input; the type by its NumPy name.
        network: the bytes of the network's file; None for a factory, which is called by its name.
        suffix: end of that file's name.
        trained: whether it is a network that the job trained.
        sha256: digest of the network.
        code: `runtime.version.code_record` of the driver.
    """

    run: str
    config: Mapping[str, Any]
    noise: Mapping[str, Any]
    denominator: int | None
    source: str | None
    num_classes: int
    shape: tuple[int, int, int]
    dtype: str
    network: bytes | None
    suffix: str
    trained: bool
    sha256: str
    code: Mapping[str, str]


@dataclass(frozen=True)
class Greeting:
    """A worker's answer to a shipment.

    Attributes:
        worker: machine and process.
        kind: name of its device; workers of one job have one kind.
        fault: why it cannot count; None where it can.
    """

    worker: str
    kind: str
    fault: str | None = None


@dataclass(frozen=True)
class Group:
    """Stretches that travel together, with each input once."""

    stretches: tuple[Stretch, ...]
    inputs: Mapping[int, NDArray[np.generic]]


@dataclass(frozen=True)
class Answer:
    """The votes of a stretch and the seconds they took; or a fault, and whether it is the user's to mend."""

    votes: Votes | None
    seconds: float = 0.0
    fault: str | None = None
    bad_input: bool = False


class Slot(Protocol):
    """A place for one worker at a time: one that is lost is followed by another."""

    def begin(self, shipment: Any) -> Future[Greeting]:
        """Readies the worker; the future raises `WorkerLost` where it goes away meanwhile."""

    def count(self, group: Group) -> Future[list[Answer]]:
        """The answers in the order of the stretches; the future raises `WorkerLost` where the worker goes away."""
