"""Generated files: made by one command, byte for byte; nothing half-written."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from derive.spec import find_spec, known_specs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the engine owns."""
    for folder in ("derive", "generated", "docs/derivation"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def derive(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "derive", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=300)


def contents(checkout: Path) -> dict[str, bytes]:
    files = [f for f in checkout.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    return {str(f.relative_to(checkout)): f.read_bytes() for f in files}


@pytest.mark.parametrize("name", known_specs())
def test_one_command_brings_every_byte_back(checkout: Path, name: str) -> None:
    before = contents(checkout)
    for path in (f"derive/specs/{name}.toml", f"generated/{name}.py", f"docs/derivation/{name}.md"):
        (checkout / path).unlink()
    words = shlex.split(find_spec(name).command)
    assert words[:3] == ["python", "-m", "derive"]
    run = derive(checkout, *words[3:])
    assert run.returncode == 0, run.stderr
    assert contents(checkout) == before


def test_a_new_density_is_ready_to_use(checkout: Path) -> None:
    run = derive(checkout, "add-distribution", "cubic", "--density", "exp(-r**3)", "--geometry", "product")
    assert run.returncode == 0, run.stderr
    assert "cubic" in (checkout / "generated" / "registry.py").read_text()
    run = derive(checkout, "radius", "cubic", "--adversary", "1", "--dim", "3072", "--rho", "0.51", "--json")
    assert run.returncode == 0, run.stderr
    assert '"lower": "0.01785961566615042066' in run.stdout
    assert derive(checkout, "regenerate", "cubic", "--check").returncode == 0


def test_a_flat_cross_polytope_and_two_free_parameters(checkout: Path) -> None:
    assert (
        derive(
            checkout, "add-distribution", "diamond", "--density", "1", "--geometry", "l1", "--support", "r<=1"
        ).returncode
        == 0
    )
    words = [
        "add-distribution",
        "stretched",
        "--density",
        "exp(-a*r**p)",
        "--geometry",
        "product",
        "--param",
        "a>0",
        "--param",
        "p>=1/2",
    ]
    run = derive(checkout, *words)
    assert run.returncode == 0, run.stderr
    code = (
        "import torch; from generated.registry import load\n"
        "for n, d in (('diamond', 5), ('stretched', 5)):\n"
        "    m = load(n); g = torch.Generator().manual_seed(1)\n"
        "    z = m.sample((200000, d), dim=d, scale=m.scale_of_sigma(2.0, dim=d), generator=g, dtype=torch.float64)\n"
        "    assert abs(z.std().item() - 2.0) < 0.02, (n, z.std())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr


def test_check_shows_a_changed_byte_and_an_orphan(checkout: Path) -> None:
    module = checkout / "generated" / "laplace.py"
    module.write_text(
        module.read_text().replace("special.prepare(rho, log_fail)", "special.prepare(1.01 * rho, log_fail)")
    )
    (checkout / "generated" / "stray.py").write_text("")
    before = contents(checkout)
    run = derive(checkout, "regenerate", "--check")
    assert run.returncode == 1
    assert "1.01 * rho" in run.stdout and "orphan: generated/stray.py" in run.stdout
    assert run.stdout.rstrip().endswith("accept with: python -m derive regenerate")
    assert contents(checkout) == before


BAD = [
    ("add-distribution", "x1", "--density", "exp(r)", "--geometry", "product"),
    ("add-distribution", "x1", "--density", "1/r", "--geometry", "product"),
    ("add-distribution", "x1", "--density", "-exp(-r)", "--geometry", "product"),
    ("add-distribution", "x1", "--density", "exp(-x)", "--geometry", "product"),
    ("add-distribution", "x1", "--density", "exp(-r)", "--geometry", "l7"),
    ("add-distribution", "x1", "--density", "exp(-1/r)", "--geometry", "l2"),
    ("add-distribution", "../x1", "--density", "exp(-r)", "--geometry", "l1"),
    ("add-distribution", "laplace", "--density", "exp(-2*r)", "--geometry", "product"),
    (
        "add-distribution",
        "x1",
        "--density",
        "exp(-r**k)",
        "--geometry",
        "linf",
        "--param",
        "k>0",
        "--param",
        "k<0",
    ),
    ("add-distribution", "x1", "--density", "exp(-r**4)", "--geometry", "product", "--adversary", "3"),
    ("add-distribution", "x1"),
    ("radius", "nothing", "--adversary", "1", "--dim", "3", "--rho", "0.9"),
    ("radius", "laplace", "--adversary", "3", "--dim", "3", "--rho", "0.9"),
    ("radius", "laplace", "--adversary", "1", "--dim", "0", "--rho", "0.9"),
    ("radius", "laplace", "--adversary", "1", "--dim", "2.5", "--rho", "0.9"),
    ("radius", "laplace", "--adversary", "1", "--dim", "3", "--rho", "nan"),
    ("radius", "laplace", "--adversary", "1", "--dim", "3", "--rho", "1.1"),
    ("radius", "laplace", "--adversary", "1", "--dim", "3", "--rho", "0.9", "--sigma", "0"),
    ("radius", "laplace", "--adversary", "1", "--dim", "3", "--rho", "0.9", "--scale", "-1"),
    ("radius", "laplace", "--adversary", "1", "--dim", "3", "--rho", "0.9", "--sigma", "1", "--scale", "1"),
    ("radius", "exp_linf", "--adversary", "1", "--dim", "3", "--rho", "0.9", "--param", "k=0"),
    ("radius", "exp_linf", "--adversary", "1", "--dim", "10", "--rho", "0.9", "--param", "j=9.9"),
    ("radius", "exp_linf", "--adversary", "1", "--dim", "10", "--rho", "0.9", "--param", "a=1"),
    (
        "add-distribution",
        "x1",
        "--density",
        "exp(-r)",
        "--geometry",
        "product",
        "--reference",
        "back\\slash \\N \\x",
    ),
    ("add-distribution", "x1", "--density", "exp(-r)", "--geometry", "product", "--reference", "two\nlines"),
    ("radius", "exp_linf", "--adversary", "1", "--dim", "64", "--rho", "0.9", "--param", "k=0.00001"),
    ("radius", "laplace", "--adversary", "inf", "--dim", "100000000", "--rho", "0.9"),
    ("radius", "laplace", "--adversary", "1", "--dim", "3", "--rho", "0.9", "--scale", "1e-200"),
    ("explain", "laplace", "--adversary", "7"),
    (),
    ("explain", "laplace", "--adversary", "1", "--format", "html"),
    ("regenerate", "nothing"),
    ("nothing",),
]


def test_bad_input_is_one_line_and_exit_2_and_writes_nothing(checkout: Path) -> None:
    before = contents(checkout)
    for arguments in BAD:
        run = derive(checkout, *arguments)
        assert run.returncode == 2, (arguments, run)
        assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1, (arguments, run.stderr)
        assert "Traceback" not in run.stderr and not run.stdout
    assert contents(checkout) == before


def test_quotes_in_a_reference_survive(checkout: Path) -> None:
    reference = 'O\'Brien and "friends", 2020, § 3'
    words = [
        "add-distribution",
        "quoted",
        "--density",
        "exp(-r)",
        "--geometry",
        "product",
        "--reference",
        reference,
    ]
    run = derive(checkout, *words)
    assert run.returncode == 0, run.stderr
    assert derive(checkout, "regenerate", "quoted", "--check").returncode == 0


@pytest.mark.parametrize("delay", [0.3, 1.5, 3.0])
def test_an_interrupt_is_one_line_and_exit_130(checkout: Path, delay: float) -> None:
    before = contents(checkout)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "derive", "regenerate", "--check"]
    process = subprocess.Popen(
        command, cwd=checkout, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert contents(checkout) == before
