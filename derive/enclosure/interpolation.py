"""Polynomials through proved values: interpolation in ball arithmetic with every error added up, and signs of polynomials on [-1, 1]."""

from __future__ import annotations

import math
from functools import lru_cache

from flint import arb, arb_mat, arb_poly, ctx, fmpz_poly

NODE_BITS = 16
"""Nodes are Chebyshev's, rounded to multiples of 2**-NODE_BITS: products with few-bit widths stay doubles."""
KEPT_BITS = 110
SIGN_PARTS = 64
LEBESGUE_PARTS = 128
_LEFT, _RIGHT = arb(-1), arb(1)


class Interpolation:
    """Values at `count` nodes in [-1, 1] and the polynomial of that many terms through them.

    For f with |f⁽ⁿ⁾|/n! ≤ C on [-1, 1] (n = count) the error is at most `product`·C: product bounds the monic polynomial of the nodes.
    Values off by ε at most move the polynomial by at most `lebesgue`·ε.
    """

    def __init__(self, count: int) -> None:
        scale = 2**NODE_BITS
        places = [-round(math.cos(math.pi * (2 * k + 1) / (2 * count)) * scale) for k in range(count)]
        self.nodes = [arb(place) / scale for place in places]
        self.basis = [fmpz_poly.chebyshev_t(k) for k in range(count + 1)]
        values = arb_mat([[arb_poly(self.basis[k])(x) for k in range(count)] for x in self.nodes])
        self.inverse = values.inv()
        monic = arb_poly([1])
        for x in self.nodes:
            monic *= arb_poly([-x, 1])
        self.product = sum((abs(c) for c in self._chebyshev(list(monic.coeffs()))), arb(0)).upper()
        self.lebesgue = self._lebesgue()

    def _lebesgue(self) -> arb:
        """At least the sum of the absolute values of the nodes' basis polynomials, everywhere on [-1, 1]."""
        count, worst, width = len(self.nodes), arb(0), arb(1) / LEBESGUE_PARTS
        rows = [arb_poly(self.basis[j]) for j in range(count)]
        basis = [
            sum((self.inverse[j, k] * rows[j] for j in range(count)), arb_poly([0])) for k in range(count)
        ]
        for n in range(LEBESGUE_PARTS):
            line = arb_poly([(2 * n + 1) * width - 1, width])
            worst = worst.max(sum((abs(one(line)(arb(0, 1))) for one in basis), arb(0)).upper())
        return worst

    def _chebyshev(self, terms: list[arb]) -> list[arb]:
        """The coefficients of the same polynomial in Chebyshev's."""
        rest, found = list(terms), [arb(0)] * len(terms)
        for k in range(len(terms) - 1, -1, -1):
            lead = [int(c) for c in self.basis[k].coeffs()]
            found[k] = rest[k] / lead[k]
            for j, c in enumerate(lead):
                rest[j] -= found[k] * c
        return found

    def through(self, values: list[arb]) -> tuple[list[arb], arb]:
        """Exact monomial coefficients of a polynomial, and how far it is on [-1, 1] from any that takes values in these balls."""
        column = self.inverse * arb_mat([[value] for value in values])
        found = [column[k, 0] for k in range(len(values))]
        size = max(abs(c).upper() for c in found)
        unit = arb(2) ** (math.frexp(float(size))[1] - KEPT_BITS)
        terms, error = [arb(0)] * len(values), arb(0)
        for k, value in enumerate(found):
            kept = (value / unit).mid().floor().mid() * unit
            error += abs(value - kept)
            for j, c in enumerate(self.basis[k].coeffs()):
                terms[j] += kept * int(c)
        if not all(c.is_exact() for c in terms):
            raise RuntimeError(f"internal check failed: {ctx.prec} bits are too few for an exact polynomial")
        return terms, error.upper()


@lru_cache(maxsize=8)
def interpolation(count: int, precision: int) -> Interpolation:
    """At the current precision, which is part of the key."""
    if precision != ctx.prec:
        raise RuntimeError(f"internal check failed: asked for {precision} bits, the precision is {ctx.prec}")
    return Interpolation(count)


def value(terms: list[arb] | tuple[arb, ...], place: arb) -> arb:
    """The polynomial with these monomial coefficients at a ball."""
    return arb_poly(list(terms))(place)


def negative(terms: list[arb] | tuple[arb, ...], low: arb = _LEFT, high: arb = _RIGHT) -> bool:
    """Whether the polynomial is proved negative on [low, high]: by its Taylor series about the midpoints of parts."""
    polynomial, width = arb_poly(list(terms)), (high - low) / (2 * SIGN_PARTS)
    for k in range(SIGN_PARTS):
        shifted = polynomial(arb_poly([low + (2 * k + 1) * width, width]))
        if not bool(shifted(arb(0, 1)) < 0):
            return False
    return True
