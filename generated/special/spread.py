"""How far a moment of a law by quadrature, and so sigma at scale 1, may be from the exact one: a proved bound, by the law's panels."""

from __future__ import annotations

import math

import numpy as np

from generated.special.chart import WIDEST
from generated.special.chebyshev import ELLIPSE, cumulative
from generated.special.errors import TRUSTED, UNIT
from generated.special.outside import require_nothing_outside
from generated.special.radial import RadialLaw


def moment_error(law: RadialLaw, q: float) -> float:
    """A bound on the relative error of `law.moment(q)`, q > 0; infinite where none is proved.

    r**q against the law is summed over the panels of the law's curves, whose series leave out what is bounded on ellipses; outside of them
    the weight r**(exponent + q)·exp(-psi) is proved to fall; a cap at a finite bound counts with its largest and smallest r.
    """
    fine, chart = law.fine, law.chart
    if not fine.proved:
        return math.inf
    ends = chart.radius(fine.edges[[0, -1]])[0] / chart.centre
    bound = law.density.bound / chart.centre
    try:
        require_nothing_outside(
            law.density, law.exponent + q, float(ends[0]) * chart.centre,
            law.density.bound if law.bounded else float(ends[1]) * chart.centre,
        )  # fmt: skip
    except ValueError:
        return math.inf
    r = chart.radius(fine.nodes)[0] / chart.centre
    factor = r**q
    # r means the radius of x: off by the exponential, and by the distance of the float r from it next to a bound
    doubt = (
        factor * (q * (TRUSTED["exp"] + 8.0 + 4.0 * np.abs(fine.nodes)) + TRUSTED["pow"] * (1.0 + q)) * UNIT
    )
    # on an ellipse |r| grows, and beyond half of a bound |bound - r|, as the exponential of the distance
    wide = np.exp((0.5 * (ELLIPSE + 1.0 / ELLIPSE) + 1.0) * fine.half)
    far = r.max(axis=1) * wide
    most = (np.maximum(far, bound * (1.0 + 0.5 * wide)) if law.bounded else far) ** q
    sums = cumulative(fine, factor, 0.0, 0.0, doubt, most)
    grown = np.exp(fine.error[[0, -1]]) * (1.0 + 1e-9)
    edge = grown * np.exp(fine.edge_level[[0, -1]]) * 2.0 * WIDEST  # the mass beyond each end, at most
    cap = law.cap
    top = cap.mass * law.law_sums.whole * bound**q if law.bounded else 0.0
    lost = float(sums.doubt.sum()) + edge[0] * ends[0] ** q
    if law.bounded:
        lost += cap.doubt * law.law_sums.whole * bound**q - top * math.expm1(q * math.log(ends[1] / bound))
    else:
        lost += edge[1] * ends[1] ** q
    whole, mass = sums.whole + top, law.law_sums.whole
    missed = float(law.law_sums.doubt.sum()) + sum(m for m, _ in law.outside)
    share = lost / whole + missed / mass + cap.doubt + (4.0 * fine.half.size + 256.0) * UNIT
    if not share < 0.5:
        return math.inf
    value = whole / mass * chart.centre**q
    return float(abs(value / law.moment(q) - 1.0) + share / (1.0 - share) + 64.0 * UNIT)
