"""pow_linf: noise with density q(x) ∝ (1+r)**(-a), r = ‖x‖∞, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution pow_linf --density '(1+r)**(-a)' --geometry linf --param 'a>0' --param a=3200 --reference 'Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: 6ef9a2fe47e83b70
Reference: Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: t = r follows beta prime(d, a - d).
Variance of a coordinate: (d + 1)*(d + 2)/(3*(a - d - 2)*(a - d - 1)), finite where a - d - 2 > 0
Domain: dim ≥ 1; a>0; a - d > 0
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: The norm r: t = r follows beta prime(d, a - d); times a direction from the cone measure of the linf sphere.

Radii at scale 1, for rho > 1/2 (0 below):
    l1    R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass 1/(2*d)   [differential]
    linf  R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass 1/2   [differential]
    l1    best of: differential; converted from linf: R
    l2    best of: converted from l1: R * 1/sqrt(d); converted from linf: R
    linf  best of: differential; converted from l1: R * 1/d

Verified when this file was written:
    proved    the Pearson identity of the radial law; R(1/2) = 0
    proved    curves of a law by quadrature: what its series leave out, by bounds on complex ellipses around its panels; rounding, by intervals
    enclosed  20 radii (dim 2, 64, 3072): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import torch

from generated import special

NAME = "pow_linf"
GEOMETRY = "linf"
DENSITY = "(1+r)**(-a)"
REFERENCE = "Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "6ef9a2fe47e83b70"
PARAMETERS: dict[str, float] = {"a": 3200.0}
PARAMETER_DOMAINS: dict[str, str] = {"a": "a>0"}
ADVERSARIES = ("1", "2", "inf",)
SHARPER_TABLES: dict[str, str] = {}
"""Shipped tables of sharper radii beside those that need none: file in generated/tables, SHA-256."""


def check(*, dim: int, a: float = 3200.0) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)
    special.number("a", a, lambda x: x > 0.0, "a number with a>0")
    special.require(a - dim > 0.0, f"pow_linf needs a - dim > 0, not dim = {dim!r}, a = {a!r}")


def _steepness(xp: special.Functions, r: special.Array, a: float) -> special.Array:
    """r·psi'(r)."""
    return a*r/(r + 1.0)


def _bend(xp: special.Functions, r: special.Array, a: float) -> special.Array:
    """r²·psi''(r)."""
    return -a*r ** 2/(r + 1.0) ** 2


def _density(a: float) -> special.RadialDensity:
    return special.RadialDensity(
        lambda xp, r: _steepness(xp, r, a), lambda xp, r: _bend(xp, r, a),
        (), math.inf,
    )


@lru_cache(maxsize=64)
def _law(exponent: float, a: float) -> special.RadialLaw:
    """r with density proportional to r**(exponent - 1)·exp(-psi(r))."""
    return special.RadialLaw(_density(a), exponent)


@lru_cache(maxsize=64)
def _curve_l1(dim: int, a: float) -> special.RadiusCurve:
    """{A = 1, |psi'| ≥ c} with P(A = 1) = 1/(2*d), by quadrature."""
    return special.radial_curve(0.5/dim, _law(float(dim), a))


@special.traceable
def radius_l1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, a: float = 3200.0) -> special.Array:
    """Certified l1 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, a=a)
    at = special.prepare(rho, log_fail)
    value = _curve_l1(dim, a)(at)
    return special.finish(at, value, scale)


@lru_cache(maxsize=64)
def _curve_linf(dim: int, a: float) -> special.RadiusCurve:
    """{A = 1, |psi'| ≥ c} with P(A = 1) = 1/2, by quadrature."""
    return special.radial_curve(0.5, _law(float(dim), a))


@special.traceable
def radius_linf(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, a: float = 3200.0) -> special.Array:
    """Certified linf radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, a=a)
    at = special.prepare(rho, log_fail)
    value = _curve_linf(dim, a)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int, a: float = 3200.0) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim, a=a)
    name = special.norm_name(adversary)
    l1 = partial(radius_l1, dim=dim, a=a)
    linf = partial(radius_linf, dim=dim, a=a)
    if name == "1":
        return (
            special.Route("differential", l1, accuracy=special.CURVE),
            special.Route("converted from linf: R", linf, accuracy=special.CURVE),
            *special.tabled_routes("level set, tight", NAME, "1", SPEC_HASH, SHARPER_TABLES, dim, {"a": a}),
            *special.tabled_routes("converted from linf: R, by level set", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"a": a}),
        )
    if name == "2":
        return (
            special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CURVE),
            special.Route("converted from linf: R", linf, accuracy=special.CURVE),
            *special.tabled_routes("converted from l1: R * 1/sqrt(d), by level set", NAME, "1", SPEC_HASH, SHARPER_TABLES, dim, {"a": a}, factor=dim ** (-0.5)),
            *special.tabled_routes("converted from linf: R, by level set", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"a": a}),
        )
    if name == "inf":
        return (
            special.Route("differential", linf, accuracy=special.CURVE),
            special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CURVE),
            *special.tabled_routes("level set, tight", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"a": a}),
            *special.tabled_routes("converted from l1: R * 1/d, by level set", NAME, "1", SPEC_HASH, SHARPER_TABLES, dim, {"a": a}, factor=1.0 / dim),
        )
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def method(*, adversary: object, dim: int, **parameters: float) -> str:
    """How the radius against this norm comes about; ValueError for a norm without one."""
    return special.method_text(routes(adversary=adversary, dim=dim, **parameters))


@special.traceable
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, a: float = 3200.0) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim, a=a)
    return special.best_radius(rho, found, scale, log_fail)


def growth_l1(fail: np.ndarray, *, dim: int, a: float = 3200.0) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an l1 shift."""
    check(dim=dim, a=a)
    fail = special.small_probability(fail)
    return _curve_l1(dim, a).growth(fail)


def growth_linf(fail: np.ndarray, *, dim: int, a: float = 3200.0) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an linf shift."""
    check(dim=dim, a=a)
    fail = special.small_probability(fail)
    return _curve_linf(dim, a).growth(fail)


def sigma_of_scale(scale: float, *, dim: int, a: float = 3200.0) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim, a=a)
    return special.positive("scale", scale) * _unit_sigma(dim, a)


def scale_of_sigma(sigma: float, *, dim: int, a: float = 3200.0) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim, a=a)
    return special.positive("sigma", sigma) / _unit_sigma(dim, a)


def _unit_sigma(dim: int, a: float) -> float:
    special.require(a - dim - 2.0 > 0.0, "pow_linf has an infinite variance unless a - dim - 2 > 0; give its scale instead")
    return (1.0 / 3.0)*math.sqrt(3.0)*math.sqrt(1.0/((a - dim - 2.0)*(a - dim - 1.0)))*math.sqrt(dim + 1.0)*math.sqrt(dim + 2.0)


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32, a: float = 3200.0
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    The norm r: t = r follows beta prime(d, a - d); times a direction from the cone measure of the linf sphere.
    """
    check(dim=dim, a=a)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = special.beta_prime((sizes[0], 1), dim, a - dim, generator, torch.float64)
    norm = scale * t
    return (norm.to(dtype) * special.linf_direction(sizes[0], dim, generator, dtype)).reshape(sizes)
