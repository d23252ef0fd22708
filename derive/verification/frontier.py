"""The frontier of two measures on a line: the most that a set of given mass can gain, by quadrature and duality.

For measures mu and nu with ratio c = d nu / d mu, Phi(p) = max { nu(U) : mu(U) = p } is concave, attained by the sets
{ratio ≥ c}. Two sides of it cost the same: any threshold c gives Phi(p) ≤ nu(U_c) + c·(p - mu(U_c)), and a chord between
two sets gives Phi(p) ≥ the chord. Growth rates (nu = score·mu) and Neyman–Pearson tests (nu = the shifted law) are both of
this form. Floats throughout: the difference of the two sides and of two quadratures is the stated error; it is no proof.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

Array = NDArray[np.float64]
LogMeasures = Callable[[Array], tuple[Array, Array]]  # x -> (log mu'(x), log nu'(x))

_RAW, _RAW_WEIGHTS = leggauss(10)
NODES, WEIGHTS = 0.5 * (_RAW + 1.0), 0.5 * _RAW_WEIGHTS
RELATIVE = 1e-13  # of a panel's own mass: sums of positive terms keep it in both tails
NEGLIGIBLE = 1e-32  # panels with less of the whole are left as they are
LEVELS = 48
MOST = 4000  # panels that may be unsettled at once
ROUNDING = 2e-13  # what the sums themselves may lose


@dataclass(frozen=True)
class Measured:
    """A number and the error that its computation states: |true - value| ≤ error, as far as floats tell."""

    value: float
    error: float


class Frontier(Protocol):
    """What `bounds` needs: sets {ratio ≥ c} and a first table of them, c falling and mass rising."""

    def above(self, c: Array) -> tuple[Array, Array]: ...

    @property
    def table(self) -> tuple[Array, Array, Array]: ...


def panel_sums(function: LogMeasures, left: Array, right: Array, offset: float) -> tuple[Array, Array]:
    """Gauss–Legendre sums of both measures over [left, right], times exp(-offset)."""
    width = right - left
    log_mu, log_nu = function(left[:, None] + width[:, None] * NODES)
    with np.errstate(under="ignore"):
        return np.exp(log_mu - offset) @ WEIGHTS * width, np.exp(log_nu - offset) @ WEIGHTS * width


def refined(
    function: LogMeasures, edges: Array, noise: float, negligible: float = NEGLIGIBLE
) -> tuple[Array, float]:
    """Edges between which both measures are integrated to RELATIVE + noise, and the logarithm taken out of them.

    Errors below `negligible` times the whole are left.
    """
    left, right = edges[:-1], edges[1:]
    log_mu, log_nu = function(left[:, None] + (right - left)[:, None] * NODES)
    offset = float(np.max(log_mu))
    if not np.isfinite(offset):
        offset = float(np.max(log_nu))
    if not np.isfinite(offset):
        offset = 0.0  # both vanish
    kept: list[Array] = [edges[:1]]
    whole = panel_sums(function, left, right, offset)
    total = np.array([np.sum(whole[0]), np.sum(whole[1])]) + 1e-300
    for level in range(LEVELS):
        middle = 0.5 * (left + right)
        first, second = (
            panel_sums(function, left, middle, offset),
            panel_sums(function, middle, right, offset),
        )
        bad = np.zeros(left.size, dtype=bool)
        for k in range(2):
            halves = first[k] + second[k]
            limit = (RELATIVE + noise) * halves + negligible * total[k]
            if k == 1:  # the ratio's own rounding, where it is small beside its mean
                limit += RELATIVE * (first[0] + second[0]) * total[1] / total[0]
            bad |= ~(np.abs(halves - whole[k]) <= limit)
        bad &= (middle > left) & (middle < right)
        kept.append(right[~bad])
        if np.count_nonzero(bad) > MOST:
            raise ArithmeticError(f"the quadrature does not settle within {MOST} panels")
        if not np.any(bad) or level == LEVELS - 1:
            kept.append(right[bad])
            break
        left, right = (
            np.concatenate([left[bad], middle[bad]]),
            np.concatenate([middle[bad], right[bad]]),
        )
        whole = (
            np.concatenate([first[0][bad], second[0][bad]]),
            np.concatenate([first[1][bad], second[1][bad]]),
        )
    return np.unique(np.concatenate(kept)), offset


@dataclass(frozen=True)
class LineFrontier:
    """The frontier of two measures on an interval; masses are those of exp(log - log_total)."""

    function: LogMeasures
    edges: Array  # with every turning point of the ratio
    log_total: float

    @staticmethod
    def build(
        function: LogMeasures,
        edges: Array,
        log_total: float | None = None,
        *,
        split: int = 4,
        noise: float = 0.0,
    ) -> LineFrontier:
        """From a few edges that enclose the range; `log_total` None: mu is normalised to mass 1.

        noise: relative rounding of the measures' values, below which no quadrature settles.
        """
        fine, offset = refined(function, edges, noise)
        fine = np.unique(
            np.concatenate([fine[:-1] + k / split * np.diff(fine) for k in range(split)] + [fine[-1:]])
        )
        fine = np.unique(np.concatenate([fine, _turning_points(function, fine)]))
        if log_total is None:
            log_total = offset + float(np.log(np.sum(panel_sums(function, fine[:-1], fine[1:], offset)[0])))
        return LineFrontier(function, fine, log_total)

    def ratio(self, x: Array) -> Array:
        log_mu, log_nu = self.function(x)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.where(log_nu == -np.inf, 0.0, np.exp(log_nu - log_mu))

    @cached_property
    def masses(self) -> tuple[Array, Array]:
        """mu and nu of every cell."""
        return panel_sums(self.function, self.edges[:-1], self.edges[1:], self.log_total)

    @cached_property
    def ratios(self) -> Array:
        value = self.ratio(self.edges)
        empty = self.function(self.edges)[0] == -np.inf  # at a bound where mu vanishes: the limit from inside
        value[-1] = value[-2] if empty[-1] else value[-1]
        value[0] = value[1] if empty[0] else value[0]
        return value

    @cached_property
    def constant(self) -> bool:
        """Whether the ratio is one number up to rounding."""
        used = self.ratios[1:-1]
        return bool(np.ptp(used) <= 1e-12 * np.max(np.abs(used)))

    def above(self, c: Array) -> tuple[Array, Array]:
        """mu and nu of {ratio ≥ c} for an array of thresholds."""
        c = np.asarray(c, dtype=float)
        mu, nu = self.masses
        if self.constant:
            taken = c <= np.median(self.ratios)
            return taken * np.sum(mu), taken * np.sum(nu)
        high = self.ratios >= c[:, None]
        both = (high[:, :-1] & high[:, 1:]).astype(float)
        p, gain = both @ mu, both @ nu
        row, cell = np.nonzero(high[:, :-1] != high[:, 1:])
        if row.size:
            inner = np.where(high[row, cell], self.edges[cell], self.edges[cell + 1])
            end, outer = inner, np.where(high[row, cell], self.edges[cell + 1], self.edges[cell])
            for _ in range(52):
                middle = 0.5 * (inner + outer)
                keep = self.ratio(middle) >= c[row]
                inner, outer = np.where(keep, middle, inner), np.where(keep, outer, middle)
            left, right = np.minimum(end, inner), np.maximum(end, inner)
            for target, part in zip(
                (p, gain), panel_sums(self.function, left, right, self.log_total), strict=True
            ):
                np.add.at(target, row, part)
        return p, gain

    @cached_property
    def breaks(self) -> Array:
        """Masses p at which a threshold passes a turn or a step of the ratio: Phi is smooth between them."""
        value = self.ratios
        steps = np.diff(value)
        noise = 1e-10 * (np.abs(value[1:]) + np.abs(value[:-1]))
        steps = np.where(np.abs(steps) <= noise, 0.0, steps)
        turns = np.flatnonzero(np.sign(steps[1:]) != np.sign(steps[:-1])) + 1
        at = np.unique(value[np.concatenate([[0], turns, [value.size - 1]])])
        at = at[np.isfinite(at)]
        if at.size > 64:
            return np.empty(0)
        return np.unique(np.concatenate([self.above(at * (1.0 + k * 1e-11))[0] for k in (-1.0, 1.0)]))

    @cached_property
    def table(self) -> tuple[Array, Array, Array]:
        c = np.unique(self.ratios[np.isfinite(self.ratios)])[::-1]
        c = c[:: max(1, c.size // 1000)]
        if np.any(np.isinf(self.ratios)):
            c = np.concatenate([c[:1] * 1e16, c])
        mu, nu = self.masses
        return filled_table(self, c, float(np.sum(mu)), float(np.sum(nu)))

    @cached_property
    def coarse(self) -> tuple[Array, Array, Array]:
        """A few sets, for questions about a single p."""
        c = np.unique(self.ratios[np.isfinite(self.ratios)])[::-1]
        c = np.concatenate([c[:1] * 1e16, c[:: max(1, c.size // 40)], c[-1:], [0.0]])
        mu, nu = self.masses
        p, gain = self.above(c)
        return c, np.append(p[:-1], np.sum(mu)), np.append(gain[:-1], np.sum(nu))

    def value(self, p: float) -> Measured:
        """Phi at one p."""
        low, high = bounds(self, np.array([p]), rounds=30, table=self.coarse)
        return Measured(float(0.5 * (low + high)[0]), float(0.5 * (high - low)[0]) + ROUNDING)


def filled_table(frontier: Frontier, c: Array, mass: float, gain: float) -> tuple[Array, Array, Array]:
    """Sets at falling thresholds, with more of them where chords and tangents are far apart; the last is the whole."""
    p, phi = frontier.above(c)
    c, p, phi = np.append(c, 0.0), np.append(p, mass), np.append(phi, gain)
    for _ in range(12):
        width = p[1:] - p[:-1]
        with np.errstate(invalid="ignore"):
            gap = np.where(c[:-1] < np.inf, width * (c[:-1] - c[1:]), 0.0)
        wide = np.flatnonzero((gap > 1e-6 * phi[1:]) & (width > 1e-14 * p[1:]) & (p[1:] > 1e-20))
        if not wide.size or c.size > 6000:
            break
        high, low = c[wide], c[wide + 1]
        new = np.where((high > 4.0 * low) & (low > 0.0), np.sqrt(high) * np.sqrt(low), 0.5 * (high + low))
        more_p, more_phi = frontier.above(new)
        order = np.argsort(-np.concatenate([c, new]), kind="stable")
        c, p, phi = (np.concatenate(pair)[order] for pair in ((c, new), (p, more_p), (phi, more_phi)))
    return c, np.maximum.accumulate(p), np.maximum.accumulate(phi)


def _turning_points(function: LogMeasures, edges: Array) -> Array:
    """Where the ratio turns between the edges, by golden section (a value there is exact to rounding)."""

    def log_ratio(x: Array) -> Array:
        log_mu, log_nu = function(x)
        with np.errstate(invalid="ignore"):
            found = log_nu - log_mu
        return np.where(np.isnan(found), -np.inf, found)

    value = log_ratio(edges)
    found = []
    noise = 1e-13 * (1.0 + np.abs(value[1:-1]))
    for sign in (1.0, -1.0):
        with np.errstate(invalid="ignore"):
            rise, fall = sign * (value[1:-1] - value[:-2]), sign * (value[1:-1] - value[2:])
        at = np.flatnonzero((rise >= 0.0) & (fall >= 0.0) & (np.maximum(rise, fall) > noise)) + 1
        if not at.size:
            continue
        left, right = edges[at - 1], edges[at + 1]
        golden = 0.5 * (np.sqrt(5.0) - 1.0)
        for _ in range(80):
            a, b = right - golden * (right - left), left + golden * (right - left)
            keep_left = sign * log_ratio(a) >= sign * log_ratio(b)
            left, right = np.where(keep_left, left, a), np.where(keep_left, b, right)
        found.append(0.5 * (left + right))
    return np.concatenate(found) if found else np.empty(0)


def bounds(
    frontier: Frontier,
    p: Array,
    rounds: int = 9,
    goal: float = 1e-13,
    table: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Phi(p) from below (a chord) and from above (a tangent); Phi is flat beyond the whole mass."""
    p = np.asarray(p, dtype=float)
    thresholds, masses, gains = frontier.table if table is None else table
    low = np.clip(np.searchsorted(masses, p), 1, masses.size - 1)
    inner = [thresholds[low - 1], masses[low - 1], gains[low - 1]]  # fewer points, larger c
    outer = [thresholds[low], masses[low], gains[low]]
    first = p < masses[0]
    inner = [np.where(first, [thresholds[0], 0.0, 0.0][k], inner[k]) for k in range(3)]
    outer = [np.where(first, [thresholds[0], masses[0], gains[0]][k], outer[k]) for k in range(3)]
    lower, upper = _sides(inner, outer, p)
    for turn in range(rounds):
        open_ = np.flatnonzero((upper - lower > goal * upper) & (inner[0] > outer[0]))
        if not open_.size:
            break
        few, many, wanted = inner[1][open_], outer[1][open_], p[open_]
        if turn % 3 == 2:
            guesses = [np.full(open_.size, 0.5)]
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                share = (wanted - few) / (many - few)
            share = np.clip(np.nan_to_num(share, nan=0.5), 1e-3, 0.999)
            step = 0.05 * np.minimum(share, 1.0 - share)
            guesses = [share - step, share + step]
        for guess in guesses:
            c = inner[0][open_] - (inner[0][open_] - outer[0][open_]) * guess
            mass, gain = frontier.above(c)
            below = mass <= wanted
            closer_in = below & (mass >= inner[1][open_]) & (c <= inner[0][open_])
            closer_out = ~below & (mass <= outer[1][open_]) & (c >= outer[0][open_])
            for k, new in enumerate((c, mass, gain)):
                inner[k][open_[closer_in]] = new[closer_in]
                outer[k][open_[closer_out]] = new[closer_out]
        lower, upper = _sides(inner, outer, p)
    return lower, upper


def _sides(inner: list[Array], outer: list[Array], p: Array) -> tuple[Array, Array]:
    """Chord and tangents at p between two sets of the frontier."""
    width = outer[1] - inner[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.clip(np.where(width > 0.0, (p - inner[1]) / width, 0.0), 0.0, 1.0)
    chord = inner[2] + share * (outer[2] - inner[2])
    upper = np.minimum(inner[2] + inner[0] * (p - inner[1]), outer[2] + outer[0] * (p - outer[1]))
    beyond = p >= outer[1]
    upper = np.where(beyond & (outer[0] <= 0.0), outer[2], upper)
    return chord, np.maximum(upper, chord)


def inverse_integral(
    frontier: Frontier, depths: Array, top: float, extra: float = 0.0, breaks: Array | None = None
) -> list[Measured]:
    """int dp/(Phi(p) + extra) from top·exp(-depth) to top, for every depth ≥ 0.

    In y = log(top/p), adaptively: a panel is halved until two quadratures agree.
    """
    depths = np.asarray(depths, dtype=float)
    deepest = float(np.max(depths))
    marks = [np.array([0.0, deepest]), depths, np.arange(0.0, deepest, 0.7)]
    if breaks is not None:
        with np.errstate(divide="ignore"):
            marks.append(np.log(top / breaks[breaks > 1e-300]))
    every = np.unique(np.concatenate(marks))
    every = every[(every >= 0.0) & (every <= deepest)]
    left, right = every[:-1], every[1:]

    def sums(a: Array, b: Array) -> tuple[Array, Array]:
        p = top * np.exp(-(a[:, None] + (b - a)[:, None] * NODES))
        low, high = (x.reshape(p.shape) + extra for x in bounds(frontier, p.reshape(-1)))
        with np.errstate(divide="ignore"):
            small, large = (p / high) @ WEIGHTS * (b - a), (p / low) @ WEIGHTS * (b - a)
        return 0.5 * (small + large), 0.5 * (large - small)

    done: list[tuple[float, float, float]] = []  # right end, value, error
    whole = sums(left, right)[0]
    scale = float(np.sum(whole))
    for level in range(36):
        middle = 0.5 * (left + right)
        first, second = sums(left, middle), sums(middle, right)
        value = first[0] + second[0]
        miss = np.abs(value - whole)
        bad = miss > 1e-13 * scale + 1e-12 * value
        if level == 35 or np.count_nonzero(bad) > 4 * every.size:
            bad[:] = False
        good = ~bad
        error = miss + first[1] + second[1]
        done += zip(right[good].tolist(), value[good].tolist(), error[good].tolist(), strict=True)
        if not np.any(bad):
            break
        left, right = np.concatenate([left[bad], middle[bad]]), np.concatenate([middle[bad], right[bad]])
        whole = np.concatenate([first[0][bad], second[0][bad]])
    ends, values, errors = (np.array(x) for x in zip(*sorted(done), strict=True))
    results = []
    for depth in depths:
        inside = ends <= depth * (1.0 + 1e-15)
        total = float(np.sum(values[inside]))
        results.append(Measured(total, float(np.sum(errors[inside])) + ROUNDING * total))
    return results
