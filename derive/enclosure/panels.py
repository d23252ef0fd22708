"""Enclosure of the differential radius of any radial density: R = int dp/Phi(p), by Taylor panels along the greedy sets.

For S = |psi'(r)|·A with A = ±1, each with probability `weight`, the greedy sets are {A = 1, s(r) ≥ c}, s = |psi'|. With M(c) and I(c)
the integrals of lambda and s·lambda over {s ≥ c}, N = M(0) and J the density at a bound where it jumps to 0,

    p = weight·M/N,  Phi = weight·(I + J)/N,  so  R = int dM/(I + J)  from M = N·fail/weight to N, and Phi is flat beyond p = weight.

One sweep from the largest threshold down serves every confidence. Between the thresholds at which pieces of s begin and end, the boundary
on one piece moves over a panel and drags those on the others along; at such a threshold, and where s is constant, mass joins at a known s.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from flint import arb, ctx

from derive.enclosure.ball import exact, hull
from derive.enclosure.boundary import Points, Walk, levels_of, walks
from derive.enclosure.pieces import Piece, Pieces, cut
from derive.enclosure.radial import RadialDensity
from derive.enclosure.span import ZERO
from derive.enclosure.sweep import LENGTH, Panel, Taylor, coefficients, expansion

PRECISION = 256
MOST_PANELS = 6000
SECONDS = 40.0
"""For one sweep; past it nothing is known."""
FINE = {False: 56, True: 48}
"""Bits of the whole so far to which a panel is enclosed, or else split; fewer where several boundaries move together."""
EXTRA = 16
"""Bits beyond these come in steps of this size, so that sweeps can be kept."""
REACHES = (12, 32, 64, 160, 1100)
"""Sweeps are kept for fractions of the mass down to 2**-reach."""
LONGEST = arb(4)
GROWTH, NEARLY = arb(1.5), arb(0.99)

Range = tuple[Piece, arb, arb]


@dataclass(frozen=True)
class _Step:
    """Mass and share of the set before this step, and what joins: along a panel, or `joining` at scores in a ball `level`."""

    mass: arb
    share: arb
    panel: Panel | None
    radius: Taylor | None
    joining: arb
    level: arb


def cone_ball(
    density: RadialDensity, weight: sp.Rational, fail: arb, *, precision: int = PRECISION, extra: int = 0
) -> arb:
    """Encloses R(1 - fail), 0 < fail < 1/2, for the law of r in `density` and a cone of probability `weight` ≤ 1/2.

    The ball is as narrow as the turning points of the score allow, about 1e-14 relative as a rule, 2**-extra of that if asked.
    ArithmeticError where a sign, a tail or the mean score is not proved: then nothing is known.
    """
    if not (0 < weight <= sp.Rational(1, 2)) or not (bool(fail > 0) and bool(fail < 0.5)):
        raise ValueError(f"internal check failed: weight {weight} and fail {fail} must be in (0, 1/2]")
    with _working(precision):
        fraction = fail / exact(weight)
        reach = _reach(fraction)
        # close to the whole cone the radius is what is left of it: as many bits more as it is smaller
        left = (1 - fraction).lower() if bool(fraction < 1) else arb(1)
        more = extra + max(0, -math.frexp(float(left))[1]) if bool(left > 0) else extra
    for bits in dict.fromkeys(-(-n // EXTRA) * EXTRA for n in (more, extra)):
        found, used, unproved = sweep_of(density, reach, max(precision, 2 * (96 + bits)), bits)
        if found is not None:
            break
    if found is None:
        raise ArithmeticError(unproved)
    with _working(used):
        radius = found.radius(weight, fail)
    if not radius.is_finite():
        raise ArithmeticError("the radius could not be enclosed")
    return radius


def _reach(fraction: arb) -> int:
    for reach in REACHES:
        if bool(fraction > arb(2) ** -reach):
            return reach
    raise ArithmeticError(f"a fraction below 2**-{REACHES[-1]} is out of reach")


@contextmanager
def _working(precision: int) -> Iterator[None]:
    before = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = precision, LENGTH
    try:
        yield
    finally:
        ctx.prec, ctx.cap = before


@lru_cache(maxsize=64)
def sweep_of(density: RadialDensity, reach: int, precision: int, extra: int) -> tuple[Sweep | None, int, str]:
    """The sweep for fractions of the mass above 2**-reach and the precision that it took; or None, and what is not proved."""
    message = ""
    for bits in (precision, 3 * precision):  # the second where a density cancels close to its bound
        with _working(bits):
            try:
                return Sweep(cut(density, 62 + reach + extra, 62 + extra), arb(2) ** -reach, extra), bits, ""
            except (ArithmeticError, NotImplementedError) as error:
                message = str(error)
    return None, precision, message


class Sweep:
    """All steps from the largest threshold to the smallest; `total` is the whole mass, `share` the whole share without the jump."""

    def __init__(self, pieces: Pieces, least: arb, extra: int = 0) -> None:
        self._pieces = pieces
        self._start = pieces.size * least / 8  # steps before this mass serve for mass and share alone
        self._tiny = pieces.size * least * arb(2) ** -(58 + extra)
        self._fine = {several: arb(2) ** -(bits + extra) for several, bits in FINE.items()}
        self._steps: list[_Step] = []
        self._mass, self._share, self._radius = ZERO, ZERO, ZERO
        self._deadline = time.process_time() + SECONDS * (1 + extra / 64)
        self._sweep()
        self.total = hull(self._mass, self._mass + pieces.tail_mass)
        self.share = hull(self._share, self._share + pieces.tail_share)

    # the sweep
    def _sweep(self) -> None:
        pieces = self._pieces.pieces
        levels = levels_of(pieces)
        open_pieces: set[int] = set()
        where: Points = {}
        for number, level in enumerate(levels):
            whole = level.begin & level.end
            if not (level.end - whole) <= open_pieces or level.begin & open_pieces:
                raise ArithmeticError("the scores at the ends of pieces contradict their directions")
            ranges = [(pieces[n], pieces[n].low, pieces[n].high) for n in sorted(level.flat | whole)]
            ranges += [(pieces[n], where[n], pieces[n].bottom) for n in sorted(level.end - whole)]
            where = {n: u for n, u in where.items() if n not in level.end}
            where |= {n: pieces[n].top for n in level.begin - whole}
            open_pieces = set(where)
            score = hull(level.low, level.high)
            if not open_pieces:
                self._join(ranges, score)
                continue
            if number + 1 == len(levels):
                raise ArithmeticError("a piece of the score without an end")
            for walk in walks(pieces, tuple(sorted(open_pieces)), level, levels[number + 1]):
                start, end = walk.points(walk.start), walk.points(walk.end)
                score = hull(score, walk.score(walk.start))
                self._join([*ranges, *((pieces[n], where[n], start[n]) for n in walk.crossing)], score)
                self._along(walk, start, end)
                ranges, where, score = [], end, walk.score(walk.end)

    def _along(self, walk: Walk, start: Points, end: Points) -> None:
        pieces = self._pieces.pieces
        stack = [(walk.start, walk.end, start, end)]
        length = LONGEST
        while stack:
            low, high, start, end = stack.pop()
            scores = hull(walk.score(low), walk.score(high))
            ranges = [(pieces[n], start[n], end[n]) for n in walk.crossing]
            width = abs(high - low)
            if self._small(ranges, scores):
                self._join(ranges, scores)
                length = width if bool(width > length) else length
                continue
            if bool(width <= GROWTH * length):
                middle = ((low + high) / 2).mid()
                points = walk.points(middle, start, end)
                if self._accepted(walk, low, high, (start, points, end)):
                    length = width if bool(width < LONGEST) else LONGEST
                    continue
                length = width / 2
            else:
                cut_at = NEARLY * GROWTH * length / width  # below it also once rounded, or panels only shrink
                middle = (low + (high - low) * (cut_at if bool(cut_at < 0.5) else arb(0.5))).mid()
                points = walk.points(middle, start, end)
            self._check(len(self._steps) + len(stack))
            stack += [(middle, high, points, end), (low, middle, start, points)]

    def _check(self, panels: int) -> None:
        if panels > MOST_PANELS or time.process_time() > self._deadline:
            raise ArithmeticError("the greedy sets need too many panels")

    def _small(self, ranges: list[Range], scores: arb) -> bool:
        if not all(bool(abs(end - start) < 1) for _, start, end in ranges):
            return False
        return self._negligible(sum((_bounded(*found) for found in ranges), ZERO), scores)

    def _negligible(self, mass: arb, scores: arb) -> bool:
        """Whether neither a mass nor its share matters."""
        if not bool(mass < self._tiny):
            return False
        return bool(mass * scores.upper() <= self._tiny * self._pieces.score) or bool(self._pieces.score == 0)

    def _accepted(self, walk: Walk, low: arb, high: arb, points: tuple[Points, Points, Points]) -> bool:
        fine = self._fine[len(walk.crossing) > 1]
        radius = None
        try:
            found = walk.panel(low, high, points)
            mass, share = found.mass.whole, found.share.whole
            if not (_narrow(mass, self._mass + self._start, fine) and _narrow(share, self._share, fine)):
                return False
            if bool(self._mass + mass > self._start):
                radius = found.radius(self._share + self._pieces.edge)
                if not _narrow(radius.whole, self._radius, fine):
                    return False
                self._radius = self._radius + radius.whole.mid()
        except (ArithmeticError, ValueError):  # a ball too wide for the series
            return False
        self._steps.append(_Step(self._mass, self._share, found, radius, mass, ZERO))
        self._mass, self._share = self._mass + mass, self._share + share
        return True

    def _join(self, ranges: list[Range], level: arb) -> None:
        """Adds ranges on which the score lies in one ball."""
        if not ranges:
            return
        joining = sum((self._mass_between(piece, low, high, level) for piece, low, high in ranges), ZERO)
        self._steps.append(_Step(self._mass, self._share, None, None, joining, level))
        self._mass, self._share = self._mass + joining, self._share + level * joining

    def _mass_between(self, piece: Piece, one: arb, other: arb, level: arb) -> arb:
        """The integral of lambda between two points of a piece, the first with the larger score (flat pieces: from left to right)."""
        quick = _bounded(piece, one, other)
        if self._negligible(quick, level):
            apart = bool(other > one) if piece.direction <= 0 else bool(other < one)
            return hull(
                ZERO if apart else -quick, quick
            )  # not told apart: a sliver may have been counted before
        if piece.direction > 0:
            one, other = other, one
        if not bool(one < other):
            raise ArithmeticError("boundary points out of order")
        low, high = one.mid(), other.mid()
        total = sum((_bounded(piece, end.lower(), end.upper()) * arb(0, 1) for end in (one, other)), ZERO)
        stack = [(low, high)]
        while stack:
            low, high = stack.pop()
            centre, half = ((low + high) / 2).mid(), (high - low) / 2
            if bool(half < 2):
                part = _quadrature(piece, low, centre, high)
                if part is not None and _narrow(part, self._mass, self._fine[False]):
                    total = total + part
                    continue
                bound = _bounded(piece, low, high)
                if self._negligible(bound, level):
                    total = total + hull(ZERO, bound)
                    continue
            self._check(len(stack))
            stack += [(centre, high), (low, centre)]
        return total

    # radii
    def radius(self, weight: sp.Rational, fail: arb) -> arb:
        """The radius at a cone of this probability and 1 - rho = fail."""
        share = self.share + self._pieces.edge
        per_unit = self.total / (exact(weight) * share)
        if not bool(fail < exact(weight)):
            if not bool(fail >= exact(weight)):
                raise ArithmeticError("fail is not told apart from the weight of the cone")
            return (arb(1) / 2 - fail) * per_unit
        return (arb(1) / 2 - exact(weight)) * per_unit + self._beyond(self.total * fail / exact(weight))

    def _beyond(self, target: arb) -> arb:
        """int dM/(I + J) from M = target to the whole mass."""
        hidden_mass = hull(ZERO, self._pieces.tail_mass)
        number = 0
        for n, step in enumerate(self._steps):
            if bool(step.mass.mid() <= target.mid()):
                number = n
        step = self._steps[number]
        mass, share, total = self._inside(step, target)
        constant = share + self._pieces.edge
        least = (
            share.lower() * (target / (mass + hidden_mass)).min(arb(1)).lower() + self._pieces.edge.lower()
        )
        if not bool(least > 0):
            raise ArithmeticError("the share of the set is not bounded from below")
        total = total + (mass + hidden_mass - target) * hull(
            ZERO, 1 / least
        )  # from the target to the point chosen
        for later in self._steps[number + 1 :]:
            total = total + self._step_radius(later)
        return total * hull(arb(1), 1 / (1 + self._pieces.tail_share / constant.lower())) + hull(
            ZERO, self._pieces.tail_mass / constant.lower()
        )

    def _step_radius(self, step: _Step) -> arb:
        if step.panel is not None:
            radius = (
                step.radius if step.radius is not None else step.panel.radius(step.share + self._pieces.edge)
            )
            return radius.whole
        return _joined_radius(step.share + self._pieces.edge, step.level, step.joining)

    def _inside(self, step: _Step, target: arb) -> tuple[arb, arb, arb]:
        """(M, I, int dM/(I + J) to the end of the step) at a point of the step with M close to the target."""
        missing = target - step.mass
        if step.panel is None:
            joined = missing.mid() if bool(missing.mid() < step.joining.mid()) else step.joining.mid()
            joined = joined if bool(joined > 0) else ZERO
            share = step.share + step.level * joined
            return (
                step.mass + joined,
                share,
                _joined_radius(share + self._pieces.edge, step.level, step.joining - joined),
            )
        mass, half = step.panel.mass, step.panel.mass.half.mid()
        low, high = -half, half
        for _ in range(ctx.prec // 2):
            middle = ((low + high) / 2).mid()
            if bool(mass.integral(-mass.half, middle).mid() < missing.mid()):
                low = middle
            else:
                high = middle
        radius = step.radius if step.radius is not None else step.panel.radius(step.share + self._pieces.edge)
        share = step.share + step.panel.share.integral(-mass.half, low)
        return step.mass + mass.integral(-mass.half, low), share, radius.integral(low, mass.half)


def _narrow(ball: arb, beside: arb, fine: arb) -> bool:
    """Whether a positive ball is narrow in proportion to itself and what it is added to."""
    return ball.is_finite() and bool(ball > 0) and bool(ball.rad() < fine * (ball.mid() + beside.mid()))


def _joined_radius(share: arb, level: arb, joining: arb) -> arb:
    """int_0^Q dq/(share + level·q) = log(1 + x)/x · Q/share with x = level·Q/share."""
    ratio = level * joining / share
    if not bool(ratio > arb(2) ** -64):
        top = ratio.upper()
        factor = hull(arb(1), 1 / (1 + top)) if bool(top > 0) else arb(1)
    else:
        factor = hull(_log_ratio(ratio.lower()), _log_ratio(ratio.upper()))  # falling in x
    return joining / share * factor


def _log_ratio(x: arb) -> arb:
    return x.log1p() / x


def _quadrature(piece: Piece, low: arb, centre: arb, high: arb) -> arb | None:
    """The integral of lambda from low to high, exact points; None where the series fail."""
    try:
        fine, _, wide, _ = expansion(piece.branch, centre, low.union(high))
    except ArithmeticError:
        return None
    return Taylor(coefficients(fine), coefficients(wide), (high - low) / 2).integral(
        low - centre, high - centre
    )


def _bounded(piece: Piece, one: arb, other: arb) -> arb:
    """An upper bound of the integral of lambda between two points."""
    box = one.union(other)
    centre = box.mid()
    width = box.upper() - box.lower()
    before = ctx.cap
    ctx.cap = 3
    try:
        fine, _ = piece.branch.expand(centre)
        wide, _ = piece.branch.expand(box)
    except ArithmeticError:
        return arb.pos_inf()
    finally:
        ctx.cap = before
    offset = box - centre
    square = ZERO.union(abs(offset).upper() ** 2)
    top = fine[0] + fine[1] * offset + wide[2] * square
    return (top.upper().exp() * width).upper() if top.is_finite() else arb.pos_inf()
