"""The run folder: raw counts in SQLite, one transaction a chunk, one writer at a time.

A folder holds `votes.sqlite` (the record), `run.json` (its configuration, to be read by people), `run.lock`,
`networks/` and `report/`. Predictions and radii are computed from counts whenever runs are loaded.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from generated import registry
from runtime.atomic import write_atomically
from runtime.certificate import decide, radii_of
from runtime.noise import Noise
from runtime.results import InputResult, RunResult
from runtime.sampling import Votes
from runtime.schema import StorageFull, check, connect, create, is_blank, translated

DATABASE = "votes.sqlite"
CONFIG = "run.json"
LOCK = "run.lock"


@dataclass(frozen=True)
class RunPlan:
    """One noise at one σ as the job plans it; fields as in `RunResult`, `inputs` the number of inputs."""

    name: str
    group: str
    noise: Noise
    n0: int
    n: int
    alpha: float
    seed: int
    num_classes: int
    inputs: int


def canonical(config: Mapping[str, Any]) -> str:
    """The one JSON text of a configuration: sorted keys, no spaces, no NaN."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the keys in which two configurations differ."""
    found = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}")
    return found


class RunStore:
    """A run folder open for writing; a context manager that holds the folder's lock.

    Args:
        folder: run folder; made when absent, where `config` is given.
        config: the job's configuration, JSON-ready; None to open what is there (resume).
        plans: the job's runs, in order; needed where `config` is.

    Raises:
        ValueError: the folder is being written by another process, holds another configuration, other
            files, a damaged store or one of another version, or holds no run at all (resume). Nothing is
            then changed.
        StorageFull: the disk is full.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any] | None, plans: Sequence[RunPlan] = ()) -> None:
        self.folder = folder
        self.path = folder / DATABASE
        self._check_folder(config is None)
        with translated(self.path):
            self._check_file()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"run folder {folder} is being written by another process; wait, or choose another"
            ) from None
        fresh = not self.path.exists()
        self._connection: sqlite3.Connection | None = None
        try:
            with translated(self.path):
                self._check_file()
                self._connection = connect(self.path, write=True)
                self._open(config, plans)
        except BaseException as error:
            self.close()
            if fresh:
                self._undo()
            if fresh and isinstance(error, StorageFull):
                raise StorageFull(
                    f"{self.path} cannot be made: the disk is full; free some space and run the same command again"
                ) from error
            raise

    def _undo(self) -> None:
        """Removes what a failed creation left; and the folder, if nothing else is in it."""
        for name in (CONFIG, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", LOCK):
            (self.folder / name).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _check_folder(self, resume: bool) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder} is a file; a run needs a folder")
        if self.path.exists():
            return
        if resume:
            raise ValueError(f"{self.folder} holds no run ({DATABASE} is missing); start one with certify")
        if self.folder.is_dir() and any(item.name != LOCK for item in self.folder.iterdir()):
            raise ValueError(f"{self.folder} holds files but no run; choose an empty or new folder")

    def _check_file(self) -> None:
        """Reads an existing file before it is opened for writing, so that a foreign one stays as it is."""
        if not self.path.exists():
            return
        if self.path.stat().st_size == 0:
            if (self.folder / CONFIG).exists():
                raise ValueError(f"{self.path} is empty; the run is damaged, choose another folder")
            return
        reader = connect(self.path, write=False)
        try:
            if not is_blank(reader):
                check(reader, self.path)
        finally:
            reader.close()

    def _open(self, config: Mapping[str, Any] | None, plans: Sequence[RunPlan]) -> None:
        database = self._database
        summary = self.folder / CONFIG
        if is_blank(database):
            if config is None or summary.exists():
                raise ValueError(f"{self.path} is empty; the run is damaged, choose another folder")
            text = canonical(config)
            digest = hashlib.sha256(text.encode()).hexdigest()
            with database:
                database.execute("BEGIN IMMEDIATE")
                create(database)
                densities = canonical({plan.noise.family: plan.noise.density_hash for plan in plans})
                rows = [("config", text), ("config_sha256", digest), ("densities", densities)]
                database.executemany("INSERT INTO meta VALUES (?, ?)", rows)
                database.executemany(
                    f"INSERT INTO run VALUES ({', '.join('?' * 14)}, NULL, NULL)",
                    [_row(position, plan) for position, plan in enumerate(plans)],
                )
        else:
            check(database, self.path)
        self.config = _config(database, self.path)
        if config is not None:
            self.require(config)
        if not summary.exists():
            readable = json.dumps(self.config, indent=2, sort_keys=True) + "\n"
            write_atomically(summary, readable.encode())

    def require(self, config: Mapping[str, Any]) -> None:
        """Refuses (ValueError) a configuration other than the folder's, naming the keys that differ."""
        if canonical(config) != canonical(self.config):
            changed = ", ".join(_differences(self.config, json.loads(canonical(config))))
            raise ValueError(
                f"{self.folder} holds another configuration (it differs in {changed}); "
                "choose another folder, or resume the run as it is"
            )

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError(f"{self.path} is closed")
        return self._connection

    def close(self) -> None:
        """Closes the database and releases the folder."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def network(self, run: str) -> tuple[str | None, float | None]:
        """SHA-256 of the network whose votes the run holds, and its clean accuracy; None if not set."""
        with translated(self.path):
            query = "SELECT network_sha256, clean_accuracy FROM run WHERE name = ?"
            digest, accuracy = self._database.execute(query, (run,)).fetchone()
        return digest, accuracy

    def set_network(self, run: str, sha256: str, clean_accuracy: float) -> None:
        """Binds the run to a network before its first vote."""
        with translated(self.path):
            self._database.execute(
                "UPDATE run SET network_sha256 = ?, clean_accuracy = ? WHERE name = ?",
                (sha256, clean_accuracy, run),
            )

    def finished(self, run: str) -> set[int]:
        """Indices of the run's finished inputs."""
        with translated(self.path):
            rows = self._database.execute("SELECT input FROM input WHERE run = ?", (run,)).fetchall()
        return {index for (index,) in rows}

    def chunks(self, run: str, index: int, purpose: str) -> set[int]:
        """Numbers of the chunks that are recorded."""
        with translated(self.path):
            query = "SELECT chunk FROM chunk WHERE run = ? AND input = ? AND purpose = ?"
            rows = self._database.execute(query, (run, index, purpose)).fetchall()
        return {chunk for (chunk,) in rows}

    def record(
        self,
        run: str,
        index: int,
        purpose: str,
        chunk: int,
        votes: Votes,
        seconds: float,
        finished_label: int | None = None,
    ) -> None:
        """Commits one chunk of votes, and with the last one that the input is finished, in one transaction.

        Raises:
            StorageFull: the disk is full; nothing of this chunk is then recorded.
        """
        row = (run, index, purpose, chunk, votes.n, votes.failed, json.dumps(votes.counts), seconds)
        with translated(self.path):
            database = self._database
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.execute(f"INSERT INTO chunk VALUES ({', '.join('?' * 8)})", row)
                if finished_label is not None:
                    database.execute("INSERT INTO input VALUES (?, ?, ?)", (run, index, finished_label))


def _row(position: int, plan: RunPlan) -> tuple[Any, ...]:
    noise = plan.noise
    return (
        plan.name,
        position,
        plan.group,
        noise.family,
        canonical(dict(noise.params)),
        noise.sigma,
        noise.scale,
        noise.dim,
        plan.n0,
        plan.n,
        plan.alpha,
        plan.seed,
        plan.num_classes,
        plan.inputs,
    )


def _config(database: sqlite3.Connection, path: Path) -> dict[str, Any]:
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


def load_runs(path: Path) -> tuple[RunResult, ...]:
    """The runs of a folder, as far as they are finished; predictions and radii are computed from the counts.

    Args:
        path: run folder; it may be in use by a running job.

    Returns:
        One RunResult a noise and σ, in the job's order; `complete` says whether all inputs are there.

    Raises:
        ValueError: no run there, a damaged store, or one of another schema version.
    """
    database_path = Path(path) / DATABASE
    if not database_path.is_file():
        raise ValueError(f"{path} holds no run ({DATABASE} is missing)")
    with translated(database_path):
        database = connect(database_path, write=False)
        try:
            database.row_factory = sqlite3.Row
            check(database, database_path)
            _config(database, database_path)
            database.execute("BEGIN")
            rows = database.execute("SELECT * FROM run ORDER BY position").fetchall()
            return tuple(_load(database, row) for row in rows)
        finally:
            database.close()


def _votes(chunk: sqlite3.Row, num_classes: int) -> Votes:
    """The votes of one chunk, when the row agrees with itself."""
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
            f"damaged: chunk {chunk['chunk']} of the {chunk['purpose']} votes of input {chunk['input']} in run "
            f"{chunk['run']} contradicts itself; restore the folder, or certify into another one"
        )
    return Votes(tuple(numbers[:-1]), numbers[-1])


def _load(database: sqlite3.Connection, row: sqlite3.Row) -> RunResult:
    noise = Noise.from_spec({**dict(row), "params": json.loads(row["params"])})
    labels = dict(database.execute("SELECT input, label FROM input WHERE run = ?", (row["name"],)).fetchall())
    votes: dict[tuple[int, str], Votes] = {}
    seconds: dict[int, float] = {}
    for chunk in database.execute("SELECT * FROM chunk WHERE run = ?", (row["name"],)):
        key = (chunk["input"], chunk["purpose"])
        part = _votes(chunk, row["num_classes"])
        votes[key] = votes[key] + part if key in votes else part
        seconds[chunk["input"]] = seconds.get(chunk["input"], 0.0) + chunk["seconds"]
    inputs = []
    for index in sorted(labels):
        for purpose, total in (("selection", row["n0"]), ("estimation", row["n"])):
            found = votes[index, purpose].n if (index, purpose) in votes else 0
            if found != total:
                raise ValueError(
                    f"damaged: run {row['name']} holds {found} {purpose} votes of input {index}, not {total}; "
                    "restore the folder, or certify into another one"
                )
        estimation = votes[index, "estimation"]
        prediction, p_lower = decide(votes[index, "selection"], estimation, row["alpha"])
        inputs.append(
            InputResult(
                index=index,
                label=labels[index],
                prediction=prediction,
                p_lower=p_lower,
                radii=radii_of(noise, p_lower),
                counts=estimation.counts,
                n=estimation.n,
                failed=estimation.failed,
                seconds=seconds[index],
            )
        )
    return RunResult(
        name=row["name"],
        group=row["group"],
        family=row["family"],
        params=noise.params,
        sigma=noise.sigma,
        scale=noise.scale,
        dim=noise.dim,
        n0=row["n0"],
        n=row["n"],
        alpha=row["alpha"],
        seed=row["seed"],
        num_classes=row["num_classes"],
        clean_accuracy=row["clean_accuracy"],
        inputs=tuple(inputs),
        complete=len(inputs) == row["inputs"],
        methods={adversary: noise.method(adversary) for adversary in noise.adversaries},
    )


__all__ = ["CONFIG", "DATABASE", "LOCK", "RunPlan", "RunStore", "StorageFull", "canonical", "load_runs"]
