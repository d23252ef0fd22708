"""Normalisation as the first layer of a network, so that noise is added to inputs in [0, 1] and sigma means what it says."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

KNOWN: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mnist": ((0.1307,), (0.3081,)),
}
"""Mean and standard deviation per channel, as published checkpoints use them."""
HELP = "--normalise cifar10, imagenet, mnist, none, or MEANS/DEVIATIONS such as 0.5,0.5,0.5/0.25,0.25,0.25"


class Normalise(nn.Module):
    """x ↦ (x - mean)/deviation per channel, for x [b, C, H, W].

    Args:
        means: mean of each channel, in the units of the input; one value serves all channels.
        deviations: standard deviation of each channel, above 0; as many.

    Raises:
        ValueError: different lengths, or values that are not finite and positive.
    """

    def __init__(self, means: Sequence[float], deviations: Sequence[float]) -> None:
        super().__init__()
        finite = all(math.isfinite(value) for value in (*means, *deviations))
        if not means or len(means) != len(deviations) or not finite or min(deviations) <= 0.0:
            raise ValueError(
                "normalisation needs as many finite means as positive deviations, "
                f"got {list(means)} and {list(deviations)}"
            )
        self.register_buffer("means", torch.tensor(means, dtype=torch.float32), persistent=False)
        self.register_buffer("deviations", torch.tensor(deviations, dtype=torch.float32), persistent=False)

    @property
    def channels(self) -> int:
        """Number of channels; 1 serves any number."""
        return len(self.get_buffer("means"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = self.get_buffer("means").to(x.dtype).view(1, -1, 1, 1)
        return (x - means) / self.get_buffer("deviations").to(x.dtype).view(1, -1, 1, 1)


def parse_normalisation(text: str) -> Normalise | None:
    """The layer that `text` names; None for "none".

    Args:
        text: "none", a name of `KNOWN`, or means and deviations as "0.5,0.5,0.5/0.25,0.25,0.25".

    Raises:
        ValueError: neither of them; the message says what can be passed.
    """
    if text == "none":
        return None
    if text in KNOWN:
        return Normalise(*KNOWN[text])
    parts = text.split("/")
    try:
        means, deviations = ([float(value) for value in part.split(",")] for part in parts)
    except ValueError:
        raise ValueError(f"normalisation {text!r} is not known; pass {HELP}") from None
    return Normalise(means, deviations)
