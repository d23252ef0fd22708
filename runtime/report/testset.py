"""Certified accuracy with high probability: what the certificates of one run prove together.

A certificate is false with probability at most α, so counted accuracy may be too high by chance. Two lower bounds at
confidence 1 - δ, both from exact binomial tails; Cohen, Rosenfeld and Kolter (2019) bound the first by
Bernstein's inequality, which is wider.

*The inputs of the run.* Certificates of different inputs come from independent votes, so the number of false ones is
stochastically at most Binomial(m, α). With F the smallest number that this exceeds with probability at most δ, at least
C(r) - F of the m inputs are truly robust at radius r, for all radii at once: a certificate that is true is true at
every radius below its own.

*All inputs of the same source.* Let the m inputs be independent draws, and A(r) the probability that the smoothed
classifier is right on the whole ball of radius r around one. An input is certified at r with probability at most
A + (1-A)·α, and C(r) is binomial; with q the Clopper–Pearson lower bound for its rate at level δ, A(r) ≥ (q-α)/(1-α). This
holds for each radius by itself.

An envelope picks the best of K runs, hence each run is taken at δ/K. Radii of result files are usually printed with three
significant digits, rounded to nearest: the true one may be smaller by 1/200, and is taken to be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from runtime.confidence import check_alpha, lower_bound, upper_tail
from runtime.report.envelope import Envelope
from runtime.report.run import CertifiedRun

DELTA = 0.001
"""Failure probability of a bound by default, that of the publication above."""
_PRINTED = 1.00503
"""A radius printed as this many times r has a true radius of at least r: a little more than 1/(1 - 1/200)."""


@dataclass(frozen=True)
class Shares:
    """Lower bounds of certified accuracy at one radius, exact fractions; None where α is not known.

    Attributes:
        inputs: of the very inputs, for all radii at once.
        population: of all inputs of the same source, if these are independent draws.
    """

    inputs: Fraction | None
    population: Fraction | None


def check_delta(delta: float) -> float:
    """delta itself, a failure probability in [1e-300, 1); ValueError otherwise."""
    try:
        return check_alpha(delta)
    except ValueError as error:
        raise ValueError(str(error).replace("alpha", "delta")) from None


@lru_cache(maxsize=4096)
def most_false(inputs: int, alpha: float, delta: float) -> int:
    """Smallest F such that more than F of `inputs` certificates are false with probability at most `delta`.

    Args:
        inputs: number of certificates from independent votes, at least 1.
        alpha: failure probability of each, in (0, 1).
        delta: failure probability of the statement, in (0, 1).
    """
    check_alpha(alpha)
    check_delta(delta)
    low, high = 0, inputs  # more than `inputs` cannot be false
    while low < high:
        middle = (low + high) // 2
        if upper_tail(middle + 1, inputs, alpha) <= delta:
            high = middle
        else:
            low = middle + 1
    return low


def run_shares(run: CertifiedRun, radius: float, delta: float) -> Shares:
    """The bounds of one run at one radius, at confidence 1 - delta each."""
    if run.alpha is None:
        return Shares(None, None)
    count = int(run.certified(radius * _PRINTED if run.log else radius) * run.total)
    sure = max(0, count - most_false(run.total, run.alpha, delta))
    rate, alpha = Fraction(lower_bound(count, run.total, delta)), Fraction(run.alpha)
    return Shares(Fraction(sure, run.total), max(Fraction(0), (rate - alpha) / (1 - alpha)))


def envelope_shares(envelope: Envelope, radius: float, delta: float) -> Shares:
    """The larger bounds over the runs of an envelope, which hold together at confidence 1 - delta."""
    level = delta if len(envelope.runs) == 1 else math.nextafter(delta / len(envelope.runs), 0.0)
    found = [run_shares(run, radius, level) for run in envelope.runs]
    inputs = [shares.inputs for shares in found if shares.inputs is not None]
    population = [shares.population for shares in found if shares.population is not None]
    return Shares(max(inputs, default=None), max(population, default=None))
