"""Tests see the shipped tables alone, whatever the user of this machine has compiled."""

from __future__ import annotations

import os
import tempfile

import pytest

from generated.special.lookup import VARIABLE

_FOLDER = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def pytest_configure(config: pytest.Config) -> None:
    """An empty folder of tables for this process and those it starts."""
    config.stash[_FOLDER] = tempfile.TemporaryDirectory(prefix="tables-")
    os.environ[VARIABLE] = config.stash[_FOLDER].name


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_FOLDER].cleanup()
