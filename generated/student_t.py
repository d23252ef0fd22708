"""student_t: noise with density q(x) ∝ (1+r**2/nu)**(-(nu+1)/2), r = |x_i|, iid coordinates, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution student_t --density '(1+r**2/nu)**(-(nu+1)/2)' --geometry product --param 'nu>0' --param nu=5 --reference 'By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: a06353d9b8b7cae3
Reference: By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: all r > 0
Law of the radius: t = r**2/nu follows beta prime(1/2, nu/2).
Variance of a coordinate: nu/(nu - 2), finite where (nu - 2)/2 > 0
Domain: dim ≥ 1; nu>0
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: Each coordinate on its own: t = r**2/nu follows beta prime(1/2, nu/2); its sign is random.

Radii at scale 1, for rho > 1/2 (0 below):
    l1    R = integral of dp/Phi(p) from 1 - rho to 1/2, Phi of the cone of mass 1/2   [differential]
    l2    converted from l1: R * 1/sqrt(d)
    linf  converted from l1: R * 1/d

Verified when this file was written:
    proved    the Pearson identity of the radial law; R(1/2) = 0
    proved    curves of a law by quadrature: what its series leave out, by bounds on complex ellipses around its panels; rounding, by intervals
    enclosed  4 radii (dim 2): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import torch

from generated import special

NAME = "student_t"
GEOMETRY = "product"
DENSITY = "(1+r**2/nu)**(-(nu+1)/2)"
REFERENCE = "By the methods of Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "a06353d9b8b7cae3"
PARAMETERS: dict[str, float] = {"nu": 5.0}
PARAMETER_DOMAINS: dict[str, str] = {"nu": "nu>0"}
ADVERSARIES = ("1", "2", "inf",)


def check(*, dim: int, nu: float = 5.0) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)
    special.number("nu", nu, lambda x: x > 0.0, "a number with nu>0")


def _steepness(xp: special.Functions, r: special.Array, nu: float) -> special.Array:
    """r·psi'(r)."""
    return r ** 2*(nu + 1.0)/(nu + r ** 2)


def _bend(xp: special.Functions, r: special.Array, nu: float) -> special.Array:
    """r²·psi''(r)."""
    return -r ** 2*(-nu + r ** 2)*(nu + 1.0)/(nu + r ** 2) ** 2


def _density(nu: float) -> special.RadialDensity:
    return special.RadialDensity(
        lambda xp, r: _steepness(xp, r, nu), lambda xp, r: _bend(xp, r, nu),
        (), math.inf,
    )


@lru_cache(maxsize=64)
def _law(exponent: float, nu: float) -> special.RadialLaw:
    """r with density proportional to r**(exponent - 1)·exp(-psi(r))."""
    return special.RadialLaw(_density(nu), exponent)


@lru_cache(maxsize=64)
def _curve_l1(dim: int, nu: float) -> special.RadiusCurve:
    """{A = 1, |psi'| ≥ c} with P(A = 1) = 1/2, by quadrature."""
    return special.radial_curve(0.5, _law(1.0, nu))


@special.traceable
def radius_l1(rho: special.Array | None = None, *, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, nu: float = 5.0) -> special.Array:
    """Certified l1 radius at confidence rho: differential. Never above the true radius of the method.

    rho: float64 array or tensor in [0, 1]; the result has its kind, shape and device; 0 for rho ≤ 1/2.
    log_fail: log(1 - rho) instead of rho.
    """
    check(dim=dim, nu=nu)
    at = special.prepare(rho, log_fail)
    value = _curve_l1(dim, nu)(at)
    return special.finish(at, value, scale)


def routes(*, adversary: object, dim: int, nu: float = 5.0) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim, nu=nu)
    name = special.norm_name(adversary)
    l1 = partial(radius_l1, dim=dim, nu=nu)
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
def radius(rho: special.Array | None = None, *, adversary: object, dim: int, scale: float = 1.0, log_fail: special.Array | None = None, nu: float = 5.0) -> special.Array:
    """The best certified radius known here against l1, l2, linf; the source of each is in `routes`.

    rho: float64 array or tensor of lower bounds on the top class's probability; same kind, shape and device back.
    log_fail: log(1 - rho) instead of rho, for 1 - rho as small as may be.
    adversary: 1, 2 or inf. scale: length unit of the noise. ValueError for anything outside its domain.
    """
    found = routes(adversary=adversary, dim=dim, nu=nu)
    return special.best_radius(rho, found, scale, log_fail)


def growth_l1(fail: np.ndarray, *, dim: int, nu: float = 5.0) -> np.ndarray:
    """Phi at scale 1 for 0 < fail = 1 - rho ≤ 1/2, rounded up: no set of that measure grows faster under an l1 shift."""
    check(dim=dim, nu=nu)
    fail = special.small_probability(fail)
    return _curve_l1(dim, nu).growth(fail)


def sigma_of_scale(scale: float, *, dim: int, nu: float = 5.0) -> float:
    """Standard deviation of a coordinate at this scale; ValueError where it is infinite."""
    check(dim=dim, nu=nu)
    return special.positive("scale", scale) * _unit_sigma(dim, nu)


def scale_of_sigma(sigma: float, *, dim: int, nu: float = 5.0) -> float:
    """The scale at which a coordinate has this standard deviation; ValueError where it is infinite."""
    check(dim=dim, nu=nu)
    return special.positive("sigma", sigma) / _unit_sigma(dim, nu)


def _unit_sigma(dim: int, nu: float) -> float:
    special.require(0.5*(nu - 2.0) > 0.0, "student_t has an infinite variance unless (nu - 2)/2 > 0; give its scale instead")
    return math.sqrt(nu)*math.sqrt(1.0 / (nu - 2.0))


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32, nu: float = 5.0
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    Each coordinate on its own: t = r**2/nu follows beta prime(1/2, nu/2); its sign is random.
    """
    check(dim=dim, nu=nu)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    t = special.beta_prime(sizes, 0.5, 0.5*nu, generator, dtype)
    return scale * (t / (1.0 / nu)) ** (0.5) * special.signs(sizes, generator, dtype)
