"""Taylor panels of the greedy sets {s ≥ c} of a radial density: mass, share and radius as c falls, every error enclosed.

On a panel one boundary point, u = log r on the main piece, moves by y ∈ [-half, half]; the boundary points on the other pieces follow by
power series reversion, s_k(u_k(y)) = s(u(y)). A function f of y is Σ_{k<N} f_k y**k + f_N(y) y**N: f_k from series about the middle,
f_N(y) from the same series about the balls of all boundary points (Lagrange's remainder).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb, arb_poly, arb_series, ctx

from derive.enclosure.branch import Branch
from derive.enclosure.pieces import Piece
from derive.enclosure.span import ZERO

ORDER = 32
"""N, even."""
LENGTH = ORDER + 2  # one more, because a derivative loses one

Series = tuple[list[arb], list[arb]]
"""Coefficients about the middle, and about all points, in y."""


@dataclass(frozen=True)
class Taylor:
    """A function of y on [-half, half]."""

    fine: list[arb]
    wide: list[arb]
    half: arb

    def integral(self, start: arb, end: arb) -> arb:
        """Over start ≤ y ≤ end, both points of the panel."""
        total = ZERO
        low, high = start, end
        for k in range(ORDER):
            total = total + self.fine[k] * (high - low) / (k + 1)
            low, high = low * start, high * end
        return total + self.wide[ORDER] * (high - low) / (ORDER + 1)  # y**N ≥ 0 for even N

    @property
    def whole(self) -> arb:
        return self.integral(-self.half, self.half)


def coefficients(series: arb_series) -> list[arb]:
    return [series[k] for k in range(LENGTH)]


def expansion(branch: Branch, centre: arb, box: arb) -> tuple[arb_series, arb_series, arb_series, arb_series]:
    """Series in u of lambda and psi': about the centre, then about all points of the box, in mean-value form."""
    fine_log, fine_score = branch.expand(centre)
    wide_log, wide_score = branch.expand(box)
    offset = box - centre
    wide_log, wide_score = _centred(fine_log, wide_log, offset), _centred(fine_score, wide_score, offset)
    return fine_log.exp(), fine_score, wide_log.exp(), wide_score


def _centred(fine: arb_series, wide: arb_series, offset: arb) -> arb_series:
    """Narrower coefficients about all points: by Taylor's formula from those about the middle, with the last one for the remainder."""
    found, near = coefficients(wide), coefficients(fine)
    if not found[LENGTH - 1].is_finite():
        return wide
    shifted = arb_poly([*near[: LENGTH - 1], found[LENGTH - 1]])(arb_poly([offset, 1])).coeffs()
    return arb_series(
        [_tighter(one, other) for one, other in zip(found, shifted, strict=False)] + found[len(shifted) :]
    )


def _tighter(one: arb, other: arb) -> arb:
    return one if one.is_finite() and (not other.is_finite() or bool(one.rad() <= other.rad())) else other


def _turned(series: arb_series, way: int) -> arb_series:
    return (
        series
        if way > 0
        else arb_series([c if k % 2 == 0 else -c for k, c in enumerate(coefficients(series))])
    )


def _without_constant(series: arb_series) -> arb_series:
    return arb_series([ZERO, *coefficients(series)[1:]])


def _followed(moving: arb_series, step: arb_series) -> arb_series:
    """The series z without constant term with moving(z(y)) = step(y), by Newton's method, which doubles the known terms.

    Two series composed and solved at once: that z(y) is a tame function even where the inverse of `moving` is not keeps balls narrow.
    """
    slope, given = moving.derivative(), coefficients(step)
    found = [ZERO, given[1] / moving[1]]
    before = ctx.cap
    try:
        while len(found) < LENGTH:
            known, ctx.cap = len(found), min(2 * len(found), LENGTH)
            z = arb_series(found)
            rest = moving(z) - step
            rest = arb_series([ZERO if k < known else rest[k] for k in range(ctx.cap)])  # z is right so far
            move = rest / slope(z)
            found += [-move[k] for k in range(known, ctx.cap)]
    finally:
        ctx.cap = before
    return arb_series(found)


@dataclass(frozen=True)
class Panel:
    """The boundary of {s ≥ c} between two thresholds: mass and share that join the set per dy."""

    mass: Taylor
    share: Taylor

    def radius(self, share: arb) -> Taylor:
        """The mass that joins per dy over the share of the set, which is `share` at the start."""
        half = self.mass.half
        middle = share + self.share.integral(-half, ZERO)
        around = share.union(share + self.share.whole.upper())
        fine = _over(self.mass.fine, self.share.fine, middle)
        wide = _over(self.mass.wide, self.share.wide, around)
        return Taylor(fine, wide, half)


def _over(mass: list[arb], share: list[arb], constant: arb) -> list[arb]:
    total = [constant, *(share[k] / (k + 1) for k in range(LENGTH - 1))]
    return coefficients(arb_series(mass) / arb_series(total))


@dataclass(frozen=True)
class Dragged:
    """A piece whose boundary moves with the threshold: where it is at the start, the middle and the end of a panel.

    `fold` is the turning point (u, a ball) of the score at the end of the piece, where the walk is measured from one.
    """

    piece: Piece
    start: arb
    middle: arb
    end: arb
    fold: arb | None = None

    @property
    def box(self) -> arb:
        return self.start.union(self.end).union(self.middle)

    def joining(
        self, fine_step: arb_series, wide_step: arb_series, wide_root: arb_series, half: arb
    ) -> tuple[arb_series, arb_series]:
        """The mass that joins per dy, about the middle and about all points; steps are what c gains, the root is in sqrt(|c - fold|)."""
        fine_mass, fine_score, wide_mass, wide_score = expansion(self.piece.branch, self.middle, self.box)
        toward = -self.piece.direction
        near = _followed(_without_constant(self.piece.sign * fine_score), fine_step)
        fine = fine_mass(near) * near.derivative() * toward
        if self.fold is None or bool(abs(self.middle - self.fold) > 8 * self.box.rad()):
            moved = _followed(_without_constant(self.piece.sign * wide_score), wide_step)
        else:
            side = 1 if bool(self.middle > self.fold) else -1
            moved = _followed(self._root(self.fold), side * wide_root)
        moved = _without_constant(_centred(near, moved, half * arb(0, 1)))
        return fine, wide_mass(moved) * moved.derivative() * toward

    def _root(self, fold: arb) -> arb_series:
        """(u - fold)·sqrt(|s - s(fold)|/(u - fold)²) about all points of the box, without its constant term.

        The quotient q is an integral of s'' between the fold and u, so its k-th Taylor coefficient is one of s of order k + 2 there.
        """
        before = ctx.cap
        ctx.cap = LENGTH + 2
        try:
            score = self.piece.branch.expand(self.box.union(fold))[1]
            quotient = [score[k + 2] for k in range(LENGTH)]
        finally:
            ctx.cap = before
        if bool(quotient[0] < 0):
            quotient = [-q for q in quotient]
        return _without_constant(arb_series([self.box - fold, 1]) * arb_series(quotient).sqrt())


def main_panel(main: Piece, start: arb, end: arb, others: Sequence[Dragged]) -> Panel:
    """The panel on which the boundary on the main piece moves from start to end, two exact numbers.

    ValueError, ArithmeticError or non-finite numbers where it fails.
    """
    way = 1 if bool(end > start) else -1
    centre, half = (start + end) / 2, abs(end - start) / 2
    fine_mass, fine_score, wide_mass, wide_score = (
        _turned(s, way) for s in expansion(main.branch, centre, start.union(end))
    )
    fine_score, wide_score = main.sign * fine_score, main.sign * wide_score
    return _panel(fine_mass, wide_mass, fine_score, wide_score, half, others, arb_series([0]))


def fold_panel(level: arb, side: int, start: arb, end: arb, pieces: Sequence[Dragged]) -> Panel:
    """The panel on which c = level - side·t², t from start to end, two exact numbers; t falls to 0 at a fold below (side -1)."""
    centre, half = (start + end) / 2, (end - start) / 2
    box = start.union(end)
    square = ZERO.union(abs(box).upper() ** 2)
    nothing = arb_series([0])
    return _panel(
        nothing,
        nothing,
        arb_series([level - side * centre * centre, -2 * side * centre, -side]),
        arb_series([level - side * square, -2 * side * box, -side]),
        half,
        pieces,
        arb_series([0, side]),
    )


def _panel(
    fine_mass: arb_series,
    wide_mass: arb_series,
    fine_score: arb_series,
    wide_score: arb_series,
    half: arb,
    others: Sequence[Dragged],
    root: arb_series,
) -> Panel:
    for other in others:
        fine, wide = other.joining(_without_constant(fine_score), _without_constant(wide_score), root, half)
        fine_mass, wide_mass = fine_mass + fine, wide_mass + wide
    return Panel(
        Taylor(coefficients(fine_mass), coefficients(wide_mass), half),
        Taylor(coefficients(fine_mass * fine_score), coefficients(wide_mass * wide_score), half),
    )
