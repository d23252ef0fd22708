"""Datasets: the fixed digits, archives of one's own, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runtime.data import load_dataset


def arrays() -> dict[str, Any]:
    x = np.linspace(0.0, 1.0, 2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    y = np.array([0, 2])
    return {"x_train": x, "y_train": y, "x_test": x[:1], "y_test": y[:1]}


def test_digits_are_scaled_shaped_and_split_for_good() -> None:
    digits = load_dataset("digits")
    assert (digits.shape, digits.dim, digits.num_classes) == ((1, 8, 8), 64, 10)
    assert len(digits.x_train) == 1297 and len(digits.x_test) == 500
    assert digits.x_test.dtype == torch.float32 and digits.y_test.dtype == torch.int64
    assert float(digits.x_train.min()) == 0.0 and float(digits.x_train.max()) == 1.0
    assert set(digits.y_test.tolist()) == set(range(10))
    assert digits.sha256 == load_dataset("digits").sha256
    assert digits.sha256 == "c3bad0f9ccfcd00855754052f7d43498378d52a077d6f42411653944e78bb5d2"


def test_an_archive_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **arrays())
    mine = load_dataset(str(tmp_path / "mine.npz"))
    assert mine.shape == (3, 4, 5) and mine.num_classes == 3
    assert torch.equal(mine.y_train, torch.tensor([0, 2]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": arrays()["x_test"] * 255.0}, "divide by 255"),
        ({"x_test": arrays()["x_test"] - 0.5}, r"\[0, 1\]"),
        ({"x_train": arrays()["x_train"] * np.nan}, r"\[0, 1\]"),
        ({"y_train": np.array([0])}, r"\[N\]"),
        ({"y_train": np.array([0.0, 1.0])}, "integers"),
        ({"y_train": np.array([0, -1])}, "at least 0"),
        ({"x_test": np.zeros((1, 3, 4, 4))}, "differ"),
        ({"x_test": np.zeros((0, 3, 4, 5)), "y_test": np.zeros(0, int)}, "N >= 1"),
        ({"y_train": np.array([0, 0]), "y_test": np.array([0])}, "one class"),
        ({"y_train": np.array([{}, {}], dtype=object)}, "cannot be read|pickle"),
    ],
)
def test_bad_archives_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **{**arrays(), **change})
    with pytest.raises(ValueError, match=message):
        load_dataset(str(tmp_path / "mine.npz"))


def test_incomplete_missing_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        load_dataset(str(tmp_path / "none.npz"))
    np.savez(tmp_path / "part.npz", x_train=arrays()["x_train"])
    with pytest.raises(ValueError, match="lacks y_train, x_test, y_test"):
        load_dataset(str(tmp_path / "part.npz"))
    data = (tmp_path / "part.npz").read_bytes()
    for content in (data[: len(data) // 2], b"", b"garbage"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(ValueError):
            load_dataset(str(tmp_path / "bad.npz"))


def test_arrays_of_objects_are_refused_unread(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", x_test=np.array([{}], dtype=object), y_test=np.array([1]))
    with pytest.raises(ValueError, match=r"objects\.npz: array x_test cannot be read.*as numbers"):
        load_dataset(str(tmp_path / "objects.npz"))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        load_dataset("mnist")


def test_a_missing_scikit_learn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match="pip install scikit-learn"):
        load_dataset("digits")
