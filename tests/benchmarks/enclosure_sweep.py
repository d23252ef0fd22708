"""Enclosures everywhere: every density × norm, dimensions, confidences and parameters; the failures, wide results and slow ones.

Run: python -m tests.benchmarks.enclosure_sweep [--names exp_l2,pow_l2] [--dims 2,64] [--every N --offset I] [--limit 20] [--json FILE]

One line for each case that fails, is wider than WIDTH or slower than SLOW; at the end a count of each. Exit 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import sympy as sp

from derive.bounds import checked_values, enclose_native
from derive.engine import Family, derive_family
from derive.spec import SpecError, known_specs
from derive.timelimit import limited

DIMS = (1, 2, 3, 10, 64, 784, 3072, 12288, 150528)
WIDTH, SLOW = 1e-12, 10.0
_ONE = sp.Integer(1)
RHOS: Mapping[str, sp.Rational] = {
    "1/2+2^-53": sp.Rational(1, 2) + sp.Rational(1, 2**53),
    "1/2+2^-30": sp.Rational(1, 2) + sp.Rational(1, 2**30),
    ".5001": sp.Rational("0.5001"),
    ".6": sp.Rational("0.6"),
    ".9": sp.Rational("0.9"),
    ".99": sp.Rational("0.99"),
    "1-1e-6": _ONE - sp.Rational(1, 10**6),
    "1-1e-9": _ONE - sp.Rational(1, 10**9),
    "1-1e-12": _ONE - sp.Rational(1, 10**12),
    "1-1e-15": _ONE - sp.Rational(1, 10**15),
}

Parameters = Mapping[str, sp.Rational]


@dataclass(frozen=True)
class Case:
    """One enclosure to ask for."""

    name: str
    adversary: str
    dim: int
    parameters: Parameters
    rho: str


@dataclass(frozen=True)
class Outcome:
    """What came: `problem` is "" for a narrow, quick one."""

    name: str
    adversary: str
    dim: int
    parameters: str
    rho: str
    problem: str
    width: float
    seconds: float


def parameters(name: str, dim: int) -> list[Parameters]:
    """Sensible parameter sets of a built-in density in one dimension; those outside its domain are dropped later."""

    def rational(*texts: str) -> list[sp.Rational]:
        return [sp.Rational(t) for t in texts]

    match name:
        case "exp_l2" | "exp_linf":
            room = dim if name == "exp_l2" else dim - 1
            shifts = {
                sp.Integer(0),
                sp.Rational(room, 2),
                *(room - s for s in rational("1/2", "2", "4", "16")),
            }
            ks = rational("1/2", "1", "1.0000001", "2", "4", "10")
            return [{"k": k, "j": j} for k in ks for j in sorted(shifts) if j >= 0]
        case "exp_l1":
            return [{"k": k} for k in rational("1/2", "1", "2", "10")]
        case "generalized_normal":
            return [{"p": p} for p in rational("1/4", "1/2", "1", "3/2", "2", "4", "10")]
        case "pareto":
            return [{"a": a} for a in rational("1/2", "3", "10")]
        case "pow_linf":
            return [{"a": dim + a} for a in rational("1/2", "4", "16", "128")]
        case "pow_l2":
            return [
                {"k": k, "a": dim / k + a}
                for k in rational("1", "2", "4")
                for a in rational("1/2", "4", "16", "128")
            ]
        case "huber":
            return [{"k": k} for k in rational("1/4", "1", "4")]
        case "student_t":
            return [{"nu": nu} for nu in rational("1", "5", "30")]
        case "gaussian_mixture":
            return [{"w": w, "q": q} for w, q in (rational("1", "3"), rational("1/10", "10"))]
        case _:
            return [{}]


def cases(family: Family, dims: tuple[int, ...]) -> Iterator[Case]:
    """All cases of one density inside its domain."""
    for adversary in family.native:
        for dim in dims:
            for chosen in parameters(family.spec.name, dim):
                try:
                    checked_values(family, dim, chosen)
                except SpecError:
                    continue
                for rho in RHOS:
                    yield Case(family.spec.name, adversary, dim, chosen, rho)


def outcome(family: Family, case: Case, limit: float) -> Outcome:
    """Asks for one enclosure, for at most `limit` seconds of processor time."""
    values = checked_values(family, case.dim, case.parameters)
    problem, width = "", float("inf")
    start = time.process_time()
    try:
        found = limited(
            enclose_native, family, case.adversary, values, RHOS[case.rho], seconds=limit, default=None
        )
        if found is None:
            problem = "out of time"
        else:
            low, high = sp.Rational(found.lower), sp.Rational(found.upper) if found.upper != "inf" else sp.oo
            width = (
                float((high - low) / high)
                if high not in (0, sp.oo)
                else (0.0 if high == low else float("inf"))
            )
            problem = "" if width <= WIDTH else f"wide: [{found.lower}, {found.upper}]"
    except (ArithmeticError, SpecError, NotImplementedError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - start
    if not problem and seconds > SLOW:
        problem = "slow"
    shown = " ".join(f"{n}={v}" for n, v in case.parameters.items())
    return Outcome(case.name, case.adversary, case.dim, shown, case.rho, problem, width, round(seconds, 3))


def main() -> int:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--names", default="")
    options.add_argument("--dims", default="")
    options.add_argument("--rhos", default="", help="Keys of RHOS, with commas between.")
    options.add_argument("--every", type=int, default=1, help="Only one case in this many.")
    options.add_argument("--offset", type=int, default=0)
    options.add_argument("--limit", type=float, default=20.0, help="Seconds for one case.")
    options.add_argument("--json", default="", help="A file for all outcomes, one a line.")
    chosen = options.parse_args()
    names = [n for n in chosen.names.split(",") if n] or list(known_specs())
    dims = tuple(int(d) for d in chosen.dims.split(",") if d) or DIMS
    rhos = set(chosen.rhos.split(",")) if chosen.rhos else set(RHOS)
    bad = total = 0
    log = open(chosen.json, "w", encoding="utf-8") if chosen.json else None
    for name in names:
        family = derive_family(known_specs()[name])
        start, count, wrong = time.process_time(), 0, 0
        drawn = [c for c in cases(family, dims) if c.rho in rhos][chosen.offset :: chosen.every]
        for case in drawn:
            found = outcome(family, case, chosen.limit)
            count, wrong = count + 1, wrong + bool(found.problem)
            if found.problem:
                print(f"{name} l{found.adversary} d={found.dim} {found.parameters} rho={found.rho} {found.seconds:.1f}s {found.problem[:160]}", flush=True)  # fmt: skip
            if log is not None:
                log.write(json.dumps(asdict(found)) + "\n")
                log.flush()
        print(
            f"# {name}: {count} cases, {wrong} with a problem, {time.process_time() - start:.0f} s",
            flush=True,
        )
        total, bad = total + count, bad + wrong
    print(f"# all: {total} cases, {bad} with a problem")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
