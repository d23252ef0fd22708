"""Exact Neyman–Pearson radii of l2-radial densities against l2: level sets of the likelihood ratio.

For noise X ~ q of density exp(-psi(|x|)), psi increasing, and a shift v of length e, the likelihood ratio test
psi(|x|) - psi(|x - v|) > tau has the masses

    under q_v: P_big(tau)   = P(|X + v| > s),  psi(s) = psi(|X|) + tau,
    under q:   P_small(tau) = P(|X - v| < s),  psi(s) = psi(|X|) - tau,

and given |X| = r each is a spherical cap. Weak duality, q_v(U) ≤ P_big + e^tau·(q(U) - P_small) for every U and tau, makes
p = P_small + e^-tau·(1/2 - P_big) a failure probability that is certified at distance e for any tau; the largest over tau
is the exact one. Source: Yang et al., "Randomized Smoothing of All Shapes and Sizes" (ICML 2020), level-set method.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.special as sc

from generated.special.monotone import RadialDensity
from generated.special.potential import Place, Potential

SMOOTH_DIMENSION = 50
"""From here on a cap's probability is smooth enough where the cap closes that quadrature needs no break there."""
NARROW = 9.5
"""In high dimension a cap passes from nothing to all while u·sqrt(dim) passes from NARROW to -NARROW, to 1e-20."""
CLUSTER = 40
"""Nodes between two breaks, clustered at both ends."""

_ANGLES, _ANGLE_WEIGHTS = np.polynomial.legendre.leggauss(CLUSTER)
_THETA = 0.25 * math.pi * (_ANGLES + 1.0)
CLUSTERED = np.sin(_THETA) ** 2
CLUSTERED_WEIGHTS = 0.25 * math.pi * _ANGLE_WEIGHTS * np.sin(2.0 * _THETA)


def cap(dim: int, u: np.ndarray, beyond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P(A < u) - 1/2, P(A > u)) of one coordinate A of a uniform point on the unit sphere; `beyond` = 1 - u."""
    half = 0.5 * (dim - 1)
    if dim == 1:
        low = np.where(u >= 1.0, 0.5, np.where(u <= -1.0, -0.5, 0.0))
        return low, 0.5 - low
    square = np.minimum(u * u, 1.0)
    middle = 0.5 * np.sign(u) * sc.betainc(0.5, half, square)
    tail = 0.5 - middle
    far = (u > 0.0) & (u < 1.0) & (middle > 0.3)
    near = far & (beyond < 0.1)
    far &= ~near
    tail[far] = 0.5 * sc.betaincc(0.5, half, square[far])
    rest = np.maximum(beyond[near], 0.0)
    tail[near] = 0.5 * sc.betainc(half, 0.5, rest * (2.0 - rest))
    tail[u >= 1.0] = 0.0
    return middle, tail


class LevelSets:
    """The likelihood ratio tests of one density in one dimension, by quadrature over r = |X|."""

    def __init__(self, density: RadialDensity, dim: int, variation: float = 4.0) -> None:
        self.dim = dim
        self.potential = Potential(density, dim, variation)
        self.bounded = math.isfinite(self.potential.edge)
        x = self.potential.log_radius(self.potential.place)
        self.radius = np.exp(x)
        self.slope = -0.3  # of P_big in tau, times the distance: remembered as a guess

    def big(self, e: float, tau: float) -> float:
        """P_big - 1/2."""
        return self._mass(e, tau, 1.0)[0]

    def small(self, e: float, tau: float) -> tuple[float, float]:
        """(1/2 - P_small, P_small), each accurate relative to itself where it is the smaller."""
        middle, tail = self._mass(e, tau, -1.0)
        return middle, tail

    def _mass(self, e: float, tau: float, sign: float) -> tuple[float, float]:
        """E[P(A < u) - 1/2] and E[P(A > u)] with u = (r² + e² - s²)/(2er), psi(s) = psi(r) + sign·tau."""
        potential = self.potential
        chosen = np.flatnonzero(potential.mass > (1e-20 if sign > 0.0 else 1e-36))
        place, mass = potential.place[chosen], potential.mass[chosen]
        ready = (potential.to_end if sign > 0.0 else potential.from_begin)[chosen]
        u, beyond = self._cosine(place, self.radius[chosen] - e, e, tau, sign, ready)
        anchor = self._anchor(e)
        # with r far below e, u may be lost in rounding: there the law must have no mass that counts
        heavy = mass > (1e-15 if sign > 0.0 else 1e-36)
        breaks = self._breaks(anchor, place[heavy], u[heavy], e, tau, sign)
        pieces = (0.0, 0.0)
        if breaks.size:
            panels = potential.shifted(anchor, breaks).panel
            touched = np.zeros(potential.begin.size + 2, dtype=bool)
            for shift in (0, 1, 2):
                touched[panels + shift] = True
            touched = touched[1:-1]
            keep = ~touched[place.panel]
            u, beyond, mass = u[keep], beyond[keep], mass[keep]
            pieces = self._pieces(anchor, breaks, touched, e, tau, sign)
        middle, tail = cap(self.dim, u, beyond)
        return float(mass @ middle) + pieces[0], float(mass @ tail) + pieces[1]

    def _anchor(self, e: float) -> Place:
        """The place from which the ends of pieces are measured: where the integrand may be narrow."""
        potential = self.potential
        if math.isinf(potential.edge) and self.dim < SMOOTH_DIMENSION:
            return potential.locate(np.array([math.log(e)]))
        return Place(np.array([potential.begin.size - 1]), potential.width[-1:])

    def _gap(self, anchor: Place, y: np.ndarray, e: float) -> np.ndarray:
        """r - e at log r = that of the anchor + y; without cancellation where the anchor is e."""
        zero = float(self.potential.log_radius(anchor)[0])
        if math.isclose(zero, math.log(e), rel_tol=1e-14, abs_tol=1e-14):
            return e * np.expm1(y)
        return np.exp(zero + y) - e

    def _cosine(
        self,
        place: Place,
        gap: np.ndarray,
        e: float,
        tau: float,
        sign: float,
        ready: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """u and 1 - u at given places; `gap` = r - e."""
        solve = self.potential.above if sign > 0.0 else self.potential.below
        eta = solve(place, tau, ready)
        r = np.exp(self.potential.log_radius(place))
        ratio, growth = e / r, r * np.expm1(eta)
        u = 0.5 * (ratio - np.expm1(2.0 * eta) / ratio)
        s = r * np.exp(eta)
        beyond = np.where(r > 2.0 * e, e + growth, s - gap) * (s + gap) / (2.0 * e * r)
        behind = (e - growth) * (r + e + s) / (2.0 * e * r)
        u = np.where(behind <= 0.0, np.minimum(u, -1.0), np.maximum(u, np.nextafter(-1.0, 0.0)))
        return np.where(beyond <= 0.0, np.maximum(u, 1.0), np.minimum(u, np.nextafter(1.0, 0.0))), beyond

    def _breaks(
        self, anchor: Place, place: Place, u: np.ndarray, e: float, tau: float, sign: float
    ) -> np.ndarray:
        """Log r, from the anchor, where the integrand is not smooth or is narrow: s at a kink of psi or at the edge, caps
        that open or close, or pass from nothing to all between neighbouring nodes."""
        found: list[np.ndarray] = []
        potential = self.potential
        zero = float(potential.log_radius(anchor)[0])
        low, high = float(potential.begin[0]) - zero, potential.end - zero
        if potential.breaks.size:
            at = potential.locate(potential.breaks)
            back = (potential.below if sign > 0.0 else potential.above)(at, tau)
            found.append(potential.breaks - zero + back)
        y = potential.log_radius(place) - zero
        if math.isfinite(potential.edge):
            y = np.append(y, high)
            last = Place(np.array([potential.begin.size - 1]), potential.width[-1:])
            u = np.append(u, self._cosine(last, np.array([math.exp(potential.end) - e]), e, tau, sign)[0])
        wall = 1.0
        if self.dim >= SMOOTH_DIMENSION:
            wall = NARROW / math.sqrt(self.dim)
            level = np.clip(u, -wall, wall)
            if np.max(np.abs(np.diff(level)), initial=0.0) < 0.1 * wall:
                wall = 0.0
        at_v = math.log(e) - zero
        if wall > 0.0 and sign < 0.0 and low < at_v < high:  # the cap around v may lie between two nodes
            here = np.searchsorted(y, at_v)
            u_v = self._cosine(potential.shifted(anchor, np.array([at_v])), np.zeros(1), e, tau, sign)[0]
            y, u = np.insert(y, here, at_v), np.insert(u, here, u_v)
            found.append(np.array([at_v]))
        for w in (wall, -wall) if wall > 0.0 else ():
            side = u >= w if w > 0.0 else u > w
            if sign > 0.0 and math.isfinite(potential.edge):  # where s is the bound of the support
                part = e / potential.density.bound
                rest = part * part * (1.0 - w * w)
                root = math.sqrt(max(1.0 - rest, 0.0))
                if part * w + root > 0.0:
                    found.append(np.array([math.log1p(part * w - rest / (1.0 + root)) + high]))
                if part * w - root > 0.0:
                    found.append(np.array([math.log(part * w - root) + high]))
            i = np.flatnonzero(side[1:] != side[:-1])
            if i.size:
                found.append(self._crossings(anchor, y[i], y[i + 1], w, e, tau, sign))
        breaks = np.unique(np.concatenate(found)) if found else np.empty(0)
        return breaks[(breaks > low) & (breaks < high) & ~np.isin(breaks, potential.breaks - zero)]

    def _crossings(
        self, anchor: Place, low: np.ndarray, high: np.ndarray, wall: float, e: float, tau: float, sign: float
    ) -> np.ndarray:
        """Log r, from the anchor, between neighbouring nodes where u = `wall`, by the Illinois rule."""

        def miss(y: np.ndarray) -> np.ndarray:
            place = self.potential.shifted(anchor, y)
            r = np.exp(self.potential.log_radius(place))
            ratio = e / r
            with np.errstate(divide="ignore", invalid="ignore"):
                if wall == 1.0:
                    narrow = np.log(np.abs(self._gap(anchor, y, e)) / r)
                    change = np.where(ratio < 0.5, np.log1p(-np.minimum(ratio, 0.5)), narrow)
                else:
                    change = 0.5 * np.log1p(ratio * (ratio - 2.0 * wall))
            return self.potential.rise(place, change) - sign * tau

        at_low, at_high = miss(low), miss(high)
        cross = (at_low > 0.0) != (at_high > 0.0)
        low, high, at_low, at_high = low[cross], high[cross], at_low[cross], at_high[cross]
        if not low.size:
            return low
        positive, before = at_low > 0.0, np.zeros(low.size, dtype=int)
        y = low
        for turn in range(120):
            with np.errstate(all="ignore"):
                y = low - at_low * (high - low) / (at_high - at_low)
            y = np.where((y > low) & (y < high) & (turn % 4 < 3), y, 0.5 * (low + high))
            value = miss(y)
            left = (value > 0.0) == positive
            at_high = np.where(left, np.where(before == 1, 0.5 * at_high, at_high), value)
            at_low = np.where(left, value, np.where(before == -1, 0.5 * at_low, at_low))
            low, high, before = np.where(left, y, low), np.where(left, high, y), np.where(left, 1, -1)
            wide = high - low > 4e-16 * np.maximum(np.abs(low), np.abs(high))
            if not (wide & (value != 0.0)).any():
                break
        return y

    def _pieces(
        self, anchor: Place, breaks: np.ndarray, touched: np.ndarray, e: float, tau: float, sign: float
    ) -> tuple[float, float]:
        """The same means over the panels at the breaks, with nodes clustered at the breaks."""
        potential = self.potential
        zero = float(potential.log_radius(anchor)[0])
        edges = np.append(potential.begin, potential.end)
        fixed = potential.breaks[(potential.breaks > edges[0]) & (potential.breaks < edges[-1])]
        runs = np.concatenate([[False], touched, [False]])
        ends = edges[np.flatnonzero(runs[:-1] != runs[1:])]
        cuts = np.unique(np.concatenate([ends - zero, breaks, fixed - zero]))
        low, width = cuts[:-1], np.diff(cuts)
        inside = touched[potential.shifted(anchor, low + 0.5 * width).panel]
        low, width = low[inside], width[inside]
        y = (low[:, None] + width[:, None] * CLUSTERED).ravel()
        place = potential.shifted(anchor, y)
        mass = np.exp(potential.log_density(place)) * (width[:, None] * CLUSTERED_WEIGHTS).ravel()
        mass /= potential.mass_total
        u, beyond = self._cosine(place, self._gap(anchor, y, e), e, tau, sign)
        middle, tail = cap(self.dim, u, beyond)
        return float(mass @ middle), float(mass @ tail)

    def threshold(self, e: float, guess: float) -> tuple[float, float]:
        """(z, tau): the normal quantile of 1 - p, p the smallest failure probability not certified at distance e, and the
        threshold that shows it. Infinite z: certified at e for no p a float can hold."""
        low, high, at_low, at_high = 0.0, math.inf, math.nan, math.nan
        tau, before, last = guess, math.inf, math.inf
        widths = [math.inf, math.inf]
        for turn in range(200):
            miss = self.big(e, tau)
            if miss > 0.0 and tau > 800.0:  # half of q_v lies where q vanishes, or 1 - rho underflows
                return math.inf, tau
            if miss > 0.0:
                low, at_low = tau, miss
            else:
                high, at_high = tau, miss
            # p misses its maximum over tau by at most exp(-tau)·|miss|·(distance to the best tau)
            gap, likely = tau - (low if miss <= 0.0 else high), math.inf
            if max(abs(miss), abs(last)) < 0.1 and miss != last:
                slope = (miss - last) / (tau - before) * e
                if 0.25 < slope / self.slope < 4.0:  # no jump between the two
                    likely = 3.0 * e * miss / slope
                self.slope = min(slope, -1e-300)
            if abs(miss) * min(abs(gap), abs(likely)) < 3e-13 * min(math.sqrt(tau), 1.0) or tau < 1e-30:
                if self.dim == 1:  # the likelihood ratio may be constant on intervals: leave such a tie
                    tau *= 1.0 - 1e-12
                    miss = self.big(e, tau)
                return self._quantile(e, tau, miss)
            before, last = tau, miss
            step = tau - e * miss / self.slope
            if math.isinf(high):
                tau = min(max(step + 1e-9 * tau, 1.001 * tau), 2.0 * tau) if turn < 2 else 2.0 * tau
            elif low == 0.0:
                tau *= min(max(step / tau - 1e-9, 0.5), 0.999) if turn < 2 else 0.5 if turn < 4 else 1e-4
            else:
                chord = low - at_low * (high - low) / (at_high - at_low)
                step = step if low < step < high else chord
                margin = 1e-3 * (high - low) if turn > 4 else 0.0
                slow = turn > 4 and high - low > 0.25 * widths[-2]
                widths.append(high - low)
                tau = 0.5 * (low + high) if slow else min(max(step, low + margin), high - margin)
        raise ArithmeticError(f"no threshold found at distance {e!r}")

    def _quantile(self, e: float, tau: float, miss: float) -> tuple[float, float]:
        half, tail = self.small(e, tau)
        lift = math.exp(-tau) * -miss
        half, tail = half - lift, tail + lift
        if half < 0.25:
            return math.sqrt(2.0) * float(sc.erfinv(2.0 * half)), tau
        return (-float(sc.ndtri(tail)) if tail > 0.0 else math.inf), tau
