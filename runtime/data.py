"""Labelled images in [0, 1] with a fixed split: scikit-learn's digits, or a NumPy archive of one's own."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

_DIGITS_SPLIT_SEED = 20_200_716
_DIGITS_TRAINING = 1297
_MOST_CLASSES = 100_000
_UNREADABLE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    MemoryError,
)


@dataclass(frozen=True)
class Dataset:
    """A training and a held-out part.

    Attributes:
        name: how the dataset was asked for.
        x_train, x_test: float32 [N, C, H, W] in [0, 1].
        y_train, y_test: int64 [N], classes 0 … num_classes-1.
        num_classes: number of classes.
        sha256: digest of all four arrays: the dataset's identity.
    """

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    num_classes: int
    sha256: str

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


def load_dataset(name: str) -> Dataset:
    """The dataset called `name`: "digits", or the path of an .npz file.

    An .npz file holds x_train, y_train, x_test and y_test: images [N, C, H, W] in [0, 1], integer labels.

    Raises:
        ValueError: unknown name; scikit-learn missing (digits); a file that is missing, damaged, lacks an
            array, or has wrong shapes, labels, or a range other than [0, 1].
    """
    if name == "digits":
        return _digits()
    if name.endswith(".npz"):
        return _archive(Path(name))
    raise ValueError(f"unknown dataset {name!r}; use digits or the path of an .npz file")


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError("dataset digits needs scikit-learn; install it: pip install scikit-learn") from None
    bunch = load_digits()
    images = (np.asarray(bunch.images, dtype=np.float64) / 16.0).astype(np.float32)[:, None]
    labels = np.asarray(bunch.target, dtype=np.int64)
    order = np.random.Generator(np.random.PCG64(_DIGITS_SPLIT_SEED)).permutation(len(labels))
    train, test = order[:_DIGITS_TRAINING], order[_DIGITS_TRAINING:]
    return _dataset("digits", images[train], labels[train], images[test], labels[test])


def _archive(path: Path) -> Dataset:
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive]
            if missing:
                raise ValueError(f"{path} lacks {', '.join(missing)}; it must hold {', '.join(names)}")
            arrays = [np.asarray(archive[name]) for name in names]
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as an .npz file: {reason}") from None
    for part, (x, y) in {"train": arrays[:2], "test": arrays[2:]}.items():
        if x.ndim != 4 or y.shape != (len(x),) or len(x) == 0:
            raise ValueError(
                f"{path}: x_{part} must be [N, C, H, W] and y_{part} [N] with N >= 1, "
                f"got {x.shape} and {y.shape}"
            )
        if x.dtype.kind not in "fui" or y.dtype.kind not in "ui" or y.min() < 0:
            raise ValueError(f"{path}: x_{part} must hold numbers and y_{part} integers of at least 0")
        if y.max() >= _MOST_CLASSES:
            raise ValueError(
                f"{path}: y_{part} holds the label {y.max()}, labels below {_MOST_CLASSES} are required; "
                "number the classes from 0"
            )
        if not np.isfinite(x).all() or x.min() < 0.0 or x.max() > 1.0:
            raise ValueError(
                f"{path}: x_{part} spans [{x.min()}, {x.max()}], [0, 1] is required; "
                "for [0, 255] divide by 255: sigma is in input units"
            )
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise ValueError(
            f"{path}: training inputs {arrays[0].shape[1:]} and test inputs {arrays[2].shape[1:]} differ"
        )
    return _dataset(str(path), *arrays)


def _dataset(
    name: str, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> Dataset:
    digest = hashlib.sha256()
    parts = []
    for array, kind in zip((x_train, y_train, x_test, y_test), ("<f4", "<i8", "<f4", "<i8"), strict=True):
        part = np.ascontiguousarray(array, dtype=kind)
        digest.update(f"{kind}{part.shape}".encode() + part.tobytes())
        parts.append(torch.from_numpy(part.copy()))
    num_classes = int(max(y_train.max(), y_test.max())) + 1
    if num_classes < 2:
        raise ValueError(f"dataset {name} has one class only; at least 2 are required")
    return Dataset(name, parts[0], parts[1], parts[2], parts[3], num_classes, digest.hexdigest())
