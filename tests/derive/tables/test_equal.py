"""Densities that are another one under a second name: found symbolically, served by its tables, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from derive.emit import module_text
from derive.engine import derive_family
from derive.evidence import load_draft
from derive.profile import profile_of
from derive.spec import Spec, find_spec, known_specs
from derive.tables.equal import equal_densities, same_noise
from generated import exp_l1, generalized_normal, laplace
from generated.special.lookup import SHIPPED

RHO = np.array([0.5, 0.6, 0.9, 0.999, 1.0 - 2.0**-50, 1.0])


def _spec(density: str, support: str = "") -> Spec:
    return Spec("tried", density, "product", support, (), "", {})


@pytest.mark.parametrize(
    ("density", "name", "equal"),
    [
        ("3*exp(-r)", "laplace", True),
        ("exp(-2*r)", "laplace", False),
        ("exp(-r**2)", "laplace", False),
        ("1/cosh(r/2)**2", "logistic", True),
        ("1/cosh(r)**2", "logistic", False),
        ("2/(exp(r)+exp(-r))", "hyperbolic_secant", False),
    ],
)
def test_equality_is_of_the_density_up_to_a_constant(density: str, name: str, equal: bool) -> None:
    assert same_noise(profile_of(_spec(density)), profile_of(find_spec(name))) is equal


def test_a_support_tells_apart() -> None:
    assert not same_noise(profile_of(_spec("exp(-r)", "r<=1")), profile_of(find_spec("laplace")))


def test_which_are_found() -> None:
    known = known_specs()
    found = {
        name: {
            suffix: equal.name
            for suffix, equal in equal_densities(SHIPPED, derive_family(spec), known).items()
        }
        for name, spec in known.items()
        if name in ("laplace", "gaussian", "generalized_normal", "exp_l1", "logistic", "huber")
    }
    assert found == {
        "laplace": {}, "gaussian": {}, "generalized_normal": {"_p_1": "laplace"}, "exp_l1": {"_k_1": "laplace"}, "logistic": {},
        "huber": {},
    }  # fmt: skip


def test_a_density_of_ones_own_has_the_tables_of_the_one_it_is() -> None:
    family = derive_family(_spec("3*exp(-r)"))
    equals = equal_densities(SHIPPED, family, known_specs())
    module = load_draft("tried", module_text(family, ["tried"], {}, equals))
    for adversary, source in (
        ("inf", "composition"),
        ("2", "converted from linf: R, by composition"),
    ):
        for one, given in ((module, {}), (exp_l1, {"k": 1.0}), (generalized_normal, {"p": 1.0})):
            got = one.radius(RHO, adversary=adversary, dim=64, **given)
            assert np.array_equal(got, laplace.radius(RHO, adversary=adversary, dim=64))
            assert source in one.method(adversary=adversary, dim=64, **given)
            assert source not in one.method(adversary=adversary, dim=65, **given)
    beside = generalized_normal.method(adversary="inf", dim=64, p=1.0 + 2.0**-52)
    assert "composition" not in beside


def test_a_changed_file_of_the_other_density_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exp_l1.LAPLACE_TABLES, "laplace_linf_d784.json", "0" * 64)
    with pytest.raises(ValueError, match="not the one listed in laplace's module"):
        exp_l1.radius(RHO, adversary="inf", dim=784, k=1.0)
