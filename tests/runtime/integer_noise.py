"""Thresholds of integer noise by mpmath, with no knowledge of the product's tables."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import torch

from runtime.inversion import Thresholds

Cdf = Callable[[mpmath.mpf], mpmath.mpf]


def gaussian(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.ncdf(x)


def cauchy(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.atan(x) / mpmath.pi + mpmath.mpf(1) / 2


def uniform(x: mpmath.mpf) -> mpmath.mpf:
    return min(max((x + 1) / 2, mpmath.mpf(0)), mpmath.mpf(1))


def thresholds_of(cdf: Cdf, scale: float, denominator: int, reach: int) -> Thresholds:
    """Of the integers -reach … reach, each boundary between two neighbouring multiples of 2^-60."""
    with mpmath.workdps(50):
        scaled = [
            mpmath.ldexp(cdf((2 * j - 1) / (2 * mpmath.mpf(scale) * denominator)), 60)
            for j in range(-reach, reach + 2)
        ]
        low = [int(mpmath.floor(value)) for value in scaled]
        high = [int(mpmath.ceil(value)) for value in scaled]
    return Thresholds(-reach, torch.tensor(low), torch.tensor(high))


def probabilities(thresholds: Thresholds) -> dict[int, float]:
    """Probability of each integer."""
    middle = (thresholds.low.double() + thresholds.high.double()) / 2 / 2.0**60
    shares = middle.diff().tolist()
    return {thresholds.first + i: share for i, share in enumerate(shares)}
