"""Tables of l2 radii where the level sets are not smooth: proved step by step, in few dimensions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from flint import arb
from scipy.special import ndtr

from derive.bounds import checked_values, radial_density
from derive.cli import main
from derive.enclosure.witness import level_set_ball
from derive.engine import derive_family
from derive.formula import dim as dim_symbol
from derive.spec import find_spec
from derive.table_check import check_table
from derive.tables import build
from generated.special import MissingTable
from generated.special.lookup import VARIABLE
from runtime import Noise
from tests.derive.tables.nodes import Made, check_that_a_change_is_caught, made

COARSE = 0.1


@pytest.fixture(scope="module")
def ball() -> Made:
    """exp(-‖x‖₂) in three dimensions."""
    return made("exp_l2", "2", 3, {"k": "1", "j": "0"}, COARSE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_never_above_the_exact_radius(ball: Made) -> None:
    table, family = ball[2].fitted.table, derive_family(find_spec("exp_l2"))
    values = checked_values(family, 3, {"k": sp.Integer(1)})
    density = radial_density(family.profile, dim_symbol, values)
    draw = np.random.default_rng(5)
    p = ndtr(-draw.uniform(0.001, 8.2, 3))
    edges = 2.0 ** np.floor(np.log2(p[:1])) * (1 + np.floor(draw.uniform(0, 16, 1)) / 16)
    ends = [0.5 - 2.0**-54, 2.0**-53, 2.0**-1074]
    for at in np.concatenate([p, edges, np.nextafter(edges, 1), ends]):
        got = float(table.at(np.array([0.5 - at]), np.array([at]))[0])
        exact = level_set_ball(density, 3, arb(max(float(at), 2.0**-53)))
        assert bool(arb(got) <= exact.lower())
        if 1e-9 < at < 0.4:
            assert got >= float(exact.mid()) * (1 - 0.02)


@pytest.mark.parametrize(
    ("kind", "row", "place"), [("gap", 40, 0), ("fail", 3, 0), ("fail", 500, 1), ("witnesses", 10, 2), ("witnesses", 40, 2)]
)  # fmt: skip
def test_a_raised_node_is_caught(tmp_path: Path, ball: Made, kind: str, row: int, place: int) -> None:
    check_that_a_change_is_caught(tmp_path / ball[0], ball, kind, row, place)


def test_its_witnesses_are_proved_again_without_the_engine(tmp_path: Path, ball: Made) -> None:
    path = tmp_path / ball[0]
    path.write_text(ball[1])
    assert check_table(path, most=6).faults == ()


def test_the_command_that_a_missing_table_names_makes_it(
    folder: Path, ball: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "node_file", lambda *given: ball)
    noise = Noise("exp_l2", dim=3, scale=2.0, k=1.0)
    with pytest.raises(MissingTable) as missing:
        noise.radius(np.array([0.9]), 2)
    command = str(missing.value).rpartition("make it with: ")[2]
    assert command == "python -m derive compile exp_l2 --dim 3 --param j=0 --param k=1 --adversary 2"
    main(command.split()[3:])
    told = capsys.readouterr().out
    assert "nodes" in told and "level-set radii" in told
    rho = np.array([0.2, 0.5, 0.6, 0.9, 0.99, 0.9999, 1.0])
    found = noise.radius(rho, 2)
    assert np.all(found[:2] == 0) and np.all(np.diff(found[1:]) > 0)
    # the differential radius (d - 1)·artanh(1 - 2·ppf(1 - rho)) is smaller; the law of the cosine is uniform in three dimensions
    assert np.all(found[2:5] > 2 * 2 * np.arctanh(1 - 2 * (1 - rho[2:5])))
    unit = ball[2].fitted.table.at(rho[2:5] - 0.5, 1 - rho[2:5])
    assert np.all(found[2:5] <= 2 * unit) and np.all(found[2:5] >= 2 * unit * (1 - 1e-12))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exp_l2", "--dim", "0"], "at least 1"),
        (["exp_l2", "--dim", "2", "--param", "j=1.5", "--param", "k=2"], "1/r"),
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
