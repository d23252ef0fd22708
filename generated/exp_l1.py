"""exp_l1: noise with density q(x) ∝ exp(-r**k), r = ‖x‖₁, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution exp_l1 --density 'exp(-r**k)' --geometry l1 --param 'k>0' --reference 'Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: a70c475a698582e0
Reference: Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: t = r**k follows Gamma(d/k, 1).
Variance of a coordinate: 2*gamma(d/k + 2/k)/gamma(d/k)/(d*(d + 1))
Domain: dim ≥ 1; k>0; (d + k - 1)/k > 0
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: The norm r: t = r**k follows Gamma(d/k, 1); times a direction from the cone measure of the l1 sphere.

Radii at scale 1, for rho > 1/2 (0 below):
    l1    R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass 1/2; -log(2 - 2*rho) for k = 1   [differential]
    l2    converted from l1: R * 1/sqrt(d)
    linf  converted from l1: R * 1/d
    where k = 1:
        l1    R = -log(2 - 2*rho)   [differential, tight]
        linf  R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi piecewise linear with slopes 1*(2*m - d)   [differential]
        l2    best of: converted from l1: R * 1/sqrt(d); converted from linf: R
        linf  best of: differential; converted from l1: R * 1/d

Verified when this file was written:
    proved    the Pearson identity of the radial law; psi' equals its sum of powers; R(1/2) = 0
    proved    curves: nodes with the errors of their primitives, two tangents and a bound on the curvature between them
    enclosed  16 radii (dim 2, 64, 3072): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from generated import special

NAME = "exp_l1"
GEOMETRY = "l1"
DENSITY = "exp(-r**k)"
REFERENCE = "Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "a70c475a698582e0"
PARAMETERS: dict[str, float] = {"k": 1.0}
PARAMETER_DOMAINS: dict[str, str] = {"k": "k>0"}
ADVERSARIES = ("1", "2", "inf",)
SHARPER_TABLES: dict[str, str] = {}
"""Shipped tables of sharper radii beside those that need none: file in generated/tables, SHA-256."""
LAPLACE_TABLES: dict[str, str] = {
    "laplace_linf_d12288.json": "53a8485414afd58c9368e50ea8365c68642ff2d636b1de21877b01838e0f4d8e",
    "laplace_linf_d3072.json": "69fd85b628a40610b0513a326207377bff3e8483e125df8b8e2797112b512717",
    "laplace_linf_d64.json": "66363ddca1728ebfeaac83dbf445205acf6a47e9e416f10107fd3b534066c5f4",
    "laplace_linf_d784.json": "7f452b803d987b92131059f55eebfcaa457f2e4fe5626ddfc8c4dd01909c210e",
}
"""Where k = 1, this is laplace noise: shipped tables of its linf radius, SHA-256."""


def check(*, dim: int, k: float = 1.0) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)
    special.number("k", k, lambda x: x > 0.0, "a number with k>0")
    special.require((dim + k - 1.0)/k > 0.0, f"exp_l1 needs (dim + k - 1)/k > 0, not dim = {dim!r}, k = {k!r}")


def _curve_l1(dim: int, k: float) -> special.RadiusCurve:
    """{A = 1, psi' ≥ c} with P(A = 1) = 1/2; t = r**k follows Gamma(d/k, 1)."""
    law = special.GammaLaw((dim,), 1.0, k)
    score = ((k, k - 1.0),)
    return special.cone_curve(special.GreedySet(0.5, law, score))


@special.traceable
def radius_l1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 1.0) -> special.Array:
    """Certified l1 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, k=k)
    at = special.prepare(rho, log_fail)
    if k == 1.0:
        value = -at.log_fail(2.0)
        return special.finish(at, value, scale)
    value = _curve_l1(dim, k)(at)
    return special.finish(at, value, scale)


@special.traceable
def radius_l1_k_1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l1 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, k=1.0)
    at = special.prepare(rho, log_fail)
    value = -at.log_fail(2.0)
    return special.finish(at, value, scale)


def _curve_linf_k_1(dim: int) -> special.RadiusCurve:
    """The score takes the values slope · (2 i - dim), i ~ Bin(dim, 1/2)."""
    return special.binomial_curve(dim, 1.0)


@special.traceable
def radius_linf_k_1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified linf radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, k=1.0)
    at = special.prepare(rho, log_fail)
    value = _curve_linf_k_1(dim)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int, k: float = 1.0) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim, k=k)
    name = special.norm_name(adversary)
    if k == 1.0:
        return _routes_k_1(name, dim)
    l1 = partial(radius_l1, dim=dim, k=k)
    if name == "1":
        return (
            special.Route("differential", l1, accuracy=special.CURVE),
            *special.tabled_routes("level set, tight", NAME, "1", SPEC_HASH, SHARPER_TABLES, dim, {"k": k}),
        )
    if name == "2":
        return (
            special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CURVE),
            *special.tabled_routes("converted from l1: R * 1/sqrt(d), by level set", NAME, "1", SPEC_HASH, SHARPER_TABLES, dim, {"k": k}, factor=dim ** (-0.5)),
        )
    if name == "inf":
        return (
            special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CURVE),
            *special.tabled_routes("converted from l1: R * 1/d, by level set", NAME, "1", SPEC_HASH, SHARPER_TABLES, dim, {"k": k}, factor=1.0 / dim),
        )
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def _routes_k_1(name: str, dim: int) -> tuple[special.Route, ...]:
    """The same where k = 1, at which the level sets are product as well."""
    l1 = partial(radius_l1_k_1, dim=dim)
    linf = partial(radius_linf_k_1, dim=dim)
    if name == "1":
        return (special.Route("differential, tight", l1, accuracy=special.CLOSED),)
    if name == "2":
        return (
            special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CLOSED),
            special.Route("converted from linf: R", linf, accuracy=special.CURVE),
            *special.tabled_routes("converted from linf: R, by composition", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"k": 1.0}),
            *special.tabled_routes("converted from linf: R, by composition", "laplace", "inf", "44617068c25df70c", LAPLACE_TABLES, dim, {}),
        )
    if name == "inf":
        return (
            special.Route("differential", linf, accuracy=special.CURVE),
            special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CLOSED),
            *special.tabled_routes("composition", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {"k": 1.0}),
            *special.tabled_routes("composition", "laplace", "inf", "44617068c25df70c", LAPLACE_TABLES, dim, {}),
        )
    raise ValueError(f"{NAME} has no radius against l{name}; it has " + ", ".join(ADVERSARIES))


def method(*, adversary: object, dim: int, **parameters: float) -> str:
    """How the radius against this norm comes about; ValueError for a norm without one."""
    return special.method_text(routes(adversary=adversary, dim=dim, **parameters))


@special.traceable
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 1.0) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim, k=k)
    return special.best_radius(rho, found, scale, log_fail)


def growth_l1(fail: np.ndarray, *, dim: int, k: float = 1.0) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an l1 shift."""
    check(dim=dim, k=k)
    fail = special.small_probability(fail)
    return _curve_l1(dim, k).growth(fail)


def sigma_of_scale(scale: float, *, dim: int, k: float = 1.0) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim, k=k)
    return special.positive("scale", scale) * _unit_sigma(dim, k)


def scale_of_sigma(sigma: float, *, dim: int, k: float = 1.0) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim, k=k)
    return special.positive("sigma", sigma) / _unit_sigma(dim, k)


def _unit_sigma(dim: int, k: float) -> float:
    return math.sqrt(2.0)*math.sqrt(special.gamma_ratio(dim/k + 2.0/k, dim/k, 2.0/k))/(math.sqrt(dim)*math.sqrt(dim + 1.0))


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32, k: float = 1.0
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    The norm r: t = r**k follows Gamma(d/k, 1); times a direction from the cone measure of the l1 sphere.
    """
    check(dim=dim, k=k)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = special.standard_gamma((sizes[0], 1), dim/k, generator, torch.float64)
    norm = scale * t ** (1.0 / k)
    return (norm.to(dtype) * special.l1_direction(sizes[0], dim, generator, dtype)).reshape(sizes)
