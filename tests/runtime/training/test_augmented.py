"""Training under noise: it learns, and the seed decides every weight."""

from __future__ import annotations

import pytest
import torch

from runtime.data import load_dataset
from runtime.noise import Noise
from runtime.training import TrainingSettings, accuracy, train_network

CPU = torch.device("cpu")


def test_training_learns_and_repeats() -> None:
    digits = load_dataset("digits")
    noise = Noise("laplace", 64, sigma=0.25)
    settings = TrainingSettings("mlp", epochs=8)
    state = torch.random.get_rng_state()
    first, again, other = (train_network(digits, noise, settings, seed, CPU) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    assert not first.training
    assert accuracy(first, digits.x_test, digits.y_test) > 0.8


def test_training_sees_the_noise_that_certification_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_dataset("digits")
    noise = Noise("gaussian", 64, sigma=0.5)
    drawn = []
    sample = noise.sample

    def spy(*arguments: object, **keys: object) -> torch.Tensor:
        drawn.append(sample(*arguments, **keys))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(noise, "sample", spy)
    train_network(digits, noise, TrainingSettings("mlp", epochs=2, batch_size=500), 0, CPU)
    assert sum(len(part) for part in drawn) == 2 * 1297
    assert float(torch.cat(drawn).std()) == pytest.approx(0.5, rel=0.01)
    assert not torch.equal(drawn[0], drawn[3])


def test_accuracy_is_the_share_of_hits() -> None:
    x = torch.zeros(300, 1, 2, 2)
    y = torch.arange(300) % 3
    assert accuracy(lambda b: torch.nn.functional.one_hot(torch.zeros(len(b)).long(), 3), x, y) == 1 / 3


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}])
def test_bad_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        TrainingSettings(**change)  # type: ignore[arg-type]


def test_the_number_of_threads_changes_no_weight() -> None:
    digits = load_dataset("digits")
    noise = Noise("uniform", 64, sigma=0.25)
    threads = torch.get_num_threads()
    weights = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            network = train_network(digits, noise, TrainingSettings("cnn", epochs=1), 0, CPU)
            weights.append(torch.cat([part.detach().flatten() for part in network.parameters()]))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(weights[0], weights[1])
