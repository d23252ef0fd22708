"""Randomness has an identity: every block its own seed, decided by nothing else."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
import torch

from runtime.rng import block_generator, block_key, check_seed, derived_seed, generator_from

CPU = torch.device("cpu")


def first_draws(seed: int, index: int, purpose: str, block: int) -> bytes:
    return torch.rand(4, generator=block_generator(seed, index, purpose, block, CPU)).numpy().tobytes()


def test_streams_are_distinct() -> None:
    streams = {
        first_draws(seed, index, purpose, block)
        for seed in (0, 1, 2**63 - 1)
        for index in range(5)
        for purpose in ("selection", "estimation", "prediction")
        for block in range(20)
    }
    assert len(streams) == 3 * 5 * 3 * 20


def test_no_stream_is_decided_by_32_bits_alone() -> None:
    """Of 200,000 streams that 32 bits decide, about five pairs would be the same."""
    words = {
        torch.rand(2, generator=block_generator(0, 0, "estimation", block, CPU)).numpy().tobytes()
        for block in range(200_000)
    }
    assert len(words) == 200_000


def test_the_draws_are_those_of_an_independent_mersenne_twister() -> None:
    key = block_key(3, 1, "estimation", 2)
    twister = np.random.MT19937()
    words = np.frombuffer(hashlib.shake_256(key).digest(2496), "<u4")
    twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    expected = (twister.random_raw(2000) & 0xFFFFFF) / 2.0**24
    drawn = torch.rand(2000, generator=generator_from(key, CPU))
    assert np.array_equal(drawn.numpy().astype(np.float64), expected)


def test_keys_that_agree_in_a_32_bit_seed_give_different_draws() -> None:
    seen: dict[bytes, int] = {}
    for number in range(400_000):
        low = hashlib.sha256(b"%d" % number).digest()[4:8]
        if low in seen:
            break
        seen[low] = number
    else:
        raise AssertionError("no pair found")
    pair = [torch.rand(8, generator=generator_from(b"%d" % n, CPU)) for n in (seen[low], number)]
    assert not torch.equal(pair[0], pair[1])


def test_a_generator_starts_fresh_but_for_its_words() -> None:
    state, fresh = generator_from(b"a", CPU).get_state(), torch.Generator().get_state()
    differing = torch.nonzero(state != fresh).flatten()
    assert 24 <= int(differing.min()) and int(differing.max()) < 24 + 8 * 624
    first, second = (torch.randn(5, generator=generator_from(key, CPU)) for key in (b"a", b"b"))
    assert not torch.equal(first, second)


def test_another_layout_of_the_state_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.rng._STATE_BYTES", 4000)
    with pytest.raises(ValueError, match=f"torch {re.escape(torch.__version__)} .*5056 bytes"):
        generator_from(b"a", CPU)


def test_streams_stay_what_they_are() -> None:
    """A change here would change the noise of every stored run: raise the version tag with it."""
    draws = torch.rand(3, generator=block_generator(0, 0, "selection", 0, CPU)).double() * 2**24
    assert draws.tolist() == [13775144.0, 7451652.0, 11665725.0]
    assert derived_seed(7, "uniform-0.5") == 8810010250543146699


def test_parts_do_not_run_into_each_other() -> None:
    assert block_key(1, 11, "selection", 1) != block_key(11, 1, "selection", 1)
    assert derived_seed(1, "a", "bc") != derived_seed(1, "ab", "c")


def test_a_generator_gives_the_same_draws_again() -> None:
    draws = [torch.rand(4, generator=block_generator(3, 1, "estimation", 2, CPU)) for _ in range(2)]
    assert torch.equal(draws[0], draws[1])


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True])
def test_bad_seeds_are_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="seed"):
        check_seed(seed)  # type: ignore[arg-type]


def test_bad_identities_are_refused() -> None:
    with pytest.raises(ValueError, match="purpose"):
        block_key(0, 0, "training", 0)
    with pytest.raises(ValueError, match="at least 0"):
        block_key(0, -1, "selection", 0)
