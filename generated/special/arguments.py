"""Arguments checked, and the two array libraries under one set of names."""

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
    ndtri=sc.ndtri, tanh=np.tanh, cosh=np.cosh, sinh=np.sinh, sin=np.sin,
    cos=np.cos, tan=np.tan, atan=np.arctan, erf=sc.erf, erfc=sc.erfc, gamma=sc.gamma, abs=np.abs, asinh=np.arcsinh, acosh=np.arccosh,
    atanh=np.arctanh, asin=np.arcsin, acos=np.arccos, take=lambda a, i: a[i], bits=lambda a: np.asarray(a).view(np.int64), clamp=np.clip,
    whole=lambda a: np.asarray(a).astype(np.int64),
)  # fmt: skip
TORCH = SimpleNamespace(
    log=torch.log, log1p=torch.log1p, minimum=lambda a, top: torch.clamp(a, max=top), expm1=torch.expm1, exp=torch.exp, sqrt=torch.sqrt, where=torch.where,
    maximum=lambda a, bottom: torch.clamp(a, min=bottom), ndtri=torch.special.ndtri, take=lambda a, i: a.index_select(0, i.reshape(-1)).reshape(i.shape),
    bits=lambda a: a.detach().view(torch.int64), clamp=lambda i, low, high: torch.clamp(i, low, high), whole=lambda a: a.detach().to(torch.int64),
)  # fmt: skip
"""The same for tensors. `take` gathers from a vector, `bits` gives the pattern of a double, `whole` truncates."""


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


def best(routes: Sequence[Array]) -> Array:
    """The largest of several sound radii, elementwise."""
    maximum = torch.maximum if isinstance(routes[0], torch.Tensor) else np.maximum
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
