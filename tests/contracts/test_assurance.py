"""docs/assurance.md says what is so: its statuses are known words, and its tests exist."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import pytest

from tests.contracts.sources import ROOT, density_modules, name_of, parsed

STATUSES = {"proved", "enclosed", "tested", "assumed"}


@dataclass(frozen=True)
class Link:
    name: str
    status: str
    known: str
    tests: tuple[str, ...]


def _links() -> list[Link]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "assurance.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == ["link", "status", "what is known", "tests"]
    return [Link(a, b, c, tuple(re.findall(r"`([^`]+)`", d))) for a, b, c, d in rows[2:]]


LINKS = _links()


def _exists(test: str) -> bool:
    """Whether `path::name` is a test function of that file, one that asserts or expects an error."""
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    functions = [n for n in parsed(ROOT / path).body if isinstance(n, ast.FunctionDef) and n.name == name]
    return bool(functions) and any(
        isinstance(node, ast.Assert | ast.With | ast.Call) for node in ast.walk(functions[0])
    )


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name)
def test_status_is_a_known_word_and_its_tests_exist(link: Link) -> None:
    assert link.status in STATUSES
    assert link.known, "say what is known, or why it is assumed"
    assert link.tests or link.status == "assumed", "name the test that would fail"
    missing = [test for test in link.tests if not _exists(test)]
    assert not missing, f"no such test: {missing}"


def test_the_whole_line_is_covered() -> None:
    names = " ".join(link.name for link in LINKS)
    for stage in (
        "density",
        "growth",
        "radius",
        "σ",
        "sampler",
        "random",
        "floating",
        "votes",
        "p_lower",
        "store",
    ):
        assert stage in names
    assert len({link.name for link in LINKS}) == len(LINKS)


def test_every_density_module_says_how_it_was_verified() -> None:
    assert len(density_modules()) >= 4
    for path in density_modules():
        head = ast.get_docstring(parsed(path)) or ""
        lines = head.partition("Verified when this file was written:")[2].strip().splitlines()
        assert lines, f"{name_of(path)}: nothing verified"
        assert {line.split()[0] for line in lines} <= STATUSES, name_of(path)
        assert any(line.split()[0] == "enclosed" for line in lines), name_of(path)


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert _exists("tests/contracts/test_assurance.py::test_the_whole_line_is_covered")
    assert not _exists("tests/contracts/test_assurance.py::test_something_else")
    assert not _exists("tests/contracts/test_nothing.py::test_the_whole_line_is_covered")
