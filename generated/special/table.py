"""Proved tables: piecewise polynomials that lie below a radius function at every double, evaluated by + - * alone.

A cell is found from the bits of 1 - rho (rho ≥ 3/4) or of rho - 1/2 (below), both exact; its variable is exact as well. What
rounding the evaluation adds is part of the proof, fused or not, so the bound holds on any IEEE machine. docs/tables.md has the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from generated.special.arguments import NUMPY, TORCH, Array, require
from generated.special.confidence import Confidence
from generated.special.traced import Store, placed

SMALLEST = 2.0**-53
"""1 - rho of the largest double below 1; anything smaller takes its radius."""
MIDDLE = 0.25
"""Up to this gap rho - 1/2 a cell gives R/gap, above it R itself."""
_MANTISSA = 52


def sub_cells(first: int, last: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """(midpoint, half width) of the cells of the binades [2**n, 2**(n+1)), first ≤ n < last, each in equal parts; all exact."""
    exponents = np.repeat(np.arange(first, last), parts)
    places = np.tile(np.arange(parts), last - first)
    half = np.ldexp(0.5 / parts, exponents)
    return np.ldexp(1.0, exponents) + (2 * places + 1) * half, half


@dataclass(frozen=True, eq=False)
class ProvedTable:
    """R(rho) from below, at scale 1.

    For gap = rho - 1/2 < 2**first: slope·gap. Up to gap = 1/4: gap·P(u), beyond: P(u) with the cell of fail = 1 - rho, down to
    2**-53. A cell is one of `parts` equal parts of a binade, u in [-1, 1] runs over it, upwards in gap or fail; P has the
    row's coefficients by ascending powers. `gap` holds the cells of [2**first, 1/4), `fail` those of [2**-53, 1/4).
    """

    slope: float
    first: int
    parts: int
    gap: np.ndarray
    fail: np.ndarray
    _columns: tuple[np.ndarray, ...] = field(init=False, repr=False)
    _on: Store = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        require(
            self.parts in (1, 2, 4, 8, 16) and -60 < self.first < -2, "table: parts or first out of range"
        )
        shapes = (-2 - self.first) * self.parts, 51 * self.parts
        require(
            self.gap.ndim == self.fail.ndim == 2
            and (len(self.gap), len(self.fail)) == shapes
            and self.gap.shape[1] == self.fail.shape[1] > 0,
            "table: a row of coefficients to every cell",
        )
        values = np.concatenate([self.gap, self.fail])
        require(bool(np.isfinite(values).all()) and 0.0 < self.slope < np.inf, "table: finite coefficients")
        mid, half = (
            np.concatenate(pair)
            for pair in zip(
                sub_cells(self.first, -2, self.parts), sub_cells(-53, -2, self.parts), strict=True
            )
        )
        # powers of two: exact, and the rounding of Horner's rule is that of the polynomial in u
        scaled = values * (1.0 / half)[:, None] ** np.arange(values.shape[1])
        flat = np.zeros((1, values.shape[1]))
        flat[0, 0] = self.slope
        rows = np.ascontiguousarray(np.concatenate([flat, scaled]).T)
        object.__setattr__(self, "_columns", (np.concatenate([[0.0], mid]), *rows))

    def __call__(self, at: Confidence) -> Array:
        """The radius at rho > 1/2; float64 NumPy or torch, differentiable, no synchronisation; at rho = 1 that of 1 - 2**-53."""
        return self.at(at.gap, at.fail)

    def at(self, gap: Array, fail: Array) -> Array:
        """The radius at gap = rho - 1/2 > 0 and fail = 1 - rho ≥ 0, of which the smaller one alone is used (fail may be rounded up)."""
        xp = TORCH if isinstance(gap, torch.Tensor) else NUMPY
        mids, *rows = placed(self._columns, gap, self._on)
        near = gap <= MIDDLE
        x = xp.where(near, gap, xp.maximum(fail, SMALLEST))
        # rows by the leading bits: 0 for the slope, then those of gap, then those of fail
        bits = xp.bits(x) >> self._shift
        low = xp.clamp(bits - ((1023 + self.first) * self.parts - 1), 0, len(self.gap))
        high = xp.clamp(bits - (1023 - 53) * self.parts, 0, len(self.fail) - 1) + (len(self.gap) + 1)
        cells = xp.where(near, low, high)
        w = x - xp.take(mids, cells)
        value = xp.take(rows[-1], cells)
        for row in reversed(rows[:-1]):
            value = value * w + xp.take(row, cells)
        return xp.where(near, gap * value, value)

    @property
    def _shift(self) -> int:
        return _MANTISSA - (self.parts.bit_length() - 1)


def coefficient_rows(rows: Sequence[Sequence[str]]) -> np.ndarray:
    """Rows of hexadecimal floats as an array; shorter rows end in zeros. ValueError for anything else."""
    longest = max((len(row) for row in rows), default=0)
    return np.array([[float.fromhex(c) for c in row] + [0.0] * (longest - len(row)) for row in rows])
