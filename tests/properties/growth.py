"""The growth function of Neyman and Pearson for laws given as weighted points.

G(p, v) = sup { Q_v(U) : Q(U) = p }, where Q_v is Q moved by v. The best U takes the points with the largest
likelihood ratio first. For any multiplier t, weak duality gives G <= p·t + Σ (b - t·a)₊, with equality at the
best t, where a and b are the masses under Q and Q_v.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.properties.densities import Array


@dataclass(frozen=True)
class Growth:
    """A value of G and the error that the method which computed it states: |G - value| <= error."""

    value: float
    error: float

    @property
    def lower(self) -> float:
        """G is at least this."""
        return self.value - self.error

    @property
    def upper(self) -> float:
        """G is at most this."""
        return self.value + self.error


def discrete_growth(before: Array, after: Array, p: float) -> tuple[float, float]:
    """Largest mass under ``after`` of a randomised set with mass p under ``before``, and its last ratio.

    Both arguments are non-negative weights of the same points.
    """
    free = before <= 0.0
    total = float(np.sum(after[free]))
    a, b = before[~free], after[~free]
    with np.errstate(over="ignore"):
        ratio = b / a
    order = np.argsort(-ratio, kind="stable")
    a, b, ratio = a[order], b[order], ratio[order]
    used = np.cumsum(a)
    index = int(np.searchsorted(used, p))
    if index >= a.size:
        return total + float(np.sum(b)), 0.0
    left = p - (float(used[index - 1]) if index else 0.0)
    return total + float(np.sum(b[:index])) + left * float(ratio[index]), float(ratio[index])
