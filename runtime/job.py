"""A job: noises × σ over one dataset, from a TOML file or flags, validated before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from runtime.certificate import check_budget, radii_of
from runtime.data import Dataset
from runtime.grid_choice import AUTO, check_setting
from runtime.models import ARCHITECTURES
from runtime.noise import Noise
from runtime.numerals import shortest
from runtime.precision import PRECISIONS
from runtime.rng import BLOCK, derived_seed
from runtime.rule_choice import Positive, RuleSection, Size
from runtime.store import RunPlan

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUILT_IN = Path(__file__).parent / "jobs"
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.=,+-]*$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NoiseEntry(_Section):
    """One noise: family, its parameters, and the name under which its runs are grouped."""

    family: str
    params: dict[str, float] = {}
    name: Label | None = None

    @property
    def label(self) -> str:
        """The given name, or the family followed by its given parameters."""
        given = "".join(f"-{key}{shortest(value)}" for key, value in sorted(self.params.items()))
        return self.name or f"{self.family}{given}"


class TrainingSection(_Section):
    """How each noise's network is trained; as in `runtime.training.TrainingSettings`."""

    architecture: str = "cnn"
    epochs: Positive = 40
    batch_size: Positive = 128
    learning_rate: Size = 0.004
    checkpoint: str | None = None
    model: str | None = None
    normalise: str | None = None

    @model_validator(mode="after")
    def _known(self) -> TrainingSection:
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}")
        return self


class CertifySection(RuleSection):
    """How votes are judged (`RuleSection`), how they are counted, and over which held-out inputs."""

    batch_size: Positive = 1024
    chunk: Positive = 16_384
    inputs: Positive = 100
    first: Annotated[int, Field(ge=0, lt=2**53, strict=True)] = 0
    step: Positive = 1
    grid: int | str = AUTO
    precision: str = "fp32"

    @field_validator("grid", mode="before")
    @classmethod
    def _grid(cls, value: object) -> object:
        return check_setting(value)

    @field_validator("precision")
    @classmethod
    def _precision(cls, value: str) -> str:
        if value not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}")
        return value


class Job(_Section):
    """Everything that decides a run folder's counts."""

    name: Label = "run"
    dataset: str = "digits"
    resize: Positive | None = None
    crop: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda)$")] = "auto"
    sigmas: Annotated[tuple[Size, ...], Field(min_length=1)]
    noise: Annotated[tuple[NoiseEntry, ...], Field(min_length=1)]
    training: TrainingSection = TrainingSection()
    certify: CertifySection = CertifySection()

    @model_validator(mode="after")
    def _consistent(self) -> Job:
        labels = [entry.label for entry in self.noise]
        for what, values in (("sigmas", self.sigmas), ("noise names", labels)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} must be distinct")
        if self.certify.chunk % BLOCK:
            raise ValueError(f"certify.chunk must be a multiple of {BLOCK}")
        return self


def job_from(values: Mapping[str, Any], source: str) -> Job:
    """The job that `values` describe.

    Raises:
        ValueError: a missing, unknown or invalid key; one line that names all of them.
    """
    try:
        job = Job.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_context=False):
            where = ".".join(str(part) for part in fault["loc"]) or "job"
            kind = fault["type"]
            if kind == "extra_forbidden":
                faults.append(f"unknown key {where}")
            elif kind == "missing":
                faults.append(f"key {where} is required")
            else:
                got = "" if isinstance(fault["input"], Mapping) else f", got {fault['input']!r}"
                faults.append(f"{where}: {fault['msg'].removeprefix('Value error, ')}{got}")
        raise ValueError(f"{source}: {'; '.join(faults)}") from None
    check_budget(job.certify.n0, job.certify.n, job.certify.alpha)
    return job


def read_job_file(name: str) -> dict[str, Any]:
    """The contents of a built-in job ("digits") or of a TOML file.

    Raises:
        ValueError: no such job or file, or a file that is not TOML.
    """
    built_in = BUILT_IN / f"{name}.toml"
    path = built_in if built_in.is_file() and Path(name).name == name else Path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(job.stem for job in BUILT_IN.glob("*.toml")))
        raise ValueError(f"job {name!r} is neither a built-in job ({known}) nor a file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"job file {path} cannot be read: {error}") from None


def resolved_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where present, else the CPU.

    Raises:
        ValueError: "cuda" on a machine without it.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda is required, but this machine has none; run it where there is one")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def settled(job: Job, dataset: Dataset) -> dict[str, Any]:
    """The configuration to store: the job with its device decided, and the dataset's digest."""
    config = job.model_dump(mode="json")
    config["device"] = resolved_device(job.device).type
    config["dataset_sha256"] = dataset.sha256
    return config


def indices_of(job: Job, dataset: Dataset) -> list[int]:
    """Indices of the held-out inputs to certify: first, first + step, …, at most `inputs` of them.

    Raises:
        ValueError: there is none.
    """
    chosen = range(job.certify.first, len(dataset.y_test), job.certify.step)[: job.certify.inputs]
    if not chosen:
        raise ValueError(
            f"certify.first = {job.certify.first} is past the {len(dataset.y_test)} held-out inputs "
            f"of {job.dataset}"
        )
    return list(chosen)


def plans_of(job: Job, dataset: Dataset) -> list[RunPlan]:
    """One plan a noise and σ, in the job's order, each with a seed of its own.

    Raises:
        ValueError: an unknown family, a parameter outside its domain, a radius without its table, two runs of one name.
    """
    count = len(indices_of(job, dataset))
    certify = job.certify
    plans = []
    for entry in job.noise:
        for sigma in job.sigmas:
            name = f"{entry.label}-{shortest(sigma)}"
            noise = Noise(entry.family, dataset.dim, sigma=sigma, **entry.params)
            radii_of(noise, 0.75)  # a radius that needs a table which is not there is refused before any work
            alpha, family_alpha = certify.bound_alphas(count)
            plans.append(
                RunPlan(
                    name,
                    entry.label,
                    noise,
                    certify.n0,
                    certify.n,
                    alpha,
                    derived_seed(job.seed, name),
                    dataset.num_classes,
                    count,
                    certify.rule(noise, count),
                    family_alpha,
                )
            )
    names = [plan.name for plan in plans]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two runs would be called {name}; give one of the noises another name")
    return plans
