"""Neyman–Pearson growth of a density along given directions, by quadrature or sampling: upper bounds of every radius.

G(p, v) = sup { q(U - v) : q(U) = p } is attained by likelihood-ratio sets. A radius R against a norm is refuted by any v
with ‖v‖ < R and G(1 - rho, v) > 1/2; along one v nothing is proved in favour of R unless that v is the worst.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from derive.verification.check import LEVEL
from derive.verification.frontier import Array, LineFrontier, Measured, panel_sums, refined
from derive.verification.oracle import NoOracle, Oracle, RadialLaw
from derive.verification.shells import shell_growth


class Growth(Protocol):
    """G(p, v) for v of a given length in one direction."""

    def __call__(self, p: float, e: float) -> Measured: ...

    def same(self, other: object) -> bool:
        """Whether the other is the same function."""
        ...


@dataclass(frozen=True)
class AxisGrowth:
    """G of one coordinate of product noise shifted by e: exact for v = e·e_1 in any dimension."""

    law: RadialLaw  # exponent 1

    def same(self, other: object) -> bool:
        return self == other

    @cached_property
    def _log_total(self) -> float:
        return self.law.frontier.log_total + math.log(2.0)

    def _log(self, x: Array) -> Array:
        return self.law.density.at(np.abs(x))

    def _edges(self, e: float) -> Array:
        low, high = self.law.range
        steps = np.exp(np.linspace(max(low, -40.0), high, 56))
        steps = np.concatenate([-steps[::-1], [0.0], steps])
        return np.unique(np.concatenate([steps, steps + e, [0.5 * e]]))

    def lost(self, e: float) -> float:
        """The shifted law's mass outside the support: it costs nothing."""
        b = self.law.density.bound
        if not np.isfinite(b):
            return 0.0

        def both(x: Array) -> tuple[Array, Array]:
            return self._log(x), np.full_like(x, -np.inf)

        edges = np.unique(np.clip(self._edges(0.0), max(b - e, -b), b))
        fine, _ = refined(both, edges, 0.0)
        return float(np.sum(panel_sums(both, fine[:-1], fine[1:], self._log_total)[0]))

    def __call__(self, p: float, e: float) -> Measured:
        b = self.law.density.bound
        edges = self._edges(e)
        if np.isfinite(b):
            edges = np.unique(np.append(np.clip(edges, max(-b, e - b) if e < 2.0 * b else -b, b), [-b, b]))

        def both(x: Array) -> tuple[Array, Array]:
            return self._log(x), self._log(x - e)

        found = LineFrontier.build(both, edges, self._log_total, split=2).value(p)
        return Measured(self.lost(e) + found.value, found.error + 1e-12)


@dataclass(frozen=True)
class FlatCubeGrowth:
    """G of the uniform law on a cube along (1, ..., 1): the overlap of one coordinate, to the power d. `norm`: that of (1, ..., 1)."""

    axis: AxisGrowth
    dim: int
    norm: float = 1.0

    def same(self, other: object) -> bool:
        return self == other

    def __call__(self, p: float, e: float) -> Measured:
        lost = -math.expm1(self.dim * math.log1p(-min(self.axis.lost(e / self.norm), 1.0 - 1e-15)))
        return Measured(min(1.0, p + lost), 1e-13)


def exact_growth(oracle: Oracle, adversary: str) -> Growth:
    """G along the extreme direction where it is a line integral; NoOracle elsewhere."""
    if "product" in oracle.views and (adversary == "1" or (adversary == "2" and "l2" in oracle.views)):
        return AxisGrowth(oracle.view_law("product"))
    if adversary in ("2", "inf") and "product" in oracle.views:
        law = oracle.view_law("product")
        if law.mean_score <= 1e-14 * law.edge_density:
            return FlatCubeGrowth(
                AxisGrowth(law), oracle.dim, math.sqrt(oracle.dim) if adversary == "2" else 1.0
            )
    for view in oracle.views:
        if view != "product":
            try:
                return shell_growth(oracle.view_law(view), view, adversary, oracle.dim)
            except NoOracle:
                continue
    raise NoOracle(f"no exact growth for {oracle.geometry} level sets against l{adversary}")


def radius_along(growth: Growth, fail: float, start: float, goal: float) -> Measured:
    """The length near or beyond `start` at which G(fail, ·) reaches 1/2, to the relative precision `goal`.

    The error is that of G divided by its slope, or what is left of the bracket. inf where nothing reaches 1/2 in floats.
    """

    def excess(e: float) -> Measured:
        value = growth(fail, e)
        return Measured(value.value - 0.5, value.error)

    low, high = start * (1.0 - 1e-6), start * (1.0 + 1e-6)
    below, above = excess(low), excess(high)
    while below.value > 0.0 and low > 1e-6 * start:  # the radius is refuted: by how much?
        high, above, low = low, below, 0.7 * low
        below = excess(low)
    step = max(1e-3, 100.0 * goal)
    while above.value < 0.0:
        low, below = high, above
        high, step = high * (1.0 + step), min(1.0, 3.0 * step)
        if not np.isfinite(high):
            return Measured(np.inf, 0.0)
        above = excess(high)
    for _ in range(40):
        error = max(below.error, above.error)
        rise = above.value - below.value
        if high - low <= goal * high or rise <= 2.0 * error:
            break
        share = float(np.clip(-below.value / rise, 0.0, 1.0))
        step = 0.02 * min(share, 1.0 - share) + 1e-3 * goal * high / (high - low)
        for guess in (share - step, share + step):
            e = low + (high - low) * guess
            if not low < e < high:
                continue
            value = excess(e)
            if value.value <= 0.0:
                low, below = e, value
            else:
                high, above = e, value
    rise = above.value - below.value
    share = float(np.clip(-below.value / rise, 0.0, 1.0)) if rise > 0.0 else 0.5
    error = (high - low) * (max(below.error, above.error) / rise if rise > 0.0 else 1.0)
    return Measured(low + share * (high - low), float(error + goal * high * 0.1))


def directions(dim: int, adversary: str) -> Iterator[tuple[str, Array]]:
    """Directions of length 1 in the adversary's norm: an axis, an edge, the diagonal, and one without symmetry."""
    order = {"1": 1.0, "2": 2.0, "inf": np.inf}[adversary]
    skew = np.random.default_rng(dim).standard_normal(dim)
    found = {"an axis": np.eye(dim)[0], "the diagonal": np.ones(dim), "a random direction": skew}
    if dim > 2:
        found["an edge"] = np.eye(dim)[0] + np.eye(dim)[1]
    for name, v in found.items():
        yield name, v / np.linalg.norm(v, order)


def sampled_growth(oracle: Oracle, x: Array, shift: Array, p: float) -> tuple[float, float]:
    """A lower bound of G(p, shift) up to chance, and the margin of that chance (each of two means, at LEVEL).

    Half of the points choose a likelihood-ratio set of measure at most p, the others measure it after the shift.
    """
    n = x.shape[0] // 2
    margin = math.sqrt(math.log(2.0 / LEVEL) / (2.0 * n))
    spread = math.sqrt(2.0 * p * math.log(1.0 / LEVEL) / n) + math.log(1.0 / LEVEL) / n
    if p <= spread:
        raise NoOracle(f"{n} points cannot measure sets of mass {p}")
    first, second = x[:n], x[n:]
    with np.errstate(invalid="ignore"):
        ratio = oracle.log_density_at(first - shift) - oracle.log_density_at(first)
        moved = oracle.log_density_at(second) - oracle.log_density_at(second + shift)
    moved = np.where(np.isnan(moved), np.inf, moved)
    ordered = np.sort(ratio)[::-1]
    bar = float(ordered[int(math.floor((p - spread) * n))])
    return float(np.mean(moved > bar + 1e-9 * abs(bar))), margin
