"""Enclosure of the differential radius of any radial density: R = int dp/Phi(p), by Taylor panels along the greedy sets.

For S = |psi'(r)|·A with A = ±1, each with probability `weight`, the greedy sets are {A = 1, s(r) ≥ c}, s = |psi'|. With M(c) and I(c)
the integrals of lambda and s·lambda over {s ≥ c}, N = M(0) and J the density at a bound where it jumps to 0,

    p = weight·M/N,  Phi = weight·(I + J)/N,  so  R = int dM/(I + J)  from M = N·fail/weight to N, and Phi is flat beyond p = weight.

One sweep from the largest threshold down serves every confidence. Between the thresholds at which pieces of s begin and end, the boundary
on one piece moves over a panel and drags those on the others along; at such a threshold, and where s is constant, mass joins at a known s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from flint import arb, ctx

from derive.ball import exact, hull
from derive.pieces import Piece, Pieces, cut
from derive.radial import RadialDensity
from derive.span import ZERO
from derive.sweep import LENGTH, Panel, Taylor, coefficients, expansion, panel

PRECISION = 448
MOST_PANELS = 6000
FINE = arb(2) ** -56
"""Relative width of what a panel adds, for which it is not split further."""
REACHES = (12, 32, 64, 160, 1100)
"""Sweeps are kept for fractions of the mass down to 2**-reach."""
LONGEST = arb(3)

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


def cone_ball(density: RadialDensity, weight: sp.Rational, fail: arb, *, precision: int = PRECISION) -> arb:
    """Encloses R(1 - fail), 0 < fail < 1/2, for the law of r in `density` and a cone of probability `weight` ≤ 1/2.

    The ball is as narrow as the turning points of the score allow, about 1e-14 relative as a rule. ArithmeticError where a sign, a tail
    or the mean score is not proved: then nothing is known.
    """
    if not (0 < weight <= sp.Rational(1, 2)) or not (bool(fail > 0) and bool(fail < 0.5)):
        raise ValueError(f"internal check failed: weight {weight} and fail {fail} must be in (0, 1/2]")
    with _working(precision):
        fraction = fail / exact(weight)
        reach = _reach(fraction)
        return sweep_of(density, reach, precision).radius(weight, fail)


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
def sweep_of(density: RadialDensity, reach: int, precision: int) -> Sweep:
    """The sweep of a density for fractions of its mass above 2**-reach."""
    return Sweep(cut(density, 72 + reach), arb(2) ** -reach)


class Sweep:
    """All steps from the largest threshold to the smallest; `total` is the whole mass, `share` the whole share without the jump."""

    def __init__(self, pieces: Pieces, least: arb) -> None:
        self._pieces = pieces
        self._start = pieces.size * least / 8  # steps before this mass serve for mass and share alone
        self._tiny = pieces.size * least * arb(2) ** -70
        self._steps: list[_Step] = []
        self._mass, self._share = ZERO, ZERO
        self._sweep()
        self.total = hull(self._mass, self._mass + pieces.tail_mass)
        self.share = hull(self._share, self._share + pieces.tail_share)

    # the sweep
    def _sweep(self) -> None:
        levels = _clusters(self._pieces.pieces)
        where: dict[int, arb] = {}  # boundary points of the pieces that cross the present threshold
        pieces = self._pieces.pieces
        for number, (low, high) in enumerate(levels):
            following = levels[number + 1][1] if number + 1 < len(levels) else None
            crossing = [
                n for n, p in enumerate(pieces) if following is not None and _crosses(p, low, following)
            ]
            starts, ends, main = (
                self._interval(crossing, low, following)
                if crossing and following is not None
                else ({}, {}, 0)
            )
            self._join(self._passed(where, starts, low, high), hull(low, high))
            where = ends
            if crossing:
                self._along(crossing, main, starts, ends)

    def _passed(self, where: dict[int, arb], starts: dict[int, arb], low: arb, high: arb) -> list[Range]:
        """The ranges of u that join between the last panel above a threshold and the first below it."""
        ranges: list[Range] = []
        for n, piece in enumerate(self._pieces.pieces):
            if piece.direction == 0:
                level = piece.score(piece.low)
                if bool(level >= low) and bool(level <= high):
                    ranges.append((piece, piece.low, piece.high))
                continue
            top, bottom = piece.score(piece.top), piece.score(piece.bottom)
            begins, ends = (
                bool(top >= low) and bool(top <= high),
                bool(bottom >= low) and bool(bottom <= high),
            )
            if not begins and not ends and n not in where:
                continue
            first = where.get(n, piece.top)
            last = starts.get(n, piece.bottom)
            if n in where or begins:
                ranges.append((piece, first, last))
        return ranges

    def _interval(
        self, crossing: list[int], low: arb, following: arb
    ) -> tuple[dict[int, arb], dict[int, arb], int]:
        """Boundary points just below a threshold and just above the next, those on the main piece exact."""
        pieces = self._pieces.pieces
        margin = arb(2) ** (-(ctx.prec * 5) // 8)
        above, below = (low * (1 - margin)).mid(), (following * (1 + margin) + margin * low).mid()
        first = {n: _solve(pieces[n], above) for n in crossing}
        last = {n: _solve(pieces[n], below) for n in crossing}
        main = max(crossing, key=lambda n: float(abs(first[n] - last[n])))
        result = []
        for points in (first, last):
            at = points[main].mid()
            level = pieces[main].score(at)
            result.append({n: at if n == main else _solve(pieces[n], level) for n in crossing})
        return result[0], result[1], main

    def _along(self, crossing: list[int], main: int, starts: dict[int, arb], ends: dict[int, arb]) -> None:
        pieces = self._pieces.pieces
        stack = [(starts, ends)]
        while stack:
            start, end = stack.pop()
            scores = hull(pieces[main].score(start[main]), pieces[main].score(end[main]))
            if self._small(crossing, start, end, scores):
                self._join([(pieces[n], start[n], end[n]) for n in crossing], scores)
                continue
            middle = ((start[main] + end[main]) / 2).mid()
            level = pieces[main].score(middle)
            points = {
                n: middle if n == main else _solve(pieces[n], level, start[n], end[n]) for n in crossing
            }
            if bool(abs(end[main] - start[main]) > LONGEST) or not self._accepted(
                crossing, main, start, points, end
            ):
                if len(self._steps) + len(stack) > MOST_PANELS:
                    raise ArithmeticError("too many panels")
                stack += [(points, end), (start, points)]

    def _small(self, crossing: list[int], start: dict[int, arb], end: dict[int, arb], scores: arb) -> bool:
        if not all(bool(abs(end[n] - start[n]) < 1) for n in crossing):
            return False
        total = sum((_bounded(self._pieces.pieces[n], start[n], end[n]) for n in crossing), ZERO)
        return self._negligible(total, scores)

    def _negligible(self, mass: arb, scores: arb) -> bool:
        """Whether neither a mass nor its share matters."""
        if not bool(mass < self._tiny):
            return False
        return bool(mass * scores.upper() <= self._tiny * self._pieces.score) or bool(self._pieces.score == 0)

    def _accepted(
        self,
        crossing: list[int],
        main: int,
        start: dict[int, arb],
        middle: dict[int, arb],
        end: dict[int, arb],
    ) -> bool:
        pieces = self._pieces.pieces
        others = [(pieces[n], start[n], middle[n], end[n]) for n in crossing if n != main]
        radius = None
        try:
            found = panel(pieces[main], start[main], end[main], others)
            mass, share = found.mass.whole, found.share.whole
            if not (_narrow(mass) and _narrow(share)):
                return False
            if bool(self._mass + mass > self._start):
                radius = found.radius(self._share + self._pieces.edge)
                if not _narrow(radius.whole):
                    return False
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
        """The integral of lambda between two points of a piece, in any order."""
        if bool(one >= other):
            one, other = other, one
        quick = _bounded(piece, one, other)
        if self._negligible(quick, level):
            return hull(ZERO, quick)
        low, high = one.mid(), other.mid()
        total = sum((_bounded(piece, end.lower(), end.upper()) * arb(0, 1) for end in (one, other)), ZERO)
        stack = [(low, high)]
        while stack:
            low, high = stack.pop()
            centre, half = ((low + high) / 2).mid(), (high - low) / 2
            if bool(half < 2):
                part = _quadrature(piece, low, centre, high)
                if part is not None and _narrow(part):
                    total = total + part
                    continue
                bound = _bounded(piece, low, high)
                if self._negligible(bound, level):
                    total = total + hull(ZERO, bound)
                    continue
            if len(stack) > MOST_PANELS:
                raise ArithmeticError("too many panels")
            stack += [(centre, high), (low, centre)]
        return total

    # radii
    def radius(self, weight: sp.Rational, fail: arb) -> arb:
        """The radius at a cone of this probability and 1 - rho = fail."""
        share = self.share + self._pieces.edge
        per_unit = self.total / (exact(weight) * share)
        end = (exact(weight) if weight < sp.Rational(1, 2) else arb(1) / 2).union(exact(weight))
        if not bool(fail < exact(weight)):
            if not bool(fail >= exact(weight)):
                raise ArithmeticError("fail is not told apart from the weight of the cone")
            return (arb(1) / 2 - fail) * per_unit
        return (arb(1) / 2 - end) * per_unit + self._beyond(self.total * fail / exact(weight))

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


def _narrow(ball: arb) -> bool:
    return ball.is_finite() and bool(ball > 0) and bool(ball.rad() < FINE * ball.mid())


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


# thresholds
def _clusters(pieces: tuple[Piece, ...]) -> list[tuple[arb, arb]]:
    """The scores at the pieces' ends, from the largest, those that cannot be told apart as one interval."""
    values = [piece.score(end) for piece in pieces for end in (piece.low, piece.high)]
    if not all(value.is_finite() for value in values):
        raise ArithmeticError("a score at the end of a piece is not finite")
    margin = arb(2) ** (-ctx.prec // 2)
    spread = [((value * (1 - margin)).lower(), (value * (1 + margin)).upper()) for value in values]
    spread.sort(key=_Key, reverse=True)
    found: list[tuple[arb, arb]] = []
    for low, high in spread:
        if found and bool(high >= found[-1][0]):
            found[-1] = (low if bool(low < found[-1][0]) else found[-1][0], found[-1][1])
        else:
            found.append((low, high))
    return found


class _Key:
    def __init__(self, value: tuple[arb, arb]) -> None:
        self.value = value[1]

    def __lt__(self, other: _Key) -> bool:
        return bool(self.value < other.value)


def _crosses(piece: Piece, low: arb, following: arb) -> bool:
    """Whether the piece takes every score between two neighbouring thresholds."""
    return (
        piece.direction != 0
        and bool(piece.score(piece.top) >= low)
        and bool(piece.score(piece.bottom) <= following)
    )


def _solve(piece: Piece, level: arb, one: arb | None = None, other: arb | None = None) -> arb:
    """The ball of the u on the piece with score(u) = level, between two points if given; proved by signs."""
    low, high = (piece.top, piece.bottom) if one is None or other is None else (one, other)
    low, high = (low, high) if bool(low.mid() < high.mid()) else (high, low)
    low, high = low.mid(), high.mid()
    rising = piece.direction > 0
    goal = level.mid()
    at = ((low + high) / 2).mid()
    for _ in range(2 * ctx.prec):
        value = (piece.score(at) - goal).mid()
        if bool(value == 0):
            break
        if bool(value > 0) == rising:
            high = at
        else:
            low = at
        before = ctx.cap
        ctx.cap = 2
        slope = (piece.sign * piece.branch.expand(at)[1])[1].mid()
        ctx.cap = before
        following = (at - value / slope).mid() if bool(slope != 0) else ((low + high) / 2).mid()
        if not bool(following > low) or not bool(following < high):
            following = ((low + high) / 2).mid()
        if bool(abs(following - at) <= arb(2) ** (8 - ctx.prec) * (abs(at) + arb(2) ** -ctx.prec)):
            at = following
            break
        at = following
    return _certified(piece, level, at)


def _certified(piece: Piece, level: arb, at: arb) -> arb:
    step = (abs(at) + arb(2) ** -64) * arb(2) ** (12 - ctx.prec)
    for _ in range(ctx.prec):
        low, high = (at - step).mid(), (at + step).mid()
        below, above = (low, high) if piece.direction > 0 else (high, low)
        ends = piece.score(below), piece.score(above)
        if bool(ends[0] < level) and bool(ends[1] > level):
            return low.union(high)
        step = 4 * step
    raise ArithmeticError("a boundary point could not be enclosed")
