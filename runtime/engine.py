"""Runs a job: networks first, then votes, chunk by chunk into the store; whatever is finished is reused."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.batching import BatchCounter
from runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from runtime.data import Dataset, load_dataset
from runtime.data.images import Chosen, rows_of
from runtime.driver import Advance, Driver, VoteCounter
from runtime.fixed import invariance
from runtime.given import given_network
from runtime.grid_choice import GridChoice, choose_grid
from runtime.job import Job, indices_of, plans_of, resolved_device, settled
from runtime.precision import check_precision, in_precision
from runtime.rng import BLOCK, Stretch, derived_seed
from runtime.sampling import Votes, VoteSampler, check_input, first_votes
from runtime.sanity import sanity
from runtime.store import RunPlan, RunStore
from runtime.threads import one_thread
from runtime.training import TrainingSettings, accuracy, train_network

Say = Callable[[str], None]


@dataclass(frozen=True)
class PreparedJob:
    """A job whose every part was checked: dataset, inputs, noises, network; nothing is written yet."""

    job: Job
    dataset: Dataset
    indices: tuple[int, ...]
    plans: tuple[RunPlan, ...]
    device: torch.device
    config: dict[str, Any]
    given: Checkpoint | None
    grid: GridChoice

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should be told before votes are counted, one line each."""
        return self.grid.remarks


Counting = Callable[[PreparedJob, RunStore, RunPlan, torch.nn.Module], AbstractContextManager[VoteCounter]]
"""Who counts the votes of a run with that network, for as long as its context is open."""


def prepare(job: Job) -> PreparedJob:
    """Checks all that can be checked before a vote is drawn.

    Raises:
        ValueError: dataset, inputs, noise, device or checkpoint do not fit; the message says which and why.
    """
    dataset = load_dataset(job.dataset, job.resize, job.crop)
    indices = indices_of(job, dataset)
    plans = plans_of(job, dataset)
    for index in indices:
        check_input(dataset.x_test[index], dataset.dim)
    config = settled(job, dataset)
    grid = choose_grid(
        job.certify.grid,
        Chosen(dataset.x_test, indices),
        {plan.name: plan.noise for plan in plans},
    )
    config["certify"]["grid"] = grid.setting
    config["grid_noise"] = grid.sources
    section, device = job.training, resolved_device(job.device)
    check_precision(job.certify.precision, device)
    given = given_network(
        checkpoint=section.checkpoint,
        program=section.model,
        architecture=section.architecture,
        normalise=section.normalise,
        shape=dataset.shape,
        num_classes=dataset.num_classes,
        device=device,
    )
    if given is not None:
        _check_fit(given, dataset, section.checkpoint or str(section.model))
        config["checkpoint_sha256"] = given.sha256
    else:
        dataset.check_training()
    return PreparedJob(job, dataset, tuple(indices), tuple(plans), device, config, given, grid)


def _check_fit(checkpoint: Checkpoint, dataset: Dataset, path: Path | str) -> None:
    if checkpoint.num_classes != dataset.num_classes:
        raise ValueError(
            f"checkpoint {path} has {checkpoint.num_classes} classes, "
            f"dataset {dataset.name} has {dataset.num_classes}"
        )
    if checkpoint.shape != dataset.shape:
        raise ValueError(
            f"checkpoint {path} takes inputs {checkpoint.shape}, dataset {dataset.name} has {dataset.shape}"
        )


def network_path(folder: Path, plan: RunPlan) -> Path:
    """Where the network of a run is kept."""
    return folder / "networks" / f"{plan.name}.pt"


def ensure_network(prepared: PreparedJob, store: RunStore, plan: RunPlan, say: Say) -> Checkpoint:
    """The network of a run: the given one, the finished one in the folder, or a freshly trained one.

    Raises:
        ValueError: a stored network is damaged, or is not the one whose votes the run holds.
    """
    if prepared.given is not None:
        checkpoint = prepared.given
    else:
        path = network_path(store.folder, plan)
        if not path.exists():
            _train(prepared, plan, path, say)
        checkpoint = load_checkpoint(path)
        _check_fit(checkpoint, prepared.dataset, path)
    known, _ = store.network(plan.name)
    if known is None:
        rows = list(prepared.indices)
        model = voter(prepared, checkpoint)
        clean = accuracy(model, rows_of(prepared.dataset.x_test, rows), prepared.dataset.y_test[rows])
        store.set_network(plan.name, checkpoint.sha256, clean)
    elif known != checkpoint.sha256:
        raise ValueError(_other_network(plan, store.folder))
    return checkpoint


def network_of(prepared: PreparedJob, folder: Path, plan: RunPlan, sha256: str | None) -> torch.nn.Module:
    """The network whose votes a run holds, on the job's device; nothing is trained or written.

    Raises:
        ValueError: it is not there, damaged, or another one than that of the digest.
    """
    checkpoint = prepared.given or load_checkpoint(network_path(folder, plan))
    _check_fit(checkpoint, prepared.dataset, network_path(folder, plan))
    if checkpoint.sha256 != sha256:
        raise ValueError(_other_network(plan, folder))
    return voter(prepared, checkpoint)


def voter(prepared: PreparedJob, checkpoint: Checkpoint) -> torch.nn.Module:
    """A network as it votes in this job: on its device, in its precision."""
    return in_precision(checkpoint.model, prepared.job.certify.precision, prepared.device)


def _other_network(plan: RunPlan, folder: Path) -> str:
    return (
        f"the network of run {plan.name} in {folder} is not the one whose votes are recorded; "
        "restore it, or choose another folder"
    )


def _train(prepared: PreparedJob, plan: RunPlan, path: Path, say: Say) -> None:
    section = prepared.job.training
    settings = TrainingSettings(
        section.architecture, section.epochs, section.batch_size, section.learning_rate
    )
    seed = derived_seed(prepared.job.seed, plan.name, "training")
    start = time.monotonic()
    model = train_network(prepared.dataset, plan.noise, settings, seed, prepared.device)
    save_checkpoint(
        path,
        model,
        architecture=settings.architecture,
        shape=prepared.dataset.shape,
        num_classes=prepared.dataset.num_classes,
        training={**asdict(settings), "seed": seed, "noise": plan.noise.spec},
    )
    say(f"trained {plan.name} in {time.monotonic() - start:.1f} s")


def examine_network(
    prepared: PreparedJob, store: RunStore, plan: RunPlan, model: torch.nn.Module, say: Say, warn: Say
) -> None:
    """Measures once a run whether its network is a fixed function of its input, and records what was found.

    The inputs are the first noisy copies that vote: a block on the CPU, four elsewhere.
    """
    if store.invariance(plan.name) is not None:
        return
    index = prepared.indices[0]
    noisy = first_votes(
        model,
        prepared.dataset.x_test[index],
        plan.noise,
        prepared.grid.noises.get(plan.name),
        seed=plan.seed,
        index=index,
        purpose="selection",
        votes=BLOCK if prepared.device.type == "cpu" else 4 * BLOCK,
    )
    found = invariance(model, noisy, plan.num_classes)
    store.set_invariance(plan.name, found.record)
    say(f"network of {plan.name}: {found.summary}")
    for complaint in found.complaints:
        warn(f"run {plan.name}: {complaint}")


def train_job(prepared: PreparedJob, store: RunStore, say: Say) -> None:
    """Trains the networks that are missing."""
    with one_thread():
        for plan in prepared.plans:
            ensure_network(prepared, store, plan, say)


def certify_job(
    prepared: PreparedJob,
    store: RunStore,
    say: Say,
    advance: Advance,
    warn: Say | None = None,
    counting: Counting | None = None,
) -> list[str]:
    """Counts the votes that are missing, chunk by chunk, and records them in the caller's thread.

    Counts depend neither on who counts them nor on how many do.

    Args:
        prepared: from `prepare`.
        store: the folder, open for writing.
        say: called with a line when a network was trained, with one of sanity before its votes, and with what was measured
            of it.
        advance: called with the run's name after every input that is finished by this call.
        warn: called with a line for a network that is no fixed function of its input; `say` when not given.
        counting: who counts; `on_this_machine` when not given.

    Returns:
        A line for each input that was given up; resuming tries it again.
    """
    lost = []
    with one_thread():
        for plan in prepared.plans:
            finished = store.finished(plan.name)
            missing = [index for index in prepared.indices if index not in finished]
            if missing:
                model = voter(prepared, ensure_network(prepared, store, plan, say))
                say(f"{plan.name}: {sanity(model, prepared.dataset, plan.noise)}")
                examine_network(prepared, store, plan, model, say, warn or say)
                with (counting or on_this_machine)(prepared, store, plan, model) as counter:
                    run = Driver(store, plan, counter, prepared.dataset.y_test, prepared.job.certify.chunk)
                    run.count(missing, advance)
                lost += [f"run {plan.name}, input {index}: {why}" for index, why in run.lost.items()]
    return lost


def on_this_machine(
    prepared: PreparedJob, store: RunStore, plan: RunPlan, model: torch.nn.Module
) -> BatchCounter:
    """Threads of this process: on the CPU as many as there are cores, each on one thread of arithmetic."""
    workers = cores() if prepared.device.type == "cpu" else 1
    sampler = vote_sampler(prepared, plan, model)
    return BatchCounter(sampler, lambda index: prepared.dataset.x_test[index], workers)


def cores() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def vote_sampler(prepared: PreparedJob, plan: RunPlan, model: torch.nn.Module) -> VoteSampler:
    """What draws the votes of a run."""
    return VoteSampler(
        model,
        plan.noise,
        plan.num_classes,
        prepared.dataset.x_test[prepared.indices[0]],
        prepared.grid.noises.get(plan.name),
        prepared.job.certify.batch_size,
    )


Count = Callable[[int, str, int, int], Votes]


def vote_counter(prepared: PreparedJob, plan: RunPlan, model: torch.nn.Module) -> Count:
    """A function that counts votes of a run: (index, purpose, start, stop) → Votes."""
    sampler = vote_sampler(prepared, plan, model)

    def count(index: int, purpose: str, start: int, stop: int) -> Votes:
        centre = sampler.centre(prepared.dataset.x_test[index])
        return sampler.votes(Stretch(plan.seed, index, purpose, start, stop), centre)

    return count
