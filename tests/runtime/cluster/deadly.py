"""Networks for tests of clusters: one whose worker dies of certain inputs, one that is another in every process."""

from __future__ import annotations

import os
import sys

import torch
from torch import nn

_IN_WORKER = "default_worker" in sys.argv[0]


class _Deadly(nn.Module):
    """Linear; ends a worker's process over bright inputs."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.randn((3, 16), generator=torch.Generator().manual_seed(3))
        self.weight = nn.Parameter(weights, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        if _IN_WORKER and bool((flat.mean(dim=1) > 0.8).any()):
            os._exit(9)
        return (flat - 0.3) @ self.weight.T


def deadly() -> nn.Module:
    return _Deadly()


def other_each_time() -> nn.Module:
    torch.seed()
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
