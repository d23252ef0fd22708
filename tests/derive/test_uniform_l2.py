"""The exact l2 radius of uniform noise on a cube: sqrt(d) times the linf radius, and no shift that short does more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scipy import optimize

from derive.engine import derive_family
from derive.pages.explain import explain
from derive.spec import Spec, find_spec, parameters_from
from generated import uniform


def loss(v: np.ndarray, b: float = 1.0) -> float:
    """Mass of the shifted cube outside the cube."""
    return 1.0 - float(np.prod(np.maximum(1.0 - np.abs(v) / (2.0 * b), 0.0)))


def test_it_is_the_linf_radius_along_the_diagonal_and_beats_every_conversion() -> None:
    rho = np.linspace(0.5, 1.0, 101)
    for dim in (1, 2, 3, 64, 3072, 150528):
        l2, linf, l1 = (uniform.radius(rho, adversary=a, dim=dim) for a in ("2", "inf", "1"))
        np.testing.assert_allclose(l2, math.sqrt(dim) * linf, rtol=1e-13)
        assert (l2 * (1 + 1e-13) >= np.maximum(linf, l1 / math.sqrt(dim))).all()
    assert uniform.method(adversary="2", dim=64) == "level set, tight"


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
@pytest.mark.parametrize("rho", [0.55, 0.75, 0.95, 1.0])
def test_no_shorter_shift_loses_more(dim: int, rho: float) -> None:
    radius = float(uniform.radius(np.array([rho]), adversary="2", dim=dim)[0])
    assert loss(np.full(dim, radius / math.sqrt(dim))) == pytest.approx(rho - 0.5, rel=1e-12)
    generator = np.random.default_rng(dim)
    for _ in range(300):
        v = np.abs(generator.standard_normal(dim)) ** generator.uniform(0.2, 6.0)
        assert loss(v * radius / np.linalg.norm(v)) <= (rho - 0.5) * (1.0 + 1e-12)


@pytest.mark.parametrize("rho", [0.6, 0.9, 1.0])
def test_a_search_for_the_shortest_shift_finds_the_diagonal(rho: float) -> None:
    dim = 3
    radius = float(uniform.radius(np.array([rho]), adversary="2", dim=dim)[0])
    for seed in range(5):
        start = np.random.default_rng(seed).uniform(0.0, 1.0, dim)
        found = optimize.minimize(
            lambda v: float(v @ v), start, bounds=[(0.0, 2.0)] * dim, method="SLSQP",
            constraints={"type": "ineq", "fun": lambda v: loss(v) - (rho - 0.5)},
        )  # fmt: skip
        assert math.sqrt(found.fun) >= radius * (1.0 - 1e-6)


def test_the_convexity_in_the_derivation_holds_where_it_is_used_and_fails_beyond() -> None:
    native = derive_family(find_spec("uniform")).native["2"]
    step = next(s for s in native.steps if s.title == "Convexity")
    bend = dict(step.formulas)["f''(y)"]
    (y,) = bend.free_symbols
    for root in (sp.Rational(1, 100), sp.Rational(1, 4), sp.Rational(1, 2)):
        assert bend.subs(y, root**2) >= 0
    assert bend.subs(y, sp.Rational(3, 5) ** 2) < 0
    assert "Jensen" in explain(derive_family(find_spec("uniform")), "2", "text")


def test_any_flat_cube_has_it() -> None:
    parameters, fixed = parameters_from(["w>0"])
    family = derive_family(Spec("slab", "3", "linf", "r<=2*w", parameters, "", fixed))
    assert family.native["2"].label == "level set, tight" and family.routes["2"] == ()
    w, d = parameters[0].symbol, sp.Symbol("d", positive=True, integer=True)
    l2, linf = (family.native[a].formula for a in ("2", "inf"))
    assert l2 is not None and linf is not None and l2.has(w)
    assert sp.simplify(l2 / linf) == sp.sqrt(d)
