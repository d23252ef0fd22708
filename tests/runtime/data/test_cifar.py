"""CIFAR-10 from every form of its archive; what is damaged or would run code is refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runtime.data import Dataset, load_dataset
from runtime.data.plain_pickle import read_plain
from tests.runtime.data.archives import BATCHES, binary, cifar_batches, images, python2, python3, tarred

FORMS: dict[str, tuple[str, Callable[[np.ndarray, list[int]], bytes]]] = {
    "binary": (".bin", binary),
    "python 2": ("", python2),
    **{f"protocol {p}": ("", lambda x, y, p=p: python3(x, y, p)) for p in range(2, 6)},  # type: ignore[misc]
}


def folder_of(form: str, folder: Path) -> Path:
    suffix, write = FORMS[form]
    for name, (x, y) in cifar_batches().items():
        (folder / (name + suffix)).write_bytes(write(x, y))
    return folder


def checked(data: Dataset) -> None:
    batches = cifar_batches()
    assert (data.shape, data.num_classes, len(data.train), len(data.x_test)) == ((3, 32, 32), 10, 20, 4)
    x, y = batches["test_batch"]
    assert torch.equal(data.x_test[:], torch.from_numpy(x.astype(np.float32)) / 255.0)
    assert data.y_test.tolist() == y and data.y_test.dtype == torch.int64
    train = np.concatenate([batches[name][0] for name in BATCHES[:5]])
    assert torch.equal(torch.round(data.x_train * 255.0).to(torch.uint8), torch.from_numpy(train))


@pytest.mark.parametrize("form", FORMS)
def test_folders_and_archives_of_every_form(form: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    data = load_dataset(f"cifar10:{folder_of(form, tmp_path / 'a')}")
    checked(data)
    files = {f"cifar-10-batches/{path.name}": path.read_bytes() for path in (tmp_path / "a").iterdir()}
    packed = load_dataset(f"cifar10:{tarred(files, tmp_path / 'cifar-10-x.tar.gz')}")
    checked(packed)
    assert packed.sha256 == data.sha256 == load_dataset(f"cifar10:{tmp_path}").sha256


def test_the_forms_agree(tmp_path: Path) -> None:
    digests = set()
    for form in FORMS:
        (tmp_path / form).mkdir()
        digests.add(load_dataset(f"cifar10:{folder_of(form, tmp_path / form)}").sha256)
    assert len(digests) == 1


def test_the_test_batch_alone_is_a_held_out_part(tmp_path: Path) -> None:
    x, y = cifar_batches()["test_batch"]
    (tmp_path / "test_batch.bin").write_bytes(binary(x, y))
    data = load_dataset(f"cifar10:{tmp_path}")
    assert len(data.train) == 0 and data.shape == (3, 32, 32)
    with pytest.raises(ValueError, match="no training part; pass --checkpoint or --model"):
        _ = data.x_train


@pytest.mark.parametrize("form", ["binary", "python 2", "protocol 4"])
def test_truncated_and_incomplete_archives_are_refused(form: str, tmp_path: Path) -> None:
    folder = folder_of(form, tmp_path)
    suffix = FORMS[form][0]
    path = folder / f"data_batch_2{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="truncated"):
        load_dataset(f"cifar10:{folder}")
    x, y = cifar_batches()["data_batch_2"]
    path.write_bytes(FORMS[form][1](x[:3], y[:3]))
    with pytest.raises(ValueError, match="equal numbers are required"):
        load_dataset(f"cifar10:{folder}")
    path.write_bytes(FORMS[form][1](x, [0, 1, 2, 77]))
    with pytest.raises(ValueError, match=r"labels in 0 … 9 are required, got 77"):
        load_dataset(f"cifar10:{folder}")
    path.unlink()
    with pytest.raises(ValueError, match=f"data_batch_2{suffix} is missing"):
        load_dataset(f"cifar10:{folder}")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no CIFAR-10"):
        load_dataset(f"cifar10:{tmp_path}")
    with pytest.raises(ValueError, match="neither a folder nor an archive"):
        load_dataset(f"cifar10:{tmp_path / 'none'}")
    packed = tarred({"x/test_batch.bin": bytes(3073 * 4)}, tmp_path / "a.tar.gz")
    assert len(load_dataset(f"cifar10:{packed}").x_test) == 4
    for keep in (0, 20, 60):
        (tmp_path / "cut.tar.gz").write_bytes(packed.read_bytes()[:keep])
        with pytest.raises(ValueError, match="damaged or no tar file|holds no CIFAR-10"):
            load_dataset(f"cifar10:{tmp_path / 'cut.tar.gz'}")


class Hostile:
    """An object whose unpickling would make a folder."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for content in (Hostile(str(marker)), {b"data": images(1, 0), b"labels": [Hostile(str(marker))]}):
        (tmp_path / "test_batch").write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(ValueError, match=r"names (posix|nt|copyreg|os)\.\w+; nothing was run"):
            load_dataset(f"cifar10:{tmp_path}")
    assert not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x02(cos\nsystem\nS'true'\no.",
        b"\x80\x02cnumpy\ndtype\n(S'O'\ntR.",
        b"\x80\x02cnumpy\ndtype\n\x8c\x01a\x93.",
        b"\x80\x02(ios\nsystem\n.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02Pid\n.",
        b"\x80\x02N\x81.",
        b"garbage",
        b"",
        b"\x80\x02e.",
    ],
)
def test_other_instructions_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="is refused|truncated or no pickle") as caught:
        read_plain(text, "file")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_data_survive(protocol: int) -> None:
    array = np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3))
    held = {
        "a": [1, -(2**70), 0.5, None, True, (1, "é", b"\xff")],
        "x": array,
        "y": np.arange(3),
        "z": [[1], {2: 3}],
    }
    again = read_plain(pickle.dumps(held, protocol=protocol), "file")
    assert again["a"] == held["a"] and again["z"] == held["z"]
    assert np.array_equal(again["x"], array) and again["x"].dtype == array.dtype
    assert np.array_equal(again["y"], np.arange(3))


def test_every_cut_of_a_pickle_is_refused() -> None:
    x, y = cifar_batches(1)["test_batch"]
    whole = python2(x, y)
    for keep in [*range(0, 300, 7), len(whole) - 1, len(whole) // 2]:
        with pytest.raises(ValueError, match="truncated or no pickle|is refused"):
            read_plain(whole[:keep], "file")
