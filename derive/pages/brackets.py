"""How far every radius may lie below what rho allows: a committed record of the brackets, for the pages."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sympy as sp

from derive.bounds import checked_values, enclose, float_below
from derive.bracket import CLOSE, ceiling, gap
from derive.engine import derive_family
from derive.pages.pictures import DIMENSIONS
from derive.pages.summary import NORMS, quoted
from derive.spec import Spec, SpecError
from generated.special.lookup import SHIPPED, load_table, read_record, table_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECORD = "brackets.toml"
RHO = "0.99"
COMMAND = "python -m derive bracket --write"
_SHOWN = {"1": "1", "2": "2", "inf": "∞"}


@dataclass(frozen=True)
class Bracketed:
    """One density against one norm at its defaults and scale 1: the radius and its Neyman–Pearson bound, six digits each."""

    dim: int
    lower: str
    np_upper: str
    gap: float
    """np_upper/lower - 1, three digits; 0 where the radius is exact."""
    direction: str
    assurance: str
    table: str = ""
    """How the radius comes about, where that of a shipped table is larger than what needs none."""
    plain: str = ""
    """Then the radius without the table."""

    def __post_init__(self) -> None:
        if self.dim < 1 or not (math.isfinite(self.gap) and self.gap >= 0.0):
            raise ValueError(
                f"a bracket needs a dimension and a gap of at least 0, not {self.dim} and {self.gap}"
            )


Brackets = Mapping[str, Mapping[str, Bracketed]]
"""By density and norm."""


def bracketed(spec: Spec, adversary: str) -> Bracketed | None:
    """The bracket at RHO in the first dimension of the pictures that the defaults allow; None where there is none."""
    member = derive_family(spec.member({q.name: q.default for q in spec.parameters}))
    rho, one = sp.Rational(RHO), sp.Integer(1)
    for dim in DIMENSIONS:
        try:
            checked_values(member, dim, {})
        except SpecError:
            continue
        try:
            ball = enclose(member, adversary, dim=dim, rho=rho, parameters={}, scale=one)
        except (ArithmeticError, NotImplementedError):
            return None
        method, value = _shipped(spec, adversary, dim)
        best = max(sp.Rational(value), sp.Rational(ball.lower))
        found = ceiling(member, adversary, dim=dim, rho=rho, lower=best)
        if found is None:
            return None
        excess = gap(found.upper, str(best)) or 0.0
        shown = 0.0 if excess < CLOSE else float(f"{excess:.3g}")
        plain, lower, upper = (f"{float(sp.Rational(x)):.6g}" for x in (ball.lower, best, found.upper))
        more = (
            (method, plain)
            if method and best > sp.Rational(ball.lower) * (1 + sp.Rational(CLOSE))
            else ("", "")
        )
        return Bracketed(dim, lower, upper, shown, found.direction, found.assurance, *more)
    return None


def _shipped(spec: Spec, adversary: str, dim: int) -> tuple[str, float]:
    """(method, radius) of the shipped table at the defaults and scale 1; nothing where there is none."""
    path = SHIPPED / table_file(
        spec.name, adversary, dim, {q.name: float(q.default) for q in spec.parameters}
    )
    if not path.is_file():
        return "", 0.0
    record = read_record(path)
    if record.get("spec") != spec.hash:
        return "", 0.0
    rho = float_below(sp.Rational(RHO))
    radius = load_table(path).at(np.array([rho - 0.5]), np.array([1.0 - rho]))  # both differences are exact
    return str(record["method"]), float(radius[0])


def measured(specs: Sequence[Spec], say: Callable[[str], None] = lambda line: None) -> Brackets:
    """The brackets of densities against every norm; `say` is told a line for each."""
    found: dict[str, dict[str, Bracketed]] = {}
    for spec in specs:
        found[spec.name] = {}
        for adversary in derive_family(spec).adversaries:
            one = bracketed(spec, adversary)
            if one is None:
                say(f"{spec.name:20} {NORMS[adversary]:5} no bound")
                continue
            found[spec.name][adversary] = one
            say(
                f"{spec.name:20} {NORMS[adversary]:5} d = {one.dim:<5} R {one.lower:>10}  np_upper {one.np_upper:>10}  "
                f"gap {gap_text(one.gap):>7}  {one.direction}"
            )
    return found


def gap_text(value: float) -> str:
    """A gap in words short enough for a table: 0, percent, or how many times the radius the bound is."""
    if value == 0.0:
        return "0"
    if value < 1.0:
        return f"{100 * value:.2g} %"
    return f"×{1.0 + value:.3g}"


def to_toml(brackets: Brackets) -> str:
    """The record's text; `read_brackets` gives back equal brackets."""
    lines = [f"# Written by: {COMMAND}", f"rho = {quoted(RHO)}"]
    for name in sorted(brackets):
        for adversary in sorted(brackets[name]):
            one = brackets[name][adversary]
            lines += ["", f"[{name}.{NORMS[adversary]}]", f"dim = {one.dim}"]
            lines += [
                f"lower = {quoted(one.lower)}",
                f"np_upper = {quoted(one.np_upper)}",
                f"gap = {one.gap!r}",
            ]
            lines += [f"direction = {quoted(one.direction)}", f"assurance = {quoted(one.assurance)}"]
            lines += [f"table = {quoted(one.table)}", f"plain = {quoted(one.plain)}"] if one.table else []
    return "\n".join(lines) + "\n"


def read_brackets(path: Path) -> Brackets:
    """The record in a file, empty where there is no such file; ValueError naming it when it cannot be read."""
    if not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text("utf-8"))
        return {
            str(name): {
                a: Bracketed(
                    int(table[norm]["dim"]),
                    str(table[norm]["lower"]),
                    str(table[norm]["np_upper"]),
                    float(table[norm]["gap"]),
                    str(table[norm]["direction"]),
                    str(table[norm]["assurance"]),
                    str(table[norm].get("table", "")),
                    str(table[norm].get("plain", "")),
                )
                for a, norm in NORMS.items()
                if norm in table
            }
            for name, table in found.items()
            if name != "rho"
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path.name}: {reason}; write it again by {COMMAND}") from None


def bracket_text(one: Bracketed | None, adversary: str) -> str:
    """A paragraph for a page on one norm."""
    if one is None:
        return f"No upper bound is recorded; `python -m derive radius` computes one where it can, and `{COMMAND}` keeps it."
    where = f"At ρ = {RHO}, d = {one.dim} and scale 1 the radius is {one.lower}"
    if one.table:
        where += f" ({one.table}, from the table that is shipped; {one.plain} without one)"
    if one.gap == 0.0:
        return f"{where}, and a shift along {one.direction} of that length is proved to break any larger claim: the radius is exact, the gap 0."
    return (
        f"{where}. Along {one.direction} a shift of ℓ{_SHOWN[adversary]} norm {one.np_upper} leaves nothing to certify ({one.assurance}), so no "
        f"method can certify more from ρ alone: gap {gap_text(one.gap)}."
    )


def gap_cell(brackets: Brackets, name: str) -> str:
    """A cell of the coverage table."""
    found = brackets.get(name, {})
    if not found:
        return "—"
    parts = [f"{norm} {gap_text(found[a].gap)}" for a, norm in NORMS.items() if a in found]
    dims = {one.dim for one in found.values()}
    return ", ".join(parts) + (f" (d = {dims.pop()})" if dims != {DIMENSIONS[0]} and len(dims) == 1 else "")
