"""How long the engine takes: every built-in and a list of new densities, each added by one command in a copy, then `regenerate`.

Run: python -m tests.benchmarks.derivation_times [--quick | --write | --write --only NAME,NAME,…]

--quick times one density. --write keeps the times in docs/derivation/times.toml, where the coverage page takes them from; with --only
the built-ins named are timed, and join what is there.
"""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

from derive.pages.coverage import Times, read_times
from derive.spec import known_specs

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "docs" / "derivation" / "times.toml"
PATIENCE = 300.0
"""Seconds after which a command counts as hanging."""

WROTE = "wrote docs/derivation/times.toml; `python -m derive regenerate` takes it into the coverage page"
NEW: Mapping[str, str] = {
    "sech": "--density 'sech(r)' --geometry product",
    "student": "--density '(1 + r**2/nu)**(-(nu + 1)/2)' --geometry product --param 'nu>0' --param nu=5",
    "student3": "--density '(1 + r**2/3)**(-2)' --geometry product",
    "cubic": "--density 'exp(-r**3)' --geometry product",
    "gaussian_laplace_mixture": "--density 'exp(-r**2/2) + exp(-r)' --geometry product",
    "truncated_laplace": "--density 'exp(-r)' --geometry product --support 'r<=2'",
    "bump": "--density 'exp(-1/(1 - r**2))' --geometry product --support 'r<=1'",
    "spherical": "--density 'exp(-sqrt(1 + r**2))' --geometry l2",
    "cubical": "--density 'exp(-sqrt(1 + r**2))' --geometry linf",
    "lognormal_radial": "--density 'exp(-log(r)**2/2)' --geometry l2",
    "two_parameters": "--density 'exp(-a*r**p)' --geometry product --param 'a>0' --param 'p>=1/2'",
    "quartic_well": "--density 'exp(-r**2 - r**4)' --geometry linf",
    "semicircle": "--density 'sqrt(1 - r**2)' --geometry product --support 'r<=1'",
    "gaussian_mixture_l2": "--density 'exp(-r**2/2) + exp(-r**2/18)/3' --geometry l2",
    "epanechnikov": "--density '(1 - r**2)**k' --geometry product --support 'r<=1' --param 'k>0'",
    "quartic_cauchy": "--density '1/(1 + r**4)' --geometry product",
    "complementary_error": "--density 'erfc(r)' --geometry product",
    "matern": "--density '(1 + r)*exp(-r)' --geometry product",
    "ring": "--density 'r**2*exp(-r**2)' --geometry linf",
    "double_exponential": "--density 'exp(-cosh(r))' --geometry product",
}
"""Densities that the engine has no spec of, with the arguments that add them."""


def run(folder: Path, *arguments: str) -> tuple[float, str]:
    """Wall seconds of one command of the engine in a copy of the checkout, and its complaint if it failed."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "derive", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return time.perf_counter() - start, f"no end after {PATIENCE:.0f} s"
    seconds = time.perf_counter() - start
    if done.returncode == 0:
        return seconds, ""
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
    return seconds, lines[-1]


def copy_of(source: Path, folder: Path) -> Path:
    """What the engine owns, in a folder of its own."""
    for part in ("derive", "generated", "docs/derivation"):
        shutil.copytree(source / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def timed(folder: Path, name: str, arguments: list[str]) -> tuple[float, str]:
    """Adds one density, prints its line, and gives the seconds and the complaint, empty if it was added."""
    seconds, complaint = run(folder, *arguments)
    print(
        f"add-distribution {name:26} {seconds:6.1f} s{'  ' + complaint[:120] if complaint else ''}",
        flush=True,
    )
    return seconds, complaint


def built_in(folder: Path, names: list[str]) -> dict[str, float]:
    """Seconds of the built-ins, each removed and added again; ends the program if one fails."""
    found = {}
    for name in names:
        (folder / "derive" / "specs" / f"{name}.toml").unlink()
        (folder / "generated" / f"{name}.py").unlink()
        found[name], complaint = timed(folder, name, shlex.split(known_specs()[name].command)[3:])
        if complaint:
            sys.exit(f"{name}: {complaint}")
    return found


def new(folder: Path) -> tuple[dict[str, float], int]:
    """Seconds of the new densities that were added, and how many were not."""
    found: dict[str, float] = {}
    failed = 0
    for name, arguments in NEW.items():
        if name in known_specs():
            continue
        seconds, complaint = timed(folder, name, ["add-distribution", name, *shlex.split(arguments)])
        found |= {} if complaint else {name: seconds}
        failed += bool(complaint)
    return found, failed


def report(title: str, seconds: Mapping[str, float]) -> None:
    """One line with median and worst."""
    if seconds:
        slowest = max(seconds, key=lambda name: seconds[name])
        values = list(seconds.values())
        print(
            f"{title}: {len(values)}, median {median(values):.1f} s, worst {seconds[slowest]:.1f} s ({slowest})",
            flush=True,
        )


def main() -> None:
    """Prints a line a density, median and worst, and the time of `regenerate`."""
    quick, write = "--quick" in sys.argv[1:], "--write" in sys.argv[1:]
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv[:-1] else []
    hardware = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(hardware)
    with tempfile.TemporaryDirectory() as name:
        folder = copy_of(ROOT, Path(name))
        run(folder, "list")  # first import, not counted
        names = list(known_specs())
        unknown = sorted(set(only) - set(names))
        if unknown:
            sys.exit(f"--only takes names of built-ins ({', '.join(names)}), not {', '.join(unknown)[:60]}")
        seconds = built_in(folder, only or (names[-1:] if quick else names))
        report("built-in", seconds)
        if only and write:
            _join(seconds)
        if quick or only:
            return
        again, complaint = run(folder, "regenerate", "--check")
        print(
            f"regenerate --check {'':24} {again:6.1f} s{'  ' + complaint[:120] if complaint else ''}",
            flush=True,
        )
        added, failed = new(folder)
        report("new", added)
        report("all", seconds | added)
        print(f"new densities that could not be added: {failed}")
    if write:
        times = Times(
            datetime.date.today().isoformat(),
            hardware,
            {name: round(value, 1) for name, value in seconds.items()},
            {"regenerate --check": round(again, 1)},
        )
        RECORD.write_text(times.to_toml(), "utf-8")
        print(WROTE)


def _join(seconds: Mapping[str, float]) -> None:
    """The times of some built-ins beside those on record, which keeps its date and machine."""
    known = read_times(RECORD)
    rounded = {name: round(value, 1) for name, value in seconds.items()}
    RECORD.write_text(replace(known, seconds={**known.seconds, **rounded}).to_toml(), "utf-8")
    print(WROTE)


if __name__ == "__main__":
    main()
