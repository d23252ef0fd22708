"""The identity of randomness: a vote's noise depends on what the vote is, never on when it is counted.

Noise is drawn in blocks of `BLOCK` votes. Each block has a generator of its own, decided by the run's seed,
the input's index, the purpose and the block's number. Batch size, order, interruption and resumption
therefore cannot change a single draw. Streams differ between device types (CPU and CUDA generators are
different algorithms), so the device type belongs to a run's configuration.

On the CPU the identity sets the generator's whole state, 624 words by SHAKE-256: torch's CPU generator
(MT19937) keeps only 32 bits of a seed, and among some 10^5 blocks two would then share their noise. The CUDA
generator (Philox) uses a 64-bit seed in full, and takes 63 bits of SHA-256.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
import torch

BLOCK = 64
"""Votes a block: the unit in which noise is drawn."""

PURPOSES: tuple[str, ...] = ("selection", "estimation", "prediction")
_VERSION = "noise-identity-2"
_SEED_LIMIT = 2**63
_STATE_BYTES = 5056
"""Size of a CPU generator's state: seed, position, 624 words of 64 bits, cached normal draws."""
_LEFT, _WORDS = slice(8, 12), slice(24, 24 + 8 * 624)


def check_seed(seed: int) -> int:
    """The seed itself, when it is an integer in [0, 2^63); ValueError otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEED_LIMIT:
        raise ValueError(f"seed must be an integer in [0, 2^63), got {seed!r}")
    return seed


def _key(*parts: object) -> bytes:
    return "\x1f".join([_VERSION, *(str(part) for part in parts)]).encode()


def _digest(key: bytes) -> int:
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


def derived_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for the part of a job called `names`, independent between names by SHA-256."""
    return _digest(_key("derived", check_seed(seed), *names))


def generator_from(key: bytes, device: torch.device) -> torch.Generator:
    """A fresh generator on `device` whose stream `key` decides, on the CPU with its whole state.

    Raises:
        ValueError: this version of torch lays out the CPU generator's state in another way.
    """
    generator = torch.Generator(device=device)
    if device.type != "cpu":
        return generator.manual_seed(_digest(key))
    state = generator.get_state().numpy().copy()
    if state.size != _STATE_BYTES or sys.byteorder != "little":
        raise ValueError(
            f"torch {torch.__version__} keeps a CPU generator in {state.size} bytes ({sys.byteorder} endian), "
            f"{_STATE_BYTES} (little endian) are required; use a version of torch that this program was tested with"
        )
    words = np.frombuffer(hashlib.shake_256(key).digest(4 * 624), "<u4").astype("<u8")
    state[_WORDS] = np.frombuffer(words.tobytes(), np.uint8)
    state[_LEFT] = np.frombuffer(np.int32(1).tobytes(), np.uint8)
    generator.set_state(torch.from_numpy(state))
    return generator


@dataclass(frozen=True)
class Stretch:
    """The identity of the noise of votes start … stop - 1 of one input.

    Args:
        seed: seed of the run, in [0, 2^63).
        index: index of the input, at least 0.
        purpose: "selection", "estimation" or "prediction"; streams of different purposes are independent.
        start, stop: 0 ≤ start < stop.

    Raises:
        ValueError: for a value outside these ranges.
    """

    seed: int
    index: int
    purpose: str
    start: int
    stop: int

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.purpose not in PURPOSES:
            raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}, got {self.purpose!r}")
        if isinstance(self.index, bool) or not isinstance(self.index, Integral) or self.index < 0:
            raise ValueError(f"input index must be an integer of at least 0, got {self.index!r}")
        if not 0 <= self.start < self.stop:
            raise ValueError(f"votes must be a range from 0 upwards, got {self.start} to {self.stop}")

    @property
    def votes(self) -> int:
        """How many."""
        return self.stop - self.start


def block_key(seed: int, index: int, purpose: str, block: int) -> bytes:
    """The identity of one block, as a text that no other block has.

    Args:
        seed: seed of the run, in [0, 2^63).
        index: index of the input, at least 0.
        purpose: "selection", "estimation" or "prediction"; streams of different purposes are independent.
        block: number of the block, at least 0.

    Raises:
        ValueError: for a value outside these ranges.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}")
    if index < 0 or block < 0:
        raise ValueError(f"input index and block number must be at least 0, got {index} and {block}")
    return _key(check_seed(seed), index, purpose, block)


def block_generator(seed: int, index: int, purpose: str, block: int, device: torch.device) -> torch.Generator:
    """A fresh generator on `device` for one block; arguments as in `block_key`."""
    return generator_from(block_key(seed, index, purpose, block), device)


def sampled_blocks(
    sample: Callable[..., torch.Tensor],
    stretch: Stretch,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    """The noise [votes, *shape] of a stretch that begins at a multiple of 64, block by block.

    Args:
        sample: (shape, generator, dtype=…) → Tensor, as `Noise.sample`.
    """
    blocks = [
        sample(
            (BLOCK, *shape),
            block_generator(stretch.seed, stretch.index, stretch.purpose, block, device),
            dtype=dtype,
        )
        for block in range(stretch.start // BLOCK, -(-stretch.stop // BLOCK))
    ]
    return torch.cat(blocks)[: stretch.votes]


def gathered(stretches: Sequence[Stretch], most: int, unit: int = 1) -> Iterator[list[Stretch]]:
    """The same votes in the same order, in groups of at most `most` votes; stretches are cut at multiples of `unit` only,
    which `most` must be a multiple of."""
    group: list[Stretch] = []
    room = most
    for stretch in stretches:
        start = stretch.start
        while start < stretch.stop:
            taken = min(room, stretch.stop - start)
            if taken < stretch.stop - start:
                taken -= taken % unit
            if taken:
                group.append(replace(stretch, start=start, stop=start + taken))
                start += taken
                room -= taken
            if start < stretch.stop or not room:
                yield group
                group, room = [], most
    if group:
        yield group


def named_generator(seed: int, name: str, device: torch.device) -> torch.Generator:
    """A fresh generator on `device` for the part `name` of whatever `seed` decides."""
    return generator_from(_key("named", check_seed(seed), name), device)
