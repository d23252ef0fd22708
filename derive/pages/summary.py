"""What the pages about all densities need of one: a small committed record, so that adding a density derives no other again."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMS: Mapping[str, str] = {
    "closed form": "elementary functions of ρ",
    "quantile": "a quantile or a special function of ρ, no integral left",
    "integral": "an integral over the thresholds of the score, evaluated from below",
    "table": "tabulated in ρ for one dimension and one set of parameters, from below",
}
ASSURANCES: Mapping[str, str] = {
    "proved": "the formula by symbolic steps, each value by its rounding",
    "enclosed": "values held against enclosures by ball arithmetic when the module is written",
    "tested": "values compared with an independent computation",
}
NORMS: Mapping[str, str] = {"1": "l1", "2": "l2", "inf": "linf"}
ALL = "all-densities"
"""Stands for all densities in a file's name; none can be called so, because a name has no hyphen."""


@dataclass(frozen=True)
class Curve:
    """Radii at sigma = 1 for a picture, six significant digits, or the reason why there are none."""

    radii: tuple[float, ...] = ()
    compared: float = math.nan
    """The radius at the one confidence by which densities are ranked."""
    missing: str = ""

    def __post_init__(self) -> None:
        if bool(self.radii) == bool(self.missing):
            raise ValueError("a curve has radii or a reason why not")
        if any(not value >= 0.0 for value in (*self.radii, *([self.compared] if self.radii else []))):
            raise ValueError("a radius is a number, at least 0")


@dataclass(frozen=True)
class Cell:
    """One density against one norm. An empty `form`: it has a radius by conversion alone."""

    form: str
    tight: bool
    assurance: str
    curve: Curve
    converted: tuple[str, ...] = ()
    """The norms from which a radius is converted as well."""
    sharper: str = ""
    """Where a shipped table gives more: how its radius comes about, and in which dimensions."""

    def __post_init__(self) -> None:
        if self.form not in ("", *FORMS):
            raise ValueError(f"the form of a radius must be one of {', '.join(FORMS)}, not {self.form!r}")
        if self.assurance not in ASSURANCES:
            raise ValueError(f"the assurance must be one of {', '.join(ASSURANCES)}, not {self.assurance!r}")
        if not self.form and not self.converted:
            raise ValueError("a cell needs a form or a norm it is converted from")
        if self.tight and not self.form:
            raise ValueError("a converted radius is not claimed tight")
        if not set(self.converted) <= set(NORMS):
            raise ValueError(f"a radius is converted from {', '.join(NORMS)}, not {self.converted!r}")


@dataclass(frozen=True)
class Summary:
    """One density: its name, its label in pictures, its text, its geometry and a cell for every norm it has a radius against."""

    name: str
    label: str
    density: str
    geometry: str
    cells: Mapping[str, Cell]

    def to_toml(self) -> str:
        """The record's text; `parse_summary` gives back an equal summary of it."""
        lines = ["# Written by: python -m derive regenerate"]
        lines += [
            f"{field} = {quoted(getattr(self, field))}" for field in ("name", "label", "density", "geometry")
        ]
        for adversary, cell in sorted(self.cells.items()):
            converted = ", ".join(quoted(norm) for norm in cell.converted)
            lines += [
                "",
                f"[{NORMS[adversary]}]",
                f"form = {quoted(cell.form)}",
                f"tight = {str(cell.tight).lower()}",
            ]
            lines += [f"assurance = {quoted(cell.assurance)}", f"converted = [{converted}]"]
            lines += [f"sharper = {quoted(cell.sharper)}"] if cell.sharper else []
            if cell.curve.missing:
                lines.append(f"missing = {quoted(cell.curve.missing)}")
            else:
                lines.append(f"compared = {_number(cell.curve.compared)}")
                lines.append(f"radii = [{', '.join(_number(value) for value in cell.curve.radii)}]")
        return "\n".join(lines) + "\n"


def parse_summary(text: str, where: str) -> Summary:
    """The summary in a record's text; ValueError naming `where` and what to do when it is none."""
    try:
        found = tomllib.loads(text)
        cells = {a: _cell(found[table]) for a, table in NORMS.items() if table in found}
        name, label, density, geometry = (str(found[key]) for key in ("name", "label", "density", "geometry"))
        return Summary(name, label, density, geometry, cells)
    except (ValueError, TypeError, KeyError) as error:
        reason = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{where} cannot be read ({reason}); write it again by python -m derive regenerate"
        ) from None


def read_summary(path: Path) -> Summary:
    """The summary in a file; ValueError naming the file and what to do when it is missing or damaged."""
    if not path.is_file():
        raise ValueError(
            f"{path.parent.name}/{path.name} is missing; write it by python -m derive regenerate"
        )
    return parse_summary(path.read_text("utf-8"), path.name)


def _cell(table: Mapping[str, Any]) -> Cell:
    radii = tuple(float(value) for value in table.get("radii", ()))
    curve = Curve(radii, float(table.get("compared", math.nan)), str(table.get("missing", "")))
    return Cell(
        str(table["form"]), bool(table["tight"]), str(table["assurance"]), curve, tuple(table["converted"]), str(table.get("sharper", ""))
    )  # fmt: skip


def _number(value: float) -> str:
    text = f"{value:.6g}"
    return text if set(text) & set(".enf") else f"{text}.0"


def image(name: str, adversary: str) -> str:
    """The path of a density's picture against a norm, within docs/derivation."""
    return f"images/{name}-{NORMS[adversary]}.svg"


def quoted(text: str) -> str:
    """A string as TOML writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
