"""The law of the radius under any radial density, from its steepness alone.

The density of r is proportional to r**(exponent - 1)·exp(-psi(r)). Everything is integrated over x, which is log(r/centre)
and, beyond half of a finite bound, goes on as -log(bound - r): there the weight's logarithm has the slope exponent - r·psi'
(or its image), so psi itself is never needed and powers r**exponent never cancel against it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from generated.special.arguments import require
from generated.special.brackets import false_position
from generated.special.chart import WIDEST, Chart, centre_of, values
from generated.special.chebyshev import Cumulative, Panels, Sample, build_panels, cumulative
from generated.special.interval import Interval
from generated.special.monotone import Pieces, RadialDensity, enclose, monotone_pieces
from generated.special.outside import require_nothing_outside, scored_below

EDGE = 38.0 * math.log(2.0)
"""Integration stops at bound·(1 - 2**-38): beyond, floats have too few digits of bound - r. See RadialLaw.cap."""
ENOUGH = 75.0
"""The weight must fall by this much (log) within the range of floats: a share of 3e-33 outside."""
INFINITE = "the mean score is infinite: the differential method certifies nothing here"


@dataclass(frozen=True)
class Cap:
    """What is left between the last panel and a finite bound, where floats cannot follow.

    `jump` bounds the density of r at the bound (its fall to 0) from above, with the score of an unbounded cap in it;
    `mass` is the cap's probability up to `doubt`, `score` its largest and `least` its smallest score.
    """

    jump: float
    mass: float
    doubt: float
    score: float
    least: float


class RadialLaw:
    """The law of r with density proportional to r**(exponent - 1)·exp(-psi(r)) on (0, bound).

    ValueError where the mass leaves the range of floats, or where no numeric law can be built.
    """

    def __init__(self, density: RadialDensity, exponent: float) -> None:
        require(
            math.isfinite(exponent) and exponent > 0.0, f"the exponent must be positive, not {exponent!r}"
        )
        self.density, self.exponent = density, float(exponent)
        self.chart = Chart(density, self.exponent, centre_of(density, self.exponent))
        log_centre, junction = math.log(self.chart.centre), self.chart.junction
        first = -math.floor(WIDEST + log_centre)
        last = math.floor(WIDEST - log_centre) if math.isinf(junction) else math.ceil(junction + EDGE)
        edges = np.arange(first, last + 1, dtype=np.float64)
        kinks = self.chart.coordinate(np.array(density.kinks)) if density.kinks else np.empty(0)
        if math.isfinite(junction):
            edges = np.concatenate([edges[edges < junction + EDGE - 0.5], [junction, junction + EDGE]])
        self._kinks = kinks[(kinks > first) & (kinks < edges.max())]
        self.panels = build_panels(self.chart.sample, np.concatenate([edges, self._kinks, [0.0]]))
        self._sums: dict[float, Cumulative] = {}
        self._check()
        ends = self.chart.radius(self.panels.edges[[0, -1]])[0]
        require_nothing_outside(
            density, self.exponent, float(ends[0]), density.bound if self.bounded else float(ends[1])
        )
        found, whole = (
            self.sums(0.0).whole,
            self.law_sums.whole,
        )  # a narrow mode may hide between nodes, not between turning points
        require(
            abs(found / whole - 1.0) < 1e-8, "the law of the radius has a mode too narrow for its quadrature"
        )

    @property
    def bounded(self) -> bool:
        """The last panel ends near a finite bound, with mass beyond it that counts."""
        return bool(self.panels.edges[-1] > self.chart.junction)

    def _ends(self) -> tuple[Sample, float, float]:
        """(sample at the two ends, levels there)."""
        with np.errstate(all="ignore"):
            sample = self.chart.sample(self.panels.edges[[0, -1]])
        return sample, float(self.panels.edge_level[0]), float(self.panels.edge_level[-1])

    def _check(self) -> None:
        sample, left, right = self._ends()
        say = "the law of the radius is not integrable, or leaves the range of floats"
        require(left < -ENOUGH and (self.bounded or right < -ENOUGH), f"{say} (exponent {self.exponent:g})")
        if self.bounded and right > -ENOUGH:
            rest = float(self.chart.radius(self.panels.edges[-1:])[1][0])
            require(
                rest < 2.0**-16 * self.density.bound,
                "the density cannot be evaluated near its bound: no law for it",
            )

    def sums(self, q: float) -> Cumulative:
        """Integrals of r**q (in units of the centre) against the unnormalised law; ValueError where they diverge."""
        if q not in self._sums:
            log_r = np.log(self.chart.radius(self.panels.nodes)[0] / self.chart.centre)
            ends = np.log(self.chart.radius(self.panels.edges[[0, -1]])[0] / self.chart.centre)
            sample, left, right = self._ends()
            with np.errstate(over="ignore"):
                factor = np.exp(q * log_r)
            rates = (
                sample.slope
                + (np.zeros(2) if self.bounded else q) * np.array([0.0, 1.0])
                + np.array([q, 0.0])
            )
            require(bool(np.isfinite(factor).all()), f"r**{q:g} leaves the range of floats under this law")
            levels = (left + q * float(ends[0]), right + q * float(ends[1]))
            rest = [
                _remainder(level, rate) for level, rate in zip(levels, (rates[0], -rates[1]), strict=True)
            ]
            self._sums[q] = cumulative(self.panels, factor, *rest)
        return self._sums[q]

    def _position(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = self.chart.coordinate(r)
        return x, x < self.panels.edges[0], x > self.panels.edges[-1]

    def lower(self, q: float, r: np.ndarray) -> np.ndarray:
        """E[r**q; r ≤ given] / E[r**q], accurate relative to itself; r > 0 an array of radii."""
        sums, (x, before, after) = self.sums(q), self._position(np.asarray(r, dtype=np.float64))
        sample, _, _ = self._ends()
        with np.errstate(all="ignore"):
            tail = sums.below[0] * np.exp((sample.slope[0] + q) * (x - self.panels.edges[0]))
            inside = sums.up_to(np.clip(x, self.panels.edges[0], self.panels.edges[-1]))
            share = np.where(before, tail, inside) / sums.whole
            return np.where(after, 1.0 - self.upper(q, r) if after.any() else 1.0, np.minimum(share, 1.0))

    def upper(self, q: float, r: np.ndarray) -> np.ndarray:
        """E[r**q; r ≥ given] / E[r**q], accurate relative to itself; r > 0 an array of radii."""
        sums, (x, before, after) = self.sums(q), self._position(np.asarray(r, dtype=np.float64))
        sample, _, _ = self._ends()
        with np.errstate(all="ignore"):
            rate = sample.slope[1] + (0.0 if self.bounded else q)
            tail = sums.above[-1] * np.exp(rate * (x - self.panels.edges[-1]))
            inside = sums.beyond(np.clip(x, self.panels.edges[0], self.panels.edges[-1]))
            share = np.where(after, np.where(np.isfinite(x), tail, 0.0), inside) / sums.whole
            return np.where(before, 1.0, np.minimum(share, 1.0))

    def moment(self, q: float) -> float:
        """E[r**q]; infinite where it diverges."""
        sums = self.sums(q)
        ratio = sums.whole / self.sums(0.0).whole
        try:
            return ratio * self.chart.centre**q
        except OverflowError:
            return math.inf

    def quantile(self, lower: np.ndarray) -> np.ndarray:
        """r with P(radius ≤ r) = lower, entries in (0, 1)."""
        lower = np.asarray(lower, dtype=np.float64)
        return self._inverse(lower, 1.0 - lower)

    def upper_quantile(self, upper: np.ndarray) -> np.ndarray:
        """r with P(radius ≥ r) = upper, entries in (0, 1)."""
        upper = np.asarray(upper, dtype=np.float64)
        return self._inverse(1.0 - upper, upper)

    def _inverse(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        sums, edges = self.sums(0.0), self.panels.edges
        small = lower <= upper
        below, above = lower * sums.whole, upper * sums.whole
        i = np.where(
            small, np.searchsorted(sums.below, below), edges.size - np.searchsorted(sums.above[::-1], above)
        )
        i = np.clip(i - 1, 0, edges.size - 2)
        goal = np.where(small, below, above)

        def short(x: np.ndarray) -> np.ndarray:
            """What the mass at x lacks, relative to the goal: falling in x for both tails."""
            return np.where(small, below - sums.up_to(x), sums.beyond(x) - above) / goal

        low, high = edges[i], edges[i + 1]
        x, _ = false_position(short, low, high, short(low), short(high), 1e-15)
        return self.chart.radius(x)[0]

    @cached_property
    def pieces(self) -> Pieces:
        """Proved pieces of |psi'| on the range of the law."""
        x0, x1 = float(self.panels.edges[0]), float(self.panels.edges[-1])
        count = max(8, math.ceil((x1 - x0) / 0.25))
        r = self.chart.radius(np.linspace(x0, x1, count + 1))[0]
        # scores far below the mean need no proof of their own
        weight = np.exp(self.panels.level) * self.panels.half[:, None]
        score = weight * np.exp(np.minimum(self.chart.log_score(self.panels.nodes), 600.0))
        scale = float(score.sum() / weight.sum())
        return monotone_pieces(self.density, np.unique(r), 1e-20 * scale if math.isfinite(scale) else 0.0)

    @cached_property
    def fine(self) -> Panels:
        """The panels with every piece's ends among their edges, and graded towards them."""
        ends = self.chart.coordinate(np.concatenate([self.pieces.low, self.pieces.high[-1:]]))
        inner = ends[1:-1]
        steps = self.pieces.trend == 0
        inner = inner[~(steps[1:] & steps[:-1])]  # inside a run of steps no edge is needed
        near = 2.0 ** -np.arange(0.0, 37.0)
        graded = (inner[:, None] + np.concatenate([-near, [0.0], near])).ravel()
        edges = np.concatenate([self.panels.edges, graded])
        edges = edges[(edges >= self.panels.edges[0]) & (edges <= self.panels.edges[-1])]
        edges = np.concatenate([edges, [0.0]])
        try:
            fine = build_panels(self.chart.sample, edges, self.chart.around)
        except (
            ValueError
        ):  # no bound holds there: panels that are not proved, which no curve of radii is made from
            fine = build_panels(self.chart.sample, edges)
        # one unit for both: that of the panels, whose edges are edges here as well
        at = int(np.argmax(self.panels.edge_level))
        there = int(np.searchsorted(fine.edges, self.panels.edges[at]))
        shift = float(self.panels.edge_level[at] - fine.edge_level[there])
        return replace(
            fine, level=fine.level + shift, edge_level=fine.edge_level + shift, error=fine.error + 2.0**-45
        )

    @cached_property
    def edge_density(self) -> float:
        """The density of r at a finite bound, where it falls to 0 by a jump; 0 without one."""
        if not self.bounded:
            return 0.0
        cap = self.cap
        return cap.jump if math.isfinite(cap.score) else 0.0

    @cached_property
    def cap(self) -> Cap:
        """The part beyond the last panel; ValueError where nothing bounds its score."""
        if not self.bounded:
            return Cap(0.0, 0.0, 0.0, 0.0, math.inf)
        panels, bound = self.fine, self.density.bound
        whole = self.law_sums.whole
        r, rest = (float(a[0]) for a in self.chart.radius(panels.edges[-1:]))
        here = math.exp(float(panels.edge_level[-1])) / rest / whole  # the density of r where the panels end
        here *= (1.0 + math.expm1(min(float(panels.error[-1]), 1.0))) * (1.0 + 1e-12)
        if float(panels.edge_level[-1]) < -ENOUGH and here * bound < 1e-25:
            # psi rises there: the integral of psi' is at most the density here and (exponent - 1)/r of the mass
            edges = bound - rest * 2.0 ** -np.arange(0.0, 48.0, 0.25)
            edges = np.unique(np.concatenate([[r], edges[(edges > r) & (edges < bound * (1.0 - 2.0**-48))]]))
            steep, _ = enclose(self.density.steepness, Interval(edges[:-1], edges[1:]))
            require(
                bool((np.isnan(steep.low) | (steep.low >= 0.0)).all()),
                "the density could not be shown to fall near its bound",
            )
            return Cap(here * (1.0 + self.exponent * math.log1p(rest / r)), 0.0, 0.0, 0.0, math.inf)
        # up to the last floats: there the density is taken to be monotone, as on the rest of the cap
        steep, _ = enclose(
            self.density.steepness, Interval(np.array([r]), np.array([bound * (1.0 - 2.0**-48)]))
        )
        low, high, width = float(steep.low[0]), float(steep.high[0]), math.log1p(rest / r) * (1.0 + 1e-9)
        mass = float(self.law_sums.above[-1]) / whole
        if math.isfinite(low) and math.isfinite(high) and max(-low, high) * width < 1e-3:
            jump = here * math.exp((self.exponent - 1.0 - low) * width)
            spread = 2.0 * width * (max(-low, high) + self.exponent) + 2.0 * float(panels.error[-1])
            doubt = abs(mass - here * rest) + 2.0 * here * rest * (spread + 1e-12)
            return Cap(jump, mass, doubt, max(-low, high) / r, max(low, -high, 0.0) / bound)
        require(low >= 0.0, INFINITE)
        least, most = self._mass_beyond(r, rest, here)
        doubt = float(max(mass - least, most - mass, 0.0))
        return Cap(here * math.exp((self.exponent - 1.0) * width), least, doubt, math.inf, low / bound)

    def _mass_beyond(self, r: float, rest: float, here: float) -> tuple[float, float]:
        """Bounds on the probability beyond r = bound - rest, by the largest and least fall of the density on cells."""
        bound = self.density.bound
        edges = bound - rest * 2.0 ** -np.arange(0.0, 9.0, 2.0**-7)
        edges = np.unique(np.concatenate([[r], edges[(edges > r) & (edges < bound * (1.0 - 2.0**-48))]]))
        steep, _ = enclose(self.density.steepness, Interval(edges[:-1], edges[1:]))
        width = np.diff(edges)
        most = np.maximum(steep.high - (self.exponent - 1.0), 0.0) * width / edges[:-1]
        fall = (np.nan_to_num(steep.low, nan=0.0, neginf=0.0) - (self.exponent - 1.0)) * width / edges[:-1]
        # r or edges[0] may lie a unit apart; the density at the first is off by 1e-12 and the error of its logarithm at most
        doubt = 4.0 * float(self.fine.error[-1]) + 1e-9 + self.exponent * rest / r
        low = here * np.exp(-np.cumsum(most * (1.0 + 1e-9)) - doubt)
        high = here * np.exp(doubt - np.cumsum(fall - 1e-9 * np.abs(fall)))
        level = np.maximum.accumulate(np.append(here * math.exp(doubt), high)[::-1])[::-1]
        after = (bound - edges[-1]) * float(level[-1]) * (1.0 + self.exponent * rest / r)
        return float(np.sum(np.nan_to_num(low) * width)), float(np.sum(level[:-1] * width)) + after

    @cached_property
    def law_sums(self) -> Cumulative:
        """Integrals of the unnormalised law over the fine panels."""
        sums = self.sums(0.0)
        return cumulative(
            self.fine, np.ones_like(self.fine.level), float(sums.below[0]), float(sums.above[-1])
        )

    @cached_property
    def score_sums(self) -> Cumulative:
        """Integrals of |psi'| against the unnormalised law over the fine panels; ValueError where they diverge."""
        fine = self.fine
        with np.errstate(all="ignore"):
            steep, error = self.chart.enclosed(fine.nodes)
            r, _ = self.chart.radius(fine.nodes)
            factor = np.abs(steep) / r
            doubt = (error + (32.0 + 4.0 * np.abs(fine.nodes)) * 2.0**-53 * (np.abs(steep) + error)) / r
            x = fine.edges[[0, -1]]
            sample, scores = self.chart.sample(x), np.exp(self.chart.log_score(x))
            r = self.chart.radius(x)[0]
            growth = values(self.density.bend, r) / values(self.density.steepness, r)
        rest = []
        heights = np.exp(fine.level) * factor
        peak = float(heights.max())
        for end, sign in ((0, 1.0), (1, -1.0)):
            height = float(scores[end]) * math.exp(float(fine.edge_level[0 if end == 0 else -1]))
            if (end == 1 and self.bounded) or not height > 0.0:
                rest.append(0.0)
                continue
            rate = sign * float(sample.slope[end] + growth[end])
            require(rate > 1e-9 or height < 1e-25 * peak, INFINITE)
            require(height < 1e-12 * peak, "the mean score leaves the range of floats")
            rest.append(height / rate if rate > 0.0 else 0.0)
        most = 1.0 if fine.around is None else fine.around.factor / self.chart.centre
        return cumulative(fine, factor, rest[0], rest[1], doubt, most)

    @cached_property
    def outside(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Bounds on what lies below and above the fine panels: ((mass, integral of the score), the same), in units of the sums.

        The weight r**exponent·exp(-psi) falls from the panels' ends outwards (require_nothing_outside); there the integral of psi' follows
        by parts: the density of r at the end, and (exponent - 1)/r of the mass. The cap at a finite bound is bounded by itself.
        """
        fine = self.fine
        ends, far = self.chart.radius(fine.edges[[0, -1]])[0], 2.0 * WIDEST
        grown = np.exp(fine.error[[0, -1]]) * (1.0 + 1e-9)
        low, high = (
            float(g * math.exp(float(level)))
            for g, level in zip(grown, fine.edge_level[[0, -1]], strict=True)
        )
        scored = scored_below(self.density, self.exponent, float(ends[0]), low)
        if self.bounded:
            return (low * far, scored), (0.0, 0.0)
        return (low * far, scored), (
            high * far,
            high / float(ends[1]) * (1.0 + max(self.exponent - 1.0, 0.0) * far),
        )

    def mean_score(self) -> float:
        """E|psi'(r)|, without the jump at a finite bound; ValueError where it is infinite."""
        cap = self.cap
        mean = float(self.score_sums.whole / self.law_sums.whole)
        return mean + (cap.jump if math.isinf(cap.score) else cap.mass * cap.score)


def _remainder(level: float, rate: float) -> float:
    """The integral beyond an end at which a weight's logarithm is `level` and falls by `rate` from there on."""
    if rate > 1e-9:
        return math.exp(min(level - math.log(rate), 700.0))
    return math.inf if level > -ENOUGH else 0.0
