"""Arrays with a fixed split: scikit-learn's digits, an .npz archive or .npy files of one's own.

Arrays of floats hold [0, 1]; arrays of uint8 hold bytes, k for k/255.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from runtime.data.dataset import MOST_CLASSES, Dataset, classes_of, digest_of, labels_of
from runtime.data.images import ByteImages, Images

_DIGITS_SPLIT_SEED = 20_200_716
_DIGITS_TRAINING = 1297
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


def _plain(path: Path, held: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """One array of an archive; ValueError where it is of Python objects, which are pickles and are not read."""
    try:
        return np.asarray(held[name])
    except ValueError as error:
        raise ValueError(
            f"{path}: array {name} cannot be read ({error}); save images and labels as numbers, not as objects"
        ) from None


def digits() -> Dataset:
    """scikit-learn's handwritten digits, k/16, split for good into 1,297 for training and 500 held out."""
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


def archive(path: Path) -> Dataset:
    """The .npz archive `path`: x_train, y_train, x_test, y_test, or x_test and y_test alone; num_classes, if there are more than
    the labels show.

    Raises:
        ValueError: a file that is missing, damaged, lacks an array, or has wrong shapes, labels, or a range other than [0, 1].
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as held:
            missing = [name for name in names if name not in held]
            if missing and missing != list(names[:2]):
                raise ValueError(f"{path} lacks {', '.join(missing)}; it must hold {', '.join(names)}")
            arrays = [_plain(path, held, name) for name in names[len(missing) :]]
            said = _plain(path, held, "num_classes") if "num_classes" in held else None
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as an .npz file: {reason}") from None
    if len(arrays) == 2:
        arrays = [np.zeros((0, *arrays[0].shape[1:]), arrays[0].dtype), np.zeros(0, np.int64), *arrays]
        _check(path, "test", *arrays[2:])
    else:
        _check(path, "train", *arrays[:2])
        _check(path, "test", *arrays[2:])
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise ValueError(
            f"{path}: training inputs {arrays[0].shape[1:]} and test inputs {arrays[2].shape[1:]} differ"
        )
    if said is not None and (said.ndim or said.dtype.kind not in "ui"):
        raise ValueError(f"{path}: num_classes must be one integer, got {said!r}")
    x_train, y_train, x_test, y_test = arrays
    classes = None if said is None else int(said)
    return _dataset(str(path), x_train, y_train, x_test, y_test, classes)


def _check(path: Path, part: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 4 or y.shape != (len(x),) or len(x) == 0:
        raise ValueError(
            f"{path}: x_{part} must be [N, C, H, W] and y_{part} [N] with N >= 1, got {x.shape} and {y.shape}"
        )
    if x.dtype.kind not in "fui" or y.dtype.kind not in "ui" or y.min() < 0:
        raise ValueError(f"{path}: x_{part} must hold numbers and y_{part} integers of at least 0")
    if y.max() >= MOST_CLASSES:
        raise ValueError(
            f"{path}: y_{part} holds the label {y.max()}, labels below {MOST_CLASSES} are required; "
            "number the classes from 0"
        )
    if x.dtype == np.uint8:
        if x.max() <= 1:
            raise ValueError(
                f"{path}: x_{part} holds bytes 0 and 1 alone, which may mean 0 and 1 or 0 and 1/255; "
                "store floats for the former, whole bytes for the latter"
            )
    elif not np.isfinite(x).all() or x.min() < 0.0 or x.max() > 1.0:
        raise ValueError(
            f"{path}: x_{part} spans [{x.min()}, {x.max()}], [0, 1] is required; "
            "for [0, 255] divide by 255 or store uint8: sigma is in input units"
        )


def _images(array: np.ndarray) -> tuple[np.ndarray, Images]:
    """The array as it is digested, and as images."""
    if array.dtype == np.uint8:
        return array, ByteImages(array)
    floats = np.ascontiguousarray(array, dtype="<f4")
    return floats, torch.from_numpy(floats.copy())


def _dataset(
    name: str,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    num_classes: int | None = None,
) -> Dataset:
    (train, train_images), (test, test_images) = _images(x_train), _images(x_test)
    y_train, y_test = (np.ascontiguousarray(part, dtype="<i8") for part in (y_train, y_test))
    digest = digest_of(train, y_train, test, y_test)
    shown = classes_of(name, y_train, y_test)
    if num_classes is not None and not shown <= num_classes <= MOST_CLASSES:
        raise ValueError(f"{name}: num_classes = {num_classes} does not cover the label {shown - 1}")
    labels = (torch.from_numpy(part.copy()) for part in (y_train, y_test))
    return Dataset(name, train_images, next(labels), test_images, next(labels), num_classes or shown, digest)


def arrays(text: str) -> Dataset:
    """Held-out images and labels from two .npy files, "IMAGES.npy,LABELS.npy"; images are mapped, not read at once.

    Images are uint8 or float [N, C, H, W], or uint8 [N, H, W, C] with 1 or 3 channels.

    Raises:
        ValueError: files that are missing or damaged, wrong shapes or types.
    """
    paths = [Path(part) for part in text.split(",")]
    if len(paths) != 2:
        raise ValueError(f"npy: needs two files, as npy:IMAGES.npy,LABELS.npy, got {text!r}")
    try:
        images = np.load(paths[0], mmap_mode="r", allow_pickle=False)
        labels = np.load(paths[1], allow_pickle=False)
    except (*_UNREADABLE, ValueError) as error:
        raise ValueError(f"{text} cannot be read as .npy files: {error or type(error).__name__}") from None
    if images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"{paths[0]} must be [N, C, H, W] with N >= 1, got {images.shape}")
    given = labels_of(labels, str(paths[1]), len(images))
    _check(paths[0], "test", images, given)
    empty = np.zeros((0, *images.shape[1:]), images.dtype)
    return _dataset(f"npy:{text}", empty, np.zeros(0, np.int64), images, given)
