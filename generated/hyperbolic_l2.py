"""hyperbolic_l2: noise with density q(x) ∝ exp(-sqrt(1+r**2)), r = ‖x‖₂, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution hyperbolic_l2 --density 'exp(-sqrt(1+r**2))' --geometry l2 --reference 'By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: 7498d910cf764f3e
Reference: By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: no closed law: normaliser, distribution function and moments by quadrature in log r.
Variance of a coordinate: by quadrature
Domain: dim ≥ 1
Assumptions: none. The density is even because it is a function of r; it is integrable because r·psi'(r) tends to 0 at 0 and at infinity to oo.
Sampler: The norm r: a table of its quantile function, within 1e-9 in distribution; times a direction from the cone measure of the l2 sphere.

Radii at scale 1, for rho > 1/2 (0 below):
    l2    R = exact level sets of the likelihood ratio, by tables of proved lower bounds (TABLES; `python -m derive compile`)   [level set, tight]
    l1    converted from l2: R
    linf  converted from l2: R * 1/sqrt(d)

Verified when this file was written:
    proved    R(1/2) = 0
    enclosed  5 shipped tables: proved by ball arithmetic to lie below the level-set radius at every double rho
    enclosed  2 radii (dim 64, 3072): none above its ball-arithmetic lower end, all within 1e-11 of it (relative)
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch

from generated import special

NAME = "hyperbolic_l2"
GEOMETRY = "l2"
DENSITY = "exp(-sqrt(1+r**2))"
REFERENCE = "By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "7498d910cf764f3e"
PARAMETERS: dict[str, float] = {}
PARAMETER_DOMAINS: dict[str, str] = {}
ADVERSARIES = ("1", "2", "inf",)
TABLES: dict[str, str] = {
    "hyperbolic_l2_l2_d12288.json": "f675c5e8ee651b35cd8b6775af324d55851c9ecca81d31e1553b85fd440c952b",
    "hyperbolic_l2_l2_d150528.json": "64943128b72a8f3a3f3ef17efd179cb2d7a66fca93817945205d24b2cce25ab4",
    "hyperbolic_l2_l2_d3072.json": "c37b02482d9bc3050809587cc0320c2793f9eed5de1cebdcb48f2e94dc56c00a",
    "hyperbolic_l2_l2_d64.json": "e2659aa442755921a37379370b069d35186a47fae23a98ef7e94f14a2c6564d7",
    "hyperbolic_l2_l2_d784.json": "6eb664b534a628a7e353aefb043a0a0080ddff9c98bb7bcd0790849995de6ef3",
}
"""Shipped tables of proved radii: file in generated/tables, SHA-256."""


def check(*, dim: int) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)


def _steepness(xp: special.Functions, r: special.Array) -> special.Array:
    """r·psi'(r)."""
    return r ** 2/xp.sqrt(r ** 2 + 1.0)


def _bend(xp: special.Functions, r: special.Array) -> special.Array:
    """r²·psi''(r)."""
    return r ** 2/(r ** 2 + 1.0) ** 1.5


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
def _curve_l2(dim: int) -> special.ProvedTable:
    """Exact level sets of q(x - v)/q(x): the proved table of this dimension and these parameters."""
    return special.find_table(NAME, "2", SPEC_HASH, TABLES, dim, {})


def estimate_l2(rho: special.Array, *, dim: int) -> special.Array:
    """The same radius at scale 1 by quadrature in floats, for any dimension and parameters: tested, not proved; no certificate."""
    check(dim=dim)
    at = special.prepare(rho)
    return special.finish(at, special.level_set_curve(_density(), dim)(at), 1.0)


@special.traceable
def radius_l2(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l2 radius at confidence rho: level set, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim)
    at = special.prepare(rho, log_fail)
    value = _curve_l2(dim)(at)
    return special.finish(at, value, scale)


@lru_cache(maxsize=64)
def _curve_l2_differential(dim: int) -> special.Tabulated:
    """psi'(r)·A ≥ c, A the cosine of a uniform direction, by quadrature."""
    return special.cosine_curve(_density(), dim)


@special.traceable
def radius_l2_differential(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l2 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim)
    at = special.prepare(rho, log_fail)
    value = _curve_l2_differential(dim)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim)
    name = special.norm_name(adversary)
    l2 = partial(radius_l2, dim=dim)
    l2_differential = partial(radius_l2_differential, dim=dim)
    if name == "1":
        return (
            special.Route("converted from l2: R", l2),
            special.Route("converted from l2: R", l2_differential, accuracy=special.CURVE, alone=False),
        )
    if name == "2":
        return (
            special.Route("level set, tight", l2),
            special.Route("differential", l2_differential, accuracy=special.CURVE, alone=False),
        )
    if name == "inf":
        return (
            special.Route("converted from l2: R * 1/sqrt(d)", l2, dim ** (-0.5)),
            special.Route("converted from l2: R * 1/sqrt(d)", l2_differential, dim ** (-0.5), accuracy=special.CURVE, alone=False),
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


def sigma_of_scale(scale: float, *, dim: int) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim)
    return special.positive("scale", scale) * _unit_sigma(dim)


def scale_of_sigma(sigma: float, *, dim: int) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim)
    return special.positive("sigma", sigma) / _unit_sigma(dim)


def _unit_sigma(dim: int) -> float:
    return math.sqrt((1.0 / dim) * _law(float(dim)).moment(2.0))


@lru_cache(maxsize=16)
def _radii(dim: int) -> special.InverseCdf:
    return special.inverse_cdf(_law(float(dim)))


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    The norm r: a table of its quantile function, within 1e-9 in distribution; times a direction from the cone measure of the l2 sphere.
    """
    check(dim=dim)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = _radii(dim).draw((sizes[0], 1), generator, torch.float64)
    norm = scale * t
    return (norm.to(dtype) * special.l2_direction(sizes[0], dim, generator, dtype)).reshape(sizes)
