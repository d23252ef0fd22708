"""A compiled table of the composed radius is a route against linf; without it everything is as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch

from derive.query import query
from derive.spec import SpecError, find_spec
from derive.tables.composed import composed_file
from derive.tables.shipped import COMPOSED
from generated.registry import load
from generated.special.lookup import VARIABLE, table_file
from runtime import Noise

DIM = 8
RHO = np.array([0.2, 0.5, 0.6, 0.9, 0.999, 1 - 1e-9])


@pytest.fixture(scope="module")
def file() -> tuple[str, str]:
    name, text, _ = composed_file(find_spec("laplace"), DIM, {}, loss=4e-3)
    return name, text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_the_table_is_used_where_it_is_there(folder: Path, file: tuple[str, str]) -> None:
    module = load("laplace")
    before = module.radius(RHO, adversary="inf", dim=DIM)
    assert "composition" not in module.method(adversary="inf", dim=DIM)
    (folder / file[0]).write_text(file[1])
    assert "composition" in module.method(adversary="inf", dim=DIM)
    after = module.radius(RHO, adversary="inf", dim=DIM)
    assert np.all(after >= before) and np.all(after[:2] == 0)
    assert np.all(after[3:] > 1.004 * before[3:])
    assert np.array_equal(
        module.radius(RHO, adversary="inf", dim=DIM + 1), module.radius_linf(RHO, dim=DIM + 1)
    )
    scaled = module.radius(RHO, adversary="inf", dim=DIM, scale=0.25)
    assert np.all(scaled <= 0.25 * after) and np.allclose(scaled, 0.25 * after, rtol=1e-13)


def test_tensors_and_gradients(folder: Path, file: tuple[str, str]) -> None:
    (folder / file[0]).write_text(file[1])
    module = load("laplace")
    rho = torch.tensor([0.7, 0.95, 0.999], dtype=torch.float64, requires_grad=True)
    radius = module.radius(rho, adversary="inf", dim=DIM)
    (slope,) = torch.autograd.grad(radius.sum(), rho)
    step = 1e-7
    ahead = module.radius(rho.detach() + step, adversary="inf", dim=DIM)
    assert torch.allclose(slope, (ahead - radius.detach()) / step, rtol=1e-3)


def test_a_query_encloses_it(folder: Path, file: tuple[str, str]) -> None:
    (folder / file[0]).write_text(file[1])
    found = query(find_spec("laplace"), "inf", DIM, "0.99", (), "2", None)
    assert found["method"] == "composition"
    assert sp.Rational(found["radius"]) <= sp.Rational(found["lower"]) <= sp.Rational(found["upper"])
    assert float(found["upper"]) <= float(found["lower"]) * (1 + 1e-3)
    assert query(find_spec("laplace"), "inf", DIM, "0.5", (), None, None)["radius"] == 0


def test_a_broken_table_is_refused(folder: Path, file: tuple[str, str]) -> None:
    (folder / file[0]).write_text(file[1].replace('"fail": [', '"fail": [ ', 1))
    with pytest.raises(ValueError, match="SHA-256.*derive compile laplace --dim 8 --adversary inf"):
        load("laplace").radius(RHO, adversary="inf", dim=DIM)


def test_what_cannot_be_composed_is_refused() -> None:
    half = {"p": sp.Rational(1, 2)}
    with pytest.raises(SpecError, match="log-concave"):
        composed_file(find_spec("generalized_normal"), 3, half)
    with pytest.raises(SpecError, match="product"):
        composed_file(find_spec("exp_l2"), 3, {})
    with pytest.raises(SpecError, match="dimension"):
        composed_file(find_spec("laplace"), 0, {})


# what is shipped


@pytest.mark.parametrize(
    ("name", "given", "dim"),
    [
        (name, {key: float(value) for key, value in given.items()}, dim)
        for name, given, dims in COMPOSED
        for dim in dims
    ],
)
def test_a_shipped_table_is_a_route_and_the_largest(name: str, given: dict[str, float], dim: int) -> None:
    module = load(name)
    assert table_file(name, "inf", dim, given) in module.SHARPER_TABLES
    found = {route.source: route(RHO, 1.0) for route in module.routes(adversary="inf", dim=dim, **given)}
    composed = found.pop("composition")
    assert all(np.all(composed[3:] > 1.0017 * other[3:]) for other in found.values())
    best = np.max([composed, *found.values()], axis=0)
    assert np.array_equal(module.radius(RHO, adversary="inf", dim=dim, **given), best)
    noise = Noise(name, dim, scale=1.0, **given)
    assert "composition" in noise.method("inf")
    expected = module.radius(np.array([0.99]), adversary="inf", dim=dim, **given)
    assert float(noise.radius(0.99, adversary="inf")) == float(expected[0])


def test_a_shipped_table_that_is_not_the_one_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("laplace")
    monkeypatch.setitem(module.SHARPER_TABLES, "laplace_linf_d64.json", "0" * 64)
    with pytest.raises(ValueError, match="not the one listed in laplace's module"):
        module.radius(RHO, adversary="inf", dim=64)
