"""Words to integers: an integer noise drawn by inverting its cumulative distribution at 2^60 resolution.

A uniform real number in [0, 2^60) is a 60-bit word plus a uniform fraction that nobody looks at. The word
maps to the integer j only where every fraction would: where the whole unit interval lies between the enclosures of the two
cumulative probabilities of j. Otherwise it is undecided. The first 16 bits alone decide wherever all words that begin with them give
one integer, nearly always; the other 44 are drawn where they are needed. So whatever is decided agrees with the ideal noise, and a vote with
an undecided coordinate, counted as a failure, can only lower the count of a class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

RESOLUTION = 60
"""Bits of a uniform word."""
OUTSIDE = 2**25
"""Stands for an integer beyond the thresholds, with its sign; larger than any sum that is not clipped."""
_CELLS = 16
"""Bits of a word that the guide table is read by."""
_LOWER = RESOLUTION - _CELLS
More = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_SEARCH = -(2**31)


@dataclass(frozen=True)
class Thresholds:
    """Enclosed cumulative probabilities of the integers first … first + m - 1, in units of 2^-60.

    Attributes:
        first: the smallest integer.
        low, high: int64 [m + 1] on the CPU; the probability of all integers below first + i, times 2^60, lies in
            [low[i], high[i]].

    Raises:
        ValueError: they are not increasing, or leave [0, 2^60].
    """

    first: int
    low: torch.Tensor
    high: torch.Tensor

    def __post_init__(self) -> None:
        low, high = self.low, self.high
        if (
            low.dtype != torch.int64
            or high.dtype != torch.int64
            or low.shape != high.shape
            or len(low) < 2
            or bool((low > high).any())
            or bool((low.diff() < 0).any())
            or bool((high.diff() < 0).any())
            or not 0 <= int(low[0]) <= int(high[-1]) <= 2**RESOLUTION
            or max(abs(self.first), abs(self.last)) >= OUTSIDE
        ):
            raise ValueError(
                f"thresholds of integer noise must be increasing int64 enclosures in [0, 2^60] of integers below "
                f"2^25 in size, got {len(low)} from {self.first} on"
            )

    @property
    def last(self) -> int:
        """The largest integer."""
        return self.first + len(self.low) - 2

    @property
    def digest(self) -> str:
        """SHA-256 of all of them: equal digests mean equal noise."""
        parts = (np.array([self.first], dtype="<i8"), self.low.numpy(), self.high.numpy())
        return hashlib.sha256(b"".join(part.astype("<i8").tobytes() for part in parts)).hexdigest()

    @property
    def tail(self) -> float:
        """Upper bound of the probability beyond first and last."""
        return (int(self.high[0]) + 2**RESOLUTION - int(self.low[-1])) * 2.0**-RESOLUTION * (1.0 + 2.0**-50)


class Inversion:
    """Maps words to integers on one device.

    Args:
        thresholds: of the integer noise.
        saturate: True: words beyond the thresholds give -OUTSIDE or OUTSIDE; False: they are undecided.
        device: where words will lie.
    """

    def __init__(self, thresholds: Thresholds, saturate: bool, device: torch.device) -> None:
        high = thresholds.high
        # Bin i holds first - 1 + i, from high[i - 1] to low[i]; bins 0 and m + 1 are the tails.
        below = torch.cat((torch.zeros(1, dtype=torch.int64), high))
        above = torch.cat((thresholds.low, torch.tensor([2**RESOLUTION])))
        values = torch.arange(len(below), dtype=torch.int32) + (thresholds.first - 1)
        values[0], values[-1] = -OUTSIDE, OUTSIDE
        if not saturate:
            above[0], above[-1] = 0, int(below[-1])
        start = torch.arange(2**_CELLS, dtype=torch.int64) << _LOWER
        bins = torch.searchsorted(high, start, right=True)
        whole = start + (1 << _LOWER) <= above[bins]
        guide = torch.where(whole, values[bins], torch.tensor(_SEARCH, dtype=torch.int32))
        self._high, self._above, self._values = high.to(device), above.to(device), values.to(device)
        self._guide = guide.to(device)

    def __call__(self, cells: torch.Tensor, more: More) -> tuple[torch.Tensor, torch.Tensor]:
        """Integers and whether each row is decided.

        Args:
            cells: int32 [n, dim]: the upper 16 bits of each word.
            more: gives words, int64 [k], for the places (rows, columns) that need them, in ascending order; their upper 44
                bits follow the 16.

        Returns:
            int32 [n, dim] and bool [n]; an undecided coordinate is 0.
        """
        integers = self._guide.index_select(0, cells.reshape(-1))
        places = _places(integers == _SEARCH)
        rows, columns = torch.div(places, cells.shape[1], rounding_mode="floor"), places % cells.shape[1]
        upper = cells.reshape(-1)[places].to(torch.int64) << _LOWER
        uniform = upper | (more(rows, columns) >> (64 - _LOWER)) & (2**_LOWER - 1)
        bins = torch.searchsorted(self._high, uniform, right=True)
        known = uniform < self._above[bins]
        integers[places] = torch.where(known, self._values[bins], 0)
        decided = torch.ones(len(cells), dtype=torch.bool, device=cells.device)
        decided[rows[~known]] = False
        return integers.view(cells.shape), decided


def _places(where: torch.Tensor) -> torch.Tensor:
    """Ascending positions [k] of a bool tensor [n]; on the CPU NumPy finds them several times as fast."""
    if where.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(where.numpy()))
    return where.nonzero().view(-1)
