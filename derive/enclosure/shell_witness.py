"""Exact radii of unimodal l1- and linf-radial densities: found in floats, then proved from both sides in ball arithmetic.

From below, weak duality: R(1-p) ≥ e where h(t, e) > p for some t ≥ 0 (see `shells`). From above: the growth G is concave in p, so chords
between points (m, M) of tests lie below it, and one above 1/2 at p proves R(1-p) ≤ e. Points are those of two levels near the
best, their mirror images (1-M, 1-m) (the noise is even), (0, 0) and (1, 1).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

import numpy as np
from flint import arb, ctx

from derive.enclosure.ball import hull, number
from derive.enclosure.radial import RadialDensity
from derive.enclosure.shell_search import FloatShells
from derive.enclosure.shells import ShellLaw, shell_masses, whole_power
from derive.enclosure.taylor import Undecided
from derive.enclosure.witness import LevelSet, Witness

WIDTHS = (2.0**-50, 2.0**-44, 2.0**-36, 2.0**-28)
"""Relative half widths of the enclosure, tried in this order."""
SOLVED, FIRST_DEPTH, LAST_DEPTH = 28, 0.02, 8.2
"""Solutions in floats for `trace`, and the normal quantiles between which they lie."""
_STEPS, _BIT = 12, 1e-3
_CONVERGED = 2.0**-56
_ROUNDS, _LEVEL_ERROR = 4, 2.0**-40
"""Levels that floats find serve for about as many bits as they have themselves; beyond, level and distance are improved in turn."""
NEAR_HALF = 44
"""Closer to rho = 1/2 than 2**-NEAR_HALF, R(1/2 + gap) is known to a relative gap from the level 0 alone."""
_NEIGHBOURS = (2.0**-27, 2.0**-20)
"""Relative distances of the two levels of an upper proof from the best one."""


def shell_ball(density: RadialDensity, kind: str, dim: int, fail: arb, extra: int = 0) -> arb:
    """Encloses R(1 - fail), the Neyman–Pearson radius at scale 1 of a density in the l1 or linf norm.

    Args:
        density: with exponent equal to dim; psi must not decrease (the caller has proved it).
        kind: "shell" for l1 against l1 and linf against linf, "face" for linf against l1.
        dim: at least 1.
        fail: 1 - rho, positive.
        extra: the ball is to be narrower than usual by this many bits.

    Returns:
        A ball that contains the radius; 0 for fail ≥ 1/2.

    Raises:
        ArithmeticError: no enclosure was found.
    """
    if bool(fail >= 0.5):
        return arb(0)
    low, high = shell_witness(density, kind, dim, fail, extra)
    return hull(low.distance, high)


def shell_witness(
    density: RadialDensity, kind: str, dim: int, fail: arb, extra: int = 0
) -> tuple[Witness, arb]:
    """A proof of a lower bound of R(1 - fail), and a proved upper bound, 0 < fail < 1/2; arguments as in `shell_ball`."""
    with _problem(density, kind, dim, fail, extra) as shells:
        centre = shells.solve(fail, extra)
        for usual in WIDTHS:
            width = arb(usual) * arb(2) ** -extra
            low = Witness(centre.level, (centre.distance * (1 - width)).mid())
            if not shells.at_least(low, fail):
                continue
            high = (centre.distance * (1 + width)).mid()
            steps = [arb(step) * arb(2) ** -(extra // 2) for step in _NEIGHBOURS]
            if any(shells.at_most(shells.neighbours(centre, step), high, fail) for step in steps):
                return low, high
    raise ArithmeticError("the level-set radius was found but could not be proved")


def proves_at_least(density: RadialDensity, kind: str, dim: int, fail: arb, witness: Witness) -> bool:
    """Whether the witness proves R(1 - fail) ≥ its distance; False means no proof, not the contrary."""
    with _problem(density, kind, dim, fail) as shells:
        return shells.at_least(witness, fail)


@contextmanager
def _problem(density: RadialDensity, kind: str, dim: int, fail: arb, extra: int = 0) -> Iterator[ShellSet]:
    """The law at a precision that fits the smaller of fail and 1/2 - fail."""
    small = fail.min(arb(0.5) - fail).lower()
    if not bool(small > 0):
        raise ArithmeticError(f"the level-set radius is enclosed for 0 < fail < 1/2, not {fail}")
    bits = 16 * (1 + int((extra - math.log2(float(small))) // 16))
    before = ctx.prec
    ctx.prec = 150 + bits
    try:
        yield shell_set(density, kind, dim, bits)
    finally:
        ctx.prec = before


@lru_cache(maxsize=16)
def shell_set(density: RadialDensity, kind: str, dim: int, bits: int) -> ShellSet:
    """For fail and 1/2 - fail down to 2**-bits; made, and to be used, at a precision of 150 + bits."""
    return ShellSet(density, kind, dim, bits)


class ShellSet:
    """The level sets of one density in one dimension."""

    def __init__(self, density: RadialDensity, kind: str, dim: int, bits: int) -> None:
        self.shells = ShellLaw(kind, dim)
        self.base = LevelSet(density, dim, bits)
        self.law = self.base.law
        self.kinks = tuple(number(kink).log() for kink in density.kinks)
        self.floats = FloatShells(
            self.base.floats, kind, dim, tuple(float(k) for k in self.kinks), density.bound is None
        )

    def shares(self, level: arb, distance: arb, slack: arb | None = None) -> tuple[arb, arb]:
        """J and M, each panel with its usual error or this one."""
        corners = self._corners(level, distance)
        law = self.law if slack is None else self.law.relaxed(slack, self.law.low, self.law.high)
        met, left = shell_masses(law, self.shells, level, distance, corners)
        rest = self._rest(distance)
        return (met + rest) / self.base.total, (left + self.base.outside) / self.base.total

    def dual(self, witness: Witness) -> arb:
        """h(t, e): R(1-p) ≥ e for every p ≤ h."""
        return (-witness.level).exp() * (self.shares(witness.level, witness.distance)[0] - 0.5)

    def proof(self, witness: Witness, p: float) -> tuple[arb, arb]:
        """h and M; the accuracy is the same for every p."""
        del p
        met, left = self.shares(witness.level, witness.distance)
        return (-witness.level).exp() * (met - 0.5), left

    def masses(self, witness: Witness) -> tuple[arb, arb]:
        """M and m: of the set {q_v > e^t·q} under q_v and q (at t = 0 the ties with psi' = 0 may count on either side)."""
        met, left = self.shares(witness.level, witness.distance)
        return left, (-witness.level).exp() * (met + left - 1)

    def at_least(self, witness: Witness, p: arb) -> bool:
        return bool(witness.level >= 0) and bool(self.dual(witness) > p)

    def at_most(self, levels: tuple[arb, ...], distance: arb, p: arb) -> bool:
        """Whether chords between the tests of these levels prove G(p) > 1/2 at this distance."""
        points = [(arb(0), arb(0)), (arb(1), arb(1))]
        for level in levels:
            shifted, own = self.masses(Witness(level, distance))
            points += [(own, shifted), (1 - shifted, 1 - own)]
            if bool(own <= p) and bool(shifted > 0.5):
                return True
        for (m, big_m), (n, big_n) in itertools.permutations(points, 2):
            if bool(m <= p) and bool(n > p) and bool(big_m + (p - m) / (n - m) * (big_n - big_m) > 0.5):
                return True
        return False

    @staticmethod
    def neighbours(centre: Witness, step: arb) -> tuple[arb, ...]:
        if centre.level == 0:
            return (arb(0),)
        return tuple((centre.level * (1 + sign * step)).mid() for sign in (-1, 1))

    def solve(self, p: arb, extra: int = 0) -> Witness:
        """(t, e) with M = 1/2 and h = p, nearly: from floats, then improved with exact masses."""
        gap = (0.5 - p).mid()
        if bool(gap < arb(2) ** -(NEAR_HALF + extra)):
            start = arb(self.floats.near_half(float(gap)))
            return self._distance(p, arb(0), start.mid(), extra)
        t, e = self.floats.solve(float(p.mid()), float(gap))
        ratio = (arb(t) / arb(e)).mid()
        found = self._distance(p, ratio, arb(e), extra)
        # h is stationary in the level: what the level is off by counts squared
        known = -2 * math.log2(_LEVEL_ERROR)
        for _ in range(_ROUNDS):
            if extra + 56 < known or found.level == 0:
                break
            level = self._level(found)
            found = self._distance(p, (level / found.distance).mid(), found.distance, extra)
            known *= 2
        return found

    def _distance(self, p: arb, ratio: arb, start: arb, extra: int) -> Witness:
        """The distance e at which h(ratio·e, e) = p, by secants."""
        distance = start
        previous: tuple[arb, arb] | None = None
        for _ in range(_STEPS):
            level = (ratio * distance).mid()
            met, _left = self.shares(level, distance)
            kappa = (-level).exp()
            miss = (kappa * (met - 0.5) - p).mid()
            if previous is None:
                slope = self._slope(float(level), float(distance.mid()))
            elif bool(abs(distance - previous[0]) > 0):
                slope = (miss - previous[1]) / (distance - previous[0])
            if not bool(slope < 0):
                break
            change = (-miss / slope).mid()
            if not bool(abs(change) < 0.5 * distance):
                break
            previous, distance = (distance, miss), (distance + change).mid()
            if bool(abs(change) < arb(_CONVERGED) * arb(2) ** -extra * distance):
                return Witness((ratio * distance).mid(), distance)
        raise ArithmeticError("the level-set radius was not found")

    def trace(self) -> list[tuple[float, float, float, float]]:
        """(normal quantile of rho, distance, level, -dM/dt), solved in floats from near rho = 1/2 to 1 - 2**-53; nothing proved."""
        angles = math.pi * (np.arange(SOLVED) + 0.5) / SOLVED
        rows = []
        for z in FIRST_DEPTH + (LAST_DEPTH - FIRST_DEPTH) * 0.5 * (1 - np.cos(angles)):
            p, gap = 0.5 * math.erfc(z / math.sqrt(2)), 0.5 * math.erf(z / math.sqrt(2))
            with suppress(ArithmeticError, ValueError):
                t, e = self.floats.solve(p, gap)
                if math.isfinite(t) and 0 < e < math.inf:
                    low, high = (self.floats.at(t * x, e).excess for x in (1 - _BIT, 1 + _BIT))
                    rows.append((float(z), e, t, (low - high) / (2 * _BIT * t) if t > 0 else 1.0))
        return rows

    def _level(self, found: Witness) -> arb:
        """A level closer to M = 1/2 at this distance, by secants; the one that is there where M has no slope."""
        before, here = found.level, (found.level * (1 + arb(_LEVEL_ERROR))).mid()
        first = (self.shares(before, found.distance)[1] - 0.5).mid()
        for _ in range(3):
            second = (self.shares(here, found.distance)[1] - 0.5).mid()
            if not bool(abs(second - first) > 0):
                break
            step = (second * (here - before) / (second - first)).mid()
            if not bool(abs(step) < arb(2.0**-20) * found.level):
                return found.level
            before, first, here = here, second, (here - step).mid()
        return here

    def _slope(self, level: float, distance: float) -> arb:
        """dh/de along the path with the level proportional to the distance, by a difference of floats."""
        step = 1e-5
        low, high = (self.floats.at(level * x, distance * x) for x in (1 - step, 1 + step))
        drop = low.fail - high.fail if low.fail < 0.25 else high.gap - low.gap
        return arb(-drop / (2 * step * distance))

    def _corners(self, level: arb, distance: arb) -> list[arb]:
        """Where z passes 0 or 1, or psi or its partner has a kink: floats, improved until as exact as the precision."""
        found = list(self.kinks)
        for kink in self.kinks:
            try:
                found.append(self.law.level(self.law.psi.at(kink) - level, kink).mid())
            except Undecided:
                continue
        if self.law.bounded and self.law.top.is_finite():
            try:
                found.append(self.law.level(self.law.top - level, self.law.ceiling - 0.1).mid())
            except Undecided:
                pass
        for guess, at in self.floats.crossings(float(level), float(distance)):
            found.append(self._refined(arb(guess), level, distance, at))
        return [x.mid() for x in found if x.is_finite()]

    def _refined(self, guess: arb, level: arb, distance: arb, at: float) -> arb:
        """A root of s⁺(s) - e - s (at = 0) or s⁺(s) - e + s (at = 1), by secants."""
        sign = 1 if at else -1

        def excess(u: arb) -> arb:
            rise = self.law.level(self.law.psi.at(u) + level, u) if level > 0 else u
            return (rise.exp() - distance + sign * u.exp()).mid()

        try:
            before, here = guess, (guess + abs(guess) * 1e-9 + 1e-12).mid()
            first, second = excess(before), excess(here)
            for _ in range(12):
                if not bool(abs(second - first) > 0):
                    break
                step = (second * (here - before) / (second - first)).mid()
                before, first, here = here, second, (here - step).mid()
                if not bool(abs(here - guess) < 1e-3):
                    return guess
                if bool(abs(step) < arb(2) ** (20 - ctx.prec)):
                    break
                second = excess(here)
        except Undecided:
            return guess
        return here

    def _rest(self, distance: arb) -> arb:
        """The share of nu outside the panels: below them less than that of r; above them by parts, with what the density jumps by at the end."""
        law = self.law
        height = (law.dim * law.high - law.psi.at(law.high) - law.reference).exp() / law.dim
        if not law.bounded:
            return hull(arb(0), (height + self.base.outside).upper())
        start, end = law.high.exp(), law.ceiling.exp()
        reach = 1 + (hull(arb(0), end - start) - distance) / (2 * hull(start, end))
        met = reach.max(arb(0)).min(arb(1))
        share = hull(
            whole_power(met.lower(), self.shells.power) if bool(met.lower() > 0) else arb(0),
            whole_power(met.upper(), self.shells.power) if bool(met.upper() > 0) else arb(0),
        )
        return height * share + hull(arb(0), self.base.outside.upper())
