"""Data sets by name: `--dataset KIND:PATH`."""

from __future__ import annotations

from pathlib import Path

from runtime.data.arrays import archive, arrays, digits
from runtime.data.cifar import cifar10
from runtime.data.dataset import Dataset
from runtime.data.folders import Processing, folder
from runtime.data.items import from_package, from_python
from runtime.data.mnist import mnist

KINDS: tuple[str, ...] = (
    "digits",
    "FILE.npz",
    "npy:IMAGES.npy,LABELS.npy",
    "cifar10:FOLDER or .tar.gz",
    "mnist:FOLDER",
    "imagenet:FOLDER",
    "folder:FOLDER",
    "torchvision:NAME:FOLDER",
    "timm:NAME:FOLDER",
    "python:MODULE:FACTORY",
)
"""What `load_dataset` takes."""


def absolute(name: str) -> str:
    """The name with its paths made absolute, so that a run can be resumed from anywhere."""
    kind, colon, rest = name.partition(":")
    if kind in ("cifar10", "mnist", "imagenet", "folder") and colon:
        return f"{kind}:{Path(rest).resolve()}"
    if kind == "npy" and colon:
        return "npy:" + ",".join(str(Path(part).resolve()) for part in rest.split(","))
    if kind in ("torchvision", "timm") and colon:
        dataset, second, root = rest.partition(":")
        return f"{kind}:{dataset}:{Path(root).resolve()}" if second else name
    return str(Path(name).resolve()) if name.endswith(".npz") else name


def load_dataset(name: str, resize: int | None = None, crop: int | None = None) -> Dataset:
    """The dataset called `name`.

    Args:
        name: one of `KINDS`. An .npz file holds x_test, y_test and perhaps x_train, y_train: images [N, C, H, W] as
            floats in [0, 1] or as uint8 (k for k/255), integer labels.
        resize: shorter side of every image, where images are files or Pillow images; None leaves it.
        crop: side of the middle square taken of it; None takes all.

    Raises:
        ValueError: unknown name; a package that is missing; a file that is missing, damaged, lacks an array, or has wrong
            shapes, labels, or a range other than [0, 1].
    """
    kind, colon, rest = name.partition(":")
    processing = Processing(resize, crop)
    if colon and rest:
        if kind in ("folder", "imagenet"):
            return folder(Path(rest), processing, kind)
        if kind == "python":
            return from_python(rest, processing)
        if kind in ("torchvision", "timm"):
            return from_package(kind, rest, processing)
    if processing != Processing():
        raise ValueError(f"resize and crop are for image files; dataset {name!r} has inputs of a fixed size")
    if name == "digits":
        return digits()
    if colon and rest:
        if kind == "npy":
            return arrays(rest)
        if kind == "cifar10":
            return cifar10(Path(rest))
        if kind == "mnist":
            return mnist(Path(rest))
    if name.endswith(".npz"):
        return archive(Path(name))
    raise ValueError(f"unknown dataset {name!r}; use {', '.join(KINDS)}")
