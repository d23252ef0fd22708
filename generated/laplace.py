"""laplace: noise with density q(x) ∝ exp(-r), r = |x_i|, iid coordinates, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution laplace --density 'exp(-r)' --geometry product --reference 'Teng, Lee, Yuan, l1 Adversarial Robustness Certificates: a Randomized Smoothing Approach, 2019'
Spec hash: 44617068c25df70c
Reference: Teng, Lee, Yuan, l1 Adversarial Robustness Certificates: a Randomized Smoothing Approach, 2019

Support: all r > 0
Law of the radius: t = r follows Gamma(1, 1).
Variance of a coordinate: 2
Domain: dim ≥ 1
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: Each coordinate on its own: t = r follows Gamma(1, 1); its sign is random.

Radii at scale 1, for rho > 1/2 (0 below):
    l1    R = -log(2 - 2*rho)   [differential, tight]
    linf  R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi piecewise linear with slopes 1*(2*m - d)   [differential]
    l2    best of: converted from l1: R * 1/sqrt(d); converted from linf: R
    linf  best of: differential; converted from l1: R * 1/d

Verified when this file was written:
    proved    the Pearson identity of the radial law; psi' equals its sum of powers; R(1/2) = 0
    proved    curves: nodes with the errors of their primitives, two tangents and a bound on the curvature between them
    enclosed  16 radii (dim 2, 64, 3072, 150528): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from generated import special

NAME = "laplace"
GEOMETRY = "product"
DENSITY = "exp(-r)"
REFERENCE = "Teng, Lee, Yuan, l1 Adversarial Robustness Certificates: a Randomized Smoothing Approach, 2019"
SPEC_HASH = "44617068c25df70c"
PARAMETERS: dict[str, float] = {}
PARAMETER_DOMAINS: dict[str, str] = {}
ADVERSARIES = ("1", "2", "inf",)
SHARPER_TABLES: dict[str, str] = {
    "laplace_linf_d12288.json": "53a8485414afd58c9368e50ea8365c68642ff2d636b1de21877b01838e0f4d8e",
    "laplace_linf_d3072.json": "69fd85b628a40610b0513a326207377bff3e8483e125df8b8e2797112b512717",
    "laplace_linf_d64.json": "66363ddca1728ebfeaac83dbf445205acf6a47e9e416f10107fd3b534066c5f4",
    "laplace_linf_d784.json": "7f452b803d987b92131059f55eebfcaa457f2e4fe5626ddfc8c4dd01909c210e",
}
"""Shipped tables of sharper radii beside those that need none: file in generated/tables, SHA-256."""


def check(*, dim: int) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)


@special.traceable
def radius_l1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l1 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim)
    at = special.prepare(rho, log_fail)
    value = -at.log_fail(2.0)
    return special.finish(at, value, scale)


def _curve_linf(dim: int) -> special.RadiusCurve:
    """The score takes the values slope · (2 i - dim), i ~ Bin(dim, 1/2)."""
    return special.binomial_curve(dim, 1.0)


@special.traceable
def radius_linf(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified linf radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim)
    at = special.prepare(rho, log_fail)
    value = _curve_linf(dim)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim)
    name = special.norm_name(adversary)
    l1 = partial(radius_l1, dim=dim)
    linf = partial(radius_linf, dim=dim)
    if name == "1":
        return (special.Route("differential, tight", l1, accuracy=special.CLOSED),)
    if name == "2":
        return (
            special.Route("converted from l1: R * 1/sqrt(d)", l1, dim ** (-0.5), accuracy=special.CLOSED),
            special.Route("converted from linf: R", linf, accuracy=special.CURVE),
            *special.tabled_routes("converted from linf: R, by composition", NAME, "inf", SPEC_HASH, SHARPER_TABLES, dim, {}),
        )
    if name == "inf":
        return (
            special.Route("differential", linf, accuracy=special.CURVE),
            special.Route("converted from l1: R * 1/d", l1, 1.0 / dim, accuracy=special.CLOSED),
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
    return np.asarray(special.ROUND_UP * (fail))


def growth_linf(fail: np.ndarray, *, dim: int) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an linf shift."""
    check(dim=dim)
    fail = special.small_probability(fail)
    return _curve_linf(dim).growth(fail)


def sigma_of_scale(scale: float, *, dim: int) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim)
    return special.positive("scale", scale) * _unit_sigma(dim)


def scale_of_sigma(sigma: float, *, dim: int) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim)
    return special.positive("sigma", sigma) / _unit_sigma(dim)


def _unit_sigma(dim: int) -> float:
    return math.sqrt(2.0)


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    Each coordinate on its own: t = r follows Gamma(1, 1); its sign is random.
    """
    check(dim=dim)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = special.standard_exponential(sizes, generator, dtype)
    return scale * t * special.signs(sizes, generator, dtype)
