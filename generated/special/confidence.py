"""Where a radius is asked for: rho, 1 - rho and rho - 1/2 to full precision, from rho itself or from log(1 - rho).

For every double rho in [1/2, 1] both 1 - rho and rho - 1/2 are exact. From log(1 - rho) all three are rounded so that a radius
computed from them can only be smaller: 1 - rho up, the other two down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch

from generated.special.arguments import NUMPY, TORCH, Array, number
from generated.special.errors import ROUNDING, UNIT
from generated.special.traced import tracing

SMALLEST = 2.0**-1022
"""Added to 1 - rho where it comes from its logarithm: at least what exp loses where its result is denormal, or flushed to zero."""
DEEP = -600.0
"""Below this logarithm of 1 - rho the normal quantile is computed from the logarithm."""
LOWEST = -1e300
"""Logarithms below count as this one, -inf excepted."""
SERIES = (-1.0, 3.0, -15.0, 105.0, -945.0, 10395.0)
"""1 - 1/z² + 3/z⁴ - …: the normal tail at z over its density, times z. At z > 34 the rest is below 1e-13."""


@dataclass(frozen=True)
class Confidence:
    """A confidence above one half, entry by entry; entries that are not are replaced, and `finish` blanks them.

    xp: functions of the array library. above: rho > 1/2. valid: None, or False where the argument is no probability and could
    not be refused (see `prepare`). rho, fail, gap: rho, 1 - rho, rho - 1/2. log: the logarithm of 1 - rho, where it was given.
    """

    xp: SimpleNamespace
    above: Array
    valid: Array | None
    rho: Array
    fail: Array
    gap: Array
    log: Array | None = None

    def log_fail(self, factor: float = 1.0) -> Array:
        """log(factor·(1 - rho)), accurate also where the product is close to 1, and where 1 - rho is no double any more."""
        direct = self.xp.log(factor * self.fail)
        if self.log is None:
            return direct
        return self.xp.where(self.log < DEEP, math.log(factor) + self.log, direct)

    def normal_quantile(self) -> Array:
        """The standard normal quantile of rho."""
        if self.log is None:
            return self.xp.ndtri(self.rho)
        deep = self.log < DEEP
        shallow = -self.xp.ndtri(self.xp.where(deep, 0.25, self.fail))
        far = _deep_quantile(self.xp, self.xp.maximum(self.xp.where(deep, self.log, DEEP), LOWEST))
        return self.xp.where(self.log == -math.inf, math.inf, self.xp.where(deep, far, shallow))


def _deep_quantile(xp: SimpleNamespace, log_fail: Array) -> Array:
    """z with log(normal tail at z) = log_fail ≤ DEEP, by iteration: each turn divides the error by z² > 1100."""
    square = -2.0 * log_fail
    for _ in range(7):
        inverse = 1.0 / square
        rest = 0.0
        for coefficient in reversed(SERIES):
            rest = inverse * (coefficient + rest)
        square = -2.0 * log_fail - math.log(2.0 * math.pi) - xp.log(square) + 2.0 * xp.log1p(rest)
    return xp.sqrt(square)


def prepare(rho: Array | None, log_fail: Array | None = None) -> Confidence:
    """The confidence that was given: as `rho` in [0, 1], or as `log_fail` = log(1 - rho) ≤ 0, but not both.

    ValueError unless it is a float64 array or tensor with values in its range. Where finding out would wait for a device, or
    cannot be asked for (tensors on CUDA, under torch.compile or torch.func.vmap), entries out of range give NaN instead.
    """
    given = rho if log_fail is None else log_fail
    name = "rho" if log_fail is None else "log_fail"
    if given is None or (rho is not None and log_fail is not None):
        raise ValueError(
            f"exactly one of rho and log_fail is required, not {'both' if given is not None else 'neither'}"
        )
    if isinstance(given, torch.Tensor):
        xp, kind = TORCH, given.dtype == torch.float64
    elif isinstance(given, np.ndarray):
        xp, kind = NUMPY, given.dtype == np.float64
    else:
        raise ValueError(f"{name} must be a float64 NumPy array or torch tensor, not {type(given).__name__}")
    if not kind:
        raise ValueError(f"{name} must be float64 (a cast to less raises probabilities), not {given.dtype}")
    good = (given >= 0.0) & (given <= 1.0) if log_fail is None else given <= 0.0
    valid = None if _checked(name, given, good) else good
    if log_fail is None:
        above = given > 0.5
        above = above if valid is None else above & valid
        rho = xp.where(above, given, 0.75)
        return Confidence(xp, above, valid, rho, 1.0 - rho, rho - 0.5)
    return _from_logarithm(xp, given, valid)


def _from_logarithm(xp: SimpleNamespace, given: Array, valid: Array | None) -> Confidence:
    """1 - rho from above (the exponential is trusted to a relative 2^-50, the product adds 2^-53), the others from below."""
    above = given < -math.log(2.0)  # the double is below log 2: what lies between counts as 1/2
    above = above if valid is None else above & valid
    log = xp.where(above, given, -1.0)
    fail = xp.minimum(xp.exp(log) * (1.0 + 2.0**-49) + SMALLEST, 0.5)
    rho = 1.0 - fail
    rho = rho - 2.0**-53 * _as_double((1.0 - rho) < fail)  # exact: the difference has few bits
    gap = 0.5 - fail  # exact down to fail = 1/4, then a multiple of 2^-54
    gap = gap - 2.0**-54 * _as_double((0.5 - gap) < fail)
    return Confidence(xp, above, valid, rho, fail, gap, log)


def _as_double(mask: Array) -> Array:
    return mask.to(torch.float64) if isinstance(mask, torch.Tensor) else np.asarray(mask).astype(np.float64)


def _checked(name: str, given: Array, good: Array) -> bool:
    """Whether all entries were looked at and found good; ValueError where one is bad; False where they cannot be looked at."""
    if isinstance(given, torch.Tensor) and (given.device.type != "cpu" or tracing()):
        return False  # a device, or a tensor without values while a graph is traced
    try:
        all_good = bool(good.all())
    except RuntimeError:  # torch.func.vmap has no single truth value
        return False
    if not all_good:
        required = "[0, 1]" if name == "rho" else "[-inf, 0]"
        raise ValueError(f"{name} must lie in {required}, not {float(given[~good].reshape(-1)[0])!r}")
    return True


def finish(at: Confidence, value: Array, scale: float, rounding: int = ROUNDING) -> Array:
    """`scale * value` rounded down where rho > 1/2, 0 elsewhere, NaN where the confidence is no probability.

    rounding: bound on the relative error of `value` in units of 2^-53; 6 more are for the scale and for what happens here.
    ValueError for a scale outside [1e-150, 1e150]: beyond, products could underflow, where rounding is no longer relative.
    """
    unit = number("scale", scale, lambda x: 1e-150 <= x <= 1e150, "a number from 1e-150 to 1e150")
    down = value * (unit * (1.0 - (rounding + 6) * UNIT))
    zero = 0.0 if at.valid is None else at.xp.where(at.valid, 0.0, math.nan)
    return at.xp.where(at.above, down, zero)
