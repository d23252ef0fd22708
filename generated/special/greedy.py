"""The sets that maximise the derivative of the measure under a shift, and the radius curves they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.special as sc

from generated.special.arguments import Array, require
from generated.special.curve import RadiusCurve, curve_from_nodes
from generated.special.errors import TRUSTED, UNIT
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
        bounds: dict[str, np.ndarray] = {}
        if self.pattern == "":
            y, share, slope = tails, tails * mean, np.full_like(tails, mean)
        else:
            y, share, slope, bounds = self._greedy(tails)
        order = np.argsort(-y, kind="stable")
        y, share, slope = (a[order] for a in (y, share, slope))
        sound = np.isfinite(y) & np.isfinite(share) & np.isfinite(slope) & (share > 0.0)
        require(
            int(sound.sum()) > NODES // 16,
            f"the growth leaves the range of floats at these parameters: {self}",
        )
        y, share, slope, order = y[sound], share[sound], slope[sound], order[sound]
        keep = np.concatenate([[True], np.diff(y) < -1e-13 * y[1:]]) & (y < 1.0 - 1e-13) & (y > 0.0)
        bounds = {side: r[order[keep]] for side, r in bounds.items()}
        p = self.weight * np.concatenate([[1.0], y[keep]])
        phi = self.weight * np.concatenate([[mean], share[keep]])
        slope = np.concatenate([[mean if self.pattern == "" else self.floor()], slope[keep]])
        bend = np.concatenate([[0.0], self._bend(bounds)]) / self.weight if bounds else np.zeros(p.size - 1)
        if self.weight < 0.5:  # beyond the cone the score is 0: Phi is flat up to 1/2
            p, phi, slope = (np.concatenate([[a], b]) for a, b in ((0.5, p), (phi[0], phi), (0.0, slope)))
            bend = np.concatenate([[0.0], bend])
        return curve_from_nodes(p, phi, slope, error=self._error(bounds), bend=bend)

    def _error(self, bounds: Mapping[str, np.ndarray]) -> float:
        """Relative error of p, Phi and the threshold at the nodes.

        A node is the set of t = rate·r**power beyond the double that was computed for it, so p and Phi belong to one set. What differs:
        the incomplete gamma functions and their shapes, the moments, the threshold, and the scores at the two ends of two-sided sets.
        """
        law = self.law
        units = float(TRUSTED["gammainc"] + TRUSTED["gamma_ratio"] + 64)
        for _, q in self.terms:
            ratio = abs(q) / law.power
            units += 2.0 * ratio * (abs(math.log(law.rate)) + 2.0 * TRUSTED["pow"])
        for q in (0.0, *(q for _, q in self.terms)) if bounds else ():
            changes = {side: law.sensitivity(q, r, upper=side == "outer") for side, r in bounds.items()}
            if len(bounds) == 1:
                (worst,) = changes.values()
            else:
                outer, inner = law.upper(q, bounds["outer"]), law.lower(q, bounds["inner"])
                parts = ((changes["outer"], outer), (changes["inner"], inner))
                total = np.maximum(outer + inner, 1e-300)  # a term without mass says nothing
                worst = sum(np.where(m > 0.0, change * m, 0.0) for change, m in parts) / total
            units += 3.0 * float(np.max(worst))  # a shape is rounded twice at most
        if len(bounds) == 2:  # a set whose ends have scores c·(1 ± e) misses at most e·c of each unit of mass
            outer, inner = (self.value(bounds[side]) for side in ("outer", "inner"))
            units += float(np.max(np.abs(outer - inner) / np.minimum(outer, inner))) / UNIT
        return units * UNIT

    def _bend(self, bounds: Mapping[str, np.ndarray]) -> np.ndarray:
        """Lower bounds of -Phi'' for weight 1 between neighbouring nodes (the first is the whole cone's): 1/Σ f_t/|dc/dt|."""
        total: np.ndarray | float = 0.0
        for r in bounds.values():
            low, high = np.minimum(r[:-1], r[1:]), np.maximum(r[:-1], r[1:])
            rise, fall = (
                np.zeros_like(low),
                np.zeros_like(low),
            )  # |t·dc/dt|: each term at the end that makes the sum least
            for c, q in self.terms:
                a, ends = c * q / self.law.power, (low**q, high**q)
                rise = rise + np.minimum(a * ends[0], a * ends[1])
                fall = fall + np.minimum(-a * ends[0], -a * ends[1])
            total = total + self.law.largest_density(low, high) / np.maximum(np.maximum(rise, fall), 0.0)
        return np.nan_to_num(1.0 / np.asarray(total), nan=0.0, posinf=0.0)

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

    def _greedy(self, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """(P(score ≥ c), E[score; score ≥ c], c, the sets' ends) given A = 1, at thresholds c that reach the given tails."""
        law, terms = self.law, self.terms
        moments = [c * law.moment(q) for c, q in terms]
        if self.pattern == "+":
            r = law.upper_quantile(tails)
            share = sum(m * law.upper(q, r) for m, (_, q) in zip(moments, terms, strict=True))
            return law.upper(0.0, r), share, self.value(r), {"outer": r}
        if self.pattern == "-":
            r = law.quantile(tails)
            share = sum(m * law.lower(q, r) for m, (_, q) in zip(moments, terms, strict=True))
            return law.lower(0.0, r), share, self.value(r), {"inner": r}
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
            {"outer": outer, "inner": inner},
        )


@lru_cache(maxsize=64)
def cone_curve(greedy: GreedySet) -> RadiusCurve:
    """The radius curve of a cone, built once per parameter set and dimension."""
    return greedy.curve()


@lru_cache(maxsize=64)
def binomial_curve(dim: int, slope: float) -> RadiusCurve:
    """The radius curve of the score slope · (2 Bin(dim, 1/2) - dim), exactly piecewise linear in p."""
    require(dim <= LATTICE_LIMIT, f"this radius is computed up to dimension {LATTICE_LIMIT}, not {dim}")
    # the half with score ≥ 0, up to 16 standard deviations: beyond lies less than 2^-180 of the law
    last = min(dim, dim // 2 + math.ceil(8.0 * math.sqrt(dim)) + 8)
    count = np.arange((dim + 1) // 2, last + 1, dtype=np.float64)
    mass = np.concatenate([[1.0], np.cumprod((dim - count[:-1]) / (count[:-1] + 1.0))])
    total = 2.0 * mass.sum() - (mass[0] if dim % 2 == 0 else 0.0)
    mass /= total
    tail = np.cumsum(mass[::-1])[::-1]
    score = slope * (2.0 * count - dim)
    share = np.cumsum((mass * score)[::-1])[::-1]
    # IEEE arithmetic alone: the n-th mass is a product of n quotients, and all that is summed is positive
    error = (16.0 * count.size + 64.0) * UNIT
    keep = (score > 0.0) & (tail > 2.0**-60)
    below, fallen = np.append(tail[1:], 0.0)[keep], np.append(share[1:], 0.0)[keep]
    p, phi, level = tail[keep], share[keep], score[keep]
    # below a knot the next higher score is taken away last: the slope there is the knot's own score
    if dim % 2 == 0:
        p, phi, level, below, fallen = (
            np.concatenate([[first], column])
            for first, column in (
                (0.5, p),
                (phi[0], phi),
                (0.0, level),
                (p[0], below),
                (phi[0], fallen),
            )
        )
    else:
        p[0] = 0.5
    # at most a halving of p from node to node: beyond, the slack at a node would be magnified by the logarithm
    columns: list[list[float]] = [[], [], []]
    for a, s, b, f in zip(p, level, below, fallen, strict=True):
        for h in range(max(1, math.ceil(math.log2(a / max(b, 2.0**-60))))):
            q = a * 0.5**h
            for column, entry in zip(columns, (q, f + s * (q - b), s), strict=True):
                column.append(float(entry))
    return curve_from_nodes(*(np.array(column) for column in columns), error=error, linear=True)
