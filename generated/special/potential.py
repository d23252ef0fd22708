"""The exponent psi of a radial density in log r: its differences without cancellation, and quadrature for the law of r.

A density exp(-psi(r)) is known by steepness(r) = r·psi'(r), the slope of psi in x = log r. Panels of x resolve it; every
difference psi(s) - psi(r) is a sum of integrals of one sign, and the law's density r**dim·exp(-psi(r)) in x is built from
its logarithmic slope dim - steepness. Nothing of the size of psi itself is subtracted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from generated.special.arguments import require
from generated.special.interval import FLOATS
from generated.special.monotone import RadialDensity
from generated.special.radial import RadialLaw

ORDER = 16
DROP = 85.0
"""Panels end where the law's density has fallen by exp(-DROP) from its peak; beyond lies less than 1e-36 of the mass."""
FURTHEST = 690.0
"""Largest |log r| of any panel."""
RESOLUTION = 1e-13
"""Relative change of a panel's integral of the steepness under halving that ends the splitting."""
MOST_PANELS = 6000

_RULES = {order: np.polynomial.legendre.leggauss(order) for order in (4, 8, ORDER)}


def rule(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes and weights on [0, 1]."""
    nodes, weights = _RULES[order]
    return 0.5 * (nodes + 1.0), 0.5 * weights


@dataclass(frozen=True)
class Place:
    """Radii as panel numbers and offsets in log r from the panels' beginnings, so that neighbours differ exactly."""

    panel: np.ndarray
    offset: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Place:
        return Place(self.panel[chosen], self.offset[chosen])


class Potential:
    """Panels of log r for one density in one dimension.

    `variation`: largest change of the law's log density across a panel that carries mass; half of it doubles the nodes.
    ArithmeticError where the law leaves the range of floats or the steepness is too rough to be resolved.
    """

    def __init__(self, density: RadialDensity, dim: int, variation: float = 4.0) -> None:
        self.density, self.dim = density, dim
        self.edge = math.log(density.bound) if math.isfinite(density.bound) else math.inf
        with np.errstate(all="ignore"):
            edges = self._resolve(self._first_edges())
            edges = self._vary(edges, variation)
        self._set(edges)
        kinks = [math.log(k) for k in density.kinks if 0.0 < k < density.bound]
        ends = [self.edge] if math.isfinite(self.edge) else []
        self.breaks = np.array([x for x in (*sorted(kinks), *ends) if self.begin[0] < x <= self.end + 1e-9])

    def slope(self, x: np.ndarray) -> np.ndarray:
        """The steepness at log r = x; ArithmeticError unless finite."""
        value = np.asarray(self.density.steepness(FLOATS, np.exp(x)), dtype=np.float64)
        return np.broadcast_to(value, np.shape(x))

    def _integral(self, low: np.ndarray, width: np.ndarray) -> np.ndarray:
        nodes, weights = rule(ORDER)
        return (self.slope(low[:, None] + width[:, None] * nodes) @ weights) * width

    def _first_edges(self) -> np.ndarray:
        """Ends of the region that carries mass, the turning points of the law's log density, and the kinks."""
        grid = np.arange(-FURTHEST, min(FURTHEST, self.edge), 0.02)
        if math.isfinite(self.edge):
            grid = np.concatenate([grid, self.edge - 0.02 * 2.0 ** -np.arange(1.0, 40.0)])
            grid.sort()
        rise = self.dim - self.slope(grid)
        turns = np.flatnonzero((rise[:-1] > 0.0) & (rise[1:] <= 0.0) | (rise[:-1] <= 0.0) & (rise[1:] > 0.0))
        roots = [self._root(float(grid[i]), float(grid[i + 1])) for i in turns]
        peaks = [x for i, x in zip(turns, roots, strict=True) if rise[i] > 0.0]
        if math.isfinite(self.edge) and rise[-1] > 0.0:
            peaks.append(self.edge)
        if not peaks:
            raise ArithmeticError(
                f"the law of the radius in dimension {self.dim} has no peak within the range of floats"
            )
        low, high = self._fall(peaks[0], -1.0), self._fall(peaks[-1], 1.0)
        marks = [*roots, *(math.log(k) for k in self.density.kinks if 0.0 < k < self.density.bound)]
        return np.unique([low, *(x for x in marks if low < x < high), high])

    def _root(self, low: float, high: float) -> float:
        """A turning point of the law's log density, by bisection."""
        at_low = float(self.dim - self.slope(np.array([low]))[0]) > 0.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            if (float(self.dim - self.slope(np.array([middle]))[0]) > 0.0) == at_low:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    def _fall(self, peak: float, sign: float) -> float:
        """Where, going from the peak, the law's log density has fallen by DROP, or the edge of the support."""
        limit = sign * FURTHEST if sign < 0.0 else min(FURTHEST, self.edge)
        here, fallen, step = peak, 0.0, 1e-7
        while fallen < DROP:
            there = peak + sign * step if abs(limit - peak) > step else limit
            low, width = min(here, there), abs(there - here)
            change = self.dim * width - float(self._integral(np.array([low]), np.array([width]))[0])
            if there == limit and there == self.edge:
                return self.edge
            if not math.isfinite(change):
                raise ArithmeticError(
                    f"r·psi'(r) is not finite near log r = {there:.6g}, where the radius has mass"
                )
            fallen -= sign * change
            if there == limit and fallen < DROP:
                raise ArithmeticError(
                    f"the law of the radius in dimension {self.dim} leaves the range of floats"
                )
            here, step = there, 2.0 * step
        return here

    def _resolve(self, edges: np.ndarray) -> np.ndarray:
        """Panels halved until each integral of the steepness agrees with that of its halves."""
        done: list[np.ndarray] = []
        low, width = edges[:-1], np.diff(edges)
        while low.size:
            half = 0.5 * width
            whole, first, second = (
                self._integral(low, width),
                self._integral(low, half),
                self._integral(low + half, half),
            )
            allowed = RESOLUTION + 1e-15 / np.maximum(self.edge - low - half, 1e-15)  # r itself is rounded
            rough = ~(np.abs(whole - first - second) <= allowed * np.abs(whole) + 1e-18)
            rough |= width > 4.0
            last = width < 1e-11 * (1.0 + np.abs(low))
            if not np.isfinite(whole[~rough]).all() or (rough & last & (low + 2.0 * width < self.edge)).any():
                raise ArithmeticError(
                    "r·psi'(r) is too rough for quadrature: a jump or pole inside the support"
                )
            rough &= ~last
            done.append(low[~rough & ~last | last & np.isfinite(whole)])
            low = np.concatenate([low[rough], (low + half)[rough]])
            width = np.concatenate([half[rough], half[rough]])
            if sum(map(len, done)) + low.size > MOST_PANELS:
                raise ArithmeticError("r·psi'(r) is too rough for quadrature: more than 6000 panels")
        starts = np.sort(np.concatenate(done))
        return np.append(starts, edges[-1])

    def _vary(self, edges: np.ndarray, variation: float) -> np.ndarray:
        """Panels with mass halved until the law's log density varies by less than `variation` on each."""
        nodes, weights = rule(ORDER)
        while True:
            low, width = edges[:-1], np.diff(edges)
            rise = self.dim - self.slope(low[:, None] + width[:, None] * nodes)
            level = np.concatenate([[0.0], np.cumsum((rise @ weights) * width)])
            top = np.maximum(level[:-1], level[1:])
            alive = top > top.max() - DROP
            split = (
                alive & ((np.abs(rise) @ weights) * width > variation) & (width > 2e-11 * (1.0 + np.abs(low)))
            )
            if not split.any():
                keep = np.flatnonzero(alive)
                return edges[keep[0] : keep[-1] + 2]
            edges = np.sort(np.concatenate([edges, (low + 0.5 * width)[split]]))
            if edges.size > MOST_PANELS:
                raise ArithmeticError(
                    "the law of the radius is too rough for quadrature: more than 6000 panels"
                )

    def _set(self, edges: np.ndarray) -> None:
        self.begin, self.width, self.end = edges[:-1], np.diff(edges), float(edges[-1])
        nodes, weights = rule(ORDER)
        count = self.begin.size
        with np.errstate(all="ignore"):
            rise = self._integral(self.begin, self.width)
            level = np.concatenate([[0.0], np.cumsum(self.dim * self.width - rise)])
        if not np.isfinite(level).all():
            raise ArithmeticError("r·psi'(r) is not finite where the radius has mass")
        peak = int(np.argmax(level))
        self.total = np.concatenate([[0.0], np.cumsum(rise)])
        self.total -= self.total[peak]
        self.level = level - level[peak]
        self.place = Place(np.repeat(np.arange(count), ORDER), (self.width[:, None] * nodes).ravel())
        mass = np.exp(self.log_density(self.place)) * (self.width[:, None] * weights).ravel()
        self.mass_total = math.fsum(mass)
        self.mass = mass / self.mass_total
        self.to_end = self.part(
            self.place.panel, self.place.offset, self.width[self.place.panel] - self.place.offset
        )
        self.from_begin = self.part(self.place.panel, np.zeros(mass.size), self.place.offset)

    def part(self, panel: np.ndarray, low: np.ndarray, length: np.ndarray) -> np.ndarray:
        """psi at offset `low` + `length` minus psi at offset `low` within panels."""
        share = float(np.max(np.abs(length) / self.width[panel], initial=0.0))
        nodes, weights = rule(4 if share < 0.02 else 8 if share < 0.2 else ORDER)
        x = (self.begin[panel] + low)[:, None] + length[:, None] * nodes
        with np.errstate(all="ignore"):
            return (self.slope(x) @ weights) * length

    def log_density(self, place: Place) -> np.ndarray:
        """Logarithm of the law's density in log r, up to a constant."""
        fall = self.part(place.panel, np.zeros(place.offset.size), place.offset)
        return self.level[place.panel] + self.dim * place.offset - fall

    def mass_between(self, low: float, high: float) -> float:
        """An estimate of the mass of [low, high] in log r within one panel."""
        place = self.locate(np.array([low, 0.5 * (low + high), high]))
        return float(np.max(np.exp(self.log_density(place)))) * (high - low) / self.mass_total

    def locate(self, x: np.ndarray) -> Place:
        """Places of log r = x, which must lie within the panels."""
        panel = np.clip(np.searchsorted(self.begin, x, side="right") - 1, 0, self.begin.size - 1)
        return Place(panel, np.clip(x - self.begin[panel], 0.0, self.width[panel]))

    def shifted(self, anchor: Place, change: np.ndarray) -> Place:
        """Places at log r = that of the single place `anchor` + change; exact differences within its panel."""
        goal = anchor.offset[0] + change
        k = int(anchor.panel[0])
        other = self.locate(float(self.begin[k] + anchor.offset[0]) + change)
        same = (goal >= 0.0) & (goal <= self.width[k])
        return Place(np.where(same, k, other.panel), np.where(same, goal, other.offset))

    def log_radius(self, place: Place) -> np.ndarray:
        return self.begin[place.panel] + place.offset

    def above(self, place: Place, rise: float, to_end: np.ndarray | None = None) -> np.ndarray:
        """log(s/r) ≥ 0 with psi(s) = psi(r) + rise; to the end of the panels where there is none."""
        k, width = place.panel, self.width[place.panel]
        rest = self.part(k, place.offset, width - place.offset) if to_end is None else to_end
        same = rest >= rise
        target = self.total[k + 1] + (rise - rest)
        j = np.clip(np.searchsorted(self.total, target, side="right") - 1, 0, self.begin.size)
        over = ~same & (j >= self.begin.size)
        j = np.where(same, k, np.clip(j, k + 1, None))
        j = np.minimum(j, self.begin.size - 1)
        start = np.where(same, place.offset, 0.0)
        need = np.where(same, rise, (rise - rest) - (self.total[j] - self.total[k + 1]))
        have = np.where(same, rest, self.total[j + 1] - self.total[j])
        step = self._reach(j, start, self.width[j] - start, need, have, 1.0)
        between = (width - place.offset) + (self.begin[j] - self.begin[k] - width)
        found = np.where(same, step, between + step)
        last_end = self.begin[-1] - self.begin[k] + self.width[-1]
        return np.where(over, np.where(k == self.begin.size - 1, width, last_end) - place.offset, found)

    def below(self, place: Place, fall: float, from_begin: np.ndarray | None = None) -> np.ndarray:
        """log(s/r) ≤ 0 with psi(s) = psi(r) - fall; -inf where there is none in the panels."""
        k = place.panel
        rest = self.part(k, np.zeros(k.size), place.offset) if from_begin is None else from_begin
        same = rest >= fall
        target = self.total[k] - (fall - rest)
        j = np.searchsorted(self.total, target, side="right") - 1
        under = ~same & (target <= self.total[0])
        j = np.where(same, k, np.clip(j, 0, np.maximum(k - 1, 0)))
        start = np.where(same, place.offset, self.width[j])
        need = np.where(same, fall, (fall - rest) - (self.total[k] - self.total[j + 1]))
        have = np.where(same, rest, self.total[j + 1] - self.total[j])
        step = self._reach(j, start, start, need, have, -1.0)
        between = place.offset + (self.begin[k] - self.begin[j] - self.width[j])
        found = -np.where(same, step, between + step)
        return np.where(under, -np.inf, found)

    def rise(self, place: Place, change: np.ndarray) -> np.ndarray:
        """psi(r·exp(change)) - psi(r), of the sign of `change`; the other radius is kept within the panels."""
        k, count = place.panel, self.begin.size
        goal = place.offset + change
        same = (goal >= 0.0) & (goal <= self.width[k])
        x = self.begin[k] + goal
        j = np.clip(np.searchsorted(self.begin, x, side="right") - 1, 0, count - 1)
        rest = np.clip(x - self.begin[j], 0.0, self.width[j])
        up = change >= 0.0
        near = np.where(same, change, np.where(up, self.width[k] - place.offset, -place.offset))
        first = self.part(k, place.offset, near)
        far = np.where(up & (j > k) | ~up & (j < k), np.where(up, rest, rest - self.width[j]), 0.0)
        last = self.part(j, np.where(up, 0.0, self.width[j]), far)
        between = np.where(
            up, self.total[j] - self.total[np.minimum(k + 1, count)], self.total[j + 1] - self.total[k]
        )
        crossed = np.where(up, j > k, j < k)
        return np.where(same, first, first + np.where(crossed, between + last, 0.0))

    def _reach(
        self,
        panel: np.ndarray,
        start: np.ndarray,
        room: np.ndarray,
        need: np.ndarray,
        have: np.ndarray,
        sign: float,
    ) -> np.ndarray:
        """The length y ≤ room with |psi(start ± y) - psi(start)| = need, by Newton's method kept in brackets."""
        need = np.maximum(need, 0.0)
        with np.errstate(all="ignore"):
            slope = self.slope(self.begin[panel] + start)
            y = np.where(slope > 0.0, need / slope, np.inf)
            y = np.where(np.isfinite(y) & (y < room), y, room * np.clip(np.nan_to_num(need / have), 0.0, 1.0))
        low, high = np.zeros_like(y), room.copy()
        active = np.arange(y.size)
        for _ in range(80):
            p, s, here = panel[active], start[active], y[active]
            miss = sign * self.part(p, s, sign * here) - need[active]
            with np.errstate(all="ignore"):
                slope = self.slope(self.begin[p] + s + sign * here)
                step = miss / slope
            high[active] = np.where(miss > 0.0, np.minimum(high[active], here), high[active])
            low[active] = np.where(miss < 0.0, np.maximum(low[active], here), low[active])
            there = here - step
            inside = (there >= low[active]) & (there <= high[active])
            there = np.where(inside, there, 0.5 * (low[active] + high[active]))
            y[active] = np.where(miss == 0.0, here, there)
            moved = ~inside | (
                np.abs(step) > 1e-9 * here
            )  # a smaller Newton step leaves an error of its square
            active = active[moved & (miss != 0.0) & (high[active] > low[active])]
            if not active.size:
                break
        return y


def require_same_law(potential: Potential) -> None:
    """The panels hold the law that interval arithmetic accounts for; ValueError where a mode escaped them."""
    law = RadialLaw(potential.density, float(potential.dim))
    q = 0.01  # a small power is finite under any tail, and sees every mode in proportion to its mass
    found = float(np.sum(potential.mass * np.exp(q * potential.log_radius(potential.place))))
    require(
        abs(found / law.moment(q) - 1.0) < 1e-8,
        "the law of the radius has a mode that its quadrature does not see",
    )
