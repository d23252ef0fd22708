"""Ball proofs that a float polynomial, as floats evaluate it, stays below the radius of a chain of level cells.

On a cell of p = 1 - rho (or of gap = 1/2 - p), u in [-1, 1], let Q(u) be the polynomial with its rounding error added. Then
fail(x(Q(u))) ≥ p(u) for all u says R(1 - p(u)) ≥ Q(u). The left side is a polynomial in u; so is the difference, and a
polynomial is at least its constant Chebyshev coefficient less the sum of the others' absolute values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

from flint import arb, arb_mat, arb_poly, fmpq

from derive.tables.curve import Chain, Piece

UNIT = 2.0**-53
"""Rounding of one operation, relative."""
_SHIFT = 2.0**-140
"""Relative width of what is given away where two pieces meet."""


@dataclass(frozen=True)
class Cell:
    """One range of gap or fail: mid + half·u, u in [-1, 1]; `near` for gap, where the polynomial is R/gap."""

    near: bool
    mid: float
    half: float

    @property
    def line(self) -> arb_poly:
        """gap or fail as a polynomial in u."""
        return arb_poly([arb(self.mid), arb(self.half)])

    @property
    def fail(self) -> arb_poly:
        return arb_poly([arb(0.5)]) - self.line if self.near else self.line


def rounding(coefficients: Sequence[float], near: bool) -> arb:
    """How much Horner's rule in double precision can exceed the polynomial on [-1, 1], each step fused or not.

    Per step fl(fl(s·u) + c): one rounding of the product (none when fused) and one of the sum. With `near`, the product by gap rounds
    once more, which is counted against the polynomial. Powers of two in u change nothing.
    """
    size = error = arb(0)
    for n, c in enumerate(reversed(coefficients)):
        if n:
            product = size + error
            error = error + UNIT * product
            size = size + abs(arb(c))
            error = error + UNIT * (size + error)
        else:
            size = abs(arb(c))
    if near:
        error = error + UNIT * (size + error)
    return error.upper()


def least(polynomial: arb_poly) -> arb:
    """A number that the polynomial is not below on [-1, 1]."""
    count = polynomial.degree() + 1
    if count < 1:
        return arb(0)
    column = arb_mat(count, 1, [polynomial[n] for n in range(count)])
    series = _to_chebyshev(count) * column
    rest = arb(0)
    for k in range(1, count):
        rest += abs(series[k, 0])
    return (series[0, 0] - rest).lower()


@lru_cache(maxsize=256)
def _to_chebyshev(count: int) -> arb_mat:
    """Row k, column n: the coefficient of T_k in x**n, all dyadic."""
    rows = [[arb(0)] * count for _ in range(count)]
    for n in range(count):
        for k in range(n % 2, n + 1, 2):
            share = fmpq(comb(n, (n - k) // 2), 2**n)
            rows[k][n] = arb(share if k == 0 else 2 * share)
    return arb_mat(rows)


def shortfall(chain: Chain, cell: Cell, coefficients: Sequence[float]) -> arb | None:
    """What has to be taken from the polynomial's constant term, relatively, for the proof to hold: 0 says that it is proved.

    A positive answer is nearly enough, and proves nothing. None where the polynomial is not monotone or leaves the chain.
    """
    polynomial = arb_poly([arb(c) for c in coefficients]) + arb_poly([rounding(coefficients, cell.near)])
    distance = polynomial * cell.line if cell.near else polynomial
    sign = 1 if cell.near else -1
    if not bool(least(sign * distance.derivative()) > 0):
        return None
    worst = arb(0)
    try:
        for piece, part, shift in _parts(chain, distance, sign):
            lack = _lack(piece, cell, polynomial, distance, part, shift)
            if lack is None:
                return None
            worst = worst.max(lack)
    except LookupError:
        return None
    return worst


def _lack(
    piece: Piece, cell: Cell, polynomial: arb_poly, distance: arb_poly, part: arb_poly, shift: arb
) -> arb | None:
    half = piece.cell.half
    ends = [distance(part(arb(end))) + shift for end in (-1, 1)]  # the distances between lie between
    if cell.near and cell.mid == cell.half and bool(piece.low == 0):
        ends[0] = arb(0).max(ends[0])  # distances rise from exactly 0
    if not all(bool(piece.low <= e) and bool(e <= piece.high) for e in ends):
        return None
    x = (distance(part) + arb_poly([shift - piece.cell.centre])) * (1 / half)
    if cell.near and piece.gap is not None:
        # 1/2 - fail(x) = (1 + x)·G(x) and 1 + x = gap·P/half: divided by gap
        ratio = polynomial(part) * (1 / half) * piece.gap(x)
        margin = least(arb_poly([arb(1)]) - ratio)
        return arb(0) if bool(margin >= 0) else -margin
    margin = least(piece.fail(x) - cell.fail(part))
    if bool(margin >= 0):
        return arb(0)
    falls = [abs(piece.slope(x(arb(end)))) / half * e for end, e in zip((-1, 1), ends, strict=True)]
    return (-margin / falls[0].min(falls[1])).upper()


def _parts(chain: Chain, distance: arb_poly, sign: int) -> Iterator[tuple[Piece, arb_poly, arb]]:
    """(piece, u as a polynomial in v on [-1, 1], what to add to the distance) for each piece that the distances pass, in order.

    LookupError where they leave the chain.
    """
    start, end = arb(-sign), arb(sign)
    low, high = distance(start), distance(end)
    if not (bool(low >= 0) and bool(high <= chain.pieces[-1].high)):
        raise LookupError
    shift = arb(0)
    for piece in chain.pieces:
        if not bool(piece.high > low):
            continue
        if bool(high <= piece.high):
            yield piece, _line(start, end), shift
            return
        cut = _crossing(distance, piece.high - shift, start, end)
        if bool(distance(cut) + shift > piece.high) or not bool(distance(cut) <= piece.high):
            raise LookupError
        yield piece, _line(start, cut), shift
        start = cut
        shift += piece.high * _SHIFT
    raise LookupError


def _line(start: arb, end: arb) -> arb_poly:
    return arb_poly([(start + end) / 2, (end - start) / 2])


def _crossing(distance: arb_poly, target: arb, start: arb, end: arb) -> arb:
    """A point where the distance is just below the target, within _SHIFT of it."""
    slope = distance.derivative()
    goal = target - target * (_SHIFT / 4)
    u = ((start + end) / 2).mid()
    for _ in range(60):
        step = ((goal - distance(u)) / slope(u)).mid()
        u = (u + step).mid().max(arb(-1)).min(arb(1))
        if bool(abs(goal - distance(u)) < target * _SHIFT / 8):
            return u
    raise LookupError
