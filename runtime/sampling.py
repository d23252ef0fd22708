"""Votes: how often a classifier names each class under noise.

Noise is drawn in blocks of 64 votes (see `runtime.rng`), blocks are gathered into batches, and only the
counts leave the device. On the CPU the network runs on one whole block at a time: matrix kernels may round
the last bit of a logit differently for another batch shape, so a fixed shape is what makes counts
independent of the batch size, bit for bit. On accelerators the network runs on whole batches for speed;
there the noise is still identical for every batch size, while near-ties of logits may fall differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import torch

from runtime.fixed import Model, fixed_function, out_of_memory, winners
from runtime.grid import GridNoise, numerators
from runtime.noise import Noise
from runtime.rng import BLOCK, block_generator


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
    grid: GridNoise | None = None,
) -> Votes:
    """Counts the votes start … stop-1 of one input.

    Guarantee: on one machine the counts depend on the arguments up to `stop` and on `grid` only; counts of adjoining
    ranges add up to those of the whole range. Memory is bounded by `batch_size`, whatever the number of votes; where the
    device has too little, the network runs on smaller parts of the same votes.

    Args:
        model: maps [b, *x.shape] to logits [b, num_classes]; it is run as a fixed function (`runtime.fixed`).
        x: one input, float32 or float64, any shape with noise.dim coordinates; with a grid, on it.
        noise: the noise to add, drawn and added in the type of `x`; the model gets the sum in its own type.
        num_classes: number of classes.
        seed, index, purpose: identity of the noise, see `runtime.rng.block_key`.
        start: first vote, a multiple of 64.
        stop: one past the last vote.
        batch_size: votes on the device at a time, rounded down to whole blocks of 64, at least one block.
        grid: the same noise as integers, which are added to the input's integers; None adds floats.

    Returns:
        int64 counts as Python integers. A vote with NaN or infinite logits is a failed vote, and one with a coordinate
        that the grid leaves undecided.

    Raises:
        ValueError: bad input, ranges or logits, or a device without memory for the smallest batch; the message says which.
    """
    check_input(x, noise.dim)
    if start % BLOCK or not 0 <= start < stop:
        raise ValueError(f"votes must be a range from a multiple of {BLOCK} upwards, got {start} to {stop}")
    if isinstance(batch_size, bool) or not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
    device = device_of(model, x)
    centre = x.to(device) if grid is None else numerators(x, grid.denominator).to(device)
    kind = _dtype_of(model, x)
    step = max(1, batch_size // BLOCK) * BLOCK
    rows = _rows(device, step)
    counts = torch.zeros(num_classes + 1, dtype=torch.int64, device=device)

    def classes(first: int, last: int, rows: int) -> torch.Tensor:
        noisy, sound = noisy_inputs(
            centre, noise, grid, x.dtype, seed=seed, index=index, purpose=purpose, start=first, stop=last
        )
        found = torch.cat([winners(model, part, num_classes) for part in noisy.to(kind).split(rows)])
        return found if sound is None else torch.where(sound, found, num_classes)

    with fixed_function(model, device):
        first = start
        while first < stop:
            last = min(first + step, -(-stop // BLOCK) * BLOCK)
            try:
                kept = classes(first, last, rows)[: stop - first]
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                step, rows = _smaller(error, step, rows, device)
                continue
            counts += torch.bincount(kept, minlength=num_classes + 1)
            first = last
    totals = counts.tolist()
    return Votes(tuple(totals[:-1]), totals[-1])


def _rows(device: torch.device, step: int) -> int:
    """Inputs that the network takes at a time: one block on the CPU, where the shape decides the last bits."""
    return BLOCK if device.type == "cpu" else step


def noisy_inputs(
    centre: torch.Tensor,
    noise: Noise,
    grid: GridNoise | None,
    dtype: torch.dtype,
    *,
    seed: int,
    index: int,
    purpose: str,
    start: int,
    stop: int,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The noisy copies of votes start … stop-1 (multiples of 64), and which of them count; None: all of them.

    Args:
        centre: the input on the device, [*event]: floats, or with a grid its numerators.
        dtype: type of the copies. Other arguments as in `count_votes`.

    Returns:
        [stop - start, *event], and bool [stop - start] or None.
    """
    device = centre.device
    if grid is not None:
        integers, sound = grid.integers(seed, index, purpose, start, stop, device)
        return grid.noisy(centre, integers, dtype), sound
    blocks = [
        noise.sample(
            (BLOCK, *centre.shape), block_generator(seed, index, purpose, block, device), dtype=dtype
        )
        for block in range(start // BLOCK, stop // BLOCK)
    ]
    return torch.cat(blocks).add_(centre), None


def first_votes(
    model: Model,
    x: torch.Tensor,
    noise: Noise,
    grid: GridNoise | None,
    *,
    seed: int,
    index: int,
    purpose: str,
    votes: int = BLOCK,
) -> torch.Tensor:
    """The first noisy copies of an input as the model sees them: on its device and in its type.

    Args:
        votes: how many, rounded up to whole blocks of 64. Others as in `count_votes`.
    """
    device = device_of(model, x)
    centre = x.to(device) if grid is None else numerators(x, grid.denominator).to(device)
    stop = -(-votes // BLOCK) * BLOCK
    noisy, _ = noisy_inputs(
        centre, noise, grid, x.dtype, seed=seed, index=index, purpose=purpose, start=0, stop=stop
    )
    return noisy.to(_dtype_of(model, x))


def _smaller(error: RuntimeError, step: int, rows: int, device: torch.device) -> tuple[int, int]:
    """Votes at a time and rows at a time after running out of memory; any other error is raised again."""
    if not out_of_memory(error):
        raise error
    if step > BLOCK:
        return step // 2 // BLOCK * BLOCK, min(rows, step // 2 // BLOCK * BLOCK)
    if rows > 1 and device.type != "cpu":
        return step, rows // 2
    raise ValueError(
        f"device {device} has too little memory for {rows} votes at a time, the fewest possible; "
        "free some memory, or use a smaller model or another device"
    ) from error
