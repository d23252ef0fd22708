"""A table from a density: proved level cells, polynomials proved below them, and the text of the file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import sympy as sp
from flint import arb

from derive.bounds import checked_values, radial_density, require_unimodal
from derive.derivation import Derivation, LevelSet
from derive.enclosure.cells import LevelCell, level_cells
from derive.enclosure.flux import CAP, SHELL
from derive.enclosure.radial import RadialDensity
from derive.enclosure.shell_cells import ShellCells
from derive.enclosure.smooth import SmoothLaw
from derive.engine import Family, derive_family
from derive.formula import dim as dim_symbol
from derive.spec import Spec, SpecError
from derive.tables.cdf import BuiltCdf, CdfRequest, build_cdf, check_cdf
from derive.tables.composed import composed_file
from derive.tables.curve import Chain
from derive.tables.file import Triple, density_table
from derive.tables.fit import fit
from derive.tables.shells import node_file
from generated.special.table import ProvedTable

ASSURANCE = "every cell proved in ball arithmetic: the float value, its rounding included, is at most the radius for every double rho"
SMALLEST = 2.0**-54
"""Level cells reach down to this 1 - rho, below that of any double rho < 1."""


@dataclass(frozen=True)
class Request:
    """A table to be made: parameters that are missing take their defaults, all are rounded to doubles."""

    spec: Spec
    adversary: str
    dim: int
    parameters: Mapping[str, sp.Rational]


@dataclass(frozen=True)
class Built:
    """A table ready to be written, and what is to be said of it."""

    file: str
    text: str
    cells: int
    polynomials: int
    witnesses: int
    loss: float
    seconds: float
    compositions: int = 0
    nodes: int = 0
    why: str = ""
    """Why it follows nodes, where cells were tried."""

    @property
    def record(self) -> dict[str, object]:
        """The same for JSON."""
        return {
            "file": self.file, "bytes": len(self.text), "level_cells": self.cells, "polynomials": self.polynomials,
            "witnesses": self.witnesses, "compositions": self.compositions, "nodes": self.nodes, "fit_loss": self.loss, "seconds": round(self.seconds, 2), "why_nodes": self.why,
        }  # fmt: skip

    @property
    def lines(self) -> list[str]:
        """What was proved, for people."""
        first = f"{self.cells} cells of the level-set radius, from {self.witnesses} witnesses"
        if self.compositions:
            first = f"{self.compositions} compositions, and chords of their curves between them"
        if self.nodes:
            first = f"{self.nodes} level-set radii, and a bound of how fast overlaps fall between them"
        return [
            *([f"  nodes     {self.why}"] if self.why else []),
            f"  proved    {first}",
            f"  proved    {self.polynomials} polynomials below them, rounding included, for every double rho in (1/2, 1]",
            f"  accuracy  at most {self.loss:.1e} (relative) given away by the polynomials"
            + (" and between compositions" if self.compositions else "")
            + (", more by the bound between nodes (docs/tables.md)" if self.nodes else ""),
            f"  size      {len(self.text)} bytes in {self.seconds:.1f} s",
        ]


def built(requests: Sequence[Request | CdfRequest]) -> Iterator[Built | BuiltCdf]:
    """The tables in order, each as soon as it is proved; several on as many processes as there are cores."""
    for request in requests:
        checked(request)
    workers = min(len(requests), os.cpu_count() or 1)
    if workers < 2:
        yield from (made(request, os.cpu_count() or 1) for request in requests)
        return
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet) as pool:
        yield from pool.map(made, requests)


def checked(request: Request | CdfRequest) -> None:
    """SpecError where no table can be made."""
    if isinstance(request, CdfRequest):
        check_cdf(request)
    else:
        check(request)


def made(request: Request | CdfRequest, workers: int = 1) -> Built | BuiltCdf:
    """One table; ArithmeticError where it cannot be proved."""
    return build_cdf(request) if isinstance(request, CdfRequest) else build(request, workers)


def _quiet() -> None:
    """An interrupt is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def check(request: Request) -> tuple[Family, dict[str, float], dict[sp.Symbol, sp.Rational]]:
    """(family, parameters as doubles, exact values of d and these doubles); SpecError where no table can be made."""
    family = derive_family(request.spec)
    given = checked_values(family, request.dim, request.parameters)
    composed = family.at(given).composed or family.composed
    kinds = [a for a, d in family.native.items() if isinstance(d.evaluation, LevelSet)]
    kinds += [*family.exact, *([] if composed is None else [composed.adversary])]
    if request.adversary not in kinds:
        known = f"against {', '.join('l' + a for a in kinds)}" if kinds else "no radius that needs one"
        raise SpecError(
            f"tables are for radii by level sets and by composition; {request.spec.name} has {known}, and was asked for l{request.adversary}"
        )
    floats = {q.name: float(given[q.symbol]) for q in family.spec.parameters}
    values = checked_values(family, request.dim, {name: sp.Rational(v) for name, v in floats.items()})
    return family, floats, values


def build(request: Request, workers: int = 1) -> Built:
    """One table, its nodes on so many processes; ArithmeticError where it cannot be proved."""
    start = time.perf_counter()
    family, floats, values = check(request)
    composed = family.at(values).composed or family.composed
    if composed is not None and request.adversary == composed.adversary:
        return _composed(request, start)
    derivation = family.exact.get(request.adversary) or family.native[request.adversary]
    require_unimodal(family.profile, values)
    density = radial_density(family.profile, dim_symbol, values)
    cells, why = _cells(derivation, density, request.dim, workers)
    if cells is not None:
        return assemble(request, floats, derivation.label, cells, start)
    file, text, table = node_file(request.spec, derivation, density, request.dim, floats)
    polynomials, witnesses = len(table.fitted.gap) + len(table.fitted.fail) + 1, len(table.witnesses)
    seconds = time.perf_counter() - start
    return Built(file, text, 0, polynomials, witnesses, table.fitted.loss, seconds, nodes=witnesses, why=why)


def _cells(
    derivation: Derivation, density: RadialDensity, dim: int, workers: int
) -> tuple[Sequence[LevelCell] | None, str]:
    """Polynomial level cells, or why there are none and nodes must do."""
    kind = derivation.evaluation.kind if isinstance(derivation.evaluation, LevelSet) else ""
    if kind not in (CAP, SHELL):
        return None, "there are no polynomial cells of this pair of norms"
    smallest = arb(SMALLEST)
    try:
        law = (SmoothLaw if kind == CAP else ShellCells)(density, dim, smallest)
        return level_cells(law, smallest, workers), ""
    except ArithmeticError as problem:
        return None, str(problem)


def _composed(request: Request, start: float) -> Built:
    """The table of product noise against linf."""
    file, text, found = composed_file(request.spec, request.dim, request.parameters)
    fitted = found.fitted
    polynomials = len(fitted.gap) + len(fitted.fail) + 1
    return Built(
        file, text, 0, polynomials, 0, fitted.loss, time.perf_counter() - start, len(found.chain.links)
    )


def assemble(
    request: Request, floats: Mapping[str, float], method: str, cells: Sequence[LevelCell], start: float
) -> Built:
    """The table of given level cells; `start` is when work on it began (perf_counter)."""
    fitted = fit(Chain(cells))
    witnesses = _above(fitted.table, [w for cell in cells for w in cell.witnesses])
    file, text = density_table(
        request.spec, request.adversary, request.dim, floats, fitted, witnesses,
        method=method, kind="cells", assurance=ASSURANCE,
    )  # fmt: skip
    return Built(
        file,
        text,
        len(cells),
        len(fitted.gap) + len(fitted.fail) + 1,
        len(witnesses),
        fitted.loss,
        time.perf_counter() - start,
    )


def _above(table: ProvedTable, witnesses: Sequence[Triple]) -> list[Triple]:
    """The witnesses (p, t, e) at which the table's radius is at most e, which is what a checker of the file will ask.

    Near rho = 1/2 the rounding of p to a double may cost more than the level cells gave away: those are left out.
    ArithmeticError where rounding does not explain it.
    """
    kept = []
    for p, t, e in witnesses:
        radius = float(table.at(np.array([0.5 - p]), np.array([p]))[0])
        if radius <= e:
            kept.append((p, t, e))
        elif not radius <= e * (1.0 + 2.0**-51 / (0.5 - p)):
            raise ArithmeticError(f"the table exceeds its witness at 1 - rho = {p!r}")
    return kept
