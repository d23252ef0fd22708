"""Gradients of radii: exactly 1/Phi, to second order, under torch.func and torch.compile, and nothing that waits for a device."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from generated.registry import FAMILIES, load

DIM = 64
PARAMETERS: dict[str, dict[str, float]] = {"pow_linf": {"a": 80.0}, "pow_l2": {"a": 80.0}}
CASES = [
    (name, adversary)
    for name in FAMILIES
    for adversary in load(name).ADVERSARIES
    if "l2" != load(name).GEOMETRY  # their tables: test_tables.py
]
GROWN = [(n, a) for n in FAMILIES for a in ("1", "2", "inf") if hasattr(load(n), f"growth_l{a}")]
ONE_EACH = [
    ("laplace", "1"),
    ("gaussian", "2"),
    ("uniform", "inf"),
    ("exp_linf", "1"),
    ("cauchy", "1"),
    ("laplace", "inf"),
]
COMPILED = [
    case for n, case in enumerate(CASES) if case in ONE_EACH or case[0] not in [c[0] for c in CASES[:n]]
]
"""Tracing takes a second each: one norm of every density, and every kind of radius."""
RHO = (0.55, 0.7, 0.9, 0.99, 1.0 - 1e-6)


def _radius(name: str, adversary: str) -> Callable[..., torch.Tensor]:
    return partial(load(name).radius, adversary=adversary, dim=DIM, **PARAMETERS.get(name, {}))


@pytest.mark.parametrize(("name", "adversary"), GROWN)
def test_gradient_is_one_over_phi(name: str, adversary: str) -> None:
    """∂R/∂rho = 1/Phi(1 - rho), to the last digits: the growth function of the same module is computed without autograd."""
    module, more = load(name), PARAMETERS.get(name, {})
    rho = torch.tensor(RHO, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(getattr(module, f"radius_l{adversary}")(rho, dim=DIM, **more).sum(), rho)
    phi = getattr(module, f"growth_l{adversary}")(1.0 - rho.detach().numpy(), dim=DIM, **more)
    tables = "in tables" in (module.__doc__ or "")  # growth there is rounded up by 2^-26
    assert slope.numpy() * phi == pytest.approx(1.0, rel=1e-7 if tables else 1e-11)


@pytest.mark.parametrize(("name", "adversary"), CASES)
def test_gradcheck(name: str, adversary: str) -> None:
    """torch's own check of the first derivative; of the second where the radius is no chain of straight pieces of Phi."""
    radius = _radius(name, adversary)
    rho = torch.tensor([0.61, 0.77, 0.93], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(radius, (rho,), eps=1e-7, rtol=1e-4)
    assert torch.autograd.gradgradcheck(radius, (rho,), eps=1e-8, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "adversary"), CASES)
def test_torch_func(name: str, adversary: str) -> None:
    """vmap gives the values, grad and vmap(grad) the slopes of autograd, jacrev their diagonal."""
    radius = _radius(name, adversary)
    rho = torch.tensor([[0.3, 0.6, 0.75], [0.93, 0.999, 1.0 - 1e-9]], dtype=torch.float64)
    expected = radius(rho)
    assert torch.equal(torch.func.vmap(radius)(rho), expected)
    leaf = rho.clone().requires_grad_()
    (slope,) = torch.autograd.grad(radius(leaf).sum(), leaf)
    flat = torch.func.vmap(torch.func.grad(radius))(rho.reshape(-1))
    assert torch.equal(flat, slope.reshape(-1))
    assert torch.equal(torch.func.grad(lambda r: radius(r).sum())(rho), slope)
    assert torch.equal(torch.func.jacrev(radius)(rho[1]), torch.diag(slope[1]))


def test_entries_out_of_range_under_vmap_give_nan() -> None:
    """There no single truth value can be asked for: NaN instead of a ValueError, and only where it belongs."""
    rho = torch.tensor([0.9, 1.5, math.nan, -0.1, 0.2], dtype=torch.float64)
    for name, adversary in ONE_EACH:
        got = torch.func.vmap(_radius(name, adversary))(rho)
        assert got.isnan().tolist() == [False, True, True, True, False]
        assert got[4] == 0.0 and got[0] == _radius(name, adversary)(rho[:1])[0]


@pytest.mark.parametrize(("name", "adversary"), COMPILED)
def test_compile_without_breaks(name: str, adversary: str) -> None:
    """torch.compile(fullgraph=True) traces value and gradient whole; ahead-of-time, without the code generator (see below)."""
    torch.compiler.reset()
    radius = _radius(name, adversary)
    compiled = torch.compile(radius, fullgraph=True, backend="aot_eager")
    rho = torch.linspace(0.3, 1.0 - 1e-9, 33, dtype=torch.float64)
    assert torch.equal(compiled(rho), radius(rho))
    leaf, other = rho.clone().requires_grad_(), rho.clone().requires_grad_()
    compiled(leaf).sum().backward()
    radius(other).sum().backward()
    assert leaf.grad is not None and other.grad is not None
    assert torch.allclose(leaf.grad, other.grad, rtol=1e-14, atol=0.0)
    log_fail = torch.log(1.0 - rho)
    assert torch.equal(
        torch.compile(radius, fullgraph=True, backend="aot_eager")(log_fail=log_fail),
        radius(log_fail=log_fail),
    )


@pytest.mark.parametrize(("name", "adversary"), [("exp_linf", "1"), ("cauchy", "1")])
def test_compiled_code(name: str, adversary: str) -> None:
    """Code written by torch's own generator, which takes seconds each: a closed form and a curve, and their gradients."""
    torch.compiler.reset()
    radius = _radius(name, adversary)
    rho = torch.linspace(0.3, 1.0 - 1e-9, 257, dtype=torch.float64)
    try:
        compiled = torch.compile(radius, fullgraph=True)
        got = compiled(rho)
    except Exception as error:  # noqa: BLE001
        if "compiler" in str(error).lower() and "not found" in str(error).lower():
            pytest.skip("torch's code generator finds no C++ compiler on this machine")
        raise
    assert torch.allclose(got, radius(rho), rtol=1e-13, atol=0.0)
    leaf = rho.clone().requires_grad_()
    compiled(leaf).sum().backward()
    other = rho.clone().requires_grad_()
    radius(other).sum().backward()
    assert leaf.grad is not None and other.grad is not None
    assert torch.allclose(leaf.grad, other.grad, rtol=1e-12, atol=0.0)


def test_compiling_first_leaves_working_tables() -> None:
    """A table first built while a graph was traced serves eager calls and other graphs as well."""
    torch.compiler.reset()
    module = load("cauchy")
    rho = torch.linspace(0.51, 0.999, 7, dtype=torch.float64)
    compiled = torch.compile(
        partial(module.radius, adversary=1, dim=977), fullgraph=True, backend="aot_eager"
    )
    first = compiled(rho)
    assert torch.equal(first, module.radius(rho, adversary=1, dim=977))
    assert module.radius(rho.numpy(), adversary=1, dim=977) == pytest.approx(first.numpy(), rel=1e-14)
