"""The SQLite schema of a run folder, and what a file must be to count as one.

meta   key, value: the configuration as canonical JSON ("config") and its SHA-256 ("config_sha256"), the
       digests of the densities that the votes were drawn from, by family ("densities"), and the code that
       counts ("code", see `runtime.version`)
run    one row a noise and σ; `position` orders them; `procedure` says how votes become a decision (JSON)
chunk  raw votes start … start+n-1: (run, input, purpose, start) → n, failed, counts (JSON array), seconds
input  one row a finished input: (run, input) → label, and how many votes of each purpose decided it
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

APPLICATION_ID = 0x536D5261
SCHEMA_VERSION = 3

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE run (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL UNIQUE,
    "group" TEXT NOT NULL,
    family TEXT NOT NULL,
    params TEXT NOT NULL,
    sigma REAL NOT NULL,
    scale REAL NOT NULL,
    dim INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    num_classes INTEGER NOT NULL,
    inputs INTEGER NOT NULL,
    procedure TEXT NOT NULL,
    family_alpha REAL,
    network_sha256 TEXT,
    clean_accuracy REAL
);
CREATE TABLE chunk (
    run TEXT NOT NULL REFERENCES run (name),
    input INTEGER NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('selection', 'estimation')),
    start INTEGER NOT NULL CHECK (start >= 0 AND start % 64 = 0),
    n INTEGER NOT NULL CHECK (n >= 1),
    failed INTEGER NOT NULL,
    counts TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (run, input, purpose, start)
) WITHOUT ROWID;
CREATE TABLE input (
    run TEXT NOT NULL REFERENCES run (name),
    input INTEGER NOT NULL,
    label INTEGER NOT NULL,
    selection INTEGER NOT NULL,
    estimation INTEGER NOT NULL,
    PRIMARY KEY (run, input)
) WITHOUT ROWID;
"""


class StorageFull(OSError):
    """The disk refused a write; everything committed before is intact and the run can be resumed."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into one clear line each.

    Raises:
        StorageFull: the disk is full or cannot be written.
        ValueError: the file is damaged or is no run store.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text or "readonly" in text:
            raise StorageFull(
                f"{path} cannot be written ({text}); what was counted is safe: free some space, "
                f"then run: python -m runtime resume {path.parent}"
            ) from error
        if "locked" in text:
            raise ValueError(
                f"{path} is locked by another program; close that one, then run the same command again"
            ) from error
        raise ValueError(f"{path} cannot be used as a run store: {text}") from error
    except sqlite3.DatabaseError as error:
        raise ValueError(
            f"{path} is damaged or is not a run store ({error}); restore it or choose another folder"
        ) from error


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """An open connection, for writing (WAL, every commit flushed to disk) or read-only."""
    if write:
        connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
    uri = path.resolve().as_uri()
    try:
        connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=30.0, isolation_level=None)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return connection
    except sqlite3.OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise
    return sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)


def is_blank(connection: sqlite3.Connection) -> bool:
    """Whether the database has no tables at all."""
    return connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def create(connection: sqlite3.Connection) -> None:
    """Creates the tables inside the transaction that is open, and marks the file."""
    for statement in TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuses a database of another program, of another schema version, or a damaged one.

    Raises:
        ValueError: says which of the three.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise ValueError(f"{path} is an SQLite file of another program; choose another folder")
    if version != SCHEMA_VERSION:
        age = "an earlier" if version < SCHEMA_VERSION else "a later"
        raise ValueError(
            f"{path} has schema version {version}, written by {age} version of this program; this one reads "
            f"version {SCHEMA_VERSION}: use the one that wrote it, or certify into another folder"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ValueError(f"{path} is damaged ({verdict}); restore it or choose another folder")
