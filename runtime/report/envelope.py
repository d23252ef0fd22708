"""Upper envelopes over σ: for each noise and radius, the best of its runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from runtime.report.run import CertifiedRun

_STEPS = (0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_LONG_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
_FEWEST, _MOST = 4, 10


@dataclass(frozen=True)
class Envelope:
    """The runs of one noise against one norm.

    Attributes:
        noise: name of the noise.
        runs: its runs by increasing σ, at least one, all against the same norm.
    """

    noise: str
    runs: tuple[CertifiedRun, ...]

    def best(self, radius: float) -> tuple[Fraction, CertifiedRun]:
        """Largest certified accuracy at `radius` and the run that has it; of equals, the smallest σ."""
        run = max(self.runs, key=lambda candidate: candidate.certified(radius))
        return run.certified(radius), run

    def curve(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Radii (increasing, from 0, finite) and certified accuracy at each: all points where it can change.

        The accuracy of a point holds back to the point before it, that one excluded.
        """
        finite = [run.correct_radii[np.isfinite(run.correct_radii)] for run in self.runs]
        radii = np.unique(np.concatenate([np.zeros(1), *finite]))
        return radii, np.array([float(self.best(radius)[0]) for radius in radii])


def envelopes(runs: Sequence[CertifiedRun], adversary: str) -> tuple[Envelope, ...]:
    """One envelope a noise against `adversary`, noises in their order of appearance."""
    noises: dict[str, list[CertifiedRun]] = {}
    for run in runs:
        if run.adversary == adversary:
            noises.setdefault(run.noise, []).append(run)
    return tuple(
        Envelope(noise, tuple(sorted(members, key=lambda run: math.inf if run.sigma is None else run.sigma)))
        for noise, members in noises.items()
    )


def default_radii(runs: Sequence[CertifiedRun], adversary: str) -> tuple[float, ...]:
    """Radii for a table: those that were decided, and multiples of 0.5, or of another round step where 0.5 shows too little.

    Args:
        runs: runs; those against other norms are passed over.
        adversary: the norm of the table.

    Returns:
        The targets of the runs; where some have none, at most 10 more up to the largest finite radius that any run
        certifies; (0.5,) where there is neither.
    """
    of_norm = [run for run in runs if run.adversary == adversary]
    targets = {radius for run in of_norm for radius in run.targets}
    if of_norm and all(run.targets for run in of_norm):
        return tuple(sorted(targets))
    return tuple(sorted(targets.union(_round_radii(of_norm))))


def _round_radii(runs: Sequence[CertifiedRun]) -> tuple[float, ...]:
    reached = [radius for run in runs for radius in run.correct_radii]
    largest = max((radius for radius in reached if math.isfinite(radius)), default=0.0)
    if largest <= 0.0:
        return (0.5,)
    steps = [step for step in (*_STEPS, *_LONG_STEPS) if _FEWEST <= largest / step < _MOST + 1]
    fallback = _STEPS[-1] if largest < _FEWEST * _STEPS[-1] else _LONG_STEPS[-1]
    step = min(steps, key=lambda candidate: abs(math.log(candidate / 0.5)), default=fallback)
    count = max(1, min(_MOST, int(largest / step)))
    return tuple(round(step * k, 6) for k in range(1, count + 1))
