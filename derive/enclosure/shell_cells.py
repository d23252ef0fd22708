"""The level-set law of an l1- or linf-radial density against its own norm as `cells` needs it: masses, and bounds of derivatives."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from functools import reduce

import sympy as sp
from flint import arb

from derive.enclosure.ball import hull
from derive.enclosure.cells import Path, Remainder
from derive.enclosure.corner import Bent, Box
from derive.enclosure.radial import RadialDensity
from derive.enclosure.shell_witness import ShellSet
from derive.enclosure.signs import sign_pattern
from derive.enclosure.smooth import CRUDE, GUARD, precision
from derive.enclosure.taylor import LogRadial, Undecided, coefficients, constant_term
from derive.enclosure.witness import Witness
from derive.formula import r

PARTS = 6
"""Boxes of x."""
MOVING, PANELS, MOST, DEPTH = 8, 24, 400, 10
"""Panels that move with the corner, and others, to start with; all of them at most, and how often one is halved."""
REACH, FIXED = 3, 0.02
"""Radii move that are no farther from the corners than REACH times half their range and this share of the way to the end."""
WORTH = 0.7
"""Panels are halved for as long as the sum falls by this factor."""
_SOLVED = 1e-12


class ShellCells:
    """One density in one dimension, of kind "shell", for fail probabilities down to `smallest`; a `cells.LevelLaw`.

    density: with exponent equal to dim; psi must not decrease (the caller has proved it). ArithmeticError where psi has kinks, an end, or is not proved to be
    strictly convex or strictly concave.
    """

    bends, nodes = 1, 16

    def __init__(self, density: RadialDensity, dim: int, smallest: arb) -> None:
        if density.kinks or density.bound is not None or dim < 2:
            raise ArithmeticError("the level sets are not smooth enough for cells")
        self.bits = 16 * (1 + int(-math.log2(float(smallest)) // 16))
        self.dim = dim
        bend = sp.diff(density.psi, r, 2)
        signs = {piece[0] for piece in sign_pattern(bend) or ()}
        if signs not in ({"+"}, {"-"}):
            raise ArithmeticError("psi is not known to be strictly convex or strictly concave")
        with precision(150 + self.bits):
            self.set = ShellSet(density, "shell", dim, self.bits)
            law, base = self.set.law, self.set.base
            try:
                score, curve = LogRadial.of(density.score), LogRadial.of(bend)
                rate = LogRadial.of(r * sp.diff(base.slope, r))
            except NotImplementedError as problem:
                raise ArithmeticError(f"the level sets cannot be bounded: {problem}") from problem
            convex = signs == {"+"}
            end, factor = law.high if convex else law.low, 1 / (dim * base.total)
            self.bent = Bent(
                law, score, curve, rate, convex=convex, end=end, factor=factor, power=self.set.shells.power
            )
            edge = (dim * law.high - law.psi.at(law.high) - law.reference).exp() / dim
            self.outside = ((edge + base.outside) / base.total).upper()

    def masses(self, witness: Witness, error: arb, shifted_error: arb) -> tuple[arb, arb]:
        """M and m at one pair, in balls whose radii are about `shifted_error` (M) and `error` (m) or smaller."""
        allowed = float(shifted_error.min(error * witness.level.exp()))
        bits = min(self.bits + 62, 8 + max(16, math.ceil(-math.log2(allowed))))
        with precision(bits + GUARD + self.dim.bit_length()):
            slack = arb(self.set.base.floats.mass) * arb(2) ** -bits
            met, left = self.set.shares(witness.level, witness.distance, slack)
            return left, (-witness.level).exp() * (met + left - 1)

    def guess(self, distance: float, start: float) -> tuple[float, float]:
        """Nearly the level with M = 1/2 at this distance and m there. From floats, nothing proved; `start` is not needed."""
        del start
        floats = self.set.floats
        level = floats.middle(distance, floats.mean_score * distance, _SOLVED)
        if not math.isfinite(level):
            raise ArithmeticError("the level-set radius was not found")
        return level, floats.at(level, distance).fail

    def slope(self) -> arb:
        """c with 1/2 - h(0, e) = E_nu[1 - (1 - e/2s)₊**n] ≤ c·e: c = n·E_nu[1/s]/2 = E[psi'(r)]/2 = (d - 1)·E[1/r]/2."""
        chosen = self.set.base
        with precision(150 + self.bits):
            gap = chosen.lower_gap - 1
            if not bool(gap > 0):
                raise ArithmeticError("the mean of 1/r could not be bounded: the density is too steep at 0")
            below = chosen.lower_tail * chosen.lower_gap * (-chosen.law.low).exp() / gap
            above = chosen.upper_tail * (-chosen.law.high).exp()
            mean = (chosen.law.tilted() + below + above) / chosen.total
            return ((self.dim - 1) * mean / 2).upper()

    def remainder(self, path: Path, order: int, enough: arb, slack: arb) -> Remainder:
        """See `cells.LevelLaw`; ArithmeticError on a path from e = 0, where these level sets have no smooth limit."""
        if path.first:
            raise ArithmeticError("the level sets are not smooth enough for a cell at distance 0")
        with precision(CRUDE + self.bits // 2):
            return _Bound(self, path, order).found(enough)


@dataclass(frozen=True)
class _Part:
    """A panel of theta: its part of dJ/dx on each box, and a size of what it adds to the coefficient."""

    low: float
    high: float
    depth: int
    terms: list[list[arb]]
    size: float


class _Bound:
    """One path: what each panel of theta gives, and their sum."""

    def __init__(self, law: ShellCells, path: Path, order: int) -> None:
        self.law, self.count = law, order + 1
        self.boxes = [
            Box(law.bent, path, arb(2 * k + 1 - PARTS, 1) / PARTS, self.count) for k in range(PARTS)
        ]
        self.decays = [coefficients(box.decay, self.count) for box in self.boxes]
        self.anchor = self._anchor()

    def _anchor(self) -> arb:
        """Radii from the corner to here move with it, those beyond stay."""
        end = self.law.bent.end
        corners = reduce(hull, [constant_term(box.corner) for box in self.boxes])
        nearest = corners.upper() if bool(end > corners) else corners.lower()
        left = end - nearest
        step = (corners.rad() * REACH + abs(left) * FIXED).min(abs(left) / 2)
        return (nearest + (step if bool(left > 0) else -step)).mid()

    def found(self, enough: arb) -> Remainder:
        edges = [k / MOVING for k in range(MOVING)] + [1 + k / PANELS for k in range(PANELS + 1)]
        parts = [self._part(low, high, 0) for low, high in itertools.pairwise(edges)]
        heap = [(-part.size, k, part) for k, part in enumerate(parts)]
        heapq.heapify(heap)
        count, bound = len(heap), self._sum(heap)
        while not bool(bound < enough) and count < MOST:
            for _ in range(max(4, len(heap) // 3)):
                part = heapq.heappop(heap)[2]
                middle = 0.5 * (part.low + part.high)
                for low, high in ((part.low, middle), (middle, part.high)):
                    half = self._part(low, high, part.depth + 1)
                    heapq.heappush(heap, (-half.size, count, half))
                    count += 1
            before, bound = bound, self._sum(heap)
            if before.is_finite() and not bool(bound < WORTH * before):
                break
        if not bound.is_finite():
            raise ArithmeticError("the level sets are not smooth enough for cells")
        decay = reduce(lambda a, b: a.max(b), [decay[0].upper() for decay in self.decays])
        return Remainder(bound, (self.law.outside * decay).upper())

    def _part(self, low: float, high: float, depth: int) -> _Part:
        try:
            terms = [box.shared(self.anchor, arb(low), arb(high)) for box in self.boxes]
        except Undecided as problem:
            if depth >= DEPTH:
                raise ArithmeticError(
                    f"the level sets are not smooth enough for cells: {problem}"
                ) from problem
            terms = [[arb("nan")] * (self.count - 1)] * len(self.boxes)
        size = max(
            float(sum((abs(c) for c in self._products(k, one)), arb(0)).upper())
            for k, one in enumerate(terms)
        )
        return _Part(low, high, depth, terms, size if math.isfinite(size) else math.inf)

    def _products(self, box: int, rate: list[arb]) -> list[arb]:
        """The products that add up to coefficient number `order` of e^-t·J, but for J's constant term, from dJ/dx."""
        falling = reversed(self.decays[box][:-1])
        return [a * c / (k + 1) for k, (a, c) in enumerate(zip(falling, rate, strict=True))]

    def _sum(self, heap: list[tuple[float, int, _Part]]) -> arb:
        """Coefficient number `order` of e^-t·(J - 1/2) on the worst box; |J - 1/2| ≤ 1/2."""
        worst = arb(0)
        for k, decay in enumerate(self.decays):
            rate = [sum(terms, arb(0)) for terms in zip(*(part.terms[k] for *_, part in heap), strict=True)]
            total = abs(sum(self._products(k, rate), arb(0, (abs(decay[-1]) / 2).upper()))).upper()
            if not total.is_finite():
                return arb("inf")
            worst = worst.max(total)
        return worst
