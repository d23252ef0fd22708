"""A radial law in u = log r for rigorous integrals: its density on panels, levels of psi, and the march over the panels."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

from flint import arb, arb_series, ctx

from derive.enclosure.ball import hull
from derive.enclosure.series import (
    FAILED,
    ORDER,
    Piece,
    Series,
    Terms,
    exponential,
    growth,
    integrated,
    short,
)
from derive.enclosure.taylor import (
    LogRadial,
    Undecided,
    coefficients,
    constant_term,
    last_coefficient,
    recentred,
)

PANELS = 6000
NARROWEST = arb(2) ** -110
CAUTION, RELAXATION = 0.75, 1.1
FARTHEST = 800.0
"""Largest |log r| looked at for a level of psi."""


class RadialMass:
    """The measure exp(dim·u - psi(e^u) - reference) du on [low, high], psi nondecreasing; `slack` is the error allowed per panel.

    `ceiling` is the logarithm of the end of the support where there is one (bounded), else the largest u looked at.
    """

    def __init__(
        self,
        psi: LogRadial,
        steepness: LogRadial,
        dim: int,
        *,
        reference: arb,
        low: arb,
        high: arb,
        ceiling: arb,
        bounded: bool,
        slack: arb,
    ) -> None:
        self.psi, self.steepness, self.dim = psi, steepness, dim
        self.reference, self.low, self.high, self.ceiling, self.slack = reference, low, high, ceiling, slack
        self.bounded = bounded
        self.floor = psi.at(arb(-FARTHEST))
        self.top = self._top()

    def _top(self) -> arb:
        """psi at the end of the support; inf where it grows without bound, or may."""
        try:
            top = self.psi.at(self.ceiling) if self.bounded else arb("inf")
        except Undecided:
            return arb("inf")
        return top if top.is_finite() else arb("inf")

    def relaxed(self, slack: arb, low: arb, high: arb) -> RadialMass:
        """The same measure on a part of its range, with another error allowed per panel."""
        other = copy(self)
        other.slack, other.low, other.high = slack, low, high
        return other

    def total(self) -> arb:
        """The mass of [low, high]."""
        return self.march(self.mass_piece)

    def between(self, low: arb, high: arb) -> arb:
        """The mass of a part of [low, high]."""
        return self.march(self.mass_piece, low, high)

    def tilted(self) -> arb:
        """∫ 1/r over [low, high]."""

        def piece(start: arb, half: arb) -> Piece:
            try:
                _, log = self.log_density(start + half, half)
            except Undecided:
                return FAILED
            centre, whole = [start + half, half], [start + half * arb(0, 1), half]
            with Terms(ORDER):
                centred = log.centre - arb_series(centre)
            with Terms(ORDER + 1):
                return integrated(exponential(Series(centred, log.whole - arb_series(whole))), half)

        return self.march(piece)

    def march(
        self, panel: Callable[[arb, arb], Piece], low: arb | None = None, high: arb | None = None
    ) -> arb:
        """The sum over panels whose errors are below `slack`; a panel is given by its start and half width."""
        start, end = self.low if low is None else low, self.high if high is None else high
        total, half = arb(0), (end - start) / (64 if low is None else 2)
        limit = half
        for _ in range(PANELS):
            left = (end - start) / 2
            last = not bool(half < left)
            half = left if last else short(half)
            piece = panel(start, half)
            change = growth(piece, self.slack)
            if bool(piece.error < self.slack):
                total += piece.value
                if last:
                    return total
                start = start + 2 * half
                limit = limit * (change if change > 2 else RELAXATION)
            else:  # past this width errors grow fast: stay below it for a while
                limit = half * CAUTION
            half = (half * change).min(limit)
            if bool(half < NARROWEST):
                break
        raise ArithmeticError("the mass of a level set could not be enclosed: too many panels")

    def log_density(self, centre: arb, half: arb) -> tuple[Series, Series]:
        """psi and dim·u - psi - reference on a panel."""
        terms = [centre, half] + [arb(0)] * (ORDER - 2)
        with Terms(ORDER):
            u = arb_series(terms)
            psi = self.psi.series(u)
            log = self.dim * u - psi - self.reference
            height = constant_term(log).exp() * half
        last = last_coefficient(self.psi.series, terms, self.enough(height))
        with Terms(ORDER + 1):
            levels = Series(psi, recentred(coefficients(psi, ORDER), last))
            return levels, Series(log, recentred(coefficients(log, ORDER), -last))

    def enough(self, scale: arb) -> arb:
        """An error of this size, times `scale`, does not matter."""
        return self.slack / 256 / scale

    def _mass(self, centre: arb, half: arb) -> Series:
        _, log = self.log_density(centre, half)
        return exponential(log)

    def mass_piece(self, start: arb, half: arb) -> Piece:
        try:
            piece = integrated(self._mass(start + half, half), half)
        except Undecided:
            piece = FAILED
        return (
            piece
            if bool(piece.error < self.slack)
            else min(piece, self.crude_mass(start, half), key=lambda one: float(one.error))
        )

    def crude_mass(self, start: arb, half: arb) -> Piece:
        """The panel's width times the density's range there, psi being nondecreasing."""
        end = start + 2 * half
        try:
            low, high = self.psi.at(start), self.psi.at(end)
        except Undecided:
            return FAILED
        log = hull(self.dim * start - high, self.dim * end - low) - self.reference
        if not low.is_finite():
            return FAILED
        value = 2 * half * log.exp()
        if not high.is_finite():
            value = hull(arb(0), (2 * half * (self.dim * end - low - self.reference).exp()).upper())
        return Piece(value, value.rad() * 2, 2)

    def level(self, target: arb, guess: arb) -> arb:
        """An enclosure of u with psi(e^u) = target, within ±FARTHEST or bounded there; psi is nondecreasing."""
        if bool(target < self.floor):
            return arb(-FARTHEST - 1, 1)
        u = self._newton(target, guess)
        if u is None:
            u = self._bisected(target)
        step = (abs(u) + 1) * arb(2) ** (24 - ctx.prec)
        for _ in range(ctx.prec // 3):
            low, high = (u - step).lower(), (u + step).upper()
            above = not bool(high < self.ceiling) or bool(self.psi.at(high) > target)
            below = not bool(low > -FARTHEST) or bool(self.psi.at(low) < target)
            if above and below:
                if bool(high < self.ceiling):
                    return hull(low, high)
                if self.bounded:
                    return hull(low, self.ceiling)
                break
            step = step * 8
        raise Undecided("a level of the density could not be enclosed")

    def _newton(self, target: arb, guess: arb) -> arb | None:
        u = guess.mid()
        for _ in range(12):
            try:
                step = ((self.psi.at(u) - target) / self.steepness.at(u)).mid()
            except Undecided:
                return None
            if not step.is_finite() or bool(abs(step) > 8):
                return None
            u = (u - step).mid()
            if not bool(u < self.ceiling):
                return None
            if bool(abs(step) < (abs(u) + 1) * arb(2) ** (12 - ctx.prec // 2)):
                step = ((self.psi.at(u) - target) / self.steepness.at(u)).mid()
                return (u - step).mid() if step.is_finite() else None
        return None

    def _bisected(self, target: arb) -> arb:
        low, high = arb(-FARTHEST), self.ceiling.min(arb(FARTHEST))
        for _ in range(ctx.prec):
            middle = ((low + high) / 2).mid()
            value = self.psi.at(middle)
            if bool(value < target):
                low = middle
            elif bool(value > target) or not value.is_finite():  # past the range of numbers
                high = middle
            else:
                return middle
        return low
