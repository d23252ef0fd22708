"""Proofs at single levels and distances for l2-radial noise, as accurate as tables of steps need: h(t, e) = m + exp(-t)·(1/2 - M)."""

from __future__ import annotations

import math

import numpy as np
from flint import arb
from scipy.special import ndtri

from derive.enclosure.radial import RadialDensity
from derive.enclosure.witness import LevelSet, Witness

COARSE = -44
"""Panels err by 2**-(62 + COARSE) of the smaller of p and 1/2 - p, which leaves a hundred of them below 2**-11 of what steps lose."""
BASE = -16
"""Of the law that rates are taken from."""
_CLASS = 6
_RATIO, _FIRST, _PLACES = 1.17, 0.01, 400
_DEEPEST = 8.6


class BallSet:
    """The level sets of one l2-radial, unimodal density in one dimension."""

    def __init__(self, density: RadialDensity, dim: int) -> None:
        self.density, self.dim = density, dim
        self.base = LevelSet(density, dim, BASE)
        self._laws: dict[int, LevelSet] = {}

    def proof(self, witness: Witness, p: float) -> tuple[arb, arb]:
        """h(t, e) and M, accurate enough for h near p; R(1 - p') ≥ e for every p' ≤ h, whatever t is."""
        bits = COARSE + _CLASS * math.ceil(-math.log2(min(p, 0.5 - p)) / _CLASS)
        if bits not in self._laws:
            self._laws[bits] = LevelSet(self.density, self.dim, bits)
        moved, own = self._laws[bits].masses(witness)
        return own + (-witness.level).exp() * (0.5 - moved), moved

    def trace(self) -> list[tuple[float, float, float, float]]:
        """(normal quantile of rho, distance, level, -dM/dt) with M = 1/2, nearly, from small distances to rho = 1 - 2**-53; nothing proved."""
        floats, rows = self.base.floats, []
        distance = _FIRST * math.exp(floats.mode) / math.sqrt(self.dim)
        level = 0.5 * _FIRST**2
        for _ in range(_PLACES):
            level = floats.middle_level(distance, level)
            if not math.isfinite(level):
                break
            z = -float(ndtri(max(floats.side(level, distance, -1)[0], 1e-300)))
            if z > 0 and level > 0 and np.isfinite(z):
                rows.append((z, distance, level, -floats.side(level, distance, 1)[1]))
            if z > _DEEPEST:
                break
            distance, level = distance * _RATIO, level * _RATIO**2
        return rows
