"""Checkpoints in the layouts of public tools, with random weights."""

from __future__ import annotations

from typing import Any

import torch

from runtime.models import build_model
from runtime.models.normalise import KNOWN

Content = dict[str, Any]


def weights(architecture: str, seed: int = 0, classes: int = 10) -> dict[str, torch.Tensor]:
    """Random weights, with batch statistics that are not those of a fresh network."""
    state = build_model(architecture, (3, 32, 32), classes, seed).state_dict()
    generator = torch.Generator().manual_seed(seed)
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
        if key.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return dict(state)


def prefixed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


def cohen(state: dict[str, torch.Tensor], arch: str, parallel: bool = False) -> Content:
    """{"epoch", "arch", "state_dict", "optimizer"} with names 1.* or 1.module.*; layer 0 has no weights."""
    held = prefixed(state, "1.module." if parallel else "1.")
    groups = [{"lr": 0.1, "momentum": 0.9, "params": [0, 1]}]
    return {"epoch": 90, "arch": arch, "state_dict": held, "optimizer": {"state": {}, "param_groups": groups}}


def yang(state: dict[str, torch.Tensor], known: str = "cifar10") -> Content:
    """A bare state dict: model.module.*, norm.module.mu and norm.module.log_sig of shape [3, 1, 1]."""
    means, deviations = (torch.tensor(values).reshape(3, 1, 1) for values in KNOWN[known])
    norm = {"norm.module.mu": means, "norm.module.log_sig": deviations.log()}
    return {**norm, **prefixed(state, "model.module.")}


def macer(state: dict[str, torch.Tensor]) -> Content:
    """{"net", "epoch"}, names without a prefix."""
    return {"net": dict(state), "epoch": 440}
