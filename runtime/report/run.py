"""What the report knows of one run against one norm: rows of radii, and the accuracies counted from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.results import ABSTAIN, ADVERSARIES, RunResult

NORM_NAMES = {"1": "l1", "2": "l2", "inf": "linf"}


@dataclass(frozen=True)
class Row:
    """One input: the columns `idx label predict radius correct time` of a result file.

    Attributes:
        index, label, prediction: as in `runtime.results.InputResult`; prediction -1 is an abstention.
        radius: certified radius in input units, at full precision; 0.0 when abstaining.
        correct: whether the prediction is the label.
        seconds: wall-clock time spent on the input.
        votes: estimation votes, None when not stated.
        share: share of the most frequent class among them, None when not stated or without votes.

    Raises:
        ValueError: when the fields contradict each other.
    """

    index: int
    label: int
    prediction: int
    radius: float
    correct: bool
    seconds: float
    votes: int | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.radius) or self.radius < 0.0:
            raise ValueError(f"radius must be a number of at least 0, got {self.radius}")
        if self.prediction == ABSTAIN and self.radius > 0.0:
            raise ValueError(f"an abstention (predict {ABSTAIN}) must have radius 0, got {self.radius}")
        if self.correct != (self.prediction == self.label):
            raise ValueError(
                f"correct = {int(self.correct)} contradicts label {self.label} and predict {self.prediction}"
            )


@dataclass(frozen=True)
class CertifiedRun:
    """One run (a noise at one σ) certified against one norm.

    Attributes:
        name: name of the run; with `adversary` it identifies the record.
        noise: noises of the same name are enveloped over σ.
        adversary: norm, "1", "2" or "inf".
        sigma: per-coordinate standard deviation in input units, None when the source does not say.
        rows: finished inputs, at least one.
        source: where it was read, as the user gave it.
        complete: whether every input of the job is finished, None when the source does not say.
        alpha, n0, n, clean_accuracy, method, failed, family_alpha: as in `runtime.results`, None when not stated.
        procedure: how votes became certificates, by its name; None when not stated.
        grid, grid_noise, invariance, precision: as in `runtime.results.RunResult`.
        targets: the radii against this norm that were decided one by one; empty where the full radius was bounded.
        log: whether it was read from a result file rather than from counts.

    Raises:
        ValueError: unknown norm, or no rows.
    """

    name: str
    noise: str
    adversary: str
    sigma: float | None
    rows: tuple[Row, ...]
    source: str
    complete: bool | None = None
    alpha: float | None = None
    n0: int | None = None
    n: int | None = None
    clean_accuracy: float | None = None
    method: str | None = None
    failed: int | None = None
    family_alpha: float | None = None
    procedure: str | None = None
    targets: tuple[float, ...] = ()
    grid: int | str | None = None
    grid_noise: str | None = None
    invariance: Mapping[str, Any] = field(default_factory=dict)
    precision: str | None = None
    log: bool = False
    _radii: npt.NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.adversary not in ADVERSARIES:
            raise ValueError(f"{self.source}: the norm must be one of {ADVERSARIES}, got {self.adversary!r}")
        if not self.rows:
            raise ValueError(f"{self.source}: run {self.name!r} has no finished input")
        correct = sorted(row.radius for row in self.rows if row.correct)
        object.__setattr__(self, "_radii", np.array(correct, dtype=np.float64))

    @property
    def norm(self) -> str:
        """Name of the norm: "l1", "l2" or "linf"."""
        return NORM_NAMES[self.adversary]

    @property
    def total(self) -> int:
        """Number of finished inputs."""
        return len(self.rows)

    @property
    def abstained(self) -> int:
        """Number of inputs on which the smoothed classifier abstains."""
        return sum(row.prediction == ABSTAIN for row in self.rows)

    @property
    def correct_radii(self) -> npt.NDArray[np.float64]:
        """Radii of the correctly classified inputs, increasing."""
        return self._radii

    @property
    def average_certified_radius(self) -> float:
        """Mean over all inputs of the radius, counted as 0 where the prediction is not correct."""
        return float(math.fsum(self._radii) / self.total)

    def certified(self, radius: float) -> Fraction:
        """Certified accuracy: the exact share of inputs that are correct with radius at least `radius`."""
        return Fraction(int(len(self._radii) - np.searchsorted(self._radii, radius, side="left")), self.total)


def from_result(run: RunResult, source: str) -> tuple[CertifiedRun, ...]:
    """One record a norm for which every finished input has a radius; none when no input is finished."""
    norms = [a for a in ADVERSARIES if run.inputs and all(a in result.radii for result in run.inputs)]
    return tuple(
        CertifiedRun(
            name=run.name,
            noise=run.group,
            adversary=adversary,
            sigma=run.sigma,
            rows=tuple(
                Row(
                    index=r.index,
                    label=r.label,
                    prediction=r.prediction,
                    radius=r.radii[adversary],
                    correct=r.correct,
                    seconds=r.seconds,
                    votes=r.n,
                    share=max(r.counts) / r.n if r.n else None,
                )
                for r in run.inputs
            ),
            source=source,
            complete=run.complete,
            alpha=run.alpha,
            n0=run.n0,
            n=run.n,
            clean_accuracy=run.clean_accuracy,
            method=run.methods.get(adversary),
            failed=sum(result.failed for result in run.inputs),
            family_alpha=run.family_alpha,
            procedure=run.procedure.get("procedure"),
            targets=_targets(run, adversary),
            grid=run.grid,
            grid_noise=run.grid_noise,
            invariance=run.invariance,
            precision=run.precision,
        )
        for adversary in norms
    )


def _targets(run: RunResult, adversary: str) -> tuple[float, ...]:
    if run.procedure.get("adversary") != adversary:
        return ()
    return tuple(float(radius) for radius in run.procedure.get("targets", ()))
