"""Uniform noise against l1 for inputs in [0, 1]^d: an adversary that cannot leave the box has less to gain.

Noise uniform on the cube of half width b leaves a share prod(1 - |v_i|/2b) of itself in the copy shifted by v; the class is kept
while that exceeds t = 1 - (p_a - p_b)/2. In the box |v_i| ≤ b_i = max(x_i, 1 - x_i). The logarithm of the share is concave and
symmetric in |v|, hence least, for one l1 norm, where the coordinates of largest b_i are used up in turn. Along that path the share
is convex and piecewise linear: every line that continues one of its pieces lies below it and reaches t before it does, so each gives
a lower bound of the radius, and the piece that holds t the radius itself.
Source: Voráček and Hein, "Improving l1-certified robustness via randomized smoothing by leveraging box constraints" (ICML 2023).
"""

from __future__ import annotations

import math

import numpy as np
import torch

ROWS = 2**22
"""Coordinates that are worked on at a time."""
_DOWN = 1.0 - 2.0**-48
"""Absorbs the last ten operations."""


def batch_shape(inputs: torch.Tensor, dim: int) -> tuple[int, ...]:
    """The shape left of the trailing axes that hold `dim` coordinates; ValueError where none do."""
    for axis in range(inputs.dim() + 1):
        if math.prod(inputs.shape[axis:]) == dim:
            return tuple(inputs.shape[:axis])
    raise ValueError(
        f"inputs must hold {dim} coordinates in their last axes, got the shape {tuple(inputs.shape)}"
    )


def box_radius(lead: torch.Tensor, inputs: torch.Tensor, dim: int, half_width: float) -> torch.Tensor:
    """The l1 radius within the box, rounded down: every point of [0, 1]^d closer than that keeps the class.

    Args:
        lead: (p_a - p_b)/2 rounded down, float64, in [0, 1/2]; broadcast against the batch of inputs.
        inputs: points of the box, float32 or float64: dim coordinates in the last axes, in front of them a batch.
        half_width: b, in the units of the inputs.

    Returns:
        float64 of the broadcast shape; 0 where lead is 0, never below 2·b·lead (the radius without the box), inf where the whole
        box keeps the class. Differentiable in lead.

    Raises:
        ValueError: inputs outside [0, 1], without dim coordinates, or of a batch that does not fit lead.
    """
    if inputs.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"inputs must be float32 or float64, got {inputs.dtype}")
    bad = ~((inputs >= 0.0) & (inputs <= 1.0))
    if bool(bad.any()):
        raise ValueError(f"inputs must lie in [0, 1], got {float(inputs[bad].reshape(-1)[0])!r}")
    batch = batch_shape(inputs, dim)
    points = inputs.detach().reshape(-1, dim).to(torch.float64)
    try:
        shape = torch.broadcast_shapes(lead.shape, batch)
    except RuntimeError:
        raise ValueError(
            f"inputs must fit the shape of rho, {tuple(lead.shape)}, got a batch of {batch}; give one for each, or one"
        ) from None
    rows = torch.arange(points.shape[0], device=points.device).reshape(batch).expand(shape).reshape(-1)
    leads = lead.expand(shape).reshape(-1)
    size = max(1, ROWS // dim)
    parts = [
        _rows(leads[i : i + size], points[rows[i : i + size]], half_width)
        for i in range(0, rows.numel(), size)
    ]
    return torch.cat(parts).reshape(shape) if parts else leads.reshape(shape)


def _rows(lead: torch.Tensor, points: torch.Tensor, half_width: float) -> torch.Tensor:
    """One radius a row."""
    away = (
        1.0 - points
    )  # exact where it is at most 1/2; elsewhere the exact 1 - away tells how it was rounded
    away = torch.where((away >= 0.5) & (1.0 - away > points), torch.nextafter(away, away + 1.0), away)
    reach = torch.sort(torch.maximum(points, away), dim=-1, descending=True).values
    width = 2.0 * half_width
    # what is left after the first c coordinates, and how far that is; both below the exact values for any order of operations
    count = torch.arange(1, points.shape[-1] + 1, device=points.device, dtype=torch.float64)
    slack = 1.0 - (count + 2.0) * 2.0**-50
    left = torch.cumprod(torch.clamp(1.0 - reach / width, min=0.0), dim=-1) * slack
    path = torch.cumsum(reach, dim=-1) * slack
    before = torch.cat([torch.ones_like(left[:, :1]), left[:, :-1]], dim=-1)
    start = torch.cat([torch.zeros_like(path[:, :1]), path[:, :-1]], dim=-1)
    still = lead.detach()[:, None]
    piece = ((left - 1.0) + still > 0.0).sum(dim=-1, keepdim=True)
    whole = piece[:, 0] == points.shape[-1]
    piece = torch.clamp(piece, max=points.shape[-1] - 1)
    before, start = before.gather(1, piece)[:, 0], start.gather(1, piece)[:, 0]
    more = (before - 1.0) + lead
    bent = torch.where(more > 0.0, (start + width * (more / before)) * _DOWN, torch.zeros_like(lead))
    radius = torch.maximum(bent, width * lead * _DOWN)
    return torch.where(whole & (lead > 0.0), torch.full_like(radius, np.inf), radius)
