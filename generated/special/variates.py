"""Random variates and directions on the device of a torch.Generator, without host round trips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

BLOCK = 1 << 22
"""Variates that need float64 inside are drawn so many at a time: 32 MiB for each temporary, whatever the sample's size."""

SMALLEST = 2.0**-54
"""Below every nonzero variate made of 53 bits: what a zero, drawn once in 2**53, counts as under a logarithm."""


def check_event(shape: Sequence[int], dim: int) -> tuple[int, ...]:
    """`shape` as a tuple (n, *event) with prod(event) == dim; ValueError otherwise."""
    sizes = tuple(int(s) for s in shape)
    if not sizes or math.prod(sizes[1:]) != dim:
        raise ValueError(
            f"a sample of shape (n, …) needs {dim} entries for each of its n draws, not shape {sizes}"
        )
    return sizes


def by_blocks(
    draw: Callable[[int], torch.Tensor],
    shape: Sequence[int],
    generator: torch.Generator,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Independent draws of the given shape and dtype, each block from `draw(count)`, a tensor of `count` of them."""
    sizes = tuple(shape)
    total = math.prod(sizes)
    if total <= BLOCK:
        return draw(total).to(dtype).reshape(sizes)
    out = torch.empty(total, device=generator.device, dtype=dtype)
    for block in out.split(BLOCK):
        block.copy_(draw(block.numel()))
    return out.reshape(sizes)


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
    """Gamma(concentration, 1), on the generator's device.

    Below concentration 1 it is Gamma(concentration + 1)·U**(1/concentration), U from 53 bits: a GPU's own draw has 24 there,
    and no value below 2**-24 but zero.
    """
    a = _shape(concentration)
    if a < 1.0:
        return by_blocks(lambda count: _log_gamma(count, a, generator).exp_(), shape, generator, dtype)
    return _gamma(tuple(shape), a, generator, dtype)


def standard_beta(
    shape: Sequence[int],
    a: float,
    b: float,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """Beta(a, b), on the generator's device: G/(G + H) of Gamma variates G, H, or a uniform's power where a or b is 1.

    Drawn in float64 from the logarithms of G and H, so no shape is too small: values beyond the range of `dtype`, and
    those alone, become 0 or 1.
    """
    return by_blocks(
        lambda count: _log_beta_prime(count, _shape(a), _shape(b), generator).sigmoid_(),
        shape,
        generator,
        dtype,
    )


def beta_prime(
    shape: Sequence[int],
    a: float,
    b: float,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """Beta prime (a, b), density ∝ t**(a-1)·(1+t)**(-a-b), on the generator's device.

    Drawn in float64 from the logarithms of two Gamma variates, so both tails are those of the law: values beyond the range
    of `dtype`, and those alone, become 0 or inf.
    """
    return by_blocks(
        lambda count: _log_beta_prime(count, _shape(a), _shape(b), generator).exp_(), shape, generator, dtype
    )


def l2_direction(n: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Directions of a l2-radial law: uniform on the Euclidean unit sphere; shape (n, dim), ±1 for dim = 1.

    The normal coordinates are drawn in `dtype`, their norm is summed in float64.
    """
    if dim == 1:
        return signs((n, 1), generator, dtype)
    y = standard_normal((n, dim), generator, dtype)
    return _onto(y, torch.linalg.vector_norm(y, dim=1, keepdim=True, dtype=torch.float64))


def linf_direction(n: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Directions of a linf-radial law: uniform on the surface of the cube [-1, 1]^dim; shape (n, dim)."""
    y = uniform_pm1((n, dim), generator, dtype)
    face = torch.randint(0, dim, (n, 1), generator=generator, device=generator.device)
    return y.scatter_(1, face, signs((n, 1), generator, dtype))


def l1_direction(n: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Directions of a l1-radial law: uniform on the surface of the cross-polytope; shape (n, dim), ±1 for dim = 1.

    The exponential coordinates are drawn in `dtype`, their sum is taken in float64.
    """
    if dim == 1:
        return signs((n, 1), generator, dtype)
    y = standard_exponential((n, dim), generator, dtype)
    y = _onto(y, y.sum(dim=1, keepdim=True, dtype=torch.float64))
    return y.mul_(signs((n, dim), generator, torch.int8))


def _shape(value: float) -> float:
    number = float(value)
    if not 0.0 < number < math.inf:
        raise ValueError(f"the shape of a Gamma variate must be a positive finite number, not {value!r}")
    return number


def _onto(y: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
    """y / norm in place; a row of zeros, which single precision allows, becomes the first axis."""
    zero = norm == 0.0
    y[:, :1] += zero
    return y.div_(norm + zero)


def _gamma(shape: tuple[int, ...], a: float, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    alpha = torch.full((), a, device=generator.device, dtype=dtype).expand(shape)
    return torch._standard_gamma(alpha, generator=generator)


def _exponential(count: int, generator: torch.Generator) -> torch.Tensor:
    return standard_exponential((count,), generator, torch.float64).clamp_(min=SMALLEST)


def _log_gamma(count: int, a: float, generator: torch.Generator) -> torch.Tensor:
    """Logarithms of Gamma(a) variates, float64; finite for every a that is drawn here."""
    if a == 1.0:
        return _exponential(count, generator).log_()
    if a == 0.5:
        z = standard_normal((count,), generator, torch.float64)
        return z.square_().mul_(0.5).clamp_(min=SMALLEST**2).log_()
    log_g = _gamma((count,), a + 1.0 if a < 1.0 else a, generator, torch.float64).log_()
    return log_g.sub_(_exponential(count, generator), alpha=1.0 / a) if a < 1.0 else log_g


def _log_beta_prime(count: int, a: float, b: float, generator: torch.Generator) -> torch.Tensor:
    """Logarithms of beta prime (a, b) variates, float64."""
    if a == 1.0:  # P(t ≥ x) = (1 + x)**-b
        return _exponential(count, generator).div_(b).expm1_().log_()
    if b == 1.0:
        return _exponential(count, generator).div_(a).expm1_().log_().neg_()
    log_g = _log_gamma(count, a, generator)
    return log_g.sub_(_log_gamma(count, b, generator))
