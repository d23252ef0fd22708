"""An upper bound of the radius of l1-radial noise along (1, …, 1), proved: the number of positive coordinates.

X = r·L/‖L‖₁ with L iid Laplace, so the signs are fair coins whatever r is: q(V) is a binomial tail for V = {at least m coordinates are
positive}. Shifted by e in every coordinate, coordinate i counts when X_i > -e; with L held fixed the count falls as r grows, so
P(count | r) ≥ P(count | r₁) for r ≤ r₁. For b·L in place of X the count is binomial with chance 1 - exp(-e/b)/2, and its norm b·S, S ~ Gamma(d),
falls below r₁ with a known probability g. Together

    q(V - v) ≥ P(r ≤ r₁)·(P(Bin(d, 1 - exp(-e/b)/2) ≥ m) - g)/(1 - g).

The score of such noise is constant in r nearly everywhere in high dimension, so the set is close to the best one there.
"""

from __future__ import annotations

import math

import numpy as np
from flint import arb, ctx
from scipy import special

from derive.enclosure.line import PRECISION, LineLaw

LOST = (1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2)
"""Probabilities tried for what is left out: of r beyond r₁, and of S below r₁/b."""
MARGIN = 1e-9


def diagonal_bound(law: LineLaw, dim: int, p: arb) -> float:
    """A shift e of every coordinate with R(1-p) ≤ e in linf, proved.

    Args:
        law: of the l1 norm r, exponent dim.
        dim: at least 1.
        p: 1 - rho, 0 < p < 1/2.

    Raises:
        ArithmeticError: nothing was found or could be proved.
    """
    fail = float(p.mid())
    m = int(special.bdtrik(1.0 - fail, dim, 0.5)) + 2
    while m > 0 and special.bdtrc(m - 2, dim, 0.5) <= fail:  # P(count ≥ m - 1)
        m -= 1
    while m <= dim and special.bdtrc(m - 1, dim, 0.5) > fail:
        m += 1
    if m > dim:
        raise ArithmeticError("no number of positive coordinates is rare enough")
    best = (math.inf, 0.0, 0.0)
    for beyond in LOST:
        outer = _quantile(law, 1.0 - beyond)
        for below in LOST:
            needed = below + (1.0 - below) * 0.5 / (1.0 - beyond) + MARGIN
            if not needed < 1.0:
                continue
            chance = float(special.betaincinv(m, dim - m + 1, needed))
            b = outer / float(special.gammaincinv(dim, below))
            best = min(best, (-b * math.log(2.0 * (1.0 - chance)), outer, b))
    e, outer, b = best
    if math.isfinite(e) and _proved(law, dim, p, m, e * (1 + MARGIN), outer, b):
        return e * (1 + MARGIN)
    raise ArithmeticError("the bound along the diagonal could not be proved")


def _proved(law: LineLaw, dim: int, p: arb, m: int, e: float, outer: float, b: float) -> bool:
    before, ctx.prec = ctx.prec, PRECISION
    try:
        if not bool(_at_least(dim, m, arb(0.5)) <= p):
            return False
        chance = 1 - (-arb(e) / arb(b)).exp() / 2
        g = 1 - (arb(outer) / arb(b)).gamma_upper(arb(dim), regularized=1)
        moved = 2 * law.below(arb(outer)) * (_at_least(dim, m, chance) - g) / (1 - g)
        return bool(moved > 0.5)
    finally:
        ctx.prec = before


def _at_least(dim: int, m: int, chance: arb) -> arb:
    """P(Bin(dim, chance) ≥ m)."""
    return chance.beta_lower(arb(m), arb(dim - m + 1), regularized=True)


def _quantile(law: LineLaw, share: float) -> float:
    """Nearly the quantile of r."""
    low, high = law._float_starts[0], law._float_starts[-1] + 2 * law._float_halves[-1]
    for _ in range(60):
        middle = 0.5 * (low + high)
        under = 2.0 * float(law.below_floats(np.exp(np.array([middle])))[0]) < share
        low, high = (middle, high) if under else (low, middle)
    return float(np.exp(high))
