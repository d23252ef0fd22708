"""Special functions behind the generated radius functions, for NumPy arrays and torch tensors alike.

The one hand-written module of this package. Every lower bound that leaves it is rounded down: a factor below one absorbs
the rounding of the operations before it (stated at each constant). All of it is float64.

Sources: the radius is the integral R(rho) = int_{1-rho}^{1/2} dp / Phi(p) of Yang et al., "Randomized Smoothing of All
Shapes and Sizes" (ICML 2020); Phi is concave with Phi'(p) = the score threshold of its greedy set, so tangents bound it
from above and radii from below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special as sc
import torch

Array = Any
"""A float64 numpy.ndarray or torch.Tensor."""

ROUND_DOWN = 1.0 - 2.0**-45
"""Absorbs the rounding of a closed form: at most 40 operations of 4 ulp each, conditioned by less than 1."""
ROUND_UP = 1.0 + 2.0**-45
"""The same for upper bounds."""
NODE_SLACK = 2.0**-39
"""Relative slack at the nodes of a curve (1.8e-12): incomplete gamma functions (below 3e-13, tested) and the quadrature."""
NODES = 16384
"""Nodes of a curve; between two of them a tangent loses less than 2e-10 relative, always downwards."""

NORMS = ("1", "2", "inf")


def _quiet(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    def silent(x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):  # rho = 1 has an infinite radius under laws with full support
            return function(x)

    return silent


NUMPY = SimpleNamespace(
    log=_quiet(np.log), log1p=_quiet(np.log1p), minimum=np.minimum, expm1=np.expm1, exp=np.exp, sqrt=np.sqrt, where=np.where, maximum=np.maximum,
    ndtri=sc.ndtri, searchsorted=np.searchsorted, asarray=lambda a, like: a, 
)  # fmt: skip
_TORCH = SimpleNamespace(
    log=torch.log, log1p=torch.log1p, minimum=lambda a, top: torch.clamp(a, max=top), expm1=torch.expm1, exp=torch.exp, sqrt=torch.sqrt, where=torch.where,
    maximum=torch.maximum, ndtri=torch.special.ndtri, searchsorted=torch.searchsorted,
    asarray=lambda a, like: torch.as_tensor(a, device=like.device), 
)  # fmt: skip


def norm_name(adversary: object) -> str:
    """The adversary norm as "1", "2" or "inf"; accepts 1, 2, math.inf and their spellings. ValueError otherwise."""
    text = str(adversary).strip().lower()
    name = {"1": "1", "1.0": "1", "l1": "1", "2": "2", "2.0": "2", "l2": "2", "inf": "inf", "linf": "inf"}.get(text)
    if name is None:
        raise ValueError(f"the adversary norm must be 1, 2 or inf, not {adversary!r}")
    return name


def dimension(dim: object) -> int:
    """`dim` as an int ≥ 1; ValueError otherwise."""
    if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)) or dim < 1:
        raise ValueError(f"the dimension must be an integer of at least 1, not {dim!r}")
    return int(dim)


def positive(name: str, value: object) -> float:
    """`value` as a finite float > 0; ValueError otherwise."""
    return number(name, value, lambda x: x > 0, "a finite number greater than 0")


def number(name: str, value: object, holds: Callable[[float], bool], required: str) -> float:
    """`value` as a finite float for which `holds`; ValueError naming what is `required` otherwise."""
    try:
        x = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        x = math.nan
    if not math.isfinite(x) or not holds(x):
        raise ValueError(f"{name} must be {required}, not {value!r}")
    return x


def require(holds: bool, message: str) -> None:
    """ValueError(message) unless `holds`."""
    if not holds:
        raise ValueError(message)


def prepare(rho: Array) -> tuple[SimpleNamespace, Array, Array]:
    """Validated rho, ready for a formula that holds above one half.

    Returns (functions of its library, rho with entries ≤ 1/2 replaced by 3/4, mask of entries > 1/2).
    ValueError unless rho is a float64 array or tensor with values in [0, 1].
    """
    if isinstance(rho, torch.Tensor):
        xp, kind = _TORCH, rho.dtype == torch.float64
    elif isinstance(rho, np.ndarray):
        xp, kind = NUMPY, rho.dtype == np.float64
    else:
        raise ValueError(f"rho must be a float64 NumPy array or torch tensor, not {type(rho).__name__}")
    if not kind:
        raise ValueError(f"rho must be float64 (a cast to less raises probabilities), not {rho.dtype}")
    bad = ~((rho >= 0.0) & (rho <= 1.0))
    if bool(bad.any()):
        raise ValueError(f"rho must lie in [0, 1], not {float(rho[bad].reshape(-1)[0])!r}")
    above = rho > 0.5
    return xp, xp.where(above, rho, xp.asarray(np.float64(0.75), rho)), above


def finish(xp: SimpleNamespace, above: Array, value: Array, scale: float) -> Array:
    """`scale * value` rounded down where rho > 1/2, and 0 elsewhere."""
    down = value * ROUND_DOWN * positive("scale", scale)
    return xp.where(above, down, xp.asarray(np.float64(0.0), down))


def best(xp_like: Array, routes: Sequence[Array]) -> Array:
    """The largest of several sound radii, elementwise."""
    maximum = torch.maximum if isinstance(xp_like, torch.Tensor) else np.maximum
    result = routes[0]
    for other in routes[1:]:
        result = maximum(result, other)
    return result


# ------------------------------------------------------------------------------------------------ gamma functions

_BERNOULLI = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188)


def _stirling_tail(x: float) -> float:
    total = 0.0
    for n in reversed(range(len(_BERNOULLI))):
        total = total / (x * x) + _BERNOULLI[n]
    return total / x


def gamma_ratio(x: float, y: float) -> float:
    """Γ(x)/Γ(y) for x, y > 0, relative error below 1e-14 when |x - y| is moderate, however large both are.

    Stirling's series for both, subtracted term by term, so that nothing of size x·log(x) ever cancels.
    """
    factor = 1.0
    while min(x, y) < 24.0:
        factor *= y / x
        x, y = x + 1.0, y + 1.0
    delta = x - y
    log_ratio = (y - 0.5) * math.log1p(delta / y) + delta * (math.log(x) - 1.0) + _stirling_tail(x) - _stirling_tail(y)
    return factor * math.exp(log_ratio)


@dataclass(frozen=True)
class GammaLaw:
    """Law of r > 0 such that rate · r**power ~ Gamma(shape, 1)."""

    shape: float
    rate: float
    power: float

    def __post_init__(self) -> None:
        require(self.shape > 0 and self.rate > 0 and self.power > 0, f"not a law: {self}")

    def to_t(self, r: Array) -> Array:
        return self.rate * r**self.power

    def moment(self, q: float) -> float:
        """E[r**q]; needs shape + q/power > 0."""
        return self.rate ** (-q / self.power) * gamma_ratio(self.shape + q / self.power, self.shape)

    def lower(self, q: float, r: Array) -> Array:
        """E[r**q; r ≤ given] / E[r**q]."""
        return sc.gammainc(self.shape + q / self.power, self.to_t(r))

    def upper(self, q: float, r: Array) -> Array:
        """E[r**q; r ≥ given] / E[r**q]."""
        return sc.gammaincc(self.shape + q / self.power, self.to_t(r))

    def quantile(self, lower: Array) -> Array:
        return (sc.gammaincinv(self.shape, lower) / self.rate) ** (1.0 / self.power)

    def upper_quantile(self, upper: Array) -> Array:
        return (sc.gammainccinv(self.shape, upper) / self.rate) ** (1.0 / self.power)


@dataclass(frozen=True)
class RadiusCurve:
    """A radius function by its nodes: R(1-p) ≥ radius_i + log(phi_i/(phi_i - slope_i·(p_i - p)))/slope_i for p ≤ p_i.

    p descends from 1/2. `phi` bounds Phi(p_i) from above, `slope` bounds Phi'(p_i) from below, `radius` bounds
    R(1-p_i) from below; then concavity of Phi makes every value a lower bound.
    """

    p: np.ndarray
    phi: np.ndarray
    slope: np.ndarray
    radius: np.ndarray

    def __post_init__(self) -> None:
        require(self.p[0] == 0.5 and bool((np.diff(self.p) < 0).all()), "curve: p must descend from 1/2")
        require(bool((self.phi > 0).all() and (self.slope >= 0).all()), "curve: Phi must be positive, its slope not negative")
        require(self.radius[0] == 0.0 and bool((np.diff(self.radius) >= 0).all()), "curve: the radius must grow")

    def __call__(self, xp: SimpleNamespace, rho: Array) -> Array:
        """The radius at rho > 1/2, at scale 1, before the final rounding down."""
        fail = 1.0 - rho  # exact, and so is p_i - fail up to one rounding of its own size; 1/2 - p_i would not be
        nodes = xp.asarray(-self.p, rho)
        i = xp.searchsorted(nodes, -(fail.detach() if hasattr(fail, "detach") else fail), side="right") - 1
        step = -nodes[i] - fail
        phi, slope, base = (xp.asarray(a, rho)[i] for a in (self.phi, self.slope, self.radius))
        x = slope * step / phi
        safe = xp.where(slope > 0.0, slope, xp.asarray(np.float64(1.0), rho))
        steep = x > 1e-9  # below: the first two terms of -log(1-x)/slope, both positive, hence from below
        log_step = -xp.log1p(-xp.where(steep, x, xp.asarray(np.float64(0.25), rho))) / safe
        return base + xp.where(steep, log_step, (step / phi) * (1.0 + 0.5 * x))

    def growth(self, p: np.ndarray) -> np.ndarray:
        """Phi(p) from above, by the tangent at the node above p; at scale 1."""
        i = np.searchsorted(-self.p, -p, side="right") - 1
        return self.phi[i] - self.slope[i] * (self.p[i] - p)


def small_probability(p: Array) -> np.ndarray:
    """`p` as a float64 array with values in (0, 1/2]; ValueError otherwise."""
    p = np.asarray(p)
    require(p.dtype == np.float64 and bool(((p > 0.0) & (p <= 0.5)).all()), "p must be float64 with values in (0, 1/2]")
    return p


def curve_from_nodes(p: np.ndarray, phi: np.ndarray, slope: np.ndarray, *, linear: bool = False) -> RadiusCurve:
    """The curve through nodes of Phi; `linear`: Phi is exactly linear between them (a score with finitely many values).

    Otherwise int dp/Phi between nodes by the trapezoidal rule with end correction in log p, whose derivative
    d(p/Phi)/dlog p = (p/Phi)(1 - slope·p/Phi) is known exactly (error of fourth order in the spacing).
    """
    flat = (p[:-1] - p[1:]) / phi[:-1]
    if linear:
        ratio = np.log1p(-slope[:-1] * flat)
        pieces = np.where(slope[:-1] > 0, -ratio / np.where(slope[:-1] > 0, slope[:-1], 1.0), flat)
    else:
        width = np.log1p((p[:-1] - p[1:]) / p[1:])
        h = p / phi
        dh = h * (1.0 - slope * h)
        pieces = 0.5 * width * (h[1:] + h[:-1]) + width**2 * (dh[1:] - dh[:-1]) / 12.0
        pieces = np.where(phi[1:] == phi[:-1], flat, pieces)
    radius = np.concatenate([[0.0], np.cumsum(pieces)])
    return RadiusCurve(p, phi * (1.0 + NODE_SLACK), slope * (1.0 - NODE_SLACK), radius * (1.0 - NODE_SLACK))


@dataclass(frozen=True)
class GreedySet:
    """The sets that maximise the derivative of the measure: {A = 1, score(r) ≥ c}, P(A = 1) = weight ≤ 1/2.

    score(r) = Σ coefficient · r**exponent, and r follows `law`. The shape of {score ≥ c} follows from Descartes' rule of
    signs for the score's derivative: increasing, decreasing, constant, or falling and then rising.
    """

    weight: float
    law: GammaLaw
    score: tuple[tuple[float, float], ...]

    @property
    def terms(self) -> list[tuple[float, float]]:
        """Terms of the score with equal exponents joined, zeros dropped, by ascending exponent."""
        joined: dict[float, float] = {}
        for coefficient, exponent in self.score:
            joined[exponent] = joined.get(exponent, 0.0) + coefficient
        return sorted(((c, q) for q, c in joined.items() if c != 0.0), key=lambda term: term[1])

    def value(self, r: Array) -> Array:
        return sum(c * r**q for c, q in self.terms)

    @property
    def pattern(self) -> str:
        """Signs of score'(r) from r = 0 to infinity: "", "+", "-" or "-+"; ValueError for any other."""
        signs = ["+" if c * q > 0 else "-" for c, q in self.terms if q != 0.0]
        pattern = "".join(s for n, s in enumerate(signs) if n == 0 or signs[n - 1] != s)
        require(pattern in ("", "+", "-", "-+"), f"the score's derivative changes sign as {pattern}: no greedy set for it")
        return pattern

    def mean(self) -> float:
        """E[score] (all of the cone): Phi between the cone's mass and 1/2 is weight · mean."""
        require(all(c > 0 for c, _ in self.terms), "the score must be positive")
        shapes = [self.law.shape + q / self.law.power for _, q in self.terms]
        require(min(shapes) > 0.0, "the mean score is infinite: the differential method certifies nothing here")
        return math.fsum(c * self.law.moment(q) for c, q in self.terms)

    def _partner(self, r: np.ndarray, lowest: float, to_left: bool) -> np.ndarray:
        """The other radius with the same score, by bisection in log r (falling-rising scores)."""
        target = self.value(r)
        low = np.full_like(r, math.log(lowest) - 800.0 if to_left else math.log(lowest))
        high = np.full_like(r, math.log(lowest) if to_left else math.log(lowest) + 800.0)
        with np.errstate(over="ignore"):
            for _ in range(70):
                middle = 0.5 * (low + high)
                above = (self.value(np.exp(middle)) >= target) == to_left
                low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.exp(0.5 * (low + high))

    def curve(self) -> RadiusCurve:
        """The radius curve of this cone, at scale 1."""
        mean, tails = self.mean(), 2.0 * sc.ndtr(-8.7 * (np.arange(1, NODES) / NODES) ** 1.5)
        if self.pattern == "":
            y, share, slope = tails, tails * mean, np.full_like(tails, mean)
        else:
            y, share, slope = self._greedy(tails)
        order = np.argsort(-y, kind="stable")
        y, share, slope = (a[order] for a in (y, share, slope))
        keep = np.concatenate([[True], np.diff(y) < -1e-13 * y[1:]]) & (y < 1.0 - 1e-13) & (y > 0.0)
        p = self.weight * np.concatenate([[1.0], y[keep]])
        phi = self.weight * np.concatenate([[mean], share[keep]])
        slope = np.concatenate([[mean if self.pattern == "" else self.floor()], slope[keep]])
        if self.weight < 0.5:  # beyond the cone the score is 0: Phi is flat up to 1/2
            p, phi, slope = (np.concatenate([[a], b]) for a, b in ((0.5, p), (phi[0], phi), (0.0, slope)))
        return curve_from_nodes(p, phi, slope)

    def floor(self) -> float:
        """The smallest score inside the cone (its limit), the slope of Phi just below the cone's mass."""
        if self.pattern == "-+":
            return float(self.value(np.float64(self.lowest())))
        end = self.terms[0] if self.pattern == "+" else self.terms[-1]
        constant = sum(c for c, q in self.terms if q == 0.0)
        return end[0] if end[1] == 0.0 else constant

    def lowest(self) -> float:
        """Where a falling-rising score is smallest, by bisection on the sign of its derivative."""
        low, high = -800.0, 800.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            with np.errstate(over="ignore"):
                derivative = sum(c * q * np.exp(middle * q) for c, q in self.terms if q != 0.0)
            low, high = (middle, high) if derivative < 0 else (low, middle)
        return math.exp(0.5 * (low + high))

    def _greedy(self, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(P(score ≥ c), E[score; score ≥ c], c) given A = 1, at thresholds c that reach the given tails."""
        law, terms = self.law, self.terms
        moments = [c * law.moment(q) for c, q in terms]
        if self.pattern == "+":
            r = law.upper_quantile(tails)
            share = sum(m * law.upper(q, r) for m, (_, q) in zip(moments, terms, strict=True))
            return law.upper(0.0, r), share, self.value(r)
        if self.pattern == "-":
            r = law.quantile(tails)
            share = sum(m * law.lower(q, r) for m, (_, q) in zip(moments, terms, strict=True))
            return law.lower(0.0, r), share, self.value(r)
        lowest = self.lowest()
        right, left = law.upper_quantile(tails), law.quantile(tails)
        right, left = right[right > lowest], left[(left < lowest) & (left > 0.0)]
        outer = np.concatenate([right, self._partner(left, lowest, False)])
        inner = np.concatenate([self._partner(right, lowest, True), left])
        share = sum(
            m * (law.upper(q, outer) + law.lower(q, inner)) for m, (_, q) in zip(moments, terms, strict=True)
        )
        return law.upper(0.0, outer) + law.lower(0.0, inner), share, np.minimum(self.value(outer), self.value(inner))


@lru_cache(maxsize=64)
def cone_curve(greedy: GreedySet) -> RadiusCurve:
    """The radius curve of a cone, built once per parameter set and dimension."""
    return greedy.curve()


@lru_cache(maxsize=64)
def binomial_curve(dim: int, slope: float) -> RadiusCurve:
    """The radius curve of the score slope · (2 Bin(dim, 1/2) - dim), exactly piecewise linear in p."""
    count = np.arange((dim + 1) // 2, dim + 1, dtype=np.float64)  # the half with score ≥ 0
    with np.errstate(under="ignore"):
        mass = np.concatenate([[1.0], np.cumprod((dim - count[:-1]) / (count[:-1] + 1.0))])
    total = 2.0 * mass.sum() - (mass[0] if dim % 2 == 0 else 0.0)
    mass /= total
    tail = np.cumsum(mass[::-1])[::-1]
    score = slope * (2.0 * count - dim)
    share = np.cumsum((mass * score)[::-1])[::-1]
    keep = (score > 0.0) & (tail > 2.0**-60)
    p, phi, level = tail[keep], share[keep], score[keep]
    # below a knot the next higher score is taken away last: the slope there is the knot's own score
    if dim % 2 == 0:
        p, phi, level = np.concatenate([[0.5], p]), np.concatenate([[phi[0]], phi]), np.concatenate([[0.0], level])
    else:
        p[0] = 0.5
    # at most a halving of p from node to node: beyond, the slack at a node would be magnified by the logarithm
    columns: list[list[float]] = [[], [], []]
    for a, s, b, f in zip(p, level, [*p[1:], 0.0], [*phi[1:], 0.0], strict=True):
        for h in range(max(1, math.ceil(math.log2(a / max(b, 2.0**-60))))):
            q = a * 0.5**h
            for column, entry in zip(columns, (q, f + s * (q - b), s), strict=True):
                column.append(float(entry))
    return curve_from_nodes(*(np.array(column) for column in columns), linear=True)


# ----------------------------------------------------------------------------------------------------- samplers


def check_event(shape: Sequence[int], dim: int) -> tuple[int, ...]:
    """`shape` as a tuple (n, *event) with prod(event) == dim; ValueError otherwise."""
    sizes = tuple(int(s) for s in shape)
    if not sizes or math.prod(sizes[1:]) != dim:
        raise ValueError(f"a sample of shape (n, …) needs {dim} entries for each of its n draws, not shape {sizes}")
    return sizes


def uniform_pm1(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Uniform on (-1, 1), on the generator's device."""
    return 2.0 * torch.rand(tuple(shape), generator=generator, device=generator.device, dtype=dtype) - 1.0


def signs(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """±1 with probability 1/2 each, on the generator's device."""
    bits = torch.randint(0, 2, tuple(shape), generator=generator, device=generator.device, dtype=torch.int8)
    return (2 * bits - 1).to(dtype)


def standard_normal(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Standard normal, on the generator's device."""
    return torch.randn(tuple(shape), generator=generator, device=generator.device, dtype=dtype)


def standard_exponential(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Exponential with mean 1, on the generator's device."""
    return torch.empty(tuple(shape), device=generator.device, dtype=dtype).exponential_(generator=generator)


def standard_gamma(
    shape: Sequence[int], concentration: float, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """Gamma(concentration, 1), on the generator's device."""
    alpha = torch.full(tuple(shape), float(concentration), device=generator.device, dtype=dtype)
    return torch._standard_gamma(alpha, generator=generator)


def linf_direction(n: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Directions of a linf-radial law: uniform on the surface of the cube [-1, 1]^dim; shape (n, dim)."""
    y = uniform_pm1((n, dim), generator, dtype)
    face = torch.randint(0, dim, (n, 1), generator=generator, device=generator.device)
    return y.scatter_(1, face, signs((n, 1), generator, dtype))


def l1_direction(n: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Directions of a l1-radial law: uniform on the surface of the cross-polytope; shape (n, dim)."""
    y = standard_exponential((n, dim), generator, dtype)
    return y / y.sum(dim=1, keepdim=True) * signs((n, dim), generator, dtype)
