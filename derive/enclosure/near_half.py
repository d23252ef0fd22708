"""The l2 radius of a unimodal l2-radial density very close to rho = 1/2, from the mean of 1/r alone.

Let a(e) = P(0 < X₁ < e/2), X₁ one coordinate. The half space between 0 and v, ‖v‖ = e, has q-mass 1/2 - a and q_v-mass 1/2 + a, and 2a is the
total variation, q being unimodal. So G(1/2 - g, v) ≤ 1/2 + 2a - g, which gives R(1/2 + g) ≥ e where 2·a(e) ≤ g; and G is concave in p with
G(0) ≥ 0, which gives R(1/2 + g) ≤ e where a(e)·(1 - g) > g/2. With F the law of the cosine of a uniform direction, a(e) = E[F(min(e/2r, 1)) - 1/2], and
F(z) - 1/2 lies between F'(0)·z·(1 - m·z²/3), m = max(0, (d - 3)/2), and F'(0)·z·(1 - z²)^(-1/2), or F'(0)·z·π/2 anywhere.
"""

from __future__ import annotations

from flint import arb, ctx

from derive.enclosure.ball import hull
from derive.enclosure.cosine import log_norm
from derive.enclosure.radial import RadialDensity
from derive.enclosure.witness import LevelSet

NEAR = 76
"""Used for rho - 1/2 below 2**-NEAR."""
BITS = 24
"""What is left out at both ends weighs 2**-(BITS + SLACK): far less than matters, while r there stays far above e."""

_ROOM = arb(2) ** -42


def near_half_ball(density: RadialDensity, dim: int, gap: arb) -> arb:
    """Encloses R(1/2 + gap) at scale 1, dim ≥ 2, psi nondecreasing; ArithmeticError where the mean of 1/r is not bounded."""
    before = ctx.prec
    ctx.prec = max(before, 150 + BITS)
    try:
        level_set = LevelSet(density, dim, BITS)
        law = level_set.law
        slope = log_norm(dim).exp()
        inside = law.tilted() / level_set.total
        below = level_set.inverse_below() / level_set.total
        above = level_set.upper_tail * (-law.high).exp() / level_set.total
        least = slope * inside.lower()
        most = slope * (inside + hull(arb(0), above)).upper()
        high = (gap / (1 - gap) / least * (1 + _ROOM)).upper()
        share = high / (2 * law.low.exp())  # the largest z inside
        if not bool(share**2 * dim < _ROOM):
            raise ArithmeticError("the radius is too large to follow from the mean of 1/r")
        kept = 1 - max(0, dim - 3) * share**2 / 6
        if not bool(high * least * kept * (1 - gap) > gap):
            raise ArithmeticError("the mean of 1/r could not be enclosed")
        flat = (1 - share**2).rsqrt() if dim == 2 else arb(1)
        low = gap / (most * flat + slope * below * arb.pi() / 2)
        return hull(low.lower(), high.upper())
    finally:
        ctx.prec = before
