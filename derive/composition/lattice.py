"""Measures on a grid in integer fixed point, and their d-fold convolution: exact products, every rounding to one side.

An atom at index k of a loss lattice stands for P-mass at the privacy loss k·step, that is for Q-mass exp(-k·step) times as large. Its
hockey-stick curve is delta(a) = overflow + Σ atom_k·(1 - a·exp(-k·step))₊, and curves compose monotonically: where each factor's
curve lies above (below) the true one for all a ≥ 0, so does the product's. Hence the operations below, each proved to keep the side:

* rounding an atom up raises the curve;
* a mass moved to a larger loss, or to infinity, raises it; one moved down, or dropped, lowers it;
* an atom split between its two neighbours so that P- and Q-mass are kept ("connect the dots") raises it, by Jensen's inequality.

A score lattice keeps plain masses, whose curve is E(S - c)₊; splitting in halves raises that, and what lies past the top is brought
down to it and its excess entered in `overflow`.
Source: Doroshenko, Ghazi, Kamath, Kumar, Manurangsi, Connect the Dots: Tighter Discrete Approximations of Privacy Loss Distributions,
PETS 2022; the coarsening along the way is this project's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from flint import arb, fmpz, fmpz_poly

SHARE_BITS = 64


def rounded(value: arb, up: bool) -> int:
    """A ball's upper or lower end as an integer on the same side; ArithmeticError where there is none."""
    whole = (value.upper().ceil() if up else value.lower().floor()).unique_fmpz()
    if whole is None:
        raise ArithmeticError("a mass could not be enclosed")
    return int(whole)


@dataclass(frozen=True)
class Rule:
    """Which side is kept (`up`), what the indices mean (`loss` or score), and the bits of the fixed point."""

    up: bool
    loss: bool
    bits: int


LOSS_ABOVE = Rule(up=True, loss=True, bits=96)
LOSS_BELOW = Rule(up=False, loss=True, bits=96)
SCORE_ABOVE = Rule(up=True, loss=False, bits=176)


@dataclass(frozen=True)
class Lattice:
    """Atoms from index `low` on, in units of 2**-bits; overflow likewise (for scores: mass times steps)."""

    rule: Rule
    step: arb
    low: int
    atoms: list[int]
    overflow: int = 0

    def __post_init__(self) -> None:
        if not self.atoms or min(self.atoms) < 0 or self.overflow < 0:
            raise ValueError("internal check failed: a lattice needs atoms, none negative")

    @property
    def mass(self) -> int:
        """Everything, infinite losses included."""
        return sum(self.atoms) + (self.overflow if self.rule.loss else 0)

    def trimmed(self, budget: int) -> Lattice:
        """Without the atoms at both ends whose masses sum to less than `budget` each, to the safe side."""
        atoms, first, last = self.atoms, 0, len(self.atoms)
        lower = upper = excess = 0
        while first < last - 1 and lower + atoms[first] <= budget:
            lower += atoms[first]
            first += 1
        while last > first + 1 and upper + atoms[last - 1] <= budget:
            upper += atoms[last - 1]
            last -= 1
            excess += upper  # each step down takes all that was above along
        if first == 0 and last == len(atoms):
            return self
        kept = atoms[first:last]
        overflow = self.overflow
        if self.rule.up:
            kept[0] += lower
        if not self.rule.loss:
            kept[-1] += upper
            overflow += excess
        elif self.rule.up:
            overflow += upper
        else:
            kept[-1] += upper
        return replace(self, low=self.low + first, atoms=kept, overflow=overflow)

    def coarsened(self) -> Lattice:
        """On the grid of twice the step; upper sides only."""
        if not self.rule.up:
            raise ValueError("internal check failed: only an upper side can be coarsened")
        one = 1 << SHARE_BITS
        if self.rule.loss:
            share = rounded(one / (1 + (-self.step).exp()), True)
        else:
            share = one // 2
        low = self.low - (self.low & 1)
        atoms = [0] * (self.low - low) + self.atoms
        atoms += [0] * (1 + (len(atoms) & 1))  # an even atom above every odd one
        result, odds = atoms[0::2], atoms[1::2]  # one even atom more than odd ones
        mask = one - 1
        for i, a in enumerate(odds):
            above = min(a, (a * share + mask) >> SHARE_BITS)
            result[i] += a - above
            result[i + 1] += above
        overflow = self.overflow if self.rule.loss else (self.overflow + 1) // 2
        return replace(self, step=2 * self.step, low=low // 2, atoms=result, overflow=overflow)

    def times(self, other: Lattice) -> Lattice:
        """The composition of two independent losses, or the sum of two independent scores."""
        bits = self.rule.bits
        own = fmpz_poly(self.atoms)
        product = own * own if other is self else own * fmpz_poly(other.atoms)
        count = len(self.atoms) + len(other.atoms) - 1
        if self.rule.up:
            product = product + fmpz_poly([fmpz((1 << bits) - 1)] * count)
        atoms = [int(c) for c in (product // fmpz_poly([fmpz(1) << bits])).coeffs()]
        atoms += [0] * (count - len(atoms))
        mass, other_mass = sum(self.atoms), sum(other.atoms)
        overflow = self.overflow * other_mass + mass * other.overflow  # excesses add
        if self.rule.loss:
            overflow += self.overflow * other.overflow
        overflow = -(-overflow >> bits) if self.rule.up else overflow >> bits
        return replace(self, low=self.low + other.low, atoms=atoms, overflow=overflow)


def composed(base: Lattice, dim: int, *, longest: int, waste: float) -> Lattice:
    """The dim-fold composition by repeated squaring; an upper side is coarsened whenever it is longer than `longest`.

    `waste` is the mass that trimming may move, about, in the whole composition.
    """
    rounds = 2 * dim.bit_length() + 2
    whole = Fraction(waste) / rounds * (1 << base.rule.bits)
    base = base.trimmed(int(whole / dim))
    result, count = base, 1
    for bit in bin(dim)[3:]:
        for doubled in (True, False):
            if not doubled and bit == "0":
                continue
            result = result.times(result if doubled else base)
            count = 2 * count if doubled else count + 1
            result = result.trimmed(int(whole * count / dim))
            while base.rule.up and len(result.atoms) > longest:
                result, base = result.coarsened(), base.coarsened()
    return result
