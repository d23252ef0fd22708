"""Integrals of sphere-cap probabilities over a radial law, enclosed: the masses of a likelihood-ratio set and of its shift.

With x of radius r and ‖v‖ = e, the points where psi(|x + v|) - psi(|x|) > t are a cap of every sphere: the cosine of x with v exceeds
-z, z = (r² + e² - s²)/(2 e r), psi(s) = psi(r) + t. So the mass is E_r F(z), F the distribution function of the cosine, whose density is
∝ (1 - z²)**((d-3)/2). Everything is integrated in u = log r by Taylor series on panels; the remainder is the N-th coefficient of
the integrand enclosed over the whole panel. Where F is no series (z near ±1, kinks) panels shrink until bounds are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from flint import arb, arb_series

from derive.enclosure.ball import hull
from derive.enclosure.cosine import cosine_distribution, log_density, log_norm, tail_bound
from derive.enclosure.masses import FARTHEST, RadialMass
from derive.enclosure.rise import Rise
from derive.enclosure.series import (
    FAILED,
    ORDER,
    Piece,
    Series,
    Terms,
    check,
    exponential,
    integrated,
)
from derive.enclosure.taylor import Undecided, coefficients, constant_term, recentred


@dataclass(frozen=True)
class Shift:
    """The set psi(|x + v|) > psi(|x|) + level for side = 1; psi(|x - v|) < psi(|x|) - level for side = -1; ‖v‖ = distance."""

    side: int
    level: arb
    distance: arb


def cap_mass(law: RadialMass, shift: Shift) -> arb:
    """∫ F(z) over the law's panels for side = 1, ∫ F(-z) for side = -1: not divided by the total. ArithmeticError when not enclosed."""
    return law.march(_Sweep(law, shift).panel)


class _Sweep:
    """One pass over the radii; the value of F at the end of a panel starts the next."""

    def __init__(self, integrals: RadialMass, shift: Shift) -> None:
        self.all, self.shift = integrals, shift
        self.guess: arb | None = None
        self.carried: arb | None = None
        self.known = True  # F was constant on the last panel
        self.log_distance = shift.distance.log()
        self.rise = Rise(integrals, shift.side * shift.level)

    def panel(self, start: arb, half: arb) -> Piece:
        ways = [self._bounded, self._smooth] if self.known else [self._smooth, self._bounded]
        best = FAILED
        for way in ways:
            try:
                piece, carried, guess = way(start, half)
            except Undecided:
                continue
            if bool(piece.error < best.error):
                best = piece
            if bool(piece.error < self.all.slack):
                self.carried, self.guess = carried, guess
                self.known = way == self._bounded and piece.order == ORDER
                break
        return best

    def _smooth(self, start: arb, half: arb) -> tuple[Piece, arb | None, arb]:
        centre = start + half
        levels, log = self.all.log_density(centre, half)
        self.rise.guess = self.guess  # of the last panel that was taken
        ratio, error = self.rise.log_ratio(centre, half, levels)
        cosine = self._cosine(centre, half, ratio)
        end = sum(coefficients(ratio.centre, ORDER), centre + half)
        certain = constant_term(cosine.whole)
        swing = self._swing(centre + half * arb(0, 1), constant_term(ratio.whole) + arb(0, error)) * error
        certain += arb(0, swing.upper())
        if bool(certain <= -1):
            return Piece(arb(0), arb(0), ORDER), None, end
        mass = exponential(log)
        if bool(certain >= 1):
            return integrated(mass, half), None, end
        extreme = self._nearly_constant(certain, mass, half)
        if extreme is not None:
            return extreme, None, end
        _inside(certain)
        if self.all.dim > 1:
            swing = (swing * log_density(self.all.dim, certain).exp()).upper()
        inside = self._distribution(cosine, swing)
        with Terms(ORDER + 1):
            product = Series(mass.centre * inside.centre, mass.whole * inside.whole)
        piece = integrated(product, half)
        error = swing * (constant_term(mass.whole) * half * 2).upper()
        piece = Piece(
            piece.value + arb(0, error), piece.error + error, ORDER, (piece.remainder or arb(0)) + error
        )
        drift = (abs(coefficients(inside.whole, ORDER + 1)[ORDER]) + swing).upper()
        carried = sum(coefficients(inside.centre, ORDER), arb(0)) + arb(0, drift)
        return piece, carried, end

    def _swing(self, u: arb, ratio: arb) -> arb:
        """A bound of |dz/d log s| = (r/e)·(s/r)²."""
        return (u - self.log_distance + 2 * ratio).exp().upper()

    def _nearly_constant(self, cosine: arb, mass: Series, half: arb) -> Piece | None:
        """Where F or 1 - F is negligible, from F(z) ≤ (1 - z²)**((d-1)/2)/2 for z ≤ 0."""
        if self.all.dim == 1 or not (bool(cosine < 0) or bool(cosine > 0)):
            return None
        rest = tail_bound(self.all.dim, abs(cosine))
        most = (constant_term(mass.whole) * half * 2).upper()
        if not bool(rest * most < self.all.slack / 256):
            return None
        if bool(cosine < 0):
            return Piece(hull(arb(0), rest * most), rest * most, 1)
        piece = integrated(mass, half)
        return Piece(piece.value - hull(arb(0), rest * most), piece.error + rest * most, ORDER)

    def _cosine(self, centre: arb, half: arb, ratio: Series) -> Series:
        """side·z with z = (e/r - (r/e)·((s/r)² - 1))/2."""

        def value(u: arb_series, log_ratio: arb_series) -> arb_series:
            log = u - self.log_distance
            return ((-log).exp() - log.exp() * ((2 * log_ratio).exp() - 1)) * (self.shift.side * arb(0.5))

        with Terms(ORDER):
            cosine = value(arb_series([centre, half]), ratio.centre)
        with Terms(ORDER + 1):
            last = coefficients(value(arb_series([centre + half * arb(0, 1), half]), ratio.whole), ORDER + 1)[
                ORDER
            ]
            check(last)
            return Series(cosine, recentred(coefficients(cosine, ORDER), last))

    def _distribution(self, cosine: Series, swing: arb) -> Series:
        """F of this series along the panel: the integral of its density times its slope; F of the true cosine is within `swing`."""
        if self.all.dim == 1:
            with Terms(ORDER + 1):
                return Series(arb_series([arb(0.5)]), arb_series([arb(0.5)]))
        power = arb(self.all.dim - 3) / 2
        with Terms(ORDER):
            log = power * (1 - cosine.centre * cosine.centre).log() + log_norm(self.all.dim)
        with Terms(ORDER + 1):
            last = power * coefficients((1 - cosine.whole * cosine.whole).log(), ORDER + 1)[ORDER]
            check(last)
            density = exponential(Series(log, recentred(coefficients(log, ORDER), last)))
        with Terms(ORDER):
            slope = coefficients(density.centre * cosine.centre.derivative(), ORDER - 1)
            terms = [arb(0), *(slope[k] / (k + 1) for k in range(ORDER - 1))]
        with Terms(ORDER + 1):
            slope = coefficients(density.whole * cosine.whole.derivative(), ORDER)
            last = slope[ORDER - 1] / ORDER
            check(last)
            terms[0] = self._constant(terms, last, constant_term(cosine.centre), swing)
            return Series(arb_series(terms), recentred(terms, last))

    def _constant(self, terms: list[arb], last: arb, cosine: arb, swing: arb) -> arb:
        if self.carried is not None:
            at_start = sum((-t if k % 2 else t for k, t in enumerate(terms)), arb(0))
            value = self.carried - at_start + arb(0, (abs(last) + swing).upper())
            if bool(value.rad() < self.all.slack / 8):
                return value
        return cosine_distribution(self.all.dim, cosine)

    def _bounded(self, start: arb, half: arb) -> tuple[Piece, arb | None, arb]:
        """F between its extremes on the panel."""
        end = start + 2 * half
        guess = start if self.guess is None else self.guess
        first = self.all.level(self.all.psi.at(start) + self.rise.level, guess)
        final = self.all.level(self.all.psi.at(end) + self.rise.level, first)
        low, high = self._cosine_range(start, end, first, final)
        if self.shift.side < 0:
            low, high = -high, -low
        least, most = self._at(low), self._at(high)
        if most == 0:
            return Piece(arb(0), arb(0), ORDER), None, final
        mass = self.all.mass_piece(start, half)
        between = (mass.value * (most - least)).upper()
        value = mass.value * hull(least, most)
        return (
            Piece(value, mass.error * most + between, min(mass.order, ORDER if most == least else 2)),
            None,
            final,
        )

    def _at(self, cosine: arb) -> arb:
        if bool(cosine >= 1):
            return arb(1)
        if bool(cosine <= -1):
            return arb(0)
        return cosine_distribution(self.all.dim, cosine)

    def _cosine_range(self, start: arb, end: arb, first: arb, final: arb) -> tuple[arb, arb]:
        """Bounds of z where r rises from start to end and s from first to final: the better of two forms, each good where the other is not."""
        e, radii = self.shift.distance, (start.exp(), end.exp())
        over, under = e * e - _squared(final), e * e - _squared(first)
        high = _largest([r + under / r for r in radii])
        low = _smallest([r + over / r for r in radii])
        if not (
            bool(over < radii[0] ** 2) or bool(over > radii[1] ** 2)
        ):  # the smallest value may be where r² = e² - s²
            low = _smallest([low, 2 * over.max(arb(0)).sqrt()])
        direct = hull(low / (2 * e), high / (2 * e))
        try:
            slope = self.all.steepness.at(hull(start, end)) / self.all.steepness.at(hull(first, final)) - 1
        except Undecided:
            slope = arb("nan")
        if slope.is_finite() and bool(first > -FARTHEST) and bool(final < self.all.ceiling):
            ratio = first - start + hull(arb(0), end - start) * slope
            r = hull(*radii)
            centred = (e / r - r / e * ((2 * ratio).exp() - 1)) / 2
            return _largest([direct.lower(), centred.lower()]), _smallest([direct.upper(), centred.upper()])
        return direct.lower(), direct.upper()


def _inside(cosine: arb) -> None:
    if not bool(abs(cosine) < 1):
        raise Undecided("the cap may be empty or whole here")


def _squared(log: arb) -> arb:
    return (2 * log).exp() if bool(log > -FARTHEST) else hull(arb(0), (2 * log).exp().upper())


def _largest(values: list[arb]) -> arb:
    return reduce(lambda a, b: a.max(b), values)


def _smallest(values: list[arb]) -> arb:
    return reduce(lambda a, b: a.min(b), values)
