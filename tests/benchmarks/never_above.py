"""Generated radii against ball arithmetic at many doubles: the same check as in the tests, as often as asked for.

Run: python -m tests.benchmarks.never_above [--examples 100000] [--seed 0] [--slow 50]
--slow: examples of each density whose enclosures take a second or more. Exit 1 if a radius is above its enclosure's lower end.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random

from tests.properties.never_above import PLACES, SLOW, TARGETS, Target, example


def _run(target: Target, count: int, seed: int) -> tuple[int, int, int, float, float]:
    """(examples, violations, examples without a narrow enclosure, smallest loss, largest loss)."""
    random = Random(f"{seed} {target}")
    done, bad, open_, least, most = 0, 0, 0, 1.0, 0.0
    for _ in range(count):
        try:
            found = example(target, random, random.choice(PLACES))
        except ArithmeticError:
            open_ += 1
            continue
        done += 1
        least, most = min(least, found.loss), max(most, found.loss)
        if not found.holds:
            bad += 1
            print(f"ABOVE: {found}", flush=True)
    return done, bad, open_, least, most


def main() -> int:
    """Prints a line for every density and norm: examples, violations, and how far radii are below, relative."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="300 examples")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.examples = 300
    cheap = [t for t in TARGETS if t.cheap]
    plan = [(t, chosen.examples * 97 // (100 * len(cheap)) + 1) for t in cheap]
    curves = [t for t in TARGETS if not t.cheap]
    plan += [(t, chosen.examples * 3 // (100 * len(curves)) + 1) for t in curves]
    plan += [(t, chosen.slow) for t in SLOW if chosen.slow]
    total, above, start = 0, 0, time.perf_counter()
    for target, count in plan:
        began = time.perf_counter()
        done, bad, open_, least, most = _run(target, count, chosen.seed)
        total, above = total + done, above + bad
        took = time.perf_counter() - began
        print(
            f"{target!s:32} {done:7d} examples, {bad} above, {open_} open; below by {least:.1e} to {most:.1e}; {took:.0f} s",
            flush=True,
        )
    print(f"{total} examples, {above} above, {time.perf_counter() - start:.0f} s")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
