"""Data sets of other packages and of one's own: anything with (image, label) items, and loaders of batches."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from runtime.data.dataset import Dataset, classes_of, digest_of, labels_of
from runtime.data.folders import Processing, processed
from runtime.data.images import Images, LazyImages, scaled


def as_input(image: Any, source: str, processing: Processing | None = None) -> torch.Tensor:
    """One image as float32 [C, H, W] in [0, 1].

    Args:
        image: a Pillow image; a uint8 tensor or array, [C, H, W], [H, W, C] or [H, W], k for k/255; or floats in [0, 1],
            [C, H, W] or [H, W].
        source: named in errors.
        processing: resize and crop, for Pillow images.

    Raises:
        ValueError: another type or shape, NaN, or values outside [0, 1]: an input that was normalised already.
    """
    if hasattr(image, "convert") and hasattr(image, "mode"):
        return scaled(processed(image, processing or Processing(), None, source))
    array = np.asarray(image.detach().cpu() if isinstance(image, torch.Tensor) else image)
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 3 and array.shape[0] not in (1, 3) and array.shape[2] in (1, 3):
        array = array.transpose(2, 0, 1)
    if array.ndim != 3 or (array.dtype != np.uint8 and array.dtype.kind != "f"):
        raise ValueError(f"{source} must be uint8 or float [C, H, W], got {array.dtype} {array.shape}")
    if array.dtype == np.uint8:
        return scaled(np.ascontiguousarray(array))
    if not np.isfinite(array).all() or array.min() < 0.0 or array.max() > 1.0:
        raise ValueError(
            f"{source} spans [{array.min():g}, {array.max():g}], [0, 1] is required; leave normalisation out of the "
            "data set's transform and pass it as --normalise"
        )
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def dataset_from(
    source: Any, name: str, num_classes: int | None = None, processing: Processing | None = None
) -> Dataset:
    """A held-out data set from a DataLoader, a torch Dataset, or any sequence or iterable of (image, label).

    Items of what has a length and indices are made when they are asked for, and must be the same each time; a
    loader or other iterable is read once, into memory, in its order.

    Args:
        source: a `Dataset` is returned as it is.
        name: how it is called.
        num_classes: number of classes; None takes the largest label plus 1.
        processing: resize and crop of Pillow images.

    Raises:
        ValueError: no items, items of another form, bad images or labels.
    """
    if isinstance(source, Dataset):
        return source
    batched = isinstance(source, torch.utils.data.DataLoader)
    lazy = not batched and hasattr(source, "__getitem__") and hasattr(source, "__len__")
    if lazy:
        images, labels, digest = _by_index(source, name, processing)
    else:
        images, labels, digest = _at_once(source, name, processing, batched)
    shown = classes_of(name, labels)
    if num_classes is not None and num_classes < shown:
        raise ValueError(f"{name}: num_classes = {num_classes} does not cover the label {shown - 1}")
    empty = torch.zeros((0, *images.shape[1:]))
    none = torch.zeros(0, dtype=torch.int64)
    return Dataset(name, empty, none, images, torch.from_numpy(labels), num_classes or shown, digest)


def _pair(item: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise ValueError(f"{name}: items must be (image, label), got a {type(item).__name__}")
    return item[0], item[1]


def _by_index(source: Any, name: str, processing: Processing | None) -> tuple[Images, np.ndarray, str]:
    count = len(source)
    if count == 0:
        raise ValueError(f"{name} is empty")
    known = getattr(source, "targets", None)
    labels = (
        known
        if known is not None
        else [_label(_pair(source[index], name)[1], name) for index in range(count)]
    )
    given = labels_of(np.asarray(labels), name, count)

    def make(index: int) -> torch.Tensor:
        return as_input(_pair(source[index], name)[0], f"{name}[{index}]", processing)

    images = LazyImages(count, make)
    if not torch.equal(images[0], images[0]):
        raise ValueError(f"{name}[0] is another image each time; leave random transforms out of the data set")
    digest = hashlib.sha256(f"{name}\x1f{processing}\x1f{digest_of(given)}".encode())
    for index in sorted({0, count // 2, count - 1}):
        digest.update(images[index].numpy().tobytes())
    return images, given, digest.hexdigest()


def _label(value: Any, name: str) -> int:
    found = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)
    if found.ndim or found.dtype.kind not in "ui":
        raise ValueError(f"{name}: a label must be one integer, got {value!r}")
    return int(found)


def _at_once(
    source: Any, name: str, processing: Processing | None, batched: bool
) -> tuple[Images, np.ndarray, str]:
    if not isinstance(source, Iterable):
        raise ValueError(
            f"{name} is a {type(source).__name__}; a DataLoader or Dataset of (image, label) is required"
        )
    images: list[torch.Tensor] = []
    labels: list[int] = []
    for item in source:
        x, y = _pair(item, name)
        rows = list(zip(x, y, strict=True)) if batched else [(x, y)]
        for image, label in rows:
            images.append(as_input(image, f"{name}[{len(images)}]", processing))
            labels.append(_label(label, name))
    if not images:
        raise ValueError(f"{name} is empty")
    if len({tuple(image.shape) for image in images}) > 1:
        raise ValueError(f"{name}: images have different shapes; pass --resize and --crop")
    held, given = torch.stack(images), labels_of(np.array(labels, np.int64), name, len(images))
    return held, given, digest_of(held.numpy(), given)


def from_python(text: str, processing: Processing) -> Dataset:
    """What MODULE:FACTORY returns, as `dataset_from` takes it. Importing MODULE runs it, as `python -m` would.

    Raises:
        ValueError: no such module or function, or it fails.
    """
    module, _, factory = text.rpartition(":")
    try:
        made = getattr(importlib.import_module(module), factory)()
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"dataset python:{text} cannot be made ({type(error).__name__}: {reason})") from None
    return dataset_from(made, f"python:{text}", processing=processing)


def from_package(package: str, text: str, processing: Processing) -> Dataset:
    """The held-out part of a data set of torchvision or timm, NAME:FOLDER; nothing is downloaded.

    Raises:
        ValueError: the package is missing, or it has no such data set there.
    """
    name, _, root = text.partition(":")
    try:
        module = importlib.import_module("torchvision.datasets" if package == "torchvision" else "timm.data")
    except ImportError:
        raise ValueError(
            f"dataset {package}:{text} needs {package}; install it: pip install 'smoothing-radii[vision]'"
        ) from None
    if package == "torchvision" and not hasattr(module, name):
        raise ValueError(f"torchvision has no data set {name}; write torchvision:NAME:FOLDER")
    try:
        made = (
            _torchvision(getattr(module, name), root)
            if package == "torchvision"
            else _timm(module, name, root)
        )
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"dataset {package}:{text} cannot be opened ({type(error).__name__}: {reason})"
        ) from None
    return dataset_from(made, f"{package}:{text}", processing=processing)


def _torchvision(kind: Any, root: str) -> Any:
    known = inspect.signature(kind).parameters
    if "train" in known:
        return kind(root, train=False)
    if "split" in known:
        return kind(root, split="val" if kind.__name__ in ("ImageNet", "Places365", "Imagenette") else "test")
    return kind(root)


def _timm(module: Any, name: str, root: str) -> Any:
    return module.create_dataset(name, root=root, split="validation", is_training=False)
