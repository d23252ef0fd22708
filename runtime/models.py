"""Small networks for small images, built from a name: a convolutional one and a multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Shape = tuple[int, int, int]


def _cnn(shape: Shape, num_classes: int) -> nn.Module:
    channels, height, width = shape
    reduced = ((height + 1) // 2) * ((width + 1) // 2)
    return nn.Sequential(
        nn.Conv2d(channels, 24, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(24, 48, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(48 * reduced, 96),
        nn.ReLU(),
        nn.Linear(96, num_classes),
    )


def _mlp(shape: Shape, num_classes: int) -> nn.Module:
    channels, height, width = shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * width, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, num_classes),
    )


_BUILDERS: dict[str, Callable[[Shape, int], nn.Module]] = {"cnn": _cnn, "mlp": _mlp}
ARCHITECTURES: tuple[str, ...] = tuple(_BUILDERS)


def build_model(architecture: str, shape: Shape, num_classes: int, seed: int = 0) -> nn.Module:
    """A fresh network.

    Args:
        architecture: "cnn" or "mlp".
        shape: [C, H, W] of one input, each at least 1.
        num_classes: width of the logits, at least 2.
        seed: decides the initial weights; the global random state is left as it was.

    Returns:
        A module that maps [b, C, H, W] to logits [b, num_classes].

    Raises:
        ValueError: unknown architecture, bad shape or number of classes.
    """
    builder = _BUILDERS.get(architecture)
    if builder is None:
        raise ValueError(f"unknown architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}")
    if len(shape) != 3 or min(shape) < 1 or num_classes < 2:
        raise ValueError(
            f"a network needs a shape (C, H, W) and 2 classes or more, got {shape} and {num_classes}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder(shape, num_classes)
