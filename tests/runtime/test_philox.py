"""Philox words: published answers, NumPy and torch alike, and one word for one vote whatever surrounds it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from runtime import philox
from runtime.rng import Stretch

CPU = torch.device("cpu")
ANSWER = "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"
"""Of Random123's known answers, philox4x64 with ten rounds: counter and key zero."""


def stretch(index: int, start: int, stop: int, seed: int = 11, purpose: str = "estimation") -> Stretch:
    return Stretch(seed, index, purpose, start, stop)


def test_the_published_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(philox, "stream_key", lambda seed, purpose: (0, 0))
    expected = [philox._signed(int(word, 16)) for word in ANSWER.split()]
    assert philox._with_torch([stretch(0, 0, 1)], 1, CPU, 0).tolist() == expected
    assert philox._with_numpy([stretch(0, 0, 1)], 1, 0).tolist() == expected


def plain(counter: list[int], key: list[int]) -> list[int]:
    """The definition, in Python's integers."""
    for _ in range(10):
        first, second = counter[0] * 0xD2E7470EE14C6C93, counter[2] * 0xCA5A826395121157
        counter = [
            (second >> 64) ^ counter[1] ^ key[0],
            second % 2**64,
            (first >> 64) ^ counter[3] ^ key[1],
            first % 2**64,
        ]
        key = [(key[0] + 0x9E3779B97F4A7C15) % 2**64, (key[1] + 0xBB67AE8584CAA73B) % 2**64]
    return [philox._signed(word) for word in counter]


@pytest.mark.parametrize("purpose", ["selection", "estimation"])
@pytest.mark.parametrize("index", [0, 7, 2**63 - 1])
@pytest.mark.parametrize(("start", "lane"), [(0, 0), (1, 0), (2**32 - 2, 3), (2**63 - 9, 2**63 - 1)])
def test_numpy_torch_and_the_definition_agree(purpose: str, index: int, start: int, lane: int) -> None:
    key = philox.stream_key(11, purpose)
    expected = [word for i in range(4) for word in plain([start + i, index, lane, 0], list(key))]
    votes = [
        stretch(index, start, start + 3, purpose=purpose),
        stretch(index, start + 3, start + 4, purpose=purpose),
    ]
    assert philox._with_numpy(votes, 1, lane).tolist() == expected
    assert philox._with_torch(votes, 1, CPU, lane).tolist() == expected


def test_votes_of_several_inputs_are_drawn_together() -> None:
    votes = [stretch(3, 5, 9), stretch(0, 64, 65, seed=7, purpose="selection"), stretch(3, 9, 12)]
    alone = torch.cat([philox.words([one], 5, CPU, 2) for one in votes])
    assert torch.equal(philox.words(votes, 5, CPU, 2), alone) and len(alone) == 8
    assert torch.equal(philox._with_torch(votes, 2, CPU, 2).view(8, 8)[:, :5], alone)


@pytest.mark.parametrize("dim", [1, 15, 64, 70, 300])
def test_cells_are_the_bits_of_the_words(dim: int) -> None:
    key = philox.stream_key(11, "estimation")
    found = philox.cells([stretch(3, 5, 7)], dim, CPU).tolist()
    for vote in (5, 6):
        for i in range(dim):
            counter = vote * math.ceil(dim / 16) + i // 16
            whole = plain([counter, 3, 0, 0], list(key))[i // 4 % 4] % 2**64
            assert found[vote - 5][i] == whole >> 16 * (i % 4) & 0xFFFF


def test_further_words_are_a_votes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the definition, and the same whatever votes are drawn together; torch's as NumPy's."""
    key, dim = philox.stream_key(11, "estimation"), 150
    asks = torch.zeros(6, dim, dtype=torch.bool)
    asks[0, [3, 4, 63, 64, 149]] = True
    asks[2, 60:140] = True
    asks[5, 0] = True

    def drawn(first: int, last: int) -> list[int]:
        rows, columns = asks[first:last].nonzero(as_tuple=True)
        return philox.more([stretch(9, 100 + first, 100 + last)], dim, rows, columns).tolist()

    expected = []
    for row in range(6):
        for group in range(3):
            columns = [i for i in range(dim) if asks[row, i] and i // 64 == group]
            for rank in range(len(columns)):
                counter = [(100 + row) * 3 + group, 9, 1 + rank // 4, 0]
                expected.append(plain(counter, list(key))[rank % 4])
    assert drawn(0, 6) == expected and len(expected) == 86
    assert drawn(0, 2) + drawn(2, 3) + drawn(3, 6) == expected and drawn(1, 2) == drawn(3, 5) == []

    def with_torch(stretches: list[Stretch], groups: int, lane: int) -> np.ndarray:
        return philox._with_torch(stretches, groups, CPU, lane).numpy()

    monkeypatch.setattr(philox, "_with_numpy", with_torch)
    assert drawn(0, 6) == expected


@pytest.mark.parametrize("per_vote", [1, 3, 64, 75])
def test_a_votes_words_do_not_depend_on_the_range_they_are_drawn_in(per_vote: int) -> None:
    whole = philox.words([stretch(5, 0, 300)], per_vote, CPU)
    assert whole.shape == (300, per_vote) and whole.dtype == torch.int64
    assert len(torch.unique(whole)) == whole.numel()
    for first, last in ((0, 64), (64, 164), (299, 300)):
        assert torch.equal(philox.words([stretch(5, first, last)], per_vote, CPU), whole[first:last])


def test_streams_of_other_inputs_seeds_and_purposes_share_nothing() -> None:
    streams = [
        philox.words([stretch(index, 0, 50, seed, purpose)], 20, CPU, lane)
        for seed in (0, 1)
        for purpose in ("selection", "estimation", "prediction")
        for index in (0, 1, 2)
        for lane in (0, 1)
    ]
    assert len(torch.unique(torch.cat(streams))) == 36 * 50 * 20


def test_bits_are_balanced() -> None:
    """Each of the 64 bits is set in half of 2^18 words, within five standard deviations (256 each)."""
    raw = philox.words([stretch(0, 0, 2**12)], 64, CPU).numpy().view(np.uint64)
    for bit in range(64):
        assert abs(int(((raw >> np.uint64(bit)) & np.uint64(1)).sum()) - 2**17) < 5 * 256


def test_numbers_out_of_range_are_refused() -> None:
    good = stretch(0, 0, 1)
    for stretches, per_vote, lane in (
        ([good], 0, 0),
        ([good], 1, -1),
        ([good], 1, 2**63),
        ([good, stretch(0, 2**62 - 1, 2**62)], 100, 0),
        ([stretch(2**63, 0, 1)], 1, 0),
    ):
        with pytest.raises(ValueError):
            philox.words(stretches, per_vote, CPU, lane)
    for arguments in ((-1, 0, 1), (True, 0, 1), (0, -64, 1), (0, 5, 5), (0, 5, 4)):
        with pytest.raises(ValueError):
            stretch(*arguments)
    with pytest.raises(ValueError, match="purpose"):
        philox.stream_key(0, "other")
    with pytest.raises(ValueError, match="purpose"):
        stretch(0, 0, 1, purpose="other")
    with pytest.raises(ValueError, match="seed"):
        philox.stream_key(-1, "selection")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_gives_the_same_words() -> None:
    votes = [stretch(4, 128, 200), stretch(5, 64, 92)]
    there = philox.words(votes, 75, torch.device("cuda"))
    assert torch.equal(there.cpu(), philox.words(votes, 75, CPU))
    there = philox.cells(votes, 75, torch.device("cuda"))
    assert torch.equal(there.cpu(), philox.cells(votes, 75, CPU))
