"""One coordinate of a log-concave product law in ball arithmetic: psi and the mass between 0 and x, as Taylor panels."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import sympy as sp
from flint import arb, arb_poly, arb_series, ctx

from derive.enclosure.ball import evaluate, hull
from derive.enclosure.series import Terms
from derive.enclosure.taylor import LogRadial, Undecided, coefficients, last_coefficient
from derive.formula import r
from derive.profile import Profile

PRECISION = 176
ORDER = 36
ERROR = arb(2) ** -130
"""Error allowed in psi and in the mass of a panel."""
CRUDE = arb(2) ** -100
"""Error allowed in the mass of a panel at 0, at the end of the support or around a kink."""
DEEPEST = 220
REACH = 80.0
"""psi is followed up to this far above its minimum."""


@dataclass(frozen=True)
class _Panel:
    start: float
    half: arb
    centre: arb
    psi: arb_poly
    mass: arb_poly  # from the panel's start
    before: arb  # mass of all panels to the left


class Coordinate:
    """q(x) = exp(-psi(|x|))/N on the line, psi convex and nondecreasing on r > 0 (proved by `log_concave` before).

    `mass(x)` is the integral of exp(-psi) from 0 to x ≥ 0 and `half` that over all of r > 0; `end` is a number past which (almost)
    nothing is left: the support's bound, or where exp(-psi) has fallen by exp(-REACH).
    """

    def __init__(self, profile: Profile) -> None:
        if profile.psi.free_symbols - {r}:
            raise ValueError(f"internal check failed: psi may depend on r alone, not {profile.psi}")
        self.profile = profile
        self.log_psi = LogRadial.of(profile.psi)
        self.log_score = _score(profile)
        pieces = profile.psi.args if isinstance(profile.psi, sp.Piecewise) else ((profile.psi, sp.true),)
        self._branches = [LogRadial.of(branch) for branch, _ in pieces]
        self.bounded = profile.bound is not None
        previous = ctx.prec
        ctx.prec = PRECISION
        try:
            self.end = self._end()
            self.panels = self._panels()
            self._starts = [panel.start for panel in self.panels]
            last = self.panels[-1]
            self.reached = last.before + last.mass(arb(1))
            self.half = self.reached + self._tail()
        finally:
            ctx.prec = previous

    def float_psi(self, x: np.ndarray) -> np.ndarray:
        """psi in floats, for searches alone."""
        return self.log_psi.array(np.log(np.maximum(np.abs(x), 1e-290)))

    def float_score(self, x: np.ndarray) -> np.ndarray:
        """psi' in floats, for searches alone."""
        return self.log_score.array(np.log(np.maximum(np.abs(x), 1e-290)))

    @cached_property
    def information(self) -> float:
        """Fisher information of the coordinate, roughly: it sets grids, nothing else."""
        x = np.exp(np.linspace(math.log(self.end) - 25.0, math.log(self.end), 20001))
        with np.errstate(all="ignore"):
            weight = x * np.exp(self.float_psi(x[:1])[0] - self.float_psi(x))
            share = weight * np.minimum(np.abs(self.float_score(x)), 1e6 / self.end) ** 2
        return (
            float(np.nansum(share) / np.nansum(weight)) if self.bounded else float(share.sum() / weight.sum())
        )

    def _end(self) -> float:
        if self.bounded:
            return _float_below(evaluate(self.profile.bound, {}))
        with np.errstate(all="ignore"):
            grid = np.exp(np.linspace(-60.0, 600.0, 6601))
            rise = self.float_psi(grid) - self.float_psi(grid[:1])
        if not np.any(rise > REACH):
            raise ArithmeticError("the density falls too slowly to be followed")
        return float(grid[int(np.argmax(rise > REACH))])

    def _panels(self) -> list[_Panel]:
        pending: list[tuple[float, float, int, int]] = []  # from, to, branch (-1: around a kink), depth
        start = 0.0
        for branch, kink in enumerate(self.profile.kinks):
            place = evaluate(kink, {})
            below, above = _float_below(place), -_float_below(-place)
            if below >= self.end:
                break
            pending.append((start, below, branch, 0))
            if above > below:
                pending.append((below, above, -1, 0))
            start = above
        pending.append((start, self.end, sum(part[2] >= 0 for part in pending), 0))
        pending.reverse()
        found: list[_Panel] = []
        total = arb(0)
        while pending:
            low, high, branch, depth = pending.pop()
            middle = 0.5 * (low + high)
            narrow = branch < 0 or depth > DEEPEST or not low < middle < high
            panel = None if branch < 0 else self._panel(self._branches[branch], low, high, total)
            panel = panel or self._crude(low, high, total, narrow)
            if panel is None:
                if narrow:
                    raise ArithmeticError("the law of a coordinate could not be enclosed")
                pending += [(middle, high, branch, depth + 1), (low, middle, branch, depth + 1)]
                continue
            found.append(panel)
            total = total + panel.mass(arb(1))
        return found

    def _panel(self, psi: LogRadial, low: float, high: float, before: arb) -> _Panel | None:
        half, centre = (arb(high) - arb(low)) / 2, (arb(high) + arb(low)) / 2
        terms = [centre, half] + [arb(0)] * (ORDER - 2)
        try:
            levels = _series(lambda at: psi.series(at.log()), terms)
            density = _series(lambda at: (-psi.series(at.log())).exp(), terms) if levels else None
        except (Undecided, ValueError, ZeroDivisionError):
            return None
        if levels is None or density is None:
            return None
        whole = arb_poly([arb(0), *(c * half / (k + 1) for k, c in enumerate(density))])
        return _Panel(low, half, centre, arb_poly(levels), whole - whole(arb(-1)), before)

    def _crude(self, low: float, high: float, before: arb, narrow: bool) -> _Panel | None:
        """A panel at 0, at the end of the support or around a kink, so narrow that monotony and convexity do."""
        left, right = arb(low), arb(high)
        half, centre = (right - left) / 2, (right + left) / 2
        try:
            if low == 0.0:
                at, slope = self.log_psi.at(right.log()), self.log_score.at(right.log())
                levels, top = (at - right * slope).lower(), at.upper()  # psi(0) ≥ psi(x) - x·psi'(x)
            elif high == self.end and self.bounded:
                levels, top = self.log_psi.at(left.log()).lower(), arb("inf")
            elif narrow:
                levels, top = self.log_psi.at(left.log()).lower(), self.log_psi.at(right.log()).upper()
            else:
                return None
        except Undecided:
            return None
        mass = hull((-top).exp().lower(), (-levels).exp().upper()) * half
        close = bool(top - levels < CRUDE) or low > 0
        if not (levels.is_finite() and close and bool(mass.rad() < CRUDE)):
            return None
        return _Panel(low, half, centre, arb_poly([hull(levels, top)]), arb_poly([mass, mass]), before)

    def _tail(self) -> arb:
        """What lies past `end`: psi is convex, so at most exp(-psi)/psi' there."""
        end = arb(self.end)
        if self.bounded:
            gap = evaluate(self.profile.bound, {}) - end
            if not bool(gap > 0):
                return arb(0)
            return hull(arb(0), (gap * (-self.log_psi.at(end.log())).exp()).upper())
        slope = self.log_score.at(end.log())
        if not bool(slope > 0):
            raise ArithmeticError("the tail of the density could not be bounded")
        return hull(arb(0), ((-self.log_psi.at(end.log())).exp() / slope).upper())

    def _place(self, x: arb) -> tuple[_Panel, arb]:
        """The panel of x and x on it, within [-1, 1]: outside, its error bound does not hold."""
        index = max(bisect.bisect_right(self._starts, float(x)) - 1, 0)
        for near in (index, index - 1, index + 1):
            if 0 <= near < len(self.panels):
                panel = self.panels[near]
                at = (x - panel.centre) / panel.half
                if bool(at >= -1) and bool(at <= 1):
                    return panel, at
                if bool(x == arb(panel.start)):
                    return panel, arb(-1)
        if bool(x == arb(self.end)):
            return self.panels[-1], arb(1)
        raise ArithmeticError(f"a place outside the panels of the coordinate was asked for: {x}")

    def psi(self, x: arb) -> arb:
        """psi(|x|) at an exact x, |x| ≤ end."""
        panel, at = self._place(abs(x))
        return panel.psi(at)

    def mass(self, x: arb) -> arb:
        """∫_0^x exp(-psi(|y|)) dy at an exact x, |x| ≤ end, odd in x."""
        panel, at = self._place(abs(x))
        value = panel.before + panel.mass(at)
        return value if bool(x >= 0) else -value

    def density(self, x: arb) -> arb:
        """exp(-psi(x)) at an exact 0 ≤ x ≤ end."""
        return (-self.psi(x)).exp()

    def score(self, x: arb) -> arb:
        """psi'(x) at an exact 0 < x ≤ end."""
        return self.log_score.at(x.log())

    def reach(self, tail: float) -> float:
        """x with roughly this share of the law beyond it."""
        low, high = 0.0, self.end
        for _ in range(80):
            middle = 0.5 * (low + high)
            beyond = float(((self.half - self.mass(arb(middle))) / self.half / 2).mid())
            low, high = (middle, high) if beyond > tail else (low, middle)
        return high


def _series(function: Callable[[arb_series], arb_series], terms: list[arb]) -> list[arb] | None:
    """Coefficients of the function on a panel, x in [-1, 1], the remainder in the constant term; None where it is too large."""
    rest = last_coefficient(function, terms, ERROR)
    if not bool(abs(rest) < ERROR):
        return None
    with Terms(ORDER):
        inside = coefficients(function(arb_series(terms)), ORDER)
    inside[0] = inside[0] + arb(0, abs(rest).upper())
    narrow = all(c.is_finite() for c in inside) and bool(inside[0].rad() < 2 * ERROR)
    return inside if narrow else None


def _score(profile: Profile) -> LogRadial:
    """psi', in the first of its forms that has a series."""
    try:
        return LogRadial.of(profile.score)
    except NotImplementedError:
        return LogRadial.of(sp.diff(profile.psi, r))


def _float_below(x: arb) -> float:
    """The largest double not above x."""
    found = float(x.mid())
    return found if bool(arb(found) <= x) else math.nextafter(found, -math.inf)


def float_above(x: arb) -> float:
    """A double not below a ball."""
    top = x.upper()
    found = float(top)
    return found if bool(arb(found) >= top) else math.nextafter(found, math.inf)


def log_concave(profile: Profile) -> bool:
    """Whether psi is proved convex on the line: psi' ≥ 0 and nondecreasing on r > 0, at these parameters."""
    return profile.flat or (profile.unimodal and profile.shape in ("rising", "constant"))


@lru_cache(maxsize=16)
def coordinate(profile: Profile) -> Coordinate:
    """The coordinate of a profile at exact parameters; ValueError unless log-concave, ArithmeticError where not enclosed."""
    if not log_concave(profile):
        raise ValueError(
            f"composition needs a log-concave density, proved (psi' ≥ 0 and nondecreasing), but psi' = {profile.score} is {profile.shape}"
        )
    return Coordinate(profile)
