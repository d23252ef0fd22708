"""A tiny ONNX file, written byte by byte: flatten, then one linear layer."""

from __future__ import annotations

import numpy as np


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field: an integer, or bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_field(1, length) for length in array.shape)
    return dims + _field(2, 1) + _field(8, name) + _field(9, array.astype("<f4").tobytes())


def _value(name: str, *lengths: int | str) -> bytes:
    dims = b"".join(_field(1, _field(2 if isinstance(length, str) else 1, length)) for length in lengths)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def linear_onnx(
    weight: np.ndarray, bias: np.ndarray, shape: tuple[int, int, int], batch: int | str = "b"
) -> bytes:
    """x [batch, *shape] ↦ weight·flatten(x) + bias; weight [K, d], bias [K]."""
    flatten = _field(1, "x") + _field(2, "flat") + _field(4, "Flatten")
    transposed = _field(1, "transB") + _field(3, 1) + _field(20, 2)
    names = b"".join(_field(1, name) for name in ("flat", "weight", "bias"))
    linear = names + _field(2, "logits") + _field(4, "Gemm") + _field(5, transposed)
    graph = (
        _field(1, flatten)
        + _field(1, linear)
        + _field(2, "linear")
        + _field(5, _tensor("weight", weight))
        + _field(5, _tensor("bias", bias))
        + _field(11, _value("x", batch, *shape))
        + _field(12, _value("logits", batch, len(bias)))
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
