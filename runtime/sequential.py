"""Sequential decisions about target radii with a maximum n: an exact group-sequential test for each.

"Is the radius at least r?" asks for far fewer votes than "how large is it?": most inputs are far from the
boundary. A yes is controlled at alpha exactly; the certified radius is the largest target shown. All targets are
tested on the same votes, as nested hypotheses (`runtime.targets.shown`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from runtime.certificate import check_budget
from runtime.design import Design, design, looks_up_to
from runtime.noise import Noise, adversary_name
from runtime.targets import TargetTests, check_targets, thresholds

LOOKS = 40
EARLY = 0.5
FUTILITY = 0.05


@dataclass(frozen=True)
class GroupSequential(TargetTests):
    """n0 votes choose the class; at most n fresh ones decide which targets its radius reaches.

    Build it with `for_noise`. Guarantee: with probability at least 1 - alpha the certified target is not above
    the radius.

    Args:
        n0, alpha, targets, adversary, p0s: as in `runtime.targets.TargetTests`.
        n: most estimation votes.
        looks: about how many times to look, at totals that grow geometrically.
        early: share of alpha spent evenly over the looks before the last; the last look gets the rest.
        futility: how much of yes an early no may cost, see `runtime.design.design`; costs nothing of alpha.

    Raises:
        ValueError: an argument outside its range, or a target that n unanimous votes do not reach.
    """

    n: int
    looks: int = LOOKS
    early: float = EARLY
    futility: float = FUTILITY

    NAME: ClassVar[str] = "group-sequential"

    def __post_init__(self) -> None:
        check_budget(self.n0, self.n, self.alpha)
        self.check_tests()
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
        return GroupSequential(n0, alpha, radii, name, p0s, n, looks, early, futility)

    def maximum(self) -> int | None:
        """n."""
        return self.n

    def totals(self) -> tuple[int, ...]:
        """Votes at the looks."""
        return looks_up_to(self.n, self.looks)

    def tests(self) -> tuple[Design, ...]:
        """The boundaries for each target."""
        return tuple(self._test(p0) for p0 in self.p0s)

    def _test(self, p0: float) -> Design:
        return design(p0, self.alpha, self.totals(), self.early, self.futility)

    def look_after(self, seen: int) -> int | None:
        """The first of the totals above `seen`."""
        totals = self.totals()
        look = bisect_right(totals, seen)
        return totals[look] if look < len(totals) else None

    def verdict(self, target: int, successes: int, n: int) -> bool | None:
        """By the boundaries of the look at n votes."""
        return self._test(self.p0s[target]).verdict(bisect_left(self.totals(), n), successes)
