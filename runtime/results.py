"""The records that a run leaves behind: one per certified input, one per run.

They are what the store yields and the report reads. Both check their identities when built, so a record that
exists is consistent: counts and failed votes add up to n, and an abstention carries no radius.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import pandas

ABSTAIN = -1
ADVERSARIES: tuple[str, ...] = ("1", "2", "inf")


def leads(p_lower: float, p_upper: float | None) -> bool:
    """Whether a class of probability at least `p_lower` is ahead of every other class.

    Args:
        p_lower: lower bound of the class's probability.
        p_upper: upper bound of every other class's probability; None where only 1 - p_lower is known.
    """
    other = 1.0 - p_lower if p_upper is None else min(p_upper, 1.0 - p_lower)
    return p_lower > other


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class InputResult:
    """What one input was certified to.

    Attributes:
        index: position of the input in its dataset, from 0.
        label: true class, 0 … num_classes-1.
        prediction: class chosen by the selection votes, or -1 when the classifier abstains.
        p_lower: lower confidence bound of the probability of `prediction` (of the selected class when
            abstaining).
        radii: certified radius by adversary norm ("1", "2", "inf"), in input units; 0.0 when abstaining,
            inf only where the radius is infinite.
        counts: estimation votes per class, int.
        n: number of estimation votes, equal to sum(counts) + failed.
        failed: votes with NaN or infinite logits; they count towards n and for no class.
        seconds: wall-clock time spent on this input.
        p_upper: upper confidence bound of the probability of every other class, where one was taken; it holds
            together with p_lower.

    Raises:
        ValueError: when the fields contradict each other.
    """

    index: int
    label: int
    prediction: int
    p_lower: float
    radii: Mapping[str, float]
    counts: tuple[int, ...]
    n: int
    failed: int
    seconds: float
    p_upper: float | None = None

    def __post_init__(self) -> None:
        where = f"input {self.index}"
        _require(self.index >= 0, f"{where}: index must be at least 0")
        _require(len(self.counts) >= 2, f"{where}: counts need at least 2 classes, got {len(self.counts)}")
        _require(min(self.counts) >= 0, f"{where}: counts must not be negative, got {self.counts}")
        _require(self.failed >= 0, f"{where}: failed must not be negative, got {self.failed}")
        _require(
            sum(self.counts) + self.failed == self.n,
            f"{where}: counts ({sum(self.counts)}) and failed ({self.failed}) must add up to n ({self.n})",
        )
        _require(0 <= self.label < len(self.counts), f"{where}: label {self.label} is not a class")
        _require(
            self.prediction == ABSTAIN or 0 <= self.prediction < len(self.counts),
            f"{where}: prediction {self.prediction} is neither a class nor {ABSTAIN}",
        )
        _require(0.0 <= self.p_lower <= 1.0, f"{where}: p_lower {self.p_lower} is outside [0, 1]")
        _require(
            self.p_upper is None or 0.0 <= self.p_upper <= 1.0,
            f"{where}: p_upper {self.p_upper} is outside [0, 1]",
        )
        _require(
            (self.prediction != ABSTAIN) == leads(self.p_lower, self.p_upper),
            f"{where}: prediction {self.prediction} contradicts p_lower {self.p_lower}, p_upper {self.p_upper}",
        )
        for adversary, radius in self.radii.items():
            _require(adversary in ADVERSARIES, f"{where}: unknown adversary norm {adversary!r}")
            _require(
                not math.isnan(radius) and radius >= 0.0,
                f"{where}: radius {radius} against {adversary} is invalid",
            )
            _require(
                self.prediction != ABSTAIN or radius == 0.0,
                f"{where}: abstains, yet has radius {radius} against {adversary}",
            )
        _require(self.seconds >= 0.0, f"{where}: seconds must not be negative, got {self.seconds}")
        object.__setattr__(self, "radii", MappingProxyType(dict(self.radii)))

    @property
    def correct(self) -> bool:
        """Whether the prediction is the true class (False when abstaining)."""
        return self.prediction == self.label


@dataclass(frozen=True)
class RunResult:
    """One noise at one σ over a set of inputs.

    Attributes:
        name: unique name inside the run folder, e.g. "uniform-0.5".
        group: name under which runs of one noise at several σ are enveloped, e.g. "uniform".
        family: noise family; `params` its parameters by name.
        sigma: per-coordinate standard deviation in input units; `scale` the family's scale λ.
        dim: number of input coordinates.
        n0: selection votes per input.
        n: the most estimation votes that an input may get; None where there is no maximum.
        alpha: failure probability of each certificate, in (0, 1).
        seed: seed of the run's noise.
        num_classes: number of classes; every input has as many counts.
        clean_accuracy: accuracy of the network without noise on the run's inputs, None when not measured.
        inputs: finished inputs by increasing index.
        complete: whether every input of the job is finished.
        methods: how each adversary's radius was obtained, by norm.
        procedure: how votes became certificates, with all its parameters; empty where not known.
        family_alpha: probability that any certificate of the run is false, where that is what was bounded; None
            where alpha holds for each alone.
        grid: denominator of the grid on which noise was added, "none" where floats were; None where not known.
        grid_noise: what the integers on the grid were drawn from (`runtime.grid.GridNoise.source`); None without a grid.
        invariance: what was measured of the network (`runtime.fixed.Invariance.record`); empty where nothing was.
        precision: what the network voted in (`runtime.precision`); None where it is not known.

    Raises:
        ValueError: when the fields contradict each other.
    """

    name: str
    group: str
    family: str
    params: Mapping[str, float]
    sigma: float
    scale: float
    dim: int
    n0: int
    n: int | None
    alpha: float
    seed: int
    num_classes: int
    clean_accuracy: float | None
    inputs: tuple[InputResult, ...]
    complete: bool
    methods: Mapping[str, str] = field(default_factory=dict)
    procedure: Mapping[str, Any] = field(default_factory=dict)
    family_alpha: float | None = None
    grid: int | str | None = None
    grid_noise: str | None = None
    invariance: Mapping[str, Any] = field(default_factory=dict)
    precision: str | None = None

    def __post_init__(self) -> None:
        where = f"run {self.name!r}"
        _require(
            self.grid_noise is None or isinstance(self.grid, int),
            f"{where}: integers {self.grid_noise!r} need a grid, got {self.grid!r}",
        )
        for key in ("sigma", "scale"):
            value = getattr(self, key)
            _require(math.isfinite(value) and value > 0, f"{where}: {key} must be positive, got {value}")
        for key in ("dim", "n0", "n"):
            value = getattr(self, key)
            _require(value is None or value >= 1, f"{where}: {key} must be at least 1, got {value}")
        _require(0.0 < self.alpha < 1.0, f"{where}: alpha must lie in (0, 1), got {self.alpha}")
        _require(self.num_classes >= 2, f"{where}: num_classes must be at least 2, got {self.num_classes}")
        accuracy = self.clean_accuracy
        _require(
            accuracy is None or 0.0 <= accuracy <= 1.0,
            f"{where}: clean_accuracy {accuracy} is outside [0, 1]",
        )
        indices = [result.index for result in self.inputs]
        _require(
            all(a < b for a, b in zip(indices, indices[1:], strict=False)),
            f"{where}: inputs must have increasing, distinct indices",
        )
        for result in self.inputs:
            _require(
                self.n is None or result.n <= self.n,
                f"{where}: input {result.index} has n = {result.n}, the run allows n = {self.n}",
            )
            _require(
                len(result.counts) == self.num_classes,
                f"{where}: input {result.index} has {len(result.counts)} counts, not {self.num_classes}",
            )
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        object.__setattr__(self, "methods", MappingProxyType(dict(self.methods)))
        object.__setattr__(self, "procedure", MappingProxyType(dict(self.procedure)))
        object.__setattr__(self, "invariance", MappingProxyType(dict(self.invariance)))

    def to_records(self) -> numpy.recarray[Any, numpy.dtype[Any]]:
        """The finished inputs as a NumPy record array; columns as in `runtime.records.certificate_records`."""
        from runtime.records import certificate_records

        return certificate_records(self.inputs)

    def to_pandas(self) -> pandas.DataFrame:
        """The finished inputs as a pandas table: `to_records`, counts, and before them run, group and sigma.

        Raises:
            ImportError: pandas is not installed.
        """
        from runtime.records import certificates_table

        frame = certificates_table(self.inputs)
        for position, key in enumerate(("run", "group", "sigma")):
            frame.insert(position, key, self.name if key == "run" else getattr(self, key))
        return frame
