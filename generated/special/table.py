"""Proved tables: piecewise polynomials that lie below a radius function at every double, evaluated by + - * alone.

A cell is found from the bits of 1 - rho (rho ≥ 3/4) or of rho - 1/2 (below), both exact; its variable is exact as well. What
rounding the evaluation adds is part of the proof, fused or not, so the bound holds on any IEEE machine. docs/tables.md has the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace

import numpy as np
import torch

from generated.special.arguments import Array, require

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
    _mids: np.ndarray = field(init=False, repr=False)
    _rows: np.ndarray = field(init=False, repr=False)
    _placed: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = field(
        init=False, repr=False, default_factory=dict
    )

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
        object.__setattr__(self, "_mids", np.concatenate([[0.0], mid]))
        object.__setattr__(self, "_rows", np.ascontiguousarray(np.concatenate([flat, scaled]).T))

    def __call__(self, xp: SimpleNamespace | None, rho: Array) -> Array:
        """The radius at rho > 1/2; float64 NumPy or torch, differentiable, no synchronisation; at rho = 1 that of 1 - 2**-53."""
        return self.at(rho - 0.5, 1.0 - rho)

    def at(self, gap: Array, fail: Array) -> Array:
        """The radius at gap = rho - 1/2 > 0 and fail = 1 - rho ≥ 0, of which the smaller one alone is used (one of them may be rounded:
        fail upwards, gap downwards)."""
        if isinstance(gap, torch.Tensor):
            return self._torch(gap, fail)
        near = gap <= MIDDLE
        x = np.where(near, gap, np.maximum(fail, SMALLEST))
        cells = self._cells(np.ascontiguousarray(x).view(np.int64) >> self._shift, near, np)
        w = x - self._mids[cells]
        value = self._rows[-1][cells]
        for row in self._rows[-2::-1]:
            value = value * w + row[cells]
        return np.where(near, gap * value, value)

    def _torch(self, gap: torch.Tensor, fail: torch.Tensor) -> torch.Tensor:
        mids, rows = self._on(gap.device)
        near = gap <= MIDDLE
        x = torch.where(near, gap, torch.clamp(fail, min=SMALLEST))
        cells = self._cells(x.detach().view(torch.int64) >> self._shift, near, torch).reshape(-1)
        # index_select on one dimension: the fastest of torch's look-ups, and one that vmap knows
        w = x.reshape(-1) - torch.index_select(mids, 0, cells)
        value = torch.index_select(rows[-1], 0, cells)
        for row in reversed(rows[:-1].unbind()):
            value = value * w + torch.index_select(row, 0, cells)
        value = value.reshape(gap.shape)
        return torch.where(near, gap * value, value)

    @property
    def _shift(self) -> int:
        return _MANTISSA - (self.parts.bit_length() - 1)

    def _cells(self, bits: Array, near: Array, library: ModuleType) -> Array:
        """Rows by the leading bits of gap or fail: 0 for the slope, then those of gap, then those of fail."""
        count = len(self.gap)
        start = (1023 + self.first) * self.parts
        low = library.clip(bits - (start - 1), 0, count)
        start = (1023 - 53) * self.parts
        high = library.clip(bits - start, 0, len(self.fail) - 1) + (count + 1)
        return library.where(near, low, high)

    def _on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Midpoints and coefficients on a device, copied there once."""
        if device not in self._placed:
            self._placed[device] = (
                torch.as_tensor(self._mids, device=device),
                torch.as_tensor(self._rows, device=device),
            )
        return self._placed[device]


def coefficient_rows(rows: Sequence[Sequence[str]]) -> np.ndarray:
    """Rows of hexadecimal floats as an array; shorter rows end in zeros. ValueError for anything else."""
    longest = max((len(row) for row in rows), default=0)
    return np.array([[float.fromhex(c) for c in row] + [0.0] * (longest - len(row)) for row in rows])
