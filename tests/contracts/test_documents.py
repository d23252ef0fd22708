"""Every command and snippet of README.md and docs/ works, run in a copy of the product."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.documents import Block, blocks, commands, pages
from tests.contracts.sources import PACKAGES, ROOT, environment, name_of

TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
SMALL = "--inputs 1 --n 256 --epochs 1"
WITH_CODE = [page for page in pages() if any(b.language in ("bash", "python") for b in blocks(page))]


def _copy(folder: Path) -> Path:
    for name in (*PACKAGES, "docs", "tests/benchmarks", "tests/properties"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def _bash(command: str, folder: Path) -> None:
    """Runs one command; what installs, clones or takes minutes is checked or cut down instead."""
    words = command.split()
    if words[0] == "make":
        assert set(words[1:]) <= TARGETS, f"{command}: the Makefile has {sorted(TARGETS)}"
    elif words[0] in ("git", "cd", "open") or words[:2] == ["pip", "install"]:
        assert "TODO" not in command
    elif words[:2] == ["python", "-m"] and words[2].startswith("tests.benchmarks."):
        _run(["bash", "-c", f"set -e; {command} --quick"], folder)  # the same program, fewer repetitions
    else:
        assert words[:2] == ["python", "-m"] and words[2] in PACKAGES, f"{command}: say how to test this"
        long = words[2:4] in (["runtime", "certify"], ["runtime", "train"]) and "--inputs" not in words
        _run(["bash", "-c", f"set -e; {command} {SMALL if long else ''}"], folder)


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_commands_and_snippets_of_a_page_work_in_order(page: Path, tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    for block in blocks(page):
        if block.language == "bash":
            for command in commands(block):
                _bash(command, folder)
        elif block.language == "python":
            script = folder / "snippet.py"
            script.write_text(block.text, encoding="utf-8")
            _run([sys.executable, str(script)], folder)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_blocks_name_a_language_and_links_lead_somewhere(page: Path) -> None:
    assert all(block.language for block in blocks(page)), "each fenced block names its language"
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|mailto:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), f"{target} leads nowhere"


def test_a_broken_command_is_found(tmp_path: Path) -> None:
    (tmp_path / "derive").mkdir()
    with pytest.raises(AssertionError, match="say how to test this"):
        _bash("rm -rf runs", tmp_path)
    with pytest.raises(AssertionError, match="the Makefile has"):
        _bash("make coffee", tmp_path)
    with pytest.raises(AssertionError, match="unknown-command"):
        _bash("python -m derive unknown-command", _copy(tmp_path / "copy"))


def test_commands_are_joined_over_backslashes_and_freed_of_comments() -> None:
    block = Block("bash", "# first\npython -m a \\\n  --b\n\nmake c  # then\n", 1)
    assert commands(block) == ["python -m a    --b", "make c"]
