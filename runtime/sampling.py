"""Votes: how often a classifier names each class under noise.

A vote's noise depends on its identity alone (`runtime.rng`), so votes may be counted in any order and company. They are: the votes of
several inputs fill one batch, the network runs on it, and only counts per input leave the device. On the CPU the network always sees
batches of one shape, filled up at the end: matrix kernels may round the last bit of a logit differently for another batch
shape, so a fixed shape is what makes counts independent of the batch size, bit for bit. On accelerators the batch is as large as
asked for; there the noise is still identical for every batch size, while near-ties of logits may fall differently.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch

from runtime.fixed import Model, fixed_function, out_of_memory, winners
from runtime.grid import GridNoise, numerators
from runtime.noise import Noise
from runtime.rng import BLOCK, Stretch, gathered, sampled_blocks


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


def network_rows(dim: int) -> int:
    """Inputs that a network takes at a time on the CPU: enough to run small networks at speed, and no more than caches like."""
    return 4 * BLOCK if dim <= 256 else 2 * BLOCK if dim <= 1024 else BLOCK


class Launched:
    """Counts under way: a batch was handed to the device, which may still be at work on it."""

    def __init__(self, counts: torch.Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        self._counts = counts
        if counts.device.type == "cuda":
            self._counts = torch.empty(counts.shape, dtype=counts.dtype, pin_memory=True)
            self._counts.copy_(counts, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def votes(self) -> list[Votes]:
        """The votes of each stretch; waits for the device."""
        if self._event is not None:
            self._event.synchronize()
        return [Votes(tuple(row[:-1]), row[-1]) for row in self._counts.tolist()]


class VoteSampler:
    """Draws the votes of one network under one noise.

    Args:
        model: maps [b, *event] to logits [b, num_classes]; it is run as a fixed function (`runtime.fixed`).
        noise: the noise; the grid's, where there is one.
        num_classes: number of classes.
        x: any input: its type, shape and, for a model without parameters, device are those of all.
        grid: integer noise for inputs on its grid (float-sound); None: floats are added.
        batch_size: votes drawn at a time, rounded up to what the network takes at a time.

    Attributes:
        step: votes a batch; halved whenever the device has no memory for as many, without losing or changing a vote.
        rows: inputs that the network takes at a time.
        unit: stretches must begin at a multiple of it.

    Raises:
        ValueError: batch_size is not an integer of at least 1.
    """

    def __init__(
        self,
        model: Model,
        noise: Noise,
        num_classes: int,
        x: torch.Tensor,
        grid: GridNoise | None = None,
        batch_size: int = 1024,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, Integral) or batch_size < 1:
            raise ValueError(f"batch_size must be an integer of at least 1, got {batch_size!r}")
        self.device: torch.device = device_of(model, x)
        self._model: Model = model
        self._noise: Noise = noise
        self._classes: int = num_classes
        self._grid: GridNoise | None = grid
        self._given: torch.dtype = x.dtype
        self._kind: torch.dtype = _dtype_of(model, x)
        least = network_rows(noise.dim) if self.fixed_shape else BLOCK
        self.step: int = max(1, int(batch_size) // least) * least
        self.rows: int = least if self.fixed_shape else self.step
        self.unit: int = 1 if grid is not None and grid.enclosed else BLOCK
        self._aside: torch.cuda.Stream | None = (
            torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        )

    @property
    def fixed_shape(self) -> bool:
        """Whether the network sees batches of `rows` inputs only, filled up where there are fewer."""
        return self.device.type == "cpu"

    def centre(self, x: torch.Tensor) -> torch.Tensor:
        """An input as `launch` takes it, on the device: as floats, or with a grid its numerators.

        Raises:
            ValueError: an input that cannot be certified as it stands (`check_input`), or is off the grid.
        """
        check_input(x, self._noise.dim)
        return (x if self._grid is None else numerators(x, self._grid.denominator)).to(self.device)

    def launch(self, stretches: Sequence[Stretch], centres: Sequence[torch.Tensor]) -> Launched:
        """Starts counting one batch of `batches`.

        Args:
            stretches: which votes, at most `step` of them for speed, each from a multiple of `unit` on.
            centres: the input of each stretch, from `centre`.

        Raises:
            ValueError: logits of another shape, or a device without memory for the smallest batch.
        """
        with fixed_function(self._model, self.device):
            return Launched(self._counted(stretches, centres))

    def votes(self, stretch: Stretch, centre: torch.Tensor) -> Votes:
        """The votes of one stretch of any length; arguments and errors as of `launch`."""
        total = Votes((0,) * self._classes, 0)
        flying: deque[Launched] = deque()
        for batch in gathered([stretch], self.step, self.unit):
            flying.append(self.launch(batch, [centre]))
            if len(flying) > 1:
                total = total + flying.popleft().votes()[0]
        return sum((launched.votes()[0] for launched in flying), total)

    def _counted(self, stretches: Sequence[Stretch], centres: Sequence[torch.Tensor]) -> torch.Tensor:
        """int64 [stretches, classes + 1] on the device, the failed votes last."""
        try:
            return self._at_once(stretches, centres)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not out_of_memory(error):
                raise
            self._shrink(error)
        rows = []
        for stretch, centre in zip(stretches, centres, strict=True):
            parts = [self._counted(batch, [centre]) for batch in gathered([stretch], self.step, self.unit)]
            rows.append(torch.cat(parts).sum(dim=0, keepdim=True))
        return torch.cat(rows)

    def _at_once(self, stretches: Sequence[Stretch], centres: Sequence[torch.Tensor]) -> torch.Tensor:
        sizes = [stretch.votes for stretch in stretches]
        noisy, sound = self._noisy(stretches, centres)
        found = [winners(self._model, self._filled(part), self._classes) for part in noisy.split(self.rows)]
        classes = torch.cat(found)[: len(noisy)]
        if sound is not None:
            classes = torch.where(sound, classes, self._classes)
        width = self._classes + 1
        if self.device.type == "cpu":
            return _tallied(classes, sizes, width)
        rows = torch.arange(0, width * len(sizes), width).repeat_interleave(torch.tensor(sizes))
        counts = torch.zeros(width * len(sizes), dtype=torch.int64, device=self.device)
        places = classes + rows.to(self.device, non_blocking=True)
        return counts.scatter_add_(0, places, torch.ones_like(places)).view(len(sizes), width)

    def _noisy(
        self, stretches: Sequence[Stretch], centres: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The noisy copies [votes, *event] in the model's type, and which of them count; None: all.

        On CUDA they are made beside the network's work on the batch before: some of it waits for the host.
        """
        if self._aside is None:
            noisy, sound = noisy_inputs(stretches, centres, self._noise, self._grid, self._given)
            return noisy.to(self._kind), sound
        present = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._aside):
            noisy, sound = noisy_inputs(stretches, centres, self._noise, self._grid, self._given)
            noisy = noisy.to(self._kind)
        present.wait_stream(self._aside)
        for made in (noisy, sound):
            if made is not None:
                made.record_stream(present)
        return noisy, sound

    def _filled(self, part: torch.Tensor) -> torch.Tensor:
        """Where batches have one shape, the last rows filled up to it."""
        missing = self.rows - len(part)
        if not self.fixed_shape or not missing:
            return part
        return torch.cat((part, part[:1].expand(missing, *part.shape[1:])))

    def _shrink(self, error: RuntimeError) -> None:
        """Halves the batch after the device ran out of memory."""
        least = self.rows if self.fixed_shape else BLOCK
        if self.step > least:
            self.step = max(least, self.step // 2 // least * least)
            self.rows = min(self.rows, self.step)
        elif self.rows > 1 and not self.fixed_shape:
            self.rows //= 2
        else:
            raise ValueError(
                f"device {self.device} has too little memory for {self.rows} votes at a time, the fewest possible; "
                "free some memory, or use a smaller model or another device"
            ) from error


def _tallied(classes: torch.Tensor, sizes: Sequence[int], width: int) -> torch.Tensor:
    """How often each class occurs among the first sizes[0], the next sizes[1], … entries: int64 [sizes, width], on the CPU."""
    ends = np.cumsum(sizes)[:-1]
    counts = [np.bincount(part, minlength=width) for part in np.split(classes.numpy(), ends)]
    return torch.from_numpy(np.stack(counts))


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
        model, noise, num_classes, x, batch_size, grid: as of `VoteSampler`; x is the input, with noise.dim coordinates.
        seed: seed of the run, in [0, 2^63).
        index: index of the input.
        purpose: "selection", "estimation" or "prediction".
        start: first vote, a multiple of 64.
        stop: one past the last vote.

    Returns:
        Votes with num_classes counts; rows with NaN or infinite logits, and votes that the grid leaves undecided, are failed.

    Raises:
        ValueError: bad input, ranges or logits, or a device without memory for the smallest batch; the message says which.
    """
    if start % BLOCK or not 0 <= start < stop:
        raise ValueError(f"votes must be a range from a multiple of {BLOCK} upwards, got {start} to {stop}")
    check_input(x, noise.dim)
    sampler = VoteSampler(model, noise, num_classes, x, grid, batch_size)
    return sampler.votes(Stretch(seed, index, purpose, start, stop), sampler.centre(x))


def noisy_inputs(
    stretches: Sequence[Stretch],
    centres: Sequence[torch.Tensor],
    noise: Noise,
    grid: GridNoise | None,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The noisy copies of votes, one stretch after the other, and which of them count; None: all of them.

    Args:
        stretches: which votes; without a grid from multiples of 64 on.
        centres: for each the input on the device, [*event]: floats, or with a grid its numerators.
        dtype: type of the copies.

    Returns:
        [votes, *event], and bool [votes] or None.
    """
    event, device = centres[0].shape, centres[0].device
    sizes = [stretch.votes for stretch in stretches]
    if grid is None:
        parts = [sampled_blocks(noise.sample, stretch, event, dtype, device) for stretch in stretches]
        for part, centre in zip(parts, centres, strict=True):
            part.add_(centre)
        return torch.cat(parts), None
    totals, sound = grid.integers(stretches, device)
    for part, centre in zip(totals.split(sizes), centres, strict=True):
        part.add_(centre.reshape(1, -1))
    return grid.floats(totals, dtype).view(-1, *event), sound


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
        votes: how many. Others as in `count_votes`.
    """
    centre = VoteSampler(model, noise, 2, x, grid).centre(x)
    noisy, _ = noisy_inputs([Stretch(seed, index, purpose, 0, votes)], [centre], noise, grid, x.dtype)
    return noisy.to(_dtype_of(model, x))
