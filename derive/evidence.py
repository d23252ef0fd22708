"""What is checked before a module is written, and the lines that say so in its header."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import sympy as sp

from derive.bounds import checked_values, enclose
from derive.derivation import Cone
from derive.engine import Family
from derive.spec import SpecError

DIMENSIONS = (2, 64, 3072, 150528)
CONFIDENCES = (0.5 + 2.0**-30, 0.9, 1.0 - 2.0**-10, 1.0 - 2.0**-40)
TOLERANCE = sp.Rational(1, 10**9)


def evidence(family: Family, draft: str) -> list[str]:
    """Header lines on the checks of a module's draft; ValueError when one fails, and then nothing is written."""
    module = _load(family.spec.name, draft)
    count, worst = 0, sp.Integer(0)
    for values in _parameter_sets(family):
        floats = {name: float(v) for name, v in values.items()}
        for dim in DIMENSIONS:
            try:
                checked_values(family, dim, values)
            except SpecError:
                continue
            for adversary in family.adversaries:
                confidences = (
                    CONFIDENCES if dim <= 4096 else CONFIDENCES[:2]
                )  # far tails take long to enclose at large dim
                found = module.radius(np.array(confidences), adversary=adversary, dim=dim, **floats)
                for rho, radius in zip(confidences, found, strict=True):
                    ball = enclose(
                        family,
                        adversary,
                        dim=dim,
                        rho=sp.Rational(rho),
                        parameters=values,
                        scale=sp.Integer(1),
                    )
                    gap = _below(sp.Rational(float(radius)), ball.lower, ball.upper)
                    if gap is None:
                        raise ValueError(
                            f"{family.spec.name} l{adversary} dim={dim} rho={rho!r} {floats}: radius {radius!r} is not just below "
                            f"its enclosure [{ball.lower}, {ball.upper}]"
                        )
                    count, worst = count + 1, max(worst, gap)
    lines = ["proved    psi' equals its sum of powers; the Pearson identity of the radial law; R(1/2) = 0"]
    if any(isinstance(d.evaluation, Cone) for d in family.native.values()):
        lines.append(
            "tested    nodes of the curves: float64 with a slack of 2**-39; between nodes concavity proves the bound"
        )
    lines.append(
        f"enclosed  {count} radii (dim {', '.join(map(str, DIMENSIONS))}): none above its ball-arithmetic lower end, "
        f"all within {_round_up(worst):.0e} of it (relative)"
    )
    return lines


def _round_up(worst: sp.Rational) -> float:
    """A coarse power of ten at or above: the same text whatever the library's last digits are."""
    power = 1e-15
    while power < float(worst):
        power *= 10.0
    return power


def _below(radius: sp.Rational, lower: str, upper: str) -> sp.Rational | None:
    """How far, relatively, the radius lies below the lower end; None where it is above it or too far below."""
    low, high = sp.Rational(lower), sp.Rational(upper)
    if radius > low or high - radius > TOLERANCE * high:
        return None
    return (high - radius) / high


def _parameter_sets(family: Family) -> list[dict[str, sp.Rational]]:
    """The defaults, each parameter moved alone, and all moved at once."""
    parameters = family.spec.parameters
    defaults = {q.name: q.default for q in parameters}
    sets, last = [defaults], dict(defaults)
    for q in parameters:
        for value in [
            v for v in (sp.Rational(1, 2), sp.Integer(2), sp.Integer(3)) if v != q.default and q.contains(v)
        ][:2]:
            sets.append(defaults | {q.name: value})
            last[q.name] = value
    return sets if last in sets else [*sets, last]


def _load(name: str, text: str) -> ModuleType:
    """The draft as a module, imported from a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"draft_{name}.py"
        path.write_text(text, "utf-8")
        spec = importlib.util.spec_from_file_location(f"draft_{name}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
