"""Masses of shifted l2-radial noise by Gauss's rule in log r, its error bounded on ellipses: many pairs (t, e) at little cost.

With u = log r, S the slope of psi in u, ψ(y) = ψ(u) + side·t and z = (e/r - ((s/r)² - 1)·r/e)/2, s = e^y, the masses of `witness_check` are
integrals over u of w(u)·g(z), g = 1 - F or F, F the distribution function of a coordinate on the sphere. For levels t = level·e² one has
z = (e/2)·(1/r - side·level·r·f(y - u)/S), f(v) = (exp(2v) - 1)/v, S the mean slope between u and y: no division by e. Where f is analytic and
|f| ≤ b on the ellipse about a part whose half axes add up to rho halves of it, n nodes err by at most 4·b·rho^(1 - 2n)/(rho - 1) of its width.
The same bounds hold for every complex pair (level, e) in a box, so they also tell how smooth the masses are in e.
Source: Trefethen, Approximation Theory and Practice, 2013, chapter 19. Nothing of the engine is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flint import acb, arb, ctx

from derive.reading_check import reader
from derive.witness_check import Density, Law

PRECISION = 160
ELLIPSES = (6.0, 4.0, 3.0, 2.0)
"""Ellipses tried for a part, by the sum of their half axes."""
COARSE, DEEPEST, FEW, MOST = 4, 10, 20, 60
"""Parts begin 2**COARSE tiles wide and are halved DEEPEST times at most; FEW nodes are taken at once, more than MOST never."""
Panel = tuple[int, int, int]
"""A part of log r (its width is that of a tile over 2**first number, the second counts) and its nodes."""
NEWTON, NEAR, AROUND = 40, 1e-11, (46, 40, 30)
"""Newton steps at most, the last one's size, and bits of the intervals in which s is proved."""


class Undecided(ArithmeticError):
    """The strip did not serve: nothing is known."""


@dataclass(frozen=True)
class Box:
    """Distances and levels t/e², complex or real, that a bound holds for."""

    distance: acb
    level: acb


@dataclass(frozen=True)
class Rule:
    """A midpoint rule for one mass: tiles first … last - 1, nodes of each, which g, the error, and a bound of the mass on a complex box."""

    side: int
    above: bool
    """Whether g = 1 - F is summed (and F is 1 minus that), or F."""
    first: int
    last: int
    pieces: tuple[Panel, ...]
    error: arb
    lost: arb


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic at this precision."""
    before, ctx.prec = ctx.prec, bits
    try:
        yield
    finally:
        ctx.prec = before


@dataclass
class Strip:
    """One law of `witness_check`, l2-radial against l2, cut into tiles of log r."""

    density: Density
    dim: int
    smallest: float
    law: Law = field(init=False)
    _weights: dict[tuple[tuple[int, int], float], arb] = field(default_factory=dict, init=False)
    _nodes: dict[Panel, list[tuple[arb, arb, arb, arb]]] = field(default_factory=dict, init=False)
    _guess: dict[tuple[int, Panel, int], float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.law = Law(self.density, "l2/2", self.dim, self.smallest, 60)
        with precision(PRECISION):
            law = self.law
            low, high = law.low, law.high
            for _ in range(60):
                middle = ((low + high) / 2).mid()
                low, high = (middle, high) if bool(law._weight(middle)[1].real > 0) else (low, middle)
            bend = -self.density.log(acb(low))[2].real
            if not bool(bend > 0):
                raise Undecided("the law of log r has no curvature at its peak")
            self.width = arb(2.0 ** math.floor(math.log2(float(1 / bend.sqrt())) + 0.5))
            self.start = arb(float(low))
            self.begin = math.floor(float((law.low - self.start) / self.width))
            self.end = math.ceil(float((law.high - self.start) / self.width))
            self.power = arb(self.dim - 3) / 2
            self._balls, self._floats = reader(self.density, False), reader(self.density, True)

    def h(self, rules: tuple[Rule, Rule], t: arb, e: arb) -> arb:
        """m + e^-t·(1/2 - M), both by their rules."""
        own, shifted = (self.mass(rule, t, e) for rule in rules)
        return own + (-t).exp() * (arb(0.5) - shifted)

    def mass(self, rule: Rule, t: arb, e: arb) -> arb:
        """m (side -1) or M (side 1) at a real pair in the rule's box."""
        total = arb(0)
        shift = t * rule.side
        for piece in rule.pieces:
            for place, (u, r, weight, psi) in enumerate(self._tile(piece)):
                ratio = ((self._beyond((rule.side, piece, place), float(u), psi + shift) - u) * 2).exp()
                z = (e / r - (ratio - 1) * r / e) / 2
                total += weight * self._distribution(-z if rule.above else z)
        found = total / self.law.total
        found += arb(0, rule.error.upper())
        return 1 - found if rule.above and rule.side > 0 else found

    def rules(self, real: Box, small: tuple[arb, arb]) -> tuple[Rule, Rule]:
        """Rules for m and M whose errors on the real box are at most about `small`; Undecided where none is found."""
        return self._rule(-1, (True,), real, small[0]), self._rule(1, (True, False), real, small[1])

    def size(self, rule: Rule, whole: Box, real: Box, small: arb) -> tuple[arb, arb]:
        """(b, lost): on the real box the mass is within `lost` of a function that is analytic, and at most b, on the complex one."""
        share = small * self.law.total / 4 / (rule.last - rule.first)
        found, lost = arb(0), rule.lost * self.law.total
        for tile in range(rule.first, rule.last):
            more, dropped = self._sized((0, tile), rule, whole, real, share)
            found += more
            lost += dropped
        return (found / self.law.total).upper(), (lost / self.law.total).upper()

    def _sized(self, part: tuple[int, int], rule: Rule, whole: Box, real: Box, share: arb) -> tuple[arb, arb]:
        try:
            return self._most(part, rule.side, rule.above, whole, 1.0) * self.width * 2.0 ** -part[0], arb(0)
        except Undecided:
            negligible = self._least(part, rule.side, rule.above, real)
            if bool(negligible < share * 2.0 ** -part[0]):
                return arb(0), negligible
            if part[0] >= DEEPEST - COARSE:
                raise
        parts = [self._sized((part[0] + 1, 2 * part[1] + k), rule, whole, real, share) for k in (0, 1)]
        return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]

    def _rule(self, side: int, forms: tuple[bool, ...], real: Box, small: arb) -> Rule:
        most, why = (small * self.law.total).lower(), Undecided("")
        for above in forms:
            first, last, lost = self._kept(side, above, real, most / 4)
            if last <= first:
                raise Undecided("no mass to speak of")
            share = most / 4 / (last - first)
            pieces: list[tuple[Panel, arb]] = []
            try:
                for index in range(first >> COARSE, -(-last >> COARSE)):
                    pieces += self._split(side, above, real, (-COARSE, index), share)
            except Undecided as found:
                why = found
                continue
            error = sum((error for _, error in pieces), lost) / self.law.total
            used = tuple(piece for piece, _ in pieces if piece[2])
            return Rule(side, above, first, last, used, error.upper(), lost / self.law.total)
        raise why

    def _kept(self, side: int, above: bool, real: Box, most: arb) -> tuple[int, int, arb]:
        """Tiles outside of which the real integral is small, and a bound of it."""
        ends, whole = [], arb(0)
        for way, tile in ((1, self.begin), (-1, self.end - 1)):
            lost = self.law.outside.upper()
            while self.begin <= tile < self.end:
                more = self._least((0, tile), side, above, real)
                if not bool(lost + more < most):
                    break
                lost += more
                tile += way
            ends.append(tile)
            whole += lost
        return ends[0], ends[1] + 1, whole

    def _split(
        self, side: int, above: bool, real: Box, part: tuple[int, int], share: arb, depth: int = 0
    ) -> list[tuple[Panel, arb]]:
        """Pieces of a part, with errors and sizes; Undecided where none will do."""
        allowed = share * 2.0 ** -part[0]
        best, chosen = MOST + 1, None
        for wide in ELLIPSES:
            try:
                bound = self._most(part, side, above, real, wide) * self.width * 2.0 ** -part[0]
            except Undecided:
                continue
            nodes = max(
                1, math.ceil((float((bound * 4 / (wide - 1) / allowed).log()) / math.log(wide) + 1) / 2)
            )
            if nodes < best:
                best, chosen = nodes, bound * 4 / (wide - 1) * arb(wide) ** (1 - 2 * nodes)
        if best <= FEW and chosen:
            return [((*part, best), chosen)]
        if not chosen:
            negligible = self._least(part, side, above, real)
            if bool(negligible < allowed):
                return [((*part, 0), negligible)]
        if depth >= DEEPEST:
            raise Undecided("the masses are not smooth enough")
        halves = []
        for half in (2 * part[1], 2 * part[1] + 1):
            halves += self._split(side, above, real, (part[0] + 1, half), share, depth + 1)
        if chosen and best <= sum(piece[2] for piece, _ in halves):
            return [((*part, best), chosen)]
        return halves

    def _least(self, part: tuple[int, int], side: int, above: bool, real: Box) -> arb:
        """A bound of the integral over a part at every real pair of the box."""
        u = acb(self._part(part).real)
        weight = self._weight(part, 1.0) * self.width * 2.0 ** -part[0]
        try:
            z = self._cosine(u, side, real).real
        except Undecided:
            if side > 0 or not above:
                return weight
            z = self._without(u.real, real)
        z = z if above else -z
        if bool(z >= 1):
            return arb(0)
        return (weight * self._tail(acb(z.lower()))).upper() if bool(z.lower() > 0) else weight

    def _without(self, u: arb, real: Box) -> arb:
        """A number below z on a part where psi(r) - t may have no radius s: s ≤ r, and s grows with r."""
        near = real.distance.real / u.exp()
        found = (near / 2).lower()
        try:
            move = self._moved(acb(u.upper()), -1, real)[0].real.upper()
        except Undecided:
            return found
        ratio = (2 * (move + 2 * u.rad())).exp()
        return found.max(((near + (1 - ratio) / near) / 2).lower())

    def _most(self, part: tuple[int, int], side: int, above: bool, whole: Box, wide: float) -> arb:
        """A bound of |w·g| on an ellipse about a part, at every pair of a complex box; Undecided unless it is analytic there."""
        u = self._part(part, wide)
        z = self._cosine(u, side, whole)
        z = z if above else -z
        if not (bool(z.real < 1) and bool(z.real > -1)):
            raise Undecided("a cosine beyond 1")
        return (self._weight(part, wide) * self._tail(z)).upper()

    def _part(self, part: tuple[int, int], wide: float = 1.0) -> acb:
        """A box about the upper half of an ellipse whose foci are the ends of a part, its half axes adding up to `wide` half parts."""
        half = self.width * 2.0 ** -part[0] / 2
        across, up = half * (wide + 1 / wide) / 2, half * (wide - 1 / wide) / 2
        middle = self.start + self.width * (part[1] + arb(0.5)) * 2.0 ** -part[0]
        return acb(arb(middle, across), arb(up / 2, up / 2))

    def _weight(self, part: tuple[int, int], wide: float) -> arb:
        """A bound of |w| on such a box, by Taylor's formula of second order about the middle."""
        if (part, wide) not in self._weights:
            u = self._part(part, wide)
            middle = acb(u.real.mid())
            value, slope = self.law._weight(middle)
            bend = self.density.log(u)[2]
            across, up = u.real - middle.real, u.imag
            square = acb(across * across - up * up, 2 * across * up)
            found = ((value - self.law.top + slope * (u - middle) + bend * square / 2).real).exp().upper()
            if not found.is_finite():
                found = arb("inf")
            self._weights[part, wide] = found
        return self._weights[part, wide]

    def _cosine(self, u: acb, side: int, box: Box) -> acb:
        """z on a box of u and a box of pairs, by its mean value form; Undecided unless s is proved to be there, and alone."""
        middle = acb(u.real.mid())
        there, _ = self._at(middle, side, box)
        _, slope = self._at(u, side, box)
        return there + slope * (u - middle)

    def _at(self, u: acb, side: int, box: Box) -> tuple[acb, acb]:
        """z and its slope in u."""
        try:
            move, steep, bend = self._moved(u, side, box)
        except Undecided:
            return self._apart(u, side, box)
        size = arb(0, (2 * move.abs_upper()).exp().upper())
        factor = 2 * (1 + move + move * move * acb(size, size) * 2 / 3)
        near, r = box.distance * (-u).exp(), u.exp()
        far = side * box.level * box.distance * r / steep
        turn = 2 * (2 * move).exp() * far * bend / steep
        return (near - far * factor) / 2, -(near + far * factor - turn) / 2

    def _apart(self, u: acb, side: int, box: Box) -> tuple[acb, acb]:
        """The same where s is far from r, about a value of y; e must not be 0."""
        shift, middle = side * box.level * box.distance * box.distance, u.real.mid()
        here, target = self._slopes(u)[0], -self._balls(middle)[0] + shift.real.mid()
        y = acb(arb(self._newton(float(middle), float(target))))
        missed = target + (shift - shift.real.mid()) + here * (u - middle) + self._balls(y.real)[0]
        move = missed / self._slopes(y)[0]
        for _ in range(12):
            wide = acb(_wider(move.real), _wider(move.imag))
            steep = self._slopes(y + wide)[0]
            if not bool(steep.real > 0):
                break
            move = missed / steep
            if wide.contains(move) and not box.distance.contains(0):
                ratio, over = (2 * (y + move - u)).exp(), u.exp() / box.distance
                turn = 2 * ratio * (here / steep - 1) * over
                return (1 / over - (ratio - 1) * over) / 2, -(1 / over + (ratio - 1) * over + turn) / 2
        raise Undecided("no radius s")

    def _moved(self, u: acb, side: int, box: Box) -> tuple[acb, acb, acb]:
        """y - u, the slope of psi between u and y, and its curvature."""
        shift = side * box.level * box.distance * box.distance
        move = shift / self._slopes(u)[0]
        for _ in range(12):
            wide = acb(_wider(move.real), _wider(move.imag))
            steep, bend = self._slopes(u + wide)
            if not bool(steep.real > 0):
                break
            move = shift / steep
            if wide.contains(move):
                return move, steep, bend
        raise Undecided("no radius s")

    def _slopes(self, u: acb) -> tuple[acb, acb]:
        """The slope and the curvature of psi in u."""
        _, slope, bend = self.density.log(u)
        if not slope.is_finite():
            raise Undecided("the density is not smooth")
        return -slope, -bend

    def _tail(self, z: acb) -> arb:
        """A bound of |1 - F(z)|, |Re z| < 1: along the line from z to 1 where Re z ≥ 0, otherwise from 0, or by 1 - F(z) = F(-z)."""
        norm, n = self.law.norm, self.power
        line = z.union(acb(0))
        along = (1 - line * line).abs_upper()
        about = arb(0.5) + norm * z.abs_upper() * along**n
        if bool(z.real <= 0):
            return about.min(1 + self._tail(-z)).upper() if bool(z.real < 0) else about.upper()
        near, far = 1 - z, 1 + z
        if not bool(z.real >= 0):
            return about.upper()
        share = 1 - (near / far).abs_upper()
        span = arb(1).min((1 / (share * n)).upper()) if bool(share * n > 0) else arb(1)
        return (norm * near.abs_upper() * (1 - z * z).abs_upper() ** n * span).min(about).upper()

    def _tile(self, piece: Panel) -> list[tuple[arb, arb, arb, arb]]:
        """(u, r, weight, psi) at the nodes of a piece."""
        if piece not in self._nodes:
            found = []
            level, index, nodes = piece
            half = self.width * 2.0**-level / 2
            for k in range(nodes):
                x, weight = arb.legendre_p_root(nodes, k, weight=True)
                u = self.start + half * (2 * index + 1 + x)
                log = self._balls(u)[0]
                found.append((u, u.exp(), (log + self.dim * u - self.law.top).exp() * weight * half, -log))
            self._nodes[piece] = found
        return self._nodes[piece]

    def _distribution(self, z: arb) -> arb:
        """F on a narrow ball, by its value at the middle and its slope."""
        slope = ((1 - z * z).log() * self.power).exp() * self.law.norm
        return self.law._distribution(z.mid()) + slope * arb(0, z.rad())

    def _beyond(self, key: tuple[int, Panel, int], start: float, target: arb) -> arb:
        """y with psi(y) = target: Newton's method in floats from where it was last found, and one step of balls that proves it."""
        y = self._newton(self._guess.get(key, start), float(target))
        self._guess[key] = y
        log, _ = self._balls(arb(y))
        for bits in AROUND:
            around = arb(y, 2.0**-bits)
            found = y - (-log - target) / -self._balls(around)[1]
            if around.contains(found):
                return found
        raise Undecided("a radius s was not found")

    def _newton(self, y: float, target: float) -> float:
        """About the y with psi(y) = target."""
        try:
            for _ in range(NEWTON):
                log, slope = self._floats(y)
                step = (-log - target) / -slope
                y -= step
                if abs(step) < NEAR:
                    return y
        except (ValueError, ArithmeticError):
            pass
        raise Undecided("a radius s was not found")


def _wider(x: arb) -> arb:
    """A ball around x and 0, and more."""
    both = x.union(arb(0))
    return arb(both.mid(), both.rad() * 1.15)
