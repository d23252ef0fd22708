"""Radii from a runner-up's bound: the top class is not overtaken, judged by the oracle with three classes.

At a shift v the top class keeps at least 1 - G(1 - p_a, v), any other class gets at most G(p_b, v). The two extremes are
attained together: the sets of lowest and of highest likelihood ratio are disjoint, and a third class takes the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generated import uniform
from generated.special import CLOSED, Route, runner_up_radius
from runtime.noise import Noise
from tests.properties.directions import directions
from tests.properties.oracle import growth

STEADY = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
NOISES = [
    ("gaussian", "1", {}),
    ("gaussian", "2", {}),
    ("gaussian", "inf", {}),
    ("laplace", "1", {}),
    ("laplace", "2", {}),
    ("laplace", "inf", {}),
    ("uniform", "1", {}),
    ("uniform", "2", {}),
    ("uniform", "inf", {}),
    ("exp_linf", "1", {"k": 1.0}),
    ("exp_linf", "inf", {"k": 2.0}),
]
Radius = Callable[[Noise, str, float, float], float]


def certified(noise: Noise, adversary: str, p_a: float, p_b: float) -> float:
    return float(noise.radius(p_a, adversary, runner_up=p_b))


def odd_extension(noise: Noise, adversary: str, p_a: float, p_b: float) -> float:
    """(R(p_a) - R(p_b))/2 with R(p_b) = -R(1 - p_b): sound for differential radii alone."""
    return 0.5 * (float(noise.radius(p_a, adversary)) + float(noise.radius(1.0 - p_b, adversary)))


def overtaken(
    noise: Noise, adversary: str, p_a: float, p_b: float, radius: Radius, seed: int, stretch: float = 1.0
) -> list[str]:
    """Directions in which another class is proved to be as likely as the top class at `stretch` times the radius."""
    r = stretch * radius(noise, adversary, p_a, p_b)
    found = []
    for number, (name, v) in enumerate(directions(noise.dim, adversary, seed).items()):
        top, other = (
            growth(noise.family, r * v, p, scale=noise.scale, params=noise.params, seed=seed + number)
            for p in (1.0 - p_a, p_b)
        )
        if top.lower + other.lower > 1.0:
            found.append(f"{name}: {1.0 - top.lower:.6f} against {other.lower:.6f} at {r:.9g}")
    return found


@settings(STEADY, max_examples=40)
@given(
    case=st.sampled_from(NOISES),
    dim=st.integers(1, 3),
    p_a=st.floats(0.05, 0.99),
    share=st.floats(0.001, 1.0),
    seed=st.integers(0, 10_000),
)
def test_the_top_class_is_not_overtaken(
    case: tuple[str, str, dict[str, float]], dim: int, p_a: float, share: float, seed: int
) -> None:
    family, adversary, params = case
    p_b = share * min(p_a, 1.0 - p_a)
    noise = Noise(family, dim, scale=1.0, **params)
    assert certified(noise, adversary, p_a, p_b) >= noise.radius(p_a, adversary)
    assert overtaken(noise, adversary, p_a, p_b, certified, seed) == []


@pytest.mark.parametrize(
    ("family", "adversary"),
    [("gaussian", "2"), ("laplace", "1"), ("uniform", "1"), ("uniform", "2"), ("uniform", "inf")],
)
@pytest.mark.parametrize(("p_a", "p_b"), [(0.6, 0.1), (0.8, 0.02), (0.45, 0.2)])
def test_it_is_overtaken_just_beyond_where_the_method_is_exact(
    family: str, adversary: str, p_a: float, p_b: float
) -> None:
    noise = Noise(family, 2, scale=1.0)
    if family == "laplace" and p_a < 0.5:
        return  # its growth is no flow below 1/2: the differential radius is not tight there
    assert overtaken(noise, adversary, p_a, p_b, certified, 5, stretch=1.02)


def test_the_differential_formula_with_a_level_set_radius_is_refuted() -> None:
    noise = Noise("uniform", 3, scale=1.0)
    assert odd_extension(noise, "inf", 0.55, 0.001) > certified(noise, "inf", 0.55, 0.001)
    assert overtaken(noise, "inf", 0.55, 0.001, odd_extension, 5)


def half_sum(noise: Noise, adversary: str, p_a: float, p_b: float) -> float:
    """From a level-set radius and a differential one for the runner-up alone: Phi = d/2 for the cube against linf."""

    def differential(rho: Any, *, scale: float, log_fail: Any = None) -> Any:
        fail = 1.0 - rho if log_fail is None else np.exp(log_fail)
        return np.maximum(0.5 - fail, 0.0) * (2.0 * scale / noise.dim) * (1.0 - 2.0**-45)

    exact = partial(uniform.radius_linf, dim=noise.dim)
    routes = (
        Route("level set", exact),
        Route("differential", differential, accuracy=CLOSED, alone=False),
    )
    assert adversary == "inf" and noise.family == "uniform"
    return float(runner_up_radius(np.array([p_a]), np.array([p_b]), routes, noise.scale)[0])


@settings(STEADY, max_examples=15)
@given(
    dim=st.integers(1, 3), p_a=st.floats(0.05, 0.99), share=st.floats(0.001, 1.0), seed=st.integers(0, 1000)
)
def test_a_differential_bound_beside_level_sets_is_sound(
    dim: int, p_a: float, share: float, seed: int
) -> None:
    noise, p_b = Noise("uniform", dim, scale=1.0), share * min(p_a, 1.0 - p_a)
    assert overtaken(noise, "inf", p_a, p_b, half_sum, seed) == []


@pytest.mark.parametrize(("family", "adversary", "params"), NOISES)
def test_known_formulas(family: str, adversary: str, params: dict[str, float]) -> None:
    """With p_b = 1 - p_a nothing changes; elsewhere the odd extension, or less where it is not sound."""
    noise = Noise(family, 3, scale=0.5, **params)
    for p_a in np.linspace(0.51, 0.999, 25):
        alone = noise.radius(float(p_a), adversary)
        assert noise.radius(float(p_a), adversary, runner_up=1.0 - float(p_a)) == alone
        for share in (1e-4, 0.1, 0.9):
            p_b = share * (1.0 - float(p_a))
            found = noise.radius(float(p_a), adversary, runner_up=p_b)
            expected = odd_extension(noise, adversary, float(p_a), p_b)
            assert alone <= found <= expected * (1.0 + 1e-12)
            if "differential" in noise.method(adversary) or "converted" in noise.method(adversary):
                assert found == pytest.approx(expected, rel=1e-7)  # 1 - p_b is rounded
