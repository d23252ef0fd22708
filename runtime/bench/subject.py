"""What is measured: a network, its noise and inputs, trained on real images where there are some."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.checkpoint import Checkpoint
from runtime.engine import PreparedJob, ensure_network, prepare
from runtime.grid import GridNoise
from runtime.job import job_from
from runtime.models import Shape, build_model
from runtime.noise import Noise
from runtime.store import RunStore
from runtime.threads import one_thread

_NATIVE: Mapping[str, tuple[Shape, int]] = {
    "cifar_resnet20": ((3, 32, 32), 10),
    "cifar_resnet110": ((3, 32, 32), 10),
    "wide_resnet40_2": ((3, 32, 32), 10),
    "imagenet_resnet50": ((3, 224, 224), 1000),
}
"""Architectures measured with fresh weights, on made-up images of the shape that they are made for."""
_IMAGES = 16


@dataclass(frozen=True)
class Subject:
    """A network and what it is certified with.

    Attributes:
        name: of the network.
        model: in eval mode, on its device.
        images: [k, C, H, W] on the CPU, on the grid.
        num_classes: of the network.
        noise: continuous noise.
        grid: the same on the grid; None where floats are added to floats.
        job: values of the job whose inputs these are; None for fresh weights, with which certificates say nothing.
        network: what the job certifies; None for fresh weights.
    """

    name: str
    model: torch.nn.Module
    images: torch.Tensor
    num_classes: int
    noise: Noise
    grid: GridNoise | None
    job: Mapping[str, Any] | None
    network: Checkpoint | None

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def subject_of(architecture: str | None, values: Mapping[str, Any], device: torch.device) -> Subject:
    """The network asked for, ready to run.

    Args:
        architecture: one of `runtime.models.ARCHITECTURES`; None for the job's checkpoint or program.
        values: a job: its noise, and for networks of real images its data, training and certificates.
        device: where it runs.

    Raises:
        ValueError: what the job names does not exist or does not fit; the message says which and why.
    """
    if architecture is not None and architecture in _NATIVE:
        return _made_up(architecture, values, device)
    training = dict(values.get("training", {}))
    if architecture is not None:
        training["architecture"] = architecture
    job = {**values, "training": training}
    prepared = prepare(job_from(job, "bench"))
    network = _network(prepared)
    plan, data = prepared.plans[0], prepared.dataset
    return Subject(
        architecture or str(training.get("checkpoint") or training.get("model")),
        network.model.to(device).eval(),
        data.x_test[list(prepared.indices)],
        data.num_classes,
        plan.noise,
        prepared.grid.noises.get(plan.name),
        job,
        network,
    )


def _network(prepared: PreparedJob) -> Checkpoint:
    """The given network, or one trained now, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        with RunStore(Path(folder) / "run", prepared.config, prepared.plans) as store:
            return ensure_network(prepared, store, prepared.plans[0], lambda line: None)


def _made_up(architecture: str, values: Mapping[str, Any], device: torch.device) -> Subject:
    shape, classes = _NATIVE[architecture]
    entry = values["noise"][0]
    dim = shape[0] * shape[1] * shape[2]
    noise = Noise(entry["family"], dim, sigma=values["sigmas"][0], **entry.get("params", {}))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (_IMAGES, *shape), generator=generator) / 255.0
    on_grid = values.get("certify", {}).get("grid") != "none"
    model = build_model(architecture, shape, classes).to(device).eval()
    return Subject(
        architecture, model, images, classes, noise, GridNoise(noise, 255) if on_grid else None, None, None
    )
