"""Exact l2 radii of unimodal l2-radial densities: the distance at which the worst likelihood ratio test reaches one half.

Source: Yang et al., "Randomized Smoothing of All Shapes and Sizes" (ICML 2020), level-set method; tests and their masses in
likelihood.py.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import scipy.special as sc

from generated.special.interval import Interval
from generated.special.likelihood import LevelSets
from generated.special.monotone import RadialDensity, enclose
from generated.special.potential import Potential, require_same_law
from generated.special.tabulated import SLACK, Tabulated, tabulate

AGREEMENT = 1e-11
"""Largest relative change of a radius when the nodes are doubled; else they are doubled again."""
BOUNDED_SLACK = 2.0**-30
"""Relative slack (9.3e-10) with a finite support: near its largest radius 1 - rho hardly determines the distance."""
MOST_CELLS = 20_000
"""Cells that may be open at once in the proof of unimodality."""


class Tests(Protocol):
    """Sets by a positive parameter e (a distance, a threshold) whose complement has a normal quantile growing with e."""

    dim: int
    potential: Potential
    radius: np.ndarray
    bounded: bool

    def big(self, e: float, tau: float) -> float:
        """Positive where no z belongs to e, if `bounded`."""

    def threshold(self, e: float, guess: float) -> tuple[float, float]:
        """(z, a parameter of the solution): z grows with e."""


class Inverse:
    """Distances at given normal quantiles, each solved from what the ones before have shown."""

    def __init__(self, sets: Tests) -> None:
        self.sets = sets
        self.z: list[float] = []
        self.e: list[float] = []
        self.tau: list[float] = []
        self.limit = math.inf
        self.calls = 0

    def _predict(self, z: float, values: list[float], power: float, points: int = 8) -> float:
        """Polynomial interpolation of log(values/z**power) through the nearest known points."""
        known = np.array(self.z)
        near = np.argsort(np.abs(known - z))[:points]
        x, table = known[near], np.log(np.array(values)[near] / known[near] ** power)
        estimate, before = float(table[0]), 6.0
        for order in range(1, near.size):  # Newton's divided differences, ended where they stop shrinking
            table[order:] = (table[order:] - table[order - 1 : -1]) / (x[order:] - x[: near.size - order])
            term = float(table[order] * np.prod(z - x[:order]))
            if not abs(term) < max(0.5 * before, 1e-3):
                if order == 1:
                    estimate += math.copysign(3.0, term)
                break
            estimate, before = estimate + term, abs(term)
        return math.exp(min(estimate, 690.0)) * z**power

    def evaluate(self, e: float, z_guess: float) -> float:
        """The normal quantile at distance e."""
        guess = self._predict(z_guess, self.tau, 2.0) if self.z else 0.5 * z_guess**2
        z, tau = self.sets.threshold(e, min(max(guess, 1e-3 * z_guess**2), 1e3 * z_guess**2))
        self.calls += 1
        if math.isfinite(z) and z > 0.0:
            for i in [i for i, known in enumerate(self.z) if abs(known - z) < 1e-4 * z][::-1]:
                del self.z[i], self.e[i], self.tau[i]  # close points spoil divided differences
            self.z.append(z)
            self.e.append(e)
            self.tau.append(tau)
        return z

    def start(self) -> None:
        """First points, near z = 1."""
        potential = self.sets.potential
        peak = float(potential.mass @ self.sets.radius)
        e = peak / math.sqrt(self.sets.dim)
        if self.sets.bounded:
            self.limit = self._limit(e)
            e = min(e, 0.5 * self.limit)
        for _ in range(200):
            z = self.evaluate(e, 1.0)
            if math.isfinite(z) and 0.3 < z < 3.0:
                return
            e *= 0.5 if not math.isfinite(z) else min(max(1.0 / z, 0.05), 20.0)
        raise ArithmeticError("no distance found at which the class is kept with probability Phi(1)")

    def distance(self, z: float, near: float = 0.0) -> float:
        """The e with quantile z, to 1e-12 relative, or one whose quantile is within `near`·z of it."""
        if not self.z:
            self.start()
        low, high = 0.0, self.limit
        for known, e in zip(self.z, self.e, strict=True):
            if known <= z:
                low = max(low, e)
            else:
                high = min(high, e)
        e = self._predict(z, self.e, 1.0)
        for turn in range(60):
            if not low < e < high:
                e = 0.5 * (low + high) if math.isfinite(high) else 2.0 * low
            got = self.evaluate(e, z)
            low, high = (max(low, e), high) if got <= z else (low, min(high, e))
            if high - low < 2e-14 * e:
                return low
            if abs(got - z) < near * z:
                return e
            if not 0.0 < got < math.inf:
                e = math.nan
                continue
            better = self._predict(z, self.e, 1.0) if turn < 2 else self._secant(z)
            change = abs(better - e)
            # interpolation through the new point: the error left is of second order where the point is near
            if change < 1e-12 * e or (change < 1e-10 * e and abs(got - z) < 1e-4 * z):
                return better if low <= better <= high else e
            e = better
        raise ArithmeticError(f"the radius at the normal quantile {z!r} could not be solved to 1e-10")

    def _limit(self, e: float) -> float:
        """The distance at which half of the shifted law lies outside a finite support: the radius at rho = 1."""
        low, high = e, e
        while self.sets.big(low, 900.0) > 0.0:
            low *= 0.5
        while self.sets.big(high, 900.0) <= 0.0:
            high *= 1.5
        while high - low > 4e-16 * high:
            middle = 0.5 * (low + high)
            if not low < middle < high:
                break
            low, high = (low, middle) if self.sets.big(middle, 900.0) > 0.0 else (middle, high)
        return low

    def _secant(self, z: float) -> float:
        """By a line through two known points; below a finite limit the distance is nearly linear in 1 - rho."""
        if math.isinf(self.limit):
            return self._predict(z, self.e, 1.0, points=2)
        p, e = np.append(sc.ndtr(-np.array(self.z)), 0.0), np.append(self.e, self.limit)
        near = np.argsort(np.abs(p - sc.ndtr(-z)))[:2]
        p, e = p[near], e[near]
        return (
            float(e[0] + (sc.ndtr(-z) - p[0]) * (e[1] - e[0]) / (p[1] - p[0])) if p[0] != p[1] else math.nan
        )


def require_unimodal(density: RadialDensity, potential: Potential) -> None:
    """ValueError unless psi is proved to increase where the radius has mass (all but 1e-36 of it).

    By interval arithmetic on cells that are halved until the sign of the steepness is certain. What stays open in cells
    narrower than 2e-11 in log r may let psi fall by 1e-15 altogether, a factor far inside the slack, or carry 1e-18 of the mass.
    """
    edges = np.append(potential.begin, potential.end)
    low, high = edges[:-1], edges[1:]
    fall, lost = 0.0, 0.0
    while low.size:
        cells = Interval(
            np.nextafter(np.exp(low), 0.0), np.minimum(np.nextafter(np.exp(high), np.inf), density.bound)
        )
        value, _ = enclose(density.steepness, cells)
        if (value.high < 0.0).any():
            r = float(np.exp(low[np.argmax(value.high < 0.0)]))
            raise ValueError(f"level sets need a unimodal density: psi'(r) < 0 at r = {r:.6g}")
        open_cells = ~(value.low >= -1e-20)  # NaN is open
        last = open_cells & (high - low < 2e-11)
        known = last & np.isfinite(value.low)
        fall += float(np.sum(-value.low[known] * (high - low)[known]))
        lost += sum(
            potential.mass_between(a, b) for a, b in zip(low[last & ~known], high[last & ~known], strict=True)
        )
        halved = open_cells & ~last
        low, high = low[halved], high[halved]
        middle = 0.5 * (low + high)
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        if fall > 1e-15 or lost > 1e-18 or low.size > MOST_CELLS:
            raise ValueError(
                "level sets need a unimodal density: psi' >= 0 could not be proved by interval arithmetic"
            )


def level_set_curve(density: RadialDensity, dim: int) -> Tabulated:
    """The exact l2 radius of unimodal l2-radial noise, at scale 1, as a table over the normal quantile of rho.

    Never above the exact radius (a relative slack of 2**-33, 2**-30 with a finite support, over a quadrature checked
    against its own refinement; tested, not proved). ValueError for a density that is not proved unimodal; ArithmeticError
    where the accuracy is not reached.
    """
    variation = 4.0
    potential = Potential(density, dim, variation)
    require_same_law(potential)
    require_unimodal(density, potential)
    inverse = Inverse(LevelSets(density, dim, variation))
    while True:
        finer = Inverse(LevelSets(density, dim, 0.5 * variation))
        if all(
            abs(inverse.distance(z) / finer.distance(z) - 1.0) <= AGREEMENT for z in (1.0, 0.1, 3.0, 5.5, 8.0)
        ):
            break
        inverse, variation = finer, 0.5 * variation
        if variation < 0.2:
            raise ArithmeticError(
                f"the level sets in dimension {dim} are too irregular for the stated accuracy of 1e-10"
            )

    def radius_of_fail(p: np.ndarray) -> np.ndarray:
        return np.array([inverse.distance(float(-sc.ndtri(fail))) for fail in p])

    if math.isinf(density.bound):
        return tabulate(radius_of_fail, at_one=math.inf)
    return tabulate(radius_of_fail, slack=BOUNDED_SLACK, at_one=inverse.limit * (1.0 - SLACK))
