"""Growth by likelihood-ratio sampling, for any dimension.

Points Y are drawn from the moved law with the oracle's own sampler, and w = q(Y)/q(Y - v) weighs them back to
the unmoved one. On one half of the points the threshold is chosen, the other half judges it:

* upper side, weak duality: G <= t·p + E(1 - t·w)₊ for any t;
* lower side, an explicit set U = {w < 1/t} (with a share of the tie): if E[w; U] <= p then G >= P(Y in U).

All averages are of bounded terms, so the error is the empirical Bernstein bound of Maurer and Pontil, valid
for every number of points; the probability that any one side fails is at most ``FAILURE``.
"""

from __future__ import annotations

import math

import numpy as np

from tests.properties.densities import Array, Density
from tests.properties.growth import Growth

FAILURE = 1e-5
_LOG = math.log(2.0 / FAILURE)


def _margin(values: Array, largest: float) -> float:
    """How far, on one side, the mean of values in [0, largest] may lie from its expectation."""
    n = values.size
    return math.sqrt(2.0 * float(np.var(values, ddof=1)) * _LOG / n) + 7.0 * largest * _LOG / (3.0 * (n - 1))


def _weights(density: Density, shift: Array, n: int, generator: np.random.Generator) -> Array:
    """w = q(Y)/q(Y - v) at n points of the moved law, in slices that keep memory small."""
    slices = []
    step = max(1, min(n, 2_000_000 // density.dim))
    for start in range(0, n, step):
        x = density.sample(min(step, n - start), generator)
        slices.append(density.log(x + shift) - density.log(x))
    with np.errstate(over="ignore"):
        return np.exp(np.concatenate(slices))


def _share(w: Array, bar: float, tie: float) -> Array:
    """Membership in the set: 1 below the bar, ``tie`` on it, 0 above."""
    width = 1e-9 * bar
    return np.where(w < bar - width, 1.0, np.where(w <= bar + width, tie, 0.0))


def _choose(w: Array, target: float) -> tuple[float, float]:
    """The bar, and the share of the points on it, at which the set has mass ``target`` unmoved."""
    ordered = np.sort(w)
    used = np.cumsum(ordered) / w.size
    bar = float(ordered[min(int(np.searchsorted(used, target)), w.size - 1)])
    below = float(np.sum(w * _share(w, bar, 0.0))) / w.size
    at = float(np.sum(w * _share(w, bar, 1.0))) / w.size - below
    if at <= 0.0:  # the points on the bar cost nothing: take them all
        return bar, 1.0
    return bar, min(1.0, max(0.0, (target - below) / at))


def growth_by_sampling(density: Density, shift: Array, p: float, n: int, seed: int) -> Growth:
    """G(p, shift) for a density at unit scale, from n points, with the error described above."""
    generator = np.random.default_rng(seed)
    first = _weights(density, shift, n // 2, generator)
    second = _weights(density, shift, n - n // 2, generator)

    bar, tie = _choose(first, p)
    t = 1.0 / bar if bar > 0.0 else 0.0
    with np.errstate(invalid="ignore"):
        gains = np.maximum(0.0, 1.0 - t * second)
    upper = min(1.0, t * p + float(np.mean(gains)) + _margin(gains, 1.0))

    slack = _margin(np.where(first <= bar, first, 0.0) * _share(first, bar, tie), bar)
    bar, tie = _choose(first, max(0.0, p - slack))
    member = _share(second, bar, tie)
    spent = np.where(member > 0.0, second, 0.0) * member
    cost = float(np.mean(spent)) + _margin(spent, bar * (1.0 + 1e-9))
    gain = float(np.mean(member)) - _margin(member, 1.0)
    # G is concave and increasing, G(0) >= 0: a set that costs more than p is scaled back to p
    lower = max(p, gain if cost <= p else gain * p / cost)
    return Growth(0.5 * (lower + upper), max(0.0, 0.5 * (upper - lower)))
