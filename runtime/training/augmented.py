"""Training under noise: every batch sees fresh noise of the law that certification will use, at the same σ,
added at the same place (before the network, hence before any normalisation inside it).

Source: Cohen, Rosenfeld and Kolter 2019, section 3.3 (Gaussian augmentation), for any noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from runtime.data import Dataset, Images
from runtime.fixed import Model, fixed_function
from runtime.models import build_model
from runtime.noise import Noise
from runtime.rng import derived_seed, named_generator
from runtime.sampling import device_of
from runtime.threads import one_thread


@dataclass(frozen=True)
class TrainingSettings:
    """Architecture, passes over the data, batch size, peak learning rate of Adam (one cycle)."""

    architecture: str = "cnn"
    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 0.004

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not 0.0 < self.learning_rate < float("inf"):
            raise ValueError(f"epochs, batch_size and learning_rate must be positive, got {self}")


def train_network(
    dataset: Dataset, noise: Noise, settings: TrainingSettings, seed: int, device: torch.device
) -> nn.Module:
    """Trains a network on noisy inputs.

    On one kind of processor the weights depend on the arguments only: the global random state is neither used
    nor changed, and on the CPU one thread does the arithmetic, since sums split over threads round otherwise.

    Args:
        dataset: its training part is used.
        noise: noise of dimension dataset.dim.
        settings: architecture and schedule.
        seed: decides weights, order and noise.
        device: where to train.

    Returns:
        The network on `device`, in eval() mode.
    """
    with one_thread():
        return _train(dataset, noise, settings, seed, device)


def _train(
    dataset: Dataset, noise: Noise, settings: TrainingSettings, seed: int, device: torch.device
) -> nn.Module:
    weights = derived_seed(seed, "weights")
    model = build_model(settings.architecture, dataset.shape, dataset.num_classes, weights)
    model.to(device).train()
    order = named_generator(seed, "order", torch.device("cpu"))
    source = named_generator(seed, "noise", device)
    x, y = dataset.x_train.to(device), dataset.y_train.to(device)
    steps = -(-len(x) // settings.batch_size) * settings.epochs
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=steps)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(x), generator=order).split(settings.batch_size):
            batch = x[rows.to(device)]
            noisy = batch + noise.sample(tuple(batch.shape), source)
            optimiser.zero_grad(set_to_none=True)
            loss_of(model(noisy), y[rows.to(device)]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def accuracy(model: Model, x: Images, y: torch.Tensor) -> float:
    """Share of inputs that the network classifies correctly without noise, in [0, 1].

    Args:
        model: maps [b, C, H, W] to logits.
        x: N >= 1 inputs by index; 256 at a time are held in memory.
        y: int64 [N].
    """
    device, kind = device_of(model, x[0]), x.dtype
    if isinstance(model, nn.Module):
        kind = next((p.dtype for p in model.parameters() if p.is_floating_point()), kind)
    hits = 0
    with fixed_function(model, device):
        for start in range(0, len(x), 256):
            logits = model(x[start : start + 256].to(device, kind))
            hits += int((logits.argmax(dim=1).cpu() == y[start : start + 256]).sum())
    return hits / len(x)
