"""Gamma functions at large arguments and the law whose power is Gamma distributed."""

from __future__ import annotations

import math
from collections.abc import Callable
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


LONG_SERIES = 1e4
"""From this shape on, more than 4.4 standard deviations below it, SciPy's series of P stops before it converges (seen: 2.5 % at
shape 9e6), and `far_below` takes its place."""
LARGEST_SHAPE = 2.0**25
"""Largest shape of a law here: the series has 5·sqrt(shape) terms."""


def far_below(shape: float, t: np.ndarray) -> np.ndarray:
    """P(shape, t), the regularised lower incomplete gamma function, for shape ≥ LONG_SERIES and t < shape - 4·sqrt(shape).

    t^s e^-t/Γ(s + 1) · Σ t^n/((s + 1)…(s + n)), the factor from log(1 + μ) - μ, μ = t/s - 1, and Stirling's series, so that
    nothing of size s cancels. Relative error below 3e-14 + 3·2^-53·sqrt(s) (tested against ball arithmetic).
    """
    mu = (t - shape) / shape
    with np.errstate(all="ignore"):
        power = np.zeros_like(mu)
        for n in range(45, 1, -1):  # log(1 + mu) - mu = -mu²/2 + mu³/3 - …
            power = mu * power + (-1.0) ** (n + 1) / n
        level = np.where(np.abs(mu) < 0.4, mu * mu * power, np.log1p(mu) - mu)
        factor = np.exp(shape * level - _stirling_tail(shape)) / math.sqrt(2.0 * math.pi * shape)
        total, term = np.ones_like(mu), np.ones_like(mu)
        for n in range(1, 30 + math.ceil(6.0 * math.sqrt(shape))):
            term = term * (t / (shape + n))
            total = total + term
            if n % 64 == 0 and not bool((term > 2e-17 * total).any()):
                break
    return np.asarray(factor * total)


def _lower(shape: float, t: np.ndarray) -> np.ndarray:
    return _beside(shape, t, sc.gammainc(shape, t), lambda low: low)


def _beside(
    shape: float, t: np.ndarray, known: np.ndarray, of: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """`known`, with a function of P(shape, t) in its place where SciPy's series would be too long."""
    if shape < LONG_SERIES:
        return known
    require(
        shape <= LARGEST_SHAPE,
        f"a Gamma law is computed up to the shape {LARGEST_SHAPE:.0f}, not {shape:.9g}",
    )
    deep = t < shape - 4.4 * math.sqrt(shape)
    if deep.any():
        known = np.array(known)
        known[deep] = of(far_below(shape, t[deep]))
    return known


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
        return np.where(t < 1e-25, first, _lower(s, np.asarray(t)))

    def upper(self, q: float, r: Array) -> Array:
        """E[r**q; r ≥ given] / E[r**q]."""
        s, t = self.shifted(q), np.asarray(self.to_t(r))
        return _beside(s, t, sc.gammaincc(s, t), lambda low: 1.0 - low)

    def quantile(self, lower: Array) -> Array:
        t = sc.gammaincinv(self.shape, lower)
        log_t = (np.log(lower) + sc.gammaln(self.shape + 1.0)) / self.shape
        small = np.exp((np.minimum(log_t, 0.0) - math.log(self.rate)) / self.power)
        return np.where(log_t < -57.0, small, (t / self.rate) ** (1.0 / self.power))

    def upper_quantile(self, upper: Array) -> Array:
        return (sc.gammainccinv(self.shape, upper) / self.rate) ** (1.0 / self.power)

    def sensitivity(self, q: float, r: np.ndarray, *, upper: bool) -> np.ndarray:
        """Bounds of |d log F/d log shape| for F = Q(shape, t) or P(shape, t) at the radii r, under the law weighted by r**q.

        d log Q/ds = E[log T | T ≥ t] - digamma(s) grows from 0 with t; beyond t > s the law falls at least as fast as
        exp(-(1 - (s - 1)/t)·T), so that E[log T/t | T ≥ t] ≤ 1/min(t, t - s + 1). In the same way P below t, where the law of log T
        rises by s - t at least. Where t lies on the other side of the centre, a place there stands for it.
        """
        s, centre = self.shifted(q), float(sc.digamma(self.shifted(q)))
        r = np.asarray(r, dtype=np.float64)
        log_t, t = (
            math.log(self.rate) + self.power * np.log(r),
            self.to_t(r),
        )  # t may underflow where r does not
        if upper:
            least = s + math.sqrt(s) + 1.0
            t, log_t = np.maximum(t, least), np.maximum(log_t, math.log(least))
            return s * (log_t + 1.0 / np.minimum(t, t - s + 1.0) - centre) + 1.0
        most = max(0.5 * s, s - math.sqrt(s))
        t, log_t = np.minimum(t, most), np.minimum(log_t, math.log(most))
        return s * (centre - log_t + 1.0 / (s - t)) + 1.0

    def largest_density(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """The largest density of log t between two radii, t = rate·r**power; unimodal, with its mode at t = shape."""
        s = self.shape
        ends = [
            math.log(self.rate) + self.power * np.log(r) for r in (low, high)
        ]  # t may underflow where r does not
        at = np.clip(math.log(s), *ends)
        return np.maximum(np.exp(s * at - np.exp(at) - sc.gammaln(s)), 1e-290)
