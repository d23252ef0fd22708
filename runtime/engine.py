"""Runs a job: networks first, then votes, chunk by chunk into the store; whatever is finished is reused."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from runtime.data import Dataset, load_dataset
from runtime.data.images import rows_of
from runtime.fixed import invariance
from runtime.given import given_network
from runtime.grid_choice import GridChoice, choose_grid
from runtime.job import Job, indices_of, plans_of, resolved_device, settled
from runtime.rng import BLOCK, derived_seed
from runtime.sampling import Votes, check_input, count_votes, first_votes
from runtime.sanity import sanity
from runtime.stages import cut, stage_of
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
    grid: GridChoice

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should be told before votes are counted, one line each."""
        return self.grid.remarks


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
        {index: dataset.x_test[index] for index in indices},
        {plan.name: plan.noise for plan in plans},
    )
    config["certify"]["grid"] = grid.setting
    config["grid_noise"] = grid.sources
    section, device = job.training, resolved_device(job.device)
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
        model = checkpoint.model.to(prepared.device)
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
    return checkpoint.model.to(prepared.device).eval()


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
    prepared: PreparedJob, store: RunStore, say: Say, advance: Advance, warn: Say | None = None
) -> None:
    """Counts the votes that are missing, chunk by chunk.

    On the CPU the chunks are counted by as many workers as there are cores, each on one thread of arithmetic;
    they are recorded by the caller's thread, in order. Counts do not depend on the number of workers.

    Args:
        prepared: from `prepare`.
        store: the folder, open for writing.
        say: called with a line when a network was trained, with one of sanity before its votes, and with what was measured
            of it.
        advance: called with the run's name after every input that is finished by this call.
        warn: called with a line for a network that is no fixed function of its input; `say` when not given.
    """
    workers = cores() if prepared.device.type == "cpu" else 1
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with one_thread():
            for plan in prepared.plans:
                finished = store.finished(plan.name)
                missing = [index for index in prepared.indices if index not in finished]
                if missing:
                    model = ensure_network(prepared, store, plan, say).model.to(prepared.device).eval()
                    say(f"{plan.name}: {sanity(model, prepared.dataset, plan.noise)}")
                    examine_network(prepared, store, plan, model, say, warn or say)
                    count = vote_counter(prepared, plan, model)
                    _Counting(prepared, store, plan, count, missing).run(pool, 2 * workers, advance)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Count = Callable[[int, str, int, int], Votes]


def vote_counter(prepared: PreparedJob, plan: RunPlan, model: torch.nn.Module) -> Count:
    """A function that counts votes of a run: (index, purpose, start, stop) → Votes."""

    def count(index: int, purpose: str, start: int, stop: int) -> Votes:
        return count_votes(
            model,
            prepared.dataset.x_test[index],
            plan.noise,
            plan.num_classes,
            seed=plan.seed,
            index=index,
            purpose=purpose,
            start=start,
            stop=stop,
            batch_size=prepared.job.certify.batch_size,
            grid=prepared.grid.noises.get(plan.name),
        )

    return count


@dataclass
class _Open:
    """An input under way: its recorded chunks, and what is still to be counted in its present stage."""

    index: int
    chunks: dict[str, list[tuple[int, Votes]]]
    purpose: str
    pending: deque[tuple[int, int]]
    in_flight: int = 0


_Flying = tuple[_Open, int, "Future[tuple[Votes, float]]"]


class _Counting:
    """The votes of one run, several inputs at a time.

    An input's next stage is known once its present one is recorded; meanwhile the workers count for the inputs
    after it. Chunks are recorded in the order in which they were handed out, so that those of an input never
    leave a gap.
    """

    def __init__(
        self, prepared: PreparedJob, store: RunStore, plan: RunPlan, count: Count, missing: list[int]
    ) -> None:
        self._store = store
        self._plan = plan
        self._rule = plan.rule
        self._count = count
        self._labels = prepared.dataset.y_test
        self._size = prepared.job.certify.chunk
        self._waiting = iter(missing)
        self._open: list[_Open] = []

    def run(self, pool: ThreadPoolExecutor, ahead: int, advance: Advance) -> None:
        """Counts and records until every input is decided."""
        flying: deque[_Flying] = deque()
        while True:
            while len(flying) <= ahead and (piece := self._next()) is not None:
                item, start, stop = piece
                item.in_flight += 1
                counted = pool.submit(self._timed, item.index, item.purpose, start, stop)
                flying.append((item, start, counted))
            if not flying:
                return
            item, start, counted = flying.popleft()
            try:
                self._settle(item, start, counted, advance)
            except Exception:
                self._keep(flying, {item.index}, advance)
                raise

    def _keep(self, flying: deque[_Flying], broken: set[int], advance: Advance) -> None:
        """After a fault: records what is being counted for other inputs, without a gap in any of them."""
        for item, start, counted in flying:
            if item.index in broken or counted.cancel():
                broken.add(item.index)
                continue
            try:
                self._settle(item, start, counted, advance)
            except Exception:
                broken.add(item.index)

    def _timed(self, index: int, purpose: str, start: int, stop: int) -> tuple[Votes, float]:
        begin = time.monotonic()
        votes = self._count(index, purpose, start, stop)
        return votes, time.monotonic() - begin

    def _next(self) -> tuple[_Open, int, int] | None:
        """The next chunk to count: of the earliest open input that waits for one, else of a further input."""
        for item in self._open:
            if item.pending:
                return (item, *item.pending.popleft())
        for index in self._waiting:
            item = _Open(index, self._store.chunks(self._plan.name, index), "selection", deque())
            if self._plan_stage(item):
                self._open.append(item)
                return (item, *item.pending.popleft())
        return None

    def _plan_stage(self, item: _Open) -> bool:
        """Cuts what the procedure wants next into chunks; False when the input is decided."""
        try:
            wanted = stage_of(self._rule, item.chunks, self._plan.num_classes).wanted
        except ValueError as error:
            raise ValueError(
                f"damaged: run {self._plan.name} in {self._store.folder}, input {item.index}: {error}; "
                "restore the folder, or certify into another one"
            ) from None
        if wanted is None:
            return False
        item.purpose, start, stop = wanted
        item.pending = deque(cut(start, stop, self._size))
        return True

    def _settle(
        self, item: _Open, start: int, counted: Future[tuple[Votes, float]], advance: Advance
    ) -> None:
        votes, seconds = counted.result()
        purpose = item.purpose
        item.in_flight -= 1
        item.chunks[purpose].append((start, votes))
        decided = not item.pending and item.in_flight == 0 and not self._plan_stage(item)
        label = int(self._labels[item.index]) if decided else None
        self._store.record(self._plan.name, item.index, purpose, start, votes, seconds, label)
        if decided:
            self._open.remove(item)
            advance(self._plan.name)
