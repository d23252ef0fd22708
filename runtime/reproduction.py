"""One certificate again: its votes counted anew from their identities, chunk by chunk beside the recorded ones."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from runtime.engine import cores, network_of, prepare, vote_counter
from runtime.job import job_from
from runtime.reader import DATABASE, configuration, load_input, opened, result_of
from runtime.results import InputResult
from runtime.sampling import Votes
from runtime.store import DIGESTS, canonical, differences
from runtime.threads import one_thread
from runtime.version import code_differences, code_record


@dataclass(frozen=True)
class Difference:
    """A chunk whose votes come out otherwise: purpose, first vote, what is recorded and what was counted now."""

    purpose: str
    start: int
    recorded: Votes
    counted: Votes


@dataclass(frozen=True)
class Reproduction:
    """What counting one input's votes again has shown.

    Attributes:
        run: name of the run.
        result: the certificate, from the recorded votes.
        chunks: number of chunks counted again.
        votes: number of votes counted again.
        differences: the chunks that came out otherwise; none when the certificate is reproduced.
        code: how this code and its libraries differ from those that counted first.
    """

    run: str
    result: InputResult
    chunks: int
    votes: int
    differences: tuple[Difference, ...]
    code: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every count is the recorded one."""
        return not self.differences


def reproduce(folder: Path, index: int, run: str | None = None) -> Reproduction:
    """Counts the votes of one finished input again, with the folder's configuration; writes nothing.

    Args:
        folder: run folder.
        index: index of the input.
        run: name of the run; None where the folder holds one run only.

    Raises:
        ValueError: no such run or finished input; a damaged store; a dataset or network that is not the one whose
            votes are recorded.
    """
    folder = Path(folder)
    recorded_run, stored = load_input(folder, run, index)
    with opened(folder) as database:
        config = configuration(database, folder / DATABASE)
        meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
    job = job_from({key: value for key, value in config.items() if key not in DIGESTS}, str(folder))
    prepared = prepare(job)
    if canonical(prepared.config) != canonical(config):
        changed = ", ".join(differences(config, json.loads(canonical(prepared.config))))
        raise ValueError(
            f"the votes in {folder} cannot be counted again: {changed} changed since; restore what it was"
        )
    (plan,) = (plan for plan in prepared.plans if plan.name == recorded_run.name)
    model = network_of(prepared, folder, plan, recorded_run.network_sha256)
    count = vote_counter(prepared, plan, model)
    chunks = [(purpose, start, votes) for purpose, rows in stored.chunks.items() for start, votes in rows]

    def again(chunk: tuple[str, int, Votes]) -> Difference | None:
        purpose, start, votes = chunk
        counted = count(index, purpose, start, start + votes.n)
        return None if counted == votes else Difference(purpose, start, votes, counted)

    workers = cores() if prepared.device.type == "cpu" else 1
    with (
        one_thread(),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        found = [difference for difference in pool.map(again, chunks) if difference is not None]
    code = code_differences(json.loads(meta["code"]), code_record(json.loads(meta["densities"])))
    votes = sum(votes.n for _, _, votes in chunks)
    result = result_of(recorded_run, stored)
    return Reproduction(recorded_run.name, result, len(chunks), votes, tuple(found), tuple(code))
