"""uniform_ball: noise with density q(x) ∝ 1, r = ‖x‖₂, at scale 1.

Generated; do not edit. Made by:
    python -m derive add-distribution uniform_ball --density 1 --geometry l2 --support 'r<=1' --reference 'Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020'
Spec hash: f9a222846ebc0e48
Reference: Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020

Support: r<=1
Law of the radius: r**d is uniform on (0, 1).
Variance of a coordinate: 1/(d + 2)
Domain: dim ≥ 1
Assumptions: none. The density is even because it is a function of r; it is integrable because the law above is one.
Sampler: The norm r: r**d is uniform on (0, 1); times a direction from the cone measure of the l2 sphere.

Radii at scale 1, for rho > 1/2 (0 below):
    l2    R = 2*sqrt(Beta(1/2, d/2 + 1/2).ppf(rho - 1/2))   [level set, tight]
    l1    converted from l2: R
    linf  converted from l2: R * 1/sqrt(d)

Verified when this file was written:
    proved    the Pearson identity of the radial law; psi' equals its sum of powers; R(1/2) = 0
    proved    curves: nodes with the errors of their primitives, two tangents and a bound on the curvature between them
    enclosed  12 radii (dim 2, 64, 3072, 150528): none above its ball-arithmetic lower end, all within 1e-10 of it (relative)
"""

from __future__ import annotations

from functools import lru_cache, partial

import torch

from generated import special

NAME = "uniform_ball"
GEOMETRY = "l2"
DENSITY = "1"
REFERENCE = "Yang, Duan, Hu, Salman, Razenshteyn, Li, Randomized Smoothing of All Shapes and Sizes, ICML 2020"
SPEC_HASH = "f9a222846ebc0e48"
PARAMETERS: dict[str, float] = {}
PARAMETER_DOMAINS: dict[str, str] = {}
ADVERSARIES = ("1", "2", "inf",)


def check(*, dim: int) -> None:
    """ValueError unless the dimension and the parameters are inside the law's domain."""
    special.dimension(dim)


@lru_cache(maxsize=64)
def _curve_l2(dim: int) -> special.RadiusCurve:
    """What the ball shifted by e leaves of it: two caps."""
    return special.ball_curve(dim, 1.0)


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


def routes(*, adversary: object, dim: int) -> tuple[special.Route, ...]:
    """Every sound radius known here against this norm, by its source; ValueError for a norm without one."""
    check(dim=dim)
    name = special.norm_name(adversary)
    l2 = partial(radius_l2, dim=dim)
    if name == "1":
        return (special.Route("converted from l2: R", l2),)
    if name == "2":
        return (special.Route("level set, tight", l2),)
    if name == "inf":
        return (special.Route("converted from l2: R * 1/sqrt(d)", l2, dim ** (-0.5)),)
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
    return (dim + 2.0) ** (-0.5)


def sample(
    shape: tuple[int, ...], *, dim: int, scale: float, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Independent noise of shape (n, *event) with prod(event) == dim, on the generator's device.

    The norm r: r**d is uniform on (0, 1); times a direction from the cone measure of the l2 sphere.
    """
    check(dim=dim)
    sizes = special.check_event(shape, dim)
    scale = special.positive("scale", scale)
    norm = scale * torch.rand((sizes[0], 1), generator=generator, device=generator.device, dtype=torch.float64) ** (1.0 / dim)
    return (norm.to(dtype) * special.l2_direction(sizes[0], dim, generator, dtype)).reshape(sizes)
