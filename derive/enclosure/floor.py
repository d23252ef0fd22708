"""Caps of balls that shrink to nothing: another smooth function in place of their radii, where it makes a negligible difference.

On side -1 the ball {psi(|x - v|) < psi(r) - t} of radius s shrinks along a path until psi does not reach the level psi(r) - t. Before it does, the
cap that it cuts from the sphere of radius r is negligible: z = (r² + e² - s²)/(2er) ≥ z₁ where s ≤ s₁, and F(-z) ≤ `tail_bound`(z₁). But log s, as
a function of the level, has no bounded derivatives there. So below psi₁ = psi(s₁) it is replaced by its Taylor polynomial about psi₁: the
new radius is a function with as many derivatives as are bounded, and no larger than s₁ either, so that the caps differ by F(-z₁) at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from flint import arb, arb_poly, arb_series

from derive.enclosure.ball import hull
from derive.enclosure.boxes import Cosine, PathBox, Radii
from derive.enclosure.cosine import tail_bound
from derive.enclosure.masses import RadialMass
from derive.enclosure.rise import inverse
from derive.enclosure.series import Terms
from derive.enclosure.taylor import Undecided, coefficients, constant_term

SAFETY = arb(2) ** -4
"""s₁ is chosen for this share of the difference that is allowed, as it is rounded."""


@dataclass(frozen=True)
class Floor:
    """log s as a function of the level: `terms` about psi = `start` below it. Caps with the one radius or the other differ by `rest` at most."""

    law: RadialMass
    start: arb
    terms: arb_poly
    rest: arb

    @classmethod
    def of(cls, law: RadialMass, panel: Radii, boxes: list[PathBox], allowed: arb, count: int) -> Floor:
        """For the radii of a panel and the distances of these boxes; Undecided if there is none that makes so small a difference."""
        nearest = arb(1) - ((2 * allowed * SAFETY).log() * (arb(2) / (law.dim - 1))).exp()
        if not bool(nearest > 0):
            raise Undecided("the cap is not negligible where its ball vanishes")
        cosine = nearest.sqrt().upper()
        gaps = [_gap(panel, box) for box in boxes]
        squares = [
            (panel.radius - e) ** 2 + 2 * e * panel.radius * (1 - cosine)
            for e in (constant_term(box.distance) for box in boxes)
        ]
        least = min((square.lower() for square in squares), key=float)
        if not bool(least > 0):
            raise Undecided("the cap is not negligible where its ball vanishes")
        top = (least.log() / 2).lower().mid()
        start = law.psi.at(top)
        with Terms(count):
            terms = coefficients(inverse(law, top, arb_series([start, 1])), count)
        # then it falls below `start`, and so do all its derivatives in size
        if not (start.is_finite() and all(bool(c * (-1) ** k > 0) for k, c in enumerate(terms[1:]))):
            raise Undecided("the radius of a ball has no continuation that falls")
        square = (2 * top).exp()
        ends = [
            gap - square / (2 * constant_term(box.distance) * panel.radius)
            for gap, box in zip(gaps, boxes, strict=True)
        ]
        low = min((end.lower() for end in ends), key=float)
        if not bool(low > 0):
            raise Undecided("the cap is not negligible where its ball vanishes")
        rest = arb(0) if bool(low >= 1) else tail_bound(law.dim, low)
        return cls(law, start, arb_poly(terms), rest)

    def cosine(self, panel: Radii, path: PathBox) -> Cosine:
        """z with the new radius, for the radii of the panel and the points of the box."""
        with Terms(path.count):
            level = panel.psi - path.level
            log = arb_series(self._log(constant_term(level), coefficients(level, path.count)))
            apart = panel.all - path.distance.log()
            share = (2 * log - path.distance.log() - panel.all).exp()
            series = ((apart.exp() + (-apart).exp()) - share) / 2
        value = _gap(panel, path) - constant_term(share) / 2
        return Cosine(series, value)

    def _log(self, where: arb, level: list[arb]) -> list[arb]:
        """The coefficients of log s about all points at which the level is in this ball."""
        found = []
        if not bool(where < self.start):
            found.append(self._above(where.lower().max(self.start.lower()), where.upper(), level))
        if not bool(where > self.start):
            found.append(self._below(where.lower(), where.upper().min(self.start.upper()), level))
        return [hull(a, b) for a, b in zip(found[0], found[-1], strict=True)]

    def _above(self, low: arb, high: arb, level: list[arb]) -> list[arb]:
        law = self.law
        first = law.level(low, self.terms[0])
        final = law.level(high, first)
        if not (bool(first > -700) and bool(final < law.ceiling)):
            raise Undecided("psi does not reach this level")
        there = hull(first.lower(), final.upper())
        return coefficients(inverse(law, there, arb_series([hull(low, high), *level[1:]])), len(level))

    def _below(self, low: arb, high: arb, level: list[arb]) -> list[arb]:
        depth = hull(low, high) - self.start
        shifted = self.terms(arb_poly([depth.upper().min(arb(0)).union(depth.lower()), 1]))
        return coefficients(arb_series(shifted.coeffs())(arb_series([arb(0), *level[1:]])), len(level))


def _gap(panel: Radii, path: PathBox) -> arb:
    """(e/r + r/e)/2 for all radii and distances, the cosine where the ball is a point."""
    return (panel.all - constant_term(path.distance).log()).cosh()
