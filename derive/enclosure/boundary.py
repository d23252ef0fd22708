"""How the boundary of {s ≥ c} moves over the pieces of a density as the threshold c falls.

Thresholds at which pieces begin or end cut the way into intervals. On an interval the boundary follows either u on the piece where it moves
farthest, or, beside a fold (a smooth turning point of s, where two pieces meet), the square root of the distance of c from the fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from flint import arb, ctx

from derive.enclosure.pieces import Piece
from derive.enclosure.span import ZERO
from derive.enclosure.sweep import Dragged, Panel, fold_panel, main_panel

Points = dict[int, arb]
"""Where the boundary is on each piece that crosses a threshold, by the piece's number."""
BESIDE = arb(0.05)
"""How far in u the walk beside a fold goes, about."""


@dataclass(frozen=True)
class Level:
    """Thresholds that cannot be told apart, in [low, high]: pieces begin (with their largest score), end, or are constant there."""

    low: arb
    high: arb
    begin: frozenset[int]
    end: frozenset[int]
    flat: frozenset[int]


def levels_of(pieces: Sequence[Piece]) -> list[Level]:
    """All levels from the largest; ArithmeticError where a score is not finite or the order contradicts the pieces' directions."""
    margin = arb(2) ** (-ctx.prec // 2)
    found: list[tuple[arb, arb, int, str]] = []
    for n, piece in enumerate(pieces):
        kinds = (
            (("flat", piece.low),) if piece.direction == 0 else (("begin", piece.top), ("end", piece.bottom))
        )
        for kind, u in kinds:
            score = piece.end_score(u)
            if not score.is_finite():
                raise ArithmeticError("a score at the end of a piece is not finite")
            slack = margin * abs(score).upper()
            found.append(((score - slack).lower(), (score + slack).upper(), n, kind))
    found.sort(key=lambda entry: _Key(entry[1]), reverse=True)
    groups: list[list[tuple[arb, arb, int, str]]] = []
    for entry in found:
        if groups and bool(entry[1] >= min((e[0] for e in groups[-1]), key=_Key)):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return [
        Level(
            min((e[0] for e in group), key=_Key),
            max((e[1] for e in group), key=_Key),
            *(
                frozenset(n for _, _, n, kind in group if kind == wanted)
                for wanted in ("begin", "end", "flat")
            ),
        )
        for group in groups
    ]


class _Key:
    def __init__(self, value: arb) -> None:
        self.value = value

    def __lt__(self, other: _Key) -> bool:
        return bool(self.value < other.value)

    def __gt__(self, other: _Key) -> bool:
        return bool(self.value > other.value)


@dataclass(frozen=True)
class Walk:
    """One stretch between two levels: the pieces crossed and a parameter t from start to end, two exact numbers."""

    pieces: Sequence[Piece]
    crossing: tuple[int, ...]
    start: arb
    end: arb

    def score(self, t: arb) -> arb:
        """The threshold."""
        raise NotImplementedError

    def points(self, t: arb, before: Points | None = None, after: Points | None = None) -> Points:
        """The boundary at t, between two known ones."""
        raise NotImplementedError

    def panel(self, start: arb, end: arb, points: tuple[Points, Points, Points]) -> Panel:
        raise NotImplementedError

    def _dragged(self, points: tuple[Points, Points, Points], numbers: Sequence[int]) -> list[Dragged]:
        return [Dragged(self.pieces[n], points[0][n], points[1][n], points[2][n]) for n in numbers]

    def _solved(self, n: int, level: arb, before: Points | None, after: Points | None) -> arb:
        ends = (None, None) if before is None or after is None else (before[n], after[n])
        return solve(self.pieces[n], level, *ends)


@dataclass(frozen=True)
class MainWalk(Walk):
    """t = u on the main piece."""

    main: int

    def score(self, t: arb) -> arb:
        return self.pieces[self.main].score(t)

    def points(self, t: arb, before: Points | None = None, after: Points | None = None) -> Points:
        level = self.score(t)
        return {n: t if n == self.main else self._solved(n, level, before, after) for n in self.crossing}

    def panel(self, start: arb, end: arb, points: tuple[Points, Points, Points]) -> Panel:
        others = self._dragged(points, [n for n in self.crossing if n != self.main])
        return main_panel(self.pieces[self.main], start, end, others)


@dataclass(frozen=True)
class FoldWalk(Walk):
    """c = level - side·t²: down from a fold above (side 1, t from 0), or towards one below (side -1, t up to 0)."""

    level: arb
    side: int
    at: arb
    pair: tuple[int, int]

    def score(self, t: arb) -> arb:
        return self.level - self.side * t * t

    def points(self, t: arb, before: Points | None = None, after: Points | None = None) -> Points:
        at_fold = bool(t == 0)
        level = self.score(t)
        return {
            n: self.at if at_fold and n in self.pair else self._solved(n, level, before, after)
            for n in self.crossing
        }

    def panel(self, start: arb, end: arb, points: tuple[Points, Points, Points]) -> Panel:
        beside = [
            Dragged(self.pieces[n], points[0][n], points[1][n], points[2][n], self.at) for n in self.pair
        ]
        others = self._dragged(points, [n for n in self.crossing if n not in self.pair])
        return fold_panel(self.level, self.side, start, end, beside + others)


def walks(pieces: Sequence[Piece], crossing: tuple[int, ...], above: Level, below: Level) -> list[Walk]:
    """The stretches from just below one level to just above the next, contiguous up to gaps in c too small to matter."""
    margin = arb(2) ** (-(ctx.prec * 5) // 8)
    high = (above.low * (1 - margin)).mid()
    low = (below.high * (1 + margin) + margin * above.low).mid()
    if not bool(high > low):
        raise ArithmeticError("levels of the score too close to each other")
    first = _fold_walk(pieces, crossing, above, low, 1)
    last = _fold_walk(pieces, crossing, below, high, -1)
    high = first.score(first.end).lower() if first is not None else high
    low = last.score(last.start).upper() if last is not None else low
    tops, bottoms = ({n: solve(pieces[n], level.mid()) for n in crossing} for level in (high, low))
    main = max(crossing, key=lambda n: _Key(abs(tops[n] - bottoms[n]).mid()))
    middle = MainWalk(pieces, crossing, tops[main].mid(), bottoms[main].mid(), main)
    return [walk for walk in (first, middle, last) if walk is not None]


def _fold_walk(
    pieces: Sequence[Piece], crossing: tuple[int, ...], level: Level, other: arb, side: int
) -> FoldWalk | None:
    """The walk beside the one fold of a level, to at most 0.3 of the way to the other threshold; None where there is not just one."""
    touching = level.begin if side > 0 else level.end
    pairs = [(a, b) for a, b in pairwise(sorted(touching)) if b == a + 1 and pieces[a].high is pieces[b].low]
    if (
        len(pairs) != 1
        or len(level.begin | level.end | level.flat) != 2
        or not set(pairs[0]) <= set(crossing)
    ):
        return None
    a, b = pairs[0]
    if pieces[a].branch is not pieces[b].branch or pieces[a].direction * pieces[b].direction != -1:
        return None
    at = pieces[a].high
    top = pieces[a].score(at)
    bend = (pieces[a].sign * pieces[a].branch.expand(at)[1])[2]
    reach = abs(top - other) * arb(0.3)
    curved = abs(bend) * BESIDE**2
    size = (reach if bool(reach < curved) else curved).sqrt().mid()
    if not size.is_finite() or not bool(side * bend < 0) or not bool(size > 0):
        return None
    start, end = (ZERO, size) if side > 0 else (-size, ZERO)
    return FoldWalk(pieces, crossing, start, end, top, side, at, (a, b))


def solve(piece: Piece, level: arb, one: arb | None = None, other: arb | None = None) -> arb:
    """The ball of the u on the piece with score(u) = level, looked for between two points if given; proved by signs."""
    low, high = (piece.top, piece.bottom) if one is None or other is None else (one, other)
    low, high = (low, high) if bool(low.mid() < high.mid()) else (high, low)
    low, high = low.mid(), high.mid()
    rising = piece.direction > 0
    goal = level.mid()
    at = ((low + high) / 2).mid()
    last = (high - low).mid()
    for _ in range(2 * ctx.prec):
        missed = piece.score(at) - goal
        value = missed.mid()
        if bool(missed.contains(0)):  # no closer at this precision
            break
        low, high = (low, at) if bool(value > 0) == rising else (at, high)
        move = (value / _slope(piece, at)).mid()
        if bool(abs(move) <= arb(2) ** (8 - ctx.prec) * (abs(at) + arb(2) ** -ctx.prec)):
            break
        following = (at - move).mid()
        if not bool(following >= low) or not bool(following <= high) or not bool(abs(move) <= last):
            following = ((low + high) / 2).mid()
        last, at = abs(following - at).mid(), following
    return _certified(piece, level, at)


def _slope(piece: Piece, u: arb) -> arb:
    before = ctx.cap
    ctx.cap = 2
    try:
        return (piece.sign * piece.branch.expand(u)[1])[1].mid()
    finally:
        ctx.cap = before


def _certified(piece: Piece, level: arb, at: arb) -> arb:
    step = (abs(at) + arb(2) ** -64) * arb(2) ** (12 - ctx.prec)
    for _ in range(ctx.prec):
        low, high = (at - step).mid(), (at + step).mid()
        if not bool(low >= piece.low) or not bool(high <= piece.high):
            break
        below, above = (low, high) if piece.direction > 0 else (high, low)
        if bool(piece.score(below) < level) and bool(piece.score(above) > level):
            return low.union(high)
        step = 4 * step
    raise ArithmeticError("a boundary point could not be enclosed")
