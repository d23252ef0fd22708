"""Plans of jobs: the same noises and procedures as `certify` would run, with or without their data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.certificate import radii_of
from runtime.engine import PreparedJob, cores, vote_counter
from runtime.forecast import forecast, votes_per_second
from runtime.job import Job
from runtime.models import build_model
from runtime.noise import Noise
from runtime.numerals import shortest
from runtime.plan import rates_of
from runtime.precision import in_precision
from runtime.report.tsv import read_run
from runtime.results import ABSTAIN
from runtime.store import RunPlan
from runtime.threads import one_thread


def assumed_rates(
    rhos: Sequence[float], log: Path | None, noise: Noise, log_n: int, log_alpha: float
) -> list[float]:
    """The class probabilities to plan with: those given, and those behind a result file made with `noise`.

    Args:
        rhos: probabilities, in [0, 1].
        log: file of columns idx label predict radius correct time, or None; its norm is in its name, else l2.
        noise: of the log, at the log's own sigma where its name tells it.
        log_n, log_alpha: how it was made.

    Raises:
        ValueError: a probability outside [0, 1], a damaged file, or radii that the noise cannot give.
    """
    if not all(0.0 <= rho <= 1.0 for rho in rhos):
        raise ValueError(f"--rho needs probabilities in [0, 1], got {', '.join(map(str, rhos))}")
    rates = list(rhos)
    if log is not None:
        try:
            run = read_run(log)
        except OSError as error:
            raise ValueError(f"log {log} cannot be read: {error.strerror}; give a file of radii") from None
        sigma = noise.sigma if run.sigma is None else run.sigma
        source = Noise(noise.family, noise.dim, sigma=sigma, **dict(noise.params))
        radii = [None if row.prediction == ABSTAIN else row.radius for row in run.rows]
        rates += rates_of(source, radii, run.adversary, log_n, log_alpha)
    return rates


def plans_without_data(
    job: Job,
    dim: int,
    rhos: Sequence[float] = (),
    log: Path | None = None,
    log_n: int = 100_000,
    log_alpha: float = 0.001,
    speed: float | None = None,
) -> list[dict[str, Any]]:
    """A plan for each noise and σ over inputs of `dim` coordinates; arguments as in `plans_of_job`."""
    found = []
    for entry in job.noise:
        for sigma in job.sigmas:
            noise = Noise(entry.family, dim, sigma=sigma, **entry.params)
            radii_of(noise, 0.75)  # a table that is missing is named before anything is simulated
            rule = job.certify.rule(noise, job.certify.inputs)
            rates = assumed_rates(rhos, log, noise, log_n, log_alpha)
            name = f"{entry.label}-{shortest(sigma)}"
            found.append(forecast(name, noise, rule, job.certify.inputs, rates, speed))
    return found


def plans_of_job(
    prepared: PreparedJob,
    rhos: Sequence[float] = (),
    log: Path | None = None,
    log_n: int = 100_000,
    log_alpha: float = 0.001,
    speed: float | None = None,
) -> list[dict[str, Any]]:
    """A plan for each run of a job, ready for JSON; see `runtime.forecast.forecast`.

    Args:
        prepared: the job.
        rhos, log, log_n, log_alpha: as in `assumed_rates`.
        speed: votes a second of the whole machine; measured where None, with the job's checkpoint, or with a fresh
            network of its architecture, on one worker, times the number of workers.
    """
    found = []
    with one_thread():
        for plan in prepared.plans:
            rates = assumed_rates(rhos, log, plan.noise, log_n, log_alpha)
            pace = _measured(prepared, plan) if speed is None else speed
            found.append(forecast(plan.name, plan.noise, plan.rule, plan.inputs, rates, pace))
    return found


def _measured(prepared: PreparedJob, plan: RunPlan) -> float:
    dataset, training = prepared.dataset, prepared.job.training
    if prepared.given is not None:
        model = prepared.given.model
    else:
        model = build_model(training.architecture, dataset.shape, dataset.num_classes)
    counted = vote_counter(
        prepared, plan, in_precision(model, prepared.job.certify.precision, prepared.device)
    )
    index = prepared.indices[0]
    workers = cores() if prepared.device.type == "cpu" else 1
    alone = votes_per_second(
        lambda start, stop: counted(index, "prediction", start, stop), prepared.job.certify.batch_size
    )
    return alone * workers
