"""The radius curve of noise uniform on a ball: what its copy shifted by e leaves of it is two caps.

For X uniform on the unit ball, |X_1| has the density f(x) = kappa·(1 - x²)**m, m = (d - 1)/2, and the class is kept at the
distance 2x while P(|X_1| ≤ x) < rho - 1/2. So p = 1/2 - P(|X_1| ≤ x), Phi = -dp/d(2x) = f(x)/2, Phi'(p) = m·x/(1 - x²). Nodes
need P(|X_1| ≤ x) alone: a series of positive terms (Abramowitz and Stegun, 26.5.4 with 15.3.3), arithmetic and one ratio of gamma functions.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.special as sc

from generated.special.arguments import require
from generated.special.curve import RadiusCurve, curve_from_nodes
from generated.special.errors import TRUSTED, UNIT
from generated.special.gamma import gamma_ratio

NODES = 4096
"""Nodes of a curve; between two of them a tangent loses less than 1e-10 relative, always downwards."""
TERMS = 64
"""Terms of the series; each is less than half of the one before, as (m + 3/2)·x² < 3/4 up to the median of |X_1| (asked for below)."""
LARGEST = 2**50
"""Largest dimension: d + 1 and its half are exact, with room."""


def share_within(half: float, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P(|X_1| ≤ x), the density of |X_1| at x), which is proportional to (1 - x²)**half, for (half + 3/2)·x² < 3/4.

    Off by `UNITS` of 2^-53 at most, relative, x as given.
    """
    square = x * x
    require(bool(((half + 1.5) * square < 0.75).all()), "the series is for the inner half of the law")
    top = 2.0 / math.sqrt(math.pi) * gamma_ratio(half + 1.5, half + 1.0, 0.5)
    density = top * np.exp(half * np.log1p(-square))
    total, term = np.ones_like(x), np.ones_like(x)
    for n in range(TERMS):
        term = term * (square * ((half + 1.5 + n) / (1.5 + n)))
        total = total + term
    return density * (1.0 - square) * x * total, density


UNITS = TRUSTED["gamma_ratio"] + TRUSTED["exp"] + 2 * TRUSTED["log1p"] + 8 * TERMS
"""Of `share_within`: five roundings a term and one a sum (all are positive; what is left out is below 2^-60 of the sum), twelve for
the other operations; half·log1p(-x²) is at most 1 in size, so that its 12 units count once."""


def ball_curve(dim: int, bound: float = 1.0) -> RadiusCurve:
    """The l2 radius of noise uniform on the ball of radius `bound` in dimension dim ≥ 1, at scale 1: a proved lower bound.

    ValueError for dimensions above LARGEST.
    """
    require(1 <= dim <= LARGEST, f"this radius is computed up to dimension {LARGEST}, not {dim}")
    half = 0.5 * (dim - 1)
    end = math.sqrt(float(sc.betaincinv(0.5, half + 1.0, 0.5)))
    x = end * (np.arange(1, NODES + 1) / NODES) ** 2
    within, density = share_within(half, x)
    x, density, p = (a[within < 0.5] for a in (x, density, 0.5 - within))
    phi, slope = 0.5 * density, half * x / (1.0 - x * x)
    # dc/dp grows with x: between two nodes it is that of the nearer to 1/2 at least
    bend = half * (1.0 + x * x) / (1.0 - x * x) ** 2 / density
    first = 0.5 * float(share_within(half, np.zeros(1))[1][0])
    p, phi, slope = (np.concatenate([[a], b]) for a, b in ((0.5, p), (first, phi), (0.0, slope)))
    bend = np.concatenate([[half / (2.0 * first)], bend])[:-1]
    # p is off by half of UNITS at most, absolute; as p itself stays what it is, Phi is off by slope times that
    error = UNIT * UNITS * (2.0 + float(np.max(slope / phi)))
    return curve_from_nodes(p, phi / bound, slope / bound, error=error, bend=bend / bound)
