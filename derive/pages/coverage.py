"""The page of what is covered: density × norm → form of the radius, tightness, assurance, and the time to derive it."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import ModuleType

from derive.engine import Family
from derive.pages.brackets import COMMAND, RHO, Brackets, gap_cell
from derive.pages.pictures import DIMENSIONS, label, overview_curves
from derive.pages.summary import ASSURANCES, FORMS, NORMS, Cell, Summary, quoted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Times:
    """Wall seconds of `add-distribution` by density and of other commands, as one machine measured them on one day."""

    date: str = ""
    hardware: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    commands: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in [*self.seconds.items(), *self.commands.items()]:
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"a time must be a number of seconds, at least 0, not {value!r} for {name}")

    def to_toml(self) -> str:
        """The file's text; `read_times` gives back equal times."""
        lines = ["# Written by: python -m tests.benchmarks.derivation_times --write"]
        lines += [f"date = {quoted(self.date)}", f"hardware = {quoted(self.hardware)}"]
        for table, values in (("seconds", self.seconds), ("commands", self.commands)):
            lines += ["", f"[{table}]", *(f"{quoted(name)} = {values[name]:.1f}" for name in sorted(values))]
        return "\n".join(lines) + "\n"


def read_times(path: Path) -> Times:
    """The times in a file; none where there is no such file. ValueError naming the file when it cannot be read."""
    if not path.exists():
        return Times()
    try:
        found = tomllib.loads(path.read_text("utf-8"))
        tables = [{str(n): float(v) for n, v in found.get(t, {}).items()} for t in ("seconds", "commands")]
        return Times(str(found.get("date", "")), str(found.get("hardware", "")), *tables)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path.name}: {error}; write it again by python -m tests.benchmarks.derivation_times --write"
        ) from None


def summary_of(family: Family, module: ModuleType, assurance: Mapping[str, str]) -> Summary:
    """A density's record; `assurance` has one of ASSURANCES for every norm of the family."""
    curves = overview_curves(module)
    cells = {}
    for adversary in family.adversaries:
        native = family.native.get(adversary)
        form, tight = (native.form, native.tight) if native else ("", False)
        converted = tuple(other for other, _ in family.routes[adversary])
        sharper = _sharper(family, module, adversary)
        cells[adversary] = Cell(form, tight, assurance[adversary], curves[adversary], converted, sharper)
    return Summary(family.spec.name, label(module), family.spec.density, family.spec.geometry, cells)


def _sharper(family: Family, module: ModuleType, adversary: str) -> str:
    """What a shipped table adds against a norm: its method and dimensions; empty where there is none."""
    derivation = family.exact.get(adversary) or (family.composed if adversary == "inf" else None)
    pattern = re.compile(rf"{re.escape(family.spec.name)}_l{adversary}_d(\d+)[_.]")
    found = (pattern.match(file) for file in getattr(module, "SHARPER_TABLES", {}))
    dims = sorted({int(match[1]) for match in found if match})
    return f"{derivation.label} in d = {', '.join(map(str, dims))}" if derivation and dims else ""


def coverage_page(summaries: Sequence[Summary], times: Times, brackets: Brackets) -> str:
    """The Markdown page, a row a density in the order of their names; the same input gives the same bytes."""
    ordered = sorted(summaries, key=lambda one: one.name)
    own = [cell for one in ordered for cell in one.cells.values() if cell.form]
    converted = sum(not cell.form for one in ordered for cell in one.cells.values())
    counts = Counter(cell.form for cell in own)
    parts = [f"{counts[form]} × {form}" for form in FORMS if counts[form]]
    tight = sum(cell.tight for cell in own)
    lines = [
        "# Coverage",
        "",
        "What the engine derives for each density and norm, written by `python -m derive regenerate`.",
        "",
        f"{len(ordered)} densities, {len(own)} radii of their own ({', '.join(parts) or 'none'}; {tight} of them tight) and "
        f"{converted} by conversion alone.",
        "",
        f"| density | q ∝ | geometry | l1 | l2 | linf | gap at ρ = {RHO} | derived in |",
        "|---|---|---|---|---|---|---|---:|",
    ]
    for one in ordered:
        cells = " | ".join(_cell(one.cells[a]) if a in one.cells else "—" for a in NORMS)
        time = f"{times.seconds[one.name]:.1f} s" if one.name in times.seconds else "—"
        lines.append(
            f"| [{one.name}]({one.name}.md) | `{one.density}` | {one.geometry} | {cells} | {gap_cell(brackets, one.name)} | {time} |"
        )
    return "\n".join([*lines, "", *_tight(ordered), "", *_legend(times)]) + "\n"


def _tight(ordered: Sequence[Summary]) -> list[str]:
    """Where the differential method gives the exact radius, and what the bracket is."""
    names: dict[str, list[str]] = {}
    for one in ordered:
        for adversary, cell in one.cells.items():
            if cell.form and cell.tight and cell.form != "table":
                names.setdefault(NORMS[adversary], []).append(one.name)
    listed = "; ".join(f"{norm}: {', '.join(found)}" for norm, found in sorted(names.items()))
    return [
        "The differential method is tight for infinitesimal shifts of any noise, and outright where the likelihood ratio along the worst shift is "
        "monotone in one coordinate: iid log-concave noise against l1. "
        + (f"Exact without level sets of its own table: {listed}. " if listed else "")
        + "Elsewhere a level-set radius exceeds it, or may. Every radius has a bracket: itself below, and above it the Neyman–Pearson "
        "radius along the worst shift that is known (k coordinates moved alike, k from 1 to d), proved by a set that such a shift makes more likely "
        "than 1/2.",
    ]


def _cell(cell: Cell) -> str:
    sources = " or ".join(f"from {NORMS[b]}" for b in cell.converted)
    more = f"; more by **table**: {cell.sharper}" if cell.sharper else ""
    if not cell.form:
        return f"{sources}, {cell.assurance}{more}"
    own = f"**{cell.form}**, {'tight' if cell.tight else 'sound'}, {cell.assurance}"
    return (f"{own}; or {sources}" if sources else own) + more


def _legend(times: Times) -> list[str]:
    lines = [f"* **{form}**: {meaning}." for form, meaning in FORMS.items()]
    lines += [
        "* *tight*: no larger radius follows from ρ alone. *sound*: certified, and a larger one may exist.",
        f"* *gap*: how far np_upper, the Neyman–Pearson bound, lies above the radius at the defaults in d = {DIMENSIONS[0]} (or the dimension "
        "named): 0 where the radius is exact, a part of the radius in percent, or × how many times the radius. It bounds what any method could still "
        f"gain from ρ alone; much of it may be out of reach. Made by `{COMMAND}`.",
        "* *more by table*: the larger radius that a shipped table gives, enclosed at every double ρ; other dimensions by `python -m derive compile`.",
        "* *from lb*: the radius against that norm b, times the factor between the norms; the larger one is returned.",
    ]
    lines += [f"* *{name}*: {meaning}." for name, meaning in ASSURANCES.items()]
    lines.append(
        "* *derived in*: wall time of `add-distribution`, from the start of Python to the last file, with all checks; measured by "
        f"`python -m tests.benchmarks.derivation_times --write`. {_measured(times)}"
    )
    return lines


def _measured(times: Times) -> str:
    """Where and when, and the times of the densities together."""
    if not times.seconds:
        return "Not measured yet."
    found = list(times.seconds.values())
    parts = [f"median {median(found):.1f} s, worst {max(found):.1f} s of {len(found)}"]
    parts += [f"`{command}` {seconds:.1f} s" for command, seconds in sorted(times.commands.items())]
    return f"{'; '.join(parts)} ({times.hardware}, {times.date})."
