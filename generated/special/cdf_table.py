"""Noise on a grid: the thresholds of a density at any scale and denominator, from its cdf table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from generated.special.cdf import MOST, GridThresholds, thresholds
from generated.special.lookup import find_cdf_table

__all__ = ["MOST", "GridThresholds", "grid_thresholds"]


def grid_thresholds(
    name: str,
    spec_hash: str,
    parameters: Mapping[str, float],
    scale: float,
    denominator: int,
    most: int = MOST,
) -> GridThresholds:
    """Thresholds of a product density's coordinate, at this scale, rounded to multiples of 1/denominator.

    name, spec_hash: NAME and SPEC_HASH of the generated module. parameters: all of them, as doubles. The rest, and what
    comes back, as in `thresholds`. MissingTable (a ValueError) in one line with the command where the table is missing.
    Kept for calls with the same arguments; arrays are read-only.
    """
    return _thresholds(name, spec_hash, tuple(sorted(parameters.items())), scale, denominator, most)


@lru_cache(maxsize=32)
def _thresholds(
    name: str, spec_hash: str, parameters: tuple[tuple[str, float], ...], scale: float, denominator: int, most: int
) -> GridThresholds:  # fmt: skip
    return thresholds(find_cdf_table(name, spec_hash, dict(parameters)), scale, denominator, most)
