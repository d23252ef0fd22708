"""Which grid a job's inputs lie on, each noise on it, and what the user should be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch

from runtime.grid import GridNoise, check_denominator, grid_of, numerators
from runtime.noise import Noise

AUTO, NONE = "auto", "none"
_LEAK = (
    "noise is added to floats: what a network reads from the last bits of the sums escapes the certificate "
    "(docs/float-soundness.md)"
)


@dataclass(frozen=True)
class GridChoice:
    """The grid of a job.

    Attributes:
        denominator: q of the grid k/q, None where floats are added to floats.
        noises: the noise of each run on the grid, by the run's name; empty without a grid.
        remarks: what the user should be told, one line each.
    """

    denominator: int | None
    noises: Mapping[str, GridNoise]
    remarks: tuple[str, ...]

    @property
    def setting(self) -> int | str:
        """What to store and to give again on resumption: the denominator, or "none"."""
        return NONE if self.denominator is None else self.denominator

    @property
    def sources(self) -> dict[str, str]:
        """What the integers of each run are drawn from: part of its identity."""
        return {name: noise.source for name, noise in self.noises.items()}


def check_setting(setting: object) -> int | str:
    """The setting itself, when it is "auto", "none" or a denominator in [1, 65535]; ValueError otherwise."""
    if isinstance(setting, str) and setting in (AUTO, NONE):
        return setting
    try:
        return check_denominator(setting)
    except ValueError as error:
        raise ValueError(f"{error}; or auto, or none") from None


def choose_grid(
    setting: int | str, images: Mapping[int, torch.Tensor], noises: Mapping[str, Noise]
) -> GridChoice:
    """The grid that `setting` asks for.

    Args:
        setting: a denominator in [1, 65535], "auto" (the one that holds all inputs, if there is one) or "none".
        images: the inputs to certify, by index; one at a time is asked for, and let go.
        noises: the noises, by name of the run.

    Raises:
        ValueError: another setting, or an input that is not on the grid asked for; the message names it.
    """
    if setting == NONE:
        return GridChoice(None, MappingProxyType({}), (f"the grid is off: {_LEAK}",))
    if setting == AUTO:
        denominator = grid_of(images.values())
        if denominator is None:
            remark = f"the inputs lie on no grid k/q with q up to 65535: {_LEAK}"
            return GridChoice(None, MappingProxyType({}), (remark,))
    else:
        denominator = check_denominator(setting)
        for index, image in images.items():
            try:
                numerators(image, denominator)
            except ValueError as error:
                raise ValueError(f"input {index}: {error}") from None
    on_grid = {name: GridNoise(noise, denominator) for name, noise in noises.items()}
    missing = {noise.missing for noise in on_grid.values() if noise.missing is not None}
    remarks = tuple(
        f"{text}; until then its noise is sampled in float64 and rounded to the grid"
        for text in sorted(missing)
    )
    return GridChoice(denominator, MappingProxyType(on_grid), remarks)
