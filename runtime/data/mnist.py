"""MNIST and its likes from idx files, gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch

from runtime.data.dataset import Dataset, classes_of, digest_of, labels_of
from runtime.data.images import ByteImages

_BYTES = 8  # the code of uint8 in the third byte of the magic number
_LARGEST = 2**31


def mnist(path: Path) -> Dataset:
    """Images and labels from a folder with t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or .gz), and train-… if present.

    Raises:
        ValueError: no such folder or file, a wrong magic number, a truncated file, other numbers of images and labels.
    """
    x_test, y_test = _part(path, "t10k")
    if _find(path, "train-images", 3) is None:
        x_train, y_train = np.zeros((0, *x_test.shape[1:]), np.uint8), np.zeros(0, np.int64)
    else:
        x_train, y_train = _part(path, "train")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{path}: training images {x_train.shape[1:]} and test images {x_test.shape[1:]} differ"
        )
    name = f"mnist:{path}"
    return Dataset(
        name,
        ByteImages(x_train),
        torch.from_numpy(y_train),
        ByteImages(x_test),
        torch.from_numpy(y_test),
        max(10, classes_of(name, y_train, y_test)),
        digest_of(x_train, y_train, x_test, y_test),
    )


def _find(folder: Path, stem: str, axes: int) -> Path | None:
    for name in (f"{stem}-idx{axes}-ubyte", f"{stem}.idx{axes}-ubyte"):
        for suffix in ("", ".gz"):
            for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
                if (place / (name + suffix)).is_file():
                    return place / (name + suffix)
    return None


def _part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)
    if images is None or labels is None:
        lost = f"{part}-images-idx3-ubyte" if images is None else f"{part}-labels-idx1-ubyte"
        raise ValueError(f"{folder} holds no {lost} (or {lost}.gz)")
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) == 0:
        raise ValueError(f"{images} holds no images")
    return x[:, None], labels_of(y, str(labels), len(x))


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The bytes of an idx file with `axes` axes, uint8.

    Raises:
        ValueError: missing, damaged, truncated, or of another kind.
    """
    try:
        opened = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
        with opened as file:
            head = file.read(4 + 4 * axes)
            if head[:4] != bytes([0, 0, _BYTES, axes]) or len(head) != 4 + 4 * axes:
                raise ValueError(
                    f"{path} is no idx file of bytes with {axes} axes (it starts with {head[:4].hex()})"
                )
            shape = tuple(int.from_bytes(head[place : place + 4], "big") for place in range(4, len(head), 4))
            size = int(np.prod(np.array(shape, dtype=object)))
            if size > _LARGEST:
                raise ValueError(f"{path} claims {shape}, more than 2 GiB")
            data = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged or cannot be read ({error}); download it again") from None
    if len(data) != size:
        more = "more" if len(data) > size else f"only {len(data)}"
        raise ValueError(f"{path} is damaged: {size} bytes are required for {shape}, there are {more}")
    return np.frombuffer(data, np.uint8).reshape(shape).copy()
