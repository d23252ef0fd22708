"""The continuous batch: votes of many inputs together are those of each alone, and a fault strikes its own input only."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError

import pytest
import torch

from runtime.batching import BatchCounter
from runtime.grid import GridNoise
from runtime.noise import Noise
from runtime.rng import Stretch
from runtime.sampling import Launched, VoteSampler, count_votes

NOISE = Noise("gaussian", 64, sigma=0.4)
NOISES = {
    "floats": (NOISE, None),
    "grid": (NOISE, GridNoise(NOISE, 255)),
    "sampled grid": (Noise("exp_linf", 64, sigma=0.4), GridNoise(Noise("exp_linf", 64, sigma=0.4), 255)),
}
IMAGES = torch.randint(0, 256, (9, 1, 8, 8), generator=torch.Generator().manual_seed(4)) / 255.0


def stretches() -> list[Stretch]:
    """Stages of 9 inputs, of many lengths."""
    found = []
    for index in range(9):
        found.append(Stretch(5, index, "selection", 0, 100))
        found.append(Stretch(5, index, "estimation", 0, 64 + 37 * index))
        found.append(Stretch(5, index, "estimation", 640, 640 + [1, 64, 1300][index % 3]))
    return found


@pytest.mark.parametrize("kind", list(NOISES))
@pytest.mark.parametrize(("workers", "batch_size"), [(1, 64), (3, 1024)])
def test_votes_are_those_of_each_input_alone(
    kind: str, workers: int, batch_size: int, model: torch.nn.Module
) -> None:
    noise, grid = NOISES[kind]
    sampler = VoteSampler(model, noise, 10, IMAGES[0], grid, batch_size)
    with BatchCounter(sampler, lambda index: IMAGES[index], workers) as counter:
        futures = [counter.submit(stretch) for stretch in stretches()]
        found = [future.result(timeout=60) for future in futures]
    for stretch, (votes, seconds) in zip(stretches(), found, strict=True):
        alone = count_votes(
            model, IMAGES[stretch.index], noise, 10, grid=grid, batch_size=512, **vars(stretch)
        )
        assert votes == alone and votes.n == stretch.votes and seconds > 0


def test_batches_are_full_while_there_are_votes(
    model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages of 100 votes fill shapes of 256, and what is left over is counted once nothing else comes."""
    sampler = VoteSampler(model, NOISE, 10, IMAGES[0], GridNoise(NOISE, 255))
    sizes = []
    launch = VoteSampler.launch

    def noted(self: VoteSampler, parts: Sequence[Stretch], centres: Sequence[torch.Tensor]) -> Launched:
        sizes.append(sum(part.votes for part in parts))
        return launch(self, parts, centres)

    monkeypatch.setattr(VoteSampler, "launch", noted)
    counter = BatchCounter(sampler, lambda index: IMAGES[index], 0)
    futures = [
        counter.submit(Stretch(1, index % 9, "selection", 64 * index, 64 * index + 100))
        for index in range(30)
    ]
    parts = True
    while parts:
        parts = bool(taken := counter._take(wait=False))
        if taken:
            counter._settle(taken, counter._start(taken), 0.0)
    assert sum(sizes) == 3000 and sizes == [1024, 1024, 768, 184]
    assert all(future.done() for future in futures)


def test_a_network_that_takes_few_rows_still_gets_whole_blocks(
    model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an accelerator whose memory holds 32 rows: 63 votes of noise in blocks of 64 are one part, not none."""
    monkeypatch.setattr(VoteSampler, "fixed_shape", False)
    sampler = VoteSampler(model, NOISE, 10, IMAGES[0], None, 64)
    sampler.rows = 32
    counter = BatchCounter(sampler, lambda index: IMAGES[index], 0)
    counter.submit(Stretch(1, 0, "selection", 0, 63))
    (part,) = counter._take(wait=False)
    assert part.stretch.votes == 63


def test_a_fault_strikes_its_own_input_only(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = VoteSampler.launch

    def failing(self: VoteSampler, parts: Sequence[Stretch], centres: Sequence[torch.Tensor]) -> Launched:
        if any(part.index == 3 for part in parts):
            raise RuntimeError("this one")
        return launch(self, parts, centres)

    monkeypatch.setattr(VoteSampler, "launch", failing)
    sampler = VoteSampler(model, NOISE, 10, IMAGES[0])
    with BatchCounter(sampler, lambda index: IMAGES[index], 2) as counter:
        futures = {stretch: counter.submit(stretch) for stretch in stretches()}
        for stretch, future in futures.items():
            if stretch.index == 3:
                with pytest.raises(RuntimeError, match="this one"):
                    future.result(timeout=60)
            else:
                assert future.result(timeout=60)[0].n == stretch.votes


def test_closing_cancels_what_waits(model: torch.nn.Module) -> None:
    counter = BatchCounter(VoteSampler(model, NOISE, 10, IMAGES[0]), lambda index: IMAGES[index], 0)
    future = counter.submit(stretches()[0])
    gone = counter.submit(stretches()[1])
    assert gone.cancel()
    counter.close()
    with pytest.raises(CancelledError):
        future.result(timeout=1)


def test_a_row_has_the_same_logits_wherever_it_stands(model: torch.nn.Module) -> None:
    """What the shared batch rests on, in the shape that it uses."""
    batch = torch.randn((256, 1, 8, 8), generator=torch.Generator().manual_seed(2))
    order = torch.randperm(256, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        assert torch.equal(model(batch)[order], model(batch[order]))
