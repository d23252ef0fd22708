"""gaussian_mixture: noise with density q(x) ∝ exp(-r**2/2)+w*exp(-r**2/(2*q**2))/q, r = |x_i|, iid coordinates, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution gaussian_mixture --density 'exp(-r**2/2)+w*exp(-r**2/(2*q**2))/q' --geometry product --param 'w>0' --param 'q>1' --param q=3 --reference 'By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: cc588d0a0933f1ba
Reference: By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: no closed law: normaliser, distribution function and moments by quadrature in log r.
Variance of a coordinate: by quadrature
Domain: dim ≥ 1; w>0; q>1
Assumptions: none. The density is even because it is a function of r; it is integrable because r·psi'(r) tends to 0 at 0 and at infinity to oo.
Sampler: Each coordinate on its own: a table of its quantile function, within 1e-9 in distribution; its sign is random.

Radii at scale 1, for rho > 1/2 (0 below):
    l1    R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass 1/2   [differential]
    l2    converted from l1: R * 1/sqrt(d)
    linf  converted from l1: R * 1/d

Verified when this file was written:
    proved    R(1/2) = 0
    proved    curves of a law by quadrature: what its series leave out, by bounds on complex ellipses around its panels; rounding, by intervals
    enclosed  7 radii (dim 2): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import torch

from generated import special

NAME = "gaussian_mixture"
GEOMETRY = "product"
DENSITY = "exp(-r**2/2)+w*exp(-r**2/(2*q**2))/q"
REFERENCE = "By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "cc588d0a0933f1ba"
PARAMETERS: dict[str, float] = {"w": 1.0, "q": 3.0}
PARAMETER_DOMAINS: dict[str, str] = {"w": "w>0", "q": "q>1"}
ADVERSARIES = ("1", "2", "inf",)


def check(*, dim: int, w: float = 1.0, q: float = 3.0) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)
    special.number("w", w, lambda x: x > 0.0, "a number with w>0")
    special.number("q", q, lambda x: x > 1.0, "a number with q>1")


def _steepness(xp: special.Functions, r: special.Array, w: float, q: float) -> special.Array:
    """r·psi'(r)."""
    return r*(r*special.share(xp, 1, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,)) + r*special.share(xp, 0, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,))/q ** 2)


def _bend(xp: special.Functions, r: special.Array, w: float, q: float) -> special.Array:
    """r²·psi''(r)."""
    return r ** 2*(r ** 2*(special.share(xp, 1, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,)) - 1.0 + special.share(xp, 0, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,))/q ** 2)*special.share(xp, 1, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,)) + special.share(xp, 1, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,)) + r ** 2*(special.share(xp, 1, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,)) + (special.share(xp, 0, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,)) - 1.0)/q ** 2)*special.share(xp, 0, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,))/q ** 2 + special.share(xp, 0, (math.log(q) - math.log(w) + 0.5*r ** 2/q ** 2, 0.5*r ** 2,))/q ** 2)


def _density(w: float, q: float) -> special.RadialDensity:
    return special.RadialDensity(
        lambda xp, r: _steepness(xp, r, w, q), lambda xp, r: _bend(xp, r, w, q),
        (), math.inf,
    )


@lru_cache(maxsize=64)
def _law(exponent: float, w: float, q: float) -> special.RadialLaw:
    """r with density proportional to r**(exponent - 1)·exp(-psi(r))."""
    return special.RadialLaw(_density(w, q), exponent)


@lru_cache(maxsize=64)
def _curve_l1(dim: int, w: float, q: float) -> special.RadiusCurve:
    """{A = 1, |psi'| ≥ c} with P(A = 1) = 1/2, by quadrature."""
    return special.radial_curve(0.5, _law(1.0, w, q))


@special.traceable
def radius_l1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, w: float = 1.0, q: float = 3.0) -> special.Array:
    """Certified l1 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, w=w, q=q)
    at = special.prepare(rho, log_fail)
    value = _curve_l1(dim, w, q)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int, w: float = 1.0, q: float = 3.0) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim, w=w, q=q)
    name = special.norm_name(adversary)
    l1 = partial(radius_l1, dim=dim, w=w, q=q)
    if name == "1":
        return (special.Route("differential", l1, accuracy=special.CURVE),)
    if name == "2":
        return (special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CURVE),)
    if name == "inf":
        return (special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CURVE),)
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def method(*, adversary: object, dim: int, **parameters: float) -> str:
    """How the radius against this norm comes about; ValueError for a norm without one."""
    return special.method_text(routes(adversary=adversary, dim=dim, **parameters))


@special.traceable
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, w: float = 1.0, q: float = 3.0) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim, w=w, q=q)
    return special.best_radius(rho, found, scale, log_fail)


def growth_l1(fail: np.ndarray, *, dim: int, w: float = 1.0, q: float = 3.0) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an l1 shift."""
    check(dim=dim, w=w, q=q)
    fail = special.small_probability(fail)
    return _curve_l1(dim, w, q).growth(fail)


def sigma_of_scale(scale: float, *, dim: int, w: float = 1.0, q: float = 3.0) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim, w=w, q=q)
    return special.positive("scale", scale) * _unit_sigma(dim, w, q)


def scale_of_sigma(sigma: float, *, dim: int, w: float = 1.0, q: float = 3.0) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim, w=w, q=q)
    return special.positive("sigma", sigma) / _unit_sigma(dim, w, q)


def _unit_sigma(dim: int, w: float, q: float) -> float:
    return math.sqrt(_law(1.0, w, q).moment(2.0))


@lru_cache(maxsize=16)
def _radii(w: float, q: float) -> special.InverseCdf:
    return special.inverse_cdf(_law(1.0, w, q))


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32, w: float = 1.0, q: float = 3.0
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    Each coordinate on its own: a table of its quantile function, within 1e-9 in distribution; its sign is random.
    """
    check(dim=dim, w=w, q=q)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = _radii(w, q).draw(sizes, generator, dtype)
    return scale * t * special.signs(sizes, generator, dtype)
