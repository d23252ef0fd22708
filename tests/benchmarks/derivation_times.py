"""How long the engine takes: each built-in density added by its own command in a copy, then `regenerate --check`.

Run: python -m tests.benchmarks.derivation_times [--quick]
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from derive.spec import known_specs

ROOT = Path(__file__).resolve().parents[2]


def seconds(folder: Path, *arguments: str) -> float:
    """Wall seconds of one command of the engine in a copy of the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "derive", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


def main() -> None:
    """Prints one line a density and one for the whole."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("derive", "generated", "docs/derivation"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        seconds(folder, "list")  # first import, not counted
        quick = "--quick" in sys.argv[1:]  # one density only
        for spec in list(known_specs().values())[-1 if quick else 0 :]:
            (folder / "derive" / "specs" / f"{spec.name}.toml").unlink()
            (folder / "generated" / f"{spec.name}.py").unlink()
            print(f"add-distribution {spec.name:20} {seconds(folder, *shlex.split(spec.command)[3:]):6.1f} s")
        if not quick:
            print(f"regenerate --check {'':18} {seconds(folder, 'regenerate', '--check'):6.1f} s")


if __name__ == "__main__":
    main()
