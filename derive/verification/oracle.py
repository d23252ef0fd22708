"""Independent radii: the differential method and Neyman–Pearson bounds by quadrature of the density text alone.

Nothing of the engine is used but the parser: no law, no greedy set, no closed form. Values are floats with a stated error
(two quadratures, and the two sides of the dual Phi(p) = min_c { c·p + E(S - c)+ }); no proofs.
Method: Yang, Duan, Hu, Salman, Razenshteyn, Li, "Randomized Smoothing of All Shapes and Sizes", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import sympy as sp
from scipy import special
from scipy.interpolate import CubicHermiteSpline

from derive.verification.frontier import (
    NODES,
    WEIGHTS,
    Array,
    LineFrontier,
    Measured,
    bounds,
    inverse_integral,
    panel_sums,
)
from derive.verification.logdensity import LogDensity, log_density

FLOATS = 690.0  # |log r| beyond this leaves the doubles
DROP = 70.0  # what has fallen by exp(-DROP) is left out
SMOOTH_CAPS = 16  # smallest dimension at which sums over the cosine law are accurate
SUMMED = 8  # largest dimension at which a binomial is mixed with a score that varies


class NoOracle(ValueError):
    """The oracle has no independent value here; the message says why."""


@dataclass(frozen=True)
class RadialLaw:
    """The law of r with density ∝ r**(m-1)·q(r), all by quadrature in u = log r."""

    density: LogDensity
    exponent: float

    def measures(self, u: Array) -> tuple[Array, Array]:
        """log of the density of u, and of |psi'(r)| times it."""
        value, slope = self.density(u)
        log_mu = value + self.exponent * u
        with np.errstate(divide="ignore", invalid="ignore"):
            return log_mu, np.where(np.isfinite(log_mu), log_mu + np.log(np.abs(slope)) - u, -np.inf)

    @cached_property
    def range(self) -> tuple[float, float]:
        """Where either measure is within exp(-DROP) of its peak, by zooming in."""
        top = FLOATS if not np.isfinite(self.density.bound) else float(np.log(self.density.bound))
        low, high = -FLOATS, top
        for _ in range(60):
            u = np.linspace(low, high, 3001)
            log_mu, log_nu = self.measures(u)
            near = np.zeros(u.size, dtype=bool)
            for x in (log_mu, log_nu):
                peak = np.max(x)
                if np.isfinite(peak):
                    near |= x > peak - DROP
            at = np.flatnonzero(near)
            if not at.size:
                raise NoOracle("the density vanishes in floats")
            first, last = max(at[0] - 2, 0), min(at[-1] + 2, u.size - 1)
            if last - first > 0.3 * u.size:
                return float(u[first]), float(u[last])
            low, high = float(u[first]), float(u[last])
        return low, high

    @cached_property
    def frontier(self) -> LineFrontier:
        """Of the law and |psi'| times it: the score's greedy sets."""
        return LineFrontier.build(self.measures, np.linspace(*self.range, 65), noise=self.noise)

    @property
    def noise(self) -> float:
        """Relative rounding of the law's density: that of m·u."""
        return float(2.0 * np.finfo(float).eps * self.exponent * np.max(np.abs(self.range)))

    @cached_property
    def mean_score(self) -> float:
        return float(np.sum(self.frontier.masses[1]))

    @cached_property
    def edge_density(self) -> float:
        """The density of r at a finite bound where q jumps to 0; 0 where q vanishes continuously or has no bound."""
        b = self.density.bound
        if not np.isfinite(b):
            return 0.0
        near = self.density.at(b * (1.0 - np.array([2.0**-20, 2.0**-45])))
        if not np.all(np.isfinite(near)) or abs(near[1] - near[0]) > 1e-3:
            return 0.0
        last = self.density.at(np.array([np.nextafter(b, 0.0)]))[0]
        return float(np.exp(last + self.exponent * np.log(b) - self.frontier.log_total) / b)

    @cached_property
    def node_edges(self) -> Array:
        """Every second edge of the frontier: enough for sums over smooth functions."""
        edges = self.frontier.edges
        return np.unique(np.append(edges[::2], edges[-1]))

    @cached_property
    def nodes(self) -> tuple[Array, Array, Array]:
        """u, mass and |psi'| at quadrature nodes: sums over them are expectations."""
        edges = self.node_edges
        width = np.diff(edges)[:, None]
        u = (edges[:-1, None] + width * NODES).reshape(-1)
        log_mu, log_nu = self.measures(u)
        mass = np.exp(log_mu - self.frontier.log_total) * (width * WEIGHTS).reshape(-1)
        with np.errstate(invalid="ignore"):
            score = np.where(np.isfinite(log_nu), np.exp(log_nu - log_mu), 0.0)
        keep = mass > 1e-40
        return u[keep], mass[keep], score[keep]

    def moment(self, power: float) -> float:
        """E[r**power]; inf where the tail makes it diverge."""
        high = self.range[1]
        if not np.isfinite(self.density.bound):
            far = np.array([0.9 * FLOATS, FLOATS])
            log_mu = self.density(far)[0] + (self.exponent + power) * far
            if np.isfinite(log_mu[1]) and log_mu[1] - log_mu[0] > -1e-6 * FLOATS:
                return float("inf")
            high = FLOATS
        edges = np.unique(np.concatenate([self.frontier.edges, np.linspace(self.range[1], high, 33)]))
        tilted = LineFrontier.build(
            lambda u: (self.density(u)[0] + (self.exponent + power) * u, np.full_like(u, -np.inf)),
            edges,
            self.frontier.log_total,
            split=1,
            noise=self.noise,
        )
        return float(np.sum(tilted.masses[0]))

    @cached_property
    def _distribution(self) -> CubicHermiteSpline:
        edges = self.frontier.edges
        edges = np.unique(
            np.concatenate([edges[:-1] + k / 8 * np.diff(edges) for k in range(8)] + [edges[-1:]])
        )
        mass, _ = panel_sums(self.measures, edges[:-1], edges[1:], self.frontier.log_total)
        total = np.concatenate([[0.0], np.cumsum(mass)])
        slope = np.exp(self.measures(edges)[0] - self.frontier.log_total)
        return CubicHermiteSpline(edges, total / total[-1], slope)

    def cdf(self, r: Array) -> Array:
        """P(radius ≤ r), interpolated between the edges of the quadrature (error below 1e-6)."""
        low, high = self.range
        with np.errstate(divide="ignore"):
            u = np.log(r)
        return np.where(
            u <= low,
            0.0,
            np.where(u >= high, 1.0, np.clip(self._distribution(np.clip(u, low, high)), 0.0, 1.0)),
        )


@lru_cache(maxsize=64)
def radial_law(density: LogDensity, exponent: float) -> RadialLaw:
    """One law for equal questions, so that its quadrature is done once."""
    return RadialLaw(density, exponent)


@dataclass(frozen=True)
class CosineFrontier:
    """The frontier of S = |psi'(r)|·A on A > 0, A a coordinate of a uniform point of the l2 sphere.

    (1 - A)/2 ~ Beta(a, a), a = (d-1)/2. Sums over r-nodes: the integrand ends like (1 - c/score)**a, smooth for large d.
    """

    law: RadialLaw
    dim: int

    def chance(self, x: Array) -> tuple[Array, Array]:
        """P(A ≥ x) and E[A; A ≥ x]."""
        a = 0.5 * (self.dim - 1)
        log_scale = -np.log(2.0 * a) - (2.0 * a - 1.0) * np.log(2.0) - special.betaln(a, a)
        inside = np.clip(x, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            gain = np.exp(a * (np.log1p(-inside) + np.log1p(inside)) + log_scale)
        return special.betainc(a, a, 0.5 * (1.0 - inside)), gain

    def above(self, c: Array) -> tuple[Array, Array]:
        _, mass, score = self.law.nodes
        share, gain = self.chance(np.asarray(c, dtype=float)[:, None] / np.maximum(score, 1e-300))
        return share @ mass, gain @ (mass * score)

    @cached_property
    def table(self) -> tuple[Array, Array, Array]:
        top = float(np.max(self.law.nodes[2]))
        grid = np.geomspace(1e-6 * top, top, 100)
        for _ in range(2):
            p = self.above(grid)[0]
            wide = np.flatnonzero((np.abs(np.diff(p)) > 0.05 * p[:-1]) & (p[:-1] > 1e-17))
            if not wide.size:
                break
            grid = np.unique(np.concatenate([grid, np.sqrt(grid[wide] * grid[wide + 1])]))
        p, gain = self.above(np.append(grid[::-1], 0.0))
        return np.append(grid[::-1], 0.0), p, gain


@dataclass(frozen=True)
class LatticeFrontier:
    """The frontier of S = |psi'(r)|·A on A > 0 for A = 2 Bin(d, 1/2) - d: a sum over the values of A."""

    line: LineFrontier
    dim: int

    @cached_property
    def atoms(self) -> tuple[Array, Array]:
        """Positive values of A and their probabilities."""
        count = np.arange(self.dim // 2 + 1, self.dim + 1)
        log_mass = (
            special.gammaln(self.dim + 1) - special.gammaln(count + 1) - special.gammaln(self.dim - count + 1)
        )
        mass: Array = np.exp(np.asarray(log_mass - self.dim * np.log(2.0), dtype=float))
        return np.asarray(2.0 * count - self.dim, dtype=float), mass

    def above(self, c: Array) -> tuple[Array, Array]:
        value, mass = self.atoms
        share, gain = self.line.above((np.asarray(c, dtype=float)[:, None] / value).reshape(-1))
        return share.reshape(-1, value.size) @ mass, gain.reshape(-1, value.size) @ (mass * value)

    @cached_property
    def table(self) -> tuple[Array, Array, Array]:
        value, mass = self.atoms
        if self.line.constant:  # a polygon: these are its corners
            score = float(np.sum(self.line.masses[1]))
            corners = np.cumsum(mass[::-1]), score * np.cumsum((mass * value)[::-1])
            return (
                np.append(score * value[::-1], 0.0),
                np.append(corners[0], corners[0][-1]),
                np.append(corners[1], corners[1][-1]),
            )
        thresholds = self.line.table[0][:: max(1, self.line.table[0].size // 300)]
        c = np.unique(np.append((thresholds[:, None] * value).reshape(-1), 0.0))[::-1]
        c = np.append(c[:-1][:: max(1, c.size // 800)], 0.0)
        p, gain = self.above(c)
        p[-1], gain[-1] = np.sum(mass), np.sum(mass * value) * np.sum(self.line.masses[1])
        return c, p, gain

    @property
    def breaks(self) -> Array:
        return self.table[1] if self.line.constant else np.sum(self.atoms[1], keepdims=True)


@dataclass
class Oracle:
    """Independent radii of one density at exact parameter values; quadratures are kept for later questions."""

    expression: sp.Expr
    geometry: str
    bound: sp.Expr | None
    values: Mapping[sp.Symbol, sp.Expr]  # d and every parameter

    @cached_property
    def dim(self) -> int:
        return next(int(v) for s, v in self.values.items() if s.name == "d")

    @cached_property
    def density(self) -> LogDensity:
        return log_density(self.expression, self.values, self.bound)

    @cached_property
    def law(self) -> RadialLaw:
        return radial_law(self.density, 1.0 if self.geometry == "product" else float(self.dim))

    @cached_property
    def views(self) -> tuple[str, ...]:
        """Geometries in which the density is radial: the declared one, and others found by comparing values."""
        found = [self.geometry]
        exponent = {
            "product": ("l1", "l2", "linf"),
            "l1": ("product",),
            "l2": ("product",),
            "linf": ("product",),
        }
        found += [g for g in exponent[self.geometry] if self._same(g)]
        return tuple(dict.fromkeys(found))

    def _same(self, other: str) -> bool:
        """Whether log q(x) as `geometry` and as `other` agree up to a constant, at fixed random points of three dimensions."""
        u, mass, _ = self.law.nodes
        x = np.abs(np.random.default_rng(5).standard_normal((64, 3))) * np.exp(u[np.argmax(mass)])
        if np.isfinite(self.density.bound):
            x = x * self.density.bound / (1.2 * np.max(np.sum(x, axis=1)))
            if {self.geometry, other} != {"product", "linf"}:
                return False  # the supports differ
        first, second = (self._log(g, x) for g in (self.geometry, other))
        difference = first - second
        return bool(np.ptp(difference) <= 1e-9 * (1.0 + np.max(np.abs(first))))

    def _log(self, geometry: str, x: Array) -> Array:
        """log q at points of shape (n, k), up to a constant, with q seen as a function of this geometry's r."""
        if geometry == "product":
            return np.asarray(np.sum(self.density.at(np.abs(x)), axis=1))
        order = {"l1": 1.0, "l2": 2.0, "linf": np.inf}[geometry]
        return self.density.at(np.linalg.norm(x, order, axis=1))

    def log_density_at(self, x: Array) -> Array:
        """log q at points of shape (n, d), up to a constant."""
        return self._log(self.geometry, x)

    def view_law(self, view: str) -> RadialLaw:
        if view == self.geometry:
            return self.law
        return radial_law(self.density, 1.0 if view == "product" else float(self.dim))

    def differential(self, adversary: str, fails: Sequence[float]) -> list[Measured]:
        """The differential radii at p = 1 - rho = each of `fails` (≤ 1/2), at scale 1; NoOracle without a reduction."""
        if adversary == "2" and {"product", "l2"} <= set(self.views):
            return _cone(self.view_law("product"), 0.5, fails)  # every direction is a coordinate axis
        for view in self.views:
            key = (view, adversary)
            law = self.view_law(view)
            if key in (("product", "1"), ("l1", "1"), ("linf", "inf")):
                return _cone(law, 0.5, fails)
            if key == ("linf", "1"):
                return _cone(law, 0.5 / self.dim, fails)
            if key == ("l2", "2"):
                if self.dim > 1 and np.isfinite(self.density.bound) and self.law.mean_score > 0.0:
                    raise NoOracle(
                        "the cosine law next to the end of a support is not resolved by this quadrature"
                    )
                return _cone(law, 0.5, fails) if self.dim == 1 else _cosine(law, self.dim, fails)
            if key == ("l1", "inf"):
                return _lattice(law, self.dim, fails)
        raise NoOracle(f"no reduction for {self.geometry} level sets against l{adversary}")

    def growth(self, adversary: str, fails: Sequence[float]) -> list[Measured]:
        """Phi at p = each of `fails`, for the reductions with A = ±1 (else 0)."""
        for view in self.views:
            weight = {
                ("product", "1"): 0.5,
                ("l1", "1"): 0.5,
                ("linf", "inf"): 0.5,
                ("linf", "1"): 0.5 / self.dim,
            }
            if (view, adversary) in weight:
                w, law = weight[view, adversary], self.view_law(view)
                low, high = bounds(law.frontier, np.minimum(np.asarray(fails) / w, 1.0))
                low, high = w * (low + law.edge_density), w * (high + law.edge_density)
                return [
                    Measured(float(0.5 * (a + b)), float(0.5 * (b - a) + 1e-12 * b))
                    for a, b in zip(low, high, strict=True)
                ]
        raise NoOracle(f"no growth for {self.geometry} level sets against l{adversary}")


def _cone(law: RadialLaw, weight: float, fails: Sequence[float]) -> list[Measured]:
    """A = ±1 with probability `weight` each: R = (1/2 - w)/(w·E|S|) + int_{fail/w}^1 dP / Phi(P), both with the jump."""
    whole = law.mean_score + law.edge_density
    if not whole > 0.0:
        raise NoOracle("the density is flat and unbounded")
    depths = [_depth(fail, weight) for fail in fails]
    if law.mean_score <= 1e-14 * law.edge_density:
        integrals = [Measured(-np.expm1(-y) / whole, -np.expm1(-y) * 1e-12 / whole) for y in depths]
    else:
        integrals = inverse_integral(
            law.frontier, np.array(depths), 1.0, law.edge_density, law.frontier.breaks
        )
    found = []
    for fail, integral in zip(fails, integrals, strict=True):
        flat = max(0.0, 0.5 - max(fail, weight)) / (weight * whole)
        found.append(Measured(flat + integral.value, integral.error + 1e-12 * flat))
    return found


def _depth(fail: float, top: float) -> float:
    """log(top/fail) ≥ 0, exact in the gap where top = 1/2."""
    if fail >= top:
        return 0.0
    return float(-np.log1p(-2.0 * (0.5 - fail))) if top == 0.5 else float(np.log(top / fail))


def _cosine(law: RadialLaw, dim: int, fails: Sequence[float]) -> list[Measured]:
    if dim < SMOOTH_CAPS:
        raise NoOracle(f"the cosine law is integrated from dimension {SMOOTH_CAPS} on")
    frontier = CosineFrontier(law, dim)
    jump = law.edge_density * float(frontier.chance(np.array([0.0]))[1][0])
    depths = np.array([_depth(fail, 0.5) for fail in fails])
    if law.mean_score <= 1e-14 * law.edge_density:
        return [Measured(0.5 * -np.expm1(-y) / jump, -np.expm1(-y) * 1e-12 / jump) for y in depths.tolist()]
    return inverse_integral(frontier, depths, 0.5, jump)


def _lattice(law: RadialLaw, dim: int, fails: Sequence[float]) -> list[Measured]:
    frontier = LatticeFrontier(law.frontier, dim)
    if law.edge_density > 0.0 or (dim > SUMMED and not law.frontier.constant):
        raise NoOracle(
            f"binomial sums are for continuous densities up to dimension {SUMMED}, or constant scores"
        )
    return inverse_integral(frontier, np.array([_depth(f, 0.5) for f in fails]), 0.5, 0.0, frontier.breaks)
