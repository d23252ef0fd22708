"""How far a hockey-stick curve can bend below its chords as the shift grows.

Let q be a log-concave product density, q_e its shift by e·(1, …, 1), and delta_e(a) = sup over sets U of q_e(U) - a·q(U). For smooth q,
d²q_e(U)/de² = ∫_U (S² - Σ psi''(x_i)) q_e ≥ -d·E psi'' = -d·I, S the score and I the Fisher information of a coordinate: S² ≥ 0 and psi'' ≥ 0.
So every e ↦ q_e(U) + d·I·e²/2 is convex, and so is their supremum, delta_e(a) + d·I·e²/2, in e. For other q of finite I the same
follows from q * N(0, s²), which is log-concave, of no more information and tends to q in L1 as s → 0.

Where I is infinite or its tail not enclosed, psi is replaced beyond a place c by its tangent there: q only grows, by the share `excess`
of its mass in all d coordinates, and the chord of the larger curve is at most `excess` above that of delta.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx

from derive.composition.coordinate import PRECISION, Coordinate, float_above

BEYOND = 1e-14
"""Mass beyond the places c, of all coordinates together, about."""
PLACES = 2000


@dataclass(frozen=True)
class Bend:
    """delta_e(a) ≤ chord + curvature/2·(e - e1)·(e2 - e) between shifts e1 and e2, `excess` added to both ends of the chord; doubles."""

    curvature: float
    excess: float

    def __post_init__(self) -> None:
        if not (0.0 < self.curvature < math.inf and 0.0 <= self.excess < 1e-6):
            raise ArithmeticError("the information of a coordinate could not be enclosed")


def bend(law: Coordinate, dim: int) -> Bend:
    """The bend of dim coordinates, both numbers rounded up; ArithmeticError where the score is 0 throughout."""
    before, ctx.prec = ctx.prec, PRECISION
    try:
        last = law.reach(BEYOND / dim)
        at = arb(last)
        slope, height = law.score(at), law.density(at)
        if not bool(slope > 0):
            raise ArithmeticError("the tail of a coordinate could not be bounded")
        total = slope.upper() * height  # past the last place the score stays that of the tangent
        left = law.density(arb(0))
        for x in _places(last, law.end):
            right = law.density(arb(x))
            # ∫ psi'²·q ≤ psi'(right end)·∫ psi'·q
            total += law.score(arb(x)).upper() * (left - right)
            left = right
        added = (height / slope - (law.half - law.mass(at))).max(arb(0)) / law.half
        grown = dim * added.log1p()
        return Bend(
            float_above(dim * (total / law.half) * grown.exp()), float_above(grown.expm1().max(arb(0)))
        )
    finally:
        ctx.prec = before


def _places(last: float, end: float) -> np.ndarray:
    """Ascending, the last one `last`; close together towards a bound that is near."""
    even = last * np.arange(1, PLACES + 1) / PLACES
    near = end - np.geomspace(end, max(end - last, 1e-16 * end), PLACES)
    inside = np.concatenate([even, near])
    return np.unique(np.append(inside[(inside > 0) & (inside < last)], last))
