"""Enclosure of the radius of a cone of greedy sets: R = int dp/Phi(p) by rigorous integration along the boundary.

The boundary is u = log r, the integrand (mass that leaves per du) / (Phi/weight), analytic in u; acb.integral encloses the
integral. Gamma functions of wide balls are evaluated in mean-value form, without which they are useless at large shapes.
What lies below the first node has too little mass to matter and is added as a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import scipy.special as sc
import sympy as sp
from flint import acb, arb

from derive.enclosure.ball import exact, hull


@dataclass(frozen=True)
class BallCone:
    """A cone with numbers: P(A = 1) = weight, rate · r**power ~ Gamma(shape), score Σ coefficient · r**exponent."""

    weight: sp.Rational
    shape: sp.Rational
    rate: sp.Expr
    power: sp.Rational
    terms: tuple[tuple[sp.Rational, sp.Rational], ...]

    @property
    def pattern(self) -> str:
        """Signs of the score's derivative by Descartes' rule: "", "+", "-" or "-+"; ValueError for any other."""
        ordered = sorted((t for t in self.terms if t[0] != 0 and t[1] != 0), key=lambda t: t[1])
        signs = ["+" if c * q > 0 else "-" for c, q in ordered]
        pattern = "".join(s for n, s in enumerate(signs) if n == 0 or signs[n - 1] != s)
        if pattern not in ("", "+", "-", "-+"):
            raise ValueError(f"the score's derivative changes sign as {pattern}: no greedy set for it")
        return pattern


class ConeEnclosure:
    """Evaluates one cone at any confidence; `radius(fail)` encloses R(1 - fail) for 0 < fail < 1/2."""

    def __init__(self, cone: BallCone) -> None:
        self.cone = cone
        self.shape, self.power = exact(cone.shape), exact(cone.power)
        self.log_rate = exact(sp.Rational(cone.rate)).log()
        self.weight = exact(cone.weight)
        self.shapes = [(q, exact(cone.shape + q / cone.power)) for _, q in cone.terms]
        self.moments = [
            exact(c) * (s.lgamma() - self.shape.lgamma() - self.log_rate * exact(q / cone.power)).exp()
            for (c, _), (q, s) in zip(cone.terms, self.shapes, strict=True)
        ]
        self.mean = sum(self.moments, arb(0))

    # u = log r throughout; t = rate · r**power
    def _log_t(self, u: acb) -> acb:
        return u * self.power + self.log_rate

    def _density(self, shape: arb, u: acb) -> acb:
        """t**shape e**-t / Γ(shape), of which the mass per du is `power` times; mean-value form on wide balls."""
        v = self._log_t(u)
        middle = _middle(v)
        centre = (middle * shape - middle.exp() - shape.lgamma()).exp()
        if _is_point(v):
            return centre
        slope = shape - v.exp()  # derivative of the logarithm
        return centre * ((v - middle) * slope).exp()

    def _upper(self, shape: arb, u: acb) -> acb:
        """Q(shape, t)."""
        v = self._log_t(u)
        middle = _middle(v)
        t = middle.exp()
        centre = (
            acb(t.real.gamma_upper(shape, regularized=1))
            if t.imag == 0
            else t.gamma_upper(acb(shape), regularized=1)
        )
        if _is_point(v):
            return centre
        return centre - (v - middle) * self._density(shape, u)

    def _score(self, u: acb) -> acb:
        return sum((exact(c) * (u * exact(q)).exp() for c, q in self.cone.terms), acb(0))

    def _score_slope(self, u: acb) -> acb:
        return sum((exact(c * q) * (u * exact(q)).exp() for c, q in self.cone.terms), acb(0))

    def _share(self, u: acb, upper: bool) -> acb:
        parts = (self._upper(s, u) if upper else 1 - self._upper(s, u) for _, s in self.shapes)
        return sum((m * part for m, part in zip(self.moments, parts, strict=True)), acb(0))

    def _mass(self, u: acb, upper: bool) -> acb:
        return self._upper(self.shape, u) if upper else 1 - self._upper(self.shape, u)

    def radius(self, fail: arb) -> arb:
        """Encloses R(1 - fail) at scale 1; a wide ball where the integral resists."""
        cone = self.weight * self.mean  # Phi(1/2)
        flat = (arb(1) / 2 - fail).min(arb(1) / 2 - self.weight) / cone
        if not bool(fail < self.weight):
            return flat
        tail = fail / self.weight
        try:
            match self.cone.pattern:
                case "":
                    return flat - tail.log() / self.mean
                case "+":
                    return flat + self._one_sided(tail, True)
                case "-":
                    return flat + self._one_sided(tail, False)
            return flat + self._two_sided(tail)
        except ArithmeticError:  # Phi is concave: between its chord from 0 and its largest value
            return hull((arb(1) / 2 - fail) / cone, -(2 * fail).log() / (2 * cone))

    def _float_quantile(self, tail: arb, upper: bool) -> float:
        """log t near the boundary, from the smaller of the two probabilities."""
        if bool(tail > arb(1) / 2):
            tail, upper = 1 - tail, not upper
        shape, share = float(self.cone.shape), float(tail.mid())
        t = float(sc.gammainccinv(shape, share) if upper else sc.gammaincinv(shape, share))
        if t < 1e-25:  # there P(shape, t) ≈ t**shape / Γ(shape + 1)
            return float(
                (((1 - tail if upper else tail).log() + (self.shape + 1).lgamma()) / self.shape).mid()
            )
        return math.log(t)

    def _boundary(self, tail: arb, upper: bool) -> tuple[arb, arb]:
        """u below and above the boundary with this mass beyond it, proved by signs."""
        log_t = self._float_quantile(tail, upper)
        u = (arb(log_t) - self.log_rate.mid()) / self.power.mid()
        sign = 1 if upper else -1
        for _ in range(7):
            u = u.mid()
            density = self.power * self._density(self.shape, acb(u)).real
            u = (u + sign * (self._mass(acb(u), upper).real - tail) / density).mid()
        step = (abs(u) + 1) * arb(2) ** -80
        for _ in range(60):
            low, high = (u - step).mid(), (u + step).mid()
            below, above = self._mass(acb(low), upper).real - tail, self._mass(acb(high), upper).real - tail
            if bool(sign * below > 0) and bool(sign * above < 0):
                return low, high
            step = step * 4
        raise ArithmeticError("the boundary of the greedy set could not be enclosed")

    def _one_sided(self, tail: arb, upper: bool) -> arb:
        """int over the boundary from where the cone is full to where `tail` is left."""
        low, high = self._boundary(tail, upper)
        near, far = (low, high) if upper else (high, low)
        rest = (1 - tail).mid()
        cut, _ = self._boundary((rest * arb(2) ** -70).mid(), not upper)
        skipped = self._mass(acb(cut), not upper).real / self._share(acb(cut), upper).real

        def integrand(u: acb, analytic: bool) -> acb:
            del analytic
            return self.power * self._density(self.shape, u) / self._share(u, upper)

        start, end = (cut, near) if upper else (near, cut)
        total = _integral(integrand, start, end)
        last = (
            (high - low)
            * self.power
            * self._density(self.shape, acb(hull(low, high))).real
            / self._share(acb(far), upper).real
        )
        return total + hull(arb(0), skipped) + hull(arb(0), last)

    # falling and then rising scores: {r ≤ e**w} ∪ {r ≥ e**v} with equal scores at both ends
    def _fold(self) -> float:
        low, high = -700.0, 700.0
        terms = [(float(c * q), float(q)) for c, q in self.cone.terms if c * q != 0]
        for _ in range(90):
            middle = 0.5 * (low + high)
            top = max(middle * q for _, q in terms)
            slope = math.fsum(c * math.exp(middle * q - top) for c, q in terms)
            low, high = (middle, high) if slope < 0 else (low, middle)
        return 0.5 * (low + high)

    def _partner(self, v: acb, fold: float) -> acb:
        """w < fold with score(w) = score(v), as a ball proved by Krawczyk's test; not a number where that fails."""
        middle = _middle(v)
        goal = float(self._score(acb(middle.real.mid())).real.mid())
        low, high = fold - 1.0, fold
        while self._float_score(low) < goal and low > fold - 700.0:
            low = fold - 2.0 * (fold - low)
        for _ in range(90):
            half = 0.5 * (low + high)
            low, high = (half, high) if self._float_score(half) > goal else (low, half)
        w = acb(arb(0.5 * (low + high)))
        target = self._score(middle)
        for _ in range(6):
            w = _middle(w - (self._score(w) - target) / self._score_slope(w))
        if not w.is_finite():
            return acb("nan")
        inverse = 1 / self._score_slope(w)
        spread = self._score_slope(v) * (v - middle)
        residual = inverse * (self._score(w) - target - spread)
        ball = _widen(-residual, 2.0)
        for _ in range(4):
            candidate = w + ball
            image = -residual + (1 - inverse * self._score_slope(candidate)) * ball
            if ball.contains(image):
                return w + image
            ball = _widen(image, 2.0)
        return acb("nan")

    def _float_score(self, u: float) -> float:
        return math.fsum(float(c) * math.exp(min(u * float(q), 690.0)) for c, q in self.cone.terms)

    def _two_sided(self, tail: arb) -> arb:
        fold = self._fold()

        def mass(v: acb, w: acb) -> acb:
            return self._mass(v, True) + self._mass(w, False)

        def share(v: acb, w: acb) -> acb:
            return self._share(v, True) + self._share(w, False)

        def leaving(v: acb, w: acb) -> acb:
            inner = self._density(self.shape, w) * self._score_slope(v) / self._score_slope(w)
            return self.power * (self._density(self.shape, v) - inner)

        def integrand(v: acb, analytic: bool) -> acb:
            del analytic
            w = self._partner(v, fold)
            return leaving(v, w) / share(v, w)

        start = arb(fold) + arb(2) ** -12 * (1 + abs(arb(fold)))
        low, high = start, arb(fold) + 1
        while bool(mass(acb(high), self._partner(acb(high), fold)).real > tail):
            high = arb(fold) + 2 * (high - arb(fold))
        first = acb(start)
        partner = self._partner(first, fold)
        first_mass, first_share = mass(first, partner).real, share(first, partner).real
        near_fold = self._near_fold(first_mass, first_share, first_mass)
        if not bool(first_mass > tail):
            return self._near_fold(first_mass, first_share, tail)
        for _ in range(100):
            middle = ((low + high) / 2).mid()
            if bool(mass(acb(middle), self._partner(acb(middle), fold)).real > tail):
                low = middle
            else:
                high = middle
        total = _integral(integrand, start, low)
        edge = acb(hull(low, high))
        last = (high - low) * integrand(edge, False).real
        return near_fold + total + hull(arb(0), last)

    def _near_fold(self, mass: arb, share: arb, tail: arb) -> arb:
        """int dy/share from `tail` ≥ `mass` up to 1, between the chord from `mass` to 1 and the tangent at 1.

        The share is concave in the mass; its slope at 1 is the smallest score, which is at the fold.
        """
        width, left = 1 - mass, 1 - tail
        if not bool(width > arb(2) ** -70):
            return hull(arb(0), abs(left).upper() / share.lower())
        chord = (self.mean - share) / width
        lowest = self._score(acb(arb(self._fold()))).real * (1 - arb(2) ** -40)
        upper = -(-chord * left / self.mean).log1p() / chord
        lower = -(-lowest * left / self.mean).log1p() / lowest
        return hull(lower, upper)


def _middle(z: acb) -> acb:
    return acb(z.real.mid(), z.imag.mid())


def _is_point(z: acb) -> bool:
    return bool(z.real.rad() < arb(2) ** -100 and z.imag.rad() < arb(2) ** -100)


def _widen(z: acb, factor: float) -> acb:
    size = (abs(z).upper() * factor + arb(2) ** -150).upper()
    return acb(arb(0, size), arb(0, size))


def _integral(integrand: Callable[[acb, bool], acb], start: arb, end: arb) -> arb:
    value = acb.integral(
        integrand, acb(start), acb(end), rel_tol=arb(2) ** -60, abs_tol=arb(2) ** -200, eval_limit=12_000
    )
    if not value.real.is_finite():
        raise ArithmeticError("the radius integral could not be enclosed")
    return value.real
