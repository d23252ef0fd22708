"""Growth by grid quadrature, for one to three dimensions.

Restricting U to a box B that holds all but a mass δ of the moved law changes G by at most δ, so the
grid covers B alone. Every coordinate where the density or its moved copy jumps, bends or is
singular is a cell edge; a three-point Gauss rule serves each cell (exact for the uniform law). What
remains is the bend of (q_v - t·q)₊ where the likelihood ratio crosses its threshold t. Error
stated: δ, twice the largest difference between three refinements, what the finest grid misses of
the known total mass, and a quarter of what the bend may hide, the smaller of the positive and the
negative part of q_v - t·q in each cell that holds both (for a straight bend through the middle of a
cell the rule errs by 0.16 of that).
"""

from __future__ import annotations

import itertools

import numpy as np

from tests.properties.densities import Array, Density
from tests.properties.growth import Growth, discrete_growth

NODES = {1: 6000, 2: 360, 3: 72}  # nodes along each axis at the finest level
REFINEMENTS = (0.5, 0.7, 1.0)
OUTSIDE = {1: 1e-8, 2: 1e-6, 3: 1e-5}
_RULE = np.polynomial.legendre.leggauss(3)


def _graded(u: Array) -> Array:
    """Map [0, 1] onto itself with both ends flattened: cells shrink towards both."""
    return u * u * (3.0 - 2.0 * u)


def axis_nodes(edges: list[float], count: int, graded: bool) -> tuple[Array, Array]:
    """Nodes and weights on one axis: about ``count`` nodes, three a cell, cells ending at every edge."""
    points: list[Array] = [np.array(edges[:1])]
    span = edges[-1] - edges[0]
    for left, right in itertools.pairwise(edges):
        share = 0.5 / (len(edges) - 1) + 0.5 * (right - left) / span
        cells = max(2, round(count * share / _RULE[0].size))
        u = np.arange(1, cells + 1) / cells
        points.append(left + (right - left) * (_graded(u) if graded else u))
    grid = np.concatenate(points)
    middle, half = 0.5 * (grid[1:] + grid[:-1]), 0.5 * np.diff(grid)
    nodes = middle[:, None] + half[:, None] * _RULE[0]
    weights = half[:, None] * _RULE[1]
    return nodes.reshape(-1), weights.reshape(-1)


def _edges(density: Density, shift: float, reach: float) -> list[float]:
    """Ends of the box along one axis, and the places between them where either law is not smooth."""
    inner = {b + s for b in density.breaks for s in (0.0, shift)}
    low, high = shift - reach, shift + reach
    gap = 1e-12 * (high - low)
    edges = [low]
    for edge in sorted(inner):
        if edges[-1] + gap < edge < high - gap:
            edges.append(edge)
    return [*edges, high]


def _bend(gap: Array, dim: int) -> float:
    """Sum over cells of the smaller of the positive and the negative part of ``gap``, given on all nodes."""
    size = _RULE[0].size
    cells = gap.reshape([n for length in gap.shape for n in (length // size, size)])
    inside = tuple(range(1, 2 * dim, 2))
    positive = np.sum(np.maximum(cells, 0.0), axis=inside)
    negative = np.sum(np.maximum(-cells, 0.0), axis=inside)
    return float(np.sum(np.minimum(positive, negative)))


def _at_level(density: Density, shift: Array, p: float, nodes: int) -> tuple[float, float, float]:
    """Growth on one grid, the mass of the moved law that its nodes report, and the bend."""
    reach = density.box(OUTSIDE[density.dim])
    axes = [axis_nodes(_edges(density, float(s), reach), nodes, density.graded) for s in shift]
    points = np.stack(np.meshgrid(*(a[0] for a in axes), indexing="ij"), axis=-1)
    volume = axes[0][1]
    for _, weights in axes[1:]:
        volume = np.multiply.outer(volume, weights)
    before = volume * np.exp(density.log(points))
    after = volume * np.exp(density.log(points - shift))
    value, ratio = discrete_growth(before.reshape(-1), after.reshape(-1), p)
    return value, float(np.sum(after)), _bend(after - ratio * before, density.dim)


def growth_by_grid(density: Density, shift: Array, p: float) -> Growth:
    """G(p, shift) for a density at unit scale in at most three dimensions, with the error described above."""
    if density.dim not in NODES:
        raise ValueError(f"grid quadrature serves 1 to 3 dimensions, not {density.dim}: use sampling")
    finest = NODES[density.dim]
    runs = [_at_level(density, shift, p, round(f * finest)) for f in REFINEMENTS]
    values = [value for value, _, _ in runs]
    _, mass, bend = runs[-1]
    error = OUTSIDE[density.dim] + 2.0 * (max(values) - min(values)) + abs(1.0 - mass) + 0.25 * bend + 1e-9
    return Growth(values[-1], error)
