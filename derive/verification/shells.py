"""Neyman–Pearson growth of unimodal radial densities along a vertex (or, for l2, any direction), by quadrature.

With s = ‖x - v‖ and r = ‖x‖ the likelihood ratio of the shifted law is exp(psi(r) - psi(s)), so its sets are {s ≤ S(r)}, and one
integral over r of the law of s given r gives their mass, another their shifted mass. That law is elementary for
l2 (a sphere's cap), l1 against l1 and linf against linf (one formula), and linf against l1 (faces of a cube).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from derive.verification.frontier import Array, Measured, panel_sums, refined
from derive.verification.oracle import NoOracle, RadialLaw

Chance = Callable[[Array, Array, float], tuple[Array, Array]]
"""(log r, log s - log r, e) -> P(‖x - v‖ ≤ s) and P(‖x - v‖ ≥ s) given ‖x‖ = r, where ‖v‖ = e."""

TAIL = 1e-20  # panels whose mass is less are left out
STEPS = 40
MOST_CORNERS = 100
SLIP = 1e-14  # radii this close (relative) count as equal, where the law of s has atoms


def cap_chance(dim: int) -> Chance:
    """l2: the share of the sphere of radius r inside the ball of radius s around v."""
    a = 0.5 * (dim - 1)

    def chance(u: Array, rise: Array, e: float) -> tuple[Array, Array]:
        r = np.exp(u)
        grow = np.expm1(np.clip(rise, -700.0, 300.0))  # s = r·(1 + grow)
        x = 0.5 * (e / r - grow * (grow + 2.0) * r / e)  # the cosine at which ‖x - v‖ = s
        return (
            special.betainc(a, a, np.clip(0.5 * (1.0 - x), 0.0, 1.0)),
            special.betainc(a, a, np.clip(0.5 * (1.0 + x), 0.0, 1.0)),
        )

    return chance


def sphere_chance(dim: int) -> Chance:
    """l1 along e_1 and linf along (1, ..., 1): ½((r + s - e)/2r)**(d-1) between the atoms |r - e| and r + e."""

    def chance(u: Array, rise: Array, e: float) -> tuple[Array, Array]:
        r = np.exp(u)
        s = r * np.exp(np.clip(rise, -700.0, 300.0))
        inner = 0.5 * np.clip((r + s - e) / (2.0 * r), 0.0, 1.0) ** (dim - 1)
        near, far = np.abs(r - e), r + e
        below = np.where(s >= far * (1.0 - SLIP), 1.0, np.where(s >= near * (1.0 - SLIP), inner, 0.0))
        least = np.where(s <= near * (1.0 + SLIP), 1.0, np.where(s <= far * (1.0 + SLIP), 1.0 - inner, 0.0))
        return below, least

    return chance


def cube_chance(dim: int) -> Chance:
    """linf along e_1: x_1 on its far face, on its near face, or inside while another coordinate is at ±r."""

    def at_most(r: Array, s: Array, e: float, side: float) -> Array:
        reach = s * (1.0 + side * SLIP)
        far = np.where(reach >= r + e, 1.0, 0.0)
        near = np.where(reach >= np.abs(r - e), np.clip(s / r, 0.0, 1.0) ** (dim - 1), 0.0)
        inside = np.where(reach >= r, np.clip((s + r - e) / (2.0 * r), 0.0, 1.0), 0.0)
        return (far + near) / (2.0 * dim) + (1.0 - 1.0 / dim) * inside

    def chance(u: Array, rise: Array, e: float) -> tuple[Array, Array]:
        r = np.exp(u)
        s = r * np.exp(np.clip(rise, -700.0, 300.0))
        return at_most(r, s, e, 1.0), 1.0 - at_most(r, s, e, -1.0)

    return chance


@dataclass
class ShellGrowth:
    """G(p, e) for one law and one law of ‖x - v‖; the last threshold found is where the next search starts."""

    law: RadialLaw  # exponent d ≥ 2
    chance: Chance
    smooth: bool  # whether the law of s is smooth enough for fixed nodes
    start: float = 0.0

    def same(self, other: object) -> bool:
        return isinstance(other, ShellGrowth) and self.law == other.law

    @property
    def goal(self) -> float:
        """Difference of chord and tangent at which to stop."""
        return 1e-13 if self.smooth else 1e-9

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """log r and psi, rising; NoOracle where psi falls."""
        low, high = self.law.range
        bound = self.law.density.bound
        top = float(np.log(bound)) if np.isfinite(bound) else min(high + 3.0, 690.0)
        inner = self.law.frontier.edges
        parts = [
            np.linspace(low - 40.0, low - 5.0, 200),
            np.linspace(low - 5.0, top, 4000),
            inner,
            np.linspace(inner[0], inner[-1], 4000),
        ]
        if np.isfinite(bound):
            parts.append(top - np.geomspace(1e-15, 0.1, 200))
        u = np.unique(np.concatenate(parts))
        value, slope = self.law.density(u)
        psi = -value
        if np.any(slope > 1e-9 * (1.0 + np.abs(psi))):
            raise NoOracle("the density is not unimodal")
        return u, np.maximum.accumulate(psi)

    def _inverse(self, psi: Array, last: bool, rounds: int = 5) -> Array:
        """log of the last radius with psi ≤ the value (`last`), or the first with psi ≥ it; -inf and inf at the ends."""
        u, table = self._table
        at = np.searchsorted(table, psi, side="right" if last else "left")
        inside = (at > 0) & (at < u.size)
        cell = np.clip(at, 1, u.size - 1)
        left, right = u[cell - 1], u[cell]
        rise = table[cell] - table[cell - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = left + np.where(rise > 0.0, (psi - table[cell - 1]) / rise, 1.0) * (right - left)
        x = np.clip(np.nan_to_num(x, nan=0.0), left, right)
        for _ in range(rounds):
            value, slope = self.law.density(x)
            short = -value < psi
            left, right = np.where(short, x, left), np.where(short, right, x)
            with np.errstate(divide="ignore", invalid="ignore"):
                new = x + (psi + value) / -slope
            x = np.where((new >= left) & (new <= right), new, 0.5 * (left + right))
        end = np.log(self.law.density.bound) if np.isfinite(self.law.density.bound) else np.inf
        return np.where(inside, x, np.where(at == 0, -np.inf, end))

    def sets(self, threshold: float, e: float, halve: bool = False) -> tuple[float, float]:
        """mu and nu of {psi(r) - psi(s) ≥ threshold}; with `halve` on twice as many panels."""

        def both(u: Array) -> tuple[Array, Array]:
            log_mu, _ = self.law.measures(u)
            psi = -self.law.density(u)[0]
            flat = psi.reshape(-1)
            with np.errstate(invalid="ignore"):
                inner = self._inverse(flat - threshold, True).reshape(u.shape) - u
                outer = self._inverse(flat + threshold, False).reshape(u.shape) - u
            with np.errstate(divide="ignore", invalid="ignore"):
                mass, moved = np.log(self.chance(u, inner, e)[0]), np.log(self.chance(u, outer, e)[1])
            return log_mu + mass, log_mu + moved

        edges = self._edges
        if not self.smooth:
            edges, _ = refined(both, np.unique(np.append(edges, self._corners(threshold, e))), 1e-10, 1e-11)
        if halve:
            edges = np.sort(np.concatenate([edges, 0.5 * (edges[:-1] + edges[1:])]))
        mu, nu = panel_sums(both, edges[:-1], edges[1:], self.law.frontier.log_total)
        return float(np.sum(mu)), float(np.sum(nu))

    def _corners(self, threshold: float, e: float) -> Array:
        """Where a set's edge passes an end of the law of s, or 1: the integrands are smooth between these."""

        def code(u: Array) -> Array:
            psi = -self.law.density(u)[0]
            r = np.exp(u)
            total = np.where(r > e, 1, 0)
            with np.errstate(over="ignore", invalid="ignore"):
                for place, last in ((2, True), (16, False)):
                    s = np.exp(self._inverse(psi - threshold if last else psi + threshold, last, 2))
                    total = total + place * ((s >= np.abs(r - e)) * 1 + (s >= r + e) * 2 + (s >= r) * 4)
            return np.asarray(total)

        edges = self._edges
        grid = np.unique(
            np.concatenate([edges[:-1] + k / 8 * np.diff(edges) for k in range(8)] + [edges[-1:]])
        )
        codes = code(grid)
        at = np.flatnonzero(codes[1:] != codes[:-1])
        if not at.size or at.size > MOST_CORNERS:  # a tie: the set's edge runs along an end
            return np.empty(0)
        left, right, first = grid[at], grid[at + 1], codes[at]
        for _ in range(26):  # what is between holds a share of 1e-8 of a cell: `refined` sees to it
            middle = 0.5 * (left + right)
            same = code(middle) == first
            left, right = np.where(same, middle, left), np.where(same, right, middle)
        return np.concatenate([left, right])

    @cached_property
    def _edges(self) -> Array:
        edges, mass = self.law.frontier.edges, self.law.frontier.masses[0]
        kept = np.flatnonzero(mass > TAIL)
        return edges[kept[0] : kept[-1] + 2]

    def __call__(self, p: float, e: float) -> Measured:
        goal = float(special.ndtri(p))

        def point(threshold: float) -> tuple[float, float, float, float]:
            mu, nu = self.sets(threshold, e)
            return threshold, mu, nu, float(special.ndtri(np.clip(mu, 1e-300, 1.0 - 1e-16))) - goal

        low = high = point(self.start)  # low: mass at least p; high: less
        width = max(0.05, 0.1 * abs(self.start))
        while low[3] < 0.0 and width < 1e4:
            low, high, width = point(low[0] - width), low, 2.0 * width
        while high[3] >= 0.0 and width < 1e4:
            low, high, width = high, point(high[0] + width), 2.0 * width
        best = _sides(low, high, p)
        last = np.inf
        for _ in range(STEPS):
            if best[1] - best[0] <= self.goal or high[0] - low[0] <= 1e-9 * (1.0 + abs(low[0])):
                break
            drop = low[3] - high[3]
            slow = high[0] - low[0] > 0.1 * last  # a jump of the mass: halve
            share = low[3] / drop if np.isfinite(drop) and drop > 0.0 and not slow else 0.5
            last = high[0] - low[0] if not slow else np.inf
            step = 0.02 * min(share, 1.0 - share) + 1e-9
            for guess in (share - step, share + step) if share != 0.5 else (0.5,):
                threshold = low[0] + (high[0] - low[0]) * min(max(guess, 1e-6), 1.0 - 1e-6)
                if not low[0] < threshold < high[0]:
                    continue
                new = point(threshold)
                low, high = (new, high) if new[3] >= 0.0 else (low, new)
            best = _sides(low, high, p)
        self.start = low[0]
        error = 0.5 * (best[1] - best[0]) + (1e-12 if self.smooth else 1e-9)
        if self.smooth:
            mu, nu = self.sets(low[0], e, halve=True)
            error += abs(nu - low[2]) + float(np.exp(min(low[0], 700.0))) * abs(mu - low[1])
        return Measured(0.5 * (best[0] + best[1]), error)


def _sides(
    low: tuple[float, float, float, float], high: tuple[float, float, float, float], p: float
) -> tuple[float, float]:
    """Chord and tangents at p between the set of larger mass (low threshold) and the one of smaller mass."""
    span = low[1] - high[1]
    share = min(max((p - high[1]) / span, 0.0), 1.0) if span > 0.0 else 0.0
    chord = high[2] + share * (low[2] - high[2])
    with np.errstate(over="ignore"):
        tangent = min(
            high[2] + float(np.exp(high[0])) * (p - high[1]), low[2] + float(np.exp(low[0])) * (p - low[1])
        )
    return chord, max(chord, tangent)


def shell_growth(law: RadialLaw, geometry: str, adversary: str, dim: int) -> ShellGrowth:
    """The growth for one of the known laws of ‖x - v‖; NoOracle for another pair of norms."""
    if dim >= 2 and (geometry, adversary) == ("l2", "2"):
        return ShellGrowth(law, cap_chance(dim), dim >= 16 and law.edge_density == 0.0)
    if dim >= 2 and (geometry, adversary) in (("l1", "1"), ("linf", "inf")):
        return ShellGrowth(law, sphere_chance(dim), False)
    if dim >= 2 and (geometry, adversary) == ("linf", "1"):
        return ShellGrowth(law, cube_chance(dim), False)
    raise NoOracle(f"no exact growth for {geometry} level sets against l{adversary} in dimension {dim}")
