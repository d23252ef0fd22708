"""What is checked before a module is written, and the lines that say so in its header."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import sympy as sp

from derive.bounds import checked_values, enclose_native
from derive.derivation import Closed, Cone, Cosine, Lattice, LevelSet, NumericCone, Overlap, Tabulated
from derive.engine import Family
from derive.formula import dim as dim_symbol
from derive.law import QuadratureLaw
from derive.spec import SpecError
from derive.timelimit import limited
from generated.special import MissingTable

DIMENSIONS: tuple[int, ...] = (2, 64, 3072, 150528)
CONFIDENCES: tuple[float, ...] = (0.6, 0.9, 1.0 - 2.0**-10, 1.0 - 2.0**-40)
SECONDS = 20.0
"""Processor time for one enclosure; those that succeed take a tenth of it at most."""
TOLERANCE = sp.Rational(1, 10**9)


@dataclass(frozen=True)
class Evidence:
    """Header lines on what was checked, and for every norm "proved", "enclosed" or "tested"."""

    lines: list[str]
    assurance: Mapping[str, str]


def evidence(family: Family, module: ModuleType) -> Evidence:
    """The checks of a module's draft; ValueError when one fails, and then nothing is written."""
    found = _Found()
    for adversary in family.native:
        try:
            for dim, values, confidences in _points(family, adversary):
                function = getattr(module, f"radius_l{adversary}")
                with suppress(MissingTable):  # where none is shipped there is nothing to compare
                    _compare(family, function, adversary, dim, values, confidences, found)
        except (ArithmeticError, NotImplementedError):
            found.open.add(adversary)
    for member in family.members:
        for adversary in member.family.native:
            for dim in DIMENSIONS[:2]:
                function = getattr(module, f"radius_l{adversary}{member.suffix}")
                _compare(member.family, function, adversary, dim, {}, CONFIDENCES[:2], found)
    lines = [_proved(family)]
    kinds = [d.evaluation for d in family.native.values()]
    if any(isinstance(kind, Cone | Lattice | Overlap) for kind in kinds):
        lines.append(
            "proved    curves: nodes with the errors of their primitives, two tangents and a bound on the curvature between them"
        )
    if any(isinstance(kind, NumericCone) for kind in kinds):
        lines.append(
            "proved    curves of a law by quadrature: what its series leave out, by bounds on complex ellipses around its panels; rounding, by intervals"
        )
    if any(
        not isinstance(kind, Closed | Cone | NumericCone | Lattice | LevelSet | Overlap) for kind in kinds
    ):
        lines.append(
            "tested    the interpolant of a formula in float64: what it misses, with a slack that is measured"
        )
    if hasattr(module, "TABLES"):
        count = len(module.TABLES)
        lines.append(
            f"enclosed  {count} shipped tables: proved by ball arithmetic to lie below the level-set radius at every double rho"
            if count
            else f"enclosed  no table is shipped; one is proved by: python -m derive compile {family.spec.name} --dim DIM"
        )
    if found.count:
        lines.append(
            f"enclosed  {found.count} radii (dim {', '.join(map(str, sorted(found.dims)))}): none above its ball-arithmetic lower end, "
            f"all within {_round_up(found.worst):.0e} of it (relative)"
            + (" where bounds on the score had to stand in for it" if found.worst > TOLERANCE else "")
        )
    if found.open:
        names = ", ".join(f"l{a}" for a in sorted(found.open))
        lines.append(
            f"open      {names}: no ball-arithmetic enclosure was found; computed by quadrature alone"
        )
    return Evidence(lines, {a: _assurance(family, a, found) for a in family.adversaries})


def _assurance(family: Family, adversary: str, found: _Found) -> str:
    """Of the radius that is returned: its own, or the weakest among the routes to it."""
    sources = [adversary] if adversary in family.native else []
    sources += [other for other, _ in family.routes[adversary]]
    if any(source in found.open for source in sources):
        return "tested"
    closed = all(isinstance(family.native[source].evaluation, Closed) for source in sources)
    return "proved" if closed else "enclosed"


@dataclass
class _Found:
    """What the comparisons gave so far."""

    count: int = 0
    worst: sp.Rational = sp.Integer(0)
    dims: set[int] = field(default_factory=set)
    open: set[str] = field(default_factory=set)


def _proved(family: Family) -> str:
    facts = ["R(1/2) = 0"]
    if family.profile.terms is not None:
        facts.insert(0, "psi' equals its sum of powers")
    if not isinstance(family.law, QuadratureLaw):
        facts.insert(0, "the Pearson identity of the radial law")
    return f"proved    {'; '.join(facts)}"


def _points(
    family: Family, adversary: str
) -> Iterator[tuple[int, dict[str, sp.Rational], tuple[float, ...]]]:
    """(dimension, parameters, confidences) to compare at: all confidences at the defaults, one elsewhere, fewer where each takes seconds."""
    derivation, parameters = family.native[adversary], family.spec.parameters
    free = derivation.method == "differential" and derivation.reduction.view.exponent == 1
    dimensions = DIMENSIONS[:1] if free and not family.profile.psi.has(dim_symbol) else DIMENSIONS
    if isinstance(derivation.evaluation, Closed | Lattice | Tabulated):
        confidences = CONFIDENCES
    else:
        spherical = isinstance(derivation.evaluation, LevelSet | Cosine)
        dimensions = tuple(d for d in dimensions if (64 if spherical else 1) <= d <= 3072)
        turning = family.profile.shape not in ("rising", "falling", "constant")
        confidences = CONFIDENCES[1:2] if spherical else CONFIDENCES[1:3] if turning else CONFIDENCES[1:]
    for dim in dimensions:
        sets = _parameter_sets(family, dim) if parameters else [{}]
        for n, values in enumerate(sets):
            if n == 0:
                yield dim, values, confidences if dim <= 64 else confidences[:2]
            elif dim <= 2 and not isinstance(derivation.evaluation, LevelSet):
                yield dim, values, CONFIDENCES[1:2]


def _compare(
    family: Family,
    function: Callable[..., np.ndarray],
    adversary: str,
    dim: int,
    values: dict[str, sp.Rational],
    confidences: tuple[float, ...],
    found: _Found,
) -> None:
    floats = {name: float(v) for name, v in values.items()}
    radii = function(np.array(confidences), dim=dim, **floats)
    found.dims.add(dim)
    exact_values = checked_values(family, dim, values)
    for rho, radius in zip(confidences, radii, strict=True):
        ball = limited(
            enclose_native, family, adversary, exact_values, sp.Rational(rho), seconds=SECONDS, default=None
        )
        if ball is None:
            raise ArithmeticError("no enclosure was found in time")
        low, high, value = sp.Rational(ball.lower), sp.Rational(ball.upper), sp.Rational(float(radius))
        exact = isinstance(
            family.native[adversary].evaluation, Closed | Cone | Lattice | Tabulated | LevelSet
        )
        if value > low or (exact and high - value > TOLERANCE * high):
            raise ValueError(
                f"{family.spec.name} l{adversary} dim={dim} rho={rho!r}{_shown(floats)}: radius {float(radius)!r} is not just below "
                f"its enclosure [{ball.lower}, {ball.upper}]"
            )
        found.count, found.worst = found.count + 1, max(found.worst, (high - value) / high)


def _shown(values: Mapping[str, float]) -> str:
    return "".join(f" {name}={value!r}" for name, value in values.items())


def _round_up(worst: sp.Rational) -> float:
    """A coarse power of ten at or above: the same text whatever the library's last digits are."""
    power = 1e-15
    while power < float(worst):
        power *= 10.0
    return power


def _parameter_sets(family: Family, dim: int) -> list[dict[str, sp.Rational]]:
    """The defaults, each parameter moved alone, and all moved at once, as far as the law allows them at this dimension."""
    parameters = family.spec.parameters
    defaults = {q.name: q.default for q in parameters}
    sets, last = [defaults], dict(defaults)
    choices = (sp.Rational(1, 2), sp.Integer(2), sp.Integer(3), sp.Integer(dim + 16), sp.Rational(dim, 2))
    for q in parameters:
        moved = [
            v
            for v in choices
            if v != q.default and q.contains(v) and _allowed(family, dim, defaults | {q.name: v})
        ][:2]
        sets += [defaults | {q.name: value} for value in moved]
        if moved:
            last[q.name] = moved[-1]
    sets += [] if last in sets else [last]
    return [values for values in sets if _allowed(family, dim, values)]


def _allowed(family: Family, dim: int, values: dict[str, sp.Rational]) -> bool:
    try:
        checked_values(family, dim, values)
    except SpecError:
        return False
    return True


def load_draft(name: str, text: str) -> ModuleType:
    """The draft as a module, imported from a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"draft_{name}.py"
        path.write_text(text, "utf-8")
        spec = importlib.util.spec_from_file_location(f"draft_{name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
