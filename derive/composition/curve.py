"""From the lattice of a composed loss to the confidence at which a shift is certified: max over t of exp(-t)·(1/2 - delta(t))."""

from __future__ import annotations

import numpy as np
from flint import arb, arb_poly, ctx, fmpz_poly

from derive.composition.lattice import Lattice

PRECISION = 128
WINDOW = 6


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


def fail_above(lattice: Lattice, penalty: arb) -> arb:
    """A p with G(p) ≥ 1/2 for the pair of the lattice, which errs downwards by at most `penalty` more.

    As a function of a = exp(t) the level (1/2 - delta)/a has one maximum (delta is convex, so delta - a·delta' falls), and between
    grid points it is monotone: the largest value in a window at whose ends it rises and falls is the largest of all.
    """
    previous = ctx.prec
    ctx.prec = PRECISION
    try:
        place = int(np.argmax(_float_levels(lattice, -float(penalty))))
        levels = [_level(lattice, place + k, -penalty) for k in range(-WINDOW, WINDOW + 1)]
        if not (bool(levels[0] < levels[1]) and bool(levels[-1] < levels[-2])):
            raise ArithmeticError("the level of the Neyman-Pearson test could not be enclosed")
        best = levels[0]
        for level in levels:
            best = best.max(level)
        return best.upper()
    finally:
        ctx.prec = previous
