"""Architectures by name, and the architecture whose weights a state dict holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from runtime.models.residual import cifar_resnet20, cifar_resnet110, imagenet_resnet50
from runtime.models.small import Shape, cnn, mlp
from runtime.models.wide import wide_resnet40_2

_BUILDERS: dict[str, Callable[[Shape, int], nn.Module]] = {
    "cnn": cnn,
    "mlp": mlp,
    "cifar_resnet20": cifar_resnet20,
    "cifar_resnet110": cifar_resnet110,
    "wide_resnet40_2": wide_resnet40_2,
    "imagenet_resnet50": imagenet_resnet50,
}
ARCHITECTURES: tuple[str, ...] = tuple(_BUILDERS)
_COUNTER = (
    "num_batches_tracked"  # of batch norm; files written before torch 0.4.1 lack it, and it decides nothing
)


def build_model(architecture: str, shape: Shape, num_classes: int, seed: int = 0) -> nn.Module:
    """A fresh network.

    Args:
        architecture: one of `ARCHITECTURES`.
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


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith(_COUNTER)}


def _outputs(state: Mapping[str, torch.Tensor]) -> int:
    """Rows of the last matrix: the number of classes of every architecture here."""
    rows = [int(value.shape[0]) for value in state.values() if value.ndim == 2]
    return rows[-1] if rows else 0


def recognised(state: Mapping[str, torch.Tensor], shape: Shape) -> tuple[str, int] | None:
    """The architecture that has exactly these weights, with its number of classes; None for none.

    Args:
        state: names without a prefix, e.g. "conv1.weight".
        shape: [C, H, W] of one input.
    """
    classes, wanted = _outputs(state), _shapes(state)
    if classes < 2:
        return None
    for architecture, builder in _BUILDERS.items():
        with torch.device("meta"):
            model = builder(shape, classes)
        if _shapes(model.state_dict()) == wanted:
            return architecture, classes
    return None
