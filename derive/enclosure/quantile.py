"""Quantiles of the Beta law in ball arithmetic: a float guess, Newton's steps, and a bracket proved by signs."""

from __future__ import annotations

import scipy.special as sc
from flint import arb, ctx


def beta_quantile(a: arb, b: arb, u: arb) -> arb:
    """A ball around the u-quantile of Beta(a, b); ArithmeticError when none can be proved. 0 < u < 1, exact or a ball."""
    if bool(u > arb(1) / 2):  # the complement keeps the digits of 1 - x
        return 1 - _small(b, a, 1 - u)
    return _small(a, b, u)


def _small(a: arb, b: arb, u: arb) -> arb:
    low, high = _bracket(a, b, u.lower(), -1), _bracket(a, b, u.upper(), 1)
    return low.union(high)


def _bracket(a: arb, b: arb, u: arb, side: int) -> arb:
    """A point proved to lie below (side -1) or above (side 1) the u-quantile, as near as the precision allows."""
    guess = float(sc.betaincinv(float(a), float(b), float(u)))
    if not 0.0 < guess < 1.0:
        raise ArithmeticError(f"a beta quantile leaves the range of floats: Beta({a}, {b}) at {u}")
    log_beta = a.lgamma() + b.lgamma() - (a + b).lgamma()
    x = arb(guess)
    for _ in range(6 + ctx.prec // 512):
        x = x.mid()
        slope = ((a - 1) * x.log() + (b - 1) * (1 - x).log() - log_beta).exp()
        step = (x.beta_lower(a, b, regularized=True) - u) / slope
        x = (x - step).mid()
        if not (0 < float(x) < 1) or not x.is_finite():
            raise ArithmeticError("Newton's method left (0, 1) at a beta quantile")
    width = x * arb(2) ** (72 - ctx.prec)
    for _ in range(60):
        point = (x + side * width).mid()
        value = point.beta_lower(a, b, regularized=True) - u
        if bool(side * value > 0):
            return point
        width = width * 4
    raise ArithmeticError("a beta quantile could not be enclosed")
