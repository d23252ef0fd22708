"""Taylor panels of the greedy sets {s ≥ c} of a radial density: mass, share and radius as c falls, every error enclosed.

On a panel one boundary point, u = log r on the main piece, moves by y ∈ [-half, half]; the boundary points on the other pieces follow by
power series reversion, s_k(u_k(y)) = s(u(y)). A function f of y is Σ_{k<N} f_k y**k + f_N(y) y**N: f_k from series about the middle,
f_N(y) from the same series about the balls of all boundary points (Lagrange's remainder).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb, arb_series

from derive.pieces import Branch, Piece
from derive.span import ZERO

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
    found = coefficients(wide)
    square = arb(0).union(abs(offset).upper() ** 2)
    found[0] = _tighter(found[0], fine[0] + fine[1] * offset + found[2] * square)
    found[1] = _tighter(found[1], fine[1] + 2 * found[2] * offset)
    return arb_series(found)


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


def panel(main: Piece, start: arb, end: arb, others: Sequence[tuple[Piece, arb, arb, arb]]) -> Panel:
    """The panel on which the main boundary moves from start to end, two exact numbers; ValueError or non-finite numbers where it fails.

    `others`: (piece, start, middle, end) of the boundary on every other piece of the set, balls.
    """
    way = 1 if bool(end > start) else -1
    centre, half = (start + end) / 2, abs(end - start) / 2
    fine_mass, fine_score, wide_mass, wide_score = (
        _turned(s, way) for s in expansion(main.branch, centre, start.union(end))
    )
    fine_score, wide_score = main.sign * fine_score, main.sign * wide_score
    fine_total, wide_total = fine_mass, wide_mass
    fine_step, wide_step = _without_constant(fine_score), _without_constant(wide_score)
    for piece, first, middle, last in others:
        toward = -piece.direction
        fine_own, fine_s, wide_own, wide_s = expansion(piece.branch, middle, first.union(last).union(middle))
        for own, s, step in ((fine_own, fine_s, fine_step), (wide_own, wide_s, wide_step)):
            moved = _without_constant(piece.sign * s).reversion()(step)
            joined = own(moved) * moved.derivative() * toward
            if own is fine_own:
                fine_total = fine_total + joined
            else:
                wide_total = wide_total + joined
    return Panel(
        Taylor(coefficients(fine_total), coefficients(wide_total), half),
        Taylor(coefficients(fine_total * fine_score), coefficients(wide_total * wide_score), half),
    )
