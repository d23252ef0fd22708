"""Bad input on the command line: one line that names the fault, exit code 2, soon, and nothing written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from derive import cli

ROOT = Path(__file__).resolve().parents[2]
GUARD = {"on": False}


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """While it is on, every attempt to change a file of the checkout fails, whoever makes it."""
    if not GUARD["on"]:
        return
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event in ("os.rename", "os.remove", "os.mkdir"):
        path = arguments[1 if event == "os.rename" else 0]
        if arguments[-1] != -1:  # relative to an open folder: a temporary one that is being removed
            return
    else:
        return
    if isinstance(path, (str, bytes, os.PathLike)):
        place = Path(os.path.abspath(os.fsdecode(path)))
        if place.is_relative_to(ROOT) and "__pycache__" not in place.parts:
            raise RuntimeError(f"{event}: {place} would have been changed")


sys.addaudithook(_guard)


@pytest.fixture
def guarded() -> Iterator[None]:
    GUARD["on"] = True
    try:
        yield
    finally:
        GUARD["on"] = False


def test_the_guard_guards(guarded: None) -> None:
    with pytest.raises(RuntimeError, match="would have been changed"):
        (ROOT / "generated" / "guard_test.py").write_text("")
    with pytest.raises(RuntimeError, match="would have been changed"):
        os.replace(ROOT / "no such file", ROOT / "no other file")
    assert not (ROOT / "generated" / "guard_test.py").exists()


def add(name: str = "newcomer", density: str = "exp(-r)", geometry: str = "product", *more: str) -> list[str]:
    return ["add-distribution", name, "--density", density, "--geometry", geometry, *more]


def density(text: str) -> list[str]:
    return add(density=text)


def parameters(*texts: str) -> list[str]:
    return add("newcomer", "exp(-r**k)", "product", *(w for t in texts for w in ("--param", t)))


# (arguments, a pattern that the line must contain)
EXPRESSIONS = [
    (density("__import__('os').system('touch refused')"), "unexpected"),
    (density("r.__class__"), "attributes"),
    (density("lambda: 1"), "unexpected"),
    (density("'exp(-r)'"), "unexpected"),
    (density("10**10**10"), "numeric power"),
    (density("r**" * 500 + "r"), "nested"),
    (density("(" * 500 + "r" + ")" * 500), "nested"),
    (density("exp(-r)" + "+exp(-r)" * 131072), "2000 characters, not 1048583"),
    (density("\u0435\u0445\u0440(-r)"), "CYRILLIC"),
    (density("exp(\u2212r)"), "MINUS SIGN"),
    (density("exp(-x)"), "unknown name 'x'"),
    (density("exp(-k*r)"), "unknown name 'k'.*--param"),
    (density("exp(-r"), "close exp"),
    (density("exp(-r))"), "closing bracket"),
    (density(""), "empty"),
    (density("exp(-r)\n"), "one line"),
    (density("exp(-r)\0"), "x00"),
    (density("exp(-r)\\"), "unexpected"),
    (density("exp(-r^2)"), r"\*\*"),
    (density("2r"), r"with \*"),
    (density("1/(r-r)"), "division by zero"),
    (density("sqrt(-r)"), "real number"),
    (density("(1+r)**(10**6)"), "exponent"),
    (density("gamma(10**9)*exp(-r)"), "1e300"),
    (density("1e999"), "1e300"),
    (density("exp(-r) if r else 0"), "min, max and abs"),
    (density("import os"), "unknown name 'import'"),
]
NAMES = [
    (add("laplace", "exp(-2*r)"), "--replace"),
    (add("gaussian", "exp(-r**2)"), "--replace"),
    (add("../climb"), "identifier"),
    (add("/tmp/climb"), "identifier"),
    (add("a/b"), "identifier"),
    (add("a\\b"), "identifier"),
    (add(".."), "identifier"),
    (add(""), "identifier"),
    (add(" "), "identifier"),
    (add("1x"), "identifier"),
    (add("a-b"), "identifier"),
    (add("a.py"), "identifier"),
    (add("Upper"), "identifier"),
    (add("__init__"), "identifier"),
    (add("n" * 100), "identifier"),
    (add("\u00e9t\u00e9"), "identifier"),
    (add("new\n"), "identifier"),
    (add("new\0"), "identifier"),
    (add("\ud800"), "identifier"),
    (add("registry"), "registry"),
    (add("special"), "special"),
    (add("class"), "class"),
    (add("lambda"), "lambda"),
    (add("coverage"), "coverage"),
    (add("tables"), "tables"),
]
PARAMETERS = [
    (parameters("k>r"), "'r'"),
    (parameters("k>0", "k<2*r"), "'r'"),
    (parameters("k=d"), "'d'"),
    (parameters("r>0"), "'r'"),
    (parameters("d>0"), "'d'"),
    (parameters("pi>0"), "'pi'"),
    (parameters("exp>0"), "'exp'"),
    (parameters("lambda>0"), "'lambda'"),
    (parameters("_k>0"), "'_k'"),
    (parameters("K>0"), "'K'"),
    (parameters("k>2", "k<1"), "no value"),
    (parameters("k>=2", "k<2"), "no value"),
    (parameters("k>0", "k>1"), "two lower bounds"),
    (parameters("k=1", "k=2"), "two values"),
    (parameters("k>0", "k=-1"), "outside its domain"),
    (parameters("k>1/0"), "division by zero"),
    (parameters("k>nan"), "number"),
    (parameters("k>1e999"), "1e300"),
    (parameters("k>__import__('os')"), "number"),
    (parameters("k>0; import os"), "number"),
    (parameters("k!0"), "NAME>NUMBER"),
    (parameters("k"), "decay|integrable|domain|positive"),
    (parameters(""), "NAME>NUMBER"),
    (parameters("k>0", "j>0"), "does not occur"),
    (add("newcomer", "exp(-r)", "l3"), "geometry"),
    (add("newcomer", "1", "l1", "--support", "r<2"), "support"),
    (add("newcomer", "1", "l1", "--support", "r<=-1"), "support"),
    (add("newcomer", "1", "l1", "--support", "r<=oo"), "support"),
    (add("newcomer", "1", "l1", "--support", "r<=r"), "support"),
    (add("newcomer", "exp(-r)", "product", "--adversary", "3"), "norm"),
    (add("newcomer", "exp(-r)", "product", "--reference", "two\nlines"), "reference"),
    (add("newcomer", "exp(-r)", "product", "--reference", '"""'), "reference"),
    (add("newcomer", "exp(-r)", "product", "--unknown", "1"), "--unknown"),
    (add("newcomer", "exp(-r)", "product", "surplus"), "surplus"),
    (["add-distribution"], "NAME"),
    (["add-distribution", "newcomer"], "--density"),
    (["add-distribution", "newcomer", "--density", "exp(-r)"], "--geometry"),
    (["no-such-command"], "no-such-command"),
]
# What only the mathematics can refuse.
DENSITIES = [
    (density("exp(r)"), "integrable"),
    (density("exp(+r)"), "integrable"),
    (density("exp(r**2)"), "integrable"),
    (density("1/r"), "integrable"),
    (density("exp(-1/r)"), "integrable"),
    (density("1"), "integrable"),
    (density("r**2"), "integrable"),
    (density("exp(-r)/r"), "integrable"),
    (add("newcomer", "r**(-d)*exp(-r)", "linf"), "integrable"),
    (density("r**(-1/2)*exp(-r)"), "mean|no radius"),
    (density("0"), "positive"),
    (density("-exp(-r)"), "positive"),
    (density("r-r"), "positive"),
]


def refused(arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    output = capsys.readouterr()
    assert stop.value.code == 2
    assert output.out == ""
    assert output.err.startswith("error: ") and output.err.endswith("\n") and output.err.count("\n") == 1
    assert output.err[:-1].isprintable() and "Traceback" not in output.err
    assert len(output.err) < 700
    assert re.search(pattern, output.err), output.err


def labels(cases: list[tuple[list[str], str]]) -> list[str]:
    return [f"{i}:{ascii(' '.join(a[1:]))[1:40]}" for i, (a, _) in enumerate(cases)]


@pytest.mark.parametrize(("arguments", "pattern"), EXPRESSIONS, ids=labels(EXPRESSIONS))
def test_text_that_is_no_density(
    arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str], guarded: None
) -> None:
    start = time.process_time()
    refused(arguments, pattern, capsys)
    assert time.process_time() - start < 4.0


@pytest.mark.parametrize(("arguments", "pattern"), NAMES, ids=labels(NAMES))
def test_names_that_would_harm(
    arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str], guarded: None
) -> None:
    refused(arguments, pattern, capsys)


@pytest.mark.parametrize(("arguments", "pattern"), PARAMETERS, ids=labels(PARAMETERS))
def test_parameters_and_options_that_contradict(
    arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str], guarded: None
) -> None:
    refused(arguments, pattern, capsys)


@pytest.mark.parametrize(("arguments", "pattern"), DENSITIES, ids=labels(DENSITIES))
def test_functions_that_are_no_density(
    arguments: list[str], pattern: str, capsys: pytest.CaptureFixture[str], guarded: None
) -> None:
    start = time.process_time()
    refused(arguments, pattern, capsys)
    assert time.process_time() - start < 60.0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the engine owns."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in ("derive", "generated", "docs/derivation"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def contents(checkout: Path) -> dict[str, bytes]:
    files = [f for f in checkout.parent.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    return {str(f.relative_to(checkout.parent)): f.read_bytes() for f in files}


WHOLE: list[tuple[list[str | bytes], str]] = [
    ([*density("__import__('os').system('touch refused')")], "unexpected"),
    ([*density("10**10**10")], "numeric power"),
    ([*density("1/r")], "integrable"),
    ([*add("../climb")], "identifier"),
    ([*add("laplace", "exp(-2*r)")], "--replace"),
    (["add-distribution", b"\xff\xfe", "--density", b"exp(-\xffr)", "--geometry", "product"], "identifier"),
]


@pytest.mark.parametrize(("arguments", "pattern"), WHOLE, ids=range(len(WHOLE)))
def test_as_a_command(arguments: list[str | bytes], pattern: str, checkout: Path) -> None:
    before = contents(checkout)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "derive", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1
    assert pattern in run.stderr
    assert contents(checkout) == before


AWFUL = [
    "exp(-exp(exp(exp(exp(r)))))",
    "r**(-r**r**r)",
    "exp(-r**k)*(2+sin(r**k)*cos(k*r))**k",
    "exp(-max(r,min(r**2,max(r**3,min(r**4,max(r**5,1))))))",
]


@pytest.mark.parametrize("text", AWFUL)
def test_no_density_hangs_the_command(text: str, checkout: Path) -> None:
    """Derived or refused, but within the time limits."""
    arguments = add("newcomer", text, "product", "--dry-run", *(("--param", "k>1") if "k" in text else ()))
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "derive", *arguments]
    run = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 or (run.returncode == 2 and run.stderr.startswith("error: ")), run.stderr
    assert "Traceback" not in run.stderr and run.stderr.count("\n") == (run.returncode == 2)
