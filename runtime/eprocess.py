"""Sequential decisions about target radii without a maximum: a beta-mixture e-process for each.

For S successes in N votes and the hypothesis "probability at most p0",

    E_N = ∫ p^S (1-p)^(N-S) dπ(p) / (p0^S (1-p0)^(N-S)),   π uniform on (p0, 1),

is a nonnegative supermartingale of mean at most 1 under the hypothesis: each factor p/p0 or (1-p)/(1-p0) has mean
at most 1 under any probability up to p0, with equality at p0. So P(E_N ≥ 1/alpha for some N) ≤ alpha (Ville),
whenever one looks and whyever one stops. The mirrored process, uniform on (0, p0), says no; it costs nothing of
alpha.

Source: Robbins, Annals of Mathematical Statistics 41 (1970); Ville (1939); Ramdas, Grünwald, Vovk and Shafer,
Statistical Science 38 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from scipy.special import betainc, betaincc, betaln

from runtime.certificate import check_budget
from runtime.confidence import check_alpha, smallest_useful_n
from runtime.noise import Noise, adversary_name
from runtime.rng import BLOCK
from runtime.targets import TargetTests, check_targets, thresholds

FUTILITY = 0.05
_GROWTH = 16
_ALLOWANCE = 2.0**-20
_RELATIVE = 2.0**-44


@lru_cache(maxsize=1 << 16)
def log_evidence(successes: int, n: int, p0: float, above: bool = True) -> float:
    """log E, rounded down, against "probability at most p0" (`above`), or against "at least p0".

    The beta functions are SciPy's. They are trusted to 2^-44 of each logarithm plus 2^-20; the tests find a
    thousandth of that.

    Args:
        successes: S, 0 ≤ S ≤ n.
        n: votes, at least 0.
        p0: in [1/2, 1).

    Returns:
        A float, -inf where the integral underflows.
    """
    if not 0 <= successes <= n or not 0.5 <= p0 < 1.0:
        raise ValueError(f"0 <= successes <= n and p0 in [1/2, 1) are required, got {successes}, {n}, {p0!r}")
    failures = n - successes
    share = float((betaincc if above else betainc)(successes + 1.0, failures + 1.0, p0))
    if share <= 0.0:
        return -math.inf
    width = 1.0 - p0 if above else p0
    terms = (
        float(betaln(successes + 1.0, failures + 1.0)),
        math.log(share),
        -math.log(width),
        -successes * math.log(p0),
        -failures * math.log1p(-p0),
    )
    return math.fsum(terms) - _ALLOWANCE - _RELATIVE * math.fsum(abs(term) for term in terms)


def next_look(seen: int) -> int:
    """The total after `seen` votes at which to look: a sixteenth more, in blocks of 64."""
    return BLOCK * (seen // BLOCK + max(1, seen // (BLOCK * _GROWTH)))


@dataclass(frozen=True)
class EProcess(TargetTests):
    """n0 votes choose the class; fresh ones are drawn until it is clear which targets its radius reaches.

    Build it with `for_noise`. Guarantee: with probability at least 1 - alpha the certified target is not above
    the radius. An input whose probability lies at a threshold would go on for ever: `most` ends it with no.

    Args:
        n0, alpha, targets, adversary, p0s: as in `runtime.targets.TargetTests`.
        futility: probability of a wrong no; costs nothing of alpha.
        most: estimation votes after which the answer is no, or None.

    Raises:
        ValueError: an argument outside its range.
    """

    futility: float = FUTILITY
    most: int | None = None

    NAME: ClassVar[str] = "e-process"

    def __post_init__(self) -> None:
        least = smallest_useful_n(self.alpha)
        check_budget(self.n0, least if self.most is None else self.most, self.alpha)
        check_alpha(self.futility)
        self.check_tests()
        if not all(0.5 <= p0 < 1.0 for p0 in self.p0s):
            raise ValueError(f"each p0 must lie in [1/2, 1), got {self.p0s}")
        if self.most is not None:
            for target, p0 in zip(self.targets, self.p0s, strict=True):
                if self._evident(self.most, self.most, p0) is not True:
                    raise ValueError(
                        f"target radius {target:g}: {self.most} unanimous votes do not show a probability "
                        f"of {p0:g} at alpha = {self.alpha:g}; take more votes or a smaller radius"
                    )

    @staticmethod
    def for_noise(
        noise: Noise,
        targets: Sequence[float],
        adversary: str | float,
        n0: int = 100,
        alpha: float = 0.001,
        futility: float = FUTILITY,
        most: int | None = None,
    ) -> EProcess:
        """The process for target radii under a noise; arguments and errors as in the class."""
        radii = check_targets(targets)
        p0s = thresholds(noise, radii, adversary)
        return EProcess(n0, alpha, radii, adversary_name(adversary), p0s, futility, most)

    def maximum(self) -> int | None:
        """`most`."""
        return self.most

    def look_after(self, seen: int) -> int | None:
        """A sixteenth more, `most` at most."""
        if self.most is None:
            return next_look(seen)
        return None if seen >= self.most else min(next_look(seen), self.most)

    def verdict(self, target: int, successes: int, n: int) -> bool | None:
        """By the evidence for and against, which may be looked at after any vote."""
        return self._evident(successes, n, self.p0s[target])

    def _evident(self, successes: int, n: int, p0: float) -> bool | None:
        if log_evidence(successes, n, p0) >= -math.log(self.alpha):
            return True
        return False if log_evidence(successes, n, p0, above=False) >= -math.log(self.futility) else None
