"""Vote counting: counts depend on identity alone, and broken logits are failed votes."""

from __future__ import annotations

import math

import pytest
import torch

from runtime.noise import Noise
from runtime.sampling import Votes, count_votes

NOISE = Noise("uniform", 64, sigma=0.5)


def votes(model: torch.nn.Module, x: torch.Tensor, start: int = 0, stop: int = 1500, **keys: object) -> Votes:
    arguments: dict[str, object] = {"seed": 1, "index": 4, "purpose": "estimation", **keys}
    return count_votes(model, x, NOISE, 10, start=start, stop=stop, **arguments)  # type: ignore[arg-type]


def test_batch_size_changes_no_count(model: torch.nn.Module, image: torch.Tensor) -> None:
    reference = votes(model, image, batch_size=64)
    assert reference.n == 1500 and len([c for c in reference.counts if c]) >= 2
    for batch_size in (1, 100, 1024, 10_000):
        assert votes(model, image, batch_size=batch_size) == reference


def test_ranges_add_up(model: torch.nn.Module, image: torch.Tensor) -> None:
    parts = votes(model, image, 0, 640) + votes(model, image, 640, 1500)
    assert parts == votes(model, image)


def test_identity_decides_the_counts(model: torch.nn.Module, image: torch.Tensor) -> None:
    reference = votes(model, image)
    assert votes(model, image) == reference
    assert votes(model, image, seed=2) != reference
    assert votes(model, image, index=5) != reference
    assert votes(model, image, purpose="selection") != reference


def test_counts_are_those_of_a_plain_loop(model: torch.nn.Module, image: torch.Tensor) -> None:
    from runtime.rng import block_generator

    expected = [0] * 10
    for block in range(24):
        noise = NOISE.sample((64, 1, 8, 8), block_generator(1, 4, "estimation", block, torch.device("cpu")))
        with torch.no_grad():
            winners = model(noise + image).argmax(dim=1)
        for winner in winners[: 1500 - 64 * block].tolist():
            expected[winner] += 1
    assert list(votes(model, image).counts) == expected


class Faulty(torch.nn.Module):
    """Class 1, but a broken logit wherever the first coordinate of the noisy input is above 1/2."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(x), 10)
        logits[:, 1] = 1.0
        logits[x.flatten(1)[:, 0] > 0.5, 3] = self.value
        return logits


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_broken_logits_are_failed_votes(value: float, image: torch.Tensor) -> None:
    counted = votes(Faulty(value), image * 0)
    assert counted.n == 1500
    assert 0 < counted.failed < 700
    assert counted.counts[1] == 1500 - counted.failed
    assert counted.counts[0] == counted.counts[3] == 0


def test_a_model_that_always_breaks_votes_for_no_class(image: torch.Tensor) -> None:
    broken = votes(lambda x: torch.full((len(x), 10), math.nan), image)  # type: ignore[arg-type]
    assert broken == Votes((0,) * 10, 1500)


def test_the_model_runs_in_eval_mode_and_is_left_as_it_was(image: torch.Tensor) -> None:
    seen = []

    class Dropping(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Sequential(
                torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(64, 10)
            )
            self.frozen = torch.nn.BatchNorm1d(10).eval()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((self.training, self.inner[1].training, torch.is_grad_enabled()))
            logits: torch.Tensor = self.inner(x)
            return logits

    network = Dropping().train()
    network.frozen.eval()
    assert votes(network, image) == votes(network, image)
    assert set(seen) == {(False, False, False)}
    assert network.training and network.inner[1].training and not network.frozen.training


def test_memory_is_bounded_by_the_batch(image: torch.Tensor) -> None:
    sizes = []

    def spy(x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return torch.zeros(len(x), 10)

    votes(spy, image, batch_size=256)  # type: ignore[arg-type]
    assert max(sizes) <= 256 and sum(sizes) == 24 * 64


@pytest.mark.parametrize("width", [9, 11, 1000])
def test_wrong_number_of_classes_is_refused(width: int, image: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=rf"\(256, {width}\).*num_classes"):
        votes(lambda x: torch.zeros(len(x), width), image)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((1, 8, 8), 255.0), "divide by 255"),
        (torch.zeros((1, 8, 8), dtype=torch.uint8), "float32"),
        (torch.zeros((1, 8, 8), dtype=torch.float16), "float32"),
        (torch.zeros((3, 8, 8)), "dim = 64"),
        (torch.full((1, 8, 8), math.nan), "NaN"),
    ],
)
def test_bad_inputs_are_refused(x: torch.Tensor, message: str, model: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match=message):
        votes(model, x)


def test_bad_ranges_are_refused(model: torch.nn.Module, image: torch.Tensor) -> None:
    for start, stop in ((1, 100), (64, 64), (-64, 10)):
        with pytest.raises(ValueError, match="multiple of 64"):
            votes(model, image, start, stop)
    with pytest.raises(ValueError, match="batch_size"):
        votes(model, image, batch_size=0)
