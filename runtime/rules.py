"""Which procedure a configuration asks for, and procedures from their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.adaptive import AdaptiveSample
from runtime.eprocess import EProcess
from runtime.noise import Noise, adversary_name
from runtime.procedure import FixedSample, Procedure, familywise_alpha
from runtime.sequential import EARLY, FUTILITY, LOOKS, GroupSequential

PROCEDURES: Mapping[str, Any] = {
    "fixed": FixedSample,
    "group-sequential": GroupSequential,
    "e-process": EProcess,
    "adaptive": AdaptiveSample,
}
_TUPLES = ("targets", "p0s", "samples")


def procedure_for(
    noise: Noise,
    inputs: int = 1,
    *,
    n0: int = 100,
    n: int | None = 100_000,
    alpha: float = 0.001,
    familywise: bool = False,
    interval: str = "clopper-pearson",
    two_class: bool = False,
    targets: Sequence[float] = (),
    adversary: str | float | None = None,
    looks: int = LOOKS,
    early: float = EARLY,
    futility: float = FUTILITY,
    most: int | None = None,
    fraction: float | None = None,
) -> Procedure:
    """The procedure that these settings describe.

    Args:
        noise: the noise of the votes.
        inputs: number of inputs; with `familywise` they share alpha.
        n0: selection votes.
        n: estimation votes, at most; None for no maximum, with targets only (`most` is then a cap for practical
            reasons).
        alpha: failure probability of one certificate, or of all of them together with `familywise`.
        familywise: whether alpha is that of the whole set.
        interval, two_class: as in `FixedSample`.
        targets: radii to decide, against `adversary` (the noise's first norm by default).
        looks, early, futility: as in `GroupSequential`.
        fraction: share of the full radius that a sample fixed by a pilot of n0 votes is to reach.

    Raises:
        ValueError: settings that exclude each other, or one outside its range.
    """
    level = familywise_alpha(alpha, inputs) if familywise else alpha
    plain = interval == "clopper-pearson" and not two_class
    norm = noise.adversaries[0] if adversary is None else adversary
    if targets:
        if not plain or fraction is not None:
            raise ValueError(
                "target radii are decided by tests of their own; leave interval, two_class and fraction away"
            )
        if n is None:
            return EProcess.for_noise(noise, targets, norm, n0, level, futility, most)
        if most is not None:
            raise ValueError("most caps votes without a maximum; give either n or most")
        return GroupSequential.for_noise(noise, targets, norm, n0, n, level, looks, early, futility)
    if n is None or most is not None:
        raise ValueError("without target radii a number of votes is required: give n")
    if fraction is not None:
        if not plain:
            raise ValueError("a pilot leads to one plain bound; leave interval and two_class away")
        return AdaptiveSample.for_noise(noise, n0, n, level, fraction, norm)
    name = None if adversary is None else adversary_name(adversary)
    return FixedSample(n0, n, level, interval, two_class, name)


def from_record(record: Mapping[str, Any]) -> Procedure:
    """The procedure whose `record` this is.

    Raises:
        ValueError: an unknown procedure, missing or unknown fields, or a field outside its range.
    """
    values = dict(record)
    name = values.pop("procedure", None)
    kind = PROCEDURES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(
            f"procedure must be one of {', '.join(PROCEDURES)}, got {name!r}; use the version that wrote it"
        )
    for key in _TUPLES:
        if isinstance(values.get(key), list):
            values[key] = tuple(values[key])
    try:
        procedure: Procedure = kind(**values)
    except TypeError as error:
        raise ValueError(f"the record of a {name} procedure is not complete: {error}") from None
    return procedure
