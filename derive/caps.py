"""Integrals of sphere-cap probabilities over a radial law, enclosed: the masses of a likelihood-ratio set and of its shift.

With x of radius r and ‖v‖ = e, the points where psi(|x + v|) - psi(|x|) > t are a cap of every sphere: the cosine of x with v exceeds
-z, z = (r² + e² - s²)/(2 e r), psi(s) = psi(r) + t. So the mass is E_r F(z), F the distribution function of the cosine, whose density is
∝ (1 - z²)**((d-3)/2). Everything is integrated in u = log r by Taylor series on panels; the remainder is the N-th coefficient of
the integrand enclosed over the whole panel. Where F is no series (z near ±1, kinks) panels shrink until bounds are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from flint import arb, arb_series, ctx

from derive.ball import hull
from derive.taylor import (
    LogRadial,
    Undecided,
    coefficients,
    constant_term,
    last_coefficient,
    recentred,
)

ORDER = 31
"""Coefficients of a panel's series; the next one bounds the remainder."""
PANELS = 6000
NARROWEST = arb(2) ** -110
CAUTION, RELAXATION = 0.75, 1.1
FARTHEST = 800.0
"""Largest |log r| looked at for a level of psi."""
_ACCURATE = 2.0**-40


@dataclass(frozen=True)
class Shift:
    """The set psi(|x + v|) > psi(|x|) + level for side = 1; psi(|x - v|) < psi(|x|) - level for side = -1; ‖v‖ = distance."""

    side: int
    level: arb
    distance: arb


@dataclass(frozen=True)
class _Piece:
    """An integral over a panel, the error in it, the part that shrinks with the panel and the power of the width it follows."""

    value: arb
    error: arb
    order: int
    remainder: arb | None = None  # None: all of the error


_FAILED = _Piece(arb(0), arb("inf"), 1)


@dataclass(frozen=True)
class _Series:
    """A function on a panel, x in [-1, 1]: coefficients about 0, and about every point at once."""

    centre: arb_series
    whole: arb_series


class CapIntegrals:
    """Integrals against exp(dim·u - psi(e^u) - reference) du over [low, high]; `tail` bounds the mass outside.

    `slack` is the error allowed per panel, an absolute one.
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
        slack: arb,
    ) -> None:
        self.psi, self.steepness, self.dim = psi, steepness, dim
        self.reference, self.low, self.high, self.ceiling, self.slack = reference, low, high, ceiling, slack
        self.log_norm = (
            (arb(dim) / 2).lgamma() - (arb(dim - 1) / 2).lgamma() - arb.pi().log() / 2 if dim > 1 else arb(0)
        )

        self.floor = psi.at(arb(-FARTHEST))

    def total(self) -> arb:
        """The mass of [low, high]."""

        return self._march(self._mass_piece)

    def mass(self, shift: Shift) -> arb:
        """∫ F(z) over [low, high] for side = 1, ∫ F(-z) for side = -1: not divided by the total."""
        return self._march(_Sweep(self, shift).panel)

    def _march(self, panel: Callable[[arb, arb], _Piece]) -> arb:
        """The sum over panels whose errors are below `slack`; a panel is given by its start and half width."""
        total, start, half = arb(0), self.low, (self.high - self.low) / 64
        limit = half
        for _ in range(PANELS):
            left = (self.high - start) / 2
            last = not bool(half < left)
            half = left if last else _short(half)
            piece = panel(start, half)
            growth = _growth(piece, self.slack)
            if bool(piece.error < self.slack):
                total += piece.value
                if last:
                    return total
                start = start + 2 * half
                limit = limit * (growth if growth > 2 else RELAXATION)
            else:  # past this width errors grow fast: stay below it for a while
                limit = half * CAUTION
            half = (half * growth).min(limit)
            if bool(half < NARROWEST):
                break
        raise ArithmeticError("the mass of a level set could not be enclosed: too many panels")

    def _log_density(self, centre: arb, half: arb) -> tuple[_Series, _Series]:
        """psi and dim·u - psi - reference on a panel."""
        terms = [centre, half] + [arb(0)] * (ORDER - 2)
        with _Terms(ORDER):
            u = arb_series(terms)
            psi = self.psi.series(u)
            log = self.dim * u - psi - self.reference
            height = constant_term(log).exp() * half
        last = last_coefficient(self.psi.series, terms, self._enough(height))
        with _Terms(ORDER + 1):
            levels = _Series(psi, recentred(coefficients(psi, ORDER), last))
            return levels, _Series(log, recentred(coefficients(log, ORDER), -last))

    def _enough(self, scale: arb) -> arb:
        """An error of this size, times `scale`, does not matter."""
        return self.slack / 256 / scale

    def _mass(self, centre: arb, half: arb) -> _Series:
        _, log = self._log_density(centre, half)
        return _exponential(log)

    def _mass_piece(self, start: arb, half: arb) -> _Piece:
        try:
            piece = self._integrated(self._mass(start + half, half), half)
        except Undecided:
            piece = _FAILED
        return (
            piece
            if bool(piece.error < self.slack)
            else min(piece, self._crude_mass(start, half), key=lambda one: float(one.error))
        )

    def _integrated(self, f: _Series, half: arb) -> _Piece:
        terms = coefficients(f.centre, ORDER)
        last = coefficients(f.whole, ORDER + 1)[ORDER]
        _check(last)
        error = (abs(last) * half * 2 / (ORDER + 1)).upper()
        value = sum((terms[k] / (k + 1) for k in range(0, ORDER, 2)), arb(0)) * half * 2
        return _Piece(value + arb(0, error), error + value.rad(), ORDER, error)

    def _crude_mass(self, start: arb, half: arb) -> _Piece:
        """The panel's width times the density's range there, psi being nondecreasing."""
        end = start + 2 * half
        try:
            low, high = self.psi.at(start), self.psi.at(end)
        except Undecided:
            return _FAILED
        log = hull(self.dim * start - high, self.dim * end - low) - self.reference
        if not low.is_finite():
            return _FAILED
        if not high.is_finite():
            log = hull(arb("-inf"), self.dim * end - low - self.reference)
        value = 2 * half * log.exp()
        return _Piece(value, value.rad() * 2, 2)

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
                return hull(low, high if bool(high < self.ceiling) else self.ceiling)
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


class _Sweep:
    """One pass over the radii; the value of F at the end of a panel starts the next."""

    def __init__(self, integrals: CapIntegrals, shift: Shift) -> None:
        self.all, self.shift = integrals, shift
        self.guess: arb | None = None
        self.carried: arb | None = None
        self.known = True  # F was constant on the last panel
        self.log_distance = shift.distance.log()

    def panel(self, start: arb, half: arb) -> _Piece:
        ways = [self._bounded, self._smooth] if self.known else [self._smooth, self._bounded]
        best = _FAILED
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

    def _target(self, level: arb) -> arb:
        return level + self.shift.side * self.shift.level

    def _smooth(self, start: arb, half: arb) -> tuple[_Piece, arb | None, arb]:
        centre = start + half
        levels, log = self.all._log_density(centre, half)
        ratio, error = self._log_ratio(centre, half, levels)
        cosine = self._cosine(centre, half, ratio)
        end = sum(coefficients(ratio.centre, ORDER), centre + half)
        certain = constant_term(cosine.whole)
        swing = self._swing(centre + half * arb(0, 1), constant_term(ratio.whole) + arb(0, error)) * error
        certain += arb(0, swing.upper())
        if bool(certain <= -1):
            return _Piece(arb(0), arb(0), ORDER), None, end
        mass = _exponential(log)
        if bool(certain >= 1):
            return self.all._integrated(mass, half), None, end
        extreme = self._nearly_constant(certain, mass, half)
        if extreme is not None:
            return extreme, None, end
        _inside(certain)
        swing = (swing * self._density(certain)).upper()
        inside = self._distribution(cosine, swing)
        with _Terms(ORDER + 1):
            product = _Series(mass.centre * inside.centre, mass.whole * inside.whole)
        piece = self.all._integrated(product, half)
        error = swing * (constant_term(mass.whole) * half * 2).upper()
        piece = _Piece(
            piece.value + arb(0, error), piece.error + error, ORDER, (piece.remainder or arb(0)) + error
        )
        drift = (abs(coefficients(inside.whole, ORDER + 1)[ORDER]) + swing).upper()
        carried = sum(coefficients(inside.centre, ORDER), arb(0)) + arb(0, drift)
        return piece, carried, end

    def _swing(self, u: arb, ratio: arb) -> arb:
        """A bound of |dz/d log s| = (r/e)·(s/r)²."""
        return (u - self.log_distance + 2 * ratio).exp().upper()

    def _density(self, cosine: arb) -> arb:
        """The density of the cosine."""
        if self.all.dim == 1:
            return arb(0)
        power = arb(self.all.dim - 3) / 2
        return (power * (1 - cosine * cosine).log() + self.all.log_norm).exp()

    def _nearly_constant(self, cosine: arb, mass: _Series, half: arb) -> _Piece | None:
        """Where F or 1 - F is negligible, from F(z) ≤ (1 - z²)**((d-1)/2)/2 for z ≤ 0."""
        if self.all.dim == 1 or not (bool(cosine < 0) or bool(cosine > 0)):
            return None
        nearest = abs(cosine).lower()
        rest = ((1 - nearest * nearest).log() * (arb(self.all.dim - 1) / 2)).exp().upper() / 2
        most = (constant_term(mass.whole) * half * 2).upper()
        if not bool(rest * most < self.all.slack / 256):
            return None
        if bool(cosine < 0):
            return _Piece(hull(arb(0), rest * most), rest * most, 1)
        piece = self.all._integrated(mass, half)
        return _Piece(piece.value - hull(arb(0), rest * most), piece.error + rest * most, ORDER)

    def _log_ratio(self, centre: arb, half: arb, levels: _Series) -> tuple[_Series, arb]:
        """A polynomial for log(s/r), psi(s) = psi(r) + side·level, and a bound of its error on the panel."""
        guess = centre if self.guess is None else self.guess
        first = self.all.level(self._target(constant_term(levels.centre)), guess)
        if bool(first.rad() > _ACCURATE):
            raise Undecided("psi is too flat here")
        with _Terms(ORDER):
            goal = self._target(levels.centre)
            terms = [t.mid() for t in coefficients(self._inverse(first, goal), ORDER)]
            reached = coefficients(self.all.psi.series(arb_series(terms)), ORDER)
            missed = sum(
                (abs(a - b) for a, b in zip(reached, coefficients(goal, ORDER), strict=True)), arb(0)
            )
        last = last_coefficient(self.all.psi.series, terms, self.all._enough(arb(1)))
        with _Terms(ORDER + 1):
            missed = (missed + abs(last - coefficients(levels.whole, ORDER + 1)[ORDER])).upper()
            rate = coefficients(recentred(reached, last), 2)[1]
            error = self._solved(terms, rate, missed)
            terms[1] -= half
            terms[0] -= centre
            return _Series(arb_series(terms), recentred(terms, arb(0))), error

    def _solved(self, terms: list[arb], rate: arb, missed: arb) -> arb:
        """How far this polynomial u is from the solution of psi(e^u) = target, when psi(e^u) misses it by `missed` at most.

        `rate` encloses the slope of psi(e^u) on the panel: with u's own slope it bounds the steepness there; beyond the ends of the panel
        a small ball does.
        """
        slope = coefficients(recentred(terms, arb(0)), 2)[1]
        if not (bool(rate > 0) and bool(slope > 0)):
            raise Undecided("psi is too flat here")
        least = rate.lower() / slope.upper()
        for end in (sum(terms, arb(0)), sum((-t if k % 2 else t for k, t in enumerate(terms)), arb(0))):
            least = least.min(self.all.steepness.at(end + arb(0, _ACCURATE)).lower())
        if not (bool(least > 0) and bool(missed < least * _ACCURATE)):
            raise Undecided("psi is too flat here")
        return (missed / least).upper()

    def _inverse(self, first: arb, target: arb_series) -> arb_series:
        """The series y with y_0 = first and psi(e^y) = target beyond the constant term: Newton, doubling the known terms."""
        length, known = ctx.cap, [first]
        goal = coefficients(target, length)
        while len(known) < length:
            done = len(known)
            ctx.cap = min(2 * done, length)
            y = arb_series(known)
            residual = coefficients(self.all.psi.series(y), ctx.cap)
            residual = [arb(0)] * done + [a - b for a, b in zip(residual[done:], goal[done:], strict=False)]
            update = coefficients(_quotient(arb_series(residual), self.all.steepness.series(y)), ctx.cap)
            known = known + [-a for a in update[done:]]
        ctx.cap = length
        return arb_series(known)

    def _cosine(self, centre: arb, half: arb, ratio: _Series) -> _Series:
        """side·z with z = (e/r - (r/e)·((s/r)² - 1))/2."""

        def value(u: arb_series, log_ratio: arb_series) -> arb_series:
            log = u - self.log_distance
            return ((-log).exp() - log.exp() * ((2 * log_ratio).exp() - 1)) * (self.shift.side * arb(0.5))

        with _Terms(ORDER):
            cosine = value(arb_series([centre, half]), ratio.centre)
        with _Terms(ORDER + 1):
            last = coefficients(value(arb_series([centre + half * arb(0, 1), half]), ratio.whole), ORDER + 1)[
                ORDER
            ]
            _check(last)
            return _Series(cosine, recentred(coefficients(cosine, ORDER), last))

    def _distribution(self, cosine: _Series, swing: arb) -> _Series:
        """F of this series along the panel: the integral of its density times its slope; F of the true cosine is within `swing`."""
        if self.all.dim == 1:
            with _Terms(ORDER + 1):
                return _Series(arb_series([arb(0.5)]), arb_series([arb(0.5)]))
        power = arb(self.all.dim - 3) / 2
        with _Terms(ORDER):
            log = power * (1 - cosine.centre * cosine.centre).log() + self.all.log_norm
        with _Terms(ORDER + 1):
            last = power * coefficients((1 - cosine.whole * cosine.whole).log(), ORDER + 1)[ORDER]
            _check(last)
            density = _exponential(_Series(log, recentred(coefficients(log, ORDER), last)))
        with _Terms(ORDER):
            slope = coefficients(density.centre * cosine.centre.derivative(), ORDER - 1)
            terms = [arb(0), *(slope[k] / (k + 1) for k in range(ORDER - 1))]
        with _Terms(ORDER + 1):
            slope = coefficients(density.whole * cosine.whole.derivative(), ORDER)
            last = slope[ORDER - 1] / ORDER
            _check(last)
            terms[0] = self._constant(terms, last, constant_term(cosine.centre), swing)
            return _Series(arb_series(terms), recentred(terms, last))

    def _constant(self, terms: list[arb], last: arb, cosine: arb, swing: arb) -> arb:
        if self.carried is not None:
            at_start = sum((-t if k % 2 else t for k, t in enumerate(terms)), arb(0))
            value = self.carried - at_start + arb(0, (abs(last) + swing).upper())
            if bool(value.rad() < self.all.slack / 8):
                return value
        return cosine_distribution(self.all.dim, cosine)

    def _bounded(self, start: arb, half: arb) -> tuple[_Piece, arb | None, arb]:
        """F between its extremes on the panel."""
        end = start + 2 * half
        guess = start if self.guess is None else self.guess
        first = self.all.level(self._target(self.all.psi.at(start)), guess)
        final = self.all.level(self._target(self.all.psi.at(end)), first)
        low, high = self._cosine_range(start, end, first, final)
        if self.shift.side < 0:
            low, high = -high, -low
        least, most = self._at(low), self._at(high)
        if most == 0:
            return _Piece(arb(0), arb(0), ORDER), None, final
        mass = self.all._mass_piece(start, half)
        between = (mass.value * (most - least)).upper()
        value = mass.value * hull(least, most)
        return (
            _Piece(value, mass.error * most + between, min(mass.order, ORDER if most == least else 2)),
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
        if slope.is_finite() and bool(first > -FARTHEST):
            ratio = first - start + hull(arb(0), end - start) * slope
            r = hull(*radii)
            centred = (e / r - r / e * ((2 * ratio).exp() - 1)) / 2
            return _largest([direct.lower(), centred.lower()]), _smallest([direct.upper(), centred.upper()])
        return direct.lower(), direct.upper()


def cosine_distribution(dim: int, cosine: arb) -> arb:
    """P(a coordinate of a uniform point on the unit sphere ≤ cosine) for a ball, cut to [-1, 1]; relatively accurate near -1."""
    low, high = cosine.lower().max(arb(-1)), cosine.upper().min(arb(1))
    return (
        _cosine_point(dim, low)
        if bool(low == high)
        else hull(_cosine_point(dim, low), _cosine_point(dim, high))
    )


def _cosine_point(dim: int, cosine: arb) -> arb:
    if bool(abs(cosine) >= 1):
        return arb(1) if bool(cosine > 0) else arb(0)
    if dim == 1:
        return arb(0.5)
    a, x = arb(dim - 1) / 2, (1 - abs(cosine)) / 2
    beta = 2 * a.lgamma() - (2 * a).lgamma()
    tail = (a * (x * (1 - x)).log() - beta).exp() / a * x.hypgeom_2f1(arb(1), 2 * a, a + 1)
    return tail if bool(cosine < 0) else 1 - tail


class _Terms:
    """Series of this length inside a with block."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> None:
        self.before, ctx.cap = ctx.cap, self.count

    def __exit__(self, *exception: object) -> None:
        ctx.cap = self.before


def _exponential(log: _Series) -> _Series:
    with _Terms(ORDER):
        centre = log.centre.exp()
    with _Terms(ORDER + 1):
        return _Series(centre, log.whole.exp())


def _quotient(x: arb_series, y: arb_series) -> arb_series:
    try:
        return x / y
    except (ValueError, ZeroDivisionError) as problem:
        raise Undecided("psi is too flat here") from problem


def _check(value: arb) -> None:
    if not value.is_finite():
        raise Undecided("the series cannot be bounded on this panel")


def _inside(cosine: arb) -> None:
    if not bool(abs(cosine) < 1):
        raise Undecided("the cap may be empty or whole here")


def _squared(log: arb) -> arb:
    return (2 * log).exp() if bool(log > -FARTHEST) else hull(arb(0), (2 * log).exp().upper())


def _largest(values: list[arb]) -> arb:
    return reduce(lambda a, b: a.max(b), values)


def _smallest(values: list[arb]) -> arb:
    return reduce(lambda a, b: a.min(b), values)


def _short(half: arb) -> arb:
    """A number near `half` of few bits, so that sums of panels stay exact."""
    fraction, exponent = math.frexp(float(half.mid()))
    return arb(math.floor(fraction * 64)) * arb(2) ** (exponent - 6)


def _growth(piece: _Piece, slack: arb) -> float:
    """By what a panel may grow, or must shrink, for its error to come near `slack`."""
    error = piece.error if piece.remainder is None or not bool(piece.error < slack) else piece.remainder
    ratio = float((error / slack).mid()) if error.is_finite() else math.inf
    if not math.isfinite(ratio):
        return 0.4
    if ratio < 1:  # errors grow faster than the power of the order, so not the whole way
        return min(3.0, 0.85 * max(ratio, 1e-100) ** (-0.6 / piece.order))
    return max(0.3, 0.85 * ratio ** (-1.0 / piece.order))
