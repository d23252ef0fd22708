"""Proved tables as the generated code uses them: look-up, evaluation on arrays and tensors, gradients, and files that are refused."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from derive.tables.curve import Chain
from derive.tables.file import table_text
from derive.tables.fit import fit
from generated.special import (
    MissingTable,
    ProvedTable,
    compile_command,
    find_table,
    lookup,
    prepare,
    traceable,
)
from generated.special.lookup import load_table, table_file
from tests.derive.tables.gaussian import normal_cells

ENTRIES: dict[str, Any] = {
    "name": "probe", "spec": "0123", "geometry": "l2", "adversary": "2", "dim": 7, "parameters": {"j": "1/2", "k": "2"}
}  # fmt: skip
GIVEN = {"k": 2.0, "j": 0.5}
COMMAND = "python -m derive compile probe --dim 7 --param j=0.5 --param k=2 --adversary 2"


@cache
def text() -> str:
    return table_text(ENTRIES, fit(Chain(normal_cells())), [(0.25, 0.5, 0.7)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SMOOTHING_RADII_TABLES", str(tmp_path))
    yield tmp_path


@pytest.fixture
def path(folder: Path) -> Path:
    path = folder / table_file("probe", "2", 7, GIVEN)
    path.write_text(text(), "ascii")
    return path


def look_up(dim: int = 7, spec: str = "0123", **changed: float) -> ProvedTable:
    return find_table("probe", "2", spec, {}, dim, GIVEN | changed)


def test_the_name_of_a_file_says_what_it_is_of(path: Path) -> None:
    assert path.name == "probe_l2_d7_j=0.5_k=2.json"
    assert table_file("probe", "inf", 3, {"a": 0.1}) == "probe_linf_d3_a=0.1.json"


def test_a_table_in_the_users_folder_is_found(path: Path) -> None:
    table = look_up()
    rho = np.array([0.5 + 2.0**-53, 0.6, 0.75, 0.9, 1.0 - 2.0**-53, 1.0])
    assert np.allclose(
        table(prepare(rho))[1:5], [0.2533471031, 0.6744897502, 1.2815515655, 8.2095361516], rtol=1e-9
    )
    assert table(prepare(rho))[0] == pytest.approx(2.0**-53 * np.sqrt(2.0 * np.pi), rel=1e-9)
    assert table(prepare(rho))[5] == table(prepare(rho))[4]


def test_a_missing_table_is_one_line_with_the_command(folder: Path) -> None:
    with pytest.raises(MissingTable) as caught:
        look_up(dim=70)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(COMMAND.replace("--dim 7", "--dim 70"))
    assert compile_command("probe", "2", 7, GIVEN) == COMMAND == shlex.join(shlex.split(COMMAND))
    with pytest.raises(MissingTable, match="dim = 80"):
        look_up(dim=80)
    with pytest.raises(MissingTable, match="k=2.5"):
        look_up(dim=70, k=2.5)


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -1, -3, -70])
def test_a_truncated_file_is_refused(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="broken: its SHA-256") as caught:
        look_up()
    assert str(caught.value).endswith(COMMAND) and "\n" not in str(caught.value)


@pytest.mark.parametrize("place", range(0, 30_000, 2_111))
def test_one_flipped_bit_is_found(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="broken"):
        look_up()


def test_a_longer_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * 300_000)
    with pytest.raises(ValueError, match="longer than 262144 bytes"):
        look_up()


def test_another_spec_or_format_and_a_renamed_file_are_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="another version of the density .*make it again"):
        look_up(spec="9999")
    path.rename(path.with_name(table_file("probe", "2", 8, GIVEN)))
    with pytest.raises(ValueError, match="dim = 7, not 8"):
        look_up(dim=8)
    head, _, rest = text().partition('"format": 1')
    body = (head + '"format": 2' + rest).rpartition('"hash": "')[0]
    path.write_text(body + '"hash": "' + hashlib.sha256(body.encode()).hexdigest() + '"\n}\n')
    with pytest.raises(ValueError, match="its format is 2"):
        look_up()


def test_a_table_of_an_older_proof_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without a version is of the first; once that is trusted no more, the message says how to make it again."""
    look_up()
    monkeypatch.setattr(lookup, "LEAST_PROOF", 2)
    with pytest.raises(
        ValueError,
        match=r"proof is of version 1, trusted from 2 on; make it again with: python -m derive compile",
    ):
        look_up()


def test_a_shipped_file_must_be_the_listed_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generated.special.lookup.SHIPPED", path.parent)
    with pytest.raises(ValueError, match="not the one listed"):
        find_table("probe", "2", "0123", {path.name: "0" * 64}, 7, GIVEN)


def test_cells_that_are_no_table_are_refused(path: Path) -> None:
    broken = text().replace('"parts": 4', '"parts": 3')
    body = broken.rpartition('"hash": "')[0]
    path.write_text(body + '"hash": "' + hashlib.sha256(body.encode()).hexdigest() + '"\n}\n')
    with pytest.raises(ValueError, match="its cells cannot be read"):
        load_table(path)


RHO = np.concatenate(
    [0.5 + 2.0 ** -np.arange(2.0, 54.0), 1.0 - 2.0 ** -np.arange(2.0, 54.0), np.linspace(0.501, 0.999, 400)]
)


def test_tensors_give_what_arrays_give(path: Path) -> None:
    table = look_up()
    assert np.array_equal(table(prepare(torch.tensor(RHO))).numpy(), table(prepare(RHO)))
    assert table(prepare(torch.tensor(0.9, dtype=torch.float64))).shape == ()
    assert table(prepare(torch.zeros((2, 0, 3), dtype=torch.float64))).shape == (2, 0, 3)
    grid = torch.tensor(RHO[:12]).reshape(3, 4)
    assert torch.equal(table(prepare(grid.T)), table(prepare(grid)).T)


def test_gradients_are_one_over_the_density(path: Path) -> None:
    table = look_up()
    rho = torch.tensor(RHO, requires_grad=True)
    value = table(prepare(rho))
    value.sum().backward()
    assert rho.grad is not None
    exact = np.sqrt(2.0 * np.pi) * torch.exp(0.5 * value.detach() ** 2)
    middle = (rho > 0.5 + 1e-6) & (rho < 1.0 - 1e-12)
    assert torch.allclose(rho.grad[middle], exact[middle], rtol=3e-8, atol=0.0)
    assert torch.allclose(rho.grad, exact, rtol=1e-4, atol=0.0)
    inside = torch.tensor([0.51, 0.6, 0.71, 0.76, 0.9, 0.99], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: table(prepare(r)), (inside,))


def test_vmap_grad_and_compile(path: Path) -> None:
    table = look_up()
    rho = torch.tensor(RHO)
    expected = table(prepare(rho))
    assert torch.equal(torch.func.vmap(lambda r: table(prepare(r)))(rho), expected)
    slope = torch.func.vmap(torch.func.grad(lambda r: table(prepare(r))))(rho)
    leaf = rho.clone().requires_grad_()
    table(prepare(leaf)).sum().backward()
    assert leaf.grad is not None and torch.equal(slope, leaf.grad)
    compiled = torch.compile(traceable(lambda r: table(prepare(r))), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(rho), expected)


def test_neighbouring_doubles_do_not_step_back_by_more_than_the_fit(path: Path) -> None:
    table = look_up()
    value = table(prepare(np.sort(RHO)))
    assert (np.diff(value) >= -5e-11 * value[1:]).all()
