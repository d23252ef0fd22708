"""Tiny archives in the layouts of public data sets."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def images(count: int, seed: int, shape: tuple[int, ...] = (3, 32, 32)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def cifar_batches(count: int = 4) -> dict[str, tuple[np.ndarray, list[int]]]:
    return {
        name: (images(count, seed), [(seed + k) % 10 for k in range(count)])
        for seed, name in enumerate(BATCHES)
    }


def binary(x: np.ndarray, y: list[int]) -> bytes:
    """Records of one label and 3,072 bytes: red, green, blue plane."""
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(x, y, strict=True))


def python2(x: np.ndarray, y: list[int]) -> bytes:
    """What Python 2 wrote, protocol 2: text of eight bits everywhere, the array's bytes as such a text."""
    integers = b"".join(b"K" + bytes([label]) for label in y)

    def text(value: bytes) -> bytes:
        head = b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + len(value).to_bytes(4, "little")
        return head + value

    shape = b"M" + len(x).to_bytes(2, "little") + b"M" + (3072).to_bytes(2, "little") + b"\x86"
    kind = (
        b"cnumpy\ndtype\nq\x05"
        + text(b"u1")
        + b"K\x00K\x01\x87Rq\x06(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85"
        + text(b"b")
        + b"\x87Rq\x04(K\x01"
        + shape
        + kind
        + b"\x89"
        + text(x.tobytes())
        + b"tb"
    )
    pairs = (
        text(b"batch_label")
        + text(b"testing batch 1 of 1")
        + text(b"labels")
        + b"]("
        + integers
        + b"e"
        + text(b"data")
        + array
        + text(b"filenames")
        + b"]("
        + b"".join(text(b"x.png") for _ in y)
        + b"e"
    )
    return b"\x80\x02}q\x01(" + pairs + b"u."


def python3(x: np.ndarray, y: list[int], protocol: int) -> bytes:
    return pickle.dumps({b"labels": y, b"data": x.reshape(len(x), -1)}, protocol=protocol)


def tarred(files: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    return head + array.tobytes()


def mnist_folder(folder: Path, packed: bool = True, train: bool = True) -> dict[str, Any]:
    """t10k-… and train-… files; the arrays that they hold."""
    held: dict[str, Any] = {}
    for part, count in (("train", 5), ("t10k", 3))[0 if train else 1 :]:
        held[part] = images(count, count, (28, 28)), np.arange(count, dtype=np.uint8)
        for kind, array in zip(("images-idx3", "labels-idx1"), held[part], strict=True):
            data = idx(array)
            path = folder / f"{part}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return held
