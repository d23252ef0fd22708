"""Noise alone, on one thread: what a coordinate costs, beside copying as many floats."""

from __future__ import annotations

import torch

from runtime.bench.paths import settle
from runtime.bench.subject import Subject
from runtime.bench.timing import Times, Work, in_turn
from runtime.rng import BLOCK, Stretch, sampled_blocks
from runtime.threads import one_thread

_COORDINATES = 2**20
_BYTES = 4
"""Of a float32."""


def noise_works(subject: Subject, device: torch.device) -> dict[str, Work]:
    """Drawing noise as votes get it, and a copy of a float32 tensor of the same size; units are coordinates."""
    dim, shape = subject.noise.dim, tuple(subject.images.shape[1:])
    votes = max(1, _COORDINATES // dim // BLOCK) * BLOCK
    stretch = Stretch(0, 0, "estimation", 0, votes)
    source = torch.zeros(votes * dim, device=device)
    target = torch.empty_like(source)

    def copy() -> int:
        target.copy_(source)
        settle(device)
        return votes * dim

    def floats() -> int:
        sampled_blocks(subject.noise.sample, stretch, shape, torch.float32, device)
        settle(device)
        return votes * dim

    works: dict[str, Work] = {"copy": copy, "floats": floats}
    if subject.grid is not None:
        grid = subject.grid

        def integers() -> int:
            grid.integers([stretch], device)
            settle(device)
            return votes * dim

        works["integers"] = integers
    return works


def noise_alone(subject: Subject, device: torch.device, rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds a coordinate and GB/s of float32 written, for `integers` (with a grid), `floats` and `copy`.

    On the CPU in processor time, which other work on the machine does not add to; elsewhere by the clock.
    """
    with one_thread():
        times = in_turn(noise_works(subject, device), rounds)
    return {name: _figures(found, device) for name, found in times.items()}


def _figures(found: Times, device: torch.device) -> dict[str, float]:
    record = found.record
    seconds = (record["processor_seconds"] if device.type == "cpu" else 0.0) or record["seconds"]
    return {"ns_a_coordinate": seconds * 1e9, "gigabytes_a_second": _BYTES / seconds / 1e9}
