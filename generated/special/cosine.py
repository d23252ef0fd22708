"""The differential radius of l2-radial noise against l2: the score is psi'(r)·A, A the cosine of a uniform direction.

A is independent of r and symmetric, so the score is distributed as |psi'(r)|·A. With (1 - A)/2 ~ Beta((d-1)/2, (d-1)/2) the
greedy sets {|psi'|·A ≥ c} have p(c) = E_r P(A ≥ c/|psi'|) and Phi(c) = E_r |psi'|·E[A; A ≥ c/|psi'|], closed in A, and
R(rho) = int_{1-rho}^{1/2} dp / Phi. Source: Yang et al., "Randomized Smoothing of All Shapes and Sizes" (ICML 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.special as sc

from generated.special.arguments import require
from generated.special.gamma import gamma_ratio
from generated.special.interval import FLOATS
from generated.special.levelset import AGREEMENT, Inverse
from generated.special.likelihood import CLUSTERED, CLUSTERED_WEIGHTS, SMOOTH_DIMENSION, cap
from generated.special.monotone import RadialDensity
from generated.special.potential import Potential
from generated.special.radial import RadialLaw
from generated.special.tabulated import DEGREE, FARTHEST, SLACK, Tabulated, tabulate

NEAR = 1e-6
"""Relative distance of a greedy set's normal quantile from the one asked for; the tangent of Phi makes up for it to 1e-12."""
NEGLIGIBLE = 1e-14
"""Largest share of the mean score that may lie beyond the panels of the radius."""


class GreedyCosine:
    """The greedy sets of one density in one dimension, by quadrature over r, indexed by their threshold c."""

    bounded = False

    def __init__(self, density: RadialDensity, dim: int, variation: float = 4.0, top: float = 0.0) -> None:
        self.density, self.dim = density, dim
        self.potential = Potential(density, dim, variation)
        self.log_radius = self.potential.log_radius(self.potential.place)
        self.radius = np.exp(self.log_radius)
        self.score = self.score_at(self.log_radius)
        share = self.potential.mass * self.score
        ends = max(float(share[0]), float(share[-1])) / float(share.sum())
        require(
            ends < NEGLIGIBLE or math.isfinite(self.potential.edge),
            "the mean score is infinite, or out of the range of floats: the differential method certifies nothing here",
        )
        half = 0.5 * (dim - 1)
        # E[A; A ≥ a] = scale·(1 - a²)**half
        self.scale = gamma_ratio(half + 0.5, half) / math.sqrt(math.pi) / (dim - 1)
        self.top = top if top > 0.0 else self._largest_score()

    def _largest_score(self) -> float:
        """The largest score at and around the nodes."""
        best = int(np.argmax(self.score))
        around = self.log_radius[max(best - 1, 0) : best + 2]
        low, high = float(around[0]), float(around[-1])
        top = float(self.score[best])
        for _ in range(12):
            x = np.linspace(low, high, 33)
            values = self.score_at(x)
            i = int(np.argmax(values))
            top = max(top, float(values[i]))
            low, high = float(x[max(i - 1, 0)]), float(x[min(i + 1, 32)])
        return top

    def score_at(self, x: np.ndarray) -> np.ndarray:
        """|psi'(r)| at log r = x."""
        r = np.exp(x)
        return np.broadcast_to(
            np.abs(np.asarray(self.density.steepness(FLOATS, r), dtype=np.float64) / r), r.shape
        )

    def level(self, e: float) -> float:
        """The threshold c = top·e/(1 + e) of the parameter e > 0; e resolves thresholds near a largest score."""
        return self.top * (e / (1.0 + e))

    def _excess(self, score: np.ndarray, e: float) -> np.ndarray:
        """score - c without cancellation where the score is at its top."""
        return (score - self.top) + self.top / (1.0 + e)

    def masses(self, e: float) -> tuple[float, float, float]:
        """(1/2 - p, p, Phi) at the threshold of e."""
        mass, score = self.potential.mass, self.score
        if self.dim < SMOOTH_DIMENSION:
            above = self._excess(score, e) > 0.0
            change = np.flatnonzero(above[1:] != above[:-1])
            if change.size:
                mass, score = self._split(self._crossings(change, e))
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = self._excess(score, e) / score  # 1 - c/score
        reached = beyond > 0.0  # false for NaN, where the score is 0
        missed = 0.5 * float(mass[~reached].sum())
        mass, score, beyond = mass[reached], score[reached], np.minimum(beyond[reached], 1.0)
        a = np.minimum(1.0 - beyond, np.nextafter(1.0, 0.0))
        a = np.where(a < 0.5, self.level(e) / score, a)
        middle, tail = cap(self.dim, a, beyond)
        moment = self.scale * np.exp(
            0.5 * (self.dim - 1) * np.where(a < 0.5, np.log1p(-a * a), np.log(beyond * (2.0 - beyond)))
        )
        return float(mass @ middle) + missed, float(mass @ tail), float(mass @ (score * moment))

    def _crossings(self, before: np.ndarray, e: float) -> np.ndarray:
        """log r where the score passes the threshold between neighbouring nodes, by bisection."""
        low, high = self.log_radius[before], self.log_radius[before + 1]
        up = self._excess(self.score_at(low), e) > 0.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            left = (self._excess(self.score_at(middle), e) > 0.0) == up
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        return np.asarray(0.5 * (low + high))

    def _split(self, breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mass, score) of nodes that are clustered at breaks: there the integrand is a power of half-integer order."""
        potential = self.potential
        panels = potential.locate(breaks).panel
        count = potential.begin.size
        touched = np.zeros(count, dtype=bool)
        for shift in (-1, 0, 1):
            touched[np.clip(panels + shift, 0, count - 1)] = True
        edges = np.append(potential.begin, potential.end)
        cuts = np.unique(np.concatenate([edges[:-1][touched], edges[1:][touched], breaks]))
        low, width = cuts[:-1], np.diff(cuts)
        inside = touched[potential.locate(low + 0.5 * width).panel]
        low, width = low[inside], width[inside]
        x = (low[:, None] + width[:, None] * CLUSTERED).ravel()
        density = np.exp(potential.log_density(potential.locate(x))) / potential.mass_total
        keep = ~touched[potential.place.panel]
        mass = np.concatenate([potential.mass[keep], density * (width[:, None] * CLUSTERED_WEIGHTS).ravel()])
        return mass, np.concatenate([self.score[keep], self.score_at(x)])

    def big(self, e: float, tau: float) -> float:
        """Not used: no threshold is out of reach."""
        return -1.0

    def threshold(self, e: float, guess: float) -> tuple[float, float]:
        """(normal quantile of 1 - p, 1) at threshold e."""
        half, tail, _ = self.masses(e)
        if half < 0.25:
            return math.sqrt(2.0) * float(sc.erfinv(2.0 * half)), 1.0
        return (-float(sc.ndtri(tail)) if tail > 0.0 else math.inf), 1.0

    def growth(self, z: float, e: float) -> float:
        """Phi at p = Phi_normal(-z), from above: by the tangent, of slope c, at the set of e."""
        half, tail, phi = self.masses(e)
        target = float(sc.ndtr(-z))
        gap = half - 0.5 * math.erf(z / math.sqrt(2.0)) if half < 0.25 else target - tail
        return phi + self.level(e) * gap


def cosine_curve(density: RadialDensity, dim: int) -> Tabulated:
    """The differential l2 radius of l2-radial noise in dimension dim ≥ 2, at scale 1.

    Never above it (a relative slack of 2**-33 over a quadrature checked against its own refinement; tested, not proved).
    ValueError for dim = 1 (product noise), for a density that jumps at its bound, and for an infinite mean score;
    ArithmeticError where the accuracy is not reached.
    """
    require(
        dim >= 2,
        f"the cosine law needs a dimension of at least 2, not {dim}; in dimension 1 use the product law",
    )
    if math.isfinite(density.bound):
        require(
            RadialLaw(density, float(dim)).edge_density == 0.0,
            "the density jumps to 0 at its bound: its differential l2 radius is not implemented; use level sets",
        )
    variation = 4.0
    sets = GreedyCosine(density, dim, variation)
    while True:
        finer = GreedyCosine(density, dim, 0.5 * variation, sets.top)
        inverse = Inverse(sets)
        tests = [(z, inverse.distance(z, NEAR)) for z in (0.1, 1.0, 3.0, 5.5, 8.0)]
        if all(abs(sets.growth(z, e) / finer.growth(z, e) - 1.0) < AGREEMENT for z, e in tests):
            break
        sets, variation = finer, 0.5 * variation
        if variation < 0.2:
            raise ArithmeticError(
                f"the score in dimension {dim} is too irregular for the stated accuracy of 1e-10"
            )

    def slope(z: np.ndarray) -> np.ndarray:
        """dR/dz."""
        phi = np.array([sets.growth(float(x), inverse.distance(float(x), NEAR)) for x in z])
        return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / phi

    edges, radius, rows = _integral(slope)

    def radius_of_fail(p: np.ndarray) -> np.ndarray:
        z = -sc.ndtri(p)
        i = np.clip(np.searchsorted(edges, z, side="right") - 1, 0, edges.size - 2)
        t = 2.0 * (z - edges[i]) / np.diff(edges)[i] - 1.0
        return np.asarray(radius[i] + np.polynomial.chebyshev.chebval(t, rows[i].T, tensor=False))

    # with a finite bound the radius at rho = 1 is finite; its value just below stands for it
    return tabulate(
        radius_of_fail, at_one=float(radius[-1]) * (1.0 - SLACK) if math.isfinite(density.bound) else math.inf
    )


def _integral(slope: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(edges, integral up to each edge, its Chebyshev coefficients from there) of a function on [0, FARTHEST].

    Panels are halved until the last coefficients fall below 1e-13 of the largest value.
    """
    nodes = -np.cos((np.arange(DEGREE) + 0.5) * (math.pi / DEGREE))
    fit = np.linalg.inv(np.polynomial.chebyshev.chebvander(nodes, DEGREE - 1))
    todo = [(0.0, 1.0), (1.0, 3.0), (3.0, 5.5), (5.5, FARTHEST)]
    edges, totals, rows = [0.0], [0.0], []
    while todo:
        low, high = todo.pop(0)
        values = slope(low + 0.5 * (high - low) * (nodes + 1.0))
        if not (np.isfinite(values) & (values > 0.0)).all():
            raise ArithmeticError("the growth of the cosine law is not positive and finite")
        coefficients = fit @ values
        if np.max(np.abs(coefficients[-2:])) > 1e-13 * np.max(values) and high - low > 0.04:
            middle = 0.5 * (low + high)
            todo[:0] = [(low, middle), (middle, high)]
            continue
        rows.append(0.5 * (high - low) * np.polynomial.chebyshev.chebint(coefficients, lbnd=-1.0))
        edges.append(high)
        totals.append(totals[-1] + float(np.sum(rows[-1])))
    return np.array(edges), np.array(totals), np.array(rows)
