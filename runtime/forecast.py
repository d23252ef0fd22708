"""The plan of a run, as data and as text: what its votes buy, and what they will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runtime.noise import Noise
from runtime.numerals import shortest
from runtime.plan import grouped, largest, outlook, smallest_n
from runtime.procedure import Procedure
from runtime.report.rounding import radius_below
from runtime.rng import BLOCK
from runtime.sampling import Votes

RATES: tuple[float, ...] = (0.42, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Class probabilities that are shown where none are assumed."""
_SPAN = 0.5
_ROWS = 12


def votes_per_second(count: Callable[[int, int], Votes], size: int, span: float = _SPAN) -> float:
    """Votes a second of one worker, measured for about `span` seconds after a first batch.

    Args:
        count: counts the votes start … stop-1.
        size: votes a call, rounded down to whole blocks of 64.
        span: seconds, at least.
    """
    size = max(BLOCK, size // BLOCK * BLOCK)
    done = count(0, size).n
    begin, total = time.perf_counter(), 0
    while time.perf_counter() - begin < span:
        total += count(done + total, done + total + size).n
    return total / (time.perf_counter() - begin)


def forecast(
    name: str,
    noise: Noise,
    procedure: Procedure,
    inputs: int,
    rates: Sequence[float] = (),
    speed: float | None = None,
    runs: int = 100,
) -> dict[str, Any]:
    """The plan of one run, ready for JSON.

    Args:
        name: of the run.
        noise, procedure: what will be sampled, and how it is decided.
        inputs: number of inputs.
        rates: class probabilities assumed, one an input or any sample of them; without them examples are shown
            and no mean is formed.
        speed: votes a second, where known.
        runs: simulations a rate.

    Returns:
        Parameters of the procedure, `largest` (what unanimous votes give), `targets`, `rates`, and with assumed
        rates or a fixed sample `votes` an input and, with a speed, `seconds` for all inputs.
    """
    record = procedure.record()
    alpha, most = float(record["alpha"]), procedure.maximum()
    plan: dict[str, Any] = {
        "name": name,
        "family": noise.family,
        "sigma": noise.sigma,
        "dim": noise.dim,
        "inputs": inputs,
        "procedure": record,
        "largest": None,
    }
    if most is not None:
        p_lower, radii = largest(noise, most, alpha)
        plan["largest"] = {"n": most, "p_lower": p_lower, "radii": radii}
    pairs = [
        (float(target), float(p0))
        for target, p0 in zip(record.get("targets", ()), record.get("p0s", ()), strict=True)
    ]
    plan["targets"] = [
        {
            "radius": target,
            "adversary": record["adversary"],
            "p0": p0,
            "fixed_n_unanimous": smallest_n(p0, alpha, 1.0),
        }
        for target, p0 in pairs
    ]
    shares = grouped(rates) if rates else [(rate, None) for rate in RATES]
    plan["assumed"] = bool(rates)
    plan["rates"] = []
    for rho, share in shares:
        seen = outlook(procedure, noise, rho, runs)
        plan["rates"].append(
            {
                "rho": rho,
                "share": share,
                "votes": seen.votes,
                "certified": seen.certified,
                "radii": dict(seen.radii),
                "fixed_n": [smallest_n(p0, alpha, rho) for _, p0 in pairs],
            }
        )
    plan["votes"] = None
    if rates:
        plan["votes"] = sum(row["share"] * row["votes"] for row in plan["rates"])
    elif record["procedure"] == "fixed" and most is not None:
        plan["votes"] = float(procedure.selection() + most)
    plan["most_votes"] = None if most is None else procedure.selection() + most
    plan["votes_per_second"] = speed
    for key, votes in (("seconds", plan["votes"]), ("most_seconds", plan["most_votes"])):
        plan[key] = None if votes is None or speed is None else inputs * votes / speed
    return plan


def _duration(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2.0 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _radii(radii: Mapping[str, float]) -> str:
    return ", ".join(f"l{name} {radius_below(radius)}" for name, radius in radii.items())


def text_of(plan: Mapping[str, Any]) -> str:
    """The plan as lines for people."""
    record = plan["procedure"]
    lines = [
        f"{plan['name']}: {plan['inputs']} inputs, procedure {record['procedure']}, alpha = {shortest(record['alpha'])}"
    ]
    if best := plan["largest"]:
        lines.append(
            f"  largest certifiable with n = {best['n']}: p_lower {best['p_lower']:.6f}, radius {_radii(best['radii'])}"
        )
    for target in plan["targets"]:
        lines.append(
            f"  l{target['adversary']} radius {shortest(target['radius'])} needs probability {target['p0']:.6f}: "
            f"a fixed sample of at least {target['fixed_n_unanimous']} votes"
        )
    lines.append(f"  {'probability':>11} {'votes':>10} {'certified':>9}   mean radius, abstentions as 0")
    for row in plan["rates"][:: max(1, -(-len(plan["rates"]) // _ROWS))]:
        needed = "".join(
            f"   fixed n for {shortest(target['radius'])}: {'none' if n is None else n}"
            for target, n in zip(plan["targets"], row["fixed_n"], strict=True)
        )
        lines.append(
            f"  {row['rho']:>11.4f} {row['votes']:>10.0f} {row['certified']:>9.2f}   {_radii(row['radii'])}{needed}"
        )
    for key, what in (("votes", "expected"), ("most_votes", "at most")):
        if plan[key] is not None:
            seconds = plan["seconds" if key == "votes" else "most_seconds"]
            took = "" if seconds is None else f", {_duration(seconds)} for all inputs"
            lines.append(f"  {what}: {plan[key]:.0f} votes an input{took}")
    if plan["votes_per_second"] is not None:
        lines.append(f"  speed: {plan['votes_per_second']:.0f} votes a second")
    elif plan["votes"] is None and plan["most_votes"] is None:
        lines.append("  no maximum: assume probabilities (--rho or --log) for a mean")
    return "\n".join(lines)
