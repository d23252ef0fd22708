"""Tables of composed radii: below the upper bound at every double tried, close to the lower one, and proved again from their chains."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from flint import arb, ctx

from derive.composition.radius import lower_radius, upper_radius
from derive.spec import find_spec
from derive.tables.composed import Composed, compose_table, composed_file, read_chain
from derive.tables.file import short_hex
from derive.verification.composed import check_composed
from generated.registry import load
from generated.special.lookup import LARGEST, load_table, read_record
from tests.derive.composition.cases import law

DIM = 64
COARSE = 1e-3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, text, _ = composed_file(find_spec("laplace"), DIM, {}, loss=COARSE)
    found = tmp_path_factory.mktemp("tables") / name
    found.write_text(text)
    return found


def test_the_table_is_sound_and_close(path: Path) -> None:
    table = load_table(path)
    for rho in (0.5 + 2.0**-30, 0.53, 0.7499999, 0.75, 0.9, 0.99, 1 - 1e-7, 1 - 2.0**-53):
        found = float(table.at(np.array([rho - 0.5]), np.array([1 - rho]))[0])
        fail = arb(1) - arb(rho)
        if rho > 0.52:
            assert found <= upper_radius(law("laplace"), DIM, fail, fineness=8e-3)
            assert found >= lower_radius(law("laplace"), DIM, fail, fineness=4e-3) * (1 - 3 * COARSE)


def test_it_beats_the_differential_radius(path: Path) -> None:
    rho = np.concatenate([np.linspace(0.51, 0.999, 400), 1 - np.geomspace(1e-3, 1e-15, 200)])
    found = load_table(path).at(rho - 0.5, 1 - rho)
    differential = load("laplace").radius_linf(rho, dim=DIM)
    assert np.all(found >= differential * (1 - 3 * COARSE))
    assert np.all(found[rho > 0.9] > differential[rho > 0.9] * 1.015)
    assert found[-1] > 1.1 * differential[-1]


def test_it_does_not_fall(path: Path) -> None:
    rho = np.sort(np.concatenate([np.linspace(0.5001, 1, 20001), 1 - np.geomspace(0.4, 1e-16, 20001)]))
    found = load_table(path).at(rho - 0.5, 1 - rho)
    assert np.all(np.diff(found) >= -2 * COARSE * found[1:])


@pytest.mark.parametrize("dim", [1, 9, 3072])
def test_gaussian_tables_stay_below_the_exact_radius(dim: int) -> None:
    """At doubles drawn near both ends and near the ends of cells."""
    one: Composed = compose_table(law("gaussian"), dim, loss=COARSE, fineness=8e-3)
    assert one.fitted.loss < 3 * COARSE
    draw = np.random.default_rng(4)
    exponents = draw.uniform(-52, -2, 1500)
    rho = np.concatenate([0.5 + 2.0 ** draw.uniform(-50, -1.01, 1500), 1 - 2.0**exponents])
    edges = 1 - 2.0 ** np.floor(exponents) * (1 + np.floor(draw.uniform(0, 16, 1500)) / 16)
    rho = np.concatenate([rho, edges, np.nextafter(edges, 0), np.nextafter(edges, 1)])
    rho = rho[(rho > 0.5) & (rho < 1)]
    found = one.fitted.table.at(rho - 0.5, 1 - rho)
    before, ctx.prec = ctx.prec, 160
    try:
        root, share = arb(2).sqrt(), arb(dim).sqrt()
        for at, radius in zip(rho, found, strict=True):
            # R ≤ exact says P(Z > √dim·radius) ≥ 1 - rho
            assert bool((share * arb(float(radius)) / root).erfc() / 2 >= arb(1) - arb(float(at)))
    finally:
        ctx.prec = before


def test_a_bounded_density_whose_information_is_infinite(path: Path) -> None:
    """Triangular noise: close beyond the first composition; nearer to rho = 1/2 the bound of Phi is loose."""
    _, text, found = composed_file(find_spec("triangular"), 20, {}, loss=2e-3)
    assert len(text) < LARGEST / 3 and path.stat().st_size < LARGEST / 3
    for fail in (0.3, 0.01, 1e-6, 2.0**-53):
        radius = float(found.fitted.table.at(np.array([0.5 - fail]), np.array([fail]))[0])
        lower = lower_radius(law("triangular"), 20, arb(fail), fineness=6e-3)
        assert lower * (1 - 2e-2) <= radius <= lower * (1 + 1e-3)


def test_a_file_is_proved_again(path: Path) -> None:
    verdict = check_composed(path, 2)
    assert verdict.faults == () and verdict.checked < verdict.total
    chain = read_chain(read_record(path))
    assert verdict.total == verdict.checked - 2 + len(chain.links)


def _changed(path: Path, folder: Path, old: object, new: object) -> Path:
    """The file with one entry changed, its own hash put right."""
    before, after = ((json.dumps(x, separators=(",", ":")), json.dumps(x)) for x in (old, new))
    text = path.read_text("ascii")
    form = next(k for k in (0, 1) if text.count(before[k]) == 1)
    body = text.replace(before[form], after[form]).rpartition('"hash": "')[0]
    other = folder / path.name
    other.write_text(body + '"hash": "' + hashlib.sha256(body.encode()).hexdigest() + '"\n}\n')
    return other


@pytest.mark.parametrize(
    ("kind", "row"), [("gap", 0), ("gap", 50), ("fail", 3), ("fail", 400), ("fail", 815)]
)
def test_a_raised_polynomial_is_caught(path: Path, tmp_path: Path, kind: str, row: int) -> None:
    old = read_record(path)["cells"][kind][row]
    new = [short_hex(float.fromhex(old[0]) * (1 + 1e-9)), *old[1:]]
    verdict = check_composed(_changed(path, tmp_path, old, new), 1)
    assert len(verdict.faults) == 1 and "not proved" in verdict.faults[0]


@pytest.mark.parametrize("place", [0, 2, 3, 4])
def test_a_false_composition_is_caught(path: Path, tmp_path: Path, place: int) -> None:
    """A shift 1e-9 too long, or a level 1e-9 too low: its own composition refutes it."""
    old = read_record(path)["compositions"][30]
    new = list(old)
    new[place] = short_hex(float.fromhex(old[place]) * (1 + (1e-9 if place == 0 else -1e-9)))
    other = _changed(path, tmp_path, old, new)
    faults = check_composed(other).faults
    assert any("delta" in fault for fault in faults)


@pytest.mark.parametrize("name", ["curvature", "growth"])
def test_a_false_number_of_the_law_is_caught(path: Path, tmp_path: Path, name: str) -> None:
    text = read_record(path)[name]
    old, new = f'"{name}": "{text}"', f'"{name}": "{short_hex(float.fromhex(text) * (1 - 1e-9))}"'
    body = path.read_text("ascii").replace(old, new).rpartition('"hash": "')[0]
    other = tmp_path / path.name
    other.write_text(body + '"hash": "' + hashlib.sha256(body.encode()).hexdigest() + '"\n}\n')
    assert any("not proved" in fault for fault in check_composed(other, 1).faults)


def test_a_chain_checks_itself(path: Path) -> None:
    chain = read_chain(read_record(path))
    with pytest.raises(ValueError, match="rising"):
        dataclasses.replace(chain, links=chain.links[::-1])
    with pytest.raises(ValueError, match="cannot be read"):
        read_chain({"compositions": [["0x1p0"]], "curvature": "0x1p0", "excess": "0x0p0", "growth": "0x1p0"})
