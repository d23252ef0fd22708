"""The radius that a chain of proved level cells gives: L(p) = the largest distance e(x) with fail(x) ≥ p."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from flint import arb, arb_poly, ctx

from derive.enclosure.cells import LevelCell

NEWTON = 40
EXACT = 4000
"""Bits at which nothing is rounded; where that fails, balls are not points and a check says so."""
_CLOSE = 2.0**-80
T = TypeVar("T")


@dataclass(frozen=True)
class Piece:
    """One level cell: R(1 - p) ≥ centre + half·x wherever p ≤ fail(x), -1 ≤ x ≤ 1."""

    cell: LevelCell

    @cached_property
    def fail(self) -> arb_poly:
        return arb_poly(list(self.cell.fail))

    @cached_property
    def slope(self) -> arb_poly:
        return self.fail.derivative()

    @cached_property
    def low(self) -> arb:
        return _exactly(lambda: self.cell.centre - self.cell.half)

    @cached_property
    def high(self) -> arb:
        return _exactly(lambda: self.cell.centre + self.cell.half)

    @cached_property
    def ends(self) -> tuple[arb, arb]:
        """fail at x = -1 and at x = 1."""
        return self.fail(arb(-1)), self.fail(arb(1))

    @cached_property
    def gap(self) -> arb_poly | None:
        """(1/2 - fail)/(1 + x), where fail(-1) is exactly 1/2 and e(-1) exactly 0; None elsewhere."""
        if not bool(self.low == 0):
            return None
        quotient = _exactly(self._divided)
        return None if quotient is None else arb_poly(quotient)

    def _divided(self) -> list[arb] | None:
        whole = arb_poly([arb(0.5)]) - self.fail
        quotient, carry = [], arb(0)
        for n in range(whole.degree(), 0, -1):
            carry = whole[n] - carry
            quotient.append(carry)
        return quotient[::-1] if bool(whole[0] - carry == 0) else None

    def place(self, p: arb, gap: arb) -> arb:
        """x with fail(x) = p = 1/2 - gap, or the nearer end, nearly (nothing proved); gap is used where it is accurate."""
        x = self._start(p)
        for _ in range(NEWTON):
            excess = gap - (1 + x) * self.gap(x) if self.gap is not None else self.fail(x) - p
            step = (excess / -self.slope(x)).mid()
            x = (x + step).mid().max(arb(-1)).min(arb(1))
            if bool(abs(step) <= _CLOSE * abs(1 + x)):
                break
        return x

    def _start(self, p: arb) -> arb:
        """By bisection, far enough for Newton's iteration."""
        low, high = -1.0, 1.0
        for _ in range(12):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if bool(self.fail(arb(middle)) > p) else (low, middle)
        return arb(0.5 * (low + high))


def _exactly(compute: Callable[[], T]) -> T:
    """At a precision at which sums of the cells' numbers are not rounded."""
    before, ctx.prec = ctx.prec, EXACT
    try:
        return compute()
    finally:
        ctx.prec = before


class Chain:
    """Level cells from e = 0 on, each starting where the last one ends; ValueError if they do not join."""

    def __init__(self, cells: Sequence[LevelCell]) -> None:
        self.pieces = [Piece(cell) for cell in cells]
        if not self.pieces or self.pieces[0].gap is None:
            raise ValueError("level cells must start at distance 0 with fail = 1/2 exactly")
        for before, after in zip(self.pieces, self.pieces[1:], strict=False):
            if not bool(before.high == after.low):
                raise ValueError(
                    f"level cells must join: one ends at {before.high}, the next starts at {after.low}"
                )
        self._falling = [-float(piece.ends[1].mid()) for piece in self.pieces]

    @property
    def least(self) -> arb:
        """The smallest fail probability that is reached."""
        return self.pieces[-1].ends[1]

    def index(self, p: arb) -> int:
        """The piece for p: the first one whose fail reaches down to it."""
        return min(bisect_left(self._falling, -float(p.mid())), len(self.pieces) - 1)

    def distance(self, p: arb, gap: arb) -> arb:
        """L(p) at p = 1/2 - gap, nearly; to guide the fit, nothing proved."""
        piece = self.pieces[self.index(p)]
        return (piece.low + piece.cell.half * (1 + piece.place(p, gap))).mid()
