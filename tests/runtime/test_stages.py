"""Replaying a procedure: the same votes wanted whatever was recorded, and nothing that was not asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from runtime.noise import Noise
from runtime.procedure import Decision, FixedSample, joined
from runtime.sampling import Votes
from runtime.stages import Chunks, adjoining, cut, stage_of


def votes(n: int, ahead: int = 0) -> Votes:
    return Votes((ahead, n - ahead), 0)


@dataclass(frozen=True)
class Looks:
    """Asks for 64, 192, 448 votes; stops once class 0 has 100 at such a look."""

    def selection(self) -> int:
        return 10

    def maximum(self) -> int | None:
        return 448

    def next_total(self, selection: Votes, estimation: Sequence[Votes]) -> int | None:
        seen = joined(estimation, selection)
        assert seen.n in (0, 64, 192, 448), "a torn stage is never shown"
        following = {0: 64, 64: 192, 192: 448}.get(seen.n)
        return None if seen.counts[0] >= 100 else following

    def decide(
        self, selection: Votes, estimation: Sequence[Votes], noise: Noise, uniform: float = 0.0
    ) -> Decision:
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        return {}


SELECTION = [(0, votes(10))]


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        ({}, ("selection", 0, 10)),
        ({"selection": SELECTION}, ("estimation", 0, 64)),
        ({"selection": SELECTION, "estimation": [(0, votes(64))]}, ("estimation", 64, 192)),
        (
            {"selection": SELECTION, "estimation": [(0, votes(64)), (64, votes(64, 60))]},
            ("estimation", 128, 192),
        ),
        (
            {"selection": SELECTION, "estimation": [(0, votes(64, 60)), (64, votes(64)), (128, votes(64))]},
            ("estimation", 192, 448),
        ),
        (
            {
                "selection": SELECTION,
                "estimation": [(0, votes(64, 60)), (64, votes(64, 40)), (128, votes(64))],
            },
            None,
        ),
    ],
)
def test_what_is_wanted_next(chunks: Chunks, wanted: tuple[str, int, int] | None) -> None:
    assert stage_of(Looks(), chunks, 2).wanted == wanted


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ({"selection": [(0, votes(11))]}, "11 selection votes, not 10"),
        ({"estimation": [(0, votes(64))]}, "0 selection votes, not 10"),
        ({"selection": SELECTION, "estimation": [(64, votes(64))]}, "gap or overlap"),
        ({"selection": SELECTION, "estimation": [(0, votes(64)), (0, votes(64))]}, "gap or overlap"),
        ({"selection": SELECTION, "estimation": [(0, votes(128))]}, "asks for 64"),
        (
            {"selection": SELECTION, "estimation": [(0, votes(64)), (64, votes(128, 100)), (192, votes(64))]},
            "more than the 192",
        ),
    ],
)
def test_votes_that_were_not_asked_for_are_refused(chunks: Chunks, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stage_of(Looks(), chunks, 2)


def test_a_fixed_sample_takes_any_chunks_that_add_up() -> None:
    rule = FixedSample(10, 200, 0.001)
    for sizes in ([200], [64, 136], [128, 64, 8]):
        starts = [sum(sizes[:position]) for position in range(len(sizes))]
        parts = [(start, votes(size)) for start, size in zip(starts, sizes, strict=True)]
        stage = stage_of(rule, {"selection": SELECTION, "estimation": parts}, 2)
        assert stage.wanted is None and joined(stage.estimation, stage.selection).n == 200


def test_ranges_are_cut_and_joined_without_a_gap() -> None:
    assert list(cut(64, 300, 128)) == [(64, 192), (192, 300)]
    assert adjoining([(0, votes(64)), (64, votes(5))]) and not adjoining([(0, votes(5)), (5, votes(5))])
