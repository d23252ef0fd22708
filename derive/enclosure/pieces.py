"""A radial density cut into pieces on which the score is monotone, in u = log r, with proved bounds for what is left of both tails.

The weight of u is lambda(u) = exp(L(u)), L = m·u - psi(e**u): the density of u up to its normaliser. The score is s = |psi'(r)|.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import sympy as sp
from flint import arb, ctx

from derive.enclosure.ball import Program, exact, number
from derive.enclosure.branch import Branch, for_balls
from derive.enclosure.radial import RadialDensity
from derive.enclosure.signs import Part, signs_on, smooth_parts
from derive.enclosure.span import INFINITY, ZERO, Span
from derive.enclosure.steady import Steady
from derive.formula import r, written_out
from derive.timelimit import limited

SECONDS = 12.0
_UNITS = {"+": 1, "-": -1, "0": 0}


@dataclass(frozen=True)
class Piece:
    """u from low to high; direction of the score s = sign·psi' there: 1 rising, -1 falling, 0 constant."""

    branch: Branch
    sign: int
    direction: int
    low: arb
    high: arb
    low_is_zero: bool = False
    high_is_zero: bool = False

    def end_score(self, u: arb) -> arb:
        """The score at `low` or `high`, exactly 0 at a zero of psi'."""
        zero = (u is self.low and self.low_is_zero) or (u is self.high and self.high_is_zero)
        return ZERO if zero else self.score(u)

    @property
    def top(self) -> arb:
        """The end with the larger score."""
        return self.high if self.direction > 0 else self.low

    @property
    def bottom(self) -> arb:
        return self.low if self.direction > 0 else self.high

    def score(self, u: arb) -> arb:
        return self.sign * self.branch.score_at(u) if self.sign else ZERO


@dataclass(frozen=True)
class Pieces:
    """All pieces from left to right, the jump to 0 at a finite bound, and upper bounds of mass and share of the tails left out.

    Masses are integrals of lambda du, shares integrals of s·lambda du; `edge` is the density at the bound in the same unit, `size` a
    guess of the whole mass and `score` one of a score where much of it lies.
    """

    pieces: tuple[Piece, ...]
    edge: arb
    tail_mass: arb
    tail_share: arb
    size: arb
    score: arb


def cut(density: RadialDensity, bits: int, share_bits: int = 62) -> Pieces:
    """The pieces, with tails of about 2**-bits of the whole; ArithmeticError where something cannot be proved.

    What is left out near 0 is 2**-share_bits of the share, unless that takes too long a way.
    """
    parts = smooth_parts(for_balls(density.psi), density.kinks, density.bound, budget=SECONDS)
    if parts is None:
        raise ArithmeticError(f"the smooth parts of {density.psi} are not known")
    branches = [(part, Branch(expression, density.exponent)) for part, expression in parts]
    turns = [_turns(part, branch) for part, branch in branches]
    peak, size = _peak(branches)
    drop = arb(2).log() * bits
    left, left_mass, left_share = _left_tail(branches, turns[0], peak, size, drop, arb(2) ** -share_bits)
    right, right_mass, right_share, edge = _right_tail(branches, peak, size, drop)
    score = abs(_branch_at(branches, peak).score_at(peak)).mid()
    pieces: list[Piece] = []
    for (part, branch), turn in zip(branches, turns, strict=True):
        low = left if part.low == 0 else number(part.low).log()
        high = right if part is branches[-1][0] else number(part.high).log()
        pieces += _monotone(branch, turn, low, high)
    return Pieces(tuple(pieces), edge, left_mass + right_mass, left_share + right_share, size, score)


@dataclass(frozen=True)
class Ends:
    """Where both tails begin, in u, the mass left out there at most, and a guess of the whole; `low` is -oo where none is proved at 0."""

    low: arb
    high: arb
    mass: arb
    size: arb


def ends(density: RadialDensity, bits: int) -> Ends:
    """Tails of about 2**-bits of the whole, whatever the score does between; ArithmeticError where the far one is not proved."""
    parts = smooth_parts(for_balls(density.psi), density.kinks, density.bound, budget=SECONDS)
    if parts is None:
        raise ArithmeticError(f"the smooth parts of {density.psi} are not known")
    branches = [(part, Branch(expression, density.exponent)) for part, expression in parts]
    peak, size = _peak(branches)
    drop = arb(2).log() * bits
    left, left_mass = _near_zero(branches, peak, size, drop)
    right, right_mass, _, _ = _right_tail(branches, peak, size, drop)
    return Ends(left, right, left_mass + right_mass, size)


def _near_zero(branches: list[tuple[Part, Branch]], peak: arb, size: arb, drop: arb) -> tuple[arb, arb]:
    """(end, mass): L' ≥ rate below the end bounds the mass."""
    part, branch = branches[0]
    steady = Steady(time.process_time() + SECONDS)
    u = peak if part.high is None else _least(peak, number(part.high).log().mid() - 1)
    step, goal = arb(2) ** -10, size.log() - drop
    for _ in range(76):
        u, step = (u - step).mid(), 2 * step
        slope = branch.weight_slope(u)
        if not (bool(slope > 0) and bool(branch.log_weight(u) - slope.log() < goal)):
            continue
        rate = _rational(slope / 2)
        on = Span(ZERO, u.exp().upper())
        if rate > 0 and steady.sign(steady.factored(branch.exponent - rate - r * branch.score), on) == 1:
            return u, (branch.log_weight(u).exp() / exact(rate)).upper()
    return -INFINITY, ZERO


@dataclass(frozen=True)
class _Turns:
    """Signs of psi' and psi'' at the left end of a part, and (u, which of them, its sign from there on)."""

    first: tuple[str, str]
    places: tuple[tuple[arb, int, str], ...]


def _turns(part: Part, branch: Branch) -> _Turns:
    bend = sp.diff(branch.score, r)
    slopes, bends = signs_on(branch.score, part, budget=SECONDS), signs_on(bend, part, budget=SECONDS)
    if slopes is None or bends is None:
        raise ArithmeticError(f"the monotone pieces of the score {branch.score} are not proved")
    places: list[tuple[arb, int, str]] = []
    for which, (expression, pattern) in enumerate(((branch.score, slopes), (bend, bends))):
        for before, after in itertools.pairwise(pattern):
            if before[0] != after[0]:
                places.append((_refined(expression, after[1]).log(), which, after[0]))
    places.sort(key=lambda turn: float(turn[0]))
    for one, other in itertools.pairwise(places):
        if not bool(one[0] < other[0]):
            raise ArithmeticError("turning points of the score that cannot be told apart")
    return _Turns((slopes[0][0], bends[0][0]), tuple(places))


def _monotone(branch: Branch, turns: _Turns, low: arb, high: arb) -> list[Piece]:
    """The pieces of a part from low to high; turns beyond them are not needed."""
    signs = list(turns.first)
    pieces: list[Piece] = []
    zero = False
    for place, which, after in [*turns.places, (high, -1, "")]:
        if bool(place > low) and bool(low < high):
            end = place if bool(place < high) else high
            sign = _UNITS[signs[0]]
            ends_at_zero = which == 0 and end is place
            pieces.append(Piece(branch, sign, sign * _UNITS[signs[1]], low, end, zero, ends_at_zero))
            low, zero = end, ends_at_zero
        elif not bool(place < low) and place is not high:
            raise ArithmeticError("a turning point of the score at the end of its part")
        if which >= 0:
            signs[which] = after
    return pieces


def _refined(expression: sp.Expr, root: arb) -> arb:
    """A simple root to the working precision, by Newton's steps and signs; the ball as it is where signs do not show it."""
    value, slope = Program(expression, r), Program(sp.diff(expression, r), r)
    at = root.mid()
    for _ in range(12):
        move = (value(at) / slope(at)).mid()
        if not move.is_finite():
            return root
        at = (at - move).mid()
    step = abs(at) * arb(2) ** (12 - ctx.prec)
    while bool(step < root.rad()):
        low, high = (at - step).mid(), (at + step).mid()
        ends = value(low), value(high)
        if bool(ends[0] * ends[1] < 0) and root.contains(low) and root.contains(high):
            return low.union(high)
        step = 16 * step
    return root


# where the weight lies
def _branch_at(branches: list[tuple[Part, Branch]], u: arb) -> Branch:
    radius = u.exp()
    for part, branch in branches[:-1]:
        if bool(radius.mid() < number(part.high).mid()):
            return branch
    return branches[-1][1]


def _height(branches: list[tuple[Part, Branch]], u: arb) -> arb:
    return _branch_at(branches, u).log_weight(u).mid()


def _peak(branches: list[tuple[Part, Branch]]) -> tuple[arb, arb]:
    """Where lambda is largest, and about how much mass is there: guesses, on which no proof rests."""
    bound = branches[-1][0].high
    end = INFINITY if bound is None else number(bound).log().mid()

    def slope(u: arb) -> arb:
        return _branch_at(branches, u).weight_slope(u).mid()

    low, high, step = arb(0), arb(0), arb(1)
    if end.is_finite():
        low = high = end - 1
    while not bool(slope(low) > 0) and bool(step < 2**20):
        low, step = low - step, 2 * step
    step = arb(1)
    while not bool(slope(high) < 0) and bool(step < 2**20):
        high = high + step if not end.is_finite() else end - (end - high) / 4
        step = 2 * step
        if end.is_finite() and bool(end - high < arb(2) ** -200):
            break
    grid = [(low + (high - low) * n / 256).mid() for n in range(257)]
    heights = [_height(branches, u) for u in grid]
    best = max(
        (n for n in range(257) if heights[n].is_finite()), key=lambda n: _Order(heights[n]), default=None
    )
    if best is None:
        raise ArithmeticError("the density has no finite value")
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, 256)]
    for _ in range(100):
        middle = ((low + high) / 2).mid()
        low, high = (middle, high) if bool(slope(middle) > 0) else (low, middle)
    peak = max((low, grid[best]), key=lambda u: _Order(_height(branches, u)))
    width = arb(1)
    top = _height(branches, peak)
    while bool(width > 1e-9) and bool(_height(branches, peak - width) < top - 1):
        width = width / 2
    return peak, ((top).exp() * width).mid()


class _Order:
    def __init__(self, value: arb) -> None:
        self.value = value

    def __gt__(self, other: _Order) -> bool:
        return bool(self.value > other.value)

    def __lt__(self, other: _Order) -> bool:
        return bool(self.value < other.value)


def _rational(value: arb) -> sp.Rational:
    return (
        sp.Rational(float(value)).limit_denominator(10**6)
        if bool(abs(value) < 1e6)
        else sp.Integer(int(float(value)))
    )


# tails
def _left_tail(
    branches: list[tuple[Part, Branch]], turns: _Turns, peak: arb, size: arb, drop: arb, part_left: arb
) -> tuple[arb, arb, arb]:
    """(end, mass, share), the end below all turns: L' ≥ rate bounds the mass; a score that rises, or a second rate, the share."""
    part, branch = branches[0]
    steady = Steady(time.process_time() + SECONDS)
    u = peak if part.high is None else _least(peak, number(part.high).log().mid() - 1)
    if turns.places:
        u = _least(u, turns.places[0][0].mid() - arb(2) ** -4)
    step = arb(2) ** -10
    goal = size.log() - drop
    for _ in range(64):
        u, step = (u - step).mid(), 2 * step
        slope = branch.weight_slope(u)
        if bool(slope > 0) and bool(branch.log_weight(u) - slope.log() < goal):
            break
    for attempt in range(12):
        on = Span(ZERO, u.exp().upper())
        rate = _rational(branch.weight_slope(u) / 2)
        if rate > 0 and steady.sign(steady.factored(branch.exponent - rate - r * branch.score), on) == 1:
            mass = branch.log_weight(u).exp() / exact(rate)
            share = _left_share(branch, turns.first, u, mass, steady)
            if bool(share <= part_left * size * abs(branch.score_at(peak))) or attempt > 8:
                return u, mass.upper(), share
        u, step = (u - step).mid(), 2 * step
    raise ArithmeticError("the mass near r = 0 is not bounded")


def _left_share(branch: Branch, signs: tuple[str, str], u: arb, mass: arb, steady: Steady) -> arb:
    on = Span(ZERO, u.exp().upper())
    if _UNITS[signs[0]] * _UNITS[signs[1]] >= 0:
        return (abs(branch.score_at(u)) * mass).upper()
    power = steady.factored(r * sp.diff(branch.score, r) / branch.score)
    rate = _rational((branch.weight_slope(u) + Program(power, r)(u.exp())) / 2)
    if rate > 0 and steady.sign(steady.factored(branch.exponent - rate - r * branch.score + power), on) == 1:
        return (abs(branch.score_at(u)) * branch.log_weight(u).exp() / exact(rate)).upper()
    rate = _rational((branch.weight_slope(u) - 1) / 2)
    if rate > 0 and steady.sign(branch.exponent - 1 - rate - r * branch.score, on) == 1:
        near = (branch.log_weight(u) - u).exp()  # psi'·lambda = (m-1)·e**(L-u) - (e**(L-u))'
        return (near * (1 + exact(branch.exponent - 1) / exact(rate))).upper()
    raise ArithmeticError("the mean score near r = 0 is not bounded: it may be infinite")


def _right_tail(
    branches: list[tuple[Part, Branch]], peak: arb, size: arb, drop: arb
) -> tuple[arb, arb, arb, arb]:
    """(end, mass, share, edge)."""
    part, branch = branches[-1]
    start = peak if part.low == 0 else _largest(peak, number(part.low).log().mid())
    if part.high is not None:
        return _edge_tail(part, branch, start, size, drop)
    steady = Steady(time.process_time() + SECONDS)
    u, step, goal = start, arb(2) ** -10, size.log() - drop
    for _ in range(64):
        u, step = (u + step).mid(), 2 * step
        slope = branch.weight_slope(u)
        if bool(slope < 0) and bool(branch.log_weight(u) - (-slope).log() < goal):
            break
    for _ in range(12):
        rate = _rational(-branch.weight_slope(u) / 2)
        excess = steady.factored(branch.exponent + rate - r * branch.score)
        if rate > 0 and steady.sign(excess, Span(u.exp().lower(), INFINITY)) == -1:
            mass = branch.log_weight(u).exp() / exact(rate)
            near = (branch.log_weight(u) - u).exp()  # as in _left_share; psi' > 0 here
            share = near * (1 + exact(branch.exponent - 1) / exact(rate))
            return u, mass.upper(), share.upper(), ZERO
        u, step = (u + step).mid(), 2 * step
    raise ArithmeticError("the mass of the tail is not bounded: the density may not be integrable")


def _edge_tail(part: Part, branch: Branch, start: arb, size: arb, drop: arb) -> tuple[arb, arb, arb, arb]:
    """Up to a finite bound where psi is regular there, else close to it."""
    assert part.high is not None
    end = number(part.high).log()
    last = branch.log_weight(end)
    if last.is_finite() and branch.score_at(end).is_finite() and branch.expand(end)[1][1].is_finite():
        return end, ZERO, ZERO, (last - end).exp()
    if last.is_finite():
        edge = (last - end).exp()
    else:
        edge = ZERO
        if (
            limited(sp.limit, written_out(branch.psi), r, part.high, "-", seconds=SECONDS, default=None)
            != sp.oo
        ):
            raise ArithmeticError("the density at its bound is not known")
    steady = Steady(time.process_time() + SECONDS)
    width, goal = ((end - start) / 2).mid(), size.log() - drop
    for _ in range(2000):
        u = (end - width).mid()
        height = branch.log_weight(u)
        small = (height - u).exp() - edge < edge * arb(2) ** -100 + goal.exp()
        if bool(branch.weight_slope(u) < 0) and bool(height + width.log() < goal) and bool(small):
            break
        width = (width / 2).mid()
    else:
        raise ArithmeticError("the mass near the bound is not small")
    excess = sp.expand(steady.factored(branch.exponent - r * branch.score).subs(r, part.high - r))
    room = (number(part.high) - u.exp()).upper()
    found = steady.near_zero(steady.factored(excess), room)
    if found is None or found[0] == 1 or not bool(found[1] >= room):
        raise ArithmeticError("the weight near the bound is not proved to fall")
    mass = branch.log_weight(u).exp() * (end - u)
    near = (branch.log_weight(u) - u).exp()
    share = near - edge + exact(branch.exponent - 1) * near * (end - u)
    return u, mass.upper(), _largest(share.upper(), ZERO), edge


def _least(a: arb, b: arb) -> arb:
    return a if bool(a <= b) else b


def _largest(a: arb, b: arb) -> arb:
    return a if bool(a >= b) else b
