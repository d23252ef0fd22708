"""MNIST from idx files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from runtime.data import load_dataset
from tests.runtime.data.archives import idx, mnist_folder


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_are_read(packed: bool, tmp_path: Path) -> None:
    held = mnist_folder(tmp_path, packed)
    data = load_dataset(f"mnist:{tmp_path}")
    assert (data.shape, data.num_classes, len(data.train), len(data.x_test)) == ((1, 28, 28), 10, 5, 3)
    x, y = held["t10k"]
    assert torch.equal(data.x_test[1], torch.from_numpy(x[1:2].astype(np.float32)) / 255.0)
    assert data.y_test.tolist() == y.tolist() and torch.equal(data.x_train, data.train[:])


def test_the_held_out_files_alone(tmp_path: Path) -> None:
    mnist_folder(tmp_path, train=False)
    assert len(load_dataset(f"mnist:{tmp_path}").train) == 0


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t10k-images-idx3-ubyte", idx(np.zeros((3, 28, 28), np.uint8))[:-1], "only 2351"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((3, 28, 28), np.uint8)) + b"x", "there are more"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((2, 28, 28), np.uint8)), "2 integer labels are required"),
        ("t10k-images-idx3-ubyte", idx(np.zeros(3, np.uint8)), "is no idx file of bytes with 3 axes"),
        ("t10k-images-idx3-ubyte", b"", "is no idx file"),
        ("t10k-images-idx3-ubyte", idx(np.zeros((0, 28, 28), np.uint8)), "holds no images"),
        ("t10k-images-idx3-ubyte", bytes([0, 0, 8, 3]) + b"\xff" * 12, "more than 2 GiB"),
        ("train-images-idx3-ubyte", idx(np.zeros((5, 8, 8), np.uint8)), "differ"),
    ],
)
def test_damaged_files_are_refused(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    mnist_folder(tmp_path, packed=False)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        load_dataset(f"mnist:{tmp_path}")


def test_cut_gzip_and_missing_files_are_refused(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for data in (whole[:-20], whole[:100], gzip.compress(b"")[:5], b"not gzip"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="damaged|no idx file"):
            load_dataset(f"mnist:{tmp_path}")
    path.unlink()
    with pytest.raises(ValueError, match="holds no t10k-images-idx3-ubyte"):
        load_dataset(f"mnist:{tmp_path}")
