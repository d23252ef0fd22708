"""pow_l2: noise with density q(x) ∝ (1+r**k)**(-a), r = ‖x‖₂, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution pow_l2 --density '(1+r**k)**(-a)' --geometry l2 --param 'k>0' --param k=2 --param 'a>0' --param a=1546 --reference 'Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: aee4f7d6ee962ca4
Reference: Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: t = r**k follows beta prime(d/k, (a*k - d)/k).
Variance of a coordinate: gamma(d/k + 2/k)/gamma(d/k)*gamma(a - d/k - 2/k)/gamma(a - d/k)/d, finite where (a*k - d - 2)/k > 0
Domain: dim ≥ 1; k>0; a>0; (a*k - d)/k > 0
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: The norm r: t = r**k follows beta prime(d/k, (a*k - d)/k); times a direction from the cone measure of the l2 sphere.

Radii at scale 1, for rho > 1/2 (0 below):
    l2    R = exact level sets of the likelihood ratio, by tables of proved lower bounds (TABLES; `python -m derive compile`)   [level set, tight]
    l1    converted from l2: R
    linf  converted from l2: R * 1/sqrt(d)

Verified when this file was written:
    proved    the Pearson identity of the radial law; R(1/2) = 0
    enclosed  25 shipped tables: proved by ball arithmetic to lie below the level-set radius at every double rho
    enclosed  1 radii (dim 3072): none above its ball-arithmetic lower end, all within 1e-12 of it (relative)
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch

from generated import special

NAME = "pow_l2"
GEOMETRY = "l2"
DENSITY = "(1+r**k)**(-a)"
REFERENCE = "Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "aee4f7d6ee962ca4"
PARAMETERS: dict[str, float] = {"k": 2.0, "a": 1546.0}
PARAMETER_DOMAINS: dict[str, str] = {"k": "k>0", "a": "a>0"}
ADVERSARIES = ("1", "2", "inf",)
TABLES: dict[str, str] = {
    "pow_l2_l2_d12288_a=12292_k=2.json": "e3a8e39518cc0fa9c898fb513da0617e67aa7c012edab65518bc1808834de98c",
    "pow_l2_l2_d12288_a=12298_k=1.json": "8bb98dc9058759cf65e0765a35e2068761b27b8b7bb5520c4817541072c0bd1c",
    "pow_l2_l2_d12288_a=12304_k=2.json": "8bac65695eabc43938e884b1347dfa25ee31c2cd49773190fae7d53b8061e5ec",
    "pow_l2_l2_d12288_a=12416_k=2.json": "fa7396bf8cad3196c6203a2f1eb684e0d1a742ab0d8839f0cd0a9d1305785522",
    "pow_l2_l2_d12288_a=6154_k=2.json": "484549b5e5b065b35da6f55db6fc50e18deebee51b8e4cf92567a459dc8e7ada",
    "pow_l2_l2_d150528_a=150532_k=2.json": "1396d8938079611c87e143b94e498dca92d428570e1f5c515e4b8ce96a419ae0",
    "pow_l2_l2_d150528_a=150538_k=1.json": "d2f6f84a0342a11c80eb171c298a94a87cb1cdb5f8ee6aa236c5c0a5dc20698d",
    "pow_l2_l2_d150528_a=150544_k=2.json": "11fb15752f268f02c62ce4e4f6603b3508a782878334292da3afb10830f5f6fa",
    "pow_l2_l2_d150528_a=150656_k=2.json": "959fdf0fe3eb4c374e120648fb5cc0662954eed1255f1e22445f45b49a6258db",
    "pow_l2_l2_d150528_a=75274_k=2.json": "e48698b70c7c8d27386a13f0c4def67de8df7c2768baa116096e3883f76f7261",
    "pow_l2_l2_d3072_a=1546_k=2.json": "5e1bd942961a428bafe5401c8e3f7df0ccca627f2ef0d7ce32a631fe37b496db",
    "pow_l2_l2_d3072_a=3076_k=2.json": "92249f401886ba26da7a257209de87abf12807a493c69925a546457a802d6110",
    "pow_l2_l2_d3072_a=3082_k=1.json": "58198b03e3b17d609d2a137c24c7cf97da4780dab9378d3b5ff0807d931bb7a2",
    "pow_l2_l2_d3072_a=3088_k=2.json": "ecf88463d27a08e458a0e817d8a33a024a125e92ff932e18f92aaf8da8f55a6e",
    "pow_l2_l2_d3072_a=3200_k=2.json": "1b25d25889d6b990c435143ecb46304ac6bbc4bac7fe24c4428dd8c87d7cd7b4",
    "pow_l2_l2_d64_a=192_k=2.json": "f180f5d37da0d489a718aeb9920d8b72a15dd590b89afd6cde182ff9cc71ea0f",
    "pow_l2_l2_d64_a=42_k=2.json": "4321be9e0aea54b606faaffa4d3c2e12fc145c7cb377f98fb411293e69c8f830",
    "pow_l2_l2_d64_a=68_k=2.json": "7973e7ad92139b82e9d55c182e903ae29f77cb57a8a22183bd0863c0d13e8a9c",
    "pow_l2_l2_d64_a=74_k=1.json": "9b31df21f164c49307f468e22fc0c9aefddd80b907107656ce7e9aaa7e04f699",
    "pow_l2_l2_d64_a=80_k=2.json": "075d9beb0810709a07a8267058da4186150865537acf7162c640b2f66378951d",
    "pow_l2_l2_d784_a=402_k=2.json": "d519ce95f36df1380f0a19b7350202888b89634561fc29fc66412bce01931f36",
    "pow_l2_l2_d784_a=788_k=2.json": "88a385572339ec843a4a9dba957251dd8e206bd0414bd6f022ca213c3aa57193",
    "pow_l2_l2_d784_a=794_k=1.json": "c1bb3bd1a00b77f63fde8e4c32a51bc9b024c96ab35da496a8ff2dc8e2a0d2fb",
    "pow_l2_l2_d784_a=800_k=2.json": "4af25ebb13d8cd520705dd72fc9c8dd3d610500643be77b890f1d3224677fbe9",
    "pow_l2_l2_d784_a=912_k=2.json": "97a6b55b8a130d3bd3cc28f895b2ddf4f6fc9fa0842accf5f3d9a34c4bfc007f",
}
"""Shipped tables of proved radii: file in generated/tables, SHA-256."""


def check(*, dim: int, k: float = 2.0, a: float = 1546.0) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)
    special.number("k", k, lambda x: x > 0.0, "a number with k>0")
    special.number("a", a, lambda x: x > 0.0, "a number with a>0")
    special.require((a*k - dim)/k > 0.0, f"pow_l2 needs (a*k - dim)/k > 0, not dim = {dim!r}, k = {k!r}, a = {a!r}")


def _steepness(xp: special.Functions, r: special.Array, k: float, a: float) -> special.Array:
    """r·psi'(r)."""
    return a*k*r ** k/(r ** k + 1.0)


def _bend(xp: special.Functions, r: special.Array, k: float, a: float) -> special.Array:
    """r²·psi''(r)."""
    return a*k*r ** k*(k - r ** k - 1.0)/(r ** k + 1.0) ** 2


def _density(k: float, a: float) -> special.RadialDensity:
    return special.RadialDensity(
        lambda xp, r: _steepness(xp, r, k, a), lambda xp, r: _bend(xp, r, k, a),
        (), math.inf,
    )


@lru_cache(maxsize=64)
def _law(exponent: float, k: float, a: float) -> special.RadialLaw:
    """r with density proportional to r**(exponent - 1)·exp(-psi(r))."""
    return special.RadialLaw(_density(k, a), exponent)


@lru_cache(maxsize=64)
def _curve_l2(dim: int, k: float, a: float) -> special.ProvedTable:
    """Exact level sets of q(x - v)/q(x): the proved table of this dimension and these parameters."""
    return special.find_table(NAME, "2", SPEC_HASH, TABLES, dim, {"k": k, "a": a})


def estimate_l2(rho: special.Array, *, dim: int, k: float = 2.0, a: float = 1546.0) -> special.Array:
    """The same radius at scale 1 by quadrature in floats, for any dimension and parameters: tested, not proved; no certificate."""
    check(dim=dim, k=k, a=a)
    at = special.prepare(rho)
    return special.finish(at, special.level_set_curve(_density(k, a), dim)(at), 1.0)


@special.traceable
def radius_l2(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 2.0, a: float = 1546.0) -> special.Array:
    """Certified l2 radius at confidence rho: level set, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, k=k, a=a)
    at = special.prepare(rho, log_fail)
    value = _curve_l2(dim, k, a)(at)
    return special.finish(at, value, scale)


@lru_cache(maxsize=64)
def _curve_l2_differential(dim: int, k: float, a: float) -> special.Tabulated:
    """psi'(r)·A ≥ c, A the cosine of a uniform direction, by quadrature."""
    return special.cosine_curve(_density(k, a), dim)


@special.traceable
def radius_l2_differential(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 2.0, a: float = 1546.0) -> special.Array:
    """Certified l2 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, k=k, a=a)
    at = special.prepare(rho, log_fail)
    value = _curve_l2_differential(dim, k, a)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int, k: float = 2.0, a: float = 1546.0) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim, k=k, a=a)
    name = special.norm_name(adversary)
    l2 = partial(radius_l2, dim=dim, k=k, a=a)
    l2_differential = partial(radius_l2_differential, dim=dim, k=k, a=a)
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
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 2.0, a: float = 1546.0) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim, k=k, a=a)
    return special.best_radius(rho, found, scale, log_fail)


def sigma_of_scale(scale: float, *, dim: int, k: float = 2.0, a: float = 1546.0) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim, k=k, a=a)
    return special.positive("scale", scale) * _unit_sigma(dim, k, a)


def scale_of_sigma(sigma: float, *, dim: int, k: float = 2.0, a: float = 1546.0) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim, k=k, a=a)
    return special.positive("sigma", sigma) / _unit_sigma(dim, k, a)


def _unit_sigma(dim: int, k: float, a: float) -> float:
    special.require((a*k - dim - 2.0)/k > 0.0, "pow_l2 has an infinite variance unless (a*k - dim - 2)/k > 0; give its scale instead")
    return math.sqrt(special.gamma_ratio(dim/k + 2.0/k, dim/k, 2.0/k))*math.sqrt(special.gamma_ratio(a - dim/k - 2.0/k, a - dim/k, -2.0/k))/math.sqrt(dim)


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32, k: float = 2.0, a: float = 1546.0
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    The norm r: t = r**k follows beta prime(d/k, (a*k - d)/k); times a direction from the cone measure of the l2 sphere.
    """
    check(dim=dim, k=k, a=a)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = special.beta_prime((sizes[0], 1), dim/k, (a*k - dim)/k, generator, torch.float64)
    norm = scale * t ** (1.0 / k)
    return (norm.to(dtype) * special.l2_direction(sizes[0], dim, generator, dtype)).reshape(sizes)
