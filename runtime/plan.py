"""What a number of votes buys, before one is drawn: largest radii, votes for a target, votes a procedure will take.

Bounds are the exact ones of the certificates; what is expected at assumed class probabilities is simulated with the
procedure itself, and is a forecast only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.certificate import radii_of
from runtime.confidence import check_alpha, lower_bound
from runtime.noise import Noise, adversary_name
from runtime.procedure import Procedure
from runtime.results import ABSTAIN
from runtime.sampling import Votes
from runtime.targets import least_probabilities

ABSTAINED = 0.42
"""Class probability assumed for inputs at which a log abstains."""
_MOST = 2**40


@dataclass(frozen=True)
class Outlook:
    """What a procedure is expected to do with an input of class probability rho.

    Attributes:
        rho: the assumed probability of the selected class; the rest is another class's.
        votes: mean number of votes, selection included.
        certified: share of inputs that get a certificate.
        radii: mean certified radius by norm, 0 for abstentions.
    """

    rho: float
    votes: float
    certified: float
    radii: Mapping[str, float]


def largest(noise: Noise, n: int, alpha: float) -> tuple[float, dict[str, float]]:
    """The largest p_lower that n votes can give, α^(1/n) rounded down, and its radius by norm."""
    p_lower = lower_bound(n, n, alpha)
    return p_lower, radii_of(noise, p_lower)


def smallest_n(p0: float, alpha: float, rho: float) -> int | None:
    """Votes with which a fixed sample shows p0, if a share `rho` of them is for the class, rounded down.

    Args:
        p0: probability to show, in [1/2, 1).
        alpha: failure probability.
        rho: class probability assumed, in [0, 1].

    Returns:
        An n from which all samples up to twice as large do (the bound is not quite monotone in n); None for
        rho ≤ p0.
    """
    check_alpha(alpha)
    if not 0.5 <= p0 < 1.0 or not 0.0 <= rho <= 1.0:
        raise ValueError(f"p0 in [1/2, 1) and rho in [0, 1] are required, got {p0!r} and {rho!r}")
    if rho <= p0:
        return None

    def shown(n: int) -> bool:
        return lower_bound(math.floor(rho * n), n, alpha) >= p0

    high = 1
    while not shown(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def outlook(procedure: Procedure, noise: Noise, rho: float, runs: int = 100, seed: int = 0) -> Outlook:
    """Simulates the procedure `runs` times at class probability `rho`.

    Args:
        procedure: the rule; noise: the noise that its radii are for.
        rho: in [0, 1]; below 1/2 the other votes are spread over several classes, so that the class stays first.
        runs: simulations, at least 1. An open-ended procedure at its boundary is cut after 2^40 votes.
        seed: of the simulation.
    """
    if not 0.0 <= rho <= 1.0 or runs < 1:
        raise ValueError(f"rho in [0, 1] and at least one run are required, got {rho!r} and {runs}")
    others = max(1, math.ceil((1.0 - rho) / max(rho, 1e-3)))
    shares = [rho, *([(1.0 - rho) / others] * others)]
    generator = np.random.default_rng([seed, round(rho * 2**53)])
    votes, certified = 0, 0
    radii = dict.fromkeys(noise.adversaries, 0.0)
    for _ in range(runs):
        selection = _drawn(procedure.selection(), shares, generator)
        estimation: list[Votes] = []
        have = 0
        while (wanted := procedure.next_total(selection, estimation)) is not None and have < _MOST:
            estimation.append(_drawn(wanted - have, shares, generator))
            have = wanted
        votes += selection.n + have
        if wanted is None:
            decision = procedure.decide(selection, estimation, noise, float(generator.random()))
            certified += decision.prediction != ABSTAIN
            for name, radius in decision.radii.items():
                radii[name] += radius / runs
    return Outlook(rho, votes / runs, certified / runs, radii)


def _drawn(n: int, shares: Sequence[float], generator: np.random.Generator) -> Votes:
    return Votes(tuple(generator.multinomial(n, shares).tolist()), 0)


def rates_of(
    noise: Noise, radii: Iterable[float | None], adversary: str | float, n: int, alpha: float
) -> list[float]:
    """The vote rates behind published radii: the share of n votes whose bound at alpha certifies each radius.

    Args:
        noise: the noise of the log, up to its dimension where that does not matter.
        radii: certified radii; None or 0 where the classifier abstained, for which 0.42 is assumed.
        adversary: their norm.
        n, alpha: how the log was made.

    Returns:
        One rate an input, in order.
    """
    given = list(radii)
    distinct = np.unique(np.array([radius for radius in given if radius], dtype=np.float64))
    p0s = least_probabilities(noise, distinct, adversary_name(adversary)) if len(distinct) else ()
    known = {
        radius: _least_count(p0, n, alpha) / n for radius, p0 in zip(distinct.tolist(), p0s, strict=True)
    }
    return [known[float(radius)] if radius else ABSTAINED for radius in given]


def _least_count(p0: float, n: int, alpha: float) -> int:
    """The least number of successes in n whose lower bound reaches p0; n where none does."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if lower_bound(middle, n, alpha) >= p0 else (middle, high)
    return high


def grouped(rates: Sequence[float], most: int = 40) -> list[tuple[float, float]]:
    """The rates as at most `most` (rate, share of inputs) pairs: sorted, and neighbours replaced by their mean."""
    ordered = np.sort(np.array(rates, dtype=np.float64))
    distinct, counts = np.unique(ordered, return_counts=True)
    if len(distinct) <= most:
        return [
            (float(rate), float(count / len(ordered))) for rate, count in zip(distinct, counts, strict=True)
        ]
    found: dict[float, float] = {}
    for part in np.array_split(ordered, most):
        rate = float(part.mean())
        found[rate] = found.get(rate, 0.0) + len(part) / len(ordered)
    return list(found.items())
