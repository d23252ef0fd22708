"""Randomness has an identity: every block its own seed, decided by nothing else."""

from __future__ import annotations

import pytest
import torch

from runtime.rng import block_generator, block_seed, check_seed, derived_seed


def test_seeds_are_distinct_and_fit_63_bits() -> None:
    seeds = {
        block_seed(seed, index, purpose, block)
        for seed in (0, 1, 2**63 - 1)
        for index in range(5)
        for purpose in ("selection", "estimation", "prediction")
        for block in range(20)
    }
    assert len(seeds) == 3 * 5 * 3 * 20
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_stay_what_they_are() -> None:
    """A change here would change the noise of every stored run: raise the version tag with it."""
    assert block_seed(0, 0, "selection", 0) == 2511853563340249411
    assert derived_seed(7, "uniform-0.5") == 6533047895330758762


def test_parts_do_not_run_into_each_other() -> None:
    assert block_seed(1, 11, "selection", 1) != block_seed(11, 1, "selection", 1)
    assert derived_seed(1, "a", "bc") != derived_seed(1, "ab", "c")


def test_a_generator_gives_the_same_draws_again() -> None:
    cpu = torch.device("cpu")
    draws = [torch.rand(4, generator=block_generator(3, 1, "estimation", 2, cpu)) for _ in range(2)]
    assert torch.equal(draws[0], draws[1])


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True])
def test_bad_seeds_are_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="seed"):
        check_seed(seed)  # type: ignore[arg-type]


def test_bad_identities_are_refused() -> None:
    with pytest.raises(ValueError, match="purpose"):
        block_seed(0, 0, "training", 0)
    with pytest.raises(ValueError, match="at least 0"):
        block_seed(0, -1, "selection", 0)
