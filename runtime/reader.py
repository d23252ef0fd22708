"""Reading a run folder: votes as they were counted, and results computed from them.

A folder may be read while a job writes it. Nothing that follows from counts is stored: predictions, bounds and
radii are computed here whenever a run is loaded.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generated import registry
from runtime.noise import Noise
from runtime.procedure import Procedure, joined, uniform_of
from runtime.results import InputResult, RunResult
from runtime.rules import from_record
from runtime.sampling import Votes
from runtime.schema import check, connect, translated
from runtime.stages import Stage, stage_of

CONFIG = "run.json"
DATABASE = "votes.sqlite"
PURPOSES = ("selection", "estimation")


@dataclass(frozen=True)
class StoredRun:
    """One run as it is recorded: what its votes are votes of, and how they are judged.

    Attributes:
        name, group, num_classes, seed: as in `runtime.results.RunResult`.
        noise: the noise of the votes.
        procedure: how votes become a decision.
        inputs: number of inputs of the job.
        family_alpha: failure probability over all inputs together, None where it is each input's own.
        network_sha256: digest of the network whose votes these are; None before the first vote.
        clean_accuracy: its accuracy without noise, None when not measured.
    """

    name: str
    group: str
    noise: Noise
    procedure: Procedure
    seed: int
    num_classes: int
    inputs: int
    family_alpha: float | None
    network_sha256: str | None
    clean_accuracy: float | None


@dataclass(frozen=True)
class StoredInput:
    """The votes of one finished input.

    Attributes:
        index, label: position and true class.
        chunks: by purpose ("selection", "estimation"), each chunk's first vote and its votes, in order.
        stage: the same votes as its procedure took them.
        seconds: time spent counting them.
    """

    index: int
    label: int
    chunks: Mapping[str, tuple[tuple[int, Votes], ...]]
    stage: Stage
    seconds: float


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """A checked, read-only connection to the votes of a folder, at one moment of a running job.

    Raises:
        ValueError: no run there, a damaged store, one of another schema version, or changed densities.
    """
    path = Path(folder) / DATABASE
    if not path.is_file():
        raise ValueError(f"{folder} holds no run ({DATABASE} is missing)")
    with translated(path):
        database = connect(path, write=False)
        try:
            database.row_factory = sqlite3.Row
            check(database, path)
            database.execute("BEGIN")
            configuration(database, path)
            yield database
        finally:
            database.close()


def stored_runs(database: sqlite3.Connection) -> tuple[StoredRun, ...]:
    """The runs of a folder, in the job's order.

    Raises:
        ValueError: a row that is damaged.
    """
    return tuple(_run(row) for row in database.execute("SELECT * FROM run ORDER BY position").fetchall())


def _run(row: sqlite3.Row) -> StoredRun:
    try:
        noise = Noise.from_spec({**dict(row), "params": json.loads(row["params"])})
        procedure = from_record(json.loads(row["procedure"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"damaged: run {row['name']} does not say how it was made ({error})") from None
    return StoredRun(
        name=row["name"],
        group=row["group"],
        noise=noise,
        procedure=procedure,
        seed=row["seed"],
        num_classes=row["num_classes"],
        inputs=row["inputs"],
        family_alpha=row["family_alpha"],
        network_sha256=row["network_sha256"],
        clean_accuracy=row["clean_accuracy"],
    )


def chunk_votes(chunk: sqlite3.Row, num_classes: int) -> Votes:
    """The votes of one chunk.

    Raises:
        ValueError: the row contradicts itself.
    """
    try:
        counts = json.loads(chunk["counts"])
    except (TypeError, ValueError):
        counts = None
    numbers = [*counts, chunk["failed"]] if isinstance(counts, list) else []
    if (
        len(numbers) != num_classes + 1
        or not all(type(number) is int and number >= 0 for number in numbers)
        or sum(numbers) != chunk["n"]
    ):
        raise ValueError(
            f"damaged: the {chunk['purpose']} votes from {chunk['start']} on of input {chunk['input']} in run "
            f"{chunk['run']} contradict themselves; restore the folder, or certify into another one"
        )
    return Votes(tuple(numbers[:-1]), numbers[-1])


def stored_inputs(database: sqlite3.Connection, run: StoredRun) -> Iterator[StoredInput]:
    """The finished inputs of a run, by increasing index.

    Raises:
        ValueError: an input's votes are not those that its procedure asks for.
    """
    chunks: dict[int, dict[str, list[tuple[int, Votes]]]] = {}
    seconds: dict[int, float] = {}
    query = "SELECT * FROM chunk WHERE run = ? ORDER BY input, purpose, start"
    for chunk in database.execute(query, (run.name,)):
        of_input = chunks.setdefault(chunk["input"], {purpose: [] for purpose in PURPOSES})
        of_input[chunk["purpose"]].append((chunk["start"], chunk_votes(chunk, run.num_classes)))
        seconds[chunk["input"]] = seconds.get(chunk["input"], 0.0) + chunk["seconds"]
    for row in database.execute("SELECT * FROM input WHERE run = ? ORDER BY input", (run.name,)).fetchall():
        yield _input(run, row, chunks.get(row["input"], {}), seconds.get(row["input"], 0.0))


def _input(
    run: StoredRun, row: sqlite3.Row, chunks: Mapping[str, Sequence[tuple[int, Votes]]], seconds: float
) -> StoredInput:
    index = row["input"]
    found = {purpose: tuple(chunks.get(purpose, ())) for purpose in PURPOSES}
    fault = None
    try:
        stage = stage_of(run.procedure, found, run.num_classes)
    except ValueError as error:
        fault = str(error)
    else:
        for purpose in PURPOSES:
            total = sum(votes.n for _, votes in found[purpose])
            if total != row[purpose]:
                fault = f"it has {total} {purpose} votes, not {row[purpose]}"
        if fault is None and stage.wanted is not None:
            fault = f"its {stage.wanted[0]} votes are not complete"
    if fault is not None:
        raise ValueError(
            f"damaged: run {run.name}, input {index}: {fault}; restore the folder, or certify into another one"
        )
    return StoredInput(index, row["label"], found, stage, seconds)


def result_of(run: StoredRun, stored: StoredInput) -> InputResult:
    """The certificate of one input, computed from its votes."""
    selection, estimation = stored.stage.selection, stored.stage.estimation
    decision = run.procedure.decide(selection, estimation, run.noise, uniform_of(run.seed, stored.index))
    votes = joined(estimation, selection)
    return InputResult(
        index=stored.index,
        label=stored.label,
        prediction=decision.prediction,
        p_lower=decision.p_lower,
        p_upper=decision.p_upper,
        radii=decision.radii,
        counts=votes.counts,
        n=votes.n,
        failed=votes.failed,
        seconds=stored.seconds,
    )


def load_runs(path: Path) -> tuple[RunResult, ...]:
    """The runs of a folder, as far as they are finished; predictions and radii are computed from the counts.

    Args:
        path: run folder; it may be in use by a running job.

    Returns:
        One RunResult a noise and σ, in the job's order; `complete` says whether all inputs are there.

    Raises:
        ValueError: no run there, a damaged store, or one of another schema version.
    """
    with opened(path) as database:
        meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
        return tuple(_result(database, run, _conditions(meta, run.name)) for run in stored_runs(database))


def _conditions(meta: Mapping[str, str], run: str) -> dict[str, Any]:
    """How the votes of a run were counted: its grid, its integers, its network's precision, and what was measured of it."""
    config = json.loads(meta["config"])
    grid = config.get("certify", {}).get("grid")
    return {
        "grid": grid,
        "grid_noise": config.get("grid_noise", {}).get(run) if isinstance(grid, int) else None,
        "invariance": json.loads(meta.get(f"invariance:{run}", "{}")),
        "precision": config.get("certify", {}).get("precision"),
    }


def _result(database: sqlite3.Connection, run: StoredRun, conditions: Mapping[str, Any]) -> RunResult:
    noise = run.noise
    inputs = tuple(result_of(run, stored) for stored in stored_inputs(database, run))
    record = run.procedure.record()
    return RunResult(
        name=run.name,
        group=run.group,
        family=noise.family,
        params=noise.params,
        sigma=noise.sigma,
        scale=noise.scale,
        dim=noise.dim,
        n0=run.procedure.selection(),
        n=run.procedure.maximum(),
        alpha=record["alpha"],
        seed=run.seed,
        num_classes=run.num_classes,
        clean_accuracy=run.clean_accuracy,
        inputs=inputs,
        complete=len(inputs) == run.inputs,
        methods={adversary: noise.method(adversary) for adversary in noise.adversaries},
        procedure=record,
        family_alpha=run.family_alpha,
        **conditions,
    )


def load_input(path: Path, run: str | None, index: int) -> tuple[StoredRun, StoredInput]:
    """The recorded votes of one finished input.

    Args:
        path: run folder.
        run: name of the run; None where the folder holds one run only.
        index: index of the input.

    Raises:
        ValueError: no such run or finished input, a damaged store, or several runs and no name.
    """
    with opened(path) as database:
        chosen = chosen_run(stored_runs(database), run, path)
        for stored in stored_inputs(database, chosen):
            if stored.index == index:
                return chosen, stored
    raise ValueError(f"{path}: input {index} of run {chosen.name} is not finished; resume the run first")


def chosen_run(runs: Sequence[StoredRun], name: str | None, path: Path) -> StoredRun:
    """The run called `name`, or the only one; ValueError otherwise, with the names there are."""
    known = ", ".join(run.name for run in runs)
    if name is None and len(runs) == 1:
        return runs[0]
    for run in runs:
        if run.name == name:
            return run
    if name is None:
        raise ValueError(f"{path} holds several runs; choose one with --run: {known}")
    raise ValueError(f"{path} has no run {name!r}; its runs: {known}")


def configuration(database: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """The configuration that a folder holds, checked against its digest and the densities of this program."""
    meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
    text = meta.get("config", "")
    if hashlib.sha256(text.encode()).hexdigest() != meta.get("config_sha256"):
        raise ValueError(f"{path} is damaged: its configuration does not match its digest")
    for family, density in _densities(meta, path).items():
        if registry.load(family).SPEC_HASH != density:
            raise ValueError(
                f"the density of {family} changed since the votes in {path.parent} were counted; certify into "
                "another folder, or restore the generated files"
            )
    config: dict[str, Any] = json.loads(text)
    return config


def _densities(meta: Mapping[str, str], path: Path) -> dict[str, str]:
    """Digest of each family's density when the folder was made."""
    try:
        found = json.loads(meta.get("densities", ""))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged: it does not say which densities its votes were drawn from")
    return found
