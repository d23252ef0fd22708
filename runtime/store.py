"""The run folder: raw counts in SQLite, one transaction a chunk, one writer at a time.

A folder holds `votes.sqlite` (the record), `run.json` (its configuration, to be read by people), `run.lock`,
`networks/` and `report/`. Predictions and radii are computed from counts whenever runs are loaded
(`runtime.reader`).
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

from runtime.atomic import flush_folder, write_atomically
from runtime.noise import Noise
from runtime.procedure import FixedSample, Procedure
from runtime.reader import CONFIG, DATABASE, PURPOSES, chunk_votes, configuration, load_runs
from runtime.sampling import Votes
from runtime.schema import StorageFull, check, connect, create, is_blank, translated
from runtime.version import code_differences, code_record

LOCK = "run.lock"
DIGESTS = ("dataset_sha256", "checkpoint_sha256", "grid_noise")
"""Keys of a stored configuration that are not keys of a job."""


@dataclass(frozen=True)
class RunPlan:
    """One noise at one σ as the job plans it.

    Attributes:
        name, group, noise, n0, n, alpha, seed, num_classes: as in `runtime.results.RunResult`.
        inputs: number of inputs.
        procedure: how votes become a decision; n0 and n votes at alpha when not given.
        family_alpha: failure probability over all inputs together, None where alpha is each input's own.
    """

    name: str
    group: str
    noise: Noise
    n0: int
    n: int
    alpha: float
    seed: int
    num_classes: int
    inputs: int
    procedure: Procedure | None = None
    family_alpha: float | None = None

    @property
    def rule(self) -> Procedure:
        """The procedure, given or not."""
        return self.procedure or FixedSample(self.n0, self.n, self.alpha)


def canonical(config: Mapping[str, Any]) -> str:
    """The one JSON text of a configuration: sorted keys, no spaces, no NaN."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the keys in which two configurations differ."""
    found = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}")
    return found


@dataclass(frozen=True)
class Chunk:
    """Votes start … start + votes.n - 1 of one input for one purpose.

    Attributes:
        index, purpose: what the votes are votes of.
        start: number of the first vote, a multiple of 64.
        votes: their counts.
        seconds: time spent counting them.
        finished_label: true class of an input that these votes decide; None while it is open.
    """

    index: int
    purpose: str
    start: int
    votes: Votes
    seconds: float
    finished_label: int | None = None


class RunStore:
    """A run folder open for writing; a context manager that holds the folder's lock.

    Args:
        folder: run folder; made when absent, where `config` is given.
        config: the job's configuration, JSON-ready; None to open what is there (resume).
        plans: the job's runs, in order; needed where `config` is.

    Attributes:
        config: the configuration that the folder holds.
        remarks: what a user should be told of the folder, one line each.

    Raises:
        ValueError: the folder is being written by another process, holds another configuration, other
            files, votes that other code counted, a damaged store or one of another version, or no run at all
            (resume). Nothing is then changed.
        StorageFull: the disk is full.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any] | None, plans: Sequence[RunPlan] = ()) -> None:
        self.folder = folder
        self.path = folder / DATABASE
        self.remarks: tuple[str, ...] = ()
        self._check_folder(config is None)
        with translated(self.path):
            self._check_file()
        if not folder.exists():
            folder.mkdir(parents=True)
            flush_folder(folder.parent)
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
                code = canonical(code_record(plan.noise.family for plan in plans))
                rows = [("config", text), ("config_sha256", digest), ("densities", densities), ("code", code)]
                database.executemany("INSERT INTO meta VALUES (?, ?)", rows)
                database.executemany(
                    f"INSERT INTO run VALUES ({', '.join('?' * 13)}, NULL, NULL)",
                    [_row(position, plan) for position, plan in enumerate(plans)],
                )
        else:
            check(database, self.path)
        self.config = configuration(database, self.path)
        if config is not None:
            self.require(config)
        self._check_code(database)
        if not summary.exists():
            readable = json.dumps(self.config, indent=2, sort_keys=True) + "\n"
            write_atomically(summary, readable.encode())

    def _check_code(self, database: sqlite3.Connection) -> None:
        """Refuses to add votes to those that other code counted; says so where only a library changed."""
        meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
        recorded = json.loads(meta.get("code", "{}"))
        current = code_record(json.loads(meta["densities"]))
        changes = code_differences(recorded, current)
        if recorded.get("sources") != current["sources"]:
            raise ValueError(
                f"the code that counts votes changed since {self.folder} was begun ({'; '.join(changes)}); "
                "finish it with the version that began it, or certify into another folder"
            )
        self.remarks = tuple(
            f"the votes in {self.folder} were begun with another library: {change}" for change in changes
        )

    def require(self, config: Mapping[str, Any]) -> None:
        """Refuses (ValueError) a configuration other than the folder's, naming the keys that differ."""
        if canonical(config) != canonical(self.config):
            changed = ", ".join(differences(self.config, json.loads(canonical(config))))
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

    def invariance(self, run: str) -> dict[str, Any] | None:
        """What was measured of the run's network (`runtime.fixed.Invariance.record`); None when nothing was."""
        with translated(self.path):
            query = "SELECT value FROM meta WHERE key = ?"
            row = self._database.execute(query, (f"invariance:{run}",)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_invariance(self, run: str, record: Mapping[str, Any]) -> None:
        """Records what was measured of the run's network."""
        with translated(self.path):
            row = (f"invariance:{run}", canonical(record))
            self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)

    def finished(self, run: str) -> set[int]:
        """Indices of the run's finished inputs."""
        with translated(self.path):
            rows = self._database.execute("SELECT input FROM input WHERE run = ?", (run,)).fetchall()
        return {index for (index,) in rows}

    def chunks(self, run: str, index: int) -> dict[str, list[tuple[int, Votes]]]:
        """The recorded votes of one input: by purpose, each chunk's first vote and its votes, in order."""
        with translated(self.path):
            query = "SELECT num_classes FROM run WHERE name = ?"
            (num_classes,) = self._database.execute(query, (run,)).fetchone()
            query = "SELECT * FROM chunk WHERE run = ? AND input = ? ORDER BY start"
            cursor = self._database.cursor()
            cursor.row_factory = sqlite3.Row  # type: ignore[assignment]
            found: dict[str, list[tuple[int, Votes]]] = {purpose: [] for purpose in PURPOSES}
            for row in cursor.execute(query, (run, index)):
                found[row["purpose"]].append((row["start"], chunk_votes(row, num_classes)))
        return found

    def record(
        self,
        run: str,
        index: int,
        purpose: str,
        start: int,
        votes: Votes,
        seconds: float,
        finished_label: int | None = None,
    ) -> None:
        """Commits one chunk; arguments as of `Chunk`, errors as of `record_all`."""
        self.record_all(run, [Chunk(index, purpose, start, votes, seconds, finished_label)])

    def record_all(self, run: str, chunks: Sequence[Chunk]) -> None:
        """Commits chunks of votes, and which inputs they finish, in one transaction: all of them, or after a crash none.

        Raises:
            StorageFull: the disk is full; nothing of these chunks is then recorded.
        """
        with translated(self.path):
            database = self._database
            with database:
                database.execute("BEGIN IMMEDIATE")
                for chunk in chunks:
                    votes = chunk.votes
                    row = (votes.n, votes.failed, json.dumps(votes.counts), chunk.seconds)
                    place = (run, chunk.index, chunk.purpose, chunk.start)
                    database.execute(f"INSERT INTO chunk VALUES ({', '.join('?' * 8)})", (*place, *row))
                    if chunk.finished_label is not None:
                        of = (run, chunk.index)
                        database.execute(_FINISH, (*of, chunk.finished_label, *of, *of))


_TOTAL = "(SELECT coalesce(sum(n), 0) FROM chunk WHERE run = ? AND input = ? AND purpose = '{}')"
_FINISH = f"INSERT INTO input VALUES (?, ?, ?, {', '.join(_TOTAL.format(purpose) for purpose in PURPOSES)})"


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
        plan.seed,
        plan.num_classes,
        plan.inputs,
        canonical(plan.rule.record()),
        plan.family_alpha,
    )


__all__ = [
    "CONFIG",
    "DATABASE",
    "DIGESTS",
    "LOCK",
    "RunPlan",
    "RunStore",
    "StorageFull",
    "canonical",
    "differences",
    "load_runs",
]
