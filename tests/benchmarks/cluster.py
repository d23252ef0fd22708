"""Driver, store and hand-out: what an input costs, how many workers one driver feeds, and what kills change.

    python -m tests.benchmarks.cluster             all of it: 50,000 inputs, 10,000 simulated workers, kills with Ray
    python -m tests.benchmarks.cluster --quick     the same program, smaller and without Ray

Simulated workers answer after the time that a device of --speed votes a second would take; driver, hand-out and store are the real ones. Processor times
hold on a busy machine, too; wall times do not, so the load average is printed first. Without Ray its parts are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pickle
import random
import tempfile
import time
from pathlib import Path

import torch

from runtime.cluster.messages import Group
from runtime.rng import Stretch
from tests.benchmarks.ray_kills import killed_on_ray
from tests.benchmarks.ray_speed import messages, speeds
from tests.benchmarks.simulated import Counted, driven

SIZES = {"digits (1, 8, 8)": 64, "CIFAR (3, 32, 32)": 3072, "ImageNet (3, 224, 224)": 150_528}


def _line(name: str, found: Counted) -> str:
    per = 1e6 * found.processor / found.inputs
    return (
        f"{name}: {found.inputs:,} inputs, {found.chunks / found.inputs:.1f} chunks and {found.votes / found.inputs:,.0f} votes each, "
        f"{found.seconds:.1f} s, {found.inputs / found.seconds:,.0f} inputs/s, {found.chunks / found.seconds:,.0f} chunks/s; "
        f"processor {per:.0f} us an input ({1e6 / per:,.0f} inputs a processor second), "
        f"{1e6 * found.processor / found.chunks:.0f} us a chunk; memory {found.middle:.0f} MiB, at most {found.peak:.0f} MiB later"
    )


def costs(folder: Path, inputs: int) -> dict[str, Counted]:
    """Driver and store with answers that are there at once: a fixed n in one chunk and in seven, and sequential."""
    kinds = {
        "fixed, n = 1,000": {"n": 1000},
        "fixed, n = 100,000, one chunk": {"n": 100_000, "chunk": 131_072},
        "fixed, n = 100,000": {"n": 100_000},
        "sequential, n = 100,000 at most": {"n": 100_000, "sequential": True},
    }
    found = {}
    for number, (name, given) in enumerate(kinds.items()):
        share = inputs if number == 0 else max(10, inputs // 10)
        found[name] = driven(folder / f"costs-{number}", share, **given)  # type: ignore[arg-type]
        print(_line(name, found[name]), flush=True)
    return found


def simulated(folder: Path, workers: int, inputs: int, speed: float, chunk: int) -> dict[str, Counted]:
    """The real driver and hand-out before so many simulated workers."""
    found = {}
    for sequential in (False, True):
        name = f"{workers:,} workers of {speed:,.0f} votes/s, {'sequential' if sequential else 'fixed'}"
        place = folder / f"simulated-{sequential}"
        found[name] = driven(
            place, inputs, n=100_000, sequential=sequential, workers=workers, speed=speed, chunk=chunk
        )
        print(
            f"{_line(name, found[name])}; workers count {found[name].utilisation:.0%} of the time", flush=True
        )
    return found


def traffic() -> dict[str, int]:
    """Bytes of a message with one stretch and its input, by size of the input."""
    found = {}
    for name, dim in SIZES.items():
        group = Group((Stretch(1, 1, "estimation", 0, 16_384),), {1: torch.zeros(dim).numpy()})
        found[name] = len(pickle.dumps(group, protocol=5))
        print(f"a stretch of {name} takes {found[name]:,} bytes", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller, and without Ray")
    parser.add_argument(
        "--part", choices=("costs", "simulated", "messages", "speed", "kills"), help="one part alone"
    )
    parser.add_argument("--workers", type=int, default=10_000, help="simulated workers")
    parser.add_argument("--speed", type=float, default=3000.0, help="votes a second of each")
    parser.add_argument("--inputs", type=int, default=50_000, help="inputs of the driver alone")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    inputs, workers, speed = (200, 50, 1e6) if given.quick else (given.inputs, given.workers, given.speed)
    parts = [given.part] if given.part else ["costs", "simulated", "messages", "speed", "kills"]
    seed = random.randrange(2**31)
    print(
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, seed {seed}"
    )
    found: dict[str, object] = {}
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "costs" in parts:
            found.update({key: vars(value) for key, value in costs(folder, inputs).items()})
            found["bytes"] = traffic()
        if "simulated" in parts:
            many = min(inputs, 4 * workers)
            runs = simulated(folder, workers, many, speed, 16_384)
            found.update({key: vars(value) for key, value in runs.items()})
        if given.quick or not _ray():
            print("the parts with Ray are left out" + ("" if given.quick else ": it is not installed"))
        else:
            if "messages" in parts:
                taken = dict(zip(SIZES, messages(list(SIZES.values())), strict=True))
                found["messages"] = taken
                for size, seconds in taken.items():
                    print(
                        f"a message of Ray and its answer, {size}: {1e6 * seconds:.0f} us of the driver's processor"
                    )
            if "speed" in parts:
                one, two, same = speeds(folder)
                good &= same
                found["speed"] = {"one": vars(one), "two": vars(two), "same counts": same}
                print(
                    f"votes/s with 1 worker {one.wall:,.0f}, with 2 {two.wall:,.0f}: {two.wall / one.wall:.2f} times; "
                    f"a processor second of a worker counts {one.processor:,.0f} and {two.processor:,.0f}; same counts: {same}"
                )
            if "kills" in parts:
                (folder / "kills").mkdir()
                killed = killed_on_ray(folder / "kills", seed, workers=20, drivers=3, n=60_000)
                good &= killed.equal
                found["kills"] = vars(killed)
                print(
                    f"{killed.workers} workers and {killed.drivers} drivers killed in one job of {killed.seconds:.0f} s; "
                    f"counts as without Ray and kills: {killed.equal}"
                )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0 if good else 1


def _ray() -> bool:
    found = importlib.util.find_spec("ray")
    return found is not None and found.origin is not None


if __name__ == "__main__":
    raise SystemExit(main())
