"""From votes to a certificate: the class, its confidence bound, radii for every norm. No I/O, no sampling.

Guarantee: if the selection votes are independent of the estimation votes, then with probability at least
1 - alpha over the votes, either the classifier abstains or the smoothed classifier gives `prediction` at
every point closer than the radius. The guarantee holds for each input and for all norms at once, because
all radii are read off one bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType

import numpy as np

from runtime.confidence import lower_bound, smallest_useful_n
from runtime.noise import Noise
from runtime.results import ABSTAIN, leads
from runtime.sampling import Votes


@dataclass(frozen=True)
class Certificate:
    """What a smoothed classifier guarantees at one input.

    Attributes:
        prediction: class, or -1 when abstaining.
        radius: certified radius against the adversary asked for, in input units; 0.0 when abstaining.
        radii: the same for every supported norm ("1", "2", "inf").
        p_lower: lower confidence bound of the probability of the selected class.
        counts: estimation votes per class.
        n: estimation votes, failed ones included.
        failed: votes with NaN or infinite logits.
        p_upper: upper confidence bound of the probability of every other class, where one was taken.
    """

    prediction: int
    radius: float
    radii: Mapping[str, float]
    p_lower: float
    counts: tuple[int, ...]
    n: int
    failed: int
    p_upper: float | None = None

    def __post_init__(self) -> None:
        if (self.prediction != ABSTAIN) != leads(self.p_lower, self.p_upper):
            raise ValueError(
                f"prediction {self.prediction} contradicts p_lower {self.p_lower}, p_upper {self.p_upper}"
            )
        if sum(self.counts) + self.failed != self.n:
            raise ValueError(
                f"counts {self.counts} and {self.failed} failed votes do not add up to n = {self.n}"
            )
        object.__setattr__(self, "radii", MappingProxyType(dict(self.radii)))


def check_budget(n0: int, n: int, alpha: float) -> None:
    """Refuses vote numbers with which nothing can be certified, before any vote is drawn.

    Raises:
        ValueError: n0 < 1, alpha outside (0, 1), or n so small that every input abstains.
    """
    for name, value in (("n0", n0), ("n", n)):
        if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= value < 2**53:
            raise ValueError(f"{name} must be an integer in [1, 2^53), got {value!r}")
    least = smallest_useful_n(alpha)
    if n < least:
        raise ValueError(
            f"with n = {n} and alpha = {alpha:g} every input abstains; the smallest useful n is {least}"
        )


def selected_class(selection: Votes) -> int:
    """The class with the most selection votes; the lowest among equals."""
    return max(range(len(selection.counts)), key=lambda c: selection.counts[c])


def decide(selection: Votes, estimation: Votes, alpha: float) -> tuple[int, float]:
    """Prediction and p_lower: the class from `selection`, its lower bound from `estimation` alone."""
    chosen = selected_class(selection)
    p_lower = lower_bound(estimation.counts[chosen], estimation.n, alpha)
    return (chosen if p_lower > 0.5 else ABSTAIN), p_lower


def radii_of(noise: Noise, p_lower: float, p_upper: float | None = None) -> dict[str, float]:
    """Radius against every norm that the noise supports.

    Args:
        noise: the noise.
        p_lower: lower bound of the class's probability.
        p_upper: upper bound of every other class's probability, holding together with p_lower; None for
            1 - p_lower.

    Returns:
        Radii by norm, rounded down; 0.0 for p_lower ≤ 1/2 without p_upper, for p_lower ≤ p_upper with it.
    """
    rho = np.array([p_lower], dtype=np.float64)
    if p_upper is None:
        return {adversary: float(noise.radius(rho, adversary)[0]) for adversary in noise.adversaries}
    other = np.array([min(p_upper, 1.0 - p_lower)], dtype=np.float64)
    return {
        adversary: float(noise.radius(rho, adversary, runner_up=other)[0]) for adversary in noise.adversaries
    }
