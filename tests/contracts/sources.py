"""The product's own Python files, parsed once, and what they import."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from generated.registry import FAMILIES
from generated.special.lookup import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("derive", "generated", "runtime")


def files(*folders: str) -> list[Path]:
    """Python files under the given folders of the repository, sorted."""
    found = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert found, f"no Python file under {folders}"
    return found


def name_of(path: Path) -> str:
    """Path within the repository, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Full dotted names that a file imports anywhere, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def foreign(tree: ast.AST) -> set[str]:
    """Top-level names imported from outside the standard library."""
    return {name.partition(".")[0] for name in imported(tree)} - set(sys.stdlib_module_names)


def environment(root: Path) -> dict[str, str]:
    """A process environment in which `python` is this one, the packages are those under `root`, and new tables go there, too."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "PYTHONPATH": str(root), VARIABLE: str(root / "compiled-tables")}
    return {**os.environ, **own, "OMP_NUM_THREADS": "1"}


def density_modules() -> list[Path]:
    """The modules of `generated` that hold one density each."""
    return [path for path in files("generated") if path.parent.name == "generated" and path.stem in FAMILIES]
