"""Enclosures everywhere: every density × norm, dimensions, confidences and parameters; the failures, wide results and slow ones.

Run: python -m tests.benchmarks.enclosure_sweep [--names exp_l2,pow_l2] [--dims 2,64] [--every N --offset I] [--limit 20] [--log FILE] [--minutes M] [--write]

Both the radius of the code without tables and, where there is a sharper one, the exact radius. One line for each case that fails, is wider than
WIDTH or slower than SLOW; at the end a count of each. Exit 1 if there is any. With --log outcomes are kept, one a line, and cases
that are there already are not run again: a sweep may be stopped (--minutes, or Ctrl-C) and taken up later. --write
summarises the log in docs/benchmarks. Every case runs in a child process, which the system stops when its processor time is over.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import sympy as sp

from derive.bounds import checked_values, enclose_derivation
from derive.engine import Family, derive_family
from derive.spec import SpecError, known_specs

DIMS = (1, 2, 3, 10, 64, 784, 3072, 12288, 150528)
WIDTH, SLOW = 1e-12, 10.0
SUMMARY = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "enclosures.md"
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
    exact: bool

    @property
    def key(self) -> tuple[str, str, int, str, str, bool]:
        """What tells it apart in a log."""
        shown = " ".join(f"{n}={v}" for n, v in self.parameters.items())
        return self.name, self.adversary, self.dim, shown, self.rho, self.exact


@dataclass(frozen=True)
class Outcome:
    """What came: `problem` is "" for a narrow, quick one."""

    name: str
    adversary: str
    dim: int
    parameters: str
    rho: str
    exact: bool
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
    for adversary, exact in [(a, False) for a in family.native] + [(a, True) for a in family.exact]:
        for dim in dims:
            for chosen in parameters(family.spec.name, dim):
                try:
                    checked_values(family, dim, chosen)
                except SpecError:
                    continue
                for rho in RHOS:
                    yield Case(family.spec.name, adversary, dim, chosen, rho, exact)


def outcome(family: Family, case: Case) -> Outcome:
    """Asks for one enclosure."""
    start = time.process_time()
    problem, width = "", float("inf")
    try:
        values = checked_values(family, case.dim, case.parameters)
        chosen = (family.exact if case.exact else family.native)[case.adversary]
        found = enclose_derivation(family.at(values), chosen, values, RHOS[case.rho])
        low, high = sp.Rational(found.lower), sp.Rational(found.upper) if found.upper != "inf" else sp.oo
        if high not in (0, sp.oo):
            width = float((high - low) / high)
        problem = "" if width <= WIDTH else f"wide: [{found.lower}, {found.upper}]"
    except (ArithmeticError, SpecError, NotImplementedError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - start
    if not problem and seconds > SLOW:
        problem = "slow"
    return Outcome(*case.key, problem, width, round(seconds, 3))


def _serve(name: str, limit: float, pipe: Connection) -> None:
    """The child: outcomes of the cases that come, until None does."""
    family = derive_family(known_specs()[name])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    while (case := pipe.recv()) is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + limit) + 1, hard))
        pipe.send(outcome(family, case))


def outcomes(name: str, chosen: list[Case], limit: float) -> Iterator[Outcome]:
    """Outcomes of cases of one density, each of at most `limit` seconds of processor time."""
    fork = multiprocessing.get_context("fork")
    child, pipe = None, None
    for case in chosen:
        if child is None or pipe is None:
            pipe, other = fork.Pipe()
            child = fork.Process(target=_serve, args=(name, limit, other), daemon=True)
            child.start()
            other.close()
        pipe.send(case)
        try:
            yield pipe.recv()
        except EOFError:
            child.join()
            child = None
            yield Outcome(*case.key, "out of time", float("inf"), limit)
    if child is not None and pipe is not None:
        pipe.send(None)
        child.join()


def read_log(path: Path) -> list[Outcome]:
    """The outcomes in a log; none where there is no file."""
    if not path.exists():
        return []
    return [Outcome(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def line_of(found: Outcome) -> str:
    """A problem in one line."""
    kind = " exact" if found.exact else ""
    return f"{found.name} l{found.adversary}{kind} d={found.dim} {found.parameters} rho={found.rho} {found.seconds:.1f}s {found.problem[:160]}"


def summary(found: list[Outcome]) -> str:
    """The page docs/benchmarks/enclosures.md."""
    kinds = Counter(_kind(one) for one in found)
    narrow = [one for one in found if not one.problem or one.problem == "slow"]
    times = sorted(one.seconds for one in narrow)
    lines = [
        "# Enclosures",
        "",
        "Written by `python -m tests.benchmarks.enclosure_sweep --log FILE --write` (with `--minutes`, `--every`, `--names`, `--dims` for a part).",
        "",
        f"{time.strftime('%Y-%m-%d')}; {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; seconds of processor time on one core. "
        f"A case is a density, a norm, a dimension in {', '.join(map(str, DIMS))}, a confidence in {', '.join(RHOS)} and a parameter set; "
        "this page counts those that have been run and kept in the log, not all there are.",
        "",
        f"{len(found)} cases: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) + ".",
        f"Of those enclosed to {WIDTH:g} relative or closer: median {times[len(times) // 2]:.2f} s, 95 % within {times[len(times) * 95 // 100]:.1f} s, slowest {times[-1]:.1f} s."
        if times
        else "",
        "",
        "| density | norm | cases | enclosed to 1e-12 | worst width of these | slowest (s) |",
        "|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in found:
        groups.setdefault((one.name, f"l{one.adversary}" + (", exact" if one.exact else "")), []).append(one)
    for (name, norm), group in sorted(groups.items()):
        good = [one for one in group if one.width <= WIDTH]
        worst = f"{max((one.width for one in good), default=0):.1e}"
        lines.append(f"| {name} | {norm} | {len(group)} | {len(good)} | {worst} | {max(one.seconds for one in group):.1f} |")  # fmt: skip
    bad = [one for one in found if one.problem]
    if bad:
        lines += ["", "## Not enclosed to 1e-12, or slow", "", *(f"* {line_of(one)}" for one in bad)]
    return "\n".join(lines) + "\n"


def _kind(found: Outcome) -> str:
    if not found.problem:
        return "enclosed to 1e-12"
    return {"slow": f"enclosed in more than {SLOW:g} s", "out of time": "out of time"}.get(
        found.problem, "wide" if found.problem.startswith("wide") else "refused"
    )


def main() -> int:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--names", default="")
    options.add_argument("--dims", default="")
    options.add_argument("--rhos", default="", help="Keys of RHOS, with commas between.")
    options.add_argument("--every", type=int, default=1, help="Only one case in this many.")
    options.add_argument("--offset", type=int, default=0)
    options.add_argument("--limit", type=float, default=20.0, help="Seconds for one case.")
    options.add_argument("--minutes", type=float, default=float("inf"), help="Stop after this time.")
    options.add_argument("--log", type=Path, default=None, help="A file for all outcomes; cases in it are not run again.")  # fmt: skip
    options.add_argument("--write", action="store_true", help="Write the summary of the log.")
    chosen = options.parse_args()
    if chosen.write and chosen.log is None:
        options.error("--write needs a --log to summarise")
    names = [n for n in chosen.names.split(",") if n] or list(known_specs())
    dims = tuple(int(d) for d in chosen.dims.split(",") if d) or DIMS
    rhos = set(chosen.rhos.split(",")) if chosen.rhos else set(RHOS)
    done = read_log(chosen.log) if chosen.log else []
    known = {(o.name, o.adversary, o.dim, o.parameters, o.rho, o.exact) for o in done}
    bad = total = 0
    end = time.monotonic() + 60 * chosen.minutes
    for name in names:
        family = derive_family(known_specs()[name])
        start, count, wrong = time.monotonic(), 0, 0
        drawn = [c for c in cases(family, dims) if c.rho in rhos][chosen.offset :: chosen.every]
        for found in outcomes(name, [c for c in drawn if c.key not in known], chosen.limit):
            count, wrong = count + 1, wrong + bool(found.problem)
            if found.problem:
                print(line_of(found), flush=True)
            if chosen.log is not None:
                with chosen.log.open("a", encoding="utf-8") as log:
                    log.write(json.dumps(asdict(found)) + "\n")
            if time.monotonic() > end:
                break
        print(f"# {name}: {count} cases, {wrong} with a problem, {time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
        total, bad = total + count, bad + wrong
        if time.monotonic() > end:
            print("# out of time: run the same command again to go on")
            break
    print(f"# all: {total} cases, {bad} with a problem")
    if chosen.write:
        SUMMARY.write_text(summary(read_log(chosen.log)), encoding="utf-8")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
