"""CIFAR-10 from its binary or Python archive, as a folder or as the .tar.gz that is downloaded.

The Python archive is a pickle; it is read by `runtime.data.plain_pickle`, which runs nothing. Where both archives are present the
binary one is taken.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from runtime.data.dataset import Dataset, digest_of, labels_of
from runtime.data.images import ByteImages
from runtime.data.plain_pickle import read_plain

_RECORD = 1 + 3 * 32 * 32
_LARGEST = 2**28
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_NAMES = {*_TRAIN, _TEST}
Batch = tuple[np.ndarray, np.ndarray]


def cifar10(path: Path) -> Dataset:
    """CIFAR-10 from a folder or a tar file with data_batch_1 … 5 (perhaps absent, all of them) and test_batch.

    Raises:
        ValueError: no such folder or file, no test_batch, a damaged or truncated batch.
    """
    files = _members(path) if path.is_file() else _folder(path)
    suffix, read = (".bin", _binary) if f"{_TEST}.bin" in files else ("", _python)
    if _TEST + suffix not in files:
        raise ValueError(f"{path} holds no CIFAR-10: test_batch.bin or test_batch is required")
    present = [name for name in _TRAIN if name + suffix in files]
    if present and len(present) < len(_TRAIN):
        lost = ", ".join(name + suffix for name in _TRAIN if name not in present)
        raise ValueError(f"{path} is incomplete: {lost} is missing; unpack the archive again")
    batches = {name: read(files[name + suffix](), f"{path}/{name}{suffix}") for name in (*present, _TEST)}
    sizes = {name: len(labels) for name, (_, labels) in batches.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{path} is truncated: its batches hold {sizes} images, equal numbers are required")
    empty = (np.zeros((0, 3, 32, 32), np.uint8), np.zeros(0, np.int64))
    train = [batches[name] for name in present] or [empty]
    x_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
    x_test, y_test = batches[_TEST]
    return Dataset(
        f"cifar10:{path}",
        ByteImages(x_train),
        torch.from_numpy(y_train),
        ByteImages(x_test),
        torch.from_numpy(y_test),
        10,
        digest_of(x_train, y_train, x_test, y_test),
    )


def _stem(name: str) -> bool:
    return name.removesuffix(".bin") in _NAMES


def _read(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"{path} is larger than any batch of CIFAR-10")
            return path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None

    return read


def _folder(path: Path) -> dict[str, Callable[[], bytes]]:
    """Batches in a folder, or in the folders that the archives unpack to."""
    found: dict[str, Callable[[], bytes]] = {}
    for folder in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        if folder.is_dir():
            found.update({entry.name: _read(entry) for entry in folder.iterdir() if _stem(entry.name)})
    archives = sorted(path.glob("cifar-10-*.tar.gz")) if path.is_dir() else []
    if not found and archives:
        return _members(archives[0])
    if not path.is_dir():
        raise ValueError(f"{path} is neither a folder nor an archive of CIFAR-10")
    return found


def _members(path: Path) -> dict[str, Callable[[], bytes]]:
    """Batches in a tar file, read into memory; nothing is unpacked."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = Path(member.name).name
                if not _stem(name) or not member.isfile():
                    continue
                if member.size > _LARGEST:
                    raise ValueError(f"{path}: {member.name} is larger than any batch of CIFAR-10")
                opened = archive.extractfile(member)
                found[name] = opened.read() if opened is not None else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged or no tar file ({error}); download it again") from None
    return {name: (lambda data=data: data) for name, data in found.items()}  # type: ignore[misc]


def _binary(data: bytes, source: str) -> Batch:
    if not data or len(data) % _RECORD:
        raise ValueError(
            f"{source} is truncated: {len(data)} bytes are no multiple of {_RECORD}, the size of a record"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    labels = labels_of(records[:, 0].copy(), source, len(records), 10)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), labels


def _python(data: bytes, source: str) -> Batch:
    content = read_plain(data, source)
    if not isinstance(content, dict):
        raise ValueError(f"{source} is no batch of CIFAR-10: a dictionary is required")
    named = {
        key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()
    }
    images = named.get("data")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 2:
        raise ValueError(f"{source} is no batch of CIFAR-10: data must be bytes [N, 3072]")
    if len(images) == 0 or images.shape[1] != _RECORD - 1:
        raise ValueError(f"{source}: data must be [N, 3072] with N >= 1, got {images.shape}")
    labels = labels_of(named.get("labels"), source, len(images), 10)
    return images.reshape(-1, 3, 32, 32).copy(), labels
