"""Images by index: kept as bytes, read from files when asked for, or a tensor; always handed out as floats in [0, 1].

A byte k becomes the float32 closest to k/255, so the grid of the data is kept exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, overload

import numpy as np
import torch

Rows = int | slice | list[int]


class Images(Protocol):
    """Inputs by index; a tensor [N, C, H, W] is one."""

    @property
    def shape(self) -> Sequence[int]:
        """[N, C, H, W]."""

    @property
    def dtype(self) -> torch.dtype:
        """float32 or float64: the type of what indexing returns."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: Rows, /) -> torch.Tensor:
        """One input [C, H, W] for an integer; [n, C, H, W] for a slice or list of them."""


def scaled(numbers: np.ndarray) -> torch.Tensor:
    """uint8 k ↦ the float32 closest to k/255: both are exact in float32, and the quotient is rounded once."""
    return torch.from_numpy(np.asarray(numbers).astype(np.float32) / np.float32(255.0))


class _ByIndex:
    """Indexing by integers, slices and lists on top of `_one`."""

    _length: int
    _event: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, C, H, W]."""
        return (self._length, *self._event)

    @property
    def dtype(self) -> torch.dtype:
        """Always float32."""
        return torch.float32

    def __len__(self) -> int:
        return self._length

    def _one(self, index: int) -> torch.Tensor:
        raise NotImplementedError

    def __getitem__(self, rows: Rows, /) -> torch.Tensor:
        if isinstance(rows, slice):
            rows = list(range(*rows.indices(self._length)))
        if isinstance(rows, list):
            found = [self[int(row)] for row in rows]
            return torch.stack(found) if found else torch.zeros((0, *self._event))
        index = rows + self._length if rows < 0 else rows
        if not 0 <= index < self._length:
            raise IndexError(f"input {rows} of {self._length}")
        return self._one(index)


class ByteImages(_ByIndex):
    """Images kept as bytes, in memory or in a mapped file.

    Args:
        numbers: uint8 [N, C, H, W].
    """

    def __init__(self, numbers: np.ndarray) -> None:
        if numbers.dtype != np.uint8 or numbers.ndim != 4:
            raise ValueError(f"uint8 [N, C, H, W] is required, got {numbers.dtype} {numbers.shape}")
        self.numbers = numbers
        self._length = len(numbers)
        self._event = (int(numbers.shape[1]), int(numbers.shape[2]), int(numbers.shape[3]))

    def _one(self, index: int) -> torch.Tensor:
        return scaled(self.numbers[index])


class LazyImages(_ByIndex):
    """Images that are made when asked for.

    Args:
        length: how many there are, at least 1.
        make: the input of an index, float32 [C, H, W] in [0, 1], the same one every time; ValueError where it is bad.
    """

    def __init__(self, length: int, make: Callable[[int], torch.Tensor]) -> None:
        self._length, self._make = length, make
        channels, height, width = make(0).shape
        self._event = (int(channels), int(height), int(width))

    def _one(self, index: int) -> torch.Tensor:
        made = self._make(index)
        if tuple(made.shape) != self._event:
            raise ValueError(
                f"input {index} has shape {tuple(made.shape)}, input 0 has {self._event}; "
                "pass --resize and --crop to make them equal"
            )
        return made


class Chosen(Mapping[int, torch.Tensor]):
    """Some of the images by their index, each made when asked for and not kept.

    Args:
        images: all of them.
        rows: the chosen indices.
    """

    def __init__(self, images: Images, rows: Sequence[int]) -> None:
        self._images, self._rows = images, dict.fromkeys(rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        if index not in self._rows:
            raise KeyError(index)
        return self._images[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@overload
def rows_of(images: torch.Tensor, rows: Sequence[int]) -> torch.Tensor: ...
@overload
def rows_of(images: Images, rows: Sequence[int]) -> Images: ...
def rows_of(images: Images, rows: Sequence[int]) -> Images:
    """Some of the images, in the given order, still made when asked for."""
    chosen = list(rows)
    if isinstance(images, torch.Tensor):
        return images[chosen]
    return LazyImages(len(chosen), lambda index: images[chosen[index]])
