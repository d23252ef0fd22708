"""Tables of exact radii of l1- and linf-radial noise: between the differential radius and the enclosure, used where they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx
from scipy.special import ndtr

from derive.bounds import checked_values, radial_density
from derive.cli import main
from derive.derivation import LevelSet
from derive.enclosure.score_tail import ScoreTail
from derive.enclosure.shell_witness import shell_ball, shell_set
from derive.engine import derive_family
from derive.formula import dim as dim_symbol
from derive.query import query
from derive.spec import find_spec
from derive.table_check import check_table
from generated.registry import load
from generated.special.lookup import VARIABLE
from runtime import Noise
from tests.derive.tables.nodes import Made, check_that_a_change_is_caught, made


@pytest.fixture(scope="module")
def cube() -> Made:
    """exp(-‖x‖inf²) in 3072 dimensions."""
    return made("exp_linf", "inf", 3072, {"k": "2"}, 0.05)


@pytest.fixture(scope="module")
def face() -> Made:
    return made("exp_linf", "1", 784, {"k": "2"}, 0.15)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def drawn(count: int, seed: int) -> np.ndarray:
    """1 - rho from the whole range, ends of cells and their neighbours among them."""
    draw = np.random.default_rng(seed)
    p = ndtr(-draw.uniform(0.001, 8.2, count))
    edges = 2.0 ** np.floor(np.log2(p)) * (1 + np.floor(draw.uniform(0, 16, count)) / 16)
    return np.concatenate([p, edges, np.nextafter(edges, 0), np.nextafter(edges, 1)])


@pytest.mark.parametrize(
    ("which", "name", "adversary", "dim", "parameters", "close"),
    [
        ("cube", "exp_linf", "inf", 3072, {"k": "2"}, 8e-3),
        ("face", "exp_linf", "1", 784, {"k": "2"}, 3e-2),
    ],
)
def test_never_above_the_exact_radius(
    which: str, name: str, adversary: str, dim: int, parameters: dict[str, str], close: float, request: pytest.FixtureRequest
) -> None:  # fmt: skip
    table = request.getfixturevalue(which)[2].fitted.table
    family = derive_family(find_spec(name))
    values = checked_values(family, dim, {k: sp.Rational(v) for k, v in parameters.items()})
    density = radial_density(family.profile, dim_symbol, values)
    evaluation = family.exact[adversary].evaluation
    assert isinstance(evaluation, LevelSet)
    for p in drawn(1, 7):
        got = float(table.at(np.array([0.5 - p]), np.array([p]))[0])
        ball = shell_ball(density, evaluation.kind, dim, arb(float(p)))
        assert bool(arb(got) <= ball.lower())
        if p < 0.4:
            assert got >= float(ball.mid()) * (1 - close)


def test_it_does_not_fall(cube: Made, face: Made) -> None:
    p = np.sort(np.concatenate([np.linspace(1e-4, 0.4999, 20001), np.geomspace(1e-16, 0.4, 20001)]))[::-1]
    for made_ in (cube, face):
        found = made_[2].fitted.table.at(0.5 - p, p)
        assert np.all(np.diff(found) >= -1e-9 * found[1:])


def test_it_is_used_where_it_is_there(folder: Path, cube: Made) -> None:
    rho = np.concatenate([[0.2, 0.5, 0.500001, 0.6, 0.9, 0.99, 0.999999], 1 - drawn(50, 3)])
    noise = Noise("exp_linf", dim=3072, scale=2.0, k=2.0)
    before, told = noise.radius(rho, "inf"), noise.method("inf")
    (folder / cube[0]).write_text(cube[1])
    after = noise.radius(rho, "inf")
    assert "level set, tight" in noise.method("inf") and "level set" not in told
    assert np.all(after >= before) and np.all(after[:2] == 0)
    assert np.all(after[4:7] > before[4:7] * 1.002)
    assert noise.route(0.99, "inf") == "level set, tight"
    found = query(find_spec("exp_linf"), "inf", 3072, "0.99", ("k=2",), "2", None)
    assert found["tight"] and found["method"] == "level set, tight" and found["exact"] is None
    assert found["radius"] == after[5] and sp.Rational(found["radius"]) <= sp.Rational(found["lower"])
    other = query(find_spec("exp_linf"), "inf", 3071, "0.99", ("k=2",), "2", None)
    assert "differential" in other["method"] or "converted" in other["method"]
    assert other["exact"]["compile"].startswith("python -m derive compile exp_linf --dim 3071")


@pytest.mark.parametrize(
    ("kind", "row", "place"), [("gap", 40, 0), ("fail", 3, 0), ("fail", 500, 1), ("witnesses", 10, 2), ("witnesses", 40, 2)]
)  # fmt: skip
def test_a_raised_node_is_caught(tmp_path: Path, cube: Made, kind: str, row: int, place: int) -> None:
    check_that_a_change_is_caught(tmp_path / cube[0], cube, kind, row, place)


def test_its_witnesses_are_proved_again_without_the_engine(tmp_path: Path, cube: Made) -> None:
    path = tmp_path / cube[0]
    path.write_text(cube[1])
    assert check_table(path, most=12).faults == ()


@pytest.mark.parametrize(
    ("name", "parameters", "dim"), [("exp_linf", {"k": "2"}, 64), ("exp_linf", {"k": "1/2"}, 10), ("pow_linf", {"a": "20"}, 10)]
)  # fmt: skip
@pytest.mark.parametrize("adversary", ["inf", "1"])
def test_lines_lie_above_the_growth_function(
    name: str, parameters: dict[str, str], dim: int, adversary: str
) -> None:
    family = derive_family(find_spec(name))
    values = checked_values(family, dim, {k: sp.Rational(v) for k, v in parameters.items()})
    floats = {k: float(sp.Rational(v)) for k, v in parameters.items()}
    density = radial_density(family.profile, dim_symbol, values)
    before, ctx.prec = ctx.prec, 166
    try:
        weight = arb(1) / 2 if adversary == "inf" else arb(1) / (2 * dim)
        tail = ScoreTail(shell_set(density, "shell", dim, 16).base, weight)
    finally:
        ctx.prec = before
    p = np.geomspace(1e-12, 0.49, 40)
    growth_at = getattr(load(name), f"growth_l{adversary}")
    growth = growth_at(p, dim=dim, **floats)
    for at in (1e-9, 1e-4, 0.01, 0.2, 0.4):
        c = tail.threshold(at)
        line = c * p + tail.offset(c)
        assert np.all(line >= growth * (1 - 1e-11))
        assert c * at + tail.offset(c) <= float(growth_at(np.array([at]), dim=dim, **floats)[0]) * 1.02


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exp_linf", "--dim", "1", "--adversary", "inf", "--param", "k=2"], "dimension 2"),
        (["exp_linf", "--dim", "0", "--adversary", "inf"], "at least 1"),
        (["exp_linf", "--dim", "8", "--adversary", "2"], "asked for l2"),
    ],
)
def test_what_has_no_table_is_refused(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compile", *arguments])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and words in error and error.count("\n") == 1
    assert list(folder.iterdir()) == []
