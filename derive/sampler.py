"""A sampler from the law that gave the radius: the radius by its law's transform or by a table of its quantiles, and a direction."""

from __future__ import annotations

import sympy as sp

from derive.engine import Family
from derive.geometry import View
from derive.law import BetaPrimeRadialLaw, BetaRadialLaw, FlatRadialLaw, GammaRadialLaw, RadialLaw, radial_law
from derive.numeric import arguments, law_call, typed
from derive.printer import code

HALF = sp.Rational(1, 2)


def sampler_lines(family: Family) -> tuple[list[str], list[str]]:
    """(lines before `sample`, body lines of `sample`); the body returns noise at `scale` with shape `sizes`."""
    view, law = _chosen(family)
    if view.geometry == "product":
        return _coordinates(family, view, law)
    if isinstance(law, FlatRadialLaw):
        draw = "torch.rand((sizes[0], 1), generator=generator, device=generator.device, dtype=torch.float64)"
        body = [f"norm = scale * {_times(law.bound)}{draw} ** ({code(1 / law.exponent)})"]
        return [], [*body, _along(view.geometry)]
    before, body, radius = _radius(family, view, law, "(sizes[0], 1)", "torch.float64")
    return before, [*body, f"norm = scale * {radius}", _along(view.geometry)]


def sampler_text(family: Family) -> str:
    """The same in words."""
    view, law = _chosen(family)
    quantile = isinstance(law, GammaRadialLaw | BetaPrimeRadialLaw | BetaRadialLaw | FlatRadialLaw)
    how = str(law) if quantile else "a table of its quantile function, within 1e-9 in distribution"
    if view.geometry == "product":
        return f"Each coordinate on its own: {how}; its sign is random"
    return f"The norm r: {how}; times a direction from the cone measure of the {view.geometry} sphere"


def _chosen(family: Family) -> tuple[View, RadialLaw]:
    """A product view where there is one, for it needs no direction."""
    products = [view for view in family.views if view.geometry == "product"]
    view = products[0] if products else family.views[0]
    return view, radial_law(family.spec, family.profile, view.exponent)


def _along(geometry: str) -> str:
    return f"return (norm.to(dtype) * special.{geometry}_direction(sizes[0], dim, generator, dtype)).reshape(sizes)"


def _coordinates(family: Family, view: View, law: RadialLaw) -> tuple[list[str], list[str]]:
    if isinstance(law, FlatRadialLaw):
        return [], [f"return scale * {_times(law.bound)}special.uniform_pm1(sizes, generator, dtype)"]
    if isinstance(law, GammaRadialLaw) and law.shape == HALF and law.power == 2:
        unit = _times(1 / sp.sqrt(2 * law.rate))
        return [], [f"return scale * {unit}special.standard_normal(sizes, generator, dtype)"]
    before, body, radius = _radius(family, view, law, "sizes", "dtype")
    return before, [*body, f"return scale * {radius} * special.signs(sizes, generator, dtype)"]


def _radius(
    family: Family, view: View, law: RadialLaw, shape: str, dtype: str
) -> tuple[list[str], list[str], str]:
    """(lines before `sample`, statements, the expression of r) for radii of the given shape."""
    match law:
        case GammaRadialLaw():
            variate = f"standard_gamma({shape}, {code(law.shape)}"
            if law.shape == 1:
                variate = f"standard_exponential({shape}"
            return [], [f"t = special.{variate}, generator, {dtype})"], _root(law, "t")
        case BetaPrimeRadialLaw():
            draw = f"beta_prime({shape}, {code(law.a)}, {code(law.b)}, generator, {dtype})"
            return [], [f"t = special.{draw}"], _root(law, "t")
        case BetaRadialLaw():
            draw = f"standard_beta({shape}, {code(law.a)}, {code(law.b)}, generator, {dtype})"
            return [], [f"t = special.{draw}"], _root(law, "t")
    names = arguments(family)
    needed = names if view.exponent.is_number or "dim" in names else ["dim", *names]
    before = [
        "@lru_cache(maxsize=16)",
        f"def _radii({typed(needed)}) -> special.InverseCdf:",
        f"    return special.inverse_cdf({law_call(family, view.exponent)})",
        "",
        "",
    ]
    return before, [f"t = _radii({', '.join(needed)}).draw({shape}, generator, {dtype})"], "t"


def _root(law: GammaRadialLaw | BetaPrimeRadialLaw | BetaRadialLaw, t: str) -> str:
    inner = t if law.rate == 1 else f"({t} / ({code(law.rate)}))"
    return inner if law.power == 1 else f"{inner} ** ({code(1 / law.power)})"


def _times(factor: sp.Expr) -> str:
    return "" if factor == 1 else f"{code(factor)} * "
