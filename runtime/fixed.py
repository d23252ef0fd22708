"""A model as a fixed function of its input: what is switched off while it votes, and what is measured about it.

The theory is about one function. While votes are counted a module is in eval() mode, inference mode, with torch's deterministic
algorithms, without autocast (a model that wants it asks for it in its own forward) and without cuDNN's benchmark, which picks
algorithms by the clock. What a model does beyond that is measured: whether the same batch gives the same logits twice, and
whether an input's class depends on what else is in its batch.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

Model = Callable[[torch.Tensor], torch.Tensor]
T = TypeVar("T")
_DETERMINISTIC: Any = torch.utils.deterministic
BATCH_SIZES = (1, 16, 64, 256)
"""Batch sizes that `invariance` compares by default."""


class _Settings:
    """Process-wide settings of torch, changed while at least one thread counts votes, and then restored."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: tuple[int, bool, bool] = (0, False, True)

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = (
                    torch.get_deterministic_debug_mode(),
                    torch.backends.cudnn.benchmark,
                    _DETERMINISTIC.fill_uninitialized_memory,
                )
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS alone
                # An operation without a deterministic form warns rather than raises: the repeat decides.
                # This call sets what use_deterministic_algorithms sets, without its import of the compiler (5 s).
                torch.set_deterministic_debug_mode("warn")
                # Else every result is first filled with NaN, a third of a small network's time.
                _DETERMINISTIC.fill_uninitialized_memory = False
                torch.backends.cudnn.benchmark = False
            self._users += 1

    def __exit__(self, *details: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                mode, benchmark, filled = self._before
                torch.set_deterministic_debug_mode(mode)
                _DETERMINISTIC.fill_uninitialized_memory = filled
                torch.backends.cudnn.benchmark = benchmark


_SETTINGS = _Settings()


@contextmanager
def fixed_function(model: Model, device: torch.device) -> Iterator[None]:
    """Runs `model` as the module's text says, and leaves module and settings as they were.

    Args:
        model: any callable; a torch module is put into eval() mode.
        device: where it runs.
    """
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        with _SETTINGS, torch.inference_mode(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        for module in training:
            module.training = True


def winners(model: Model, batch: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Class index per row, the lowest among equals; `num_classes` for a row with NaN or infinite logits.

    Args:
        batch: [b, *event].

    Returns:
        int64 [b].

    Raises:
        ValueError: the model returns anything but logits [b, num_classes].
    """
    logits = model(batch)
    if not isinstance(logits, torch.Tensor) or logits.shape != (len(batch), num_classes):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(
            f"the model must return logits of shape ({len(batch)}, {num_classes}), got {got}; "
            "set num_classes to the model's number of classes"
        )
    best = logits.argmax(dim=1)
    if logits.device.type == "cpu" and math.isfinite(logits.sum().item()):
        return best  # any NaN or infinite logit makes the sum one; an overflowing sum takes the longer way
    failed = ~torch.isfinite(logits).all(dim=1)
    return torch.where(failed, num_classes, best)


@dataclass(frozen=True)
class Invariance:
    """What was measured of a model on one batch.

    Attributes:
        inputs: rows compared.
        repeatable: the same batch gave the same logits twice, bit for bit.
        differing: for each batch size, how many rows got another class than in one batch of all of them.
    """

    inputs: int
    repeatable: bool
    differing: Mapping[int, int]

    @property
    def record(self) -> dict[str, object]:
        """The same as JSON-ready values."""
        differing = {str(size): rows for size, rows in self.differing.items()}
        return {"inputs": self.inputs, "repeatable": self.repeatable, "differing": differing}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Invariance:
        """What `record` holds."""
        differing = {int(size): int(rows) for size, rows in record["differing"].items()}
        return Invariance(int(record["inputs"]), bool(record["repeatable"]), differing)

    @property
    def summary(self) -> str:
        """What was measured, in one line."""
        again = "the same logits" if self.repeatable else "OTHER logits"
        sizes = ", ".join(str(size) for size in self.differing)
        moved = max(self.differing.values(), default=0)
        return f"{again} when a batch is repeated; {moved} of {self.inputs} noisy inputs change class with the batch size ({sizes})"

    @property
    def complaints(self) -> list[str]:
        """A sentence for each way in which the model was not a fixed function; empty for a model that was one."""
        found = []
        if not self.repeatable:
            found.append(
                "the model gives other logits when the same batch is repeated: certificates are about a fixed "
                "function; switch off what is random in it (dropout, sampling, non-deterministic kernels)"
            )
        moved = {size: rows for size, rows in self.differing.items() if rows}
        if moved:
            sizes = ", ".join(f"{rows} with batches of {size}" for size, rows in moved.items())
            found.append(
                f"of {self.inputs} noisy inputs some change class with the batch they are in ({sizes}): "
                "rounding at near-ties of logits, or a layer that mixes inputs (batch statistics)"
            )
        return found


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the error says that a device has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _that_fit(measure: Callable[[torch.Tensor], T], inputs: torch.Tensor) -> T:
    """What `measure` gives for the inputs; for half of them, and so on, where memory is short."""
    rows = len(inputs)
    while True:
        try:
            return measure(inputs[:rows])
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if rows == 1:
                raise ValueError(
                    f"device {inputs.device} has too little memory for the network with one input; "
                    "free some memory, or use a smaller model or another device"
                ) from error
        rows //= 2


def repeatable(model: Model, inputs: torch.Tensor) -> bool:
    """Whether one batch [b, *event] gives the same logits twice, bit for bit (NaN in the same places)."""
    with fixed_function(model, inputs.device):
        first, second = model(inputs), model(inputs)
    same = (
        isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor) and first.shape == second.shape
    )
    return same and bool(((first == second) | (first.isnan() & second.isnan())).all())


def invariance(
    model: Model, inputs: torch.Tensor, num_classes: int, batch_sizes: tuple[int, ...] = BATCH_SIZES
) -> Invariance:
    """Measures whether a model's classes depend on repetition or on the batch; on fewer inputs where memory is short.

    Args:
        model: maps [b, *event] to logits [b, num_classes].
        inputs: [n, *event], on the model's device and in its type: noisy inputs, as votes see them.
        num_classes: number of classes.
        batch_sizes: sizes compared with one batch of all n; sizes above n are left out.

    Raises:
        ValueError: no inputs, or logits of another shape.
    """
    if not len(inputs):
        raise ValueError("invariance needs at least one input, got none")

    def measure(batch: torch.Tensor) -> Invariance:
        differing = {}
        with fixed_function(model, batch.device):
            whole = winners(model, batch, num_classes)
            for size in batch_sizes:
                if size <= len(batch):
                    parts = torch.cat([winners(model, part, num_classes) for part in batch.split(size)])
                    differing[size] = int((parts != whole).sum())
        return Invariance(len(batch), repeatable(model, batch), differing)

    return _that_fit(measure, inputs)


def warn_unless_repeatable(model: Model, inputs: torch.Tensor) -> bool:
    """Repeats one batch and warns (UserWarning) when its logits differ; returns whether they agree."""
    same = _that_fit(lambda batch: repeatable(model, batch), inputs)
    if not same:
        warnings.warn(Invariance(len(inputs), False, {}).complaints[0], stacklevel=2)
    return same
