"""Runs a job: networks first, then votes, chunk by chunk into the store; whatever is finished is reused."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from runtime.data import Dataset, load_dataset
from runtime.job import Job, indices_of, plans_of, resolved_device, settled
from runtime.rng import derived_seed
from runtime.sampling import Votes, check_input, count_votes
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


@dataclass(frozen=True)
class _Piece:
    """One chunk of votes of one input; `last` marks the one that finishes the input."""

    index: int
    purpose: str
    chunk: int
    start: int
    stop: int
    last: bool


def certify_job(prepared: PreparedJob, store: RunStore, say: Say, advance: Advance) -> None:
    """Counts the votes that are missing, chunk by chunk.

    On the CPU the chunks are counted by as many workers as there are cores, each on one thread of arithmetic;
    they are recorded by the caller's thread, in order. Counts do not depend on the number of workers.

    Args:
        prepared: from `prepare`.
        store: the folder, open for writing.
        say: called with a line when a network was trained.
        advance: called with the run's name after every input that is finished by this call.
    """
    workers = _cores() if prepared.device.type == "cpu" else 1
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with one_thread():
            for plan in prepared.plans:
                finished = store.finished(plan.name)
                missing = [index for index in prepared.indices if index not in finished]
                if missing:
                    model = ensure_network(prepared, store, plan, say).model.to(prepared.device).eval()
                    _certify_run(prepared, store, plan, model, missing, pool, 2 * workers, advance)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pieces(prepared: PreparedJob, store: RunStore, plan: RunPlan, missing: list[int]) -> Iterator[_Piece]:
    """The chunks that are not recorded, input by input, each input's last chunk last."""
    size = prepared.job.certify.chunk
    for index in missing:
        for purpose, total in (("selection", plan.n0), ("estimation", plan.n)):
            recorded = store.chunks(plan.name, index, purpose)
            final = (total - 1) // size
            for chunk in range(final + 1):
                if chunk not in recorded:
                    stop = min(total, (chunk + 1) * size)
                    last = purpose == "estimation" and chunk == final
                    yield _Piece(index, purpose, chunk, chunk * size, stop, last)


def _certify_run(
    prepared: PreparedJob,
    store: RunStore,
    plan: RunPlan,
    model: torch.nn.Module,
    missing: list[int],
    pool: ThreadPoolExecutor,
    ahead: int,
    advance: Advance,
) -> None:
    def count(piece: _Piece) -> tuple[Votes, float]:
        begin = time.monotonic()
        votes = count_votes(
            model,
            prepared.dataset.x_test[piece.index],
            plan.noise,
            plan.num_classes,
            seed=plan.seed,
            index=piece.index,
            purpose=piece.purpose,
            start=piece.start,
            stop=piece.stop,
            batch_size=prepared.job.certify.batch_size,
        )
        return votes, time.monotonic() - begin

    def settle(piece: _Piece, counted: Future[tuple[Votes, float]]) -> None:
        votes, seconds = counted.result()
        label = int(prepared.dataset.y_test[piece.index]) if piece.last else None
        store.record(plan.name, piece.index, piece.purpose, piece.chunk, votes, seconds, label)
        if piece.last:
            advance(plan.name)

    under_way: deque[tuple[_Piece, Future[tuple[Votes, float]]]] = deque()
    for piece in _pieces(prepared, store, plan, missing):
        under_way.append((piece, pool.submit(count, piece)))
        if len(under_way) > ahead:
            settle(*under_way.popleft())
    while under_way:
        settle(*under_way.popleft())
