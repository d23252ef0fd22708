"""Taylor coefficients of cap probabilities along a path of distances and levels, on boxes of radii and of the path's parameter x.

At a fixed radius r the masses of a level set are made of psi-shares S±(x) = F(z±) - 1/2, z± = (r² + e² - s²)/(2er), psi(s) = psi(r) ± t, F the
distribution function of the cosine: 1/2 - h = E[S₋ + e^-t·S₊]. Here e, t and so z and S are power series in x about every point of a box
at once, with balls as coefficients, crude but enclosing. At e = 0 a quotient by e is needed of functions that vanish there: coefficient
k of f(x)/(x - a) about x is an average of coefficient k+1 of f between a and x, so lies in its enclosure over the box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

from flint import arb, arb_poly, arb_series, ctx

from derive.enclosure.ball import hull
from derive.enclosure.cosine import log_norm, tail_bound
from derive.enclosure.interpolation import negative
from derive.enclosure.masses import RadialMass
from derive.enclosure.rise import inverse
from derive.enclosure.series import Terms, quotient
from derive.enclosure.taylor import Undecided, coefficients, constant_term

FOLLOWED, NEAR, WIDER = 10, 2.0**-40, (1.03, 1.3)
"""Newton's steps for a level, the last one's size, and how much wider than by its first order a range of levels is guessed."""
WIDE = 0.25
"""Ranges of log r wider than this are taken in parts."""


@dataclass(frozen=True)
class PathBox:
    """A path on a box of x: t and e as series of `count` terms about every point of the box; `from_zero` when the box starts at e = 0."""

    level: arb_series
    distance: arb_series
    count: int
    from_zero: bool

    @classmethod
    def of(cls, centre: arb, half: arb, terms: tuple[arb, ...], place: arb, count: int) -> PathBox:
        """The path of `cells.Path` about the points of `place`; one term more than `count` where a quotient by e will take one."""
        from_zero = bool(centre == half)
        length = count + from_zero
        with Terms(length):
            distance = arb_series([centre + half * place, half])
            level = arb_series((arb_poly(list(terms))(arb_poly([place, 1]))).coeffs())
            if from_zero:
                level = level * distance * distance
                box = constant_term(level)
                if not bool(box > 0):  # rounding: t = e²·(…) ≥ 0
                    if not negative([-term for term in terms]):
                        raise ArithmeticError("the levels of the first cell could not be proved positive")
                    level = arb_series([hull(arb(0), box.upper()), *coefficients(level, length)[1:]])
        return cls(level, distance, count, from_zero)


@dataclass(frozen=True)
class Radii:
    """A panel of u = log r and psi there: `psi` for all of it, then at its ends and its middle, where the steepness is, too.

    `found` keeps log s and the level for each side, where a search starts.
    """

    all: arb
    low: arb
    high: arb
    middle: arb
    psi: arb
    psi_low: arb
    psi_high: arb
    psi_middle: arb
    steepness: arb
    radius: arb
    inverse: arb
    found: dict[int, tuple[arb, arb]]


@dataclass(frozen=True)
class Cosine:
    """z as a series, where it has one, and its value: balls that hold for all of a panel and a box."""

    series: arb_series | None
    value: arb


class Shares:
    """S± of one law on panels of u = log r."""

    def __init__(self, law: RadialMass) -> None:
        self.law = law
        self.power = arb(law.dim - 3) / 2
        self.log_norm = log_norm(law.dim)

    def radii(self, low: arb, high: arb) -> Radii:
        """What is asked of the panel log r in [low, high] again and again, at the current precision."""
        u, psi = hull(low, high), self.law.psi
        low, high, middle = u.lower(), u.upper(), u.mid()
        return Radii(
            u, low, high, middle, psi.at(u), psi.at(low), psi.at(high), psi.at(middle),
            self.law.steepness.at(middle), u.exp(), (-u).exp(), {},
        )  # fmt: skip

    def cosine(self, panel: Radii, path: PathBox, side: int) -> Cosine:
        """z for the radii of the panel; without a series where s may be 0 or the end of the support."""
        try:
            series = self._series(panel, path, side)
        except Undecided:
            return Cosine(None, self._direct(panel, path, side))
        start = constant_term(series)
        if not bool(abs(start) < 1):
            start = _common(start, self._direct(panel, path, side))
        return Cosine(series, start)

    def _series(self, panel: Radii, path: PathBox, side: int) -> arb_series:
        length = path.count + path.from_zero
        with Terms(length):
            ratio = self._log_ratio(panel, path, side)
            start = constant_term(ratio)
            excess = coefficients((2 * ratio).exp(), length)
            excess[0] = (2 * start).expm1()
            if path.from_zero:
                half = coefficients(path.distance, 2)[1]
                with Terms(path.count):
                    share = arb_series([c / half for c in excess[1:]])
                    distance = arb_series(coefficients(path.distance, 2))
            else:
                share, distance = quotient(arb_series(excess), path.distance), path.distance
        with Terms(path.count):
            return (panel.inverse * distance - panel.radius * share) / 2

    def share(self, cosine: Cosine, count: int) -> arb_series:
        """S as a series; Undecided where z has none, unless |z| ≥ 1 throughout."""
        start = cosine.value
        if bool(abs(start) >= 1):
            return arb_series([arb(1 if bool(start > 0) else -1) / 2], count)
        if cosine.series is None:
            raise Undecided("psi does not reach this level")
        most = (self.log_norm.exp() * abs(start)).upper().min(arb(0.5))
        with Terms(count):
            z = arb_series([start, *coefficients(cosine.series, count)[1:]])
            if not bool(abs(start) < 1):
                return self._edge(z, arb(0, most))
            log = (1 - z * z).log() * self.power + self.log_norm
            slope = coefficients(log.exp() * z.derivative(), count - 1)
            return arb_series([arb(0, most), *(slope[k] / (k + 1) for k in range(count - 1))])

    def far(self, cosine: Cosine) -> tuple[int, arb]:
        """The sign of z, and a bound of 1/2 - |S|; (0, 1/2) where z may be 0."""
        start = cosine.value
        if not (bool(start > 0) or bool(start < 0)):
            return 0, arb(0.5)
        nearest = abs(start).lower()
        sign = 1 if bool(start > 0) else -1
        return sign, arb(0) if bool(nearest >= 1) else tail_bound(self.law.dim, nearest)

    def _edge(self, cosine: arb_series, value: arb) -> arb_series:
        """S where |z| may pass 1: by bounds of the coefficients of F' = c·(1 - z²)₊**a.

        That of w**k in ((1 - z - w)(1 + z + w))**a is at most that of ((1 - z + w)(1 + z + w))**a for k ≤ a and |z| ≤ 1, so at most
        ((1 + ϱ)² - z²)**a/ϱ**k for every ϱ > 0 (coefficients up to k ≤ a are not negative, nor is what follows them); past 1 it is 0.
        """
        terms = coefficients(cosine, ctx.cap)
        nearest = abs(terms[0]).lower().max(arb(0))
        if len(terms) - 2 > self.power or not terms[0].is_finite():
            raise Undecided("the cap may be empty or whole here")
        outer, a, z = [value], float(self.power), min(float(nearest), 1.0)
        for k in range(len(terms) - 1):
            share, span = a - k, 2 * a - k
            width = (math.sqrt(share * share + span * k * (1 - z * z)) - share) / span
            rho = arb(max(width, 1e-3 if k == 0 else 1e-9))
            height = ((1 + rho) ** 2 - nearest * nearest).log() * self.power + self.log_norm
            outer.append(arb(0, ((height - k * rho.log()).exp() / (k + 1)).upper()))
        return arb_series(outer)(arb_series([arb(0), *terms[1:]]))

    def _log_ratio(self, panel: Radii, path: PathBox, side: int) -> arb_series:
        """log(s/r), of the current length."""
        law, u = self.law, panel.all
        levels = side * coefficients(path.level, 1)[0]
        middle = levels.mid()
        near = self._near(panel, middle, side)
        where = self._between(panel, levels, near)
        if not (bool(where > -700) and bool(where < law.ceiling)):
            raise Undecided("psi does not reach this level")
        steepness, bend = self._steepness(u, where)
        there = law.steepness.at(where)
        if not (bool(steepness > 0) and bool(there > 0)):
            raise Undecided("psi is too flat here")
        crude = levels / steepness
        # the mean value theorem, psi having this steepness between `near` and the solution
        solved = near - (law.psi.at(near) - panel.psi_middle - middle) / there
        slope = -crude * bend / there  # of log(s/r) in log r: steepness(r)/steepness(s) - 1
        ratio = solved - panel.middle + (u - panel.middle) * slope + (levels - middle) / there
        ratio = _common(ratio, crude)
        with Terms(path.count + path.from_zero):
            goal = panel.psi + side * path.level
            series = coefficients(inverse(law, where, goal), path.count + path.from_zero)
        series[0] = ratio
        return arb_series(series)

    def _steepness(self, one: arb, other: arb) -> tuple[arb, arb]:
        """The steepness and its slope between two balls of log r: wide balls in parts, as their exponentials would reach to 0."""
        whole = hull(one, other)
        low, width = whole.lower(), 2 * whole.rad()
        parts = 1 + int(float(width) / WIDE)
        found: list[tuple[arb, arb]] = []
        with Terms(2):
            for k in range(parts):
                part = whole if parts == 1 else hull(low + width * k / parts, low + width * (k + 1) / parts)
                steepness, bend = coefficients(self.law.steepness.series(arb_series([part, 1])), 2)
                found.append((steepness, bend))
        return reduce(hull, (s for s, _ in found)), reduce(hull, (b for _, b in found))

    def _near(self, panel: Radii, level: arb, side: int) -> arb:
        """About log s for the panel's middle and this level (of the sign of the side), from the last one found there."""
        law, target = self.law, panel.psi_middle + level
        y, before = panel.found.get(side, (panel.middle, arb(0)))
        for k in range(FOLLOWED):
            steepness = law.steepness.at(y)
            step = ((level - before) if k == 0 else target - law.psi.at(y)) / steepness
            y = (y + step).mid()
            if not (y.is_finite() and bool(abs(step) < 8) and bool(y < law.ceiling)):
                break
            if k and bool(abs(step) < NEAR):
                panel.found[side] = (y, level)
                return y
        return law.level(target, panel.middle).mid()

    def _between(self, panel: Radii, levels: arb, near: arb) -> arb:
        """Encloses `near`, and log s for all radii of the panel and all levels of the ball: a guess checked, psi being nondecreasing."""
        law = self.law
        there = law.steepness.at(near)
        width = ((panel.steepness * panel.all.rad() + levels.rad()) / there).mid()
        least, most = panel.psi_low + levels.lower(), panel.psi_high + levels.upper()
        for factor in WIDER:
            low, high = (near - width * factor - NEAR).mid(), (near + width * factor + NEAR).mid()
            if not (bool(low > -700) and bool(high < law.ceiling)):
                break
            if bool(law.psi.at(low) < least) and bool(law.psi.at(high) > most):
                return hull(low, high)
        first, final = law.level(least, panel.low), law.level(most, panel.high)
        return hull(hull(first.lower(), final.upper()), near)

    def _direct(self, panel: Radii, path: PathBox, side: int) -> arb:
        """z from the ends of s: s falls where psi does not reach the level to 0, where z ≥ 1."""
        levels, e = constant_term(path.level), constant_term(path.distance)
        if not bool(e > 0):
            return arb("nan")
        law, r = self.law, panel.radius
        target = panel.psi + side * levels
        if not target.is_finite():
            return arb("nan")
        final = (2 * law.level(target.upper(), panel.high)).exp().upper()
        first = arb(0)
        if bool(target.lower() > law.floor):
            first = (2 * law.level(target.lower(), panel.low)).exp().lower()
        return (e / r + r / e - hull(first, final) / (e * r)) / 2


def _common(one: arb, other: arb) -> arb:
    """What lies in both of two enclosures of the same number."""
    if not (one.is_finite() and other.is_finite()):
        return one if one.is_finite() else other
    low, high = one.lower().max(other.lower()), one.upper().min(other.upper())
    return hull(low, high) if bool(low <= high) else one
