"""How long tables take to prove, how accurate and how large they are: a chosen few, or all that are shipped.

Run: python -m tests.benchmarks.table_times [--shipped | --quick]; --quick takes one table alone.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import sympy as sp

from derive.bounds import enclose_native
from derive.spec import find_spec
from derive.tables.build import Built, Request, build, check
from derive.tables.shipped import shipped_requests
from generated.special.lookup import load_table

FEW: tuple[tuple[str, int, dict[str, int]], ...] = (
    ("exp_l2", 3072, {"k": 1, "j": 0}),
    ("pow_l2", 3072, {"k": 2, "a": 3088}),
    ("hyperbolic_l2", 3072, {}),
)
FAILS = (0.5 - 2.0**-20, 0.3, 1e-3, 1e-9)


def loss(request: Request, done: Built) -> float:
    """The largest relative distance below the enclosures at FAILS; a value above one ends the program."""
    family, _, values = check(request)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / done.file
        path.write_text(done.text, "ascii")
        table = load_table(path)
    worst = 0.0
    for fail in FAILS:
        ball = enclose_native(family, request.adversary, values, 1 - sp.Rational(fail))
        radius = sp.Rational(float(table.at(np.array([0.5 - fail]), np.array([fail]))[0]))
        if radius > sp.Rational(ball.lower):
            sys.exit(f"{done.file}: {float(radius)!r} at 1 - rho = {fail!r} is above {ball.lower}")
        worst = max(worst, float(1 - radius / sp.Rational(ball.upper)))
    return worst


def main() -> None:
    """Prints a line a table: seconds of processor and wall time, distance below enclosures, bytes."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    few = [Request(find_spec(n), "2", d, {k: sp.Integer(v) for k, v in q.items()}) for n, d, q in FEW]
    requests = list(shipped_requests()) if "--shipped" in sys.argv[1:] else few
    requests = list(shipped_requests()) if "--shipped" in sys.argv[1:] else few
    requests = few[:1] if "--quick" in sys.argv[1:] else requests
    total = 0.0
    for request in requests:
        start = time.process_time()
        done = build(request)
        used = time.process_time() - start
        total += used
        print(
            f"{done.file:44} {used:6.1f} s processor, {done.seconds:6.1f} s wall, "
            f"at most {loss(request, done):.1e} below, {len(done.text)} bytes",
            flush=True,
        )
    print(f"{len(requests)} tables, {total:.0f} s of processor time")


if __name__ == "__main__":
    main()
