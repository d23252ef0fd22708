"""Pictures of densities and their radii, as SVG text: they illustrate, and certify nothing.

Radii are those of the generated code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import ModuleType

import numpy as np
from scipy import special as functions

from derive.pages.chart import (
    COLOURS,
    DASHES,
    GREY,
    Axis,
    FloatArray,
    Line,
    Panel,
    axis_from_zero,
    decade_axis,
    plain_ticks,
    svg,
)
from derive.pages.drawn_law import DrawnLaw, drawn_law
from derive.pages.summary import Curve, Summary
from derive.spec import Spec
from generated.special import MissingTable

DIMENSIONS = (3072, 768, 192, 64, 16, 8, 4, 3, 2, 1)
"""The dimension of a picture is the first of these that a density has at its default parameters."""
CONFIDENCES = (0.5, 0.75, 0.9, 0.99, 0.999, 0.9999)
COMPARED = 0.99
_NORM = {"1": "ℓ₁", "2": "ℓ₂", "inf": "ℓ∞"}
_POINTS = 121


@dataclass(frozen=True)
class Setting:
    """Where a density is drawn: the dimension, and the scale that makes sigma 1 (1 itself where the variance is not finite)."""

    dim: int
    scale: float
    finite_variance: bool

    @property
    def unit(self) -> str:
        return "σ = 1" if self.finite_variance else "λ = 1 (σ is infinite)"


def setting(module: ModuleType, adversary: str, dimensions: tuple[int, ...] = DIMENSIONS) -> Setting | None:
    """The first dimension with a radius at the default parameters, preferring a finite variance; None without one."""
    fallback = None
    for dim in dimensions:
        try:
            _values(module, adversary, np.array([COMPARED]), dim)
        except (ValueError, ArithmeticError):
            continue
        scale = _scale_of_unit_sigma(module, dim)
        if scale is not None:
            return Setting(dim, scale, True)
        fallback = fallback or Setting(dim, 1.0, False)
    return fallback


def _scale_of_unit_sigma(module: ModuleType, dim: int) -> float | None:
    try:
        scale = float(module.scale_of_sigma(1.0, dim=dim))
    except (ValueError, ArithmeticError):
        return None
    return scale if math.isfinite(scale) and scale > 0.0 else None


def radius_picture(spec: Spec, module: ModuleType, adversary: str, gaussian: ModuleType | None = None) -> str:
    """A density and its certified radius against one norm, at sigma = 1 and the default parameters, as SVG.

    Args:
        spec: the density.
        module: its generated module.
        adversary: "1", "2" or "inf", one of the module's ADVERSARIES.
        gaussian: the Gaussian's module, drawn in grey where it has a radius against that norm and sigma is finite.

    Raises:
        ValueError: when the density has a radius in none of DIMENSIONS at its default parameters.
    """
    where = setting(module, adversary)
    if where is None:
        raise ValueError(
            f"{spec.name} has no {_NORM[adversary]} radius at its default parameters in any of the dimensions "
            f"{', '.join(map(str, DIMENSIONS))}; declare other defaults"
        )
    compare = (
        gaussian if where.finite_variance and gaussian is not None and gaussian.NAME != spec.name else None
    )
    title = f"{label(module)} against {_NORM[adversary]}, {where.unit}, d = {where.dim}"
    radii = [_radius_line(module, adversary, where, label(module), COLOURS[0])]
    if compare is not None and adversary in compare.ADVERSARIES:
        same = Setting(where.dim, float(compare.scale_of_sigma(1.0, dim=where.dim)), True)
        radii.insert(0, _radius_line(compare, adversary, same, "gaussian", GREY, "6 3"))
    try:
        panels = [_density_panel(spec, where, compare is not None)]
        notes = []
    except ValueError as error:
        panels, notes = [], [f"The density is not drawn: {error}."]
    return svg(title, [*panels, _radius_panel(radii)], notes)


def overview_curves(module: ModuleType, dim: int = DIMENSIONS[0]) -> dict[str, Curve]:
    """A density's radii against each norm at sigma = 1 and the default parameters, for `overview_picture`."""
    curves = {}
    for adversary in module.ADVERSARIES:
        where = setting(module, adversary, (dim,))
        if where is None:
            curves[adversary] = Curve(missing=f"no radius at d = {dim}")
        elif not where.finite_variance:
            curves[adversary] = Curve(missing="infinite variance")
        else:
            radii = _radii(module, adversary, where, np.append(functions.ndtr(_quantiles()), COMPARED))
            *curve, compared = (float(f"{value:.6g}") for value in radii.tolist())
            curves[adversary] = Curve(tuple(curve), compared)
    return curves


def overview_picture(adversary: str, summaries: Sequence[Summary]) -> str:
    """The radii of all densities against one norm at sigma = 1, as SVG; those that cannot be compared are named below it.

    Args:
        adversary: "1", "2" or "inf".
        summaries: what `overview_curves` gave for each density; those without a radius against the norm are passed over.
    """
    present = [s for s in sorted(summaries, key=lambda s: s.name) if adversary in s.cells]
    found = [(s, s.cells[adversary].curve) for s in present if not s.cells[adversary].curve.missing]
    missing = [
        f"{s.label} ({s.cells[adversary].curve.missing})" for s in present if s.cells[adversary].curve.missing
    ]
    lines = []
    for index, (one, curve) in enumerate(found):
        colour = GREY if one.name == "gaussian" else COLOURS[index % len(COLOURS)]
        dash = "" if one.name == "gaussian" else DASHES[index % len(DASHES)]
        radii = np.array(curve.radii)
        lines.append(
            (curve.compared, Line(one.label, _quantiles(), radii, colour, dash, f"{curve.compared:.4g}"))
        )
    ordered = [line for _, line in sorted(lines, key=lambda item: (-item[0], item[1].label))]
    title = f"Certified {_NORM[adversary]} radius at σ = 1, d = {DIMENSIONS[0]}"
    notes = _wrapped("Not drawn: " + "; ".join(missing) + "." if missing else "")
    longest = max((len(line.label) for line in ordered), default=0)
    panel = _comparison_panel(ordered)
    beside = 100 + 7 * longest
    panel = replace(panel, title="", width=430, height=300, beside=beside, heading=f"R({COMPARED:g})")
    return svg(title, [panel], notes)


def _comparison_panel(lines: Sequence[Line]) -> Panel:
    """A linear axis, or a logarithmic one where it would press half of the radii against the bottom."""
    plain = _radius_panel(lines)
    last = [float(line.y[-1]) for line in lines if 0.0 < line.y[-1] < math.inf]
    if not last or max(last) < 20.0 * median(last):
        return plain
    start = [float(line.y[_POINTS // 6]) for line in lines if line.y[_POINTS // 6] > 0.0]
    with np.errstate(divide="ignore"):  # the radius 0 at rho = 1/2 has no place on such an axis
        logs = tuple(replace(line, y=np.log10(line.y)) for line in lines)
    return replace(
        plain,
        y=decade_axis("R(ρ), logarithmic", max(min(start, default=0.0), 1e-6 * max(last)), max(last)),
        lines=logs,
    )


def _radius_panel(lines: Sequence[Line]) -> Panel:
    """Radius against confidence, spaced by normal quantiles: there the Gaussian's radius is a straight line."""
    top = max((float(line.y[np.isfinite(line.y)].max(initial=0.0)) for line in lines), default=0.0)
    ticks = tuple((float(functions.ndtri(rho)), f"{rho:g}") for rho in CONFIDENCES)
    x = Axis("ρ, spaced by normal quantiles", 0.0, ticks[-1][0], ticks)
    return Panel("certified radius", x, axis_from_zero("R(ρ)", top), tuple(lines))


def _quantiles() -> FloatArray:
    """Normal quantiles of the confidences at which radii are drawn."""
    return np.asarray(float(functions.ndtri(CONFIDENCES[-1])) * np.linspace(0.0, 1.0, _POINTS))


def _radius_line(
    module: ModuleType, adversary: str, where: Setting, label: str, colour: str, dash: str = ""
) -> Line:
    z = _quantiles()
    return Line(label, z, _radii(module, adversary, where, functions.ndtr(z)), colour, dash)


def _radii(module: ModuleType, adversary: str, where: Setting, rho: FloatArray) -> FloatArray:
    return _values(module, adversary, rho, where.dim, where.scale)


def _values(module: ModuleType, adversary: str, rho: FloatArray, dim: int, scale: float = 1.0) -> FloatArray:
    """Radii at the default parameters; where they need a table that is not there, the module's estimates."""
    try:
        found = module.radius(rho, adversary=adversary, dim=dim, scale=scale)
    except MissingTable:
        factor = dim**-0.5 if adversary == "inf" else 1.0
        found = factor * scale * module.estimate_l2(rho, dim=dim)
    return np.asarray(found, dtype=np.float64)


def label(module: ModuleType) -> str:
    """The name with the default parameters."""
    values = ", ".join(f"{name} = {value:g}" for name, value in module.PARAMETERS.items())
    return module.NAME + (f" ({values})" if values else "")


def _wrapped(text: str, longest: int = 105) -> list[str]:
    lines: list[str] = []
    for word in text.split(" ") if text else []:
        if lines and len(lines[-1]) + 1 + len(word) <= longest:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _density_panel(spec: Spec, where: Setting, compare: bool) -> Panel:
    """A coordinate's density for product noise, beside the standard normal one if `compare`; the norm's density for radial noise."""
    law = drawn_law(spec, where.dim)
    return (
        _coordinate_panel(spec, law, where, compare)
        if spec.geometry == "product"
        else _norm_panel(spec, law, where)
    )


def _coordinate_panel(spec: Spec, law: DrawnLaw, where: Setting, compare: bool) -> Panel:
    end = 4.0 if where.finite_variance else 8.0
    x = end * (np.arange(_POINTS) + 0.5) / _POINTS
    x, y = _with_edge(x, law, where.scale)
    lines = [Line(spec.name, np.concatenate([-x[::-1], x]), np.concatenate([y[::-1], y]) / 2.0, COLOURS[0])]
    if compare:
        x = end * np.linspace(-1.0, 1.0, _POINTS)
        lines.insert(0, Line("gaussian", x, np.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi), GREY, "6 3"))
    highest = max(float(line.y.max()) for line in lines)
    axis = Axis("xᵢ", -end, end, plain_ticks(-end, end, 8))
    return Panel("density of a coordinate", axis, axis_from_zero("density", highest), tuple(lines))


def _norm_panel(spec: Spec, law: DrawnLaw, where: Setting) -> Panel:
    """Norms of different dimensions compare when divided by that of (1, …, 1)."""
    unit = where.scale / {"l1": float(where.dim), "l2": math.sqrt(where.dim), "linf": 1.0}[spec.geometry]
    low, high = law.quantile(0.001) * unit, law.quantile(0.995 if where.finite_variance else 0.9) * unit
    margin = 0.2 * (high - low)
    start = 0.0 if low - margin < 0.3 * high else low - margin
    x = start + (high + margin - start) * (np.arange(_POINTS) + 0.5) / _POINTS
    x, y = _with_edge(x, law, unit)
    name = {"l1": "‖x‖₁ / d", "l2": "‖x‖₂ / √d", "linf": "‖x‖∞"}[spec.geometry]
    axis = Axis(name, start, high + margin, plain_ticks(start, high + margin, 5))
    return Panel(
        "density of the norm",
        axis,
        axis_from_zero("density", float(y.max())),
        (Line(spec.name, x, y, COLOURS[0]),),
    )


def _with_edge(x: FloatArray, law: DrawnLaw, unit: float) -> tuple[FloatArray, FloatArray]:
    """The points x and the law's density there, in units of length `unit`; a jump at the bound is drawn upright."""
    bound = math.inf if law.bound is None else law.bound * unit
    inside, beyond = x[x < bound], x[x > bound]
    y = law.density(inside / unit) / unit
    if law.bound is None or not beyond.size:
        return inside, y
    last = law.density(np.array([law.bound])) / unit
    return np.concatenate([inside, [bound, bound], beyond]), np.concatenate(
        [y, last, np.zeros(1 + beyond.size)]
    )
