"""Boundaries of an exact group-sequential test of "the success probability is below p0".

Looks at totals n_1 < … < n_J. Under p0 the exact sub-distribution of the count among those who have not yet
stopped is carried from look to look (convolved with Bin(n_j - n_{j-1}, p0)); at look j the test says yes from

    c_j = min{c : P(yes before j) + P(not yet stopped, S_j ≥ c) ≤ A_j},   A_j = level spent by look j, A_J = alpha.

Every mass is rounded up, so that P(yes) ≤ alpha under p0. Under a smaller probability it is smaller still:
"S_j ≥ c_j for some j" can only be helped by more successes. Saying no early takes trials away from that event,
so it costs no level, whatever the rule; the boundaries do not take it into account.

Source: group-sequential error spending, Lan and DeMets, Biometrika 70 (1983); exact binomial boundaries as in
Jennison and Turnbull, "Group Sequential Methods" (2000), section 12.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binom

from runtime.binomial import Window, binomial_window, convolved, cut
from runtime.confidence import check_alpha
from runtime.rng import BLOCK


@dataclass(frozen=True)
class Design:
    """A test of "probability below p0" against "at least p0".

    Attributes:
        p0: the boundary of the hypothesis, in [1/2, 1).
        alpha: P(yes) under any probability up to p0 is at most this.
        totals: numbers of trials at the looks, increasing.
        yes: least number of successes that says yes at each look; above the total where none does.
        no: largest number of successes that says no at each look; -1 where none does. At the last look yes - 1.
    """

    p0: float
    alpha: float
    totals: tuple[int, ...]
    yes: tuple[int, ...]
    no: tuple[int, ...]

    def verdict(self, look: int, successes: int) -> bool | None:
        """True for yes, False for no, None to go on; `look` counts from 0."""
        if successes >= self.yes[look]:
            return True
        return False if successes <= self.no[look] else None


@lru_cache(maxsize=1024)
def looks_up_to(n: int, looks: int) -> tuple[int, ...]:
    """About `looks` totals growing geometrically from 64 to n: multiples of 64, and n itself.

    Args:
        n: the maximum, at least 1.
        looks: number of looks, at least 1; fewer where n has fewer blocks.
    """
    if n < 1 or looks < 1:
        raise ValueError(f"n and looks must be at least 1, got {n} and {looks}")
    if looks == 1 or n <= BLOCK:
        return (n,)
    ratio = (n / BLOCK) ** (1.0 / (looks - 1))
    totals = {BLOCK * math.ceil(ratio**step) for step in range(looks - 1)}
    return (*sorted(total for total in totals if total < n), n)


def spent_by(look: int, looks: int, alpha: float, early: float) -> float:
    """Level that may be spent up to and with a look: `early`·alpha evenly over all but the last, alpha at it."""
    return alpha if look == looks - 1 else min(alpha, alpha * early * (look + 1) / (looks - 1))


def _boundary(state: Window, n: int, spent: float, level: float) -> int:
    """Least count from which the mass, with what was spent, stays within the level."""
    tails = state.tail() * (1.0 + 2.0**-51) + spent
    within = np.flatnonzero(tails * (1.0 + 2.0**-51) <= level)
    if len(within):
        return state.first + int(within[0])
    if len(tails) and (state.lost + spent) * (1.0 + 2.0**-50) <= level:
        return min(state.stop, n + 1)
    return n + 1


@lru_cache(maxsize=1024)
def design(p0: float, alpha: float, totals: tuple[int, ...], early: float, futility: float) -> Design:
    """The test for one p0; kept for the next call with the same arguments.

    Args:
        p0: in [1/2, 1).
        alpha: level, in [1e-300, 1).
        totals: looks, strictly increasing.
        early: share of alpha that the looks before the last may spend, in [0, 1).
        futility: share of yes that early no may cost where a single test of the last total says yes in one half of
            all cases, in (0, 1). It costs nothing of alpha.

    Raises:
        ValueError: an argument outside these ranges, or so few trials that the test can never say yes.
    """
    check_alpha(alpha)
    if not 0.5 <= p0 < 1.0:
        raise ValueError(f"p0 must lie in [1/2, 1), got {p0!r}")
    if not 0.0 <= early < 1.0 or not 0.0 < futility < 1.0:
        raise ValueError(f"early must lie in [0, 1) and futility in (0, 1), got {early!r} and {futility!r}")
    if not totals or totals[0] < 1 or any(a >= b for a, b in zip(totals, totals[1:], strict=False)):
        raise ValueError(f"totals must increase from at least 1, got {totals}")
    yes = []
    state, spent, before = Window(0, np.ones(1), 0.0), 0.0, 0
    for look, n in enumerate(totals):
        state = convolved(state, binomial_window(n - before, p0))
        count = _boundary(state, n, spent, spent_by(look, len(totals), alpha, early))
        if count <= n:
            state, gone = cut(state, count)
            spent = (spent + gone) * (1.0 + 2.0**-51)
        yes.append(count)
        before = n
    if yes[-1] > totals[-1]:
        raise ValueError(
            f"with n = {totals[-1]} and alpha = {alpha:g} no number of successes shows a probability of {p0:g}; "
            "take more votes or a smaller radius"
        )
    return Design(p0, alpha, totals, tuple(yes), _futility(totals, tuple(yes), futility))


def _futility(totals: tuple[int, ...], yes: tuple[int, ...], share: float) -> tuple[int, ...]:
    """Counts at which to give up: yes is out of reach, or unlikely even for the rate of one half of power."""
    rate = yes[-1] / totals[-1]
    unlikely = binom.ppf(share / len(totals), np.array(totals), rate) - 1.0
    no = []
    for look, n in enumerate(totals[:-1]):
        needed = min(c - (m - n) for c, m in zip(yes[look + 1 :], totals[look + 1 :], strict=True))
        no.append(min(max(int(unlikely[look]), needed - 1, -1), yes[look] - 1))
    return (*no, yes[-1] - 1)


def course(test: Design, rho: float) -> tuple[float, float]:
    """P(yes) and the mean number of trials at success probability `rho`; plain floats, for planning only."""
    masses, first, before = np.ones(1), 0, 0
    power, mean = 0.0, 0.0
    for look, n in enumerate(test.totals):
        mean += float(masses.sum()) * (n - before)
        low, high = (int(v) for v in binom.interval(1.0 - 1e-12, n - before, rho))
        steps = binom.pmf(np.arange(low, high + 1), n - before, rho)
        masses, first, before = np.convolve(masses, steps), first + low, n
        counts = first + np.arange(len(masses))
        said_yes = counts >= test.yes[look]
        power += float(masses[said_yes].sum())
        going = ~said_yes & (counts > test.no[look])
        masses, first = masses[going], int(counts[going][0]) if going.any() else 0
        if not going.any():
            break
    return power, mean
