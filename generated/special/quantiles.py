"""Inverse distribution functions and mixture weights that generated formulas call."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.special as sc


def beta_quantile(a: float, b: float, u: np.ndarray) -> np.ndarray:
    """The u-quantile of Beta(a, b), float64."""
    return np.asarray(sc.betaincinv(a, b, u))


def gamma_quantile(a: float, u: np.ndarray) -> np.ndarray:
    """The u-quantile of Gamma(a, 1), float64."""
    return np.asarray(sc.gammaincinv(a, u))


def share(xp: SimpleNamespace, index: int, parts: Sequence[Any]) -> Any:
    """exp(-x_index)/Σ exp(-x_j), a mixture's weight; without overflow, and with intervals as well as with arrays."""
    total: Any = 1.0
    for j, part in enumerate(parts):
        if j != index:
            total = total + xp.exp(xp.minimum(parts[index] - part, 700.0))
    return 1.0 / total
