"""The parts of a generated module that rest on quadrature: the density as two functions of r, its law, curves and tables."""

from __future__ import annotations

import sympy as sp

from derive.derivation import Cosine, Derivation, LevelSet, NumericCone, Overlap, Tabulated
from derive.engine import Family
from derive.formula import dim, fail, gap, r, rho, written_out
from derive.law import QuadratureLaw
from derive.printer import code

_GROWING = (sp.exp, sp.cosh, sp.sinh)
Names = list[str]


def needs_density(family: Family) -> bool:
    """Whether the module has to carry its density: for a curve, a table, a moment or a sampler by quadrature."""
    kinds = NumericCone | Cosine | LevelSet
    curves = any(isinstance(d.evaluation, kinds) for d in family.native.values())
    return curves or isinstance(family.law, QuadratureLaw)


def arguments(family: Family) -> Names:
    """What the density depends on: the parameters, and the dimension where it occurs in the formula."""
    names = [q.name for q in family.spec.parameters]
    return ["dim", *names] if family.profile.psi.has(dim) else names


def typed(names: Names) -> str:
    """The names as annotated arguments."""
    return ", ".join(f"{n}: {'int' if n == 'dim' else 'float'}" for n in names)


def density_lines(family: Family) -> list[str]:
    """`_steepness`, `_bend` and `_law`: r·psi', r²·psi'' and the law of r by quadrature, one block each."""
    names = arguments(family)
    more = "".join(f", {n}" for n in names)
    signature = "xp: special.Functions, r: special.Array" + (f", {typed(names)}" if names else "")
    profile = family.profile
    kinks = ", ".join(_float(k) for k in profile.kinks)
    bound = "math.inf" if profile.bound is None else _float(profile.bound)
    parts = [f"lambda xp, r: _steepness(xp, r{more})", f"lambda xp, r: _bend(xp, r{more})"]
    parts += [f"({kinks},)" if kinks else "()", bound]
    return [
        f'def _steepness({signature}) -> special.Array:\n    """r·psi\'(r)."""\n    return {stable(profile.steepness, r * sp.diff(profile.psi, r))}',
        f'def _bend({signature}) -> special.Array:\n    """r²·psi\'\'(r)."""\n'
        f"    return {stable(r**2 * profile.slope, r**2 * sp.diff(profile.psi, r, 2))}",
        f"def _density({typed(names)}) -> special.RadialDensity:\n"
        f"    return special.RadialDensity(\n        {', '.join(parts[:2])},\n        {', '.join(parts[2:])},\n    )",
        f"@lru_cache(maxsize=64)\ndef _law(exponent: float{''.join(', ' + t for t in typed(names).split(', ') if t)}) -> special.RadialLaw:\n"
        f'    """r with density proportional to r**(exponent - 1)·exp(-psi(r))."""\n'
        f"    return special.RadialLaw(_density({', '.join(names)}), exponent)",
    ]


def stable(simple: sp.Expr, raw: sp.Expr) -> str:
    """Code for one of two equal expressions: the simple one, unless exponentials in it could overflow on both sides of a fraction."""
    simple = sp.factor(simple) if simple.is_rational_function(r) else sp.factor_terms(sp.powsimp(simple))
    top, bottom = sp.fraction(sp.together(written_out(simple)))
    if top.has(*_GROWING) and bottom.has(*_GROWING):
        return code(raw)
    return code(simple)


def _float(number: sp.Expr) -> str:
    """Code for a float."""
    text = code(number)
    return text if number.is_number else f"float({text})"


def law_call(family: Family, exponent: sp.Expr) -> str:
    """The call that gives the law for m = exponent."""
    return f"_law({_float(exponent)}{''.join(', ' + n for n in arguments(family))})"


def curve_lines(family: Family, adversary: str, derivation: Derivation, suffix: str = "") -> list[str]:
    """`_curve_l…`, its name with the suffix, for the evaluations by quadrature and by table."""
    names = ["dim", *(q.name for q in family.spec.parameters)]
    kinds = {NumericCone: "RadiusCurve", LevelSet: "ProvedTable", Overlap: "RadiusCurve"}
    kind = kinds.get(type(derivation.evaluation), "Tabulated")
    lines = ["@lru_cache(maxsize=64)", f"def _curve_l{adversary}{suffix}({typed(names)}) -> special.{kind}:"]
    density = f"_density({', '.join(arguments(family))})"
    given = ", ".join(f'"{n}": {n}' for n in names[1:])
    match derivation.evaluation:
        case NumericCone(weight, exponent):
            lines += [
                f'    """{{A = 1, |psi\'| ≥ c}} with P(A = 1) = {weight}, by quadrature."""',
                f"    return special.radial_curve({code(weight)}, {law_call(family, exponent)})",
            ]
        case Cosine():
            lines += [
                '    """psi\'(r)·A ≥ c, A the cosine of a uniform direction, by quadrature."""',
                f"    return special.cosine_curve({density}, dim)",
            ]
        case LevelSet():
            lines += [
                '    """Exact level sets of q(x - v)/q(x): the proved table of this dimension and these parameters."""',
                f'    return special.find_table(NAME, "{adversary}", SPEC_HASH, TABLES, dim, {{{given}}})',
                "",
                "",
                *_estimate(adversary, family, density),
            ]
        case Overlap():
            lines += [
                '    """What the ball shifted by e leaves of it: two caps."""',
                f"    return special.ball_curve(dim, {_float(derivation.evaluation.bound)})",
            ]
        case Tabulated(radius):
            lines += [
                '    """A formula in functions that no GPU has, interpolated from below."""',
                *_exact(radius),
            ]
    return lines


def _estimate(adversary: str, family: Family, density: str) -> Names:
    """`estimate_l…`: the radius where no table is compiled, for pictures and searches."""
    names = [q.name for q in family.spec.parameters]
    defaults = "".join(f", {q.name}: float = {float(q.default)!r}" for q in family.spec.parameters)
    return [
        f"def estimate_l{adversary}(rho: special.Array, *, dim: int{defaults}) -> special.Array:",
        '    """The same radius at scale 1 by quadrature in floats, for any dimension and parameters: tested, not proved; no certificate."""',
        f"    check(dim=dim{''.join(f', {n}={n}' for n in names)})",
        "    at = special.prepare(rho)",
        f"    return special.finish(at, special.level_set_curve({density}, dim)(at), 1.0)",
    ]


def _exact(radius: sp.Expr) -> list[str]:
    used = radius.free_symbols
    lines = ["    def exact(fail: np.ndarray) -> np.ndarray:"]
    lines += ["        xp = special.NUMPY"] if "xp." in code(radius) else []
    lines += ["        gap = 0.5 - fail"] if gap in used else []
    lines += ["        rho = 1.0 - fail"] if rho in used else []
    lines.append(f"        return np.asarray({code(radius)})")
    assert used & {gap, fail, rho}
    return [*lines, "", "    return special.tabulate(exact)"]
