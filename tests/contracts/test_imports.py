"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.contracts.sources import (
    PACKAGES,
    ROOT,
    density_modules,
    environment,
    files,
    foreign,
    imported,
    name_of,
    parsed,
)


def test_declared_contracts_hold() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=ROOT,
        env=environment(ROOT),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_generated_stands_on_numpy_scipy_and_torch_alone() -> None:
    for path in files("generated"):
        assert foreign(parsed(path)) <= {"numpy", "scipy", "torch", "generated"}, name_of(path)


def test_density_modules_use_the_special_functions_alone() -> None:
    assert len(density_modules()) >= 4
    for path in density_modules():
        ours = {name for name in imported(parsed(path)) if name.startswith("generated")}
        assert all(name.startswith("generated.special") for name in ours), name_of(path)


def test_runtime_never_names_the_engine_or_its_libraries() -> None:
    for path in files("runtime"):
        assert not foreign(parsed(path)) & {"derive", "sympy", "mpmath", "flint"}, name_of(path)


def test_derive_never_names_the_runtime() -> None:
    for path in files("derive"):
        assert "runtime" not in foreign(parsed(path)), name_of(path)


def test_one_file_draws() -> None:
    drawing = [name_of(path) for path in files(*PACKAGES) if "matplotlib" in foreign(parsed(path))]
    assert drawing == ["runtime/report/figure.py"]


def test_bounds_counts_and_radii_do_no_input_or_output() -> None:
    pure = ["runtime/confidence.py", "runtime/noise.py", "runtime/rng.py", "runtime/results.py"]
    barred = {"io", "os", "pathlib", "sqlite3", "tempfile", "subprocess", "socket", "logging"}
    reading = "generated/special/lookup.py"  # finds and reads table files, computes nothing
    for path in [*(ROOT / name for name in pure), *(f for f in files("generated") if name_of(f) != reading)]:
        assert not {name.partition(".")[0] for name in imported(parsed(path))} & barred, name_of(path)


def test_the_scan_sees_imports_inside_functions() -> None:
    tree = ast.parse(
        "def f():\n    if True:\n        from sympy.core import Symbol\n    import derive.law as law\n"
    )
    assert foreign(tree) == {"sympy", "derive"}
    assert set(imported(tree)) == {"sympy.core.Symbol", "derive.law"}
