"""The confidence that a shift of given length needs under ‖x‖₂^-j·exp(-‖x‖₂^k), by Neyman and Pearson, in plain quadrature.

With x = y + v, |v| = e, y of density q at |y| = r: the likelihood ratio q(x - v)/q(x) is at least e^t where ψ(|x|) ≥ ψ(r) + t,
that is |x| ≥ s(r), ψ(s) = ψ(r) + t. On the sphere of radius r that is a cap, and its share W is the tail of a Beta law. The t
with E_r W = 1/2 makes the worst set; its mass under q itself, 1 - E_r W with -t for t, is 1 - ρ. Needs dim ≥ 10 for its digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special as sc
from scipy.optimize import brentq

POINTS = 6001
Array = Any


@dataclass(frozen=True)
class Radial:
    """The density; `shape` is that of the Gamma law of r**k, (dim - j)/k unless a wrong one is asked for."""

    dim: int
    k: float
    j: float
    shape: float

    def nodes(self) -> tuple[Array, Array]:
        """log r, equidistant where its density exceeds e^-90 of its maximum, and the weights: they sum to 1."""
        mode = np.log(self.shape) / self.k

        def log_density(u: Array) -> Array:
            gap = self.k * (u - mode)
            return self.shape * (gap - np.expm1(gap))

        wide = np.linspace(mode - 100.0 / (self.shape * self.k) - 1.0, mode + 7.0 / self.k, 200_001)
        kept = wide[log_density(wide) > -90.0]
        u = np.linspace(kept[0], kept[-1], POINTS)
        weights = np.exp(log_density(u))
        return u, weights / weights.sum()

    def psi(self, u: Array) -> Array:
        return self.j * u + np.exp(self.k * u)

    def level(self, height: Array) -> Array:
        """The radius s with ψ(s) = height; 0 where no radius has so small a height."""
        low, high = np.full_like(height, -300.0), np.full_like(height, 12.0 / min(self.k, 1.0))
        for _ in range(70):
            middle = 0.5 * (low + high)
            below = self.psi(middle) < height
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.exp(low)


def outside(r: Array, s: Array, e: float, dim: int) -> tuple[Array, Array]:
    """Share of the sphere of radius r that lies outside, and inside, the ball of radius s around a point at distance e."""
    half = (dim - 1) / 2
    far = np.clip((r + e - s) * (r + e + s) / (4.0 * e * r), 0.0, 1.0)
    near = np.clip((s - r + e) * (s + r - e) / (4.0 * e * r), 0.0, 1.0)
    return sc.betainc(half, half, far), sc.betainc(half, half, near)


def needed_failure(law: Radial, e: float) -> float:
    """1 - ρ at which the radius is e: every digit of it, however small it is."""
    u, weights = law.nodes()
    r, psi = np.exp(u), law.psi(u)

    def excess(t: float) -> float:
        return float(weights @ outside(r, law.level(psi + t), e, law.dim)[0]) - 0.5

    t = brentq(excess, -400.0, 400.0, xtol=1e-13, rtol=1e-14)
    return float(weights @ outside(r, law.level(psi - t), e, law.dim)[1])
