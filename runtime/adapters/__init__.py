"""The smoothed classifier behind interfaces that people know from elsewhere.

Names are loaded when they are first used; no adapter's library is imported before it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.adapters.smooth import Smooth
    from runtime.adapters.toolbox import toolbox_classifier

__all__ = ["Smooth", "toolbox_classifier"]

_HOMES = {"Smooth": "smooth", "toolbox_classifier": "toolbox"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"runtime.adapters.{_HOMES[name]}"), name)
