"""The law of one coordinate of a uniform point on the unit sphere, in ball arithmetic."""

from __future__ import annotations

from flint import arb

from derive.enclosure.ball import hull


def log_density(dim: int, cosine: arb) -> arb:
    """log of the density Γ(d/2)/(√π·Γ((d-1)/2))·(1 - z²)**((d-3)/2) at |z| < 1, dim ≥ 2."""
    return log_norm(dim) + arb(dim - 3) / 2 * (1 - cosine * cosine).log()


def log_norm(dim: int) -> arb:
    return (arb(dim) / 2).lgamma() - (arb(dim - 1) / 2).lgamma() - arb.pi().log() / 2


def tail_bound(dim: int, cosine: arb) -> arb:
    """At least P(coordinate ≥ z) for 0 ≤ z ≤ cosine's lower end, dim ≥ 2: (1 - z²)**((d-1)/2)/2.

    Both sides agree at z = 0 and 1, and their difference rises and then falls.
    """
    nearest = cosine.lower()
    return (((1 - nearest * nearest).log() * (arb(dim - 1) / 2)).exp() / 2).upper()


def cosine_distribution(dim: int, cosine: arb) -> arb:
    """P(a coordinate of a uniform point on the unit sphere ≤ cosine) for a ball, cut to [-1, 1]; relatively accurate near -1."""
    low, high = cosine.lower().max(arb(-1)), cosine.upper().min(arb(1))
    return (
        _cosine_point(dim, low)
        if bool(low == high)
        else hull(_cosine_point(dim, low), _cosine_point(dim, high))
    )


def _cosine_point(dim: int, cosine: arb) -> arb:
    if bool(abs(cosine) >= 1):
        return arb(1) if bool(cosine > 0) else arb(0)
    if dim == 1:
        return arb(0.5)
    a, x = arb(dim - 1) / 2, (1 - abs(cosine)) / 2
    beta = 2 * a.lgamma() - (2 * a).lgamma()
    tail = (a * (x * (1 - x)).log() - beta).exp() / a * x.hypgeom_2f1(arb(1), 2 * a, a + 1)
    return tail if bool(cosine < 0) else 1 - tail
