"""logistic: noise with density q(x) ∝ exp(-r)/(1+exp(-r))**2, r = |x_i|, iid coordinates, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution logistic --density 'exp(-r)/(1+exp(-r))**2' --geometry product --reference 'By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: 6edd4f73c7e68b23
Reference: By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: no closed law: normaliser, distribution function and moments by quadrature in log r.
Variance of a coordinate: by quadrature
Domain: dim ≥ 1
Assumptions: none. The density is even because it is a function of r; it is integrable because r·psi'(r) tends to 0 at 0 and at infinity to oo.
Sampler: Each coordinate on its own: a table of its quantile function, within 1e-9 in distribution; its sign is random.

Radii at scale 1, for rho > 1/2 (0 below):
    l1    R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass 1/2 = log(rho/(1 - rho))   [differential, tight]
    l2    converted from l1: R * 1/sqrt(d)
    linf  converted from l1: R * 1/d

Verified when this file was written:
    proved    R(1/2) = 0
    proved    curves of a law by quadrature: what its series leave out, by bounds on complex ellipses around its panels; rounding, by intervals
    enclosed  3 radii (dim 2): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import torch

from generated import special

NAME = "logistic"
GEOMETRY = "product"
DENSITY = "exp(-r)/(1+exp(-r))**2"
REFERENCE = "By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "6edd4f73c7e68b23"
PARAMETERS: dict[str, float] = {}
PARAMETER_DOMAINS: dict[str, str] = {}
ADVERSARIES = ("1", "2", "inf",)
SHARPER_TABLES: dict[str, str] = {
    "logistic_linf_d12288.json": "0fa11a51d84a2557821096010ade09e07082f203e9c2458b1c7b91a13c542db5",
    "logistic_linf_d150528.json": "a9adc02d08c29799e1579fb99ba074f839f1ab4a61e12ee81aed5d9ec31ce71d",
    "logistic_linf_d3072.json": "541bf776dc2de603c8d3998aa6f16d51184e6e9db319937d5e5482949dc55e71",
    "logistic_linf_d64.json": "0ba8f9caffbdd9682df674686f64c569c311689728a156eab6f0ca82e6684020",
    "logistic_linf_d784.json": "5b1bd84716df7dfdcf10d3ec1338f52c2eb57f4eeeb2de4b34764cb60ffd7557",
}
"""Shipped tables of sharper radii beside those that need none: file in generated/tables, SHA-256."""


def check(*, dim: int) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)


def _steepness(xp: special.Functions, r: special.Array) -> special.Array:
    """r·psi'(r)."""
    return r*xp.tanh(0.5*r)


def _bend(xp: special.Functions, r: special.Array) -> special.Array:
    """r²·psi''(r)."""
    return 0.5*r ** 2/xp.cosh(0.5*r) ** 2


def _density() -> special.RadialDensity:
    return special.RadialDensity(
        lambda xp, r: _steepness(xp, r), lambda xp, r: _bend(xp, r),
        (), math.inf,
    )


@lru_cache(maxsize=64)
def _law(exponent: float) -> special.RadialLaw:
    """r with density proportional to r**(exponent - 1)·exp(-psi(r))."""
    return special.RadialLaw(_density(), exponent)


@lru_cache(maxsize=64)
def _curve_l1(dim: int) -> special.RadiusCurve:
    """{A = 1, |psi'| ≥ c} with P(A = 1) = 1/2, by quadrature."""
    return special.radial_curve(0.5, _law(1.0))


@special.traceable
def radius_l1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l1 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim)
    at = special.prepare(rho, log_fail)
    value = _curve_l1(dim)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim)
    name = special.norm_name(adversary)
    l1 = partial(radius_l1, dim=dim)
    if name == "1":
        return (special.Route("differential, tight", l1, accuracy=special.CURVE),)
    if name == "2":
        return (special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CURVE),)
    if name == "inf":
        return (
            special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CURVE),
            *special.tabled_routes("composition", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {}),
        )
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def method(*, adversary: object, dim: int, **parameters: float) -> str:
    """How the radius against this norm comes about; ValueError for a norm without one."""
    return special.method_text(routes(adversary=adversary, dim=dim, **parameters))


@special.traceable
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim)
    return special.best_radius(rho, found, scale, log_fail)


def growth_l1(fail: np.ndarray, *, dim: int) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an l1 shift."""
    check(dim=dim)
    fail = special.small_probability(fail)
    return _curve_l1(dim).growth(fail)


def sigma_of_scale(scale: float, *, dim: int) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim)
    return special.positive("scale", scale) * _unit_sigma(dim)


def scale_of_sigma(sigma: float, *, dim: int) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim)
    return special.positive("sigma", sigma) / _unit_sigma(dim)


def _unit_sigma(dim: int) -> float:
    return math.sqrt(_law(1.0).moment(2.0))


@lru_cache(maxsize=16)
def _radii() -> special.InverseCdf:
    return special.inverse_cdf(_law(1.0))


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    Each coordinate on its own: a table of its quantile function, within 1e-9 in distribution; its sign is random.
    """
    check(dim=dim)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = _radii().draw(sizes, generator, dtype)
    return scale * t * special.signs(sizes, generator, dtype)
