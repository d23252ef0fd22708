"""A run's network and noise on the way to workers: packed by the driver, rebuilt and checked by each worker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runtime.checkpoint import Checkpoint, load_checkpoint
from runtime.cluster.messages import Shipment
from runtime.engine import PreparedJob, network_path
from runtime.given import given_network
from runtime.grid import GridNoise
from runtime.job import Job, job_from, resolved_device
from runtime.noise import Noise
from runtime.precision import in_precision
from runtime.programs import is_factory
from runtime.sampling import VoteSampler
from runtime.store import DIGESTS, RunPlan
from runtime.version import code_differences, code_record


def packed(prepared: PreparedJob, folder: Path, plan: RunPlan, sha256: str) -> Shipment:
    """What workers need for a run.

    Args:
        prepared: the job.
        folder: the run folder, with the networks that the job trained.
        plan: the run.
        sha256: digest of its network.

    Raises:
        ValueError: the network's file cannot be read.
    """
    section = prepared.job.training
    trained = prepared.given is None
    given = section.checkpoint or section.model
    path = network_path(folder, plan) if trained or given is None else Path(given)
    factory = not trained and section.model is not None and is_factory(section.model)
    grid = prepared.grid.noises.get(plan.name)
    x = prepared.dataset.x_test[prepared.indices[0]]
    try:
        network = None if factory else path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"network {path} cannot be read ({error.strerror}), so no worker can have it"
        ) from None
    return Shipment(
        run=plan.name,
        config={key: value for key, value in prepared.config.items() if key not in DIGESTS},
        noise=plan.noise.spec,
        denominator=None if grid is None else grid.denominator,
        source=None if grid is None else grid.source,
        num_classes=plan.num_classes,
        shape=prepared.dataset.shape,
        dtype=str(x.numpy().dtype),
        network=network,
        suffix=path.suffix,
        trained=trained,
        sha256=sha256,
        code=code_record([plan.noise.family]),
    )


def rebuilt(shipment: Shipment) -> VoteSampler:
    """What draws the votes of a shipped run, on this machine.

    Raises:
        ValueError: it would not draw what the driver would: other code or libraries, another network, other noise.
    """
    noise = Noise.from_spec(shipment.noise)
    changes = code_differences(shipment.code, code_record([noise.family]))
    if changes:
        raise ValueError(
            f"it runs another program than the driver ({'; '.join(changes)}); install the same on every machine"
        )
    job = job_from(shipment.config, "shipment")
    device = resolved_device(job.device)
    checkpoint = _network(shipment, job, device)
    if checkpoint.sha256 != shipment.sha256:
        raise ValueError(
            f"model {checkpoint.architecture} cannot be shipped: it is another network here (other weights or source); "
            "write its weights to a file, and give that"
        )
    grid = None if shipment.denominator is None else GridNoise(noise, shipment.denominator)
    if grid is not None and grid.source != shipment.source:
        raise ValueError(
            f"its noise comes from {grid.source}, the driver's from {shipment.source}; install the same tables"
        )
    x = torch.from_numpy(np.zeros(shipment.shape, dtype=shipment.dtype))
    model = in_precision(checkpoint.model, job.certify.precision, device)
    return VoteSampler(model, noise, shipment.num_classes, x, grid, job.certify.batch_size)


def _network(shipment: Shipment, job: Job, device: torch.device) -> Checkpoint:
    section = job.training
    asked: dict[str, Any] = {"checkpoint": section.checkpoint, "program": section.model}
    with tempfile.TemporaryDirectory(prefix="smoothing-network-") as folder:
        path = Path(folder) / f"network{shipment.suffix}"
        if shipment.network is not None:
            path.write_bytes(shipment.network)
            if shipment.trained:
                return load_checkpoint(path)
            asked = {key: None if value is None else str(path) for key, value in asked.items()}
        given = given_network(
            **asked,
            architecture=section.architecture,
            normalise=section.normalise,
            shape=shipment.shape,
            num_classes=shipment.num_classes,
            device=device,
        )
    if given is None:
        raise ValueError("the shipment holds no network")
    return given
