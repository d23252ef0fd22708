"""The privacy loss of one coordinate shifted by s, on a grid: once from above (every curve value too large), once from below.

For log-concave q the likelihood ratio q(x - s)/q(x) = exp(L(x)), L(x) = psi(x) - psi(x - s), increases in x. Between two places
x_j < x_{j+1} the ratio therefore lies between its values there, and by Jensen's inequality

* from above: the cell's two masses are split between atoms at the two ends of the ratio's range (both masses kept);
* from below: the cell becomes one atom at its mean ratio (coarse-graining).

The places come from a search in floats. By what they miss the grid is measured in ball arithmetic: from above, an atom that belongs a
little above its grid point is split between that and the next one; from below, one moved up by u costs at most exp(u) - 1 times its
mass, summed in `penalty`.
By the symmetry x → s - x the cells left of s/2 mirror those right of it, with P and Q exchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx
from scipy import optimize

from derive.composition.coordinate import PRECISION, Coordinate
from derive.composition.lattice import LOSS_ABOVE, LOSS_BELOW, Lattice, rounded

ROUNDS = 70
INFINITE = 1e6
MISSED = 1e-10
"""A penalty, per coordinate, at which the other placement of cells is tried."""


def units(value: arb, bits: int, up: bool) -> int:
    """A ball in fixed point, rounded to one side; not below 0."""
    return max(rounded(value * arb(2) ** bits, up), 0)


def largest_loss(law: Coordinate, shift: float, last: float) -> arb:
    """L at the last place looked at, its midpoint: the grid ends there."""
    x, s = arb(last), arb(shift)
    return (law.psi(x) - law.psi(x - s)).mid()


def _last(law: Coordinate, shift: float, tail: float) -> float:
    """The last place whose loss is looked at; past it P has about the probability `tail`, or INFINITE·tail more than at the bound."""
    if not law.bounded:
        return min(law.reach(tail) + shift, law.end)
    inside = np.array([law.end - shift, 0.0])
    density = float(np.exp(law.float_psi(inside[1:]) - law.float_psi(inside[:1]))[0]) / law.end
    return law.end - max(INFINITE * tail / density, 4e-16 * law.end)


def grid_step(law: Coordinate, shift: float, last: float, fineness: float, most: int) -> tuple[arb, int]:
    """A step near `fineness` standard deviations of the loss that divides the largest loss by a power of two; the number of steps."""
    top = largest_loss(law, shift, last)
    if not bool(top > 0):
        return arb(1), 1  # a flat density: all of its finite losses are 0
    wanted = float(top) / (fineness * shift * math.sqrt(max(law.information, 1e-300)))
    count = 1 << max(round(math.log2(min(max(wanted, 1.0), most))), 0)
    return top / count, count


def _places(law: Coordinate, shift: float, step: float, count: int, last: float) -> np.ndarray:
    """x_0 = s/2 < x_1 < … < x_count = last, L(x_j) near j·step."""
    goal = step * np.arange(1, count)
    low, high = np.full(count - 1, 0.5 * shift), np.full(count - 1, last)
    for _ in range(ROUNDS):
        middle = 0.5 * (low + high)
        loss = law.float_psi(middle) - law.float_psi(middle - shift)
        below = loss < goal
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.concatenate([[0.5 * shift], np.maximum.accumulate(high), [last]])


def loss_above(law: Coordinate, shift: float, *, fineness: float, longest: int, tail: float) -> Lattice:
    """The loss of (q shifted by `shift`, q) from above; what lies past probability `tail` counts as infinite loss."""
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        last = _last(law, shift, tail)
        step, count = grid_step(law, shift, last, fineness, longest)
        places = _places(law, shift, float(step), count, last)
        bits = LOSS_ABOVE.bits
        atoms = [0] * (2 * count + 3)
        middle, total, s = count + 1, 2 * law.half, arb(shift)
        overflow, whole_step = arb(0), -(-step).expm1()

        def put(index: int, mass: arb, above: arb) -> None:
            """A mass whose loss is at most `above` higher than the grid point's: split between it and the next."""
            nonlocal overflow
            share = -(-above).expm1() / whole_step
            if bool(share > 1):
                overflow += mass.max(arb(0)) * above
                share = arb(0)
            atoms[middle + index + 1] += units(mass * share, bits, True)
            atoms[middle + index] += units(mass * (1 - share), bits, True)

        x = arb(float(places[0]))
        q_before, p_before, low = law.mass(x), law.mass(x - s), arb(0)
        for j in range(count):
            x = arb(float(places[j + 1]))
            q_after, p_after = law.mass(x), law.mass(x - s)
            target = (j + 1) * step
            loss = law.psi(x) - law.psi(x - s)
            high = target.max(loss).upper()
            p, q = (p_after - p_before) / total, (q_after - q_before) / total
            apart = -(low - high).expm1()
            to_high = (p - low.exp() * q) / apart
            put(j + 1, to_high, high - target)
            put(j, p - to_high, arb(0))
            to_high = (q - (-high).exp() * p) / apart  # mirrored: from -high to -low, the masses exchanged
            put(-j, to_high, (j * step - low).max(arb(0)))
            put(-j - 1, q - to_high, arb(0))
            q_before, p_before = q_after, p_after
            low = target.min(loss).lower()
        overflow += (law.half - p_before) / total
        put(0, (law.half - q_before) / total, arb(0))  # their loss is not positive
        lattice = Lattice(LOSS_ABOVE, step, -middle, atoms, units(overflow, bits, True))
        if lattice.mass < 1 << bits:
            raise ValueError("internal check failed: the cells of the loss do not hold all mass")
        return lattice
    finally:
        ctx.prec = previous


@dataclass(frozen=True)
class Below:
    """A lattice whose curve, less `penalty`, lies below the loss's curve."""

    lattice: Lattice
    penalty: arb


def loss_below(law: Coordinate, shift: float, *, fineness: float, longest: int, tail: float) -> Below:
    """The loss of (q shifted by `shift`, q) from below: cells whose mean ratios fall on the grid, as well as floats find them.

    Cells meant for all grid points suit a smooth loss; cells meant for every other one end where the loss ends, which suits a loss with
    an atom there. What missed the grid less is taken.
    """
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        last = _last(law, shift, tail)
        step, count = grid_step(law, shift, last, fineness, longest)
        found = _cells_below(law, shift, step, count, last, 1)
        if count > 1 and bool(found.penalty > MISSED):
            other = _cells_below(law, shift, step, count, last, 2)
            found = other if bool(other.penalty < found.penalty) else found
        return found
    finally:
        ctx.prec = previous


def _cells_below(law: Coordinate, shift: float, step: arb, count: int, last: float, stride: int) -> Below:
    bits = LOSS_BELOW.bits
    atoms = [0] * (2 * count + 1)
    total, s, penalty = 2 * law.half, arb(shift), arb(0)
    edge = _first_edge(law, shift, float(step), last) if stride == 1 else 0.5 * shift
    x = arb(edge)
    q_before, p_before = law.mass(x), law.mass(x - s)
    atoms[count] += units((q_before + p_before) / total, bits, False)  # from s - x to x: ratio 1 by symmetry
    for j in [*range(1, count, stride), count]:
        if j == count:
            q_after, p_after = law.half, law.mass(arb(law.end) - s) if law.bounded else law.half
        else:
            edge = _next_edge(law, shift, edge, float(j * step), last)
            x = arb(edge)
            q_after, p_after = law.mass(x), law.mass(x - s)
        p, q = (p_after - p_before) / total, (q_after - q_before) / total
        q_before, p_before = q_after, p_after
        if not (bool(p > 0) and bool(q > 0)):
            continue  # left out: lower
        ratio = (p / q).log()
        penalty += p * (j * step - ratio).upper().max(arb(0)).expm1()
        penalty += q * (ratio - j * step).upper().max(arb(0)).expm1()
        atoms[count + j] += units(p, bits, False)
        atoms[count - j] += units(q, bits, False)
    overflow = (law.half - p_before) / total if law.bounded else arb(0)
    lattice = Lattice(LOSS_BELOW, step, -count, atoms, units(overflow, bits, False))
    if lattice.mass > 1 << bits:
        raise ValueError("internal check failed: the cells of the loss hold more than all mass")
    return Below(lattice, penalty.upper().max(arb(0)))


def _first_edge(law: Coordinate, shift: float, step: float, last: float) -> float:
    """Where the loss is half a step: the end of the middle cell."""
    low, high = 0.5 * shift, last
    for _ in range(ROUNDS):
        middle = 0.5 * (low + high)
        pair = law.float_psi(np.array([middle, middle - shift]))
        low, high = (middle, high) if pair[0] - pair[1] < 0.5 * step else (low, middle)
    return high


def _next_edge(law: Coordinate, shift: float, start: float, goal: float, last: float) -> float:
    """x > start such that the cell between them has the mean ratio exp(goal), or the nearest there is."""
    begin, s = arb(start), arb(shift)
    q_start, p_start = law.mass(begin), law.mass(begin - s)

    def miss(x: float) -> float:
        q, p = law.mass(arb(x)) - q_start, law.mass(arb(x) - s) - p_start
        if not (bool(q > 0) and bool(p > 0)):
            at_start = law.float_psi(np.array([start, start - shift]))
            return float(at_start[0] - at_start[1]) - goal
        return float((p / q).log().mid()) - goal

    if miss(start) >= 0:
        return start
    if miss(last) <= 0:
        return last
    return float(optimize.brentq(miss, start, last, xtol=1e-17 * last, rtol=9e-16))
