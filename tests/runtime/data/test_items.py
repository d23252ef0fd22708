"""Data sets of other packages: torch Datasets, loaders, factories, torchvision, timm."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from runtime.data import Dataset, absolute, dataset_from, load_dataset
from tests.runtime.data.archives import images

X = torch.from_numpy(images(7, 0, (3, 4, 4)))
Y = torch.tensor([0, 1, 2, 3, 0, 1, 2])


class Pairs:
    """A map-style data set that counts how often an item is made."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y, self.calls = x, y, 0

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        self.calls += 1
        return self.x[index], self.y[index]


def agrees(data: Dataset) -> None:
    assert (data.shape, data.num_classes, data.y_test.tolist()) == ((3, 4, 4), 4, Y.tolist())
    assert torch.equal(data.x_test[:], X.float() / 255.0) and data.y_test.dtype == torch.int64
    assert len(data.train) == 0


@pytest.mark.parametrize(
    "source",
    [
        TensorDataset(X, Y),
        TensorDataset(X.float() / 255.0, Y),
        DataLoader(TensorDataset(X, Y), batch_size=3),
        Pairs(X.numpy().transpose(0, 2, 3, 1), Y.tolist()),
        list(zip(X, Y.tolist(), strict=True)),
        iter(list(zip(X, Y, strict=True))),
    ],
    ids=["bytes", "floats", "loader", "channels last", "list", "iterator"],
)
def test_anything_with_images_and_labels(source: Any) -> None:
    agrees(dataset_from(source, "mine"))


def test_items_are_made_when_they_are_asked_for() -> None:
    source = Pairs(X, Y)
    source.targets = Y.tolist()  # type: ignore[attr-defined]
    data = dataset_from(source, "mine")
    before = source.calls
    assert before < len(X)
    _ = data.x_test[2]
    assert source.calls == before + 1


class Augmented(Pairs):
    """A data set whose transform is random."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return torch.rand(3, 4, 4), self.y[index]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "empty"),
        (Augmented(X, Y), "another image each time"),
        (iter([]), "empty"),
        (7, "is a int; a DataLoader or Dataset"),
        ([3, 4], "items must be"),
        ([(X[0], 0.5), (X[0], 1)], "a label must be one integer"),
        ([(X[0], 0), (X[0], -1)], "labels in 0"),
        ([(X[0], 0), (X[0], 0)], "one class"),
        ([(X[0].float() - 2.0, 0), (X[0], 1)], "pass it as --normalise"),
        ([(torch.full((3, 4, 4), float("nan")), 0), (X[0], 1)], r"\[0, 1\] is required"),
        ([(X[0].long(), 0), (X[0], 1)], "must be uint8 or float"),
        (iter([(X[0], 0), (X[0, :, :2], 1)]), "different shapes"),
    ],
)
def test_bad_items_are_refused(source: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset_from(source, "mine")


def test_classes_beyond_those_that_occur() -> None:
    assert dataset_from(TensorDataset(X, Y), "mine", num_classes=10).num_classes == 10
    with pytest.raises(ValueError, match="does not cover the label 3"):
        dataset_from(TensorDataset(X, Y), "mine", num_classes=3)


def test_a_factory_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_own_data.py").write_text(
        "import torch\n"
        "def make():\n"
        "    return torch.utils.data.TensorDataset(torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 0, 1]))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_dataset("python:users_own_data:make").shape == (1, 2, 2)
    for name in ("users_own_data:absent", "no_such_module_here:make"):
        with pytest.raises(ValueError, match=f"dataset python:{name} cannot be made"):
            load_dataset(f"python:{name}")


def package(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(members)
    return module


def test_torchvision_and_timm_where_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[Any, ...]] = []

    class Trained(Pairs):
        def __init__(self, root: str, train: bool = True) -> None:
            super().__init__(X, Y)
            opened.append((root, train))

    class Split(Pairs):
        def __init__(self, root: str, split: str = "train") -> None:
            super().__init__(X, Y)
            opened.append((root, split))

    def create_dataset(name: str, root: str, split: str, is_training: bool) -> Pairs:
        opened.append((name, root, split, is_training))
        return Pairs(X, Y)

    datasets = package("torchvision.datasets", Trained=Trained, SVHN=Split)
    monkeypatch.setitem(sys.modules, "torchvision", package("torchvision", datasets=datasets))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    data = package("timm.data", create_dataset=create_dataset)
    monkeypatch.setitem(sys.modules, "timm", package("timm", data=data))
    monkeypatch.setitem(sys.modules, "timm.data", data)
    for name in ("torchvision:Trained:here", "torchvision:SVHN:here", "timm:folder:here"):
        agrees(load_dataset(name))
    assert opened == [("here", False), ("here", "test"), ("folder", "here", "validation", False)]
    with pytest.raises(ValueError, match="no data set Absent"):
        load_dataset("torchvision:Absent:here")


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_missing_packages_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=rf"needs {name}.*pip install 'smoothing-radii\[vision\]'"):
        load_dataset(f"{name}:CIFAR10:here")


def test_names_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("digits") == "digits" and absolute("python:a:b") == "python:a:b"
    assert absolute("cifar10:x") == f"cifar10:{tmp_path / 'x'}"
    assert absolute("npy:a.npy,b.npy") == f"npy:{tmp_path / 'a.npy'},{tmp_path / 'b.npy'}"
    assert absolute("torchvision:CIFAR10:x") == f"torchvision:CIFAR10:{tmp_path / 'x'}"
    assert absolute("mine.npz") == str(tmp_path / "mine.npz")


def test_byte_arrays_and_mapped_files(tmp_path: Path) -> None:
    x, y = X.numpy(), Y.numpy()
    np.savez(tmp_path / "bytes.npz", x_test=x, y_test=y)
    data = load_dataset(str(tmp_path / "bytes.npz"))
    agrees(data)
    np.savez(tmp_path / "ten.npz", x_test=x, y_test=y, num_classes=10)
    assert load_dataset(str(tmp_path / "ten.npz")).num_classes == 10
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    agrees(load_dataset(f"npy:{tmp_path / 'x.npy'},{tmp_path / 'y.npy'}"))
    np.save(tmp_path / "last.npy", x.transpose(0, 2, 3, 1))
    agrees(load_dataset(f"npy:{tmp_path / 'last.npy'},{tmp_path / 'y.npy'}"))
    np.savez(tmp_path / "bits.npz", x_test=x % 2, y_test=y)
    with pytest.raises(ValueError, match="bytes 0 and 1 alone"):
        load_dataset(str(tmp_path / "bits.npz"))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    for text, message in (
        (f"{tmp_path / 'x.npy'}", "two files"),
        (f"{tmp_path / 'x.npy'},{tmp_path / 'none.npy'}", "cannot be read"),
        (f"{tmp_path / 'object.npy'},{tmp_path / 'y.npy'}", "cannot be read"),
        (f"{tmp_path / 'x.npy'},{tmp_path / 'x.npy'}", "7 integer labels"),
        (f"{tmp_path / 'y.npy'},{tmp_path / 'y.npy'}", r"must be \[N, C, H, W\]"),
    ):
        with pytest.raises(ValueError, match=message):
            load_dataset(f"npy:{text}")
