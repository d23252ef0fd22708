"""exp_l2: noise with density q(x) ∝ r**(-j)*exp(-r**k), r = ‖x‖₂, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution exp_l2 --density 'r**(-j)*exp(-r**k)' --geometry l2 --param 'k>0' --param 'j>=0' --reference 'Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: df8aaf7392ec24d0
Reference: Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: t = r**k follows Gamma((d - j)/k, 1).
Variance of a coordinate: gamma(d/k - j/k + 2/k)/gamma(d/k - j/k)/d, finite where (d - j + 2)/k > 0
Domain: dim ≥ 1; k>0; j>=0; (d - j)/k > 0
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: The norm r: t = r**k follows Gamma((d - j)/k, 1); times a direction from the cone measure of the l2 sphere.

Radii at scale 1, for rho > 1/2 (0 below):
    l2    R = exact level sets of the likelihood ratio, by tables of proved lower bounds (TABLES; `python -m derive compile`)   [level set, tight]
    l1    converted from l2: R
    linf  converted from l2: R * 1/sqrt(d)
    where j = 0, k = 2:
        l1    R = sqrt(2)*NormalQuantile(rho)/2   [differential, tight]
        l2    R = sqrt(2)*NormalQuantile(rho)/2   [differential, tight]
        linf  converted from l2: R * 1/sqrt(d)

Verified when this file was written:
    proved    the Pearson identity of the radial law; psi' equals its sum of powers; R(1/2) = 0
    enclosed  24 shipped tables: proved by ball arithmetic to lie below the level-set radius at every double rho
    enclosed  10 radii (dim 2, 64, 3072): none above its ball-arithmetic lower end, all within 1e-11 of it (relative)
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch

from generated import special

NAME = "exp_l2"
GEOMETRY = "l2"
DENSITY = "r**(-j)*exp(-r**k)"
REFERENCE = "Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "df8aaf7392ec24d0"
PARAMETERS: dict[str, float] = {"k": 1.0, "j": 0.0}
PARAMETER_DOMAINS: dict[str, str] = {"k": "k>0", "j": "j>=0"}
ADVERSARIES = ("1", "2", "inf",)
TABLES: dict[str, str] = {
    "exp_l2_l2_d12288_j=0_k=1.json": "0b71c164219ac4e1c39b18e67d0c4daa0fc130cc739cbcbad3e5d6cc8b4116d1",
    "exp_l2_l2_d12288_j=0_k=10.json": "df1b8b8ba5639cb3a661564c17a1010cd4bb50b8854571ae87fb2285bc4fb66e",
    "exp_l2_l2_d12288_j=0_k=4.json": "b29a342acb176d163c6022c2703e477998e26d1a1cfd97fb1e7f8787cfc0624b",
    "exp_l2_l2_d12288_j=12280_k=2.json": "6282b7dea9d4a6ebbc2d0d13107a59bce2fa91258ec9e130e5567f4145228c2a",
    "exp_l2_l2_d12288_j=6144_k=2.json": "dc31884ad0515f65a0f204d570a451a005ae803ce394d128444b7207835bd46c",
    "exp_l2_l2_d150528_j=0_k=1.json": "8fb32d74754f865aa84c0f0e024798a57bb6fb19a6195ba11faf67aee3087609",
    "exp_l2_l2_d150528_j=0_k=10.json": "1f30fb1bc9f1e78ba35a67873c815247e8b8a26330491eb9fc78540b36c37a2f",
    "exp_l2_l2_d150528_j=0_k=4.json": "4ed3c0d0a1af05c967201f4faf7de23dcb4578299071a7548a103b9239a099d0",
    "exp_l2_l2_d150528_j=150520_k=2.json": "1980b3d2751a245c090562e0c13dd6a714d3dc306b99a60b6b9cdd57a2f81b24",
    "exp_l2_l2_d150528_j=75264_k=2.json": "f7f1c860c2363480ea0adfacbebee3a234c60bce4a896fca79a9a5d6dec2f1d1",
    "exp_l2_l2_d3072_j=0_k=1.json": "3783829f2b08e2cb406c7541046f1c7d00654ef572c6c121e89dd2d9a4ac0a61",
    "exp_l2_l2_d3072_j=0_k=10.json": "7b4219ffe3773ff7044774a8ca8ab2aac6f0c6da0e20804e2a154d07271a2ff9",
    "exp_l2_l2_d3072_j=0_k=4.json": "54bf12309e68fc6eb8aabc2d07ddf8443b9b81dedff8024f4fc92c2e9f2a91e9",
    "exp_l2_l2_d3072_j=1536_k=2.json": "e7dff9422c0a0071f7f609006480d3ccec9c7761500cfcfa76333e048e98a9b5",
    "exp_l2_l2_d3072_j=3064_k=2.json": "11bcc6621c6f6adeaf50c3738517230f296347fa261a48e40241f95fc885ca54",
    "exp_l2_l2_d64_j=0_k=1.json": "5a3f66e8a9a0e9ecbb66a7416d6ce3e7bf731172e7e60c1d237aea44b006d6df",
    "exp_l2_l2_d64_j=0_k=4.json": "7003a4de52b9790a4d740b789e031ab3b17b2ecb80f2ae548cf3ed2b43272803",
    "exp_l2_l2_d64_j=32_k=2.json": "ed66b0a3dd1a846808f863862f88233941b1bf86c9d83b7ef2d687a9183b0e24",
    "exp_l2_l2_d64_j=56_k=2.json": "dc93313ff18e61e8fb5dd91084231690154fff9ce738ae165e79c6037dbdc506",
    "exp_l2_l2_d784_j=0_k=1.json": "109cbcf589ac945dabd23ca84f9c55a87ad356ce6109adbd6b7877225bee100d",
    "exp_l2_l2_d784_j=0_k=10.json": "173617fcb7f9f1136b046c1afe548b74ebbebca162c16f6139d2baa58502f620",
    "exp_l2_l2_d784_j=0_k=4.json": "bb2db58cf60a4e6237b5d0db0fc78330b48c13156195f397cc4ffb65941bc837",
    "exp_l2_l2_d784_j=392_k=2.json": "b77948a76bdda386e7091cf64963be5709db416bced9e230e40c6bedeea9d1ef",
    "exp_l2_l2_d784_j=776_k=2.json": "0e24dbdc2a373d3a4b9f0298fec5a54394505736467911133354802b5e1f13f9",
}
"""Shipped tables of proved radii: file in generated/tables, SHA-256."""


def check(*, dim: int, k: float = 1.0, j: float = 0.0) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)
    special.number("k", k, lambda x: x > 0.0, "a number with k>0")
    special.number("j", j, lambda x: x >= 0.0, "a number with j>=0")
    special.require((dim - j)/k > 0.0, f"exp_l2 needs (dim - j)/k > 0, not dim = {dim!r}, k = {k!r}, j = {j!r}")


def _steepness(xp: special.Functions, r: special.Array, k: float, j: float) -> special.Array:
    """r·psi'(r)."""
    return j + k*r ** k


def _bend(xp: special.Functions, r: special.Array, k: float, j: float) -> special.Array:
    """r²·psi''(r)."""
    return r ** 2*(-j/r ** 2 + k ** 2*r ** (k - 2.0) - k*r ** (k - 2.0))


def _density(k: float, j: float) -> special.RadialDensity:
    return special.RadialDensity(
        lambda xp, r: _steepness(xp, r, k, j), lambda xp, r: _bend(xp, r, k, j),
        (), math.inf,
    )


@lru_cache(maxsize=64)
def _law(exponent: float, k: float, j: float) -> special.RadialLaw:
    """r with density proportional to r**(exponent - 1)·exp(-psi(r))."""
    return special.RadialLaw(_density(k, j), exponent)


@lru_cache(maxsize=64)
def _curve_l2(dim: int, k: float, j: float) -> special.ProvedTable:
    """Exact level sets of q(x - v)/q(x): the proved table of this dimension and these parameters."""
    return special.find_table(NAME, "2", SPEC_HASH, TABLES, dim, {"k": k, "j": j})


def estimate_l2(rho: special.Array, *, dim: int, k: float = 1.0, j: float = 0.0) -> special.Array:
    """The same radius at scale 1 by quadrature in floats, for any dimension and parameters: tested, not proved; no certificate."""
    check(dim=dim, k=k, j=j)
    at = special.prepare(rho)
    return special.finish(at, special.level_set_curve(_density(k, j), dim)(at), 1.0)


@special.traceable
def radius_l2(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 1.0, j: float = 0.0) -> special.Array:
    """Certified l2 radius at confidence rho: level set, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, k=k, j=j)
    at = special.prepare(rho, log_fail)
    value = _curve_l2(dim, k, j)(at)
    return special.finish(at, value, scale)


@lru_cache(maxsize=64)
def _curve_l2_differential(dim: int, k: float, j: float) -> special.Tabulated:
    """psi'(r)·A ≥ c, A the cosine of a uniform direction, by quadrature."""
    return special.cosine_curve(_density(k, j), dim)


@special.traceable
def radius_l2_differential(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 1.0, j: float = 0.0) -> special.Array:
    """Certified l2 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, k=k, j=j)
    at = special.prepare(rho, log_fail)
    value = _curve_l2_differential(dim, k, j)(at)
    return special.finish(at, value, scale)


@special.traceable
def radius_l1_j_0_k_2(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l1 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, j=0.0, k=2.0)
    at = special.prepare(rho, log_fail)
    value = 0.5*math.sqrt(2.0)*at.normal_quantile()
    return special.finish(at, value, scale)


@special.traceable
def radius_l2_j_0_k_2(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None) -> special.Array:
    """Certified l2 radius at confidence rho: differential, tight. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, j=0.0, k=2.0)
    at = special.prepare(rho, log_fail)
    value = 0.5*math.sqrt(2.0)*at.normal_quantile()
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int, k: float = 1.0, j: float = 0.0) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim, k=k, j=j)
    name = special.norm_name(adversary)
    if j == 0.0 and k == 2.0:
        return _routes_j_0_k_2(name, dim)
    l2 = partial(radius_l2, dim=dim, k=k, j=j)
    l2_differential = partial(radius_l2_differential, dim=dim, k=k, j=j)
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


def _routes_j_0_k_2(name: str, dim: int) -> tuple[special.Route, ...]:
    """The same where j = 0, k = 2, at which the level sets are product as well."""
    l1 = partial(radius_l1_j_0_k_2, dim=dim)
    l2 = partial(radius_l2_j_0_k_2, dim=dim)
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
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, k: float = 1.0, j: float = 0.0) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim, k=k, j=j)
    return special.best_radius(rho, found, scale, log_fail)


def sigma_of_scale(scale: float, *, dim: int, k: float = 1.0, j: float = 0.0) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim, k=k, j=j)
    return special.positive("scale", scale) * _unit_sigma(dim, k, j)


def scale_of_sigma(sigma: float, *, dim: int, k: float = 1.0, j: float = 0.0) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim, k=k, j=j)
    return special.positive("sigma", sigma) / _unit_sigma(dim, k, j)


def _unit_sigma(dim: int, k: float, j: float) -> float:
    special.require((dim - j + 2.0)/k > 0.0, "exp_l2 has an infinite variance unless (dim - j + 2)/k > 0; give its scale instead")
    return math.sqrt(special.gamma_ratio(dim/k - j/k + 2.0/k, dim/k - j/k, 2.0/k))/math.sqrt(dim)


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32, k: float = 1.0, j: float = 0.0
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    The norm r: t = r**k follows Gamma((d - j)/k, 1); times a direction from the cone measure of the l2 sphere.
    """
    check(dim=dim, k=k, j=j)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = special.standard_gamma((sizes[0], 1), (dim - j)/k, generator, torch.float64)
    norm = scale * t ** (1.0 / k)
    return (norm.to(dtype) * special.l2_direction(sizes[0], dim, generator, dtype)).reshape(sizes)
