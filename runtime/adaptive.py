"""Full radii with fewer votes: a pilot fixes how many, one fresh Clopper–Pearson bound at alpha uses them.

The pilot is the selection votes, more of them than choosing a class needs. They fix the class and the number of
estimation votes; the bound is taken over estimation votes alone, whose number and class are then given, so its
level is alpha as for a fixed sample.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr
from scipy.stats import binom

from runtime.certificate import check_budget, radii_of, selected_class
from runtime.confidence import lower_bound, smallest_useful_n, upper_bound
from runtime.noise import Noise, adversary_name
from runtime.procedure import Decision, joined
from runtime.results import ABSTAIN
from runtime.rng import BLOCK
from runtime.sampling import Votes

FRACTION = 0.95
_PILOT_LEVEL = 0.1
_GIVE_UP = 0.001
_RATES = np.concatenate([ndtr(np.linspace(0.0, 3.75, 76)), [1.0]])
"""Class probabilities at which the votes needed are tabulated."""


@dataclass(frozen=True)
class AdaptiveSample:
    """The pilot chooses the class and the least number of votes whose radius is near that of n votes.

    Build it with `for_noise`, which tabulates the votes needed at each pilot count. Votes stop early, with an
    abstention, where a bound above 1/2 is out of reach or has a probability below 0.001.

    Args:
        pilot: votes that choose the class and the sample, at least 1.
        n: most estimation votes.
        alpha: failure probability of one certificate.
        fraction: share of the radius with n votes that the chosen sample is to reach, in (0, 1).
        adversary: norm of that radius.
        samples: estimation votes for each pilot count 0 … pilot.

    Raises:
        ValueError: an argument outside its range.
    """

    pilot: int
    n: int
    alpha: float
    fraction: float
    adversary: str
    samples: tuple[int, ...]

    def __post_init__(self) -> None:
        check_budget(self.pilot, self.n, self.alpha)
        if not 0.0 < self.fraction < 1.0:
            raise ValueError(f"fraction must lie in (0, 1), got {self.fraction!r}")
        if adversary_name(self.adversary) != self.adversary:
            raise ValueError(f"adversary must be '1', '2' or 'inf', got {self.adversary!r}")
        if len(self.samples) != self.pilot + 1 or not all(1 <= size <= self.n for size in self.samples):
            raise ValueError(
                f"a sample in [1, {self.n}] for each of {self.pilot + 1} pilot counts is required"
            )

    @staticmethod
    def for_noise(
        noise: Noise,
        pilot: int = 500,
        n: int = 100_000,
        alpha: float = 0.001,
        fraction: float = FRACTION,
        adversary: str | float | None = None,
    ) -> AdaptiveSample:
        """The samples for a noise. The fraction is met over the 80% range that a pilot count leaves for ρ.

        Args:
            adversary: norm; the noise's first by default. Others and errors as in the class.
        """
        check_budget(pilot, n, alpha)
        if not 0.0 < fraction < 1.0:
            raise ValueError(f"fraction must lie in (0, 1), got {fraction!r}")
        name = noise.adversaries[0] if adversary is None else adversary_name(adversary)
        noise.method(name)
        sizes = _sizes(n, alpha)
        needed = _needed(noise, sizes, alpha, fraction, name)
        samples = []
        for count in range(pilot + 1):
            low = lower_bound(count, pilot, _PILOT_LEVEL)
            high = upper_bound(count, pilot, _PILOT_LEVEL)
            first = max(0, int(np.searchsorted(_RATES, low, side="right")) - 1)
            last = min(len(_RATES), int(np.searchsorted(_RATES, high)) + 1)
            samples.append(sizes[0] if high <= 0.5 else sizes[int(needed[first:last].max())])
        return AdaptiveSample(pilot, n, alpha, fraction, name, tuple(samples))

    def selection(self) -> int:
        """The pilot."""
        return self.pilot

    def maximum(self) -> int | None:
        """n."""
        return self.n

    def _sample(self, selection: Votes) -> int:
        if selection.n != self.pilot:
            raise ValueError(f"a pilot of {self.pilot} votes is required, got {selection.n}")
        return self.samples[selection.counts[selected_class(selection)]]

    def _state(self, selection: Votes, estimation: Sequence[Votes]) -> tuple[int | None, int]:
        """The total wanted next (None: decided), and the votes used."""
        chosen, size = selected_class(selection), self._sample(selection)
        looks = _looks(size, self.alpha)
        look = seen = successes = 0
        for part in estimation:
            seen += part.n
            successes += part.counts[chosen]
            if look == len(looks) or seen > looks[look][0]:
                raise ValueError(f"more votes than were wanted: a range of votes reaches {seen}")
            if seen == looks[look][0]:
                if successes <= looks[look][1]:
                    return None, seen
                look += 1
        return (looks[look][0] if look < len(looks) else None), seen

    def next_total(self, selection: Votes, estimation: Sequence[Votes]) -> int | None:
        """The next look for giving up, and the sample that the pilot fixed."""
        return self._state(selection, estimation)[0]

    def decide(
        self, selection: Votes, estimation: Sequence[Votes], noise: Noise, uniform: float = 0.0
    ) -> Decision:
        """One bound from the whole sample, or an abstention; see `runtime.procedure.Procedure.decide`."""
        wanted, used = self._state(selection, estimation)
        votes, chosen = joined(estimation, selection), selected_class(selection)
        if wanted is not None or votes.n != used:
            raise ValueError(f"a decision needs {wanted or used} estimation votes, got {votes.n}")
        size = self._sample(selection)
        if used < size:
            text = f"given up after {used} of {size} votes"
            return Decision(ABSTAIN, 0.0, None, radii_of(noise, 0.5), text)
        p_lower = lower_bound(votes.counts[chosen], size, self.alpha)
        text = f"lower bound of the class, from the {size} votes that the pilot asked for"
        return Decision(chosen if p_lower > 0.5 else ABSTAIN, p_lower, None, radii_of(noise, p_lower), text)

    def record(self) -> dict[str, Any]:
        """All parameters, as JSON."""
        return {
            "procedure": "adaptive",
            "pilot": self.pilot,
            "n": self.n,
            "alpha": self.alpha,
            "fraction": self.fraction,
            "adversary": self.adversary,
            "samples": list(self.samples),
        }


def _sizes(n: int, alpha: float) -> tuple[int, ...]:
    """Samples to choose from: multiples of 64, a sixteenth apart where they are large, and n."""
    size = BLOCK * -(-smallest_useful_n(alpha) // BLOCK)
    found = []
    while size < n:
        found.append(size)
        size += BLOCK * max(1, size // (BLOCK * 16))
    return (*found, n)


def _needed(
    noise: Noise, sizes: tuple[int, ...], alpha: float, fraction: float, adversary: str
) -> NDArray[np.int64]:
    """For each of `_RATES` the position of the least size whose expected radius is near that of the last one."""
    totals = np.array(sizes, dtype=np.float64)
    counts = np.rint(_RATES[:, None] * totals)
    bounds = betaincinv(np.maximum(counts, 1.0), totals - counts + 1.0, alpha)
    radii = noise.radius(np.ascontiguousarray(bounds), adversary)
    near = radii >= fraction * radii[:, -1:]
    return np.argmax(near, axis=1)


@lru_cache(maxsize=1024)
def _looks(size: int, alpha: float) -> tuple[tuple[int, int], ...]:
    """Totals at which to give up, each with the largest number of successes that does; the last is the sample."""
    critical = bisect_left(range(size), True, key=lambda c: lower_bound(c, size, alpha) > 0.5)
    looks, total = [], BLOCK
    while 2 * total <= size:
        unlikely = int(binom.ppf(_GIVE_UP / 16, total, critical / size)) - 1
        looks.append((total, max(unlikely, critical - (size - total) - 1)))
        total *= 2
    return (*looks, (size, -1))
