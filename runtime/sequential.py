"""Sequential decisions about target radii with a maximum n: an exact group-sequential test for each.

"Is the radius at least r?" asks for far fewer votes than "how large is it?": most inputs are far from the
boundary. A yes is controlled at alpha exactly; the certified radius is the largest target shown. All targets are
tested on the same votes, as nested hypotheses (`runtime.targets.shown`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime.certificate import check_budget, selected_class
from runtime.design import Design, design, looks_up_to
from runtime.noise import Noise, adversary_name
from runtime.procedure import Decision
from runtime.sampling import Votes
from runtime.targets import check_targets, decision, shown, thresholds

LOOKS = 40
EARLY = 0.5
FUTILITY = 0.05


@dataclass(frozen=True)
class GroupSequential:
    """n0 votes choose the class; at most n fresh ones decide which targets its radius reaches.

    Build it with `for_noise`. Guarantee: with probability at least 1 - alpha the certified target is not above
    the radius.

    Args:
        n0: selection votes.
        n: most estimation votes.
        alpha: failure probability of one certificate.
        targets: radii to decide, increasing.
        adversary: norm of these radii.
        p0s: the probability that each target needs, with the noise of the votes.
        looks: about how many times to look, at totals that grow geometrically.
        early: share of alpha spent evenly over the looks before the last; the last look gets the rest.
        futility: how much of yes an early no may cost, see `runtime.design.design`; costs nothing of alpha.

    Raises:
        ValueError: an argument outside its range, or a target that n unanimous votes do not reach.
    """

    n0: int
    n: int
    alpha: float
    targets: tuple[float, ...]
    adversary: str
    p0s: tuple[float, ...]
    looks: int = LOOKS
    early: float = EARLY
    futility: float = FUTILITY

    def __post_init__(self) -> None:
        check_budget(self.n0, self.n, self.alpha)
        if check_targets(self.targets) != tuple(self.targets) or len(self.p0s) != len(self.targets):
            raise ValueError(
                f"one p0 for each of increasing targets is required, got {self.targets}, {self.p0s}"
            )
        if adversary_name(self.adversary) != self.adversary:
            raise ValueError(f"adversary must be '1', '2' or 'inf', got {self.adversary!r}")
        if any(a > b for a, b in zip(self.p0s, self.p0s[1:], strict=False)):
            raise ValueError(f"larger targets need larger probabilities, got {self.p0s}")
        for target, p0 in zip(self.targets, self.p0s, strict=True):
            try:
                self._test(p0)
            except ValueError as error:
                raise ValueError(f"target radius {target:g}: {error}") from None

    @staticmethod
    def for_noise(
        noise: Noise,
        targets: Sequence[float],
        adversary: str | float,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        looks: int = LOOKS,
        early: float = EARLY,
        futility: float = FUTILITY,
    ) -> GroupSequential:
        """The test for target radii under a noise; arguments and errors as in the class."""
        radii = check_targets(targets)
        p0s = thresholds(noise, radii, adversary)
        name = adversary_name(adversary)
        return GroupSequential(n0, n, alpha, radii, name, p0s, looks, early, futility)

    def totals(self) -> tuple[int, ...]:
        """Votes at the looks."""
        return looks_up_to(self.n, self.looks)

    def tests(self) -> tuple[Design, ...]:
        """The boundaries for each target."""
        return tuple(self._test(p0) for p0 in self.p0s)

    def _test(self, p0: float) -> Design:
        return design(p0, self.alpha, self.totals(), self.early, self.futility)

    def selection(self) -> int:
        """n0."""
        return self.n0

    def maximum(self) -> int | None:
        """n."""
        return self.n

    def _state(self, selection: Votes, estimation: Sequence[Votes]) -> tuple[int, int | None, int]:
        """Targets shown so far, the total wanted next (None: decided), and the votes used."""
        chosen, totals = selected_class(selection), self.totals()
        tests = self.tests()
        verdicts: list[bool | None] = [None] * len(tests)
        look = seen = successes = 0
        for part in [*estimation, None]:
            if part is not None:
                seen += part.n
                successes += part.counts[chosen]
            if look < len(totals) and seen > totals[look]:
                raise ValueError(f"{totals[look]} votes were wanted, a range of votes reaches {seen}")
            if part is None or look == len(totals) or seen < totals[look]:
                continue
            for position, test in enumerate(tests):
                if verdicts[position] is None:
                    verdicts[position] = test.verdict(look, successes)
            look += 1
            if not shown(verdicts)[1]:
                break
        count, going = shown(verdicts)
        return count, totals[look] if going else None, seen

    def next_total(self, selection: Votes, estimation: Sequence[Votes]) -> int | None:
        """The next look, until the largest target that can be shown is known."""
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
        return {
            "procedure": "group-sequential",
            "n0": self.n0,
            "n": self.n,
            "alpha": self.alpha,
            "targets": list(self.targets),
            "adversary": self.adversary,
            "p0s": list(self.p0s),
            "looks": self.looks,
            "early": self.early,
            "futility": self.futility,
        }
