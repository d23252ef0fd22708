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
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from runtime.rng import PURPOSES, Stretch, check_seed

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


@cache
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


def words(stretches: Sequence[Stretch], per_vote: int, device: torch.device, lane: int = 0) -> torch.Tensor:
    """The words of votes of one or more inputs in one lane.

    Vote k owns the numbers k·g … k·g + g - 1, g = ceil(per_vote / 4), of the stream (key, index, lane).

    Args:
        stretches: which votes, one stretch after the other.
        per_vote: words a vote, at least 1.
        device: where the words are made.
        lane: in [0, 2^63).

    Returns:
        int64 tensor [votes, per_vote] holding the 64 bits of each word (negative where the highest bit is set).

    Raises:
        ValueError: a number outside these ranges, an index or a number stop·g of 2^63 or more.
    """
    groups = -(-per_vote // GROUP)
    if per_vote < 1 or not 0 <= lane < _LIMIT:
        raise ValueError(f"words need at least one a vote and a lane in [0, 2^63), got {per_vote} and {lane}")
    for stretch in stretches:
        if stretch.index >= _LIMIT or stretch.stop * groups >= _LIMIT:
            raise ValueError(
                f"a stream has 2^63 counters of {GROUP} words, got votes up to {stretch.stop} of {per_vote} words, "
                f"input {stretch.index}"
            )
    if device.type == "cpu":
        raw = torch.from_numpy(_with_numpy(stretches, groups, lane))
    else:
        raw = _with_torch(stretches, groups, device, lane)
    return raw.view(-1, groups * GROUP)[:, :per_vote]


def cells(stretches: Sequence[Stretch], dim: int, device: torch.device) -> torch.Tensor:
    """16 bits for every coordinate: coordinate i of a vote has bits 16·(i mod 4) and up of the vote's word i // 4.

    Arguments and errors as of `words`.

    Returns:
        int32 [votes, dim], in [0, 2^16).
    """
    drawn = words(stretches, -(-dim // _CELLS_A_WORD), device)
    if device.type == "cpu":
        parts = drawn.numpy().astype("<i8", order="C", copy=False).view("<u2").astype(np.int32)
        found = torch.from_numpy(parts)
    else:
        shifts = torch.arange(0, 64, CELL, device=device)
        found = ((drawn[:, :, None] >> shifts) & (2**CELL - 1)).to(torch.int32).view(len(drawn), -1)
    return found[:, :dim]


def more(stretches: Sequence[Stretch], dim: int, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """A further word for some coordinates, all those that ask among the votes.

    Of the coordinates of vote k that ask and have i // 64 = g, the one of rank t gets word t mod 4 of counter
    k·ceil(dim / 64) + g in lane 1 + t // 4.

    Args:
        rows, columns: int64 [n], which votes and coordinates, ascending by row, then by column, each pair once.

    Returns:
        int64 [n].
    """
    groups = -(-dim // NEIGHBOURS)
    votes = sum(stretch.votes for stretch in stretches)
    group = rows * groups + torch.div(columns, NEIGHBOURS, rounding_mode="floor")
    rank = torch.arange(len(group), device=group.device) - torch.searchsorted(group, group)
    lanes = 1 + int(rank.max()) // GROUP if len(rank) else 1
    drawn = [words(stretches, GROUP * groups, group.device, 1 + lane).reshape(-1) for lane in range(lanes)]
    lane = torch.div(rank, GROUP, rounding_mode="floor")
    return torch.cat(drawn)[lane * (votes * groups * GROUP) + group * GROUP + rank % GROUP]


def _with_numpy(stretches: Sequence[Stretch], groups: int, lane: int) -> np.ndarray:
    raw = []
    for stretch in stretches:
        # NumPy counts up before it computes: the state holds the counter before the first one.
        before = ((lane << 128) + (int(stretch.index) << 64) + int(stretch.start) * groups - 1) % 2**256
        first, second = stream_key(stretch.seed, stretch.purpose)
        generator = np.random.Philox(counter=before, key=first | second << 64)
        raw.append(generator.random_raw(GROUP * int(stretch.votes) * groups))
    return (raw[0] if len(raw) == 1 else np.concatenate(raw)).view(np.int64)


def _with_torch(stretches: Sequence[Stretch], groups: int, device: torch.device, lane: int) -> torch.Tensor:
    """The same words by operations that every device has: 64-bit products from 32-bit halves."""
    counts = np.array([stretch.votes * groups for stretch in stretches])
    shifts = np.array([stretch.start * groups for stretch in stretches]) - (np.cumsum(counts) - counts)
    keys = [stream_key(stretch.seed, stretch.purpose) for stretch in stretches]
    columns = [counts, shifts, [stretch.index for stretch in stretches]]
    columns += [[_signed(key[i]) for key in keys] for i in (0, 1)]
    table = torch.tensor(np.array(columns, dtype=np.int64), device=device)
    shift, b, first_key, second_key = torch.repeat_interleave(
        table[1:], table[0], dim=1, output_size=int(counts.sum())
    )
    a = torch.arange(len(b), dtype=torch.int64, device=device) + shift
    c, d = torch.full_like(a, lane), torch.zeros_like(a)
    for _ in range(_ROUNDS):
        low, high = _product(a, _MULTIPLIERS[0])
        other_low, other_high = _product(c, _MULTIPLIERS[1])
        a, b = other_high ^ b ^ first_key, other_low
        c, d = high ^ d ^ second_key, low
        first_key, second_key = first_key + _signed(_KEY_STEPS[0]), second_key + _signed(_KEY_STEPS[1])
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
