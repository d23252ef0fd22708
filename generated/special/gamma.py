"""Gamma functions at large arguments and the law whose power is Gamma distributed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.special as sc

from generated.special.arguments import Array, require

_BERNOULLI = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
    43867 / 244188,
)


def _stirling_tail(x: float) -> float:
    total = 0.0
    for n in reversed(range(len(_BERNOULLI))):
        total = total / (x * x) + _BERNOULLI[n]
    return total / x


def gamma_ratio(x: float, y: float, delta: float | None = None) -> float:
    """Γ(x)/Γ(y) for x, y > 0, relative error below 1e-14 when |x - y| is moderate, however large both are.

    Stirling's series for both, subtracted term by term, so that nothing of size x·log(x) ever cancels.
    """
    delta = x - y if delta is None else delta  # exact where the caller knows it: x may have been rounded
    factor = 1.0
    while min(x, y) < 24.0:
        factor *= y / x
        x, y = x + 1.0, y + 1.0
    log_ratio = (
        (y - 0.5) * math.log1p(delta / y)
        + delta * (math.log(x) - 1.0)
        + _stirling_tail(x)
        - _stirling_tail(y)
    )
    try:
        ratio = factor * math.exp(log_ratio)
    except OverflowError:
        ratio = math.inf
    require(
        0.0 < ratio < math.inf, f"a ratio of gamma functions leaves the range of floats: exp({log_ratio:g})"
    )
    return ratio


@dataclass(frozen=True)
class GammaLaw:
    """Law of r > 0 such that rate · r**power ~ Gamma(sum(numerator)/power, 1).

    The numerator's addends are kept because they are exact: the shape of a weighted law, (sum(numerator) + q)/power,
    may be a tiny difference of them.
    """

    numerator: tuple[float, ...]
    rate: float
    power: float

    def __post_init__(self) -> None:
        require(math.fsum(self.numerator) > 0 and self.rate > 0 and self.power > 0, f"not a law: {self}")

    @property
    def shape(self) -> float:
        return math.fsum(self.numerator) / self.power

    def shifted(self, q: float) -> float:
        """The shape of the law weighted by r**q."""
        return math.fsum((*self.numerator, q)) / self.power

    def to_t(self, r: Array) -> Array:
        return self.rate * r**self.power

    def moment(self, q: float) -> float:
        """E[r**q]; needs sum(numerator) + q > 0."""
        ratio = gamma_ratio(self.shifted(q), self.shape, q / self.power)
        return self.rate ** (-q / self.power) * ratio

    def lower(self, q: float, r: Array) -> Array:
        """E[r**q; r ≤ given] / E[r**q]."""
        s, t = self.shifted(q), self.to_t(r)
        with np.errstate(all="ignore"):  # t may underflow where r does not: there the series' first term
            first = np.exp(s * (math.log(self.rate) + self.power * np.log(r)) - sc.gammaln(s + 1.0))
        return np.where(t < 1e-25, first, sc.gammainc(s, t))

    def upper(self, q: float, r: Array) -> Array:
        """E[r**q; r ≥ given] / E[r**q]."""
        return sc.gammaincc(self.shifted(q), self.to_t(r))

    def quantile(self, lower: Array) -> Array:
        t = sc.gammaincinv(self.shape, lower)
        log_t = (np.log(lower) + sc.gammaln(self.shape + 1.0)) / self.shape
        small = np.exp((np.minimum(log_t, 0.0) - math.log(self.rate)) / self.power)
        return np.where(log_t < -57.0, small, (t / self.rate) ** (1.0 / self.power))

    def upper_quantile(self, upper: Array) -> Array:
        return (sc.gammainccinv(self.shape, upper) / self.rate) ** (1.0 / self.power)
