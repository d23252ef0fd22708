"""Forward passes written out from a state dict alone, by functional calls: a second implementation to compare with."""

from __future__ import annotations

import torch
from torch.nn import functional

State = dict[str, torch.Tensor]


def _norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    keys = ("running_mean", "running_var", "weight", "bias")
    mean, variance, weight, bias = (state[f"{name}.{key}"].view(1, -1, 1, 1) for key in keys)
    return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias


def _blocks(state: State, stage: str) -> int:
    return len({key.split(".")[stage.count(".") + 1] for key in state if key.startswith(stage + ".")})


def residual(state: State, x: torch.Tensor) -> torch.Tensor:
    """The networks with layer1 …: the stem's kernel tells small images (3×3) from large ones (7×7, stride 2, maximum)."""
    large = state["conv1.weight"].shape[-1] == 7
    out = functional.conv2d(x, state["conv1.weight"], stride=2 if large else 1, padding=3 if large else 1)
    out = functional.relu(_norm(state, "bn1", out))
    if large:
        out = functional.max_pool2d(out, 3, stride=2, padding=1)
    for stage in range(1, 5 if large else 4):
        for block in range(_blocks(state, f"layer{stage}")):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            if large:
                y = functional.relu(
                    _norm(state, f"{name}.bn1", functional.conv2d(out, state[f"{name}.conv1.weight"]))
                )
                y = functional.conv2d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1)
                y = functional.relu(_norm(state, f"{name}.bn2", y))
                y = _norm(state, f"{name}.bn3", functional.conv2d(y, state[f"{name}.conv3.weight"]))
            else:
                y = functional.conv2d(out, state[f"{name}.conv1.weight"], stride=stride, padding=1)
                y = functional.relu(_norm(state, f"{name}.bn1", y))
                y = _norm(
                    state, f"{name}.bn2", functional.conv2d(y, state[f"{name}.conv2.weight"], padding=1)
                )
            if f"{name}.downsample.0.weight" in state:
                out = functional.conv2d(out, state[f"{name}.downsample.0.weight"], stride=stride)
                out = _norm(state, f"{name}.downsample.1", out)
            out = functional.relu(y + out)
    return functional.linear(out.mean(dim=(2, 3)), state["fc.weight"], state["fc.bias"])


def wide(state: State, x: torch.Tensor) -> torch.Tensor:
    """The pre-activated network with block1 …; its last map is averaged by 8×8 windows."""
    out = functional.conv2d(x, state["conv1.weight"], padding=1)
    for stage in (1, 2, 3):
        for block in range(_blocks(state, f"block{stage}.layer")):
            name = f"block{stage}.layer.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            active = functional.relu(_norm(state, f"{name}.bn1", out))
            y = functional.conv2d(active, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            y = functional.relu(_norm(state, f"{name}.bn2", y))
            y = functional.conv2d(y, state[f"{name}.conv2.weight"], padding=1)
            if f"{name}.convShortcut.weight" in state:
                out = functional.conv2d(active, state[f"{name}.convShortcut.weight"], stride=stride)
            out = out + y
    out = functional.avg_pool2d(functional.relu(_norm(state, "bn1", out)), 8).flatten(1)
    return functional.linear(out, state["fc.weight"], state["fc.bias"])
