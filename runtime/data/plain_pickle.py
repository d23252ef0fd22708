"""Reads pickles of plain data: numbers, text, bytes, lists, tuples, dicts and NumPy arrays of numbers. Nothing is run.

The standard library's `pickletools` splits the bytes into instructions without acting on them; the few that build
plain data are acted on here, and every other one is refused. A name such as "os system" is never looked up: the six
names that an array needs are matched as text.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

_ARRAY = frozenset({"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"})
_BUFFER = frozenset({"numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer"})
_CLASS, _DTYPE, _ENCODE = "numpy ndarray", "numpy dtype", "_codecs encode"
_NAMES = _ARRAY | _BUFFER | {_CLASS, _DTYPE, _ENCODE}
_VALUES = frozenset(
    "STRING BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8 INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_STORES = frozenset({"BINPUT", "LONG_BINPUT", "PUT"})
_LOADS = frozenset({"BINGET", "LONG_BINGET", "GET"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class _Name:
    text: str


@dataclass
class _Kind:
    """A number type: its text, and its byte order once that is known."""

    text: str
    order: str = "|"

    def numpy(self) -> np.dtype[Any]:
        found = np.dtype(self.text).newbyteorder("=" if self.order == "|" else self.order)  # type: ignore[arg-type]
        if found.kind not in "biuf":
            raise ValueError(f"an array of {self.text} is no array of numbers")
        return found


class _Array:
    """An array under construction; `value` once its content is known."""

    def __init__(self, value: np.ndarray | None = None) -> None:
        self.value = value


class _Mark:
    pass


def read_plain(data: bytes, source: str) -> Any:
    """The content of a pickle of plain data.

    Args:
        data: the bytes of the file.
        source: named in errors.

    Raises:
        ValueError: the pickle is damaged, or asks for anything but plain data.
    """
    try:
        return _finished(_Machine().run(data))
    except _Refused as error:
        raise ValueError(f"{source} is refused: {error}; nothing was run") from None
    except Exception as error:
        raise ValueError(
            f"{source} is truncated or no pickle of plain data ({type(error).__name__})"
        ) from None


class _Refused(Exception):
    pass


def _finished(value: Any) -> Any:
    """Replaces arrays under construction, in dicts and lists of one level and within tuples."""
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError("an array without content")
        return value.value
    if isinstance(value, dict):
        return {key: _finished(item) for key, item in value.items()}
    if isinstance(value, _Name | _Kind):
        raise ValueError("a bare name")
    return value


class _Machine:
    """The stack and memory of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for code, argument, _ in pickletools.genops(data):
            name = code.name
            if name == "STOP":
                return self.stack.pop()
            if name in ("PROTO", "FRAME"):
                continue
            if name in _VALUES:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _STORES:
                self.memory[int(str(argument))] = self.stack[-1]
            elif name in _LOADS:
                self.stack.append(self.memory[int(str(argument))])
            elif name in _TUPLES:
                self.stack.append(tuple(self._taken(_TUPLES[name])))
            else:
                self._act(name, argument)
        raise ValueError("no end")

    def _taken(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise ValueError("stack underflow")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _marked(self) -> list[Any]:
        place = max(place for place, item in enumerate(self.stack) if isinstance(item, _Mark))
        taken = self._taken(len(self.stack) - place)
        return taken[1:]

    def _act(self, name: str, argument: Any) -> None:
        if name == "MARK":
            self.stack.append(_Mark())
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = self.stack[-1]
        elif name == "EMPTY_LIST":
            self.stack.append([])
        elif name == "EMPTY_DICT":
            self.stack.append({})
        elif name == "TUPLE":
            self.stack.append(tuple(self._marked()))
        elif name == "LIST":
            self.stack.append(self._marked())
        elif name in ("DICT", "SETITEM", "SETITEMS"):
            pairs = self._taken(2) if name == "SETITEM" else self._marked()
            if name == "DICT":
                self.stack.append({})
            self._of(dict).update(zip(pairs[::2], pairs[1::2], strict=True))
        elif name in ("APPEND", "APPENDS"):
            items = self._taken(1) if name == "APPEND" else self._marked()
            self._of(list).extend(items)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            text = argument if name == "GLOBAL" else " ".join(str(part) for part in self._taken(2))
            if text not in _NAMES:
                raise _Refused(f"it names {text.replace(' ', '.')}")
            self.stack.append(_Name(text))
        elif name == "REDUCE":
            called, arguments = self._taken(2)
            self.stack.append(_made(called, arguments))
        elif name == "BUILD":
            target, state = self._taken(2)
            self.stack.append(_built(target, state))
        else:
            raise _Refused(f"it holds the instruction {name}")

    def _of(self, kind: type[Any]) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"a {kind.__name__} is required")
        return self.stack[-1]


def _made(called: Any, arguments: tuple[Any, ...]) -> Any:
    if not isinstance(called, _Name):
        raise _Refused("it calls what is no name")
    if called.text in _ARRAY:
        return _Array()
    if called.text in _BUFFER:
        buffer, kind, shape, order = arguments
        return _Array(np.frombuffer(bytes(buffer), kind.numpy()).reshape(shape, order=order).copy())
    if called.text == _DTYPE:
        return _Kind(str(arguments[0]))
    if called.text == _ENCODE and isinstance(arguments[0], str) and arguments[1] in ("latin1", "latin-1"):
        return arguments[0].encode("latin-1")
    raise _Refused(f"it calls {called.text.replace(' ', '.')}")


def _built(target: Any, state: tuple[Any, ...]) -> Any:
    if isinstance(target, _Kind):
        target.order = str(state[1])
        return target
    if not isinstance(target, _Array):
        raise _Refused("it sets the state of what is no array")
    _, shape, kind, fortran, content = state
    data = content.encode("latin-1") if isinstance(content, str) else bytes(content)
    target.value = np.frombuffer(data, kind.numpy()).reshape(shape, order="F" if fortran else "C").copy()
    return target
