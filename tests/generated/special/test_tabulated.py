"""Tables over the normal quantile: accuracy between nodes, both libraries, gradients, limits and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special as sc
import torch

from generated.special.confidence import prepare
from generated.special.tabulated import DEGREE, DROPPED, SLACK, Tabulated, tabulate

RHO = np.concatenate([0.5 + 2.0 ** -np.arange(2.0, 31.0), 1.0 - 2.0 ** -np.arange(2.0, 54.0)])


def laplace(fail: np.ndarray) -> np.ndarray:
    """-log(2 fail), for exp(-|x|)."""
    return np.where(fail < 0.25, -np.log(2.0 * fail), -np.log1p(2.0 * fail - 1.0))


@pytest.fixture(scope="module")
def table() -> Tabulated:
    return tabulate(laplace)


def test_values_from_below(table: Tabulated) -> None:
    ratio = table(prepare(RHO)) / laplace(1.0 - RHO)
    assert ratio.max() < 1.0
    assert ratio.min() > 1.0 - 1.5 * SLACK


def test_linear_in_the_quantile_is_exact() -> None:
    table = tabulate(lambda p: -3.0 * sc.ndtri(p))
    ratio = table(prepare(RHO)) / (-3.0 * sc.ndtri(1.0 - RHO))
    assert np.all(np.abs(ratio - (1.0 - SLACK)) < 1e-13)
    assert table.edges.size - 1 == 4  # no panel was split


def test_torch_agrees_and_differentiates(table: Tabulated) -> None:
    rho = torch.tensor(RHO, requires_grad=True)
    value = table(prepare(rho))
    assert np.allclose(value.detach().numpy(), table(prepare(RHO)), rtol=1e-12)
    value.sum().backward()
    assert rho.grad is not None
    assert np.allclose(rho.grad.numpy() * (1.0 - RHO), 1.0, rtol=1e-6)


def test_growth_is_above(table: Tabulated) -> None:
    """Phi(p) = p for the Laplace law."""
    p = 1.0 - RHO
    ratio = table.growth(p) / p
    assert ratio.min() >= 1.0
    assert ratio.max() <= 1.0 + 1e-6


def test_rho_one(table: Tabulated) -> None:
    one = np.array([1.0])
    end = laplace(sc.ndtr(np.array([-table.edges[-1]])))[0]
    assert end * (1.0 - 2.0 * SLACK) <= table(prepare(one))[0] <= end  # no larger than what is known
    assert tabulate(laplace, at_one=math.inf)(prepare(one))[0] == math.inf
    assert tabulate(laplace, at_one=40.0)(prepare(one))[0] == 40.0
    rho = torch.tensor([0.75, 1.0], dtype=torch.float64, requires_grad=True)
    finite = tabulate(laplace, at_one=40.0)(prepare(rho))
    finite.sum().backward()
    assert rho.grad is not None and bool(torch.isfinite(rho.grad).all())


def test_rough_functions_are_refused() -> None:
    with pytest.raises(ArithmeticError, match="between its nodes"):
        tabulate(lambda p: -sc.ndtri(p) * (1.0 + 1e-3 * np.sin(4000.0 * sc.ndtri(p))))
    with pytest.raises(ArithmeticError, match="positive and finite"):
        tabulate(lambda p: p - 0.25)
    with pytest.raises(ArithmeticError, match="positive and finite"):
        tabulate(lambda p: np.full_like(p, math.nan))


def test_tables_check_themselves(table: Tabulated) -> None:
    with pytest.raises(ValueError, match="ascend"):
        Tabulated(table.edges[::-1].copy(), table.coefficients, table.slack, math.inf)
    with pytest.raises(ValueError, match="one row"):
        Tabulated(table.edges, table.coefficients[:-1], table.slack, math.inf)
    with pytest.raises(ValueError, match="slack"):
        Tabulated(table.edges, table.coefficients, 0.0, math.inf)


def test_coefficients_left_out_are_a_small_share_of_the_slack() -> None:
    """Values by powers, the last coefficients left out, against the whole Chebyshev series."""
    table = tabulate(lambda fail: np.sinh(-0.3 * sc.ndtri(fail)))
    z = np.linspace(1e-3, 8.0, 4001)
    at = prepare(1.0 - sc.ndtr(-z))
    z = np.minimum(-sc.ndtri(at.fail), table.edges[-1])
    i = np.searchsorted(table.edges[1:-1], z, side="right")
    t = 2.0 * (z - table.edges[:-1][i]) / np.diff(table.edges)[i] - 1.0
    whole = z * np.polynomial.chebyshev.chebval(t, table.coefficients[i].T, tensor=False)
    lost = table(at) / (whole * (1.0 - table.slack)) - 1.0
    assert np.abs(lost).max() <= 1.1 * DROPPED * table.slack
    assert len(table._columns) - 4 < DEGREE  # some were left out
