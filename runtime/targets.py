"""Target radii: which class probability a radius needs, what tests at several radii show together, and how such tests
ask for votes and decide."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.certificate import radii_of, selected_class
from runtime.noise import Noise, adversary_name
from runtime.numerals import shortest
from runtime.procedure import Decision
from runtime.results import ABSTAIN
from runtime.sampling import Votes

MOST = 64
"""Most target radii of one test."""


def check_targets(targets: Sequence[float]) -> tuple[float, ...]:
    """The target radii, increasing; ValueError unless there are 1 to 64 positive finite ones, all different."""
    values = tuple(sorted(float(target) for target in targets))
    if not 1 <= len(values) <= MOST:
        raise ValueError(f"1 to {MOST} target radii are required, got {len(values)}")
    if not all(math.isfinite(value) and value > 0.0 for value in values) or len(set(values)) < len(values):
        raise ValueError(f"target radii must be positive, finite and different, got {list(targets)}")
    return values


def threshold(noise: Noise, target: float, adversary: str | float) -> float:
    """p0: a double whose certified radius reaches the target, the smallest one where radii grow with it.

    Args:
        noise: the noise.
        target: radius, positive, in input units.
        adversary: norm of the adversary.

    Returns:
        p0 in (1/2, 1) with noise.radius(p0, adversary) ≥ target.

    Raises:
        ValueError: no probability below 1 certifies the target.
    """
    return thresholds(noise, [target], adversary)[0]


def thresholds(noise: Noise, targets: Sequence[float], adversary: str | float) -> tuple[float, ...]:
    """`threshold` of each target, in the targets' order from small to large."""
    return least_probabilities(noise, np.array(check_targets(targets)), adversary_name(adversary))


def least_probabilities(noise: Noise, radii: NDArray[np.float64], adversary: str) -> tuple[float, ...]:
    """`threshold` of any number of increasing radii, by bisection over the doubles in (1/2, 1) at once."""
    low = np.full(len(radii), 0.5).view(np.int64)
    high = np.full(len(radii), math.nextafter(1.0, 0.0)).view(np.int64)
    most = float(noise.radius(math.nextafter(1.0, 0.0), adversary))
    if not (radii <= most).all():
        raise ValueError(
            f"no probability below 1 certifies radius {radii.max():g} against adversary {adversary} with {noise!r}; "
            f"at most {most:g}: take a smaller target or a larger sigma"
        )
    while (high - low > 1).any():
        middle = (low + high) // 2
        reached = noise.radius(middle.view(np.float64), adversary) >= radii
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return tuple(np.maximum.accumulate(high.view(np.float64)).tolist())


def shown(verdicts: Sequence[bool | None]) -> tuple[int, bool]:
    """How many of the nested hypotheses are shown, and whether more votes could change that.

    Radius r_i counts as shown only where all smaller ones are. So one test at level alpha for each radius keeps
    the level of all: let r_m be the smallest target that does not hold. Whatever is shown falsely includes
    r_m, and its test says yes with probability at most alpha.

    Args:
        verdicts: for each radius, from small to large: yes, no, or undecided.
    """
    for position, verdict in enumerate(verdicts):
        if verdict is not True:
            return position, verdict is None
    return len(verdicts), False


def decision(
    chosen: int,
    count: int,
    targets: Sequence[float],
    p0s: Sequence[float],
    adversary: str,
    noise: Noise,
    votes: int,
) -> Decision:
    """The certificate where `count` of the targets were shown: ρ ≥ p0 of the largest of them.

    Raises:
        ValueError: under this noise p0 does not certify its target: the thresholds are those of another.
    """
    name = f"l{adversary}"
    if count == 0:
        text = f"{name} radius {shortest(targets[0])} not shown with {votes} votes"
        return Decision(ABSTAIN, 0.0, None, radii_of(noise, 0.5), text)
    target, p0 = targets[count - 1], p0s[count - 1]
    radii: Mapping[str, float] = radii_of(noise, p0)
    if not radii[adversary] >= target:
        raise ValueError(
            f"p0 = {p0!r} certifies radius {radii[adversary]!r} with {noise!r}, not the target {target!r}; "
            "the thresholds belong to another noise"
        )
    text = f"{name} radius of at least {shortest(target)} shown with {votes} votes"
    if count < len(targets):
        text += f", {shortest(targets[count])} not shown"
    return Decision(chosen, p0, None, radii, text)


@dataclass(frozen=True)
class TargetTests(ABC):
    """One test for each target radius, all on the same votes, until the largest target that can be shown is known.

    A subclass says when to look and what each test says there. It controls the probability of a yes that is wrong.

    Args:
        n0: selection votes, which choose the class.
        alpha: failure probability of one certificate.
        targets: radii to decide, increasing.
        adversary: norm of these radii.
        p0s: the probability that each target needs, with the noise of the votes.
    """

    n0: int
    alpha: float
    targets: tuple[float, ...]
    adversary: str
    p0s: tuple[float, ...]

    NAME: ClassVar[str]
    """The procedure in its record."""

    @abstractmethod
    def maximum(self) -> int | None:
        """The most estimation votes, None without a maximum."""

    @abstractmethod
    def look_after(self, seen: int) -> int | None:
        """The total at which to look next after `seen` votes; None after the last look."""

    @abstractmethod
    def verdict(self, target: int, successes: int, n: int) -> bool | None:
        """What the test of a target, by its position, says at a look: yes, no, or undecided.

        Args:
            target: position of the target.
            successes: votes for the class among the first n.
            n: a total that `look_after` gave.
        """

    def check_tests(self) -> None:
        """Refuses (ValueError) targets, norm or probabilities that contradict each other."""
        if check_targets(self.targets) != tuple(self.targets) or len(self.p0s) != len(self.targets):
            raise ValueError(
                f"one p0 for each of increasing targets is required, got {self.targets}, {self.p0s}"
            )
        if adversary_name(self.adversary) != self.adversary:
            raise ValueError(f"adversary must be '1', '2' or 'inf', got {self.adversary!r}")
        if any(a > b for a, b in zip(self.p0s, self.p0s[1:], strict=False)):
            raise ValueError(f"larger targets need larger probabilities, got {self.p0s}")

    def selection(self) -> int:
        """n0."""
        return self.n0

    def _state(self, selection: Votes, estimation: Sequence[Votes]) -> tuple[int, int | None, int]:
        """Targets shown so far, the total wanted next (None: decided), and the votes used."""
        chosen = selected_class(selection)
        verdicts: list[bool | None] = [None] * len(self.targets)
        wanted, seen, successes = self.look_after(0), 0, 0
        for part in estimation:
            if wanted is None:
                break
            seen += part.n
            successes += part.counts[chosen]
            if seen > wanted:
                raise ValueError(f"{wanted} votes were wanted, a range of votes reaches {seen}")
            if seen < wanted:
                continue
            for position, known in enumerate(verdicts):
                if known is None:
                    verdicts[position] = self.verdict(position, successes, seen)
            wanted = self.look_after(seen) if shown(verdicts)[1] else None
        return shown(verdicts)[0], wanted, seen

    def next_total(self, selection: Votes, estimation: Sequence[Votes]) -> int | None:
        """The next look, until the largest target that can be shown is known; see `runtime.procedure.Procedure`."""
        return self._state(selection, estimation)[1]

    def decide(
        self, selection: Votes, estimation: Sequence[Votes], noise: Noise, uniform: float = 0.0
    ) -> Decision:
        """The largest target shown; see `runtime.procedure.Procedure.decide`."""
        count, wanted, used = self._state(selection, estimation)
        have = sum(part.n for part in estimation)
        if wanted is not None or have != used:
            raise ValueError(f"a decision needs {wanted or used} estimation votes, got {have}")
        return decision(selected_class(selection), count, self.targets, self.p0s, self.adversary, noise, used)

    def record(self) -> dict[str, Any]:
        """All parameters, as JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        listed = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {"procedure": self.NAME, **listed}
