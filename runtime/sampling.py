"""Votes: how often a classifier names each class under noise.

Noise is drawn in blocks of 64 votes (see `runtime.rng`), blocks are gathered into batches, and only the
counts leave the device. On the CPU the network runs on one whole block at a time: matrix kernels may round
the last bit of a logit differently for another batch shape, so a fixed shape is what makes counts
independent of the batch size, bit for bit. On accelerators the network runs on whole batches for speed;
there the noise is still identical for every batch size, while near-ties of logits may fall differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral

import torch

from runtime.noise import Noise
from runtime.rng import BLOCK, block_generator

Model = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Votes:
    """Counts per class and failed votes; `n` is all of them. Sums of disjoint ranges are again Votes."""

    counts: tuple[int, ...]
    failed: int

    def __post_init__(self) -> None:
        if self.failed < 0 or any(count < 0 for count in self.counts):
            raise ValueError(f"counts must not be negative, got {self.counts} and {self.failed} failed")

    @property
    def n(self) -> int:
        """Number of votes cast, failed ones included."""
        return sum(self.counts) + self.failed

    def __add__(self, other: Votes) -> Votes:
        if len(self.counts) != len(other.counts):
            raise ValueError(f"votes over {len(self.counts)} and {len(other.counts)} classes cannot be added")
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Votes(counts, self.failed + other.failed)


def check_input(x: torch.Tensor, dim: int) -> None:
    """Refuses an input that cannot be certified as it stands.

    Args:
        x: one input, any shape with `dim` coordinates, float32 or float64, in the units of sigma ([0, 1]).

    Raises:
        ValueError: wrong type, dtype or size; NaN or infinite entries; a range that suggests [0, 255].
    """
    if not isinstance(x, torch.Tensor) or x.dtype not in (torch.float32, torch.float64):
        got = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise ValueError(
            f"an input must be a float32 or float64 tensor, got {got}; convert it, in [0, 1], first"
        )
    if x.numel() != dim:
        raise ValueError(f"the noise has dim = {dim}, but an input of shape {tuple(x.shape)} has {x.numel()}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("an input has NaN or infinite entries; certify finite inputs only")
    if float(x.max()) > 2.0:
        raise ValueError(
            f"an input reaches {float(x.max()):g}, which suggests the range [0, 255]; sigma is in input "
            "units: divide by 255 and keep normalisation inside the model"
        )


def device_of(model: Model, x: torch.Tensor) -> torch.device:
    """The device of the model's first parameter; that of `x` for a model without parameters."""
    if isinstance(model, torch.nn.Module):
        for parameter in model.parameters():
            return parameter.device
    return x.device


def _dtype_of(model: Model, x: torch.Tensor) -> torch.dtype:
    """Floating type of the model's first such parameter; that of `x` for a model without parameters."""
    if isinstance(model, torch.nn.Module):
        for parameter in model.parameters():
            if parameter.is_floating_point():
                return parameter.dtype
    return x.dtype


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Puts a module into eval() mode and inference_mode, and restores what was there before."""
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def _winners(model: Model, batch: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Class index per row; `num_classes` for a row with NaN or infinite logits."""
    logits = model(batch)
    if not isinstance(logits, torch.Tensor) or logits.shape != (len(batch), num_classes):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(
            f"the model must return logits of shape ({len(batch)}, {num_classes}), got {got}; "
            "set num_classes to the model's number of classes"
        )
    failed = ~torch.isfinite(logits).all(dim=1)
    return torch.where(failed, num_classes, logits.argmax(dim=1))


def count_votes(
    model: Model,
    x: torch.Tensor,
    noise: Noise,
    num_classes: int,
    *,
    seed: int,
    index: int,
    purpose: str,
    start: int,
    stop: int,
    batch_size: int = 1024,
) -> Votes:
    """Counts the votes start … stop-1 of one input.

    Guarantee: on one machine the counts depend on the arguments up to `stop` only; counts of adjoining ranges
    add up to those of the whole range. Memory is bounded by `batch_size`, whatever the number of votes.

    Args:
        model: maps [b, *x.shape] to logits [b, num_classes]; a module is run in eval() mode.
        x: one input, float32 or float64, any shape with noise.dim coordinates.
        noise: the noise to add, drawn and added in the type of `x`; the model gets the sum in its own type.
        num_classes: number of classes.
        seed, index, purpose: identity of the noise, see `runtime.rng.block_key`.
        start: first vote, a multiple of 64.
        stop: one past the last vote.
        batch_size: votes on the device at a time, rounded down to whole blocks of 64, at least one block.

    Returns:
        int64 counts as Python integers. A vote with NaN or infinite logits is a failed vote.

    Raises:
        ValueError: bad input, ranges or logits; the message says which.
    """
    check_input(x, noise.dim)
    if start % BLOCK or not 0 <= start < stop:
        raise ValueError(f"votes must be a range from a multiple of {BLOCK} upwards, got {start} to {stop}")
    if isinstance(batch_size, bool) or not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
    device = device_of(model, x)
    centre = x.to(device)
    kind = _dtype_of(model, x)
    rows = BLOCK if device.type == "cpu" else max(1, batch_size // BLOCK) * BLOCK
    step = max(1, batch_size // BLOCK) * BLOCK
    counts = torch.zeros(num_classes + 1, dtype=torch.int64, device=device)
    with evaluating(model):
        for first in range(start, stop, step):
            last = min(first + step, -(-stop // BLOCK) * BLOCK)
            blocks = [
                noise.sample(
                    (BLOCK, *x.shape), block_generator(seed, index, purpose, block, device), dtype=x.dtype
                )
                for block in range(first // BLOCK, last // BLOCK)
            ]
            noisy = torch.cat(blocks).add_(centre).to(kind)
            winners = torch.cat([_winners(model, part, num_classes) for part in noisy.split(rows)])
            kept = winners[: stop - first]
            counts += torch.bincount(kept, minlength=num_classes + 1)
    totals = counts.tolist()
    return Votes(tuple(totals[:-1]), totals[-1])
