"""The level-set law of an l2-radial density against l2 as `cells` needs it: masses to a chosen accuracy, and bounds of derivatives."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flint import arb, ctx

from derive.enclosure.ball import hull
from derive.enclosure.boxes import PathBox, Radii, Shares
from derive.enclosure.caps import Shift, cap_mass
from derive.enclosure.cells import Path, Remainder
from derive.enclosure.cosine import log_norm
from derive.enclosure.floor import Floor
from derive.enclosure.radial import RadialDensity
from derive.enclosure.search import FloatLaw
from derive.enclosure.series import Terms
from derive.enclosure.taylor import Undecided, coefficients
from derive.enclosure.witness import LevelSet, Witness

SMOOTH = 32
"""Dimensions from which the cosine's density has derivatives enough."""
ORDERS = ((512, 20), (128, 16), (48, 12), (0, 10))
"""(dimension, nodes of a cell from it on): derivatives grow faster where the cosine varies more."""
GUARD = 60
"""Bits of precision beyond those of the error allowed."""
CRUDE = 64
PANELS, MOST = 144, 1000
PARTS = 3
GUESSES = 501
"""Radii by which levels are guessed."""
WORTH, STEPS = 4, 40
"""Panels are halved when so many steps make the sum this much smaller."""
DEPTH, JOIN = 12, 8
DROP = 512


@contextmanager
def precision(bits: int) -> Iterator[None]:
    before, ctx.prec = ctx.prec, bits
    try:
        yield
    finally:
        ctx.prec = before


@dataclass(frozen=True, eq=False)
class Panel:
    """Radii e^u, low ≤ u ≤ high, and the probability of these."""

    low: arb
    high: arb
    mass: arb
    parent: Panel | None = None


class SmoothLaw:
    """One density in one dimension, for fail probabilities down to `smallest`; a `cells.LevelLaw`."""

    bends = 2

    def __init__(self, density: RadialDensity, dim: int, smallest: arb) -> None:
        if dim < SMOOTH:
            raise ArithmeticError(
                f"polynomial cells of a level set are proved in dimensions from {SMOOTH} on, not in {dim}"
            )
        self.bits = 16 * (1 + int(-math.log2(float(smallest)) // 16))
        self.dim = dim
        self.nodes = min(next(nodes for least, nodes in ORDERS if dim >= least), (dim - 3) // 2)
        with precision(150 + self.bits):
            self.set = LevelSet(density, dim, self.bits)
            law = self.set.law
            self.floats = FloatLaw(law.psi, law.steepness, dim, float(law.ceiling.mid()), GUESSES)
            self.shares = Shares(law)
            self.radii: dict[Panel, Radii] = {}
            self.halves: dict[tuple[float, float], tuple[Panel, Panel]] = {}
            self.roots = self._panels()
            self.panels = list(self.roots)

    def masses(self, witness: Witness, error: arb, shifted_error: arb) -> tuple[arb, arb]:
        """M and m at one pair, in balls whose radii are about `shifted_error` (M) and `error` (m) or smaller."""
        found = []
        for side, allowed in ((1, shifted_error), (-1, error)):
            bits = min(self.bits + 62, 6 + max(16, math.ceil(-math.log2(float(allowed)))))
            with precision(bits + GUARD + self.dim.bit_length()):
                low, high, rest = self._range(arb(2) ** -bits)
                law = self.set.law.relaxed(arb(self.set.floats.mass) * arb(2) ** -bits, low, high)
                mass = cap_mass(law, Shift(side, witness.level, witness.distance))
                found.append((mass + self.set.outside) / self.set.total + hull(arb(0), rest))
        return found[0], found[1]

    def _range(self, slack: arb) -> tuple[arb, arb, arb]:
        """The range of log r but for ends of a probability below the slack each, and a bound of what these have."""
        first, last, rest = 0, len(self.roots) - 1, arb(0)
        for step in (1, -1):
            left = arb(0)
            while first < last:
                end = self.roots[first if step > 0 else last]
                if not bool(left + end.mass < slack):
                    break
                left += end.mass
                first, last = (first + 1, last) if step > 0 else (first, last - 1)
            rest += left
        return self.roots[first].low, self.roots[last].high, rest.upper()

    def guess(self, distance: float, start: float) -> tuple[float, float]:
        """Nearly the level with M = 1/2 at this distance, searched from `start`, and m there. From floats, nothing proved."""
        level = self.floats.followed_level(distance, start)
        return level, self.floats.side(level, distance, -1)[0]

    def slope(self) -> arb:
        """c with 1/2 - h(0, e) = E[2S(e/2r)] ≤ c·e, S(z) = F(z) - 1/2 ≤ F'(0)·z: so c = F'(0)·E[1/r]."""
        chosen = self.set
        with precision(150 + self.bits):
            gap = chosen.lower_gap - 1
            if not bool(gap > 0):
                raise ArithmeticError("the mean of 1/r could not be bounded: the density is too steep at 0")
            below = chosen.lower_tail * chosen.lower_gap * (-chosen.law.low).exp() / gap
            above = chosen.upper_tail * (-chosen.law.high).exp()
            mean = (chosen.law.tilted() + below + above) / chosen.total
            return (log_norm(self.dim).exp() * mean).upper()

    def remainder(self, path: Path, order: int, enough: arb, slack: arb) -> Remainder:
        """See `cells.LevelLaw`: the series of the integrand on boxes of r and x, times the masses of the panels of r."""
        with precision(CRUDE + self.bits // 2):
            return _Bound(self, path, order, slack).found(enough)

    def split(self, panel: Panel) -> tuple[Panel, Panel]:
        """Two halves, the same objects every time."""
        key = (float(panel.low), float(panel.high))
        if key not in self.halves:
            with precision(150 + self.bits):
                middle = ((panel.low + panel.high) / 2).mid()
                self.halves[key] = (
                    self._panel(panel.low, middle, panel),
                    self._panel(middle, panel.high, panel),
                )
        return self.halves[key]

    def radii_of(self, panel: Panel) -> Radii:
        """The panel's values of psi, computed once."""
        if panel not in self.radii:
            self.radii[panel] = self.shares.radii(panel.low, panel.high)
        return self.radii[panel]

    def _panel(self, low: arb, high: arb, parent: Panel | None = None) -> Panel:
        return Panel(low, high, (self.set.law.between(low, high) / self.set.total).max(arb(0)), parent)

    def _panels(self) -> list[Panel]:
        law, floats = self.set.law, self.set.floats
        fall = self.bits * math.log(2) + 30
        low, high = (arb(floats.end(fall, side)) for side in (-1, 1))
        low, high = low.max(law.low).mid(), high.min(law.high).mid()
        edges = [law.low, *((low + (high - low) * k / PANELS).mid() for k in range(PANELS + 1)), law.high]
        return [self._panel(a, b) for a, b in zip(edges, edges[1:], strict=False) if bool(a < b)]


@dataclass(frozen=True)
class _Part:
    """What a panel adds to E[S₋] and E[S₊]: coefficients on each box, a size of what it adds to the last, the error of constants."""

    panel: Panel
    own: list[list[arb]]
    shifted: list[list[arb]]
    coefficient: arb
    slack: arb


class _Bound:
    """One path: what each panel gives, and their sum."""

    def __init__(self, law: SmoothLaw, path: Path, order: int, slack: arb) -> None:
        self.law, self.order, self.path = law, order, path
        self.count = order + 1
        parts = 1 if path.first else PARTS
        self.boxes = [
            PathBox.of(path.centre, path.half, path.terms, arb((2 * k + 1 - parts), 1) / parts, self.count)
            for k in range(parts)
        ]
        with Terms(self.count):
            self.decays = [coefficients((-box.level).exp(), self.count) for box in self.boxes]
        self.decay = max((terms[0].upper() for terms in self.decays), key=float)
        self.drop = slack / DROP
        self.slack = self.law.set.outside / self.law.set.total * 2

    def found(self, enough: arb) -> Remainder:
        done = self._evaluated(self.law.panels)
        while not bool(self._sum(done).coefficient < enough):
            finer = self._finer(done)
            if finer is None:
                break
            done = finer
        self.law.panels = self._coarser(done)
        return self._sum(done)

    def _finer(self, parts: list[_Part]) -> list[_Part] | None:
        """The largest panels halved, again and again, until the sum is much smaller; None where that does not come soon."""
        heap = [(-float(one.coefficient), k, one) for k, one in enumerate(parts)]
        heapq.heapify(heap)
        count, goal = len(heap), _total(parts) / WORTH
        for _ in range(max(STEPS, len(parts) // 2)):
            _, _, largest = heapq.heappop(heap)
            for one in self._evaluated(list(self.law.split(largest.panel))):
                heapq.heappush(heap, (-float(one.coefficient), count, one))
                count += 1
            if len(heap) > MOST:
                return None
            if -sum(size for size, _, _ in heap) < goal:
                return [one for _, _, one in heap]
        return None

    def _coarser(self, parts: list[_Part]) -> list[Panel]:
        """Where the next path starts: halves that add little are joined."""
        share = _total(parts) / (JOIN * len(parts))
        small: dict[int, list[_Part]] = {}
        for one in parts:
            if one.panel.parent is not None and float(one.coefficient) < share:
                small.setdefault(id(one.panel.parent), []).append(one)
        joined = {key: two for key, two in small.items() if len(two) == 2}
        kept = [one.panel for one in parts if id(one.panel.parent) not in joined]
        return kept + [two[0].panel.parent for two in joined.values() if two[0].panel.parent is not None]

    def _evaluated(self, panels: list[Panel]) -> list[_Part]:
        """Every panel's part; panels without one are halved."""
        waiting, done = [(panel, 0) for panel in panels], []
        while waiting:
            panel, depth = waiting.pop()
            try:
                done.append(self._part(panel))
            except Undecided as problem:
                if depth >= DEPTH or len(done) + len(waiting) > MOST:
                    raise ArithmeticError(
                        f"the level sets are not smooth enough for cells: {problem}"
                    ) from problem
                waiting.extend((half, depth + 1) for half in self.law.split(panel))
        return done

    def _part(self, panel: Panel) -> _Part:
        own, shifted = self._side(panel, -1), self._side(panel, 1)
        slack = own[1] + shifted[1]
        found = arb(0)
        for decay, minus, plus in zip(self.decays, own[0], shifted[0], strict=True):
            terms = sum((abs(a * b) for a, b in zip(reversed(decay), plus, strict=True)), abs(minus[-1]))
            found = found.max(terms.upper())
        return _Part(panel, own[0], shifted[0], found, slack)

    def _side(self, panel: Panel, side: int) -> tuple[list[list[arb]], arb]:
        """The coefficients of S on each box, times the panel's mass, and the error of taking S for a constant."""
        most = (panel.mass.upper() * (self.decay if side > 0 else 1)).upper()
        if bool(most / 2 < self.drop):
            return [[arb(0)] * self.count] * len(self.boxes), most / 2
        shares = self.law.shares
        u = self.law.radii_of(panel)
        cosines = [shares.cosine(u, box, side) for box in self.boxes]
        if not self.path.first:  # there S must vanish at e = 0
            ends = [shares.far(cosine) for cosine in cosines]
            rest = max((tail for _, tail in ends), key=float)
            signs = {sign for sign, _ in ends}
            if len(signs) == 1 and bool(rest * most < self.drop):
                constant = panel.mass * signs.pop() / 2
                return [[constant] + [arb(0)] * (self.count - 1)] * len(self.boxes), rest * most
        slack = arb(0)
        if side < 0 and not self.path.first and any(cosine.series is None for cosine in cosines):
            floor = Floor.of(shares.law, u, self.boxes, self.drop / most, self.count)
            cosines = [floor.cosine(u, box) for box in self.boxes]
            slack = (floor.rest * most).upper()
        terms = [coefficients(shares.share(cosine, self.count), self.count) for cosine in cosines]
        return [[panel.mass * c for c in one] for one in terms], slack

    def _sum(self, parts: list[_Part]) -> Remainder:
        slack = sum((one.slack for one in parts), self.slack)
        worst = arb(0)
        for k, decay in enumerate(self.decays):
            minus = sum((one.own[k][-1] for one in parts), arb(0))
            plus = [sum(terms, arb(0)) for terms in zip(*(one.shifted[k] for one in parts), strict=True)]
            total = sum((a * b for a, b in zip(reversed(decay), plus, strict=True)), minus)
            worst = worst.max(abs(total).upper())
        return Remainder(worst, slack.upper())


def _total(parts: list[_Part]) -> float:
    return sum(float(one.coefficient) for one in parts)
