"""Proved polynomial cells of a level-set law: over a range of distances, fail probabilities at which the radius is at least the distance.

For a distance e and any level t let h(t, e) = m(t, e) + e^-t·(1/2 - M(t, e)): R(1-p) ≥ e for every p ≤ h(t, e) (see `witness`). A cell
takes t(x) and e(x) = centre + half·x, x in [-1, 1], as polynomials, encloses H(x) = h(t(x), e(x)) at as many nodes as the polynomial
`fail` has coefficients, and lowers their interpolant by a proved bound of its error: with W the monic polynomial that vanishes at the
nodes, |H - interpolant| ≤ max|W|·max|H⁽ⁿ⁾|/n!.

In the first cell e runs from 0, where R(1/2) = 0, and what is interpolated is (1/2 - H)/(1+x): so fail(-1) = 1/2, and the gap 1/2 - fail
is relatively accurate however small it is. Source: the interpolation error, e.g. Trefethen, Approximation Theory and Practice, 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flint import arb

from derive.enclosure.witness import Witness


@dataclass(frozen=True)
class Path:
    """Distances e(x) = centre + half·x and levels t(x), x in [-1, 1]; every number exact.

    `terms` are the monomial coefficients of t, or of t/e² in the first cell (centre = half, so that e(-1) = 0 and t(-1) = 0).
    """

    centre: arb
    half: arb
    terms: tuple[arb, ...]

    @property
    def first(self) -> bool:
        return bool(self.centre == self.half)


@dataclass(frozen=True)
class Remainder:
    """How far H is from its interpolants: a function H̃ has |H - H̃| ≤ slack on [-1, 1], and coefficient number `order` of the
    Taylor series of H̃ in x about every point of [-1, 1] is at most `coefficient` in absolute value."""

    coefficient: arb
    slack: arb


class LevelLaw(Protocol):
    """What the cells need of a density against a norm."""

    def masses(self, witness: Witness, error: arb, shifted_error: arb) -> tuple[arb, arb]:
        """M and m at one pair, in balls whose radii are about `shifted_error` (M) and `error` (m) or smaller."""
        ...

    def guess(self, distance: float, start: float) -> tuple[float, float]:
        """Nearly the level with M = 1/2 at this distance, searched from `start`, and m there. From floats, nothing proved."""
        ...

    def slope(self) -> arb:
        """A number c with 1/2 - h(0, e) ≤ c·e for every e ≥ 0 and, to 1e-12, 1/2 - max h(t, e) = c·e + O(e³)."""
        ...

    def remainder(self, path: Path, order: int, enough: arb) -> Remainder:
        """A bound for H on this path, no better than `enough` (a size that no longer matters) if that is cheaper.

        ArithmeticError when there is none: the path is too long, or the law is not smooth enough there.
        """
        ...


@dataclass(frozen=True)
class LevelCell:
    """R(1 - p) ≥ centre + half·x for every x in [-1, 1] and every p ≤ fail(x).

    `fail` holds exact monomial coefficients in x; it falls from x = -1 to 1. `witnesses` are triples (p, t, e) of doubles: h(t, e) ≥ p
    is provable at each, and fail(x) < p there.
    """

    centre: arb
    half: arb
    fail: tuple[arb, ...]
    witnesses: tuple[tuple[float, float, float], ...]


def level_cells(law: LevelLaw, smallest: arb) -> list[LevelCell]:
    """Cells from e = 0 on, each starting where the last one ends, until fail ≤ smallest.

    Raises:
        ArithmeticError: a cell could not be proved.
    """
    raise NotImplementedError
