"""One line about a network and its data before votes are drawn: most mistakes show in it.

A normalisation that is missing or there twice, classes in another order, inputs in [0, 255], or σ in other units all
make the clean accuracy or one of the ranges look wrong.
"""

from __future__ import annotations

import torch

from runtime.data import Dataset
from runtime.data.images import rows_of
from runtime.noise import Noise
from runtime.sampling import Model
from runtime.training import accuracy

INPUTS = 256


def sanity(model: Model, dataset: Dataset, noise: Noise, inputs: int = INPUTS) -> str:
    """The line.

    Args:
        model: maps inputs in [0, 1] to logits.
        dataset: its held-out part is used.
        noise: whose σ is named, in both units.
        inputs: how many held-out inputs, evenly spread over all of them, or all if there are fewer.

    Returns:
        Clean accuracy, range of the inputs, σ in units of [0, 1] and of [0, 255]; a warning where the accuracy is that of
        guessing.
    """
    total = len(dataset.y_test)
    count = min(inputs, total)
    rows = [place * total // count for place in range(count)]
    images, labels = rows_of(dataset.x_test, rows), dataset.y_test[rows]
    share = accuracy(model, images, labels)
    ends = torch.tensor(
        [[float(image.min()), float(image.max())] for image in (images[i] for i in range(count))]
    )
    line = (
        f"clean accuracy {100.0 * share:.1f}% on {count} held-out inputs, inputs in "
        f"[{float(ends[:, 0].min()):g}, {float(ends[:, 1].max()):g}], "
        f"sigma {noise.sigma:g} in units of [0, 1] = {255.0 * noise.sigma:g} in units of [0, 255]"
    )
    if share <= 2.0 / dataset.num_classes and dataset.num_classes > 2:
        line += (
            "; WARNING: close to guessing: check --normalise, the order of the classes, and the checkpoint"
        )
    return line
