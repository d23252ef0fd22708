"""From the lattice of a composed loss to the confidence at which a shift is certified: max over t of exp(-t)·(1/2 - delta(t))."""

from __future__ import annotations

import math

import numpy as np
from flint import arb, arb_poly, ctx, fmpz_poly

from derive.composition.lattice import Lattice

PRECISION = 160


def _float_levels(lattice: Lattice, shift: float) -> np.ndarray:
    """log of exp(-t)·(1/2 - delta(t)) at every index, in floats; -inf where negative."""
    unit = 2.0**-lattice.rule.bits
    atoms = np.array([float(a) for a in lattice.atoms]) * unit
    step = float(lattice.step)
    weight = np.exp(-step * np.arange(len(atoms)))
    above = np.cumsum(atoms[::-1])[::-1]
    tilted = np.cumsum((atoms * weight)[::-1])[::-1]
    with np.errstate(all="ignore"):
        delta = lattice.overflow * unit + above - tilted / weight + shift
        value = np.log(0.5 - delta) - step * (lattice.low + np.arange(len(atoms)))
    return np.where(np.isfinite(value), value, -np.inf)


def _level(lattice: Lattice, place: int, shift: arb) -> arb:
    """exp(-t)·(1/2 - delta(t)) at an index of the window, `shift` added to delta."""
    if place < 0:
        ratio, atoms = (-lattice.step).exp(), fmpz_poly(lattice.atoms)
        total = arb(atoms(1)) - ratio ** (-place) * arb_poly(atoms)(ratio)
    else:
        ratio, atoms = (-lattice.step).exp(), fmpz_poly(lattice.atoms[place:])
        total = arb(atoms(1)) - arb_poly(atoms)(ratio)
    delta = (total + lattice.overflow) / arb(2) ** lattice.rule.bits + shift
    return (arb(1) / 2 - delta) * (-(lattice.low + place) * lattice.step).exp()


def fail_below(lattice: Lattice) -> arb:
    """A p with G(p) ≤ 1/2 for the pair of the lattice, which errs upwards: exact, not negative, the best on the grid.

    For every t, G(p) ≤ delta(t) + exp(t)·p by weak duality.
    """
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        place = int(np.argmax(_float_levels(lattice, 0.0)))
        return _level(lattice, place, arb(0)).lower().max(arb(0))
    finally:
        ctx.prec = previous


def best_multiplier(lattice: Lattice) -> tuple[float, float]:
    """exp(t) at the grid point whose level is largest, and that level, in floats; nothing proved."""
    levels = _float_levels(lattice, 0.0)
    place = int(np.argmax(levels))
    return math.exp((lattice.low + place) * float(lattice.step)), math.exp(levels[place])


def delta_above(lattice: Lattice, multiplier: float) -> arb:
    """delta at any multiplier a > 0, of a pair whose lattice errs upwards: overflow + Σ atom_k·(1 - a·exp(-k·step))₊."""
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        a, ratio, count = arb(multiplier), (-lattice.step).exp(), len(lattice.atoms)
        first = math.floor(math.log(multiplier) / float(lattice.step)) - lattice.low - 1
        last = first + 4

        def share(index: int) -> arb:
            return 1 - a * (-(lattice.low + index) * lattice.step).exp()

        if not (bool(share(first - 1) < 0) and bool(share(last) > 0)):
            raise ArithmeticError("the sign of a loss could not be decided")
        total = arb(lattice.overflow)
        for index in range(max(first, 0), min(last, count)):
            total += lattice.atoms[index] * share(index).max(arb(0))
        start = max(last, 0)
        if start < count:
            rest = fmpz_poly(lattice.atoms[start:])
            total += arb(rest(1)) - (1 - share(start)) * arb_poly(rest)(ratio)
        return (total / arb(2) ** lattice.rule.bits).upper()
    finally:
        ctx.prec = previous


def fail_above(lattice: Lattice, penalty: arb) -> arb:
    """A p with G(p) ≥ 1/2 for the pair of the lattice, which errs downwards by at most `penalty` more.

    As a function of a = exp(t) the level (1/2 - delta)/a has one maximum (delta is convex, so delta - a·delta' falls), and between
    grid points it is monotone: the grid point up to which it is proved to rise, and after which to fall, has the largest value of all.
    """
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        if bool(lattice.overflow / arb(2) ** lattice.rule.bits - penalty >= arb(1) / 2):
            return arb(0)  # delta ≥ 1/2 for every t
        place = int(np.argmax(_float_levels(lattice, -float(penalty))))

        def rises(k: int) -> bool:
            """Whether the level rises from k to k + 1; ArithmeticError where that is not decided."""
            change = _level(lattice, k + 1, -penalty) - _level(lattice, k, -penalty)
            if not (bool(change > 0) or bool(change < 0)):
                raise ArithmeticError("the level of the Neyman-Pearson test could not be enclosed")
            return bool(change > 0)

        reach = 1
        while not rises(place - reach) or rises(place + reach):
            reach *= 4
            if reach > len(lattice.atoms):
                raise ArithmeticError("the level of the Neyman-Pearson test has no maximum on the grid")
        low, high = place - reach, place + reach  # rises at low, falls at high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if rises(middle) else (low, middle)
        return _level(lattice, high, -penalty).upper()
    finally:
        ctx.prec = previous
