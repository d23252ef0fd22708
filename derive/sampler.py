"""A sampler from the law that gave the radius: a Gamma variate or a uniform, its power, and a direction."""

from __future__ import annotations

import sympy as sp

from derive.engine import Family
from derive.law import FlatRadialLaw, GammaRadialLaw, radial_law
from derive.printer import code

HALF = sp.Rational(1, 2)


def sampler_lines(family: Family) -> list[str]:
    """Body lines of `sample`: they return noise at `scale` with shape `sizes`."""
    products = [view for view in family.views if view.geometry == "product"]
    view = products[0] if products else family.views[0]
    law = radial_law(family.spec, family.profile, view.exponent)
    if isinstance(law, FlatRadialLaw):
        if view.geometry == "product":
            return [f"return scale * {_times(law.bound)}special.uniform_pm1(sizes, generator, dtype)"]
        draw = "torch.rand((sizes[0], 1), generator=generator, device=generator.device, dtype=torch.float64)"
        lines = [f"norm = scale * {_times(law.bound)}{draw} ** ({code(1 / law.exponent)})"]
        return [*lines, _along(view.geometry)]
    if view.geometry == "product":
        return _coordinates(law)
    lines = [
        f"t = special.standard_gamma((sizes[0], 1), {code(law.shape)}, generator)",
        f"norm = scale * {_root(law, 't')}",
    ]
    return [*lines, _along(view.geometry)]


def sampler_text(family: Family) -> str:
    """The same in words."""
    products = [view for view in family.views if view.geometry == "product"]
    view = products[0] if products else family.views[0]
    law = radial_law(family.spec, family.profile, view.exponent)
    if view.geometry == "product":
        return f"Each coordinate on its own: {law}; its sign is random"
    return f"The norm r: {law}; times a direction from the cone measure of the {view.geometry} sphere"


def _along(geometry: str) -> str:
    return f"return (norm.to(dtype) * special.{geometry}_direction(sizes[0], dim, generator, dtype)).reshape(sizes)"


def _coordinates(law: GammaRadialLaw) -> list[str]:
    if law.shape == HALF and law.power == 2:
        return [
            f"return scale * {_times(1 / sp.sqrt(2 * law.rate))}special.standard_normal(sizes, generator, dtype)"
        ]
    variate = "standard_exponential(sizes" if law.shape == 1 else f"standard_gamma(sizes, {code(law.shape)}"
    return [
        f"t = special.{variate}, generator, dtype)",
        f"return scale * {_root(law, 't')} * special.signs(sizes, generator, dtype)",
    ]


def _root(law: GammaRadialLaw, t: str) -> str:
    inner = t if law.rate == 1 else f"({t} / ({code(law.rate)}))"
    return inner if law.power == 1 else f"{inner} ** ({code(1 / law.power)})"


def _times(factor: sp.Expr) -> str:
    return "" if factor == 1 else f"{code(factor)} * "
