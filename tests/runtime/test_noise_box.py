"""Uniform noise against l1 within the box [0, 1]^d: exact overlaps of boxes, by brute force."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from runtime.noise import Noise


def least_overlap(reach: list[float], width: float, length: float) -> float:
    """The least overlap over all shifts of one l1 length in the box: all but one coordinate of a worst v are 0 or at their end.

    (The logarithm of the overlap is concave in v, so it is least at a vertex of {0 ≤ v_i ≤ b_i, sum v_i = length}.)
    """
    dim, worst = len(reach), 1.0
    for free in range(dim):
        for ends in itertools.product((0, 1), repeat=dim - 1):
            rest = [reach[i] for i in range(dim) if i != free]
            used = sum(e * b for e, b in zip(ends, rest, strict=True))
            left = length - used
            if 0.0 <= left <= reach[free]:
                share = max(1.0 - left / width, 0.0)
                for e, b in zip(ends, rest, strict=True):
                    share *= max(1.0 - e * b / width, 0.0)
                worst = min(worst, share)
    return worst


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("rho", [0.55, 0.8, 0.99, 1.0])
def test_it_is_the_shortest_shift_that_overtakes(dim: int, scale: float, rho: float) -> None:
    noise, generator = Noise("uniform", dim, scale=scale), np.random.default_rng(dim)
    for _ in range(10):
        x = generator.uniform(0.0, 1.0, dim)
        radius = noise.radius(rho, inputs=x)
        reach = [max(float(t), 1.0 - float(t)) for t in x]
        t = 1.0 - (rho - 0.5)
        ends = sum(reach)
        if math.isinf(radius):
            assert math.prod(max(1.0 - b / (2.0 * scale), 0.0) for b in reach) > t
            continue
        assert radius <= ends * (1.0 + 1e-12)
        assert least_overlap(reach, 2.0 * scale, radius) == pytest.approx(t, rel=1e-9)
        grid = np.linspace(0.0, radius, 40)[:-1]
        assert all(least_overlap(reach, 2.0 * scale, float(e)) > t for e in grid)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_no_shift_in_the_box_does_better_by_plain_search(scale: float) -> None:
    """Every grid point of the box, with no knowledge of the worst shift."""
    noise, x, rho = Noise("uniform", 2, scale=scale), np.array([0.3, 0.85]), 0.9
    radius = noise.radius(rho, inputs=x)
    axis = np.linspace(0.0, 1.0, 801)
    a, b = np.meshgrid(np.abs(axis - x[0]), np.abs(axis - x[1]))
    overlap = np.maximum(1 - a / (2 * scale), 0) * np.maximum(1 - b / (2 * scale), 0)
    lost = overlap <= 1.0 - (rho - 0.5)
    shortest = float(np.min((a + b)[lost])) if lost.any() else math.inf
    assert radius <= shortest and (math.isinf(shortest) or shortest - radius < 0.01)


def test_never_above_the_exact_value() -> None:
    """Rational arithmetic on the very doubles."""
    generator = np.random.default_rng(3)
    for _ in range(300):
        dim, scale = int(generator.integers(1, 12)), float(np.float32(generator.uniform(0.1, 4.0)))
        x, rho = generator.uniform(0.0, 1.0, dim), float(generator.uniform(0.5, 1.0))
        radius = Noise("uniform", dim, scale=scale).radius(rho, inputs=x)
        width, t = 2 * Fraction(scale), Fraction(3, 2) - Fraction(rho)
        path, left, exact = Fraction(0), Fraction(1), None
        for b in sorted((max(Fraction(v), 1 - Fraction(v)) for v in x), reverse=True):
            more = width * (1 - t / left)
            if more <= b:
                exact = path + more
                break
            path, left = path + b, left * (1 - b / width)
        if exact is None:
            assert left > t or math.isfinite(radius)
            continue
        assert Fraction(radius) <= exact if math.isfinite(radius) else False
        assert float(exact) == pytest.approx(radius, rel=1e-12)


def test_it_is_never_below_the_radius_without_the_box() -> None:
    generator = torch.Generator().manual_seed(1)
    for dim, scale in ((1, 0.3), (3, 1.0), (192, 2.0), (192, 30.0)):
        noise = Noise("uniform", dim, scale=scale)
        x = torch.rand((16, dim), generator=generator, dtype=torch.float64)
        rho = 0.5 + 0.5 * torch.rand(16, generator=generator, dtype=torch.float64)
        other = (1.0 - rho) * torch.rand(16, generator=generator, dtype=torch.float64)
        assert (noise.radius(rho, inputs=x) >= noise.radius(rho)).all()
        both = noise.radius(rho, inputs=x, runner_up=other)
        assert (both >= noise.radius(rho, runner_up=other)).all() and (
            both >= noise.radius(rho, inputs=x)
        ).all()
    assert (noise.radius(rho, inputs=x) > 1.0).any()


def test_kinds_shapes_and_gradients() -> None:
    noise = Noise("uniform", 12, scale=1.0)
    images = torch.rand((5, 3, 2, 2))
    rho = torch.tensor([0.7, 0.8, 0.9, 0.97, 0.99], dtype=torch.float64, requires_grad=True)
    radii = noise.radius(rho, inputs=images)
    assert radii.shape == (5,) and radii.dtype == torch.float64
    single = [noise.radius(p, inputs=x) for p, x in zip(rho.tolist(), images, strict=True)]
    assert all(isinstance(r, float) for r in single) and radii.tolist() == single
    arrays = noise.radius(rho.detach().numpy(), inputs=images.numpy())
    assert isinstance(arrays, np.ndarray) and arrays.tolist() == single
    assert noise.radius(rho[:, None], inputs=images).shape == (5, 5)
    assert noise.radius(0.9, inputs=images).shape == (5,)
    assert torch.autograd.gradcheck(lambda p: noise.radius(p, inputs=images), (rho,))


@pytest.mark.parametrize(
    ("family", "adversary", "inputs", "message"),
    [
        ("gaussian", 1, np.full(4, 0.5), "uniform on a cube"),
        ("uniform_ball", 1, np.full(4, 0.5), "uniform on a cube"),
        ("uniform", 2, np.full(4, 0.5), "adversary 1 alone"),
        ("uniform", 1, np.full(4, 1.5), r"\[0, 1\]"),
        ("uniform", 1, np.full(4, np.nan), r"\[0, 1\]"),
        ("uniform", 1, np.full(5, 0.5), "4 coordinates"),
        ("uniform", 1, np.zeros(4, dtype=np.int64), "float32 or float64"),
        ("uniform", 1, [0.5] * 4, "array or a tensor"),
    ],
)
def test_bad_inputs_are_refused(family: str, adversary: int, inputs: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Noise(family, 4, scale=1.0).radius(0.9, adversary, inputs=inputs)
