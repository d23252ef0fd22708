"""Binomial masses over a window, and convolutions of them, all rounded up. Float64, nonnegative.

A window leaves mass out on both sides. What lies below is moved up to the window's first count, what lies above
is returned as `lost`, to be counted as success by whoever bounds a probability of many successes from above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.confidence import log_probability, upper_tail

Masses = NDArray[np.float64]
_UNIT = 2.0**-52
_SLACK = 2.0**-40
"""Relative allowance for the first mass; `runtime.confidence` allows 2^-42 for the same formula."""
_SPREADS = 9.0
"""Half width of a window in standard deviations, besides 40 counts: mass beyond is below 1e-17."""
_FEWEST = 40
_UNDERFLOW = 1e-290
"""Counted as lost at every step: more than all masses together that are too small for a float."""


@dataclass(frozen=True)
class Window:
    """Upper bounds of the masses at the counts first, first + 1, …, and of all mass beyond their end."""

    first: int
    masses: Masses
    lost: float

    @property
    def stop(self) -> int:
        """One past the last count."""
        return self.first + len(self.masses)

    def tail(self) -> Masses:
        """Upper bounds of the mass at or above each count of the window, `lost` included."""
        sums = np.cumsum(self.masses[::-1])[::-1]
        return sums * (1.0 + _UNIT * len(sums)) + self.lost


def binomial_window(n: int, p: float) -> Window:
    """Masses of Bin(n, p), rounded up, over all counts that matter.

    Args:
        n: number of trials, at least 1.
        p: success probability, in [1/2, 1), so that 1 - p is exact.

    Returns:
        A window; the mass below it sits on its first count.
    """
    if n < 1 or not 0.5 <= p < 1.0:
        raise ValueError(f"n >= 1 and p in [1/2, 1) are required, got n {n}, p {p!r}")
    reach = _FEWEST + math.ceil(_SPREADS * math.sqrt(n * p * (1.0 - p)))
    mode = min(n, math.floor((n + 1) * p))
    low, high = max(0, mode - reach), min(n, mode + reach)
    odds = p / (1.0 - p)
    up = np.arange(mode, high, dtype=np.float64)
    down = np.arange(mode, low, -1, dtype=np.float64)
    rising = np.cumprod((n - up) / (up + 1.0) * odds)
    falling = np.cumprod(down / (n - down + 1.0) / odds)
    exponent = log_probability(mode, n, p) if 0 < mode < n else n * math.log(p if mode else 1.0 - p)
    first = math.exp(exponent) * (1.0 + _SLACK + 8.0 * _UNIT * abs(exponent))
    masses = first * np.concatenate([falling[::-1], [1.0], rising]) * (1.0 + 8.0 * _UNIT * reach)
    if low > 0:  # P(Bin(n, p) < low) = P(Bin(n, 1 - p) > n - low)
        masses[0] += upper_tail(n - low + 1, n, 1.0 - p)
    lost = upper_tail(high + 1, n, p) if high < n else 0.0
    return Window(low, masses, lost + _UNDERFLOW)


def convolved(survivors: Window, increment: Window) -> Window:
    """The sum of two independent counts, rounded up; survivors need not have mass 1.

    A mass that is lost in either stays lost; there is nothing to gain from following it.
    """
    if len(survivors.masses) == 0:
        return Window(survivors.first + increment.first, survivors.masses, survivors.lost)
    terms = min(len(survivors.masses), len(increment.masses))
    masses = np.convolve(survivors.masses, increment.masses) * (1.0 + _UNIT * (terms + 4))
    alive = float(survivors.masses.sum()) * (1.0 + _UNIT * len(survivors.masses))
    lost = (survivors.lost + alive * increment.lost) * (1.0 + 4.0 * _UNIT) + _UNDERFLOW
    return trimmed(Window(survivors.first + increment.first, masses, lost))


def trimmed(window: Window, least: float = 1e-30) -> Window:
    """The window without ends of masses below `least`: low ones are moved up, high ones become lost."""
    kept = np.flatnonzero(window.masses > least)
    if len(kept) == 0:
        return window
    low, high = int(kept[0]), int(kept[-1]) + 1
    masses = window.masses[low:high].copy()
    masses[0] += window.masses[:low].sum() * (1.0 + _UNIT * (low + 1))
    masses[0] *= 1.0 + _UNIT
    beyond = float(window.masses[high:].sum()) * (1.0 + _UNIT * (len(window.masses) - high + 1))
    return Window(window.first + low, masses, (window.lost + beyond) * (1.0 + _UNIT))


def cut(window: Window, count: int) -> tuple[Window, float]:
    """The window below `count`, and the mass at or above it, rounded up, without what is lost."""
    keep = min(max(count - window.first, 0), len(window.masses))
    gone = float(window.masses[keep:].sum()) * (1.0 + _UNIT * (len(window.masses) - keep + 1))
    return Window(window.first, window.masses[:keep].copy(), window.lost), gone
