"""Procedures: how many votes an input gets, and what follows from them. No I/O, no sampling.

A procedure asks for votes in stages and then decides. All it ever sees are counts, so whoever has the counts of
every stage (a store, a file) recomputes the very decision. Guarantee of every procedure, for one input: with
probability at least 1 - alpha over its votes it abstains or `Decision.radii` are true, all of them at once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from runtime.certificate import check_budget, radii_of, selected_class
from runtime.confidence import (
    check_alpha,
    lower_bound,
    randomised_lower_bound,
    smallest_useful_n,
    upper_bound,
)
from runtime.noise import Noise, adversary_name
from runtime.results import ABSTAIN, leads
from runtime.rng import check_seed
from runtime.sampling import Votes

INTERVALS: tuple[str, ...] = ("clopper-pearson", "randomised")


@dataclass(frozen=True)
class Decision:
    """What the votes of one input show.

    Attributes:
        prediction: class, or -1 when abstaining.
        p_lower: lower bound of the selected class's probability; 0.0 where none was shown.
        p_upper: upper bound of every other class's probability, holding together with p_lower; None without one.
        radii: certified radius by norm, from these bounds; 0.0 when abstaining.
        statement: what was decided, as a phrase for people.
    """

    prediction: int
    p_lower: float
    p_upper: float | None
    radii: Mapping[str, float]
    statement: str

    def __post_init__(self) -> None:
        if (self.prediction != ABSTAIN) != leads(self.p_lower, self.p_upper):
            raise ValueError(
                f"prediction {self.prediction} contradicts p_lower {self.p_lower}, p_upper {self.p_upper}"
            )
        object.__setattr__(self, "radii", MappingProxyType(dict(self.radii)))


@runtime_checkable
class Procedure(Protocol):
    """A rule from votes to a certificate. Equal fields give equal decisions; `record` holds all of them."""

    def selection(self) -> int:
        """n0: votes that choose the class, independent of those that bound its probability."""

    def maximum(self) -> int | None:
        """The most estimation votes it ever asks for; None without a maximum."""

    def next_total(self, selection: Votes, estimation: Sequence[Votes]) -> int | None:
        """Estimation votes wanted in all before it looks again; None once it is decided.

        Args:
            selection: the votes that chose the class, all of them.
            estimation: the votes so far, as adjoining ranges in order from vote 0. A range must not reach past
                a total that was asked for; it may be split anywhere.

        Returns:
            A multiple of 64 or the maximum, more than there are; None when no more votes are wanted.
        """

    def decide(
        self, selection: Votes, estimation: Sequence[Votes], noise: Noise, uniform: float = 0.0
    ) -> Decision:
        """The certificate; votes as in `next_total`, which must be None for them.

        Args:
            noise: the noise of the votes.
            uniform: `uniform_of` the input, for procedures that are randomised; others ignore it.

        Raises:
            ValueError: more votes are wanted, or the noise is not the one that a target was computed for.
        """

    def record(self) -> dict[str, Any]:
        """All parameters, as JSON; `runtime.rules.from_record` gives the procedure back."""


def joined(estimation: Sequence[Votes], selection: Votes) -> Votes:
    """The sum of adjoining ranges of votes; `selection` gives the number of classes where there are none."""
    total = Votes((0,) * len(selection.counts), 0)
    for part in estimation:
        total = total + part
    return total


def uniform_of(seed: int, index: int) -> float:
    """The uniform number of one input for randomised bounds: a multiple of 2^-53 in [0, 1), by SHA-256.

    Rounding it down to such a multiple lowers the bound, never raises it.

    Args:
        seed: seed of the run, in [0, 2^63).
        index: index of the input, at least 0.
    """
    if index < 0:
        raise ValueError(f"input index must be at least 0, got {index}")
    text = f"randomised-bound-1\x1f{check_seed(seed)}\x1f{index}"
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) * 2.0**-53


def familywise_alpha(alpha: float, inputs: int) -> float:
    """alpha/inputs rounded down (Bonferroni): certificates at this level are all true with probability ≥ 1 - alpha.

    Args:
        alpha: failure probability of the whole set, in (0, 1).
        inputs: number of certificates, at least 1.

    Raises:
        ValueError: outside these ranges, or a share below 1e-300.
    """
    if isinstance(inputs, bool) or not isinstance(inputs, Integral) or inputs < 1:
        raise ValueError(f"the number of inputs must be an integer of at least 1, got {inputs!r}")
    check_alpha(alpha)
    return check_alpha(alpha if inputs == 1 else math.nextafter(alpha / int(inputs), 0.0))


def guarantee(alpha: float, inputs: int, familywise: bool) -> str:
    """The sentence that a report states about `inputs` certificates.

    Args:
        alpha: failure probability as it was asked for: of each certificate, or of the set with `familywise`.
    """
    if familywise:
        return f"with probability at least {1.0 - alpha:g} all {inputs} certificates are true"
    return f"each certificate is true with probability at least {1.0 - alpha:g}; of {inputs}, {alpha * inputs:g} may be false on average"


def runner_up_count(votes: Votes, chosen: int) -> int:
    """The largest number of votes that any class but `chosen` can have, failed votes counted for it.

    Its upper bound at level α holds for *all* other classes at once, without a share of α for each: let c be the
    other class of the largest probability, which is not random. Its own count is at most this one, the bound
    grows with the count, so it fails for c with probability at most α; and no other class exceeds c.
    """
    others = (count for label, count in enumerate(votes.counts) if label != chosen)
    return max(others, default=0) + votes.failed


@dataclass(frozen=True)
class FixedSample:
    """n0 votes choose the class, n fresh ones bound its probability.

    Args:
        n0: selection votes, at least 1.
        n: estimation votes.
        alpha: failure probability of one certificate, in (0, 1).
        interval: "clopper-pearson", or "randomised" for bounds whose failure probability is alpha itself.
        two_class: whether an upper bound for the other classes may be taken as well, each bound at alpha/2. It is
            taken where the *selection* votes promise a larger radius from it; these are independent of the
            estimation votes, so that alpha is spent once whichever is taken.
        adversary: the norm whose radius decides that; the noise's first by default.

    Raises:
        ValueError: an argument outside these ranges, or so few votes that every input abstains.
    """

    n0: int
    n: int
    alpha: float
    interval: str = "clopper-pearson"
    two_class: bool = False
    adversary: str | None = None

    def __post_init__(self) -> None:
        check_budget(self.n0, self.n, self.alpha)
        if self.interval not in INTERVALS:
            raise ValueError(f"interval must be one of {', '.join(INTERVALS)}, got {self.interval!r}")
        if self.adversary is not None and adversary_name(self.adversary) != self.adversary:
            raise ValueError(f"adversary must be '1', '2' or 'inf', got {self.adversary!r}")
        if self.two_class:
            least = smallest_useful_n(self.alpha / 2)
            if self.n < least:
                raise ValueError(
                    f"with n = {self.n} and alpha = {self.alpha:g} over two bounds inputs abstain; "
                    f"the smallest useful n is {least}"
                )

    def selection(self) -> int:
        """n0."""
        return self.n0

    def maximum(self) -> int | None:
        """n."""
        return self.n

    def next_total(self, selection: Votes, estimation: Sequence[Votes]) -> int | None:
        """n until there are as many votes."""
        return None if joined(estimation, selection).n >= self.n else self.n

    def decide(
        self, selection: Votes, estimation: Sequence[Votes], noise: Noise, uniform: float = 0.0
    ) -> Decision:
        """The certificate from exactly n estimation votes; see `Procedure.decide`."""
        votes = joined(estimation, selection)
        if votes.n != self.n:
            raise ValueError(f"a decision needs {self.n} estimation votes, got {votes.n}")
        chosen = selected_class(selection)
        two = self.two_class and self._two_classes_promise_more(selection, chosen, noise)
        p_lower, p_upper = self._bounds(votes, chosen, two, uniform)
        radii = radii_of(noise, p_lower, p_upper)
        certified = leads(p_lower, p_upper)
        bounds = "lower bound of the class, upper bound of all others" if two else "lower bound of the class"
        statement = f"{bounds}, from {votes.n} votes"
        return Decision(chosen if certified else ABSTAIN, p_lower, p_upper, radii, statement)

    def _bounds(self, votes: Votes, chosen: int, two: bool, uniform: float) -> tuple[float, float | None]:
        share = 0.5 * self.alpha if two else self.alpha
        count = votes.counts[chosen]
        if self.interval == "randomised":
            p_lower = randomised_lower_bound(count, votes.n, share, uniform)
        else:
            p_lower = lower_bound(count, votes.n, share)
        return p_lower, upper_bound(runner_up_count(votes, chosen), votes.n, share) if two else None

    def _two_classes_promise_more(self, selection: Votes, chosen: int, noise: Noise) -> bool:
        """Whether n votes at the rates of the selection votes would give two bounds the larger radius."""
        scaled = [count * self.n // selection.n for count in selection.counts]
        expected = Votes(tuple(scaled), selection.failed * self.n // selection.n)
        short = Votes(expected.counts, expected.failed + self.n - expected.n)
        name = self.adversary or noise.adversaries[0]
        one, two = (radii_of(noise, *self._bounds(short, chosen, many, 0.0))[name] for many in (False, True))
        return two > one

    def record(self) -> dict[str, Any]:
        """All parameters, as JSON."""
        return {
            "procedure": "fixed",
            "n0": self.n0,
            "n": self.n,
            "alpha": self.alpha,
            "interval": self.interval,
            "two_class": self.two_class,
            "adversary": self.adversary,
        }
