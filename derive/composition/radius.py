"""The radius of product noise against linf by composition: lower and upper bounds at one confidence.

For log-concave q the likelihood-ratio tests of one coordinate against its shift by s are half-lines, so its growth increases with |s|;
growth curves compose monotonically. Of all shifts with ‖v‖inf ≤ r the worst is therefore r·(1, …, 1), whose pair is the d-fold
composition of one coordinate's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from flint import arb
from scipy.special import ndtri

from derive.composition.coordinate import Coordinate
from derive.composition.curve import fail_above, fail_below
from derive.composition.lattice import Lattice, composed
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
TRIES = 20
AIM = 1e-7


def proved_fail(law: Coordinate, dim: int, shift: float, *, fineness: float = FINENESS) -> arb:
    """p with R(1 - p) ≥ shift, proved; 0 where nothing is."""
    return fail_below(loss_lattice(law, dim, shift, fineness=fineness))


def loss_lattice(law: Coordinate, dim: int, shift: float, *, fineness: float = FINENESS) -> Lattice:
    """The privacy loss of dim coordinates shifted alike, from above."""
    _check(law, dim, shift)
    longest = int(SPAN / fineness)
    base = loss_above(law, shift, fineness=fineness, longest=longest, tail=WASTE / dim)
    return composed(base, dim, longest=longest, waste=WASTE)


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

    def reached(shift: float, rough: bool) -> tuple[float, bool]:
        found = proved_fail(law, dim, shift, fineness=8 * fineness if rough else fineness)
        return _normal(found) if bool(found > 0) else math.inf, bool(found >= fail)

    found = _search(law, dim, _normal(fail), reached, -1.0)
    if not found:
        raise ArithmeticError("no lower bound by composition was found")
    return max(found)


def upper_radius(law: Coordinate, dim: int, fail: arb, *, fineness: float = FINENESS) -> float:
    """The smallest shift found that is refuted at confidence 1 - fail: no certificate of any method exceeds it."""

    def reached(shift: float, rough: bool) -> tuple[float, bool]:
        found = refuted_fail(law, dim, shift, fineness=(16 if rough else 4) * fineness)
        return _normal(found), bool(found <= fail)

    found = _search(law, dim, _normal(fail), reached, 1.0)
    if not found:
        raise ArithmeticError("no upper bound by composition was found")
    return min(found)


def _search(
    law: Coordinate, dim: int, goal: float, reached: Callable[[float, bool], tuple[float, bool]], side: float
) -> list[float]:
    """Shifts at which the wanted side holds, by the secant method on the normal quantile reached, aimed a little to that side."""
    shift, good, aim = first_guess(law, dim, goal), [], AIM
    low, high = 0.0, furthest(law)
    before = (0.0, 0.0)  # the last shift, and the quantile it reached
    for attempt in range(TRIES):
        z, holds = reached(shift, attempt == 0)
        if attempt > 0:
            low, high = (shift, high) if holds is (side < 0) else (low, shift)
            if holds:
                good.append(shift)
                if abs(z / goal - 1) <= 4 * AIM or high - low <= AIM * shift:
                    break
        inside = 0.5 * (low + min(high, 4.0 * shift))
        if math.isfinite(z) and z > 0:
            run, rise = (shift - before[0], z - before[1]) if attempt > 1 else (shift, z)
            before = (shift, z)
            following = shift + (goal * (1 + side * aim) - z) * (run / rise if run * rise > 0 else shift / z)
            shift = following if low < following < high else inside
        else:
            shift = inside if high < furthest(law) else 0.5 * shift
        aim *= 1.0 if attempt < 4 else 4.0
    return good


def furthest(law: Coordinate) -> float:
    """No shift from here on is looked at: copies of a bounded density no longer meet."""
    return 2.0 * law.end if law.bounded else law.end


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
    if not 0 < shift < furthest(law):
        raise ValueError(f"the shift must lie between 0 and {furthest(law):g}, not {shift}")
