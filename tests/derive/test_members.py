"""Parameters at which a density has more symmetry: found by the engine, guarded in the module, reported by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from derive.bounds import enclose
from derive.emit import module_text
from derive.engine import derive_family
from derive.evidence import load_draft
from derive.spec import Spec, find_spec, parameters_from
from generated import exp_l1, exp_l2, gaussian, generalized_normal, laplace
from generated.special import best_radius, method_text
from runtime.noise import Noise

RHO = np.array([0.5 + 2.0**-40, 0.6, 0.9, 0.99, 1.0 - 2.0**-40])


def test_which_members_are_found() -> None:
    found = {
        name: [{str(s): v for s, v in m.values.items()} for m in derive_family(find_spec(name)).members]
        for name in ("generalized_normal", "exp_l2", "exp_l1", "exp_linf", "gaussian", "pow_l2", "student_t")
    }
    assert found == {
        "generalized_normal": [{"p": 1}, {"p": 2}],
        "exp_l2": [{"j": 0, "k": 2}],
        "exp_l1": [{"k": 1}],
        "exp_linf": [], "gaussian": [], "pow_l2": [], "student_t": [],
    }  # fmt: skip


@pytest.mark.parametrize("dim", [1, 2, 64, 3072])
@pytest.mark.parametrize("adversary", ["1", "2", "inf"])
def test_a_member_is_as_strong_as_the_density_that_it_is(dim: int, adversary: str) -> None:
    """exp(-r**2) is Gaussian of scale sqrt(1/2), exp(-‖x‖₁) is Laplace."""
    root = math.sqrt(0.5)
    for module, values, twin, scale in (
        (generalized_normal, {"p": 2.0}, gaussian, root),
        (exp_l2, {"k": 2.0, "j": 0.0}, gaussian, root),
        (generalized_normal, {"p": 1.0}, laplace, 1.0),
        (exp_l1, {"k": 1.0}, laplace, 1.0),
    ):
        own, others = (
            one.routes(adversary=adversary, dim=dim, **given) for one, given in ((module, values), (twin, {}))
        )
        got, expected = best_radius(RHO, own, 1.0), best_radius(RHO, others, scale)
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        assert method_text(own) == method_text(others)


def test_beside_the_member_the_family_is_as_before() -> None:
    beside = {"p": math.nextafter(2.0, 3.0)}
    assert generalized_normal.method(adversary="inf", dim=64, **beside) == "converted from l1: R * 1/d"
    assert "converted from l2" in generalized_normal.method(adversary="inf", dim=64, p=2.0)
    near = generalized_normal.radius(RHO, adversary="1", dim=64, **beside)
    np.testing.assert_allclose(near, generalized_normal.radius(RHO, adversary="1", dim=64, p=2.0), rtol=1e-8)


def test_noise_reports_the_member_and_its_routes() -> None:
    noise = Noise("generalized_normal", 64, sigma=0.5)
    assert noise.method("inf") == noise.route(0.9, "inf") == "converted from l2: R * 1/sqrt(d)"
    laplacian = Noise("generalized_normal", 65, sigma=0.5, p=1.0)
    assert laplacian.method("inf") == "best of: differential; converted from l1: R * 1/d"
    assert laplacian.route(0.9, "inf") == "differential"
    assert Noise("generalized_normal", 64, sigma=0.5, p=1.0).route(0.9, "inf") == "composition"


def test_enclosures_follow_the_member() -> None:
    family = derive_family(find_spec("generalized_normal"))
    for p, adversary in ((1, "inf"), (2, "inf"), (2, "2")):
        ball = enclose(
            family,
            adversary,
            dim=65,
            rho=sp.Rational(0.9),
            parameters={"p": sp.Integer(p)},
            scale=sp.Integer(1),
        )
        radius = generalized_normal.radius(np.array([0.9]), adversary=adversary, dim=65, p=float(p))[0]
        assert sp.Rational(ball.lower) >= sp.Rational(float(radius)) >= sp.Rational(ball.upper) * (1 - 1e-9)


def test_any_density_with_parameters_has_its_members() -> None:
    """Two parameters fixed, one left; an exponent that no double holds is no member."""
    parameters, fixed = parameters_from(["q>0", "w>0", "j>=0"])
    family = derive_family(Spec("tried", "r**(-j)*exp(-w*r**(4*q))", "l2", "", parameters, "", fixed))
    (member,) = family.members
    assert member.suffix == "_j_0_q_1_2"
    module = load_draft("tried", module_text(family, ["tried"]))
    for adversary in ("1", "2", "inf"):
        got = module.radius(RHO, adversary=adversary, dim=16, q=0.5, w=2.0, j=0.0)
        np.testing.assert_allclose(
            got, gaussian.radius(RHO, adversary=adversary, dim=16, scale=0.5), rtol=1e-12
        )
    third = derive_family(Spec("tried", "exp(-r**(3*q))", "product", "", parameters[:1], "", {}))
    assert [m.suffix for m in third.members] == []
