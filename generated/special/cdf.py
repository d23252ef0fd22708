"""Proved tables of a cdf, and from them the thresholds of noise on a grid: integers that enclose 2^60·F, whatever the scale.

A table is of an even density on the line at scale 1: polynomials with integer coefficients on intervals of x ≥ 0, with the error
against the cdf proved when the file was made (docs/tables.md has the format). They are evaluated at exact rationals in integer
arithmetic, every rounding counted, so one small file serves every scale and denominator.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from generated.special.arguments import positive, require

BITS = 80
"""Coefficients and errors of a table are in units of 2^-BITS."""
WORD = 60
"""Thresholds are in units of 2^-WORD: they are compared with uniform words of so many bits."""
ARGUMENT = 96
"""Bits to which a place in its cell is rounded."""
TAIL = 2.0**-40
"""What may lie outside the integers, where `most` of them reach so far."""
MOST = 2**17
"""The most integers that thresholds are made for."""


@dataclass(frozen=True)
class CdfCell:
    """On [start, end], with t = -1 … 1 from one end to the other: |F - Σ coefficients[k]·t^k| ≤ error, all in units of 2^-BITS."""

    start: Fraction
    end: Fraction
    error: int
    coefficients: tuple[int, ...]

    def values(self, numerators: np.ndarray, denominator: int) -> tuple[np.ndarray, int]:
        """(approximate 2^BITS·F, proved error) at numerators/denominator in the cell; arrays of Python integers."""
        width = self.end - self.start
        # t = (2x - start - end)/(end - start), rounded down to 2^-ARGUMENT
        common = (self.start + self.end) / 2
        top = (numerators * common.denominator - common.numerator * denominator) * (2 * width.denominator)
        place = (top << ARGUMENT) // (width.numerator * common.denominator * denominator)
        total = np.full(len(numerators), self.coefficients[-1], dtype=object)
        for coefficient in reversed(self.coefficients[:-1]):
            total = ((total * place) >> ARGUMENT) + coefficient
        slope = sum(k * abs(c) for k, c in enumerate(self.coefficients))
        rounding = len(self.coefficients) + (slope >> ARGUMENT) + 1  # of each product, and of the place
        return total, self.error + rounding


@dataclass(frozen=True)
class CdfTable:
    """F of an even law on x ≥ 0: cells that meet, from 0 to the last end, past which 1 - F ≤ tail·2^-BITS."""

    cells: tuple[CdfCell, ...]
    tail: int

    def __post_init__(self) -> None:
        require(len(self.cells) > 0 and self.cells[0].start == 0, "cdf table: cells from 0 on")
        ends = [cell.end for cell in self.cells]
        require(
            all(c.start < c.end and c.error >= 0 and len(c.coefficients) > 0 for c in self.cells)
            and [cell.start for cell in self.cells[1:]] == ends[:-1]
            and 0 <= self.tail < 1 << (BITS - 1),
            "cdf table: cells that meet, with coefficients and errors",
        )

    def enclosure(self, numerators: np.ndarray, denominator: int) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) with low ≤ 2^WORD·F ≤ high at ascending places numerators/denominator ≥ 0; int64.

        numerators: one dimension, Python integers (dtype object). Both results ascend with the places.
        """
        low = np.empty(len(numerators), dtype=np.int64)
        high = np.empty(len(numerators), dtype=np.int64)
        known = list(numerators)
        require(not known or known[0] >= 0, "cdf table: places of at least 0")
        start = 0
        for cell in self.cells:
            # bisect on exact integers: x < end
            edge = cell.end * denominator
            stop = bisect.bisect_left(known, edge, lo=start)
            if stop > start:
                value, error = cell.values(numerators[start:stop], denominator)
                low[start:stop] = np.maximum((value - error) >> (BITS - WORD), 1 << (WORD - 1))
                high[start:stop] = np.minimum(-((-value - error) >> (BITS - WORD)), 1 << WORD)
            start = stop
        low[start:] = (1 << WORD) - -(-self.tail >> (BITS - WORD))
        high[start:] = 1 << WORD
        # F ascends, so every bound holds for the places on its far side as well
        return np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]


@dataclass(frozen=True, eq=False)
class GridThresholds:
    """Which words of 60 bits give which integer: the noise λ·X rounded to the nearest multiple of 1/denominator.

    Integer `first + i`, 0 ≤ i < m, stands for λ·X·denominator between the boundaries i and i + 1, that is between
    first + i - 1/2 and first + i + 1/2; 2^60·F of boundary i lies in [low[i], high[i]] (int64, m + 1 each, ascending).
    A uniform word u, 0 ≤ u < 2^60, belongs to it for sure where high[i] ≤ u < low[i + 1]. Words with u < low[0] lie below
    all integers for sure, those with u ≥ high[m] above; all others are undecided. `leftover` is the exact share of words
    that no integer has: both tails, and the one or two undecided words at each boundary.
    """

    first: int
    low: np.ndarray
    high: np.ndarray
    leftover: Fraction

    @property
    def integers(self) -> int:
        return len(self.low) - 1

    def counts(self) -> np.ndarray:
        """How many of the 2^60 words each integer has for sure; int64, m of them."""
        return np.maximum(self.low[1:] - self.high[:-1], 0)


def thresholds(table: CdfTable, scale: float, denominator: int, most: int = MOST) -> GridThresholds:
    """The thresholds of the table's law at this scale, rounded to multiples of 1/denominator; symmetric about 0.

    scale: λ > 0, in input units, exact as it is. denominator: an integer from 1 to 2^32. At most `most` integers, fewer
    where so many are not needed for TAIL to be all that is left outside. ValueError for anything else.
    """
    scale = positive("scale", scale)
    whole = isinstance(denominator, int | np.integer) and not isinstance(denominator, bool)
    require(
        whole and 1 <= denominator <= 2**32,
        f"the grid's denominator must be an integer from 1 to 2^32, got {denominator!r}",
    )
    require(most >= 1, f"at least one integer is needed, got {most}")
    unit = 1 / (2 * int(denominator) * Fraction(scale))  # boundaries at odd multiples of it
    most = (most - 1) // 2
    reach = min(_reach(table, unit, most), most)
    places = np.array([(2 * j + 1) * unit.numerator for j in range(reach + 1)], dtype=object)
    low, high = table.enclosure(places, unit.denominator)
    one = 1 << WORD
    lows, highs = np.concatenate([one - high[::-1], low]), np.concatenate([one - low[::-1], high])
    found = GridThresholds(-reach, lows, highs, Fraction(0))
    leftover = Fraction(one - int(found.counts().sum()), one)
    for array in (lows, highs):
        array.setflags(write=False)
    return GridThresholds(-reach, lows, highs, leftover)


def _reach(table: CdfTable, unit: Fraction, most: int) -> int:
    """The smallest j ≤ most whose outer boundary leaves less than TAIL/2 outside; `most` where none does."""
    allowed = int(TAIL / 2 * (1 << WORD))

    def enough(j: int) -> bool:
        place = np.array([(2 * j + 1) * unit.numerator], dtype=object)
        return (1 << WORD) - int(table.enclosure(place, unit.denominator)[0][0]) <= allowed

    return bisect.bisect_left(range(most), True, key=enough)


def cdf_table(record: Mapping[str, Any]) -> CdfTable:
    """The table of a file's entries; ValueError (or KeyError, TypeError, …) unless they make one."""
    require(record["bits"] == BITS, f"{record['bits']} bits, not {BITS}")
    rows = [[str(entry) for entry in row] for row in record["cells"]]
    ends = [Fraction(0), *(Fraction(row[0]) for row in rows)]
    cells = tuple(
        CdfCell(start, end, int(row[1], 16), tuple(int(c, 16) for c in row[2:]))
        for start, end, row in zip(ends, ends[1:], rows, strict=False)
    )
    return CdfTable(cells, int(str(record["tail"]), 16))
