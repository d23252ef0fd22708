"""Differential radii of one-dimensional noise ∝ exp(-psi(|x|)) in many digits, by its level sets {|psi'| ≥ c}.

On a part of the half line where psi' keeps its sign, E[|psi'|; part] is the difference of the density at the ends. So p and Phi
are sums over boundaries, and R = ∫ dp/Phi is taken with the threshold c as the variable, between the extreme values of the score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp


@dataclass(frozen=True)
class Line:
    """`psi` and its derivatives on (0, bound); `turns` are the zeros and extreme points of psi', ascending."""

    psi: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    bend: Callable[[Any], Any]
    turns: tuple[Any, ...]
    bound: Any = mp.inf

    def density(self, x: Any) -> Any:
        return mp.mpf(0) if x == self.bound else mp.exp(-self.psi(x))

    def pieces(self) -> list[tuple[Any, Any]]:
        ends = [mp.mpf(0), *self.turns, self.bound]
        return list(zip(ends[:-1], ends[1:], strict=True))

    def score(self, x: Any) -> Any:
        """|psi'|, with its limits."""
        if x == 0:
            x = mp.mpf(10) ** -60
        if x == self.bound:
            x = mp.mpf(10) ** 60 if x == mp.inf else x * (1 - mp.eps)
        return abs(self.slope(x))

    def boundary(self, piece: tuple[Any, Any], c: Any) -> Any:
        """Where |psi'| = c on a monotone piece, by bisection and Newton's method; None outside its values."""
        a, b = piece
        first, last = self.score(a), self.score(b)
        if not min(first, last) < c < max(first, last):
            return None
        low, high = mp.log(a) if a else mp.mpf(-150), mp.log(b) if b < mp.inf else mp.mpf(150)
        x, value = mp.mpf(0), mp.mpf(0)
        for _ in range(4 * mp.mp.dps):
            middle = (low + high) / 2
            x = mp.exp(middle)
            value = self.score(x)
            if abs(value - c) < mp.mpf(10) ** -4 * c and high - low < mp.mpf(10) ** -4:
                break
            low, high = (middle, high) if (value < c) == (first < last) else (low, middle)
        for _ in range(40):
            step = (self.score(x) - c) / (self.bend(x) * mp.sign(self.slope(x)))
            if not low <= mp.log(x - step) <= high:
                return self.bisected(low, high, c, first < last)
            x -= step
            if abs(step) < 4 * mp.eps * x:
                return x
        return self.bisected(low, high, c, first < last)

    def bisected(self, low: Any, high: Any, c: Any, rising: bool) -> Any:
        for _ in range(4 * mp.mp.dps):
            middle = (low + high) / 2
            low, high = (middle, high) if (self.score(mp.exp(middle)) < c) == rising else (low, middle)
        return mp.exp((low + high) / 2)

    def level_set(self, c: Any) -> list[tuple[Any, Any, Any]]:
        """(from, to, moving boundary or None) of the parts of {|psi'| ≥ c}."""
        parts: list[tuple[Any, Any, Any]] = []
        for a, b in self.pieces():
            x = self.boundary((a, b), c)
            if x is None:
                if self.score(a) >= c and self.score(b) >= c:
                    parts.append((a, b, None))
            else:
                parts.append((x, b, x) if self.score(b) > c else (a, x, x))
        return parts

    def growth(self, parts: list[tuple[Any, Any, Any]]) -> Any:
        """Phi, up to the normaliser of the whole line."""
        return sum(abs(self.density(b) - self.density(a)) for a, b, _ in parts)

    def integrand(self, c: Any) -> Any:
        """-dp/dc / Phi."""
        parts = self.level_set(c)
        rate = sum(self.density(x) / abs(self.bend(x)) for _, _, x in parts if x is not None)
        return rate / self.growth(parts)

    def between(self, low: Any, high: Any) -> Any:
        """The integral over thresholds from low to high; the cosine removes the roots at extreme values of the score."""
        middle, half = (low + high) / 2, (high - low) / 2
        return mp.quad(
            lambda t: self.integrand(middle - half * mp.cos(t)) * half * mp.sin(t), mp.linspace(0, mp.pi, 5)
        )

    def mass(self, parts: list[tuple[Any, Any, Any]]) -> Any:
        return sum(
            mp.quad(self.density, [a, (a + b) / 2, b] if b < mp.inf else [a, a + 1, b]) for a, b, _ in parts
        )

    def radius(self, c: Any) -> tuple[Any, Any]:
        """(p, R(1 - p)) where p is the probability of {A = 1, |psi'| ≥ c}."""
        values = [self.score(x) for piece in self.pieces() for x in piece]
        lowest = min(values)
        stops = [lowest, *sorted({v for v in values if lowest < v < c}), c]
        radius = mp.fsum(self.between(a, b) for a, b in zip(stops[:-1], stops[1:], strict=True))
        return self.mass(self.level_set(c)) / self.whole() / 2, radius

    def whole(self) -> Any:
        return self.mass([(*piece, None) for piece in self.pieces()])
