"""Habits of the sources that a reader may rely on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.contracts.sources import PACKAGES, ROOT, files, imported, name_of, parsed

LONGEST = 400
PICKLES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
TEXTS = {".py", ".toml", ".md", ".cfg", ".txt", ".html", ".yml", ".yaml", ""}


def runs_code(tree: ast.AST) -> list[str]:
    """Calls that run text as code, or read files that can."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in {"eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"}:
            found.append(f"line {node.lineno}: {called}")
        elif called.rpartition(".")[2] in {"parse_expr", "lambdify"}:
            found.append(f"line {node.lineno}: {called}")
        elif called.endswith("torch.load") and keywords.get("weights_only") != "True":
            found.append(f"line {node.lineno}: {called} without weights_only=True")
        elif keywords.get("allow_pickle", "False") != "False":
            found.append(f"line {node.lineno}: {called} with allow_pickle")
    found += [name for name in imported(tree) if name.partition(".")[0] in PICKLES]
    return found


@pytest.mark.parametrize("path", files(*PACKAGES), ids=name_of)
def test_no_text_is_run_as_code_and_nothing_is_unpickled(path: Path) -> None:
    assert runs_code(parsed(path)) == []


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "exec('x = 1')",
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "sympy.lambdify(x, y)",
    ],
)
def test_the_scan_finds_what_it_looks_for(code: str) -> None:
    assert runs_code(ast.parse(code))


def test_the_scan_passes_what_is_harmless() -> None:
    assert runs_code(ast.parse("model.eval()\ntorch.load(p, weights_only=True)\nre.compile('a')")) == []


@pytest.mark.parametrize("path", files(*PACKAGES, "tests"), ids=name_of)
def test_file_is_short_and_named_by_what_it_holds(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines; at most {LONGEST}: split it"
    assert path.stem not in {"util", "utils", "helpers", "misc", "common"}


@pytest.mark.parametrize("path", files(*PACKAGES), ids=name_of)
def test_public_functions_are_documented_and_annotated(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree) or not tree.body, "the file needs a docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.returns is not None, f"{node.name}: the result needs a type"
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} needs a docstring"


def test_no_path_of_one_machine_stands_in_the_product() -> None:
    machine = re.compile(r"(?<![\w.$}\])~-])/(?:home|root|work|Users|tmp|opt|mnt)/[\w.]")
    tracked = [path for path in ROOT.rglob("*") if path.is_file() and path.suffix in TEXTS]
    own = [
        path
        for path in tracked
        if path.relative_to(ROOT).parts[0] in {*PACKAGES, "docs", "README.md", "Makefile", "setup.cfg", ".ci"}
    ]
    assert len(own) > 40
    for path in own:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            assert not machine.search(line), f"{name_of(path)}:{number}: {line.strip()}"


def test_no_assert_on_a_users_input() -> None:
    for path in files("runtime", "generated"):
        asserts = [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.Assert)]
        assert not asserts, f"{name_of(path)}: assert in lines {asserts}; raise ValueError"
