"""Random variates and directions on the device of a torch.Generator, without host round trips."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def check_event(shape: Sequence[int], dim: int) -> tuple[int, ...]:
    """`shape` as a tuple (n, *event) with prod(event) == dim; ValueError otherwise."""
    sizes = tuple(int(s) for s in shape)
    if not sizes or math.prod(sizes[1:]) != dim:
        raise ValueError(
            f"a sample of shape (n, …) needs {dim} entries for each of its n draws, not shape {sizes}"
        )
    return sizes


def uniform_pm1(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Uniform on (-1, 1), on the generator's device."""
    return 2.0 * torch.rand(tuple(shape), generator=generator, device=generator.device, dtype=dtype) - 1.0


def signs(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """±1 with probability 1/2 each, on the generator's device."""
    bits = torch.randint(0, 2, tuple(shape), generator=generator, device=generator.device, dtype=torch.int8)
    return (2 * bits - 1).to(dtype)


def standard_normal(shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Standard normal, on the generator's device."""
    return torch.randn(tuple(shape), generator=generator, device=generator.device, dtype=dtype)


def standard_exponential(
    shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype
) -> torch.Tensor:
    """Exponential with mean 1, on the generator's device."""
    return torch.empty(tuple(shape), device=generator.device, dtype=dtype).exponential_(generator=generator)


def standard_gamma(
    shape: Sequence[int], concentration: float, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """Gamma(concentration, 1), on the generator's device."""
    alpha = torch.full(tuple(shape), float(concentration), device=generator.device, dtype=dtype)
    return torch._standard_gamma(alpha, generator=generator)


def linf_direction(n: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Directions of a linf-radial law: uniform on the surface of the cube [-1, 1]^dim; shape (n, dim)."""
    y = uniform_pm1((n, dim), generator, dtype)
    face = torch.randint(0, dim, (n, 1), generator=generator, device=generator.device)
    return y.scatter_(1, face, signs((n, 1), generator, dtype))


def l1_direction(n: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Directions of a l1-radial law: uniform on the surface of the cross-polytope; shape (n, dim)."""
    y = standard_exponential((n, dim), generator, dtype)
    return y / y.sum(dim=1, keepdim=True) * signs((n, dim), generator, dtype)
