"""Generated files are what the engine writes, to the byte."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT, environment


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The engine and what it wrote, in a folder of its own."""
    for name in ("derive", "generated", "docs/derivation"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def _regenerate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "derive", "regenerate", *arguments],
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_committed_files_are_byte_identical(copy: Path) -> None:
    done = _regenerate(copy, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_changed_byte_is_found_and_nothing_is_written(copy: Path) -> None:
    module = copy / "generated" / "uniform.py"
    changed = module.read_text(encoding="utf-8") + "# by hand\n"
    module.write_text(changed, encoding="utf-8")
    done = _regenerate(copy, "uniform", "--check")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "generated/uniform.py" in done.stdout + done.stderr
    assert module.read_text(encoding="utf-8") == changed
