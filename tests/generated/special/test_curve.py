"""Curves stay below the radius, growth above Phi, and both meet at the derivative."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from generated import special
from generated.registry import FAMILIES, load

CASES = [
    (n, a, d, p)
    for n in FAMILIES
    for a in ("1", "2", "inf")
    for d in (1, 7, 3072)
    for p in (
        [{}] if n != "exp_linf" else [{"k": 2.0}, {"k": 0.5}, {"k": 2.0, "j": 3.0}, {"k": 1.0, "j": 2.0}]
    )
    if hasattr(load(n), f"growth_l{a}") and not (p.get("j") and d == 1)
]


@pytest.mark.parametrize(("name", "adversary", "dim", "parameters"), CASES)
def test_growth_is_the_inverse_slope_of_the_radius(
    name: str, adversary: str, dim: int, parameters: dict[str, float]
) -> None:
    module = load(name)
    rho = np.array([0.55, 0.7, 0.93, 0.999, 1 - 1e-6])
    step = 1e-4 * (1.0 - rho)
    radius, growth = getattr(module, f"radius_l{adversary}"), getattr(module, f"growth_l{adversary}")
    slope = (radius(rho + step, dim=dim, **parameters) - radius(rho - step, dim=dim, **parameters)) / (
        2 * step
    )
    phi = growth(1.0 - rho, dim=dim, **parameters)
    lattice = name == "laplace" and adversary == "inf"  # Phi has corners there
    assert np.allclose(slope * phi, 1.0, rtol=2e-2 if lattice else 2e-5)
    assert np.all(np.diff(phi) <= 0)  # Phi grows on (0, 1/2]


def test_growth_refuses_what_is_no_small_probability() -> None:
    for bad in (np.array([0.0]), np.array([0.6]), np.array([np.nan]), np.array([0.1], dtype=np.float32)):
        with pytest.raises(ValueError, match="float64"):
            load("laplace").growth_l1(bad, dim=3)


@pytest.mark.parametrize(
    ("x", "y"),
    [(75264.5, 75264.0), (0.5, 0.25), (3.0, 7.5), (150530.0, 150528.0), (1e-3, 2.0), (24.5, 23.75)],
)
def test_gamma_ratio(x: float, y: float) -> None:
    with mpmath.workdps(40):
        reference = mpmath.exp(mpmath.loggamma(mpmath.mpf(x)) - mpmath.loggamma(mpmath.mpf(y)))
        assert abs(special.gamma_ratio(x, y) / reference - 1) < 1e-14


def test_other_score_shapes_are_refused() -> None:
    """Rising and then falling: {score ≥ c} is an interval, which these curves do not describe."""
    law = special.GammaLaw((3.0,), 1.0, 1.0)
    with pytest.raises(ValueError, match="changes sign"):
        _ = special.GreedySet(0.5, law, ((-1.0, 2.0), (3.0, 1.0))).pattern
