"""The sets that maximise the derivative of the measure under a shift, and the radius curves they give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.special as sc

from generated.special.arguments import Array, require
from generated.special.curve import RadiusCurve, curve_from_nodes
from generated.special.gamma import GammaLaw

NODES = 16384
"""Nodes of a curve; between two of them a tangent loses less than 2e-10 relative, always downwards."""

LATTICE_LIMIT = 10_000_000
"""Largest dimension of a binomial curve: its construction takes time and memory proportional to the dimension."""


@dataclass(frozen=True)
class GreedySet:
    """The sets that maximise the derivative of the measure: {A = 1, score(r) ≥ c}, P(A = 1) = weight ≤ 1/2.

    score(r) = Σ coefficient · r**exponent, and r follows `law`. The shape of {score ≥ c} follows from Descartes' rule of
    signs for the score's derivative: increasing, decreasing, constant, or falling and then rising.
    """

    weight: float
    law: GammaLaw
    score: tuple[tuple[float, float], ...]

    @property
    def terms(self) -> list[tuple[float, float]]:
        """Terms of the score with equal exponents joined, zeros dropped, by ascending exponent."""
        joined: dict[float, float] = {}
        for coefficient, exponent in self.score:
            joined[exponent] = joined.get(exponent, 0.0) + coefficient
        return sorted(((c, q) for q, c in joined.items() if c != 0.0), key=lambda term: term[1])

    def value(self, r: Array) -> Array:
        return sum(c * r**q for c, q in self.terms)

    @property
    def pattern(self) -> str:
        """Signs of score'(r) from r = 0 to infinity: "", "+", "-" or "-+"; ValueError for any other."""
        signs = ["+" if c * q > 0 else "-" for c, q in self.terms if q != 0.0]
        pattern = "".join(s for n, s in enumerate(signs) if n == 0 or signs[n - 1] != s)
        require(
            pattern in ("", "+", "-", "-+"),
            f"the score's derivative changes sign as {pattern}: no greedy set for it",
        )
        return pattern

    def mean(self) -> float:
        """E[score] (all of the cone): Phi between the cone's mass and 1/2 is weight · mean."""
        require(all(c > 0 for c, _ in self.terms), "the score must be positive")
        shapes = [self.law.shifted(q) for _, q in self.terms]
        require(
            min(shapes) > 0.0, "the mean score is infinite: the differential method certifies nothing here"
        )
        return math.fsum(c * self.law.moment(q) for c, q in self.terms)

    def _partner(self, r: np.ndarray, lowest: float, to_left: bool) -> np.ndarray:
        """The other radius with the same score, by bisection in log r (falling-rising scores)."""
        target = self.value(r)
        low = np.full_like(r, math.log(lowest) - 800.0 if to_left else math.log(lowest))
        high = np.full_like(r, math.log(lowest) if to_left else math.log(lowest) + 800.0)
        with np.errstate(over="ignore"):
            for _ in range(70):
                middle = 0.5 * (low + high)
                above = (self.value(np.exp(middle)) >= target) == to_left
                low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.exp(np.minimum(0.5 * (low + high), 700.0))

    def curve(self) -> RadiusCurve:
        """The radius curve of this cone, at scale 1; ValueError where its numbers leave the range of floats."""
        with np.errstate(all="ignore"):
            return self._curve()

    def _curve(self) -> RadiusCurve:
        mean, tails = self.mean(), 2.0 * sc.ndtr(-8.7 * (np.arange(1, NODES) / NODES) ** 2.5)
        if self.pattern == "":
            y, share, slope = tails, tails * mean, np.full_like(tails, mean)
        else:
            y, share, slope = self._greedy(tails)
        order = np.argsort(-y, kind="stable")
        y, share, slope = (a[order] for a in (y, share, slope))
        sound = np.isfinite(y) & np.isfinite(share) & np.isfinite(slope) & (share > 0.0)
        require(
            int(sound.sum()) > NODES // 16,
            f"the growth leaves the range of floats at these parameters: {self}",
        )
        y, share, slope = y[sound], share[sound], slope[sound]
        keep = np.concatenate([[True], np.diff(y) < -1e-13 * y[1:]]) & (y < 1.0 - 1e-13) & (y > 0.0)
        p = self.weight * np.concatenate([[1.0], y[keep]])
        phi = self.weight * np.concatenate([[mean], share[keep]])
        slope = np.concatenate([[mean if self.pattern == "" else self.floor()], slope[keep]])
        if self.weight < 0.5:  # beyond the cone the score is 0: Phi is flat up to 1/2
            p, phi, slope = (np.concatenate([[a], b]) for a, b in ((0.5, p), (phi[0], phi), (0.0, slope)))
        return curve_from_nodes(p, phi, slope)

    def floor(self) -> float:
        """The smallest score inside the cone (its limit), the slope of Phi just below the cone's mass."""
        if self.pattern == "-+":
            return float(self.value(np.float64(self.lowest())))
        end = self.terms[0] if self.pattern == "+" else self.terms[-1]
        constant = sum(c for c, q in self.terms if q == 0.0)
        return end[0] if end[1] == 0.0 else constant

    def lowest(self) -> float:
        """Where a falling-rising score is smallest, by bisection on the sign of its derivative."""
        low, high = -800.0, 800.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            with np.errstate(over="ignore"):
                derivative = sum(c * q * np.exp(middle * q) for c, q in self.terms if q != 0.0)
            low, high = (middle, high) if derivative < 0 else (low, middle)
        return math.exp(0.5 * (low + high))

    def _greedy(self, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(P(score ≥ c), E[score; score ≥ c], c) given A = 1, at thresholds c that reach the given tails."""
        law, terms = self.law, self.terms
        moments = [c * law.moment(q) for c, q in terms]
        if self.pattern == "+":
            r = law.upper_quantile(tails)
            share = sum(m * law.upper(q, r) for m, (_, q) in zip(moments, terms, strict=True))
            return law.upper(0.0, r), share, self.value(r)
        if self.pattern == "-":
            r = law.quantile(tails)
            share = sum(m * law.lower(q, r) for m, (_, q) in zip(moments, terms, strict=True))
            return law.lower(0.0, r), share, self.value(r)
        lowest = self.lowest()
        right, left = law.upper_quantile(tails), law.quantile(tails)
        right, left = right[right > lowest], left[(left < lowest) & (left > 0.0)]
        outer = np.concatenate([right, self._partner(left, lowest, False)])
        inner = np.concatenate([self._partner(right, lowest, True), left])
        share = sum(
            m * (law.upper(q, outer) + law.lower(q, inner)) for m, (_, q) in zip(moments, terms, strict=True)
        )
        return (
            law.upper(0.0, outer) + law.lower(0.0, inner),
            share,
            np.minimum(self.value(outer), self.value(inner)),
        )


@lru_cache(maxsize=64)
def cone_curve(greedy: GreedySet) -> RadiusCurve:
    """The radius curve of a cone, built once per parameter set and dimension."""
    return greedy.curve()


@lru_cache(maxsize=64)
def binomial_curve(dim: int, slope: float) -> RadiusCurve:
    """The radius curve of the score slope · (2 Bin(dim, 1/2) - dim), exactly piecewise linear in p."""
    require(dim <= LATTICE_LIMIT, f"this radius is computed up to dimension {LATTICE_LIMIT}, not {dim}")
    count = np.arange((dim + 1) // 2, dim + 1, dtype=np.float64)  # the half with score ≥ 0
    with np.errstate(under="ignore"):
        mass = np.concatenate([[1.0], np.cumprod((dim - count[:-1]) / (count[:-1] + 1.0))])
    total = 2.0 * mass.sum() - (mass[0] if dim % 2 == 0 else 0.0)
    mass /= total
    tail = np.cumsum(mass[::-1])[::-1]
    score = slope * (2.0 * count - dim)
    share = np.cumsum((mass * score)[::-1])[::-1]
    keep = (score > 0.0) & (tail > 2.0**-60)
    p, phi, level = tail[keep], share[keep], score[keep]
    # below a knot the next higher score is taken away last: the slope there is the knot's own score
    if dim % 2 == 0:
        p, phi, level = (
            np.concatenate([[0.5], p]),
            np.concatenate([[phi[0]], phi]),
            np.concatenate([[0.0], level]),
        )
    else:
        p[0] = 0.5
    # at most a halving of p from node to node: beyond, the slack at a node would be magnified by the logarithm
    columns: list[list[float]] = [[], [], []]
    for a, s, b, f in zip(p, level, [*p[1:], 0.0], [*phi[1:], 0.0], strict=True):
        for h in range(max(1, math.ceil(math.log2(a / max(b, 2.0**-60))))):
            q = a * 0.5**h
            for column, entry in zip(columns, (q, f + s * (q - b), s), strict=True):
                column.append(float(entry))
    return curve_from_nodes(*(np.array(column) for column in columns), linear=True)
