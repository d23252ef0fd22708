"""Several sound radii for one norm, each with its source: the largest, its name, and what a runner-up's bound adds.

Every route keeps the class in the open ball of its radius R(rho): with G(p, v) the largest measure under the noise shifted by v of a
set of measure p, G(1 - rho, v) < 1/2 wherever ‖v‖ < R(rho). Two facts hold for a top class of probability ≥ p_a, any other class
of probability ≤ p_b, and ‖v‖ < R:

* any route: R((1 + p_a - p_b)/2). G is concave in p, so G(1 - p_a, v) + G(p_b, v) ≤ 2·G((1 - p_a + p_b)/2, v) < 1.
* a differential route H, H(rho) = ∫_{1-rho}^{1/2} dp/Phi: (R(p_a) + H(1 - p_b))/2 with R any route, p_a > 1/2. Beyond R(p_a) the
  failure mass grows from 1/2 at the rate Phi at most, and the other class's from p_b; Phi(p) = Phi(1 - p), so their sum stays below 1
  while ‖v‖ < H(1 - p_b) - (‖v‖ - R(p_a)). For p_a ≤ 1/2 the same with -H(1 - p_a) in place of R(p_a), rounded up.

Source of the second for R = H: Yang et al., "Randomized Smoothing of All Shapes and Sizes" (ICML 2020); Gaussian: Cohen et al. (ICML 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from generated.special.arguments import Array, best, require
from generated.special.traced import tracing

CLOSED, CURVE = 2.0**-40, 2.0**-29
"""The difference R(p) - (1 + this)·R(q), p > q, of differential radii is at most that of the exact ones, for 1 - q ≥ FARTHEST: closed
formulas lie that close below the exact radius (twice their slack of 246 units, and the factor of a conversion); curves see to it when
they are built (curve.CLOSE), tables of interpolants are tested against enclosures."""
FARTHEST = 2.0**-20
TINY = 2.0**-20
_HALF_DOWN = 0.5 * (1.0 - 2.0**-52)
"""Half, rounded so that the half of a rounded sum is below the half of the sum."""
_FACTOR_DOWN = 1.0 - 2.0**-49
"""Absorbs the rounding of a conversion factor (a power or a quotient, trusted to 8 units of 2^-53) and of two products: 16 units."""


@dataclass(frozen=True)
class Route:
    """A sound radius for the norm asked for: `factor` times a radius for a norm, with the words for it.

    `radius` is called as radius(rho, scale=…, log_fail=…). `accuracy` is given where it is a differential radius, or a multiple of
    one. `alone` is false where another route is never smaller: it serves beside a runner-up only, and may fail at some parameters.
    """

    source: str
    radius: Callable[..., Array]
    factor: float = 1.0
    accuracy: float | None = None
    alone: bool = True

    def __call__(self, rho: Array | None, scale: float, log_fail: Array | None = None) -> Array:
        unit = scale if self.factor == 1.0 else scale * self.factor * _FACTOR_DOWN
        return self.radius(rho, scale=unit, log_fail=log_fail)


def method_text(routes: Sequence[Route]) -> str:
    """How the radius comes about, in words."""
    names = list(dict.fromkeys(route.source for route in routes if route.alone))
    return names[0] if len(names) == 1 else "best of: " + "; ".join(names)


def best_radius(
    rho: Array | None, routes: Sequence[Route], scale: float, log_fail: Array | None = None
) -> Array:
    """The largest radius of the routes, elementwise, from rho or from log(1 - rho)."""
    return best([route(rho, scale, log_fail) for route in routes if route.alone])


def best_source(rho: Array, routes: Sequence[Route], scale: float) -> np.ndarray:
    """The source of the largest radius, elementwise: strings of the shape of `rho`; the first of equals."""
    usual = [route for route in routes if route.alone]
    radii = [np.asarray(torch.as_tensor(route(rho, scale)).detach().cpu()) for route in usual]
    return np.array([route.source for route in usual])[np.argmax(np.stack(radii), axis=0)]


def runner_up_radius(rho: Array, runner_up: Array, routes: Sequence[Route], scale: float) -> Array:
    """The radius from a lower bound `rho` of the top class's probability and an upper bound of every other class's.

    Both float64 arrays or both float64 tensors, broadcast against each other. Rounded down; 0 for rho ≤ runner_up, never below the
    radius of rho alone, and that radius for runner_up = 1 - rho. Differentiable in both.
    ValueError unless 0 ≤ runner_up ≤ 1 - rho (2**-52 of rounding allowed); where that cannot be asked (see `prepare`), NaN instead.
    """
    xp: Any = torch if isinstance(rho, torch.Tensor) else np
    rho, other = xp.broadcast_tensors(rho, runner_up) if xp is torch else np.broadcast_arrays(rho, runner_up)
    other = _inside(xp, rho, other)
    far = _complement(xp, other, up=False)
    alone = best_radius(rho, routes, scale)
    middle = 0.5 * (rho + far)
    found = [alone, best_radius(_toward(xp, middle, 0.0, middle > 0.0), routes, scale)]
    zero = xp.zeros_like(alone)
    near = _complement(xp, rho, up=True)
    known = (near >= 0.5) & (near <= 1.0 - FARTHEST)
    safe_near = xp.where(known, near, 0.5 + zero)
    # 1 - p_b keeps few digits of a small p_b, its logarithm all; rounded up by more than log errs
    tiny = (other > 0.0) & (other < TINY)
    log_other = xp.log(xp.where(tiny, other, 0.25 + zero)) * (1.0 - 2.0**-49)
    for route in routes:
        if route.accuracy is None:
            continue
        try:
            ahead, behind = route(far, scale), route(safe_near, scale) * (1.0 + route.accuracy)
            ahead = xp.where(tiny, xp.maximum(ahead, route(None, scale, log_other)), ahead)
        except (ValueError, ArithmeticError):
            if route.alone:
                raise
            continue
        found.append(xp.where(rho > 0.5, _HALF_DOWN * (alone + ahead), zero))
        found.append(xp.where(known, _HALF_DOWN * (ahead - behind), zero))
    return best(found)


def half_lead(rho: torch.Tensor, runner_up: torch.Tensor) -> torch.Tensor:
    """(rho - runner_up)/2 rounded down, 0 where it is negative; the same ValueError as `runner_up_radius`."""
    rho, other = torch.broadcast_tensors(rho, runner_up)
    ahead = rho - _inside(torch, rho, other)
    return 0.5 * torch.where(ahead > 0.0, _toward(torch, ahead, 0.0, ahead > 0.0), torch.zeros_like(ahead))


def _inside(xp: Any, rho: Array, other: Array) -> Array:
    """`other`, a probability with rho + other ≤ 1 up to rounding."""
    require(
        other.dtype == (torch.float64 if xp is torch else np.float64),
        f"runner_up must be float64 (a cast to less may lower probabilities), not {other.dtype}",
    )
    good = (other >= 0.0) & (rho + other <= 1.0 + 2.0**-52)
    if xp is torch and (other.device.type != "cpu" or torch.compiler.is_compiling() or tracing()):
        return torch.where(good, other, torch.nan)
    try:
        refused = not bool(good.all())
    except RuntimeError:  # torch.func.vmap has no single truth value
        return torch.where(good, other, torch.nan)
    if refused:
        a, b = float(rho[~good].reshape(-1)[0]), float(other[~good].reshape(-1)[0])
        raise ValueError(
            f"runner_up must lie between 0 and 1 - rho, not {b!r} with rho = {a!r}; of two confidence bounds use min(runner_up, 1 - rho)"
        )
    return other


def _toward(xp: Any, value: Array, goal: float, where: Array) -> Array:
    """`value` moved by one double towards `goal` where asked for; its derivative is kept."""
    still = value.detach() if xp is torch else value
    moved = xp.nextafter(still, xp.full_like(still, goal)) - still
    return value + xp.where(where, moved, xp.zeros_like(moved))


def _complement(xp: Any, p: Array, *, up: bool) -> Array:
    """1 - p rounded up or down. The difference of a double in [1/2, 1] from 1 is exact, which shows how it was rounded."""
    value = 1.0 - p
    still, given = (value.detach(), p.detach()) if xp is torch else (value, p)
    back = 1.0 - still
    wrong = back > given if up else back < given
    return _toward(xp, value, 2.0 if up else 0.0, wrong & (still >= 0.5))
