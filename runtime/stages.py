"""Which votes an input still needs: its procedure, replayed over the votes that are recorded.

A procedure asks for votes in stages. Votes are recorded chunk by chunk, and a stage may be interrupted between two
chunks; the procedure never sees such a torn stage. It is replayed from its first stage on, so that an input that
was interrupted asks for what an undisturbed one asks for, and a stored input is checked by the same replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runtime.procedure import Procedure
from runtime.rng import BLOCK
from runtime.sampling import Votes

Chunks = Mapping[str, Sequence[tuple[int, Votes]]]
"""Recorded votes of one input by purpose: (start, votes), by increasing start."""


@dataclass(frozen=True)
class Stage:
    """Where an input stands.

    Attributes:
        selection: the selection votes so far.
        estimation: the estimation votes of all finished stages, as they were recorded.
        wanted: purpose, first vote and one past the last of the votes to count next; None when decided.
    """

    selection: Votes
    estimation: tuple[Votes, ...]
    wanted: tuple[str, int, int] | None


def adjoining(chunks: Sequence[tuple[int, Votes]]) -> bool:
    """Whether chunks follow each other from vote 0 on, without gap or overlap."""
    reached = 0
    for start, votes in chunks:
        if start != reached or start % BLOCK:
            return False
        reached += votes.n
    return True


def stage_of(procedure: Procedure, chunks: Chunks, num_classes: int) -> Stage:
    """What is known of one input, and what its procedure wants next.

    Args:
        procedure: how the input is decided.
        chunks: its recorded votes.
        num_classes: number of classes.

    Raises:
        ValueError: chunks that leave a gap, or that are not those the procedure asks for.
    """
    for purpose in ("selection", "estimation"):
        if not adjoining(chunks.get(purpose, ())):
            raise ValueError(f"its {purpose} votes have a gap or overlap")
    n0 = procedure.selection()
    selection = sum((votes for _, votes in chunks.get("selection", ())), Votes((0,) * num_classes, 0))
    rest = iter(chunks.get("estimation", ()))
    chunk = next(rest, None)
    if selection.n > n0 or (selection.n < n0 and chunk is not None):
        raise ValueError(f"it has {selection.n} selection votes, not {n0}")
    if selection.n < n0:
        return Stage(selection, (), ("selection", selection.n, n0))
    estimation: tuple[Votes, ...] = ()
    done = 0
    while (total := procedure.next_total(selection, estimation)) is not None:
        if total <= done:
            raise ValueError(f"its procedure asks for {total} estimation votes after {done}")
        stage: list[Votes] = []
        reached = done
        while reached < total and chunk is not None:
            stage.append(chunk[1])
            reached += chunk[1].n
            chunk = next(rest, None)
        if reached > total:
            raise ValueError(f"it has {reached} estimation votes where its procedure asks for {total}")
        if reached < total:
            return Stage(selection, estimation, ("estimation", reached, total))
        estimation, done = (*estimation, *stage), total
    if chunk is not None:
        raise ValueError(f"it has more than the {done} estimation votes that decide it")
    return Stage(selection, estimation, None)


def cut(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """The votes start … stop-1 in ranges of `size`, the last one shorter."""
    for first in range(start, stop, size):
        yield first, min(stop, first + size)
