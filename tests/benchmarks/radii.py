"""How fast the generated radius functions are, beside SciPy's evaluation of the same radii and a copy of the array, in one run.

Run: python -m tests.benchmarks.radii [cuda] [--quick]
One million radii a call at dimension 3072, one thread. Times are of the processor where the device is one, of the wall on CUDA.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.special as sc
import torch
from scipy import stats

from generated.registry import FAMILIES, load

SIZE, DIM = 1_000_000, 3072
PARAMETERS: dict[str, tuple[dict[str, float], ...]] = {
    "exp_linf": ({}, {"k": 2.0}),
    "exp_l1": ({}, {"k": 2.0}),
    "pow_linf": ({"a": DIM + 16.0},),
    "pow_l2": ({"a": DIM + 16.0},),
    "generalized_normal": ({"p": 1.0}, {"p": 1.5}),
}
SCIPY: dict[tuple[str, str], Callable[[np.ndarray], np.ndarray]] = {
    ("gaussian", "1"): sc.ndtri,
    ("gaussian", "2"): sc.ndtri,
    ("laplace", "1"): stats.laplace.ppf,
    ("logistic", "1"): stats.logistic.ppf,
    ("hyperbolic_secant", "1"): stats.hypsecant.ppf,
    ("uniform", "1"): stats.uniform(-1.0, 2.0).ppf,
    ("triangular", "1"): stats.triang(0.5, -1.0, 2.0).ppf,
    ("uniform_ball", "2"): lambda rho: (
        2.0 - 4.0 * sc.betaincinv(0.5 * (DIM + 1), 0.5 * (DIM + 1), 0.75 - 0.5 * rho)
    ),
}
"""The same radii up to a unit of length, as far as SciPy has them; quantiles of iterative functions are timed on a part of the array."""
GENNORM = 1.5


def best(call: Callable[[], object], device: str, repeats: int) -> float:
    """The smallest of some times, after one call that is not counted."""
    call()
    clock = time.perf_counter if device == "cuda" else time.process_time
    times = []
    for _ in range(repeats):
        if device == "cuda":
            torch.cuda.synchronize()
        start = clock()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
    return min(times)


def _scipy_rate(name: str, adversary: str, parameters: dict[str, float], rho: np.ndarray) -> float | None:
    """Radii a second by SciPy; None where it has no such function."""
    function = SCIPY.get((name, adversary))
    if name == "generalized_normal" and adversary == "1" and parameters.get("p") == GENNORM:
        function = stats.gennorm(GENNORM).ppf
    if function is None:
        return None
    part = rho[:20_000]
    return part.size / best(lambda: function(part), "cpu", 3)


def main() -> None:
    """Prints a line for every family and norm: million radii a second, SciPy's, and the time in copies of the array."""
    device = "cuda" if "cuda" in sys.argv[1:] else "cpu"
    repeats = 1 if "--quick" in sys.argv[1:] else 7
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, device {device}, {SIZE} radii a call"
    )
    rho = np.random.default_rng(0).uniform(0.5, 1.0, SIZE)
    tensor = torch.tensor(rho, device=device)
    copy = best(tensor.clone, device, repeats)
    print(f"{'copy of the tensor':36} {SIZE / copy / 1e6:8.1f} M/s")
    slowest = math.inf
    for name in FAMILIES:
        module = load(name)
        for adversary in module.ADVERSARIES:
            for parameters in PARAMETERS.get(name, ({},)):
                label = f"{name} l{adversary} {parameters or ''}"
                call = partial(module.radius, tensor, adversary=adversary, dim=DIM, **parameters)
                try:
                    took = best(call, device, repeats)
                except ValueError as error:  # a table that is not there
                    print(f"{label:36} {str(error)[:80]}")
                    continue
                rate = SIZE / took
                slowest = min(slowest, rate)
                theirs = _scipy_rate(name, adversary, parameters, rho) if device == "cpu" else None
                beside = f"SciPy {theirs / 1e6:8.3f} M/s, {rate / theirs:8.1f} times" if theirs else ""
                print(f"{label:36} {rate / 1e6:8.1f} M/s  {took / copy:6.1f} copies  {beside}", flush=True)
    print(f"slowest {slowest / 1e6:.1f} M/s")


if __name__ == "__main__":
    main()
