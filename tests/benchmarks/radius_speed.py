"""How fast the generated radius functions are, beside a copy of the array and SciPy's normal quantile in the same run.

Run: python -m tests.benchmarks.radius_speed [cuda] [--quick]
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.special as sc
import torch

from generated.registry import FAMILIES, load

SIZE = 1_000_000


def best(call: Callable[[], object], synchronise: Callable[[], None], repeats: int) -> float:
    """The smallest of some wall times, after one call that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        synchronise()
        start = time.perf_counter()
        call()
        synchronise()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Prints a line for every family and norm: radii a second, and the ratio to SciPy's normal quantile."""
    device = "cuda" if "cuda" in sys.argv[1:] else "cpu"
    repeats = 1 if "--quick" in sys.argv[1:] else 7
    synchronise = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, device {device}, {SIZE} radii a call"
    )
    rho = np.random.default_rng(0).uniform(0.5, 1.0, SIZE)
    tensor = torch.tensor(rho, device=device)
    reference = best(lambda: sc.ndtri(rho), lambda: None, repeats)
    copy = best(tensor.clone, synchronise, repeats)
    print(f"{'scipy.special.ndtri':28} {SIZE / reference / 1e6:8.1f} M/s")
    print(f"{'copy of the tensor':28} {SIZE / copy / 1e6:8.1f} M/s")
    for name in FAMILIES:
        module = load(name)
        for adversary in module.ADVERSARIES:
            variants = [{}] if name != "exp_linf" else [{}, {"k": 2.0}]
            for parameters in variants:
                call = partial(module.radius, tensor, adversary=adversary, dim=3072, **parameters)
                took = best(call, synchronise, repeats)
                label = f"{name} l{adversary} {parameters or ''}"
                print(
                    f"{label:28} {SIZE / took / 1e6:8.1f} M/s  {reference / took:6.2f} of scipy.special.ndtri"
                )


if __name__ == "__main__":
    main()
