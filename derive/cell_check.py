"""Proves every polynomial of a table of l2-radial noise again, at every double, and its witnesses, without anything of the engine.

Neighbouring polynomials are taken together. Over the distances that they take, h(t, e) of `witness_check` is enclosed at Chebyshev points e
with levels t = level(e)·e²; the interpolant of degree n - 1 errs by 4·b·rho^(1 - n)/(rho - 1) at most where |h| ≤ b on the ellipse whose half
axes add up to rho (Trefethen, Approximation Theory and Practice, 2013, theorem 8.2). Below that, as a polynomial in the distance, every
polynomial of the table is proved: h ≥ p at its value raised by what Horner's rule in doubles may add. Nearest to rho = 1/2,
1/2 - h(0, e) ≤ c·e with c = E[1/r]·E[A₊]·(d - 1), A a coordinate on the sphere (an integration by parts of E[psi'(r)·A₊]).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import NormalDist

from flint import acb, arb, arb_mat, arb_poly

from derive.strip_check import PRECISION, Box, Rule, Strip, Undecided, precision
from derive.witness_check import Span

TOLERANCES = arb(2) ** -44, arb(2) ** -50
"""Errors of the interpolants, relative to the smaller of p and 1/2 - p: the second where the first does not do."""
FINE = arb(2) ** -58, arb(2) ** -50
"""Errors of the masses, relative to the same; the second leaves witnesses open."""
ROUNDING = arb(2) ** -53 * (1 + arb(2) ** -40)
"""A coefficient of degree k suffers 2k + 2 roundings at most, the factor rho - 1/2 included."""
WIDE, FIRST, NARROWEST = 0.6, 0.3, 0.1
"""Widths of a group in normal quantiles, and of the first, and of a part of a cell in u."""
RHOS, MOST = (7.0, 4.0, 2.6), 40
"""Ellipses tried, and points of a group at most."""
LEVELS, CLOSE, MOVE = 6, 2.0**-28, 2.0**-10
"""Points at which levels are sought, coefficients left out, and by how much levels may change (relative)."""
BASIS, HALVINGS = 40, 5
"""Chebyshev coefficients told apart, and halvings of a cell."""
Level = Callable[[float], float]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Piece:
    """One polynomial, or a part of it: coefficients in u from -1 to 1 across the cell of gap = rho - 1/2 (`near`) or of 1 - rho about mid."""

    near: bool
    row: tuple[float, ...]
    mid: float
    half: float
    start: float = -1.0
    end: float = 1.0

    @cached_property
    def radius(self) -> arb_poly:
        """The value as a polynomial in v from -1 to 1 across the part, raised by what Horner's rule in doubles may add."""
        extra = sum((abs(arb(c)) * (2 * k + 2) for k, c in enumerate(self.row)), arb(0)) * ROUNDING
        poly = arb_poly([arb(c) for c in self.row]) + arb_poly([extra.upper()])
        return (poly * self._line(self.mid, self.half) if self.near else poly)(self._part)

    @cached_property
    def fail(self) -> arb_poly:
        """1 - rho as a polynomial in v."""
        line = self._line(self.mid, self.half)
        return (arb_poly([arb(0.5)]) - line if self.near else line)(self._part)

    @cached_property
    def distances(self) -> tuple[float, float]:
        """Ends of an interval with every value in it."""
        first, rest = _spread(self.radius)
        return float((first - rest).lower()), float((first + rest).upper())

    @property
    def least(self) -> float:
        """The smaller of p and 1/2 - p, at least."""
        return self.mid - self.half if self.near else min(self.mid - self.half, 0.25)

    @property
    def quantile(self) -> float:
        """About the normal quantile of the middle of the cell."""
        return -NormalDist().inv_cdf(0.5 - self.mid if self.near else self.mid)

    def halves(self) -> tuple[Piece, Piece]:
        """Both halves of the part, that of the larger p first."""
        if self.end - self.start < NARROWEST:
            raise Undecided("the masses are not smooth")
        middle = (self.start + self.end) / 2
        low, high = replace(self, end=middle), replace(self, start=middle)
        return (low, high) if self.near else (high, low)

    @property
    def _part(self) -> arb_poly:
        return self._line((self.start + self.end) / 2, (self.end - self.start) / 2)

    @staticmethod
    def _line(middle: float, half: float) -> arb_poly:
        return arb_poly([arb(middle), arb(half)])


def slope_fault(strip: Strip, slope: float) -> str:
    """Empty if R(1/2 + gap) ≥ slope·gap is proved, as doubles round it."""
    law = strip.law
    with precision(law.precision):
        found = law._integral(lambda u, _: law._near(u)[0] / u.exp(), arb(2) ** -20)
        rate = law.density.log(Span(-arb("inf"), law.low))[1].low + law.dim - 1
        if not bool(rate > 0):
            return "the score has no mean near 0"
        beyond = (law._weight(law.low)[0].real - law.top - law.low).exp() / rate + law.outside * (
            -law.high
        ).exp()
        mean = (found + beyond.union(arb(0))) / law.total * law.norm
        if bool(slope * (1 + arb(2) ** -52) * mean <= 1):
            return ""
        return f"the slope {slope!r} at rho = 1/2 is not proved, only {(1 / mean).str(17)}"


@dataclass
class Found:
    """What is not proved, the least (h - p)/min(p, 1/2 - p), and witnesses that the strip could not decide."""

    faults: list[str]
    margin: float
    open: list[Triple]


def check_pieces(strip: Strip, pieces: Sequence[Piece], witnesses: Sequence[Triple], level: Level) -> Found:
    """Proves a table's polynomials and witnesses; Undecided where the law is not smooth enough.

    `level` is about the level t/e² at a distance: where it is poor, less is proved.
    """
    found, count = Found([], math.inf, []), 0
    with precision(PRECISION):
        rest = sorted(pieces, key=lambda piece: piece.distances)
        claims = sorted(witnesses, key=lambda witness: witness[2])
        while rest:
            start = rest[0].quantile if count else 0.0
            most, wide = 1, WIDE if count else FIRST
            while (
                most < len(rest) and rest[most].quantile - start <= wide and (not count or most < 2 * count)
            ):
                most += 1
            while True:
                end = rest[most - 1].distances[1]
                inside = [w for w in claims if most == len(rest) or w[2] <= end]
                try:
                    group = _Group(strip, rest[:most], inside, level)
                    group.prove(found)
                    break
                except Undecided:
                    rest[:1] = rest[:1] if most > 1 else rest[0].halves()
                    most = max(1, most // 2)
            count, claims, rest = most, claims[len(inside) :], rest[most:]
    return found


class _Group:
    """Neighbouring polynomials whose distances lie in one interval, and witnesses there."""

    def __init__(
        self, strip: Strip, pieces: Sequence[Piece], witnesses: Sequence[Triple], level: Level
    ) -> None:
        self.strip, self.pieces, self.witnesses = strip, pieces, witnesses
        ends = [e for piece in pieces for e in piece.distances] + [e for _, _, e in witnesses]
        low, high = min(ends) * (1 - 1e-12), max(ends) * (1 + 1e-12)
        self.centre, self.half = arb((low + high) / 2), arb((high - low) / 2 * (1 + 1e-12))
        fails = [p for piece in pieces for p in (float(piece.fail(arb(1))), float(piece.fail(arb(-1))))]
        self.fail = min([*fails, *(p for p, _, _ in witnesses)])
        self.scale = arb(min(piece.least for piece in pieces))
        points = _points(LEVELS)
        guess = [level(float(self.centre + self.half * x)) for x in points]
        self.levels = [arb((max(guess) + min(guess)) / 2)]
        slack = max(guess) - min(guess) + MOVE * max(guess)
        self.real = self._box(
            1.0,
            [
                arb(min(guess) - slack),
                arb(max(guess) + slack),
                *(t / (arb(e) * arb(e)) for _, t, e in witnesses),
            ],
        )
        self.least = (
            self.real.level.real.lower() * (self.real.distance.real * self.real.distance.real).lower()
        )
        self.rules = self._rules()
        found = []
        for x, t in zip(points, guess, strict=True):  # a step towards M = 1/2, where h is largest
            e = self.centre + self.half * x
            missed = strip.mass(self.rules[1], t * e * e, e) - 0.5
            found.append(float(t + missed * (4 * arb.pi() * t).sqrt() / e))
        self.levels = _fitted(found)
        if not self.real.level.contains(self._box(1.0, []).level):
            raise Undecided("levels were not found")

    def _rules(self) -> tuple[Rule, Rule]:
        """Rules for the masses m and M, fine ones if possible."""
        grow, least = self.least.max(arb(0)).exp(), self.scale.min(arb(self.fail))
        fine, coarse = ((bits * least, bits * least * grow) for bits in FINE)
        try:
            return self.strip.rules(self.real, fine)
        except Undecided:
            return self.strip.rules(self.real, coarse)

    def prove(self, found: Found) -> None:
        """Adds what is not proved, with few points first."""
        for tolerance in TOLERANCES:
            if self._proved(tolerance, found):
                return

    def _proved(self, tolerance: arb, found: Found) -> bool:
        rules = self.rules
        count, error = self._smoothness(tolerance * self.scale)
        values, points = [], _points(count)
        for x in points:
            e = self.centre + self.half * x
            values.append(self.strip.h(rules, _value(self.levels, x) * e * e, e))
        terms, missed = _interpolant(values)
        proved = terms - arb_poly([(error + missed).upper()])
        lacks = [self._lack(piece, proved) for piece in self.pieces]
        if not (tolerance == TOLERANCES[-1] or all(bool(lack >= 0) for lack in lacks)):
            return False
        for piece, lack in zip(self.pieces, lacks, strict=True):
            found.margin = min(found.margin, float(lack))
            if not bool(lack >= 0):
                place = "rho - 1/2" if piece.near else "1 - rho"
                found.faults.append(
                    f"the polynomial about {place} = {piece.mid!r} is not proved to lie below the radius"
                )
        for p, t, distance in self.witnesses:
            inside = self.real.distance.real.contains(distance)
            h = self.strip.h(rules, arb(t), arb(distance)) if inside else arb("nan")
            if bool(h >= p):
                found.margin = min(found.margin, float(((h - p) / min(p, 0.5 - p)).lower()))
            else:
                found.open.append((p, t, distance))
        return True

    def _smoothness(self, tolerance: arb) -> tuple[int, arb]:
        """How many points to take, and the error of the interpolant there."""
        best: tuple[int, arb] | None = None
        loose = tolerance / 32, tolerance / 32 * self.least.max(arb(0)).exp()
        for rho in RHOS:
            box = self._box(rho, [])
            try:
                sizes = [
                    self.strip.size(rule, box, self.real, limit)
                    for rule, limit in zip(self.rules, loose, strict=True)
                ]
            except Undecided:
                continue
            decay = (-(box.level * box.distance * box.distance).real).exp()
            (own, missed), (shifted, dropped) = sizes
            size = own + decay * (shifted + 0.5)
            lost = 5 * (missed + dropped * (-self.least).exp())
            goal = tolerance / 2
            count = max(4, 1 + math.ceil(float((4 * size / (rho - 1) / goal).log().upper()) / math.log(rho)))
            error = (4 * size / (rho - 1) * arb(rho) ** (1 - count) + lost).upper()
            if best is None or count < best[0]:
                best = count, error
        if best is None or best[0] > MOST:
            raise Undecided("the radius is not smooth enough")
        return best

    def _box(self, rho: float, levels: Sequence[arb]) -> Box:
        """Distances on the ellipse and the levels there, and these levels."""
        across, up = self.half * (rho + 1 / rho) / 2, self.half * (rho - 1 / rho) / 2
        size = sum((abs(c) * (rho**k + rho**-k) / 2 for k, c in enumerate(self.levels[1:], 1)), arb(0))
        level = acb(arb(self.levels[0], size), arb(0, size) if rho > 1 else arb(0))
        for other in levels:
            level = level.union(acb(other))
        return Box(acb(arb(self.centre, across), arb(0, up)), level)

    def _lack(self, piece: Piece, proved: arb_poly) -> arb:
        """The least of (h - p)/min(p, 1/2 - p) over a piece, or less."""
        x = (piece.radius - arb_poly([self.centre])) * (1 / self.half)
        middle, rest = _spread(x)
        if not bool(abs(middle) + rest <= 1):
            raise Undecided("a polynomial leaves its group")
        return _least(proved(x) - piece.fail, HALVINGS) / piece.least


@lru_cache(maxsize=64)
def _points(count: int) -> tuple[arb, ...]:
    """Chebyshev points."""
    with precision(PRECISION):
        return tuple((arb.pi() * (2 * k + 1) / (2 * count)).cos() for k in range(count))


@lru_cache(maxsize=4)
def _chebyshev(count: int) -> tuple[arb_poly, ...]:
    found = [arb_poly([1]), arb_poly([0, 1])]
    while len(found) < count:
        found.append(2 * found[1] * found[-1] - found[-2])
    return tuple(found)


def _coefficients(values: Sequence[arb]) -> list[arb]:
    """Chebyshev coefficients of the interpolant through values at `_points`."""
    count = len(values)
    found = []
    for k in range(count):
        total = arb(0)
        for j, v in enumerate(values):
            total += v * (arb.pi() * (k * (2 * j + 1) % (4 * count)) / (2 * count)).cos()
        found.append(total * (2 if k else 1) / count)
    return found


def _interpolant(values: Sequence[arb]) -> tuple[arb_poly, arb]:
    """The interpolant with exact coefficients, and how far it may be off on [-1, 1]."""
    total, missed = arb_poly([0]), arb(0)
    for c, basis in zip(_coefficients(values), _chebyshev(60), strict=False):
        total += basis * c.mid()
        missed += c.rad()
    return total, missed


def _fitted(values: Sequence[float]) -> list[arb]:
    """Chebyshev coefficients of a few numbers, the small last ones left out."""
    found = [c.mid() for c in _coefficients([arb(v) for v in values])]
    while len(found) > 1 and abs(float(found[-1])) < CLOSE * abs(float(found[0])):
        found.pop()
    return found


def _value(terms: Sequence[arb], x: arb) -> arb:
    """A Chebyshev series, by Clenshaw's rule."""
    one, two = arb(0), arb(0)
    for c in reversed(terms[1:]):
        one, two = 2 * x * one - two + c, one
    return x * one - two + terms[0]


@lru_cache(maxsize=2)
def _basis(count: int) -> arb_mat:
    """Powers in Chebyshev polynomials: column k has those of u^k."""
    columns = [[arb(0)] * count for _ in range(count)]
    for k in range(count):
        for j in range(k // 2 + 1):
            n = k - 2 * j
            columns[k][n] = arb(math.comb(k, j)) * arb(2) ** (1 - k) / (1 if n else 2)
    return arb_mat([[columns[k][n] for k in range(count)] for n in range(count)])


def _least(poly: arb_poly, halvings: int) -> arb:
    """A lower bound on [-1, 1]; where it is negative, by halves."""
    first, rest = _spread(poly)
    found = (first - rest).lower()
    if bool(found >= 0) or not halvings:
        return found
    halves = [_least(poly(arb_poly([arb(side) / 2, arb(0.5)])), halvings - 1) for side in (-1, 1)]
    return halves[0].min(halves[1])


def _spread(poly: arb_poly) -> tuple[arb, arb]:
    """The constant Chebyshev coefficient, and the sum of all others in absolute value."""
    terms = [poly[k] for k in range(poly.degree() + 1)]
    head = terms[:BASIS] + [arb(0)] * (BASIS - len(terms))
    series = _basis(BASIS) * arb_mat(BASIS, 1, head)
    rest = sum((abs(series[n, 0]) for n in range(1, BASIS)), arb(0))
    return series[0, 0], rest + sum((abs(c) for c in terms[BASIS:]), arb(0))
