"""A job whose machine loses power: what was not flushed is lost in part, and the job is resumed from what is left.

    python -m tests.benchmarks.power_cuts             100 cuts of a job with a fixed n, 100 of one with target radii
    python -m tests.benchmarks.power_cuts --quick     6 cuts, of smaller jobs

A transaction writes to the log (WAL) and flushes it; a log that starts anew flushes its header first; a checkpoint then
copies pages to the database and flushes that. Between two flushes a disk may have kept any of the sectors written, and a
file may have either length. A cut takes the files before and after one transaction, chooses one of these moments, and
keeps each sector written there or not, at random. What earlier transactions wrote was flushed and is all there. This is
SQLite's protocol with synchronous = FULL (https://www.sqlite.org/atomiccommit.html, https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.engine import certify_job, prepare
from runtime.job import job_from
from runtime.store import DATABASE, Chunk, RunStore
from tests.benchmarks.kills import Rows, certify, job_in, recorded

SECTOR = 512
_WAL = f"{DATABASE}-wal"
_HEADER = 32
"""Bytes of the log's header."""
_PAGES = 16
"""A checkpoint follows as soon as the log has so many pages, so that a small job has many."""


@dataclass(frozen=True)
class Files:
    """What the two files of a store hold; `wal` is None where there is none."""

    database: bytes
    wal: bytes | None

    @staticmethod
    def of(folder: Path) -> Files:
        """Those of a run folder."""
        wal = folder / _WAL
        return Files((folder / DATABASE).read_bytes(), wal.read_bytes() if wal.exists() else None)


@dataclass(frozen=True)
class Cut:
    """What came of the cuts.

    Attributes:
        cuts: number of power cuts.
        torn: those after which the files were neither as before the transaction nor as after it.
        kept: whether every chunk of a transaction that had ended was there after each cut.
        equal: whether each resumed job ended with the counts of an undisturbed one.
    """

    cuts: int
    torn: int
    kept: bool
    equal: bool


def _mixed(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """Each sector that was written is there or not."""
    length = chance.choice((len(old), len(new), SECTOR * chance.randint(0, -(-len(new) // SECTOR))))
    length = max(length, min(len(old), len(new)))
    share = chance.random()
    found = bytearray(old[:length].ljust(length, b"\0"))
    for start in range(0, min(length, len(new)), SECTOR):
        if chance.random() < share:
            stop = min(start + SECTOR, len(new), length)
            found[start:stop] = new[start:stop]
    return bytes(found)


def left_over(before: Files, after: Files, chance: random.Random) -> Files:
    """What the disk holds where power fails during the transaction that leads from one state to the other."""
    old, new = before.wal or b"", after.wal
    moments = ["log"] if new is not None and new != old else []
    moments += ["checkpoint"] if after.database != before.database else []
    moments += ["closed"] if new is None else []
    moment = chance.choice(moments or ["nothing"])
    if moment == "log" and new is not None:
        if new[:_HEADER] != old[:_HEADER]:
            if chance.random() < 0.2:
                return Files(before.database, before.wal)
            old = new[:_HEADER] + old[_HEADER:]
            if chance.random() < 0.2:
                return Files(before.database, old)
        return Files(before.database, _mixed(old, new, chance))
    if moment == "checkpoint":
        database = _mixed(before.database, after.database, chance)
        return Files(database, before.wal if new is None else new)
    return Files(after.database, chance.choice((before.wal, after.wal)))


class _Watched(RunStore):
    """A store whose power is cut at every other transaction, at random; each cut leaves a folder beside it."""

    chance = random.Random()
    memory = 1
    most = 0

    def __enter__(self) -> _Watched:
        self._database.execute(f"PRAGMA wal_autocheckpoint = {_PAGES}")
        self._states = [Files.of(self.folder)]
        self._known: list[Rows] = [recorded(self.folder)[0]]
        self.cuts: list[tuple[Path, Rows, bool]] = []
        return self

    def _committed(self) -> None:
        states = self._states
        states.append(Files.of(self.folder))
        if len(states) > self.memory and len(self.cuts) < self.most and self.chance.random() < 0.5:
            self.cut(states[-1 - self.memory], states[-1])
        self._known.append(recorded(self.folder)[0])

    def cut(self, before: Files, after: Files) -> None:
        """A folder as it is after a power cut between two states."""
        found = left_over(before, after, self.chance)
        copy = self.folder.with_name(f"{self.folder.name}-cut-{len(self.cuts)}")
        skipped = shutil.ignore_patterns(f"{DATABASE}*")
        shutil.copytree(self.folder, copy, ignore=skipped)
        (copy / DATABASE).write_bytes(found.database)
        if found.wal is not None:
            (copy / _WAL).write_bytes(found.wal)
        self.cuts.append((copy, self._known[-1], found not in (before, after)))

    def set_network(self, run: str, sha256: str, clean_accuracy: float) -> None:
        super().set_network(run, sha256, clean_accuracy)
        self._committed()

    def set_invariance(self, run: str, record: Mapping[str, Any]) -> None:
        super().set_invariance(run, record)
        self._committed()

    def record_all(self, run: str, chunks: Sequence[Chunk]) -> None:
        super().record_all(run, chunks)
        self._committed()


def cut_jobs(
    folder: Path, cuts: int, seed: int, *, inputs: int = 4, targets: bool = False, memory: int = 1
) -> Cut:
    """Runs one job undisturbed and one whose power is cut, and resumes what is left after each cut.

    Args:
        folder: an empty folder for inputs, network and runs.
        cuts: number of power cuts: at different transactions of a job and while its store is closed, then of the next job.
        seed: of the moments and of what is lost.
        inputs, targets: as in `tests.benchmarks.kills.job_in`.
        memory: transactions whose writes may be lost; with more than 1 the disk lies about what it flushed.
    """
    values = job_in(folder, inputs, targets)
    certify(folder / "whole", values)
    expected = recorded(folder / "whole")
    chance = random.Random(seed)
    prepared = prepare(job_from(values, "power cuts"))
    kept, equal = bool(expected[1]), True
    made = torn = 0
    while made < cuts and kept and equal:
        store = _Watched(folder / f"run-{made}", prepared.config, prepared.plans)
        store.chance, store.memory, store.most = chance, memory, cuts - made - 1
        with store:
            certify_job(prepared, store, lambda line: None, lambda run: None)
            last = Files.of(store.folder)
        store.cut(last, Files.of(store.folder))
        equal = recorded(store.folder) == expected
        for copy, known, _ in store.cuts:
            try:
                kept = set(known) <= set(recorded(copy)[0]) <= set(expected[0]) and kept
                certify(copy, values)
                equal = recorded(copy) == expected and equal
            except ValueError:
                kept = equal = False
            shutil.rmtree(copy)
        made += len(store.cuts)
        torn += sum(found for _, _, found in store.cuts)
    return Cut(made, torn, kept, equal)


def main() -> None:
    """Prints what came of it; exit status 1 where a count differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="6 cuts of smaller jobs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cuts, inputs = (3, 2) if options.quick else (100, 10)
    for targets in (False, True):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            found = cut_jobs(Path(name), cuts, options.seed, inputs=inputs, targets=targets)
        what = "target radii" if targets else "fixed n"
        verdict = "nothing lost, all counts equal" if found.kept and found.equal else "counts DIFFER"
        seconds = time.monotonic() - begin
        print(
            f"{what}: {found.cuts} power cuts, {found.torn} with torn files: {verdict} ({seconds:.0f} s)",
            flush=True,
        )
        if not (found.kept and found.equal):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
