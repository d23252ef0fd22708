"""Noise.radius with a runner-up: kinds, shapes, gradients, rounding, refusals. Soundness: tests/properties/test_runner_up.py."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch

from generated import registry
from runtime.noise import Noise


def gaussian(p_a: float, p_b: float) -> mp.mpf:
    with mp.workdps(330 if p_b < 1e-40 else 50):
        return mp.sqrt(2) / 2 * (mp.erfinv(2 * mp.mpf(p_a) - 1) - mp.erfinv(2 * mp.mpf(p_b) - 1))


def test_gaussian_radii_are_never_above_the_formula_and_close_to_it() -> None:
    noise, generator = Noise("gaussian", 64, scale=1.0), np.random.default_rng(1)
    for _ in range(100):
        p_a = float(generator.uniform(0.001, 1.0))
        p_b = float(min(p_a, 1.0 - p_a) * 10.0 ** generator.uniform(-6.0, 0.0))
        exact = gaussian(p_a, p_b)
        found = noise.radius(p_a, 2, runner_up=p_b)
        assert mp.mpf(found) <= exact
        assert found == pytest.approx(float(exact), rel=1e-7, abs=1e-15)


def test_doubles_at_the_ends() -> None:
    noise = Noise("gaussian", 64, scale=1.0)
    below, above = math.nextafter(0.5, 0.0), math.nextafter(0.5, 1.0)
    for p_a, p_b in ((0.5, below), (above, math.nextafter(below, 0.0)), (below, math.nextafter(below, 0.0)), (1.0 - 2.0**-53, 2.0**-53),
                     (0.5, 0.5), (1e-12, 1e-300), (0.9, 1e-300), (1.0 - 2.0**-53, 1e-200)):  # fmt: skip
        found = noise.radius(p_a, 2, runner_up=p_b)
        assert found >= noise.radius(p_a, 2)
        assert mp.mpf(found) <= gaussian(p_a, p_b)
    assert noise.radius(0.6, 2, runner_up=0.0) == math.inf
    assert noise.radius(0.2, 2, runner_up=0.3) == noise.radius(0.0, 2, runner_up=0.0) == 0.0


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_family_gains_and_never_loses(family: str) -> None:
    tables = getattr(registry.load(family), "TABLES", None)
    if tables == {}:
        pytest.skip("no table of this family is shipped")
    params = {"a": 80.0} if family == "pow_linf" else {}
    noise = Noise(family, 3072 if tables else 12, scale=1.0, **params)
    rho = np.linspace(0.05, 0.99, 40)
    for adversary in noise.adversaries:
        alone = noise.radius(rho, adversary)
        equal = noise.radius(rho, adversary, runner_up=np.minimum(rho, 1.0 - rho))
        assert (equal >= alone).all()
        np.testing.assert_allclose(equal, alone, rtol=1e-12)
        previous = equal
        for share in (0.9, 0.3, 0.01):
            found = noise.radius(rho, adversary, runner_up=share * np.minimum(rho, 1.0 - rho))
            assert (found >= previous * (1.0 - 1e-11)).all() and (found > alone).all()
            previous = found


def test_kinds_and_shapes() -> None:
    noise = Noise("laplace", 64, scale=1.0)
    a, b = np.array([[0.6], [0.9]]), np.array([0.01, 0.05, 0.1])
    arrays = noise.radius(a, 1, runner_up=b)
    tensors = noise.radius(torch.from_numpy(a), 1, runner_up=torch.from_numpy(b))
    assert arrays.shape == (2, 3) and tensors.shape == (2, 3) and tensors.dtype == torch.float64
    np.testing.assert_allclose(tensors.numpy(), arrays, rtol=1e-15)
    assert noise.radius(0.6, 1, runner_up=0.05) == arrays[0, 1]
    assert noise.radius(a, 1, runner_up=0.05).shape == (2, 1)
    assert noise.radius(0.6, 1, runner_up=b).shape == (3,)
    assert noise.radius(torch.tensor(0.6, dtype=torch.float64), 1, runner_up=0.05).shape == ()


def test_gradients_in_both() -> None:
    a = torch.tensor([0.6, 0.9, 0.4, 0.7], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.05, 0.02, 0.3, 0.29], dtype=torch.float64, requires_grad=True)
    for family, adversary in (
        ("gaussian", 2),
        ("laplace", 1),
        ("uniform", 1),
        ("uniform", 2),
        ("uniform", "inf"),
    ):
        noise = Noise(family, 3, scale=1.0)
        assert torch.autograd.gradcheck(
            lambda p, q, n=noise, norm=adversary: n.radius(p, norm, runner_up=q), (a, b), eps=1e-7
        )


def test_vmap_and_compile() -> None:
    a = torch.tensor([0.6, 0.9, 0.4], dtype=torch.float64)
    b = torch.tensor([0.05, 0.02, 0.3], dtype=torch.float64)
    noise = Noise("gaussian", 3, scale=1.0)

    def radius(p: torch.Tensor, q: torch.Tensor) -> Any:
        return noise.radius(p, 2, runner_up=q)

    expected = radius(a, b)
    assert torch.equal(torch.func.vmap(radius)(a, b), expected)
    slopes = torch.func.vmap(torch.func.grad(radius))(a, b)
    torch.testing.assert_close(
        slopes, 0.5 / torch.exp(torch.distributions.Normal(0.0, 1.0).log_prob(torch.special.ndtri(a)))
    )
    assert torch.equal(torch.compile(radius, backend="eager", fullgraph=True)(a, b), expected)
    assert torch.func.vmap(radius)(a, 1.0 - 0.5 * a).isnan().all()  # no error can be raised there


def test_tiny_bounds_keep_their_digits() -> None:
    noise = Noise("gaussian", 3, scale=1.0)
    for p_b in (1e-8, 1e-30, 1e-300):
        found = noise.radius(0.6, 2, runner_up=p_b)
        assert mp.mpf(found) <= gaussian(0.6, p_b)
        assert found == pytest.approx(float(gaussian(0.6, p_b)), rel=1e-9)


def test_the_logarithm_takes_the_place_of_rho() -> None:
    noise = Noise("gaussian", 3, scale=1.0)
    assert noise.radius(log_fail=math.log(0.01), adversary=2) == pytest.approx(
        noise.radius(0.99, 2), rel=1e-12
    )
    assert noise.radius(log_fail=np.array([-1e4, -5.0]), adversary=2).shape == (2,)
    for wrong in ({"rho": 0.9}, {"runner_up": 0.1}, {"inputs": np.zeros(3)}):
        with pytest.raises(ValueError, match="place of rho"):
            noise.radius(log_fail=-5.0, adversary=2, **wrong)


@pytest.mark.parametrize("runner_up", [0.5, -0.1, math.nan, 1, "0.1"])
def test_bad_bounds_are_refused(runner_up: object) -> None:
    with pytest.raises(ValueError, match="runner_up"):
        Noise("gaussian", 4, scale=1.0).radius(0.6, 2, runner_up=runner_up)


def test_float32_and_mixed_kinds_are_refused() -> None:
    noise = Noise("gaussian", 4, scale=1.0)
    rho = torch.tensor([0.6], dtype=torch.float64)
    with pytest.raises(ValueError, match="float64"):
        noise.radius(rho, 2, runner_up=torch.tensor([0.1]))
    with pytest.raises(ValueError, match="kind"):
        noise.radius(rho, 2, runner_up=np.array([0.1]))
    with pytest.raises(ValueError, match="rho"):
        noise.radius(math.nan, 2, runner_up=0.1)


def test_the_route_behind_each_radius_has_a_name() -> None:
    noise = Noise("exp_linf", 64, scale=1.0, k=2.0)
    names = noise.route(np.array([0.6, 0.999999]), 1)
    listed = noise.method(1)
    assert names.shape == (2,) and all(name in listed for name in names)
    assert Noise("gaussian", 4, scale=1.0).route(0.9, "inf") == "converted from l2: R * 1/sqrt(d)"


@pytest.mark.parametrize("make", [np.full, torch.full])
def test_shapes_that_do_not_fit_are_one_line(make: Any) -> None:
    """Of a runner-up and of a batch of inputs beside rho."""
    double = {"dtype": np.float64 if make is np.full else torch.float64}
    rho, other = make((2,), 0.9, **double), make((3,), 0.01, **double)
    with pytest.raises(ValueError, match=r"runner_up must fit the shape of rho, \(2,\), got \(3,\)"):
        Noise("gaussian", 4, scale=1.0).radius(rho, 2, runner_up=other)
    with pytest.raises(ValueError, match=r"inputs must fit the shape of rho, \(2,\), got a batch of \(3,\)"):
        Noise("uniform", 4, scale=1.0).radius(rho, 1, inputs=make((3, 4), 0.5, **double))
