"""The precision that a network votes in: the network in that precision *is* the base classifier that a certificate is about.

Noise is added first, on the grid or in the inputs' own type; the network alone computes in the chosen precision.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

PRECISIONS: tuple[str, ...] = ("fp32", "tf32", "bf16", "fp16")
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class _Half(nn.Module):
    """A copy of a network with all its floating-point numbers in 16 bits; logits come out in float32."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.model = copy.deepcopy(model).to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(x.to(self.dtype))
        return logits.float()


class _Single(nn.Module):
    """A network on CUDA with TensorFloat-32 switched off, or on, while it runs: torch's own default is on for convolutions alone."""

    def __init__(self, model: nn.Module, rounded: bool) -> None:
        super().__init__()
        self.model = model
        self.rounded = rounded

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
        before = [switch.allow_tf32 for switch in switches]
        try:
            for switch in switches:
                switch.allow_tf32 = self.rounded
            logits: torch.Tensor = self.model(x)
            return logits
        finally:
            for switch, was in zip(switches, before, strict=True):
                switch.allow_tf32 = was


def check_precision(precision: str, device: torch.device) -> None:
    """Refuses a precision that the device does not have.

    Args:
        precision: one of `PRECISIONS`.
        device: where the network votes.

    Raises:
        ValueError: TensorFloat-32 anywhere but on CUDA.
    """
    if precision == "tf32" and device.type != "cuda":
        raise ValueError(f"tf32 exists on CUDA devices only, got {device}; take fp32, bf16 or fp16")


def in_precision(model: nn.Module, precision: str, device: torch.device) -> nn.Module:
    """The network as it votes: on the device, in eval() mode, in the precision.

    Args:
        model: maps [b, *event] to logits; it is not changed, but for being moved to the device.
        precision: one of `PRECISIONS`: fp32 (float32 throughout), tf32 (float32 whose products are rounded to 10 bits, CUDA only),
            bf16 or fp16 (weights and arithmetic in 16 bits).
        device: where it votes.

    Raises:
        ValueError: see `check_precision`; or a network without parameters, whose precision is its own.
    """
    check_precision(precision, device)
    moved = model.to(device).eval()
    if precision in _HALF:
        if not any(parameter.is_floating_point() for parameter in moved.parameters()):
            raise ValueError(
                f"a network without parameters has a precision of its own and cannot vote in {precision}; "
                "take fp32, and cast inside the network"
            )
        return _Half(moved, _HALF[precision]).eval()
    return _Single(moved, precision == "tf32").eval() if device.type == "cuda" else moved
