"""The independent oracle: the growth of a noise at a shift, by the method with the smaller stated error."""

from __future__ import annotations

from collections.abc import Mapping

from tests.properties.densities import DENSITIES, Array
from tests.properties.grid import NODES, growth_by_grid
from tests.properties.growth import Growth
from tests.properties.monte_carlo import growth_by_sampling

GOOD_ENOUGH = 2e-3  # a grid with a larger stated error competes with sampling


def growth(
    family: str,
    shift: Array,
    p: float,
    *,
    scale: float = 1.0,
    params: Mapping[str, float] | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> Growth:
    """sup { q(U - shift) : q(U) = p } for noise scale·Z, Z the family's unit-scale law.

    A change of units by ``scale`` maps the noise to Z and the shift to shift/scale; masses stay.
    """
    density = DENSITIES[family](shift.size, **(params or {}))
    unit = shift / scale
    grid = growth_by_grid(density, unit, p) if shift.size in NODES else None
    if grid is not None and grid.error <= GOOD_ENOUGH:
        return grid
    count = samples if samples is not None else min(300_000, 12_000_000 // shift.size)
    sampled = growth_by_sampling(density, unit, p, count, seed)
    return sampled if grid is None or sampled.error < grid.error else grid
