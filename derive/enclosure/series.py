"""Panels of a rigorous integral: functions as Taylor series with enclosed remainders, and how wide a panel may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flint import arb, arb_series, ctx

from derive.enclosure.taylor import Undecided, coefficients

ORDER = 31
"""Coefficients of a panel's series; the next one bounds the remainder."""


@dataclass(frozen=True)
class Piece:
    """An integral over a panel, the error in it, the part that shrinks with the panel and the power of the width it follows."""

    value: arb
    error: arb
    order: int
    remainder: arb | None = None  # None: all of the error


FAILED = Piece(arb(0), arb("inf"), 1)


@dataclass(frozen=True)
class Series:
    """A function on a panel, x in [-1, 1]: coefficients about 0, and about every point at once."""

    centre: arb_series
    whole: arb_series


class Terms:
    """Series of this length inside a with block."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> None:
        self.before, ctx.cap = ctx.cap, self.count

    def __exit__(self, *exception: object) -> None:
        ctx.cap = self.before


def exponential(log: Series) -> Series:
    with Terms(ORDER):
        centre = log.centre.exp()
    with Terms(ORDER + 1):
        return Series(centre, log.whole.exp())


def quotient(x: arb_series, y: arb_series) -> arb_series:
    try:
        return x / y
    except (ValueError, ZeroDivisionError) as problem:
        raise Undecided("psi is too flat here") from problem


def check(value: arb) -> None:
    if not value.is_finite():
        raise Undecided("the series cannot be bounded on this panel")


def integrated(f: Series, half: arb) -> Piece:
    terms = coefficients(f.centre, ORDER)
    last = coefficients(f.whole, ORDER + 1)[ORDER]
    check(last)
    error = (abs(last) * half * 2 / (ORDER + 1)).upper()
    value = sum((terms[k] / (k + 1) for k in range(0, ORDER, 2)), arb(0)) * half * 2
    return Piece(value + arb(0, error), error + value.rad(), ORDER, error)


def short(half: arb) -> arb:
    """A number near `half` of few bits, so that sums of panels stay exact."""
    fraction, exponent = math.frexp(float(half.mid()))
    return arb(math.floor(fraction * 64)) * arb(2) ** (exponent - 6)


def growth(piece: Piece, slack: arb) -> float:
    """By what a panel may grow, or must shrink, for its error to come near `slack`."""
    error = piece.error if piece.remainder is None or not bool(piece.error < slack) else piece.remainder
    ratio = float((error / slack).mid()) if error.is_finite() else math.inf
    if not math.isfinite(ratio):
        return 0.4
    if ratio < 1:  # errors grow faster than the power of the order, so not the whole way
        return min(3.0, 0.85 * max(ratio, 1e-100) ** (-0.6 / piece.order))
    return max(0.3, 0.85 * ratio ** (-1.0 / piece.order))
