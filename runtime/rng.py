"""The identity of randomness: a vote's noise depends on what the vote is, never on when it is counted.

Noise is drawn in blocks of `BLOCK` votes. Each block has a generator of its own, seeded by a digest of the
run's seed, the input's index, the purpose and the block's number. Batch size, order, interruption and
resumption therefore cannot change a single draw. Streams differ between device types (CPU and CUDA
generators are different algorithms), so the device type belongs to a run's configuration.
"""

from __future__ import annotations

import hashlib

import torch

BLOCK = 64
"""Votes a block: the unit in which noise is drawn."""

PURPOSES: tuple[str, ...] = ("selection", "estimation", "prediction")
_VERSION = "noise-identity-1"
_SEED_LIMIT = 2**63


def check_seed(seed: int) -> int:
    """The seed itself, when it is an integer in [0, 2^63); ValueError otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEED_LIMIT:
        raise ValueError(f"seed must be an integer in [0, 2^63), got {seed!r}")
    return seed


def _digest(*parts: object) -> int:
    text = "\x1f".join([_VERSION, *(str(part) for part in parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derived_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for the part of a job called `names`, independent between names by SHA-256."""
    return _digest("derived", check_seed(seed), *names)


def block_seed(seed: int, index: int, purpose: str, block: int) -> int:
    """The 63-bit seed of one block.

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
    return _digest(check_seed(seed), index, purpose, block)


def block_generator(seed: int, index: int, purpose: str, block: int, device: torch.device) -> torch.Generator:
    """A fresh generator on `device` for one block; arguments as in `block_seed`."""
    generator = torch.Generator(device=device)
    generator.manual_seed(block_seed(seed, index, purpose, block))
    return generator
