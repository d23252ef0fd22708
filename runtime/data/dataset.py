"""The record of a data set: a training part (perhaps empty), a held-out part, classes, identity."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from runtime.data.images import Images

MOST_CLASSES = 100_000
_MOST_TRAINING = 2**32  # coordinates of a training part, which is kept in memory: 16 GiB


@dataclass(frozen=True)
class Dataset:
    """A training and a held-out part.

    Attributes:
        name: how the dataset was asked for.
        train, x_test: images by index, float32 [N, C, H, W] in [0, 1]; `train` may be empty.
        y_train, y_test: int64 [N], classes 0 … num_classes-1.
        num_classes: number of classes.
        sha256: the dataset's identity: digest of all arrays, or of names, sizes and labels for folders.
    """

    name: str
    train: Images
    y_train: torch.Tensor
    x_test: Images
    y_test: torch.Tensor
    num_classes: int
    sha256: str

    @cached_property
    def x_train(self) -> torch.Tensor:
        """The training images in memory, float32 [N, C, H, W].

        Raises:
            ValueError: there are none, or they are too large for that.
        """
        self.check_training()
        return self.train if isinstance(self.train, torch.Tensor) else self.train[:]

    def check_training(self) -> None:
        """Refuses a training part that is empty or too large for memory, without reading it.

        Raises:
            ValueError: it is.
        """
        if len(self.train) == 0:
            raise ValueError(
                f"dataset {self.name} has no training part; pass --checkpoint or --model for a finished network"
            )
        if not isinstance(self.train, torch.Tensor) and len(self.train) * self.dim > _MOST_TRAINING:
            raise ValueError(
                f"the {len(self.train)} training images of dataset {self.name} exceed 16 GiB of memory; train "
                "elsewhere and pass --checkpoint or --model"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of one input."""
        channels, height, width = self.x_test.shape[1:]
        return int(channels), int(height), int(width)

    @property
    def dim(self) -> int:
        """Number of coordinates of one input."""
        channels, height, width = self.shape
        return channels * height * width


def digest_of(*parts: np.ndarray) -> str:
    """SHA-256 of arrays with their kinds and shapes."""
    digest = hashlib.sha256()
    for part in parts:
        kind = part.dtype.str
        digest.update(f"{kind}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def labels_of(values: object, source: str, count: int, num_classes: int | None = None) -> np.ndarray:
    """The labels as int64 [count].

    Raises:
        ValueError: another number of them, not integers, negative or too large.
    """
    labels = np.asarray(values)
    if labels.shape != (count,) or (count and labels.dtype.kind not in "ui"):
        raise ValueError(f"{source}: {count} integer labels are required, got {labels.dtype} {labels.shape}")
    labels = labels.astype(np.int64)
    most = MOST_CLASSES if num_classes is None else num_classes
    if count and (labels.min() < 0 or labels.max() >= most):
        wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
        raise ValueError(f"{source}: labels in 0 … {most - 1} are required, got {wrong}")
    return labels


def classes_of(name: str, *labels: np.ndarray) -> int:
    """Number of classes that labels show: the largest one plus 1.

    Raises:
        ValueError: fewer than 2.
    """
    num_classes = max(int(part.max()) for part in labels if len(part)) + 1
    if num_classes < 2:
        raise ValueError(f"dataset {name} has one class only; at least 2 are required")
    return num_classes
