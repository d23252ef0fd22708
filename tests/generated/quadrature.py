"""Differential radii of noise ∝ m^-j·exp(-m^k), m = max|x|, by quadrature in twenty-five digits.

Against l1 the score of a shift along a coordinate is ±ψ'(m) when that coordinate is the largest
(odds 1/(2d) each way), against linf it is ±ψ'(m) with equal odds; ψ'(m) = j/m + k·m^(k-1). With t =
m^k, t follows the Gamma law of shape a = (d-j)/k, ψ' = j·t^(-1/k) + k·t^(1-1/k), and the mean of a
power t^s over a set is Γ(a+s)/Γ(a) times the set's mass under the Gamma law of shape a+s. The
greedy set {ψ' >= c} is t above a boundary (j = 0, k >= 1), below one (k <= 1), or outside two (j >
0, k > 1). R = ∫ dp/Φ is taken with the logarithm of a boundary as the variable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp

PLACES = 25


def _bisect(holds: Callable[[Any], bool], low: Any, high: Any) -> Any:
    """The place where ``holds`` turns from true to false between low and high."""
    for _ in range(PLACES * 4):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True)
class Cone:
    """One cone of the level sets: its mass ``weight``, the dimension, and the exponents k and j."""

    dim: int
    k: Any
    j: Any
    weight: Any

    @property
    def shape(self) -> Any:
        """Shape a of the Gamma law of t."""
        return (self.dim - self.j) / self.k

    def score(self, x: Any) -> Any:
        """ψ' at t = e^x."""
        return self.j * mp.exp(-x / self.k) + self.k * mp.exp(x * (1 - 1 / self.k))

    def slope(self, x: Any) -> Any:
        """dψ'/dx."""
        return -self.j / self.k * mp.exp(-x / self.k) + (self.k - 1) * mp.exp(x * (1 - 1 / self.k))

    def mass(self, low: Any, high: Any, power: Any = 0) -> Any:
        """E[t^power; low <= log t <= high] / E[t^power]."""
        bottom = mp.mpf(0) if low == -mp.inf else mp.exp(low)
        top = mp.inf if high == mp.inf else mp.exp(high)
        if bottom == 0 and top == mp.inf:
            return mp.mpf(1)
        return mp.gammainc(self.shape + power, bottom, top, regularized=True)

    def total(self, pieces: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        """(P, E[ψ']) over a union of intervals of log t."""
        mass = sum(self.mass(*piece) for piece in pieces)
        rise = mp.mpf(0)
        for factor, power in ((self.j, -1 / self.k), (self.k, 1 - 1 / self.k)):
            if factor != 0:
                mean = mp.gamma(self.shape + power) / mp.gamma(self.shape)
                rise += factor * mean * sum(self.mass(*piece, power) for piece in pieces)
        return mass, rise

    def density(self, x: Any) -> Any:
        """Density of log t."""
        return mp.exp(self.shape * x - mp.exp(x) - mp.loggamma(self.shape))

    def beyond(self, share: Any) -> Any:
        """∫ dp/Φ from share·weight to weight."""
        far = mp.log(self.shape + 200 + 20 * mp.sqrt(self.shape))
        near = -80 / self.shape - 2
        if self.j == 0 and self.k >= 1:
            edge = _bisect(lambda x: self.mass(x, mp.inf) > share, near, far)
            return self._integral(near, edge, lambda x: [(x, mp.inf)], lambda x: self.density(x))
        if self.k <= 1:
            edge = _bisect(lambda x: self.mass(-mp.inf, x) < share, near * 3, far)
            return self._integral(edge, far, lambda x: [(-mp.inf, x)], lambda x: self.density(x))
        turn = mp.log(self.j / (self.k * (self.k - 1)))

        def left(x: Any) -> Any:
            target, gap = self.score(x), x - turn
            y = turn - gap
            while self.score(y) < target:
                y = turn - 2 * (turn - y)
            for _ in range(
                200
            ):  # Newton from outside: the score is convex there, so this converges from below
                change = (self.score(y) - target) / self.slope(y)
                y -= change
                if abs(change) <= mp.eps * 1000 * (1 + abs(y)):
                    break
            return y

        def pieces(x: Any) -> list[tuple[Any, Any]]:
            return [(-mp.inf, left(x)), (x, mp.inf)]

        def step(x: Any) -> Any:
            y = left(x)
            return self.density(x) + self.density(y) * self.slope(x) / abs(self.slope(y))

        def above(x: Any) -> Any:
            return sum(self.mass(*piece) for piece in pieces(x)) > share

        far = turn + 1
        while above(far):
            far = turn + 2 * (far - turn)
        edge = _bisect(above, turn, far)
        return self._integral(turn, edge, pieces, step)

    def _integral(
        self, low: Any, high: Any, pieces: Callable[[Any], list[tuple[Any, Any]]], step: Any
    ) -> Any:
        """∫ step/E[ψ'] over the boundary (the weight cancels), in panels around the bulk of the law."""
        centre, width = mp.log(self.shape), 1 / mp.sqrt(self.shape)
        cuts = {centre + n * width for n in (-20, -8, -4, -2, -1, 0, 1, 2, 4, 8)}
        cuts |= {low + (high - low) * n / 6 for n in range(1, 6)}
        points = [low, *sorted(x for x in cuts if low < x < high), high]
        return mp.quad(
            lambda x: step(x) / self.total(pieces(x))[1], points, method="gauss-legendre", maxdegree=5
        )


def differential_radius(rho: float, dim: int, adversary: str, k: float, j: float = 0.0) -> Any:
    """The radius at unit scale, at the double ``rho`` > 1/2, against "1" or "inf"."""
    with mp.workdps(PLACES):
        weight = mp.mpf(1) / (2 * dim) if adversary == "1" else mp.mpf(1) / 2
        cone = Cone(dim, mp.mpf(k), mp.mpf(j), weight)
        p = 1 - mp.mpf(rho)
        flat = (mp.mpf(1) / 2 - max(p, weight)) / (weight * cone.total([(-mp.inf, mp.inf)])[1])
        return flat + (cone.beyond(p / weight) if p < weight else 0)
