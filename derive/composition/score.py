"""An upper bound of the growth function of product noise against linf: Phi(p) ≤ c·p + E(S - c)₊ for every c.

S = Σ ±psi'(|X_i|) is the score along (1, …, 1); along any other v of the unit ball it is Σ v_i·(…), and E(S - c)₊, convex and even in
each v_i, is largest where all |v_i| = 1. One coordinate's score goes onto a grid by splitting each cell between its ends, mean and mass
kept (its first moment is exact: ∫ psi'·q = q(a) - q(b)), and the sum's law is the d-fold convolution. What lies past the last place,
a jump of q at the end of its support included, has the first moment q(last) and is entered as excess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx

from derive.composition.coordinate import PRECISION, Coordinate, float_above
from derive.composition.lattice import SCORE_ABOVE, Lattice, composed
from derive.composition.loss import ROUNDS, units

TAIL = 1e-24
"""Mass that truncation may move, in all."""


def score_above(law: Coordinate, *, fineness: float, longest: int, tail: float) -> Lattice:
    """The score of one coordinate from above in the convex order."""
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        last = min(law.reach(tail), law.end * (1 - 4e-16) if law.bounded else law.end)
        top = law.score(arb(last)).mid()
        if not bool(top > 0):
            return _flat(law)
        wanted = float(top) / (fineness * math.sqrt(max(law.information, 1e-300)))
        count = 1 << max(round(math.log2(min(max(wanted, 1.0), longest))), 0)
        step = top / count
        places = _places(law, float(step), count, last)
        bits, total = SCORE_ABOVE.bits, 2 * law.half
        atoms = [0] * (2 * count + 3)
        middle = count + 1
        excess, low = arb(0), arb(0)

        def put(index: int, mass: arb, above: arb) -> None:
            """A mass whose score is at most `above` higher than the grid point's: split between it and the next."""
            nonlocal excess
            share = above / step
            if bool(share > 1):
                excess += mass.max(arb(0)) * above
                share = arb(0)
            atoms[middle + index + 1] += units(mass * share, bits, True)
            atoms[middle + index] += units(mass * (1 - share), bits, True)

        mass_before, height_before = arb(0), law.density(arb(0))
        for j in range(count):
            x, target = arb(float(places[j])), (j + 1) * step
            mass_after, height_after = law.mass(x), law.density(x)
            score = law.score(x)
            high = target.max(score).upper()
            mass, moment = (mass_after - mass_before) / total, (height_before - height_after) / total
            to_high = (moment - low * mass) / (high - low)
            put(j + 1, to_high, high - target)
            put(j, mass - to_high, arb(0))
            to_high = (high * mass - moment) / (high - low)  # the mirror image, from -high to -low
            put(-j, to_high, (j * step - low).max(arb(0)))
            put(-j - 1, mass - to_high, arb(0))
            mass_before, height_before = mass_after, height_after
            low = target.min(score).lower().max(arb(0))
        beyond = (law.half - mass_before) / total
        put(count, beyond, arb(0))
        put(0, beyond, arb(0))  # their score is not positive
        excess += height_before / total
        return Lattice(SCORE_ABOVE, step, -middle, atoms, units(excess / step, bits, True))
    finally:
        ctx.prec = previous


def _flat(law: Coordinate) -> Lattice:
    """A flat density: all of its score is the jump at the end."""
    one = 1 << SCORE_ABOVE.bits
    return Lattice(SCORE_ABOVE, arb(1), 0, [one], units(1 / (2 * law.half), SCORE_ABOVE.bits, True))


def _places(law: Coordinate, step: float, count: int, last: float) -> np.ndarray:
    """x_1 ≤ … ≤ x_count = last, psi'(x_j) near j·step."""
    goal = step * np.arange(1, count)
    low, high = np.zeros(count - 1), np.full(count - 1, last)
    for _ in range(ROUNDS):
        middle = 0.5 * (low + high)
        below = law.float_score(middle) < goal
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.concatenate([np.maximum.accumulate(high), [last]])


@dataclass(frozen=True)
class Line:
    """Phi(p) ≤ slope·p + offset for every p, at scale 1."""

    slope: arb
    offset: arb

    def at(self, p: arb) -> arb:
        return self.slope * p + self.offset

    def gained(self, p: arb, start: arb) -> arb:
        """∫ dq/(slope·q + offset) from p to start: the shift that grows p to `start` is at least that."""
        if bool(abs(self.slope) * (start - p) < self.offset * arb(2) ** -40):
            return (start - p) / self.at(start).max(self.at(p))
        return ((self.slope * (start - p)) / self.at(p)).log1p() / self.slope


class GrowthBound:
    """Lines above Phi, from the lattice of the score's d-fold sum."""

    def __init__(self, law: Coordinate, dim: int, *, fineness: float, longest: int) -> None:
        base = score_above(law, fineness=fineness, longest=longest, tail=TAIL / dim)
        self.lattice = composed(base, dim, longest=longest, waste=TAIL)
        unit = 2.0**-self.lattice.rule.bits
        above = mass = 0
        shares: list[float] = []
        self._tails: list[tuple[int, int]] = []  # mass from an index on, and Σ (k - index)·atom_k
        for atom in reversed(self.lattice.atoms):
            above += mass
            mass += atom
            self._tails.append((mass, above))
            shares.append(mass * unit)
        self._tails.reverse()
        self._shares = np.array(shares)  # rising, from the last index down

    def line(self, p: float) -> Line:
        """The line that is nearest to Phi at p, about."""
        back = min(int(np.searchsorted(self._shares, p)), len(self._shares) - 1)
        index = len(self._shares) - 1 - back
        _, above = self._tails[index]
        lattice = self.lattice
        offset = (above + lattice.overflow) * lattice.step / arb(2) ** lattice.rule.bits
        return Line((lattice.low + index) * lattice.step, offset)

    def middle(self) -> float:
        """Phi(1/2) from above, and with it Phi(p) for every p ≤ 1/2."""
        previous, ctx.prec = ctx.prec, PRECISION
        try:
            line = self.line(0.5)
            return float_above(line.at(arb(1) / 2).max(line.offset))
        finally:
            ctx.prec = previous
