"""From a job's keys to the procedure of its runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from runtime.noise import Noise, adversary_name
from runtime.procedure import INTERVALS, Procedure, familywise_alpha
from runtime.rules import procedure_for
from runtime.sequential import EARLY, FUTILITY, LOOKS

Positive = Annotated[int, Field(ge=1, lt=2**53, strict=True)]
Size = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class RuleSection(BaseModel):
    """How many votes, at which confidence, and what they are to decide.

    Attributes:
        n0: votes that choose the class.
        n: votes that bound its probability, at most.
        alpha: failure probability of each certificate; with `familywise` of all certificates of a run together.
        interval, two_class: as in `runtime.procedure.FixedSample`.
        target_radii: radii to decide about, against `target_adversary`; none for the full radius.
        no_maximum: whether targets are decided without a maximum n; `most` then ends an input with no.
        looks, early, futility: of the group-sequential test, as in `runtime.sequential.GroupSequential`; the last one also of
            the decision without a maximum.
        adaptive: whether `pilot` votes choose the class and how many votes follow, so that `fraction` of the
            radius of n votes is reached.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n0: Positive = 100
    n: Positive = 10_000
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.001
    interval: str = "clopper-pearson"
    two_class: Annotated[bool, Field(strict=True)] = False
    familywise: Annotated[bool, Field(strict=True)] = False
    target_radii: tuple[Size, ...] = ()
    target_adversary: str | None = None
    no_maximum: Annotated[bool, Field(strict=True)] = False
    most: Positive | None = None
    looks: Annotated[int, Field(ge=1, le=1000, strict=True)] = LOOKS
    early: Annotated[float, Field(ge=0.0, lt=1.0)] = EARLY
    futility: Annotated[float, Field(gt=0.0, lt=1.0)] = FUTILITY
    adaptive: Annotated[bool, Field(strict=True)] = False
    pilot: Positive = 500
    fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95

    @field_validator("target_adversary", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return None if value is None else adversary_name(value)

    @model_validator(mode="after")
    def _fitting(self) -> RuleSection:
        if self.interval not in INTERVALS:
            raise ValueError(f"interval must be one of {', '.join(INTERVALS)}, got {self.interval!r}")
        if self.target_radii and self.target_adversary is None:
            raise ValueError("target_radii need target_adversary, the norm they are measured in: 1, 2 or inf")
        if self.target_adversary is not None and not self.target_radii:
            raise ValueError("target_adversary needs target_radii")
        if self.no_maximum and not self.target_radii:
            raise ValueError("no_maximum needs target_radii: a full radius has no natural end")
        if self.most is not None and not self.no_maximum:
            raise ValueError("most caps the votes of no_maximum; without that, n is the maximum")
        if self.adaptive and self.target_radii:
            raise ValueError("adaptive asks for the full radius and target_radii for a decision; choose one")
        plain = self.interval == INTERVALS[0] and not self.two_class
        if not plain and (self.adaptive or self.target_radii):
            raise ValueError(
                "interval and two_class belong to a fixed n: leave adaptive and target_radii away"
            )
        return self

    def bound_alphas(self, inputs: int) -> tuple[float, float | None]:
        """Failure probability of each certificate, and that of all together where the latter was asked for."""
        if self.familywise:
            return familywise_alpha(self.alpha, inputs), self.alpha
        return self.alpha, None

    def rule(self, noise: Noise, inputs: int) -> Procedure:
        """The procedure for a run with this noise over so many inputs.

        Raises:
            ValueError: votes with which nothing can be certified, or a target out of reach.
        """
        return procedure_for(
            noise,
            inputs,
            n0=self.pilot if self.adaptive else self.n0,
            n=None if self.no_maximum else self.n,
            alpha=self.alpha,
            familywise=self.familywise,
            interval=self.interval,
            two_class=self.two_class,
            targets=self.target_radii,
            adversary=self.target_adversary,
            most=self.most,
            looks=self.looks,
            early=self.early,
            futility=self.futility,
            fraction=self.fraction if self.adaptive else None,
        )
