"""Taylor coefficients of the shared mass of l1- or linf-radial noise and its shift along a path, on boxes of radii and of the path's x.

J = E_nu[z**n], z = (1 + (s⁺ - e)/s)/2 cut to [0, 1] (see `shells`), has a corner at z = 1: there s⁺ = s + e, that is
psi(s + e) - psi(s) = t. Where psi is strictly convex (concave) that is one radius s = e^c, and z < 1 beyond (before) it alone. At a fixed
radius z does not jump, so along a path

    dJ/dx = ∫ nu(u)·n·z**(n-1)·∂z/∂x du  over the radii e^u of that side,  2·∂z/∂x = t'·s⁺/(s·steepness(s⁺)) - e'/s.

Near the corner u = c(x) + (anchor - c(x))·theta, 0 ≤ theta ≤ 1, beyond the anchor u = anchor + (end - anchor)·(theta - 1): so the range is
fixed, and the integrand a power series in x about every point of a box at once, with balls as coefficients, crude but enclosing. Differences that are small with e are never taken of two balls: each is a mean
of a derivative times e, and a mean lies in the hull of what it is of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from flint import arb, arb_poly, arb_series

from derive.enclosure.ball import hull
from derive.enclosure.cells import Path
from derive.enclosure.masses import RadialMass
from derive.enclosure.series import Terms, quotient
from derive.enclosure.taylor import LogRadial, Undecided, coefficients, constant_term

MEANS = 4
"""Means between two points are taken over so many parts of the way."""
BISECTIONS = 90
TRIALS = 12
_SHARES = [arb(2 * k + 1, 1) / (2 * MEANS) for k in range(MEANS)]


@dataclass(frozen=True)
class Bent:
    """A law whose psi is strictly convex, or strictly concave: nu has density factor·steepness·exp(dim·u - psi - reference) in u = log r.

    `score` is psi', `bend` is psi'', `rate` is the slope of r·psi' in u; `end` is the end of the radii where z < 1; `power` is n.
    """

    law: RadialMass
    score: LogRadial
    bend: LogRadial
    rate: LogRadial
    convex: bool
    end: arb
    factor: arb
    power: int


class Box:
    """A path on a box of x, as series of `count` terms: distance, level, and the corner c with psi(e^c + e) - psi(e^c) = t."""

    def __init__(self, bent: Bent, path: Path, place: arb, count: int) -> None:
        self.bent, self.count = bent, count
        with Terms(count + 1):
            distance = arb_series([path.centre + path.half * place, path.half])
            level = arb_series(arb_poly(list(path.terms))(arb_poly([place, 1])).coeffs())
            self.distance_rate, self.level_rate = distance.derivative(), level.derivative()
        with Terms(count):
            self.distance, self.level = distance + 0, level + 0
            self.decay = (-self.level).exp()
        middle = place.mid()
        e, t = path.centre + path.half * middle, arb_poly(list(path.terms))(middle)
        first = self._enclosed(self._root(e, t), place - middle)
        if not (bool(first > bent.law.low) and bool(first < bent.law.high)):
            raise ArithmeticError("the corner of the level sets leaves the range of radii")
        self.corner = _solved(first, count, self._corner_rate, self._corner_slope)

    def _root(self, e: arb, t: arb) -> arb:
        """The corner at one point: psi(e^u + e) - psi(e^u) - t changes its sign once."""
        law = self.bent.law

        def above(u: arb) -> bool | None:
            excess = law.psi.at(u + (e * (-u).exp()).log1p()) - law.psi.at(u) - t
            if not (bool(excess > 0) or bool(excess < 0)):
                return None
            return bool(excess > 0) == self.bent.convex

        low, high = law.low, law.high
        if above(low) is not False or above(high) is not True:
            raise ArithmeticError("the corner of the level sets was not found")
        for _ in range(BISECTIONS):
            middle = ((low + high) / 2).mid()
            side = above(middle)
            if side is None:
                break
            low, high = (low, middle) if side else (middle, high)
        return hull(low, high)

    def _enclosed(self, root: arb, span: arb) -> arb:
        """The corner on all of the box: it does not leave a range in which its slope cannot take it to the ends."""
        wide = root
        for _ in range(TRIALS):
            with Terms(2):
                start = arb_series([wide])
                slope = constant_term(self._corner_slope(start))
                if not (bool(slope > 0) or bool(slope < 0)):
                    break
                reached = root - constant_term(self._corner_rate(start)) / slope * span
            if wide.contains_interior(reached):
                return reached
            wide = arb(reached.mid(), 1.25 * reached.rad() + 2.0**-40)
        raise ArithmeticError("the corner of the level sets moves too far")

    def _corner_slope(self, corner: arb_series) -> arb_series:
        """∂/∂c of psi(e^c + e) - psi(e^c)."""
        s = corner.exp()
        return self.distance * s * _mean(lambda part: self.bent.bend.series((s + part * self.distance).log()))

    def _corner_rate(self, corner: arb_series) -> arb_series:
        """The derivative in x of psi(e^c + e) - psi(e^c) - t."""
        there = self.bent.score.series((corner.exp() + self.distance).log())
        return there * self.distance_rate - self.level_rate + self._corner_slope(corner) * corner.derivative()

    def shared(self, anchor: arb, low: arb, high: arb) -> list[arb]:
        """The part of dJ/dx between two values of theta in [0, 2], as a series of one term less; Undecided where it has none."""
        bent, count = self.bent, self.count - 1
        with Terms(count):
            u, width = self._radii(anchor, low, high)
            where = constant_term(u)
            rise = self._rise(u)
            growth, inverse = rise.exp(), (-u).exp()
            z = coefficients(growth - self.distance * inverse, count)
            z[0] = constant_term(rise).expm1() - constant_term(self.distance) * (-where).exp()
            z = [c / 2 for c in z]
            z[0] = (1 + z[0]).min(arb(1))  # z < 1 on this side of the corner
            moved = quotient(growth * self.level_rate, bent.law.steepness.series(u + rise))
            moved = (moved - self.distance_rate * inverse) / 2
            return coefficients(_mass(bent, u, z) * moved * width * (bent.power * (high - low)), count)

    def _radii(self, anchor: arb, low: arb, high: arb) -> tuple[arb_series, arb_series]:
        """u and |du/dtheta| for theta from low to high, both up to 1 or both from 1 on."""
        if bool(low >= 1):
            way = self.bent.end - anchor
            return arb_series([hull(anchor + way * (low - 1), anchor + way * (high - 1))]), arb_series(
                [abs(way)]
            )
        corner = coefficients(self.corner, self.count - 1)
        first, last = corner[0].lower(), corner[0].upper()
        ends = [a + (anchor - a) * b for a in (first, last) for b in (low, high)]
        moving = 1 - hull(low, high)
        u = arb_series([reduce(hull, ends), *(c * moving for c in corner[1:])])
        return u, (anchor - self.corner) * (1 if self.bent.convex else -1)

    def _rise(self, u: arb_series) -> arb_series:
        """log(s⁺/s), psi(s⁺) = psi(s) + t, along s = e^u(x)."""
        law, count = self.bent.law, self.count - 1
        moving = u.derivative()

        def slope(rise: arb_series) -> arb_series:
            return law.steepness.series(u + rise)

        def rate(rise: arb_series) -> arb_series:
            change = _mean(lambda part: self.bent.rate.series(u + part * rise))
            return slope(rise) * rise.derivative() + rise * change * moving - self.level_rate

        return _solved(self._first_rise(constant_term(u)), count, rate, slope)

    def _first_rise(self, where: arb) -> arb:
        """log(s⁺/s) for all radii and levels: that of the middle ones and slopes."""
        law, levels = self.bent.law, constant_term(self.level)
        low, high = where.lower(), where.upper()
        bottom, top = (
            law.level(law.psi.at(end) + t, end) for end, t in ((low, levels.lower()), (high, levels.upper()))
        )
        there = hull(bottom.lower(), top.upper())
        if not (bool(there > -700) and bool(there < law.ceiling)):
            raise Undecided("psi does not reach this level")
        steep, between = law.steepness.at(there), hull(where, there)
        if not (bool(steep > 0) and bool(law.steepness.at(between) > 0)):
            raise Undecided("psi is too flat here")
        crude = levels / law.steepness.at(between)
        middle, level = where.mid(), levels.mid()
        centre = law.level(law.psi.at(middle) + level, (bottom + top).mid() / 2) - middle
        slope = -crude * self.bent.rate.at(between) / steep
        fine = centre + (where - middle) * slope + (levels - level) / steep
        return fine if bool(fine.rad() < crude.rad()) else crude


def _mass(bent: Bent, u: arb_series, z: list[arb]) -> arb_series:
    """nu's density in u times z₊**(n-1), of the current length."""
    count, power = len(z), bent.power - 1
    terms = coefficients(u, count)
    outer = coefficients(_log_density(bent, arb_series([terms[0], 1])), count)
    with Terms(1):
        middle = constant_term(_log_density(bent, arb_series([terms[0].mid()])))
    outer[0] = middle + (outer[1] if count > 1 else arb(0)) * (terms[0] - terms[0].mid())
    still = all(bool(c == 0) for c in terms[1:])
    log = arb_series([outer[0]] if still else outer)
    if not still:
        log = log(arb_series([arb(0), *terms[1:]]))
    if bool(z[0] > 0):
        return (log + power * arb_series(z).log()).exp()
    # where z may pass 0: coefficient k of z₊**a about any z ≤ Z is at most binomial(a, k)·Z**(a - k), if k ≤ a
    if count > power or not z[0].is_finite():
        raise Undecided("the balls may meet in nothing here")
    top = z[0].upper().max(arb(0))
    sizes = [arb(0, (math.comb(power, k) * top ** (power - k)).upper()) for k in range(count)]
    return log.exp() * arb_series(sizes)(arb_series([arb(0), *z[1:]]))


def _log_density(bent: Bent, u: arb_series) -> arb_series:
    law = bent.law
    height = law.steepness.series(u).log() + bent.factor.log()
    return law.dim * u - law.psi.series(u) - law.reference + height


def _mean(function: Callable[[arb], arb_series]) -> arb_series:
    """∫ of a series that depends on a share, over the shares in [0, 1]."""
    parts = [function(share) for share in _SHARES]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total / MEANS


def _solved(
    first: arb,
    count: int,
    rate: Callable[[arb_series], arb_series],
    slope: Callable[[arb_series], arb_series],
) -> arb_series:
    """The series y of `count` terms with y_0 = first and F(y) = 0 beyond the constant term, from F's derivative in x and in y: Newton."""
    known = [first]
    while len(known) < count:
        done = len(known)
        with Terms(min(2 * done, count)):
            y = arb_series(known)
            change = coefficients(rate(y), min(2 * done, count) - 1)
            missed = [arb(0)] * done + [c / (k + 1) for k, c in enumerate(change)][done - 1 :]
            update = coefficients(quotient(arb_series(missed), slope(y)), len(missed))
            known = known + [-a for a in update[done:]]
    with Terms(count):
        return arb_series(known)
