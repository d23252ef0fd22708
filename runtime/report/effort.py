"""What certification took, and how sure the votes were: votes and time per input, and the distribution of p_A."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.report.run import CertifiedRun

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Effort:
    """Votes and time of one run; None where the source does not state votes.

    Attributes:
        votes_mean, votes_median, votes_most: estimation votes an input.
        votes_total: estimation votes of all finished inputs.
        seconds_mean, seconds_total: time of an input, of all.
        p_a: quantiles of p_A over the inputs, by level; empty where votes are not known.
    """

    votes_mean: float | None
    votes_median: float | None
    votes_most: int | None
    votes_total: int | None
    seconds_mean: float
    seconds_total: float
    p_a: Mapping[float, float]


def vote_shares(run: CertifiedRun) -> npt.NDArray[np.float64]:
    """p_A of each input whose votes are known, increasing: the share of the most frequent class among its
    estimation votes. An estimate, not a bound."""
    return np.sort(np.array([row.share for row in run.rows if row.share is not None], dtype=np.float64))


def effort(run: CertifiedRun) -> Effort:
    """What the rows of a run say of votes and time."""
    votes = [row.votes for row in run.rows if row.votes is not None]
    shares = vote_shares(run)
    seconds = float(sum(row.seconds for row in run.rows))
    known = len(votes) == run.total
    return Effort(
        votes_mean=sum(votes) / run.total if known else None,
        votes_median=float(np.median(votes)) if known else None,
        votes_most=max(votes) if known else None,
        votes_total=sum(votes) if known else None,
        seconds_mean=seconds / run.total,
        seconds_total=seconds,
        p_a={level: float(np.quantile(shares, level)) for level in QUANTILES} if len(shares) else {},
    )
