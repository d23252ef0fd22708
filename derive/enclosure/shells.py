"""Level-set masses of densities in the l1 or linf norm, shifted along an extreme direction, enclosed.

A unimodal density in a norm is a mixture of uniform laws on balls {‖x‖ ≤ s}, s ~ nu with density ∝ psi'(s)·exp(-psi(s))·s**d. With
kappa = exp(-t), t ≥ 0, and s⁺ the radius where psi has risen by t above psi(s),

    ∫ min(q, kappa·q_v) = kappa·J,   J = E_nu[ Vol(B(s) ∩ (B(s⁺) + v)) / Vol B(s) ] = E_nu[ z**n ],   z = (s + s⁺ - e)/(2 s) cut to [0, 1],

because two cubes displaced by e along (1, …, 1), and two cross-polytopes along e_1, meet in a scaled copy (n = d); two cubes displaced
along e_1 in a box that is shorter in one coordinate alone (n = 1). By Neyman–Pearson the dual bound of the growth G(p, v) ≤ 1/2 is
p ≤ h(t, e) = kappa·(J - 1/2), whatever t. The set {q_v > e^t·q} has the mass M under q_v and m = h + kappa·(M - 1/2) under q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

from flint import arb, arb_series

from derive.enclosure.ball import hull
from derive.enclosure.masses import CAUTION, PANELS, RELAXATION, RadialMass
from derive.enclosure.rise import Rise
from derive.enclosure.series import (
    FAILED,
    ORDER,
    Piece,
    Series,
    Terms,
    check,
    exponential,
    growth,
    integrated,
    short,
)
from derive.enclosure.taylor import Undecided, coefficients, constant_term, last_coefficient, recentred

_SMALL_POWER = 16
Number = TypeVar("Number", arb, arb_series)
KINDS = ("shell", "face")


@dataclass(frozen=True)
class ShellLaw:
    """How a ball of radius r in dimension `dim` moves: "shell" along the direction that moves the norm itself (l1 along e_1, linf along
    (1, …, 1)), "face" for linf along e_1."""

    kind: str
    dim: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.dim < 1:
            raise ValueError(f"a shell law has a kind of {KINDS} and dim ≥ 1, not {self.kind!r}, {self.dim}")

    @property
    def power(self) -> int:
        """n: the share of a ball that meets the shifted larger one is z**n."""
        return self.dim if self.kind == "shell" else 1

    def outside(self, z: Number) -> Number:
        """P(‖X + v‖ > s⁺) given ‖X‖ = r, for 0 < z < 1."""
        if self.kind == "shell":
            return 1 - whole_power(z, self.dim - 1) / 2
        return (1 - z) * (1 - arb(1) / self.dim) + arb(1) / (2 * self.dim)


def whole_power(z: Number, n: int) -> Number:
    """z**n for z > 0: by products for small n, which do not mind a z near 0."""
    if n == 0:
        return z * 0 + 1
    if n <= _SMALL_POWER:
        return reduce(lambda a, b: a * b, [z] * n)
    return (z.log() * n).exp()


def shell_masses(
    law: RadialMass, shells: ShellLaw, level: arb, distance: arb, corners: list[arb]
) -> tuple[arb, arb]:
    """J and M over the panels of `law`, not divided by its total; panels are cut at `corners` (log r), which decide no more than speed.

    ArithmeticError when not enclosed.
    """
    return _Sweep(law, shells, level, distance).run(corners)


class _Sweep:
    def __init__(self, law: RadialMass, shells: ShellLaw, level: arb, distance: arb) -> None:
        self.law, self.shells, self.level, self.distance = law, shells, level, distance
        self.rise = Rise(law, level)

    def run(self, corners: list[arb]) -> tuple[arb, arb]:
        cuts = [self.law.low, self.law.high]
        cuts += [c for c in corners if bool(c > self.law.low) and bool(c < self.law.high)]
        cuts.sort(key=_Order)
        shared, moved = arb(0), arb(0)
        for start, end in zip(cuts, cuts[1:], strict=False):
            if bool(end > start):
                one, other = self._march(start, end)
                shared, moved = shared + one, moved + other
        return shared, moved

    def _march(self, start: arb, high: arb) -> tuple[arb, arb]:
        shared, moved = arb(0), arb(0)
        half = limit = (self.law.high - self.law.low) / 64
        for _ in range(PANELS):
            left = (high - start) / 2
            last = not bool(half < left)
            half = left if last else short(half)
            one, other = self.panel(start, half)
            worse = max(one, other, key=lambda piece: float(piece.error))
            change = growth(worse, self.law.slack)
            if bool(worse.error < self.law.slack):
                shared, moved = shared + one.value, moved + other.value
                if last:
                    return shared, moved
                start = start + 2 * half
                limit = limit * (change if change > 2 else RELAXATION)
            else:
                limit = half * CAUTION
            half = (half * change).min(limit)
        raise ArithmeticError("the mass of a level set could not be enclosed: too many panels")

    def panel(self, start: arb, half: arb) -> tuple[Piece, Piece]:
        best = FAILED, FAILED
        for way in (self._smooth, self._bounded):
            try:
                pair = way(start, half)
            except Undecided:
                continue
            if all(bool(piece.error < self.law.slack) for piece in pair):
                return pair
            if bool(_worst(pair) < _worst(best)):
                best = pair
        return best

    def _smooth(self, start: arb, half: arb) -> tuple[Piece, Piece]:
        centre, law = start + half, self.law
        levels, log = law.log_density(centre, half)
        ratio, error = self.rise.log_ratio(centre, half, levels)
        z, swing = self._share(centre, half, ratio, error)
        low, high, slope = _range(z)
        low, high = (low - swing).lower(), (high + swing).upper()
        middle = constant_term(z.centre)
        mass = exponential(log)
        most = (constant_term(mass.whole) * half * 2).upper()
        if bool(middle >= 1):
            strayed = _strayed(1 - low, swing, slope) * most
            lost = arb(0)
            if not bool(strayed == 0):
                weight = abs(law.steepness.at(hull(start, start + 2 * half))).upper()
                lost = strayed * weight * (1 - low).max(arb(0))  # 1 - z**n ≤ n·(1 - z), and n ≤ d
            return _loosened(self._whole(start, half), lost), _loosened(Piece(arb(0), arb(0), ORDER), strayed)
        if bool(middle <= 0):
            strayed = _strayed(high, swing, slope) * most
            return _loosened(Piece(arb(0), arb(0), ORDER), strayed), _loosened(
                law.mass_piece(start, half), strayed
            )
        strayed = _strayed(high - 1, swing, slope) + _strayed(-low, swing, slope)
        steepness = self._steepness(centre, half, constant_term(mass.centre) * half)
        n, weight = self.shells.power, abs(constant_term(steepness.whole)).upper()
        top = whole_power(high.max(-low).max(arb(1)), n)
        rate = n * swing * top + strayed * top  # |d z**n| ≤ n·z**(n-1)·|dz|
        with Terms(ORDER + 1):
            one = _product(mass, _product(steepness, _of(z, lambda x: whole_power(x, n))))
            other = _product(mass, _of(z, self.shells.outside))
        return (
            _loosened(integrated(one, half), most * weight * rate),
            _loosened(integrated(other, half), most * rate),
        )

    def _steepness(self, centre: arb, half: arb, scale: arb) -> Series:
        """psi'(r)·r/d: the density of nu beside that of r."""
        terms = [centre, half] + [arb(0)] * (ORDER - 2)
        with Terms(ORDER):
            found = self.law.steepness.series(arb_series([centre, half])) / self.law.dim
        last = last_coefficient(self.law.steepness.series, terms, self.law.enough(scale)) / self.law.dim
        with Terms(ORDER + 1):
            return Series(found, recentred(coefficients(found, ORDER), last))

    def _share(self, centre: arb, half: arb, ratio: Series, error: arb) -> tuple[Series, arb]:
        """z = 1 + (s⁺/s - 1 - e/s)/2 on the panel, and how far it may be off."""

        def value(u: arb_series, log_ratio: arb_series) -> arb_series:
            return 1 + (log_ratio.exp() - 1 - self.distance * (-u).exp()) / 2

        with Terms(ORDER):
            inner = value(arb_series([centre, half]), ratio.centre)
        with Terms(ORDER + 1):
            outer = value(arb_series([centre + half * arb(0, 1), half]), ratio.whole)
            last = coefficients(outer, ORDER + 1)[ORDER]
            check(last)
            swing = ((constant_term(ratio.whole) + arb(0, error)).exp() * error / 2).upper()
            return Series(inner, recentred(coefficients(inner, ORDER), last)), swing

    def _whole(self, start: arb, half: arb) -> Piece:
        """The mass of nu, by parts: that of r less the growth of r**d·exp(-psi)/d."""
        mass, end = self.law.mass_piece(start, half), start + 2 * half
        gained = (self._height(end) - self._height(start)) / self.law.dim
        value = mass.value - gained
        return Piece(value, mass.error + gained.rad(), mass.order, mass.remainder)

    def _height(self, u: arb) -> arb:
        return (self.law.dim * u - self.law.psi.at(u) - self.law.reference).exp()

    def _bounded(self, start: arb, half: arb) -> tuple[Piece, Piece]:
        """Both integrands between their extremes on the panel."""
        end = start + 2 * half
        least, most = self.reach(start, end)
        mass, whole = self.law.mass_piece(start, half), self._whole(start, half)
        pieces = []
        for piece, low, high in (
            (whole, self._met(least), self._met(most)),
            (mass, self._left(most), self._left(least)),
        ):
            held = piece.value.max(arb(0)) if not bool(piece.value > 0) else piece.value
            between = (held * (high - low)).upper()
            order = ORDER if bool(low == high) else 2
            pieces.append(Piece(held * hull(low, high), piece.error + between, min(piece.order, order)))
        return pieces[0], pieces[1]

    def reach(self, start: arb, end: arb) -> tuple[arb, arb]:
        """Bounds of z for s from `start` to `end` (logarithms)."""
        first, final = self.rise.at(start).exp() - self.distance, self.rise.at(end).exp() - self.distance
        low, high = start.exp(), end.exp()
        quotients = [
            (first / low).lower(),
            (first / high).lower(),
            (final / low).upper(),
            (final / high).upper(),
        ]
        return ((1 + _least(quotients[:2])) / 2).lower(), ((1 + _most(quotients[2:])) / 2).upper()

    def _met(self, z: arb) -> arb:
        if bool(z >= 1):
            return arb(1)
        return arb(0) if not bool(z > 0) else whole_power(z.min(arb(1)), self.shells.power)

    def _left(self, z: arb) -> arb:
        """P(‖X + v‖ > s⁺), which falls with z."""
        if bool(z >= 1):
            return arb(0)
        return arb(1) if not bool(z > 0) else self.shells.outside(z)


class _Order:
    """Exact numbers by size."""

    def __init__(self, value: arb) -> None:
        self.value = value

    def __lt__(self, other: _Order) -> bool:
        return bool(self.value < other.value)


def _worst(pair: tuple[Piece, Piece]) -> arb:
    return pair[0].error.max(pair[1].error)


def _least(values: list[arb]) -> arb:
    return reduce(lambda a, b: a.min(b), values)


def _most(values: list[arb]) -> arb:
    return reduce(lambda a, b: a.max(b), values)


def _range(z: Series) -> tuple[arb, arb, arb]:
    """The least and the largest value of a series on its panel (those at the ends where it is monotone), and its slope.

    Two numbers, because a ball around a wide range has ends of few digits.
    """
    terms = coefficients(z.centre, ORDER)
    with Terms(ORDER + 1):
        about = coefficients(z.whole, ORDER + 1)
    if not (bool(about[1] > 0) or bool(about[1] < 0)):
        return about[0].lower(), about[0].upper(), about[1]
    rest = arb(0, abs(about[ORDER]).upper())
    right = sum(terms, arb(0)) + rest
    left = sum((-t if k % 2 else t for k, t in enumerate(terms)), arb(0)) + rest
    return left.min(right).lower(), left.max(right).upper(), about[1]


def _strayed(beyond: arb, swing: arb, slope: arb) -> arb:
    """The share of a panel on which z may lie past an end of (0, 1), from how far beyond it comes; 0 where it does not."""
    if bool(beyond < 0):
        return arb(0)
    if not (bool(slope > 0) or bool(slope < 0)):
        raise Undecided("the balls may meet in nothing or in all of the smaller one")
    return ((beyond.max(arb(0)) + swing) / abs(slope)).upper()


def _product(x: Series, y: Series) -> Series:
    with Terms(ORDER):
        centre = x.centre * y.centre
    with Terms(ORDER + 1):
        return Series(centre, x.whole * y.whole)


def _of(z: Series, function: Callable[[arb_series], arb_series]) -> Series:
    try:
        with Terms(ORDER):
            centre = function(z.centre)
        with Terms(ORDER + 1):
            return Series(centre, function(z.whole))
    except (ValueError, ZeroDivisionError) as problem:
        raise Undecided(str(problem)) from problem


def _loosened(piece: Piece, error: arb) -> Piece:
    error = error.upper()
    return Piece(
        piece.value + arb(0, error), piece.error + error, piece.order, (piece.remainder or arb(0)) + error
    )
