"""Arguments checked, the two array libraries under one set of names, and the last rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special as sc
import torch

Array = Any
"""A float64 numpy.ndarray or torch.Tensor."""

ROUND_DOWN = 1.0 - 2.0**-45
"""Absorbs the rounding of a closed form: at most 40 operations of 4 ulp each, conditioned by less than 1."""
ROUND_UP = 1.0 + 2.0**-45
"""The same for upper bounds."""
NORMS = ("1", "2", "inf")
Functions = SimpleNamespace
"""The functions of an array library under common names: exp, log, where, …"""


def _quiet(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    def silent(x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):  # rho = 1 has an infinite radius under laws with full support
            return function(x)

    return silent


NUMPY = SimpleNamespace(
    log=_quiet(np.log), log1p=_quiet(np.log1p), minimum=np.minimum, expm1=np.expm1, exp=np.exp, sqrt=np.sqrt, where=np.where, maximum=np.maximum,
    ndtri=sc.ndtri, searchsorted=np.searchsorted, asarray=lambda a, like: a, tanh=np.tanh, cosh=np.cosh, sinh=np.sinh, sin=np.sin,
    cos=np.cos, tan=np.tan, atan=np.arctan, erf=sc.erf, erfc=sc.erfc, gamma=sc.gamma, abs=np.abs, asinh=np.arcsinh, acosh=np.arccosh,
    atanh=np.arctanh, asin=np.arcsin, acos=np.arccos,
)  # fmt: skip
_TORCH = SimpleNamespace(
    log=torch.log, log1p=torch.log1p, minimum=lambda a, top: torch.clamp(a, max=top), expm1=torch.expm1, exp=torch.exp, sqrt=torch.sqrt, where=torch.where,
    maximum=torch.maximum, ndtri=torch.special.ndtri, searchsorted=torch.searchsorted,
    asarray=lambda a, like: torch.as_tensor(a, device=like.device),
)  # fmt: skip


def norm_name(adversary: object) -> str:
    """The adversary norm as "1", "2" or "inf"; accepts 1, 2, math.inf and their spellings. ValueError otherwise."""
    text = str(adversary).strip().lower()
    name = {
        "1": "1",
        "1.0": "1",
        "l1": "1",
        "2": "2",
        "2.0": "2",
        "l2": "2",
        "inf": "inf",
        "linf": "inf",
    }.get(text)
    if name is None:
        raise ValueError(f"the adversary norm must be 1, 2 or inf, not {adversary!r}")
    return name


def dimension(dim: object) -> int:
    """`dim` as an int ≥ 1; ValueError otherwise."""
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or not 1 <= dim < 2**53:
        raise ValueError(
            f"the dimension must be an integer of at least 1 and below 2**53, not {str(dim)[:30]}"
        )
    return int(dim)


def positive(name: str, value: object) -> float:
    """`value` as a finite float > 0; ValueError otherwise."""
    return number(name, value, lambda x: x > 0, "a finite number greater than 0")


def number(name: str, value: object, holds: Callable[[float], bool], required: str) -> float:
    """`value` as a finite float for which `holds`; ValueError naming what is `required` otherwise."""
    try:
        x = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        x = math.nan
    if not math.isfinite(x) or not holds(x):
        raise ValueError(f"{name} must be {required}, not {repr(value)[:60]}")
    return x


def require(holds: bool, message: str) -> None:
    """ValueError(message) unless `holds`."""
    if not holds:
        raise ValueError(message)


def prepare(rho: Array) -> tuple[SimpleNamespace, Array, Array]:
    """Validated rho, ready for a formula that holds above one half.

    Returns (functions of its library, rho with entries ≤ 1/2 replaced by 3/4, mask of entries > 1/2).
    ValueError unless rho is a float64 array or tensor with values in [0, 1].
    """
    if isinstance(rho, torch.Tensor):
        xp, kind = _TORCH, rho.dtype == torch.float64
    elif isinstance(rho, np.ndarray):
        xp, kind = NUMPY, rho.dtype == np.float64
    else:
        raise ValueError(f"rho must be a float64 NumPy array or torch tensor, not {type(rho).__name__}")
    if not kind:
        raise ValueError(f"rho must be float64 (a cast to less raises probabilities), not {rho.dtype}")
    bad = ~((rho >= 0.0) & (rho <= 1.0))
    if bool(bad.any()):
        raise ValueError(f"rho must lie in [0, 1], not {float(rho[bad].reshape(-1)[0])!r}")
    above = rho > 0.5
    return xp, xp.where(above, rho, xp.asarray(np.float64(0.75), rho)), above


def finish(xp: SimpleNamespace, above: Array, value: Array, scale: float) -> Array:
    """`scale * value` rounded down where rho > 1/2, and 0 elsewhere.

    ValueError for a scale outside [1e-150, 1e150]: beyond, products could underflow, where rounding is no longer relative.
    """
    unit = number("scale", scale, lambda x: 1e-150 <= x <= 1e150, "a number from 1e-150 to 1e150")
    down = value * ROUND_DOWN * unit
    return xp.where(above, down, xp.asarray(np.float64(0.0), down))


def best(xp_like: Array, routes: Sequence[Array]) -> Array:
    """The largest of several sound radii, elementwise."""
    maximum = torch.maximum if isinstance(xp_like, torch.Tensor) else np.maximum
    result = routes[0]
    for other in routes[1:]:
        result = maximum(result, other)
    return result


def small_probability(p: Array) -> np.ndarray:
    """`p` as a float64 array with values in (0, 1/2]; ValueError otherwise."""
    p = np.asarray(p)
    require(
        p.dtype == np.float64 and bool(((p > 0.0) & (p <= 0.5)).all()),
        "p must be float64 with values in (0, 1/2]",
    )
    return p
