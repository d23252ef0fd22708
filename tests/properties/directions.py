"""Directions on the unit sphere of an adversary's norm: vertices, edges, faces and random ones."""

from __future__ import annotations

import numpy as np

from tests.properties.densities import Array

ORDER = {"1": 1.0, "2": 2.0, "inf": np.inf}


def on_sphere(vector: Array, adversary: str) -> Array:
    """The multiple of a non-zero vector that has norm 1."""
    return vector / np.linalg.norm(vector, ORDER[adversary])


def directions(dim: int, adversary: str, seed: int, randoms: int = 1) -> dict[str, Array]:
    """Named unit vectors: a coordinate axis, an edge, the main diagonal, and dense and sparse random ones."""
    generator = np.random.default_rng(seed)
    axis = np.zeros(dim)
    axis[generator.integers(dim)] = generator.choice((-1.0, 1.0))
    named = {"axis": axis}
    if dim > 1:
        edge = np.zeros(dim)
        edge[generator.choice(dim, size=2, replace=False)] = generator.choice((-1.0, 1.0), size=2)
        named["edge"] = edge
        named["diagonal"] = generator.choice((-1.0, 1.0), size=dim)
        for i in range(randoms):
            named[f"random {i}"] = generator.standard_normal(dim)
            named[f"uneven {i}"] = generator.standard_normal(dim) * generator.uniform(0.0, 1.0, dim) ** 4
    return {name: on_sphere(vector, adversary) for name, vector in named.items()}
