"""The exact level-set radius against the differential one, over the dimension: a committed record, and a picture of it.

Where a density has both radii against its own norm, their ratio says what the simpler method gives away: the comparison of Yang et al.
(ICML 2020). Both are enclosed by ball arithmetic; the record keeps six digits, because computing them takes minutes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sympy as sp
from flint import arb, ctx

from derive.bounds import PRECISION, checked_values, native_ball
from derive.engine import Family, derive_family
from derive.formula import r
from derive.pages.chart import COLOURS, DASHES, Axis, Line, Panel, plain_ticks, svg
from derive.pages.summary import quoted
from derive.spec import Spec, SpecError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECORD = "comparison.toml"
PICTURE = "images/level-set-against-differential.svg"
DIMENSIONS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024, 3072)
CONFIDENCES = ("0.9", "0.99", "0.999")
SHOWN = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 3072)


@dataclass(frozen=True)
class Comparison:
    """`ratios[rho]`: level-set radius over differential radius, for each of `dims`, six significant digits."""

    command: str
    density: str
    dims: tuple[int, ...]
    ratios: Mapping[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        if not self.dims or not self.ratios:
            raise ValueError("a comparison needs dimensions and confidences")
        for rho, values in self.ratios.items():
            if len(values) != len(self.dims) or not all(1.0 <= x < math.inf for x in values):
                raise ValueError(
                    f"a comparison needs a ratio of at least 1 for every dimension at rho = {rho}"
                )

    def to_toml(self) -> str:
        """The record's text; `read_comparison` gives back an equal comparison."""
        lines = [f"# Written by: {self.command}", f"command = {quoted(self.command)}"]
        lines += [
            f"density = {quoted(self.density)}",
            f"dims = [{', '.join(map(str, self.dims))}]",
            "",
            "[ratios]",
        ]
        lines += [f"{quoted(rho)} = [{', '.join(f'{x:.6f}' for x in v)}]" for rho, v in self.ratios.items()]
        return "\n".join(lines) + "\n"

    def picture(self) -> str:
        """As SVG: one line for each confidence, dimensions on a logarithmic axis."""
        x = np.log2(np.array(self.dims, dtype=float))
        lines = tuple(
            Line(f"ρ = {rho}", x, np.array(values), COLOURS[n], DASHES[n])
            for n, (rho, values) in enumerate(self.ratios.items())
        )
        ticks = tuple((math.log2(d), str(d)) for d in SHOWN if d in self.dims)
        highest = max(max(values) for values in self.ratios.values())
        steps = plain_ticks(1.0, 1.0 + (highest - 1.0) * 1.05)
        top = steps[-1][0] + (steps[1][0] - steps[0][0])
        axis = Axis("level set / differential", 1.0, top, plain_ticks(1.0, top))
        panel = Panel(
            "what the level-set radius gains",
            Axis("dimension d", float(x[0]), float(x[-1]), ticks),
            axis,
            lines,
            560,
            300,
        )
        return svg(f"ℓ₂ radii of {self.density}: level set against differential", [panel])


def compared(
    spec: Spec, parameters: Mapping[str, sp.Rational], say: Callable[[str], None] = lambda line: None
) -> Comparison:
    """Both l2 radii of a density at every point, enclosed.

    Args:
        spec: a density with a level-set and a differential radius against l2.
        parameters: values for some of its parameters, defaults for the others.
        say: told a line for every dimension.

    Raises:
        SpecError: the density has not both radii.
    """
    values = {q.name: parameters.get(q.name, q.default) for q in spec.parameters}
    member = derive_family(spec.member(values))
    other = [d for d in member.weaker.get("2", ()) if d.method == "differential"]
    if not other or member.native["2"].method != "level set":
        raise SpecError(f"{spec.name} has no level-set radius beside a differential one against l2")
    ratios: dict[str, list[float]] = {rho: [] for rho in CONFIDENCES}
    for dim in DIMENSIONS:
        for rho in CONFIDENCES:
            ratios[rho].append(_ratio(member, dim, sp.Rational(rho)))
        say(f"d = {dim:5d}  " + "  ".join(f"{ratios[rho][-1]:.6f}" for rho in CONFIDENCES))
    chosen = "".join(f" --param {name}={value}" for name, value in values.items())
    return Comparison(
        f"python -m derive compare {spec.name}{chosen} --write",
        sp.sstr(sp.exp(-member.profile.psi.subs(r, sp.Symbol("‖x‖₂")))),
        DIMENSIONS,
        {rho: tuple(found) for rho, found in ratios.items()},
    )


def _ratio(member: Family, dim: int, rho: sp.Rational) -> float:
    """Six digits after the point, from enclosures that fix them."""
    before, ctx.prec = ctx.prec, PRECISION
    try:
        values = checked_values(member, dim, {})
        differential = next(d for d in member.weaker["2"] if d.method == "differential")
        radii = [native_ball(member.profile, d, values, rho) for d in (member.native["2"], differential)]
        ratio: arb = radii[0] / radii[1]
        if not bool(ratio.rad() < 1e-9):
            raise ArithmeticError(
                f"the radii at d = {dim}, rho = {rho} are not enclosed closely enough: {ratio}"
            )
        return round(float(ratio.mid()), 6)
    finally:
        ctx.prec = before


def read_comparison(path: Path) -> Comparison | None:
    """The record in a file, None where there is no such file; ValueError naming it when it cannot be read."""
    if not path.exists():
        return None
    try:
        found = tomllib.loads(path.read_text("utf-8"))
        ratios = {str(rho): tuple(float(x) for x in values) for rho, values in found["ratios"].items()}
        return Comparison(
            str(found["command"]), str(found["density"]), tuple(int(d) for d in found["dims"]), ratios
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{path.name}: {reason}; write it again by python -m derive compare exp_l2 --write"
        ) from None


def comparison_lines(found: Comparison) -> list[str]:
    """A paragraph and the picture, as Markdown."""
    first, last = found.dims[0], found.dims[-1]
    most = max(max(values) for values in found.ratios.values())
    gains = ", ".join(
        f"{100 * (v[0] - 1):.2g} % at d = {first} and {100 * (v[-1] - 1):.2g} % at d = {last} for ρ = {rho}"
        for rho, v in found.ratios.items()
    )
    return [
        f"The exact l2 radius by level sets against the differential one, for q ∝ `{found.density}`: it is larger by {gains}; "
        f"at most {100 * (most - 1):.2g} % at any of these dimensions. The differential method is tight for infinitesimal shifts, and in high dimension a shift that can be "
        f"certified is small beside the norm of the noise, so there the two agree. Made by `{found.command}`.",
        "",
        f"![Level-set radius over differential radius of {found.density} against the dimension]({PICTURE})",
    ]
