"""The radius of product noise against linf by composition: lower and upper bounds at one confidence.

For log-concave q the likelihood-ratio tests of one coordinate against its shift by s are half-lines, so its growth increases with |s|;
growth curves compose monotonically. Of all shifts with ‖v‖inf ≤ r the worst is therefore r·(1, …, 1), whose pair is the d-fold
composition of one coordinate's.
"""

from __future__ import annotations

import math

from flint import arb, ctx
from scipy.special import ndtri

from derive.composition.coordinate import Coordinate
from derive.composition.curve import fail_above, fail_below
from derive.composition.lattice import composed
from derive.composition.loss import loss_above, loss_below

METHOD = "composition"
FINENESS = 2e-3
"""Step of the grid in standard deviations of the loss; the radius loses about the square of it, relative."""
SPAN = 20.0
"""Standard deviations that a lattice may span before it is made coarser."""
LONGEST_BELOW = 1 << 16
SPAN_BELOW = 14.0
WASTE, WASTE_BELOW = 1e-15, 1e-10
"""Probability that truncation may cost in all."""
TRIES = 12
AIM = 1e-7


def proved_fail(law: Coordinate, dim: int, shift: float, *, fineness: float = FINENESS) -> arb:
    """p with R(1 - p) ≥ shift, proved; 0 where nothing is."""
    _check(law, dim, shift)
    longest = int(SPAN / fineness)
    base = loss_above(law, shift, fineness=fineness, longest=longest, tail=WASTE / dim)
    return fail_below(composed(base, dim, longest=longest, waste=WASTE))


def refuted_fail(law: Coordinate, dim: int, shift: float, *, fineness: float = FINENESS) -> arb:
    """p with R(1 - p) ≤ shift, proved, by the Neyman–Pearson test along (1, …, 1)."""
    _check(law, dim, shift)
    fineness = max(fineness, SPAN_BELOW * math.sqrt(dim) / LONGEST_BELOW)
    below = loss_below(law, shift, fineness=fineness, longest=LONGEST_BELOW // 16, tail=WASTE_BELOW / dim)
    whole = composed(below.lattice, dim, longest=LONGEST_BELOW, waste=WASTE_BELOW)
    return fail_above(whole, dim * below.penalty)


def composition_bounds(
    law: Coordinate, dim: int, fail: arb, *, fineness: float = FINENESS
) -> tuple[float, float]:
    """lower ≤ R(1 - fail) ≤ upper at scale 1, for an exact 0 < fail < 1/2; ArithmeticError where no bound is found."""
    return lower_radius(law, dim, fail, fineness=fineness), upper_radius(law, dim, fail, fineness=fineness)


def lower_radius(law: Coordinate, dim: int, fail: arb, *, fineness: float = FINENESS) -> float:
    """The largest shift found that is certified at confidence 1 - fail."""
    goal = _normal(fail)
    shift, best = first_guess(law, dim, goal), 0.0
    for attempt in range(TRIES):
        rough = attempt == 0
        found = proved_fail(law, dim, shift, fineness=8 * fineness if rough else fineness)
        reached = _normal(found) if bool(found > 0) else 2 * goal
        if not rough and bool(found >= fail):
            best = max(best, shift)
            if reached >= goal * (1 - 2 * AIM):
                break
        shift *= goal / reached * (1 - AIM)
    if best == 0.0:
        raise ArithmeticError("no lower bound by composition was found")
    return best


def upper_radius(law: Coordinate, dim: int, fail: arb, *, fineness: float = FINENESS) -> float:
    """The smallest shift found that is refuted at confidence 1 - fail: no certificate of any method exceeds it."""
    goal = _normal(fail)
    shift, best = first_guess(law, dim, goal), math.inf
    for _ in range(TRIES):
        found = refuted_fail(law, dim, shift, fineness=4 * fineness)
        reached = _normal(found)
        if bool(found <= fail):
            best = min(best, shift)
            if reached <= goal * (1 + 2 * AIM):
                break
        shift *= goal / max(reached, 0.25 * goal) * (1 + AIM)
        if law.bounded and shift >= law.end:
            raise ArithmeticError("no upper bound by composition was found below the size of the support")
    if not math.isfinite(best):
        raise ArithmeticError("no upper bound by composition was found")
    return best


def first_guess(law: Coordinate, dim: int, goal: float) -> float:
    """The shift at which a Gaussian of the same Fisher information would be certified."""
    guess = goal / math.sqrt(dim * max(law.information, law.end**-2))
    return min(guess, 0.5 * law.end)


def _normal(fail: arb) -> float:
    """The normal quantile of 1 - fail in floats."""
    return -float(ndtri(float(fail.mid())))


def _check(law: Coordinate, dim: int, shift: float) -> None:
    if dim < 1:
        raise ValueError(f"the dimension must be at least 1, not {dim}")
    if not 0 < shift < law.end:
        raise ValueError(f"the shift must lie between 0 and {law.end:g}, not {shift}")
    if ctx.prec < 53:
        raise ValueError(f"composition needs at least 53 bits, not {ctx.prec}")
