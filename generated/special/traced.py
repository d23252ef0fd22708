"""Radius functions under torch.compile: part of the graph as they are, their tables as constants."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch

from generated.special.arguments import Array

Store = MutableMapping[torch.device, tuple[torch.Tensor, ...]]


def tracing() -> bool:
    """Whether a graph is being traced: tensors then have no values, and must not be kept."""
    return type(torch.empty(0)) is not torch.Tensor


def placed(columns: Sequence[np.ndarray], like: Array, store: Store) -> Sequence[Array]:
    """Arrays where `like` lives: themselves for NumPy, else tensors, copied to a device once and kept in `store`."""
    if not isinstance(like, torch.Tensor):
        return columns
    if tracing():  # constants of the graph
        return tuple(torch.as_tensor(column, device=like.device) for column in columns)
    if like.device not in store:
        store[like.device] = tuple(torch.tensor(column, device=like.device) for column in columns)
    return store[like.device]


def traceable(function: Callable[..., Any]) -> Callable[..., Any]:
    """A radius function that torch.compile(fullgraph=True) takes whole: its tables are built while the graph is traced.

    A radius can be compiled, and torch.func's transforms of it run as they are. A compiled transform, torch.compile(torch.func.vmap(
    torch.func.grad(f))), works for closed forms; for radii from curves and tables torch raises an error.

    Without it the compiler would read on into the code that builds the tables, which is no tensor code.
    """

    def allow() -> bool:
        torch.compiler.allow_in_graph(function)
        return True

    allow._dynamo_marked_constant = True  # type: ignore[attr-defined]  # what assume_constant_result sets, without loading the compiler

    @wraps(function)
    def radius(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            allow()
        return function(*args, **kwargs)

    return radius
