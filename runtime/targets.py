"""Target radii: which class probability a radius needs, and what tests at several radii show together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.certificate import radii_of
from runtime.noise import Noise, adversary_name
from runtime.numerals import shortest
from runtime.procedure import Decision
from runtime.results import ABSTAIN

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
