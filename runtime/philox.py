"""Philox4x64-10: 64-bit words that are a function of a counter, the same on every device.

The counter of four words is (number within the input, input index, lane, 0), the key a digest of (run seed, purpose). No
state is carried from one word to the next, so a vote's words depend on what the vote is and on nothing else:
not on batch size, order, number of workers, device or resumption.

A coordinate gets 16 bits of lane 0, which decide most of what is drawn from them; whoever needs more takes the words that lanes 1, 2, …
hold for groups of 64 coordinates, in the order of the coordinates that ask.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. On the CPU the
words are NumPy's (`numpy.random.Philox`, C code); elsewhere the same words come from torch's int64 operations.
"""

from __future__ import annotations

import hashlib
from numbers import Integral

import numpy as np
import torch

from runtime.rng import PURPOSES, check_seed

VERSION = "philox-words-2"
"""Part of every key; a change of the layout of counters changes it."""
GROUP = 4
"""Words a counter."""
CELL = 16
"""Bits that every coordinate gets."""
NEIGHBOURS = 64
"""Coordinates that share the words of further lanes."""
_CELLS_A_WORD = 64 // CELL
_LIMIT = 2**63
_ROUNDS = 10
_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


def stream_key(seed: int, purpose: str) -> tuple[int, int]:
    """The two 64-bit key words of a run's votes for one purpose, from SHA-256.

    Args:
        seed: seed of the run, in [0, 2^63).
        purpose: "selection", "estimation" or "prediction".

    Raises:
        ValueError: for a value outside these ranges.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}")
    digest = hashlib.sha256(f"{VERSION}\x1f{check_seed(seed)}\x1f{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def words(
    key: tuple[int, int],
    index: int,
    first: int,
    votes: int,
    per_vote: int,
    device: torch.device,
    lane: int = 0,
) -> torch.Tensor:
    """The words of votes first … first + votes - 1 of one input in one lane.

    Vote k owns the numbers k·g … k·g + g - 1, g = ceil(per_vote / 4), of the stream (key, index, lane).

    Args:
        key: from `stream_key`.
        index: index of the input, in [0, 2^63).
        first: number of the first vote, at least 0.
        votes: number of votes, at least 1.
        per_vote: words a vote, at least 1.
        device: where the words are made.
        lane: in [0, 2^63).

    Returns:
        int64 tensor [votes, per_vote] holding the 64 bits of each word (negative where the highest bit is set).

    Raises:
        ValueError: a number outside these ranges, or (first + votes)·g of 2^63 or more.
    """
    groups = -(-per_vote // GROUP)
    for name, value, least in (
        ("index", index, 0), ("first", first, 0), ("votes", votes, 1), ("lane", lane, 0)
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, Integral) or not least <= value < _LIMIT:
            raise ValueError(f"{name} must be an integer in [{least}, 2^63), got {value!r}")
    if per_vote < 1 or (first + votes) * groups >= _LIMIT:
        raise ValueError(
            f"a stream has 2^63 counters of {GROUP} words, got votes up to {first + votes} of {per_vote} words"
        )
    start, count = int(first) * groups, int(votes) * groups
    if device.type == "cpu":
        raw = torch.from_numpy(_with_numpy(key, int(index), start, count, int(lane)))
    else:
        raw = _with_torch(key, int(index), start, count, device, int(lane))
    return raw.view(votes, groups * GROUP)[:, :per_vote]


def cells(
    key: tuple[int, int], index: int, first: int, votes: int, dim: int, device: torch.device
) -> torch.Tensor:
    """16 bits for every coordinate of votes first … first + votes - 1: coordinate i has bits 16·(i mod 4) and up of word i // 4.

    Arguments and errors as of `words`.

    Returns:
        int32 [votes, dim], in [0, 2^16).
    """
    drawn = words(key, index, first, votes, -(-dim // _CELLS_A_WORD), device)
    if device.type == "cpu":
        parts = drawn.numpy().astype("<i8", order="C", copy=False).view("<u2").astype(np.int32)
        found = torch.from_numpy(parts)
    else:
        shifts = torch.arange(0, 64, CELL, device=device)
        found = ((drawn[:, :, None] >> shifts) & (2**CELL - 1)).to(torch.int32).view(votes, -1)
    return found[:, :dim]


def more(
    key: tuple[int, int],
    index: int,
    first: int,
    votes: int,
    dim: int,
    rows: torch.Tensor,
    columns: torch.Tensor,
) -> torch.Tensor:
    """A further word for some coordinates, all those that ask among votes first … first + votes - 1.

    Of the coordinates of one vote that ask and have i // 64 = g, the one of rank t gets word t mod 4 of counter
    k·ceil(dim / 64) + g in lane 1 + t // 4.

    Args:
        rows, columns: int64 [n], in [0, votes) and [0, dim), ascending by row, then by column, each pair once.

    Returns:
        int64 [n].
    """
    groups = -(-dim // NEIGHBOURS)
    group = rows * groups + torch.div(columns, NEIGHBOURS, rounding_mode="floor")
    rank = torch.arange(len(group), device=group.device) - torch.searchsorted(group, group)
    lanes = 1 + int(rank.max()) // GROUP if len(rank) else 1
    drawn = [
        words(key, index, first, votes, GROUP * groups, group.device, 1 + lane).reshape(-1)
        for lane in range(lanes)
    ]
    place = (
        torch.div(rank, GROUP, rounding_mode="floor") * (votes * groups * GROUP)
        + group * GROUP
        + rank % GROUP
    )
    return torch.cat(drawn)[place]


def _with_numpy(key: tuple[int, int], index: int, start: int, count: int, lane: int = 0) -> np.ndarray:
    # NumPy counts up before it computes: the state holds the counter before the first one.
    before = ((lane << 128) + (index << 64) + start - 1) % 2**256
    generator = np.random.Philox(counter=before, key=key[0] | key[1] << 64)
    return generator.random_raw(GROUP * count).view(np.int64)


def _with_torch(
    key: tuple[int, int], index: int, start: int, count: int, device: torch.device, lane: int = 0
) -> torch.Tensor:
    """The same words by operations that every device has: 64-bit products from 32-bit halves."""
    a = torch.arange(start, start + count, dtype=torch.int64, device=device)
    b = torch.full_like(a, index)
    c, d = torch.full_like(a, lane), torch.zeros_like(a)
    first_key, second_key = key
    for _ in range(_ROUNDS):
        low, high = _product(a, _MULTIPLIERS[0])
        other_low, other_high = _product(c, _MULTIPLIERS[1])
        a, b = other_high ^ b ^ _signed(first_key), other_low
        c, d = high ^ d ^ _signed(second_key), low
        first_key = (first_key + _KEY_STEPS[0]) % 2**64
        second_key = (second_key + _KEY_STEPS[1]) % 2**64
    return torch.stack((a, b, c, d), dim=1).view(-1)


def _signed(word: int) -> int:
    """The int64 number with the bits of a 64-bit word."""
    return word - 2**64 if word >= 2**63 else word


def _upper(word: torch.Tensor) -> torch.Tensor:
    """The upper 32 bits: int64 shifts keep the sign, the mask removes it."""
    return (word >> 32) & _MASK


def _product(word: torch.Tensor, factor: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The lower and upper 64 bits of the unsigned product; int64 products wrap modulo 2^64, as needed."""
    low, high = word & _MASK, _upper(word)
    factor_low, factor_high = factor & _MASK, factor >> 32
    low_low, low_high = low * factor_low, low * factor_high
    high_low = high * factor_low
    carry = _upper(low_low) + (low_high & _MASK) + (high_low & _MASK)
    upper = high * factor_high + _upper(low_high) + _upper(high_low) + _upper(carry)
    return word * _signed(factor), upper
