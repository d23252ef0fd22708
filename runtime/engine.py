"""Runs a job: networks first, then votes, chunk by chunk into the store; whatever is finished is reused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from runtime.data import Dataset, load_dataset
from runtime.job import Job, indices_of, plans_of, resolved_device, settled
from runtime.rng import derived_seed
from runtime.sampling import check_input, count_votes
from runtime.store import RunPlan, RunStore
from runtime.threads import one_thread
from runtime.training import TrainingSettings, accuracy, train_network

Say = Callable[[str], None]
Advance = Callable[[str], None]


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


def prepare(job: Job) -> PreparedJob:
    """Checks all that can be checked before a vote is drawn.

    Raises:
        ValueError: dataset, inputs, noise, device or checkpoint do not fit; the message says which and why.
    """
    dataset = load_dataset(job.dataset)
    indices = indices_of(job, dataset)
    plans = plans_of(job, dataset)
    for index in indices:
        check_input(dataset.x_test[index], dataset.dim)
    config = settled(job, dataset)
    given = None
    if job.training.checkpoint is not None:
        given = load_checkpoint(Path(job.training.checkpoint))
        _check_fit(given, dataset, job.training.checkpoint)
        config["checkpoint_sha256"] = given.sha256
    return PreparedJob(job, dataset, tuple(indices), tuple(plans), resolved_device(job.device), config, given)


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
        model = checkpoint.model.to(prepared.device)
        clean = accuracy(model, prepared.dataset.x_test[rows], prepared.dataset.y_test[rows])
        store.set_network(plan.name, checkpoint.sha256, clean)
    elif known != checkpoint.sha256:
        raise ValueError(
            f"the network of run {plan.name} in {store.folder} is not the one whose votes are recorded; "
            "restore it, or choose another folder"
        )
    return checkpoint


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


def train_job(prepared: PreparedJob, store: RunStore, say: Say) -> None:
    """Trains the networks that are missing."""
    with one_thread():
        for plan in prepared.plans:
            ensure_network(prepared, store, plan, say)


def certify_job(prepared: PreparedJob, store: RunStore, say: Say, advance: Advance) -> None:
    """Counts the votes that are missing, chunk by chunk, on one CPU thread where the device is the CPU.

    Args:
        prepared: from `prepare`.
        store: the folder, open for writing.
        say: called with a line when a network was trained.
        advance: called with the run's name after every input that is finished by this call.
    """
    with one_thread():
        for plan in prepared.plans:
            finished = store.finished(plan.name)
            missing = [index for index in prepared.indices if index not in finished]
            if not missing:
                continue
            model = ensure_network(prepared, store, plan, say).model.to(prepared.device)
            for index in missing:
                _certify_input(prepared, store, plan, model, index)
                advance(plan.name)


def _certify_input(
    prepared: PreparedJob, store: RunStore, plan: RunPlan, model: torch.nn.Module, index: int
) -> None:
    x, label = prepared.dataset.x_test[index], int(prepared.dataset.y_test[index])
    size = prepared.job.certify.chunk
    for purpose, total in (("selection", plan.n0), ("estimation", plan.n)):
        recorded = store.chunks(plan.name, index, purpose)
        last = (total - 1) // size
        for chunk in range(last + 1):
            if chunk in recorded:
                continue
            start = time.monotonic()
            votes = count_votes(
                model,
                x,
                plan.noise,
                plan.num_classes,
                seed=plan.seed,
                index=index,
                purpose=purpose,
                start=chunk * size,
                stop=min(total, (chunk + 1) * size),
                batch_size=prepared.job.certify.batch_size,
            )
            ends = purpose == "estimation" and chunk == last
            seconds = time.monotonic() - start
            store.record(plan.name, index, purpose, chunk, votes, seconds, label if ends else None)
