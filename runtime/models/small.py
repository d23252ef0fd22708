"""Small networks for small images: a convolutional one and a multilayer perceptron."""

from __future__ import annotations

from torch import nn

Shape = tuple[int, int, int]
"""[C, H, W] of one input."""


def cnn(shape: Shape, num_classes: int) -> nn.Module:
    """Two convolutions and two linear layers, for inputs of any shape [C, H, W]."""
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


def mlp(shape: Shape, num_classes: int) -> nn.Module:
    """Three linear layers, for inputs of any shape [C, H, W]."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * width, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, num_classes),
    )
