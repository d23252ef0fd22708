"""How fast the overlap of a radial density with its shifted copy can fall as the shift grows, bounded from above.

At a fixed level t, with kappa = exp(-t), h(t, e) = kappa·(J(e) - 1/2) and kappa·J = ∫ min(q, kappa·q_v). By layer cake this is a mean of volumes
Vol(B(s) ∩ (B(s⁺) + v)), psi(s⁺) = psi(s) + t, and such a volume falls at the rate of the area that its two boundaries share, seen along v:

    -dJ/de = weight·E[psi'(s)·w(z)],

    l2 ("cap"):   the balls' boundaries meet in the plane at z·s from the centre, z = (e² + s² - s⁺²)/(2 e s): w = (1 - z²)₊**((d-1)/2), weight = E[A₊] of the cosine A
    "shell":       z = (s + s⁺ - e)/(2 s): w = z**(d-1) for 0 < z < 1, else 0; weight = 1/2
    "face":        the same z, w = 1 for 0 < z < 1; weight = 1/(2 d)

The mean is taken from above over panels of s, with w at its largest there and E[psi'] by parts (`score_tail`). Floats are rounded outwards; beside +, -, *, /
and the square root none is used that IEEE 754 does not round correctly.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from flint import arb

from derive.enclosure.score_tail import ScoreTail
from derive.enclosure.taylor import Undecided

CAP, SHELL, FACE = "cap", "shell", "face"
FINER = 4
"""Steps of the grid of psi to a panel."""
MOST = 120_000
_DEEPEST = 40.0
"""Levels go about that far: t ≤ log(1/(2 p))."""
_SHARE = 1e-9
_PAD = 2.0**-48
"""More than the relative rounding of the few operations behind z."""


def cone_weight(kind: str, dim: int) -> arb:
    """The weight of the score on one side: E[A₊], A the direction's part along v."""
    if kind == CAP:
        half = arb(dim) / 2
        return (half.lgamma() - (half + arb(0.5)).lgamma()).exp() / (2 * arb.pi().sqrt())
    return arb(1) / 2 if kind == SHELL else arb(1) / (2 * dim)


@dataclass(frozen=True)
class Rise:
    """Bounds of s⁺ on each panel at one level."""

    level: float
    low: np.ndarray
    high: np.ndarray


class Flux:
    """The rates of one density in one dimension.

    kind: "cap" for l2-radial noise against l2, "shell" and "face" as for `shells.ShellLaw`.
    """

    def __init__(self, tail: ScoreTail, kind: str, dim: int) -> None:
        self.tail, self.kind, self.dim = tail, kind, dim
        law = tail.base.law
        middle = len(tail.cuts) // 2
        width = tail.cuts[middle + 1] - tail.cuts[middle]
        grid, top = [tail.cuts[0]], None
        for start, end in itertools.pairwise(tail.cuts):
            parts = FINER if bool(end - start < 1.5 * width) else 1
            grid += [(start + k * (end - start) / parts).mid() for k in range(1, parts)] + [end]
        self.inner, self.outer = _ends(tail.cuts)
        self._panel_psi = self._psi(tail.cuts)
        kept = np.cumsum(tail.most)
        far = self._panel_psi[0][min(int(np.searchsorted(kept, kept[-1] * (1 - _SHARE))), len(kept) - 1)]
        while len(grid) < MOST and not self._psi(grid[-1:])[1][0] >= far + _DEEPEST:
            u = (grid[-1] + width / 2).mid()
            if law.bounded and not bool(u < law.ceiling):
                top = float(np.nextafter(float(law.ceiling.exp().upper()), np.inf))
                break
            grid.append(u)
        least, most = self._psi(grid)
        low, high = _ends_of(grid)
        self._least, self._most = least, most  # of psi at the grid's radii, both rising
        self._low, self._high = low, np.append(high, np.inf if top is None else top)

    def _psi(self, places: list[arb]) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of psi at these places, rising: psi does not decrease."""
        least, most = np.full(len(places), -np.inf), np.full(len(places), np.inf)
        for k, u in enumerate(places):
            try:
                value = self.tail.base.law.psi.at(u)
            except Undecided:
                continue
            if value.is_finite():
                least[k] = np.nextafter(float(value.lower()), -np.inf)
                most[k] = np.nextafter(float(value.upper()), np.inf)
        return np.maximum.accumulate(least), np.minimum.accumulate(most[::-1])[::-1]

    def rise(self, level: float) -> Rise:
        """s⁺ at this level ≥ 0 between its extremes on each panel; below the grid 0 is said, above it infinity or the support's end."""
        first = np.nextafter(self._panel_psi[0][:-1] + level, -np.inf)
        last = np.nextafter(self._panel_psi[1][1:] + level, np.inf)
        under = np.searchsorted(self._most, first, side="right") - 1  # psi there is at most psi(s) + t
        over = np.searchsorted(self._least, last, side="left")  # psi there is at least psi(s) + t
        low = np.where(under >= 0, self._low[np.maximum(under, 0)], 0.0)
        return Rise(level, np.maximum(low, self.inner), self._high[over])

    def rate(self, rise: Rise, low: float, high: float) -> float:
        """-dJ/de from above, for all distances e in [low, high], low > 0."""
        with np.errstate(all="ignore"):
            share = self._ball(rise, low, high) if self.kind == CAP else self._shell(rise, low, high)
        share = np.where(np.isnan(share), 1.0, np.minimum(share, 1.0))
        total = (self.tail.mean * share).sum() + self.tail.rest
        return float(np.nextafter(total * self._up * self.weight, np.inf))

    @property
    def _up(self) -> float:
        """Covers the rounding of a positive sum and of a power by multiplications."""
        return 1.0 + 2.0**-30 + self.dim * 2.0**-49

    @property
    def weight(self) -> float:
        return float(np.nextafter(float(self.tail.weight.upper()), np.inf))

    def _ball(self, rise: Rise, low: float, high: float) -> np.ndarray:
        """The largest w: z as near to 0 as it comes."""
        s, t = self.inner, self.outer
        most, least = high * high + t * t - rise.low * rise.low, low * low + s * s - rise.high * rise.high
        most = most + _PAD * (high * high + t * t + rise.low * rise.low)
        least = least - _PAD * (low * low + s * s + rise.high * rise.high)
        top = most / np.where(most > 0, 2 * low * s, 2 * high * t)
        bottom = least / np.where(least > 0, 2 * high * t, 2 * low * s)
        nearest = np.maximum(np.maximum(bottom, -top), 0.0) * (1 - _PAD)
        inside = _half_power(np.maximum(1 - nearest * nearest, 0.0) * (1 + _PAD), self.dim - 1)
        return np.where(nearest > 1, 0.0, inside)

    def _shell(self, rise: Rise, low: float, high: float) -> np.ndarray:
        """The largest w: z as large as it comes, unless it stays above 1."""
        s, t = self.inner, self.outer
        most, least = rise.high - low, rise.low - high
        most, least = most + _PAD * (rise.high + low), least - _PAD * (rise.low + high)
        top = 0.5 + most / (2 * np.where(most > 0, s, t)) + _PAD
        bottom = 0.5 + least / (2 * np.where(least > 0, t, s)) - _PAD
        top, bottom = top + _PAD * abs(top), bottom - _PAD * abs(bottom)
        if self.kind == FACE:
            return np.where((top <= 0) | (bottom >= 1), 0.0, 1.0)
        inside = _half_power(np.clip(top, 0.0, 1.0), 2 * (self.dim - 1))
        return np.where(bottom >= 1, 0.0, inside)


def _half_power(x: np.ndarray, n: int) -> np.ndarray:
    """x**(n/2), 0 ≤ x, by multiplications and a square root."""
    result = np.sqrt(x) if n % 2 else np.ones_like(x)
    square, n = x, n // 2
    while n:
        if n % 2:
            result = result * square
        square, n = square * square, n // 2
    return result


def _ends(cuts: list[arb]) -> tuple[np.ndarray, np.ndarray]:
    """Radii not above the panels' starts, and not below their ends."""
    low, high = _ends_of(cuts)
    return low[:-1], high[1:]


def _ends_of(places: list[arb]) -> tuple[np.ndarray, np.ndarray]:
    radii = [u.exp() for u in places]
    low = np.array([float(np.nextafter(float(r.lower()), 0.0)) for r in radii])
    return low, np.array([float(np.nextafter(float(r.upper()), math.inf)) for r in radii])
