"""generalized_normal: noise with density q(x) ∝ exp(-r**p), r = |x_i|, iid coordinates, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution generalized_normal --density 'exp(-r**p)' --geometry product --param 'p>0' --param p=2 --reference 'Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: f08e5ec1350b1c55
Reference: Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: t = r**p follows Gamma(1/p, 1).
Variance of a coordinate: gamma(3/p)/gamma(1/p)
Domain: dim ≥ 1; p>0
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: Each coordinate on its own: t = r**p follows Gamma(1/p, 1); its sign is random.

Radii at scale 1, for rho > 1/2 (0 below):
    l1    R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass 1/2; -log(2 - 2*rho) for p = 1   [differential]
    l2    converted from l1: R * 1/sqrt(d)
    linf  converted from l1: R * 1/d
    where p = 1:
        l1    R = -log(2 - 2*rho)   [differential, tight]
        linf  R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi piecewise linear with slopes 1*(2*m - d)   [differential]
        l2    best of: converted from l1: R * 1/sqrt(d); converted from linf: R
        linf  best of: differential; converted from l1: R * 1/d
    where p = 2:
        l1    R = sqrt(2)*NormalQuantile(rho)/2   [differential, tight]
        l2    R = sqrt(2)*NormalQuantile(rho)/2   [differential, tight]
        linf  converted from l2: R * 1/sqrt(d)

Verified when this file was written:
    proved    the Pearson identity of the radial law; psi' equals its sum of powers; R(1/2) = 0
    proved    curves: nodes with the errors of their primitives, two tangents and a bound on the curvature between them
    enclosed  20 radii (dim 2, 64): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from generated import special

NAME = "generalized_normal"
GEOMETRY = "product"
DENSITY = "exp(-r**p)"
REFERENCE = "Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "f08e5ec1350b1c55"
PARAMETERS: dict[str, float] = {"p": 2.0}
PARAMETER_DOMAINS: dict[str, str] = {"p": "p>0"}
ADVERSARIES = ("1", "2", "inf",)
SHARPER_TABLES: dict[str, str] = {
    "generalized_normal_linf_d3072_p=1.5.json": "12fc4831775784e72dd8494d28c3354fc819d201ac55afb4e665d81ee3e0d9cf",
    "generalized_normal_linf_d3072_p=3.json": "629d3369145dd32049e7ea82965305b35bf8717aef25037c4c2f8bb391cc6fd3",
    "generalized_normal_linf_d784_p=1.5.json": "d6c5dc315b7e1a2a3382d2453b11e5028950e440be2e48d45ee3bbda17cd9262",
    "generalized_normal_linf_d784_p=3.json": "1161399a6a86d20acdadca4798aeb3db4b1d98b24097b188da0e31f72ad12a03",
}
"""Shipped tables of sharper radii beside those that need none: file in generated/tables, SHA-256."""
LAPLACE_TABLES: dict[str, str] = {
    "laplace_linf_d12288.json": "53a8485414afd58c9368e50ea8365c68642ff2d636b1de21877b01838e0f4d8e",
    "laplace_linf_d3072.json": "69fd85b628a40610b0513a326207377bff3e8483e125df8b8e2797112b512717",
    "laplace_linf_d64.json": "66363ddca1728ebfeaac83dbf445205acf6a47e9e416f10107fd3b534066c5f4",
    "laplace_linf_d784.json": "7f452b803d987b92131059f55eebfcaa457f2e4fe5626ddfc8c4dd01909c210e",
}
"""Where p = 1, this is laplace noise: shipped tables of its linf radius, SHA-256."""


def check(*, dim: int, p: float = 2.0) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)
    special.number("p", p, lambda x: x > 0.0, "a number with p>0")


def _curve_l1(dim: int, p: float) -> special.RadiusCurve:
    """{A = 1, psi' ≥ c} with P(A = 1) = 1/2; t = r**p follows Gamma(1/p, 1)."""
    law = special.GammaLaw((1.0,), 1.0, p)
    score = ((p, p - 1.0),)
    return special.cone_curve(special.GreedySet(0.5, law, score))


@special.traceable
def radius_l1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, p: float = 2.0) -> special.Array:
    """Certified l1 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, p=p)
    at = special.prepare(rho, log_fail)
    if p == 1.0:
        value = -at.log_fail(2.0)
        return special.finish(at, value, scale)
    value = _curve_l1(dim, p)(at)
    return special.finish(at, value, scale)


@special.traceable
def radius_l1_p_1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l1 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, p=1.0)
    at = special.prepare(rho, log_fail)
    value = -at.log_fail(2.0)
    return special.finish(at, value, scale)


def _curve_linf_p_1(dim: int) -> special.RadiusCurve:
    """The score takes the values slope · (2 i - dim), i ~ Bin(dim, 1/2)."""
    return special.binomial_curve(dim, 1.0)


@special.traceable
def radius_linf_p_1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified linf radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, p=1.0)
    at = special.prepare(rho, log_fail)
    value = _curve_linf_p_1(dim)(at)
    return special.finish(at, value, scale)


@special.traceable
def radius_l1_p_2(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l1 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, p=2.0)
    at = special.prepare(rho, log_fail)
    value = 0.5*math.sqrt(2.0)*at.normal_quantile()
    return special.finish(at, value, scale)


@special.traceable
def radius_l2_p_2(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l2 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, p=2.0)
    at = special.prepare(rho, log_fail)
    value = 0.5*math.sqrt(2.0)*at.normal_quantile()
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int, p: float = 2.0) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim, p=p)
    name = special.norm_name(adversary)
    if p == 1.0:
        return _routes_p_1(name, dim)
    if p == 2.0:
        return _routes_p_2(name, dim)
    l1 = partial(radius_l1, dim=dim, p=p)
    if name == "1":
        return (special.Route("differential", l1, accuracy=special.CURVE),)
    if name == "2":
        return (special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CURVE),)
    if name == "inf":
        return (
            special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CURVE),
            *special.tabled_routes("composition", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"p": p}),
        )
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def _routes_p_1(name: str, dim: int) -> tuple[special.Route, ...]:
    """The same where p = 1, at which the level sets are l1 as well."""
    l1 = partial(radius_l1_p_1, dim=dim)
    linf = partial(radius_linf_p_1, dim=dim)
    if name == "1":
        return (special.Route("differential, tight", l1, accuracy=special.CLOSED),)
    if name == "2":
        return (
            special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CLOSED),
            special.Route("converted from linf: R", linf, accuracy=special.CURVE),
            *special.tabled_routes("converted from linf: R, by composition", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"p": 1.0}),
            *special.tabled_routes("converted from linf: R, by composition", "laplace", "inf", "44617068c25df70c", LAPLACE_TABLES, dim, {}),
        )
    if name == "inf":
        return (
            special.Route("differential", linf, accuracy=special.CURVE),
            special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CLOSED),
            *special.tabled_routes("composition", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"p": 1.0}),
            *special.tabled_routes("composition", "laplace", "inf", "44617068c25df70c", LAPLACE_TABLES, dim, {}),
        )
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def _routes_p_2(name: str, dim: int) -> tuple[special.Route, ...]:
    """The same where p = 2, at which the level sets are l2 as well."""
    l1 = partial(radius_l1_p_2, dim=dim)
    l2 = partial(radius_l2_p_2, dim=dim)
    if name == "1":
        return (special.Route("differential, tight", l1, accuracy=special.CLOSED),)
    if name == "2":
        return (special.Route("differential, tight", l2, accuracy=special.CLOSED),)
    if name == "inf":
        return (special.Route("converted from l2: R * 1/sqrt(d)", l2, dim ** (-0.5), accuracy=special.CLOSED),)
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def method(*, adversary: object, dim: int, **parameters: float) -> str:
    """How the radius against this norm comes about; ValueError for a norm without one."""
    return special.method_text(routes(adversary=adversary, dim=dim, **parameters))


@special.traceable
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, p: float = 2.0) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim, p=p)
    return special.best_radius(rho, found, scale, log_fail)


def growth_l1(fail: np.ndarray, *, dim: int, p: float = 2.0) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an l1 shift."""
    check(dim=dim, p=p)
    fail = special.small_probability(fail)
    return _curve_l1(dim, p).growth(fail)


def sigma_of_scale(scale: float, *, dim: int, p: float = 2.0) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim, p=p)
    return special.positive("scale", scale) * _unit_sigma(dim, p)


def scale_of_sigma(sigma: float, *, dim: int, p: float = 2.0) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim, p=p)
    return special.positive("sigma", sigma) / _unit_sigma(dim, p)


def _unit_sigma(dim: int, p: float) -> float:
    return math.sqrt(special.gamma_ratio(3.0/p, 1.0 / p, 2.0/p))


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32, p: float = 2.0
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    Each coordinate on its own: t = r**p follows Gamma(1/p, 1); its sign is random.
    """
    check(dim=dim, p=p)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = special.standard_gamma(sizes, 1.0 / p, generator, dtype)
    return scale * t ** (1.0 / p) * special.signs(sizes, generator, dtype)
