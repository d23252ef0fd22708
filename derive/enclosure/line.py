"""Masses of intervals under an even density on the line, enclosed: one march over panels gives the distribution function everywhere.

The density of |x| is exp(-psi(r)), psi nondecreasing. In u = log r its Taylor series on panels are kept: the mass up to a point is what
lies on the panels before it and the polynomial's integral up to the point. The same polynomials in floats serve searches.
"""

from __future__ import annotations

import numpy as np
from flint import arb, ctx

from derive.enclosure.ball import hull
from derive.enclosure.radial import RadialDensity
from derive.enclosure.series import FAILED, ORDER, Piece, integrated
from derive.enclosure.taylor import Undecided, coefficients
from derive.enclosure.witness import LevelSet

Array = np.ndarray
BITS = 32
"""Masses are enclosed to about 2**-(BITS + 62) of the whole."""
PRECISION = 150 + BITS


class LineLaw(LevelSet):
    """The law of one coordinate (exponent 1), or of a norm with a random sign.

    Args:
        density: psi must not decrease (the caller has proved it).
        convex: whether psi is proved convex, which bounds tails that nothing else does.

    Raises:
        ArithmeticError: a tail could not be bounded or a panel not be integrated.
    """

    def __init__(self, density: RadialDensity, convex: bool) -> None:
        if not density.exponent.is_Integer:
            raise ValueError(f"the exponent must be a whole number, not {density.exponent}")
        self.convex = convex
        before, ctx.prec = ctx.prec, PRECISION
        try:
            super().__init__(density, int(density.exponent), BITS)
            self._panels()
        finally:
            ctx.prec = before

    def _upper_tail(self, slack: arb) -> tuple[arb, arb]:
        try:
            return super()._upper_tail(slack)
        except ArithmeticError:
            if not self.convex:
                raise
        for extra in range(
            0, 64, 4
        ):  # psi lies above its tangent, so the density's tail is below a geometric one
            start = arb(self._end(slack, 1) + extra / 64)
            rate = self.steepness.at(start) - (self.dim if self.dim > 1 else 0)
            if bool(rate > 0) and bool(self._height(start) / rate < slack):
                return start, self._height(start) / rate
        raise ArithmeticError("the upper tail of the density could not be bounded")

    def _panels(self) -> None:
        law = self.law
        found: dict[float, tuple[arb, arb, Piece, list[arb] | None]] = {}

        def panel(start: arb, half: arb) -> Piece:
            piece, terms = FAILED, None
            try:
                series = law._mass(start + half, half)
                piece = integrated(series, half)
                terms = coefficients(series.centre, ORDER)
            except Undecided:
                pass
            if not bool(piece.error < law.slack):
                crude = law.crude_mass(start, half)
                if bool(crude.error < piece.error):
                    piece, terms = crude, None
            found[float(start.mid())] = (start, half, piece, terms)  # what was accepted comes last
            return piece

        inside = law.march(panel)
        self.inside = inside
        self.starts = [entry[0] for _, entry in sorted(found.items())]
        self.halves = [entry[1] for _, entry in sorted(found.items())]
        self.pieces = [entry[2] for _, entry in sorted(found.items())]
        self.terms = [entry[3] for _, entry in sorted(found.items())]
        self.sums = [arb(0)]
        for piece in self.pieces:
            self.sums.append(self.sums[-1] + piece.value)
        self._float_starts = np.array([float(x.mid()) for x in self.starts])
        self._float_halves = np.array([float(x.mid()) for x in self.halves])
        self._float_sums = np.array([float(x.mid()) for x in self.sums])
        rows = [
            [float((c * h / (k + 1)).mid()) for k, c in enumerate(t)] if t else [float((p.value / 2).mid())] + [0.0] * (ORDER - 1)
            for t, h, p in zip(self.terms, self.halves, self.pieces, strict=True)
        ]  # fmt: skip
        self._float_terms = np.array(rows).T  # of the integral, without its constant
        self._float_total = self._float_sums[-1]

    def below(self, point: arb) -> arb:
        """P(0 < x ≤ point) for a point > 0."""
        before, ctx.prec = ctx.prec, PRECISION
        try:
            return self._below(point) / self.total / 2
        finally:
            ctx.prec = before

    def _below(self, point: arb) -> arb:
        whole = self.inside + self.outside
        if self.density.bound is not None and bool(point.log() >= self.law.ceiling):
            return whole
        u = point.log()
        spare = self.outside  # [0, what is left out]
        if not bool(u > self.starts[0]):
            return hull(arb(0), self.outside.upper())
        if bool(u >= self.law.high):
            return self.inside + spare
        n = max(int(np.searchsorted(self._float_starts, float(u.mid()), side="right")) - 1, 0)
        piece, half, terms = self.pieces[n], self.halves[n], self.terms[n]
        x = (u - self.starts[n]) / half - 1
        if terms is None or not bool(abs(x) <= 1):  # between panels, or no series here
            part = hull(arb(0), piece.value)
            if n:
                part = hull(part, -self.pieces[n - 1].value)
            return self.sums[n] + part + spare
        high = low = arb(0)
        for k in range(ORDER - 1, -1, -1):
            c = terms[k] / (k + 1)
            high, low = (high * x + c), (c - low)
        return self.sums[n] + half * (high * x + low) + arb(0, piece.error.upper()) + spare

    def below_floats(self, points: Array) -> Array:
        """The same for an array of numbers of either sign (odd in the point), in floats."""
        size = np.abs(points)
        with np.errstate(divide="ignore"):
            u = np.log(size)
        u = np.clip(u, self._float_starts[0], self._float_starts[-1] + 2 * self._float_halves[-1])
        n = np.clip(np.searchsorted(self._float_starts, u, side="right") - 1, 0, self._float_starts.size - 1)
        x = np.clip((u - self._float_starts[n]) / self._float_halves[n] - 1, -1.0, 1.0)
        high, low = np.zeros_like(u), np.zeros_like(u)
        for k in range(ORDER - 1, -1, -1):
            c = self._float_terms[k][n]
            high, low = high * x + c, c - low
        value = (self._float_sums[n] + high * x + low) / self._float_total
        return np.asarray(np.sign(points) * 0.5 * np.where(size > 0, value, 0.0))

    def losses(self, points: Array, shift: float) -> Array:
        """psi(|x|) - psi(|x - shift|) in floats; inf where the density vanishes at x alone, -inf where at x - shift alone."""
        first, second = self._psi_floats(points), self._psi_floats(points - shift)
        with np.errstate(invalid="ignore"):
            return np.where(np.isposinf(first) & np.isposinf(second), -np.inf, first - second)

    def _psi_floats(self, points: Array) -> Array:
        with np.errstate(divide="ignore"):
            u = np.log(np.abs(points))
        top = self.floats.ceiling if self.density.bound is not None else np.inf
        value = self.psi.array(np.maximum(u, -600.0))
        return np.where(u < top, np.where(np.isnan(value), np.inf, value), np.inf)
