"""The growth Phi of a score |psi'(r)| under a radial law, by its level sets {|psi'| ≥ c}, and the radius curve.

Level sets are unions of parts of proved monotone pieces, each reaching from its end of highest score to a boundary, and of
steps, on which the score is replaced by an upper bound. Source: Yang et al., "Randomized Smoothing of All Shapes and Sizes"
(ICML 2020): Phi(p) is the integral of the upper p-quantiles of the score, Phi'(p) the threshold c.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special as sc

from generated.special.arguments import require
from generated.special.brackets import false_position
from generated.special.chebyshev import Cumulative
from generated.special.curve import RadiusCurve, curve_from_nodes
from generated.special.interval import Interval
from generated.special.monotone import enclose
from generated.special.radial import RadialLaw

NODES = 16384
"""Nodes of a curve; between two of them a tangent loses less than 2e-10 relative, always downwards."""
OWN_NODES = 256
"""Nodes that every monotone piece has at least."""
DEEPEST = 9.2
"""The nodes reach down to the share 2·Normal.cdf(-9.2) = 3.6e-20 of the cone."""
TIE = 1e-14
"""Scores closer than this (relative) are taken as equal, from above."""
SLIVER = 2.0**-36
"""The top of a piece inside the range, this wide in x, is a step: floats do not resolve smaller level sets there."""


@dataclass(frozen=True)
class _Steps:
    """Parts of the law with a constant score (from above), by descending score: masses, their errors, scores."""

    mass: np.ndarray
    error: np.ndarray
    score: np.ndarray

    def above(self, column: np.ndarray) -> np.ndarray:
        """Sums of a column over the first 0, 1, 2, … steps."""
        return np.concatenate([[0.0], np.cumsum(column)])


class _Slope:
    """A monotone piece [low, high] in x: mass and score of its part from the end of highest score to a boundary."""

    def __init__(self, law: RadialLaw, low: float, high: float, rising: bool, tail: bool) -> None:
        edges = law.fine.edges
        self.law, self.rising = law, rising
        self.first, self.last = int(np.searchsorted(edges, low)), int(np.searchsorted(edges, high))
        self.sign = -1.0 if rising else 1.0
        self.mass = self._sums(law.law_sums, tail, 0)
        self.score = self._sums(law.score_sums, tail, 1)

        span, x = slice(self.first, self.last), law.fine.nodes
        inside = np.sort(np.concatenate([x[span], edges[span][:, None]], axis=1), axis=1).ravel()
        inside = np.append(inside, edges[self.last])
        order = inside if not rising else inside[::-1]
        with np.errstate(all="ignore"):
            self.grid, self.grid_mass = order, self.at(self.mass, order)[0]
        self.bottom = order[-1]

    def _sums(self, sums: Cumulative, tail: bool, kind: int) -> tuple[Cumulative, np.ndarray, np.ndarray]:
        """(the integrals, theirs from the top end to every edge of the piece, and the errors of these)."""
        part, doubt = (a[self.first : self.last] for a in (sums.total, sums.doubt))
        tail = tail and not (self.rising and self.law.bounded)  # there the cap takes its place
        end = (sums.above[-1] if self.rising else sums.below[0]) if tail else 0.0
        beyond = (end + self.law.outside[1 if self.rising else 0][kind]) if tail else 0.0
        ordered, errors = (part[::-1], doubt[::-1]) if self.rising else (part, doubt)
        return (
            sums,
            np.concatenate([[end], end + np.cumsum(ordered)]),
            np.concatenate([[beyond], beyond + np.cumsum(errors)]),
        )

    def at(
        self, sums: tuple[Cumulative, np.ndarray, np.ndarray], x: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(integral from the top end to x, its error); x inside the piece."""
        whole, ends, errors = sums
        i, part = whole.partial(np.clip(x, self.law.fine.edges[self.first], self.law.fine.edges[self.last]))
        i, part = (
            np.clip(i, self.first, self.last - 1),
            np.where(i > self.last - 1, whole.total[self.last - 1], part),
        )
        j = i - self.first
        if self.rising:
            j = self.last - 1 - i
            part = np.maximum(whole.total[i] - part, 0.0)
        return ends[j] + part, errors[j] + whole.part_doubt[i] + whole.share[i] * part

    def candidates(self, shares: np.ndarray) -> None:
        """Boundaries whose level sets take about the given shares of the piece, with its ends."""
        with np.errstate(all="ignore"):
            mass = np.maximum.accumulate(np.maximum(self.grid_mass, 1e-320))
            x = np.interp(np.log(shares * mass[-1]), np.log(mass), self.grid)
        ends = np.array([self.grid[0], self.bottom])
        x = np.unique(np.concatenate([x, ends]))
        x = x if not self.rising else x[::-1]
        log_score = self.law.chart.log_score(x)
        keep = np.isfinite(log_score)
        self.x, self.log_score = x[keep], np.minimum.accumulate(log_score[keep])
        self.masses = self.at(self.mass, self.x)[0]

    def boundary(self, log_c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(x with |psi'(x)| = c, whether the level set reaches into the piece at all, logs of bounds of |psi'(x)|, lower and upper).

        The bounds are NaN where c lies outside the piece's scores: there they say nothing about thresholds.
        """
        levels = -self.log_score  # ascending
        j = np.clip(np.searchsorted(levels, -log_c, side="left"), 1, levels.size - 1)
        a, b = self.x[j - 1], self.x[j]
        fa, fb = self.log_score[j - 1] - log_c, self.log_score[j] - log_c  # fa ≥ 0 ≥ fb inside
        reached, full = log_c <= self.log_score[0], log_c <= self.log_score[-1]
        inside = reached & (log_c >= self.log_score[-1])
        x, _ = false_position(
            lambda x: self.law.chart.log_score(x) - log_c, a, b, fa, fb, np.where(inside, 1e-14, np.inf)
        )
        x = np.where(full, self.bottom, x)
        steep, error = self.law.chart.enclosed(x)
        r = self.law.chart.radius(x)[0]
        least, most = np.log(np.maximum(np.abs(steep) - error, 0.0) / r), np.log((np.abs(steep) + error) / r)
        return x, reached, np.where(inside, least, np.nan), np.where(inside, most, np.nan)

    def spread(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Upper bounds of |d mass/dc| where the boundary moves from a to b (in x), from the score's slope and the law's by intervals."""
        chart, density = self.law.chart, self.law.density
        weights = []
        for x in (a, b):
            r, rest = chart.radius(x)
            weights.append(self.law.fine.weight(x) / np.where(x > chart.junction, rest, r))
        radii = [chart.radius(x)[0] for x in (a, b)]
        low, high = np.minimum(*radii) * (1.0 - 1e-15), np.maximum(*radii) * (1.0 + 1e-15)
        cells = Interval(low, high)
        slope = abs(enclose(density.steepness, cells)[0] - (self.law.exponent - 1.0)).high
        bend = abs(enclose(density.bend, cells)[0]).low
        largest = np.maximum(*weights) * np.exp(slope * np.log(high / low) * 1.001)
        return np.where(a == b, 0.0, largest * high * high / bend)


def _parts(law: RadialLaw) -> tuple[list[_Slope], _Steps]:
    """Monotone pieces and steps of the law (unnormalised), the cap beyond the last panel among the steps if it has a score."""
    pieces, fine, cap = law.pieces, law.fine, law.cap
    require(
        bool(np.isfinite(pieces.top[pieces.trend == 0]).all()),
        "the score cannot be bounded on a part of the law: nothing can be certified",
    )
    x = np.clip(law.chart.coordinate(np.append(pieces.low, pieces.high[-1])), fine.edges[0], fine.edges[-1])
    x[0], x[-1] = fine.edges[0], fine.edges[-1]
    flat = np.flatnonzero((pieces.trend == 0) & (x[1:] > x[:-1]))
    steps = [(float(x[i]), float(x[i + 1]), float(pieces.top[i])) for i in flat]
    slopes = []
    for i in np.flatnonzero((pieces.trend != 0) & (x[1:] > x[:-1])):
        low, high, rising = float(x[i]), float(x[i + 1]), bool(pieces.trend[i] > 0)
        tail = high == fine.edges[-1] if rising else low == fine.edges[0]
        if not tail:  # the last sliver below the top of a piece inside the range
            end = (pieces.high if rising else pieces.low)[i : i + 1]
            top = abs(enclose(law.density.steepness, Interval(end, end))[0]) / Interval(end, end)
            if rising:
                cut = max(low, float(fine.edges[max(int(np.searchsorted(fine.edges, high - SLIVER)) - 1, 0)]))
                steps.append((cut, high, float(top.high[0])))
                high = cut
            else:
                last = fine.edges.size - 1
                cut = min(high, float(fine.edges[min(int(np.searchsorted(fine.edges, low + SLIVER)), last)]))
                steps.append((low, cut, float(top.high[0])))
                low = cut
        if high > low:
            slopes.append(_Slope(law, low, high, rising, tail))
    bounds = np.array(steps).reshape(-1, 3)
    mass, error = _masses(law, bounds[:, 0], bounds[:, 1])
    score = bounds[:, 2]
    if math.isfinite(cap.score) and cap.mass > 0.0:
        mass, error = (
            np.append(mass, cap.mass * law.law_sums.whole),
            np.append(error, cap.doubt * law.law_sums.whole),
        )
        score = np.append(score, cap.score)
    order = np.argsort(-score, kind="stable")
    order = order[mass[order] > 0.0]
    mass, error, score = mass[order], error[order], score[order]
    for k in range(1, score.size):  # scores a few roundings apart count as one, the highest
        if score[k] >= score[k - 1] * (1.0 - TIE):
            score[k] = score[k - 1]
    # of equal scores any may come first: those whose mass is known best, so that small p keep their digits
    order = np.lexsort((error / mass, -score))
    return slopes, _Steps(mass[order], error[order], score[order])


def _masses(law: RadialLaw, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(masses between pairs of x, their errors), with what lies beyond the panels where they end; the cap is left out."""
    sums, edges = law.law_sums, law.fine.edges
    known = np.concatenate([[0.0], np.cumsum(sums.doubt)])
    i, j = np.searchsorted(edges, low, side="right") - 1, np.searchsorted(edges, high, side="left") - 1
    near_left = sums.below[i] < sums.above[i + 1]
    mass = np.where(near_left, sums.up_to(high) - sums.up_to(low), sums.beyond(low) - sums.beyond(high))
    # over whole panels errors add up; of parts both ends count
    error = known[j] - np.minimum(known[i + 1], known[j]) + 2.0 * (sums.part_doubt[i] + sums.part_doubt[j])
    error = error + mass * np.maximum(sums.share[i], sums.share[j])
    error = (
        error + edges.size * 2.0**-51 * np.minimum(sums.below[j + 1], sums.above[i]) + 2.0**-52 * known[-1]
    )
    for n in np.flatnonzero((edges[i] == low) & (edges[j + 1] == high)):  # whole panels: no differences
        span = slice(i[n], j[n] + 1)
        mass[n], error[n] = sums.total[span].sum(), sums.doubt[span].sum()
    (left, _), (right, _) = law.outside
    error = error + np.where(low == edges[0], left, 0.0)
    if not law.bounded:
        error = error + np.where(high == edges[-1], right, 0.0)
    mass = mass + np.where(low == edges[0], sums.below[0], 0.0)
    if not law.bounded:
        mass = mass + np.where(high == edges[-1], sums.above[-1], 0.0)
    return np.maximum(mass, 0.0), error


def radial_curve(weight: float, law: RadialLaw) -> RadiusCurve:
    """The radius curve, at scale 1, of the score psi'(r)·A with A = ±1 with probability `weight` ≤ 1/2 each, else 0.

    Every node is a proved bound: probabilities rounded down and Phi up by the errors of the integrals (intervals, complex balls),
    scores from above on steps. ValueError where the mean score is infinite or the numbers leave the range of floats.
    """
    require(0.0 < weight <= 0.5, f"the weight must be in (0, 1/2], not {weight!r}")
    require(
        law.fine.proved,
        "what the series of this density leave out could not be bounded: nothing can be certified",
    )
    with np.errstate(all="ignore"):
        p, phi, slope, steep, bend = _nodes(law)
    p, phi, slope, bend = weight * p, weight * phi, slope.copy(), bend / weight
    p[0] = weight
    if weight < 0.5:  # beyond the cone the score is 0: Phi is flat up to 1/2
        p, phi, slope, steep, bend = (
            np.concatenate([[a], b])
            for a, b in ((0.5, p), (phi[0], phi), (0.0, slope), (0.0, steep), (0.0, bend))
        )
    return curve_from_nodes(p, phi, slope, steep=steep, bend=bend)


def _nodes(law: RadialLaw) -> tuple[np.ndarray, ...]:
    """(share of the law, E[score; its highest], threshold from below and above, bend) by descending share from 1.

    Shares from below, E from above; bend bounds minus the second derivative between neighbours from below.
    """
    whole, cap = law.law_sums.whole, law.cap
    # of the whole; and of sums of positive numbers, panel by panel
    lost_mass = float(law.law_sums.doubt.sum()) + sum(mass for mass, _ in law.outside)
    drift = lost_mass / whole + cap.doubt + (law.fine.level.shape[0] + 64) * 2.0**-52
    slopes, steps = _parts(law)
    shares = 2.0 * sc.ndtr(-DEEPEST * (np.arange(1, NODES) / NODES) ** 2.5)
    for piece in slopes:
        piece.candidates(shares)
    slopes = [piece for piece in slopes if piece.x.size >= 2]
    step_mass, step_error = steps.above(steps.mass), steps.above(steps.error)
    step_score, step_lost = steps.above(steps.mass * steps.score), steps.above(steps.error * steps.score)
    log_tops = np.log(steps.score)

    def rough(log_c: np.ndarray) -> np.ndarray:
        """Mass of the monotone pieces at thresholds, by interpolation."""
        total = np.zeros_like(log_c)
        for piece in slopes:
            total += np.where(
                log_c > piece.log_score[0], 0.0, np.interp(-log_c, -piece.log_score, piece.masses)
            )
        return total

    log_c, partial, full = _thresholds(slopes, log_tops, step_mass, rough, shares * whole)
    mass, mass_error = step_mass[full], step_error[full].copy()
    score, score_error = step_score[full], step_lost[full].copy()
    if steps.score.size:  # the share of the step at the threshold
        this = np.minimum(full, steps.score.size - 1)
        top = np.where(partial > 0.0, steps.score[this], 0.0)
        mass, mass_error = mass + partial * steps.mass[this], mass_error + partial * steps.error[this]
        score, score_error = (
            score + partial * steps.mass[this] * top,
            score_error + partial * steps.error[this] * top,
        )
    lowest, highest, off = log_c.copy(), log_c.copy(), np.zeros_like(log_c)
    places = []
    for piece in slopes:
        x, reached, least, most = piece.boundary(log_c)
        places.append((piece, x, reached))
        lowest, highest = np.fmin(lowest, least), np.fmax(highest, most)
        off = np.fmax(off, np.abs(least - log_c))
        for total, lost, sums in ((mass, mass_error, piece.mass), (score, score_error, piece.score)):
            value, error = piece.at(sums, x)
            total += np.where(reached, value, 0.0)
            lost += np.where(reached, error, 0.0)
    # Phi's slope is no less than the lowest score on the level set's boundary, rounded down
    threshold = np.exp(lowest)
    y, phi = (mass - mass_error) / whole, (score + score_error) / whole
    if math.isinf(cap.score):
        y = y + np.where(threshold <= cap.least, cap.mass, 0.0)
    y, phi = y * (1.0 - drift), (phi + cap.jump) * (1.0 + 2.0 * drift)
    total = (
        step_score[-1]
        + step_lost[-1]
        + sum(float(piece.score[1][-1] + piece.score[2][-1]) for piece in slopes)
    )
    mean = (total / whole + cap.jump) * (1.0 + 2.0 * drift)
    floor = min([math.exp(piece.log_score[-1]) for piece in slopes] + steps.score[-1:].tolist())
    require(0.0 < mean < math.inf, "the growth leaves the range of floats under this law")
    sound = np.isfinite(y) & np.isfinite(phi) & np.isfinite(threshold) & (y > 0.0) & (phi > 0.0)
    sound &= (mass_error < 1e-3 * mass) & (off < 0.1)
    phi = phi + off * threshold * y * (1.0 + off)  # what boundaries that miss the threshold can cost
    order = np.flatnonzero(sound)[np.argsort(-y[sound], kind="stable")]
    y, phi, threshold, ceiling = y[order], phi[order], threshold[order], np.exp(highest)[order]
    own = phi
    # every node's tangent bounds Phi below it, the next node's Phi as well
    before = np.concatenate([[mean], phi[:-1]])
    phi = np.minimum(phi, before - np.concatenate([[floor], threshold[:-1]]) * -np.diff(y, prepend=1.0))
    phi = np.minimum.accumulate(phi)
    ceiling = np.where(phi < own, np.inf, ceiling)  # a bound from elsewhere has no slope of its own
    keep = (np.diff(np.concatenate([[1.0], y])) < -1e-13 * y) & (y < 1.0 - 1e-13)
    order = order[keep]
    # between neighbours: no step may be taken, and the errors of the masses must be far below their difference
    spread = sum(
        (np.where(reached[order[1:]], piece.spread(x[order[:-1]], x[order[1:]]), 0.0) for piece, x, reached in places),
        np.zeros(max(order.size - 1, 0)),
    )  # fmt: skip
    lost = mass_error[order] / whole + drift * y[keep]
    plain = (np.diff(full[order]) == 0) & (np.diff(partial[order]) == 0.0)
    plain &= lost[:-1] + lost[1:] < 1e-4 * -np.diff(y[keep])
    bend = np.where(plain & (spread > 0.0), whole / spread, 0.0)
    columns = ((1.0, y), (mean, phi), (floor, threshold), (np.inf, ceiling))
    nodes = (np.concatenate([[first], column[keep]]) for first, column in columns)
    return (*nodes, np.concatenate([[0.0], np.nan_to_num(bend, nan=0.0, posinf=0.0)]))


def _thresholds(
    slopes: list[_Slope],
    log_tops: np.ndarray,
    step_mass: np.ndarray,
    rough: Callable[[np.ndarray], np.ndarray],
    targets: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds of level sets with about the target masses: (log c, share of the step at c, count of whole steps above).

    Where a target falls into a step, the level set takes the fitting share of that step.
    """
    pool = np.concatenate([piece.log_score for piece in slopes]) if slopes else np.empty(0)
    pool = np.unique(pool)[::-1]
    count = np.searchsorted(-log_tops, -pool, side="right") if pool.size else np.empty(0, dtype=np.int64)
    reach = rough(pool) + step_mass[count] if pool.size else pool
    # some of every piece's own, however narrow it is, and its ends: between nodes Phi must be smooth
    ends = [np.append(piece.log_score[:: NODES // OWN_NODES], piece.log_score[-1]) for piece in slopes]
    chosen = np.concatenate([pool[_nearest(reach, targets)], *ends]) if pool.size else pool
    chosen = np.unique(chosen)[::-1]
    log_c, partial = [chosen], [np.zeros_like(chosen)]
    full = [np.searchsorted(-log_tops, -chosen, side="right")]
    if log_tops.size:
        before = rough(log_tops) + step_mass[:-1]
        own = np.diff(step_mass)
        j = np.searchsorted(before, targets, side="left") - 1  # the last step that begins below the target
        share = np.where(j >= 0, (targets - before[j]) / own[j], 2.0)
        inside = (share > 0.0) & (share < 1.0)
        log_c += [log_tops[j[inside]], log_tops]
        partial += [share[inside], np.ones_like(log_tops)]
        full += [j[inside], np.arange(log_tops.size)]
    order = np.concatenate(log_c) if log_c else np.empty(0)
    finite = np.isfinite(order)
    return order[finite], np.concatenate(partial)[finite], np.concatenate(full)[finite].astype(np.int64)


def _nearest(reach: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Indices into ascending values closest to the targets."""
    i = np.clip(np.searchsorted(reach, targets), 1, max(reach.size - 1, 1))
    i = np.minimum(i, reach.size - 1)
    lower = np.maximum(i - 1, 0)
    return np.unique(np.where(targets - reach[lower] < reach[i] - targets, lower, i))
