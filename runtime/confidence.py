"""Confidence bounds for vote counts: one-sided Clopper–Pearson, rounded to the safe side.

The exact lower bound p* at confidence 1-α for k successes in n trials solves P(Bin(n, p*) ≥ k) = α, and the
tail increases with p. Library quantiles land on either side of p*. Here a quantile is only a proposal: a
value p is returned once an independent evaluation of the tail, rounded up, shows P(Bin(n, p) ≥ k) ≤ α,
hence p ≤ p*.

Source: Clopper and Pearson, Biometrika 26 (1934). Tail: saddle-point form of the binomial probability
(Loader, 2000) for the first term, then the series of term ratios with a geometric bound on its remainder.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv

_UNIT = 2.0**-52
_SLACK = 2.0**-42
"""Relative allowance for the rounding of one binomial probability; about 100 times what is observed."""
_TERMS = 4096
_LEAST_ALPHA = 1e-300
_LEAST_TAIL = 2.0**-1022
_LEAST_RATE = 2.0**-64


def check_alpha(alpha: float) -> float:
    """alpha itself, when 1e-300 ≤ alpha < 1; ValueError otherwise."""
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie in (0, 1), got {alpha!r}")
    if alpha < _LEAST_ALPHA:
        raise ValueError(
            f"alpha must be at least {_LEAST_ALPHA:g}, got {alpha!r}; floats hold no smaller tail"
        )
    return float(alpha)


def _check_counts(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(
            f"counts must satisfy 0 <= successes <= n and n >= 1, got successes {successes}, n {n}"
        )


def _stirling_error(n: int) -> float:
    """log(n!) - log(sqrt(2πn)·(n/e)^n) for n ≥ 1, to about 1e-14 absolutely."""
    if n < 16:
        return math.log(math.factorial(n)) - ((n + 0.5) * math.log(n) - n + 0.5 * math.log(2.0 * math.pi))
    x = 1.0 / (float(n) * float(n))
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - x / 1188) * x) * x) * x) / n


def _deviance(count: int, mean: Fraction) -> float:
    """count·log(count/mean) + mean - count, without cancellation: `mean` is exact."""
    excess = float((count - mean) / mean)
    if abs(excess) < 0.05:
        total, power = 0.0, excess * excess
        for order in range(2, 16):
            term = power / (order * (order - 1))
            total += term if order % 2 == 0 else -term
            power *= excess
        return float(mean) * total
    return float(mean) * ((1.0 + excess) * math.log1p(excess) - excess)


def log_probability(successes: int, n: int, p: float) -> float:
    """log P(Bin(n, p) = successes) for 0 < successes < n and 0 < p < 1."""
    failures = n - successes
    exact = Fraction(p)
    shape = _stirling_error(n) - _stirling_error(successes) - _stirling_error(failures)
    spread = _deviance(successes, n * exact) + _deviance(failures, n * (1 - exact))
    return shape - spread + 0.5 * (math.log(n / (2.0 * math.pi * successes)) - math.log(failures))


def _rounded_up(tail: float, rounding: float) -> float:
    """`tail` times `rounding`, kept where a relative error means something."""
    return min(1.0, max(tail * rounding, _LEAST_TAIL))


def upper_tail(successes: int, n: int, p: float) -> float:
    """An upper bound of P(Bin(n, p) ≥ successes), tight to about 1e-11 relative where that is above 1e-300.

    The allowance for rounding grows with the number of terms, about sqrt(n); with 10^9 trials it is 1e-9.

    Args:
        successes: k, 0 ≤ k ≤ n.
        n: number of trials, at least 1.
        p: success probability, in [0, 1], taken as the exact value of the double.

    Raises:
        ValueError: arguments outside these ranges.
    """
    _check_counts(successes, n)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"a probability in [0, 1] is required, got {p!r}")
    if successes == 0 or p == 1.0:
        return 1.0
    if p == 0.0:
        return 0.0
    odds = p / (1.0 - p)
    if successes == n:
        exponent = n * math.log(p)
        return _rounded_up(math.exp(exponent), 1.0 + _SLACK - 8.0 * _UNIT * exponent)
    log_first = log_probability(successes, n, p)
    total, term, start = 0.0, 1.0, successes
    while True:
        steps = np.arange(start, min(n, start + _TERMS), dtype=np.float64)
        terms = term * np.cumprod((n - steps) / (steps + 1.0) * odds)
        total += float(terms.sum())
        start += len(steps)
        term = float(terms[-1])
        ratio = (n - start) / (start + 1.0) * odds
        remainder = 0.0 if start == n else (term * ratio / (1.0 - ratio) if ratio < 1.0 else math.inf)
        if remainder <= _UNIT * (1.0 + total):
            break
    exponent = log_first + math.log1p(total + remainder)
    rounding = 1.0 + _SLACK + 8.0 * _UNIT * (start - successes + abs(log_first))
    return _rounded_up(math.exp(exponent), rounding)


@lru_cache(maxsize=1 << 16)
def lower_bound(successes: int, n: int, alpha: float) -> float:
    """One-sided Clopper–Pearson lower bound at confidence 1 - alpha, never above the exact one.

    Args:
        successes: number of votes for the class, 0 ≤ successes ≤ n; fixed before the class was chosen, or
            chosen on other votes.
        n: number of votes, at least 1.
        alpha: failure probability, in [1e-300, 1).

    Returns:
        p_lower in [0, 1), float64, rounded down (usually within about 1e-11 relative of the exact bound,
            which is not proven; that it lies below does not depend on it); 0 for no
        success, at most alpha**(1/n).

    Raises:
        ValueError: arguments outside these ranges.
    """
    _check_counts(successes, n)
    check_alpha(alpha)
    if successes == 0:
        return 0.0
    proposal = float(betaincinv(float(successes), float(n - successes + 1), alpha))
    if not 0.0 < proposal < 1.0:
        proposal = math.nextafter(1.0, 0.0)
    margin = _UNIT
    while margin < 1.0:
        candidate = proposal * (1.0 - margin)
        if upper_tail(successes, n, candidate) <= alpha:
            return candidate
        margin *= 2.0
    return 0.0


def upper_bound(successes: int, n: int, alpha: float) -> float:
    """One-sided Clopper–Pearson upper bound at confidence 1 - alpha, never below the exact one.

    It is 1 minus the lower bound for the failures, rounded up.

    Args and errors as in `lower_bound`.

    Returns:
        p_upper in (0, 1], float64; 1 where every trial is a success.
    """
    _check_counts(successes, n)
    lower = lower_bound(n - successes, n, alpha)
    upper = 1.0 - lower
    return upper if Fraction(upper) >= 1 - Fraction(lower) else math.nextafter(upper, 2.0)


def randomised_lower_bound(successes: int, n: int, alpha: float, uniform: float) -> float:
    """Randomised Clopper–Pearson lower bound: its failure probability is alpha, where `lower_bound` has less.

    The exact bound solves (1-u)·P(Bin(n, p) ≥ k) + u·P(Bin(n, p) ≥ k+1) = α (Stevens, Biometrika 37, 1950),
    which lies between the Clopper–Pearson bounds of k and k+1 successes. What is returned is a double for which
    the left side, rounded up, is at most α. For k = n the solution can reach 1, from finitely many votes an
    infinite radius; there the plain bound is returned, which only lowers the failure probability.

    Args:
        successes, n, alpha: as in `lower_bound`.
        uniform: u in [0, 1), drawn uniformly and apart from the votes; 0 gives the plain bound.

    Returns:
        p_lower in [0, 1), never above the exact randomised bound, never below the plain one.

    Raises:
        ValueError: arguments outside these ranges.
    """
    if not 0.0 <= uniform < 1.0:
        raise ValueError(f"uniform must lie in [0, 1), got {uniform!r}")
    low = lower_bound(successes, n, alpha)
    if uniform == 0.0 or successes == n:
        return low
    high = lower_bound(successes + 1, n, alpha)
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        if middle < _LEAST_RATE:
            break
        tails = upper_tail(successes, n, middle), upper_tail(successes + 1, n, middle)
        mixed = (1.0 - uniform) * tails[0] + uniform * tails[1]
        if mixed * (1.0 + 8.0 * _UNIT) + _LEAST_TAIL <= alpha:
            low = middle
        else:
            high = middle
    return low


def smallest_useful_n(alpha: float) -> int:
    """Smallest number of votes with which a certificate is possible: unanimous votes give p_lower > 1/2."""
    n = max(1, math.floor(-math.log2(check_alpha(alpha))))
    while lower_bound(n, n, alpha) <= 0.5:
        n += 1
    return n


def majority_p_value(first: int, second: int) -> float:
    """An upper bound of the two-sided p-value of "first and second are equally likely", given their counts.

    Exact binomial test at 1/2 over first + second votes; 1 where both counts are 0.
    """
    total = first + second
    if total == 0:
        return 1.0
    return min(1.0, 2.0 * upper_tail(max(first, second), total, 0.5))


def smallest_decidable_n(alpha: float) -> int:
    """Smallest number of votes with which a prediction is possible: unanimous votes have p-value ≤ alpha."""
    n = max(1, math.floor(1.0 - math.log2(check_alpha(alpha))))
    while majority_p_value(n, 0) > alpha:
        n += 1
    return n
