"""A torch mode in which nothing may wait for the device: what a CUDA stream would have to stop for is an error."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "_unique", "equal")


class NoRoundTrips(TorchDispatchMode):  # type: ignore[misc]
    """Refuses reading a value on the host, results whose size depends on values, and copies to another device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert not name.startswith(WAITING) and not _masked(name, args), f"{name} waits for the device"
        out = func(*args, **(kwargs or {}))
        before = [a.device for a in args if isinstance(a, torch.Tensor) and a.dim() > 0]
        if isinstance(out, torch.Tensor) and before:
            assert out.device == before[0], f"{name} copies from {before[0]} to {out.device}"
        return out


def _masked(name: str, args: tuple[Any, ...]) -> bool:
    """Whether this selects entries by a mask: the size of the result depends on the mask's values."""
    if not name.startswith("index") or len(args) < 2 or not isinstance(args[1], (list, tuple)):
        return False
    return any(isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in args[1])
