"""A density as data: name, density, geometry, support, parameters with domains, reference. One TOML file each."""

from __future__ import annotations

import hashlib
import keyword
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import sympy as sp

from derive import formula
from derive.expression import FUNCTIONS, ExpressionError, parse_expression

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GEOMETRIES = ("product", "l1", "l2", "linf")
SPECS = Path(__file__).parent / "specs"
MAX_PARAMETERS = 8
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
_TAKEN = frozenset("r d registry special tables coverage readme images records".split())
_RESERVED = frozenset(
    "r d pi rho s gap fail dim scale sigma adversary shape generator dtype sizes norm t z xp above value law score name x "
    "parameters routes found l1 l2 linf math np torch special check method radius growth sample".split()
)


class SpecError(ValueError):
    """A density that cannot be used as given; the message is one line: what was required, what came, what to do."""


@dataclass(frozen=True)
class Parameter:
    """A real parameter with domain (lower, upper), each end open or closed, and the value used when none is given."""

    name: str
    lower: sp.Rational | None = None
    lower_closed: bool = False
    upper: sp.Rational | None = None
    upper_closed: bool = False
    default: sp.Rational = sp.Integer(1)

    def __post_init__(self) -> None:
        if not self.contains(self.default):
            raise SpecError(
                f"parameter {self.name}: its default {self.default} lies outside its domain {self.domain!r}"
            )

    def contains(self, value: sp.Rational) -> bool:
        low = self.lower is None or value > self.lower or (self.lower_closed and value == self.lower)
        high = self.upper is None or value < self.upper or (self.upper_closed and value == self.upper)
        return bool(low and high)

    @property
    def symbol(self) -> sp.Symbol:
        if self.lower is not None and (self.lower > 0 or (self.lower == 0 and not self.lower_closed)):
            return sp.Symbol(self.name, positive=True)
        if self.lower is not None and self.lower >= 0:
            return sp.Symbol(self.name, nonnegative=True)
        return sp.Symbol(self.name, real=True)

    @property
    def conditions(self) -> list[str]:
        ends = []
        if self.lower is not None:
            ends.append(f"{self.name}>{'=' if self.lower_closed else ''}{decimal(self.lower)}")
        if self.upper is not None:
            ends.append(f"{self.name}<{'=' if self.upper_closed else ''}{decimal(self.upper)}")
        return ends

    @property
    def domain(self) -> str:
        return ", ".join(self.conditions)


def decimal(value: sp.Rational) -> str:
    """A rational as the shortest decimal or fraction that reads back exactly."""
    if value.q == 1:
        return str(value.p)
    text = repr(float(value))
    return text if sp.Rational(text) == value else str(value)


@dataclass(frozen=True)
class Spec:
    """A noise family: q(x) ∝ density(r), r = |x_i| (product) or the norm of x, at scale 1."""

    name: str
    density: str
    geometry: str
    support: str = ""
    parameters: tuple[Parameter, ...] = ()
    reference: str = ""
    fixed: Mapping[str, sp.Rational] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SpecError(
                f"a name must be a lower-case identifier of at most 41 characters, not {self.name[:60]!r}"
            )
        if keyword.iskeyword(self.name) or self.name in _TAKEN:
            raise SpecError(f"{self.name!r} is a word of Python or of this package; choose another name")
        if self.geometry not in GEOMETRIES:
            raise SpecError(f"the geometry must be one of {', '.join(GEOMETRIES)}, not {self.geometry!r}")
        plain = self.reference.isprintable() and "\\" not in self.reference and '"""' not in self.reference
        if not plain or len(self.reference) > 300:
            raise SpecError(
                "the reference must be one printable line of at most 300 characters without a backslash"
            )
        free = sp.sympify(self.expression).free_symbols | (
            self.bound.free_symbols if self.bound is not None else set()
        )
        unused = [q.name for q in self.parameters if q.symbol not in free]
        if unused:
            raise SpecError(f"parameter {unused[0]!r} does not occur in the density {self.density!r}")

    @cached_property
    def names(self) -> dict[str, sp.Expr]:
        declared: dict[str, sp.Expr] = {q.name: q.symbol for q in self.parameters}
        return {"r": formula.r, "d": formula.dim, "pi": sp.pi, **declared, **self.fixed}

    @cached_property
    def expression(self) -> sp.Expr:
        try:
            return parse_expression(self.density, self.names)
        except ExpressionError as error:
            raise SpecError(f"density: {error}") from None

    @cached_property
    def bound(self) -> sp.Expr | None:
        """b where the support is r ≤ b; None for the whole space."""
        if not self.support:
            return None
        left, found, right = self.support.partition("<=")
        if not found or left.strip() != "r":
            raise SpecError(f'the support must read "r<=NUMBER", not {self.support!r}')
        try:
            value = parse_expression(right, {n: v for n, v in self.names.items() if n not in ("r", "d")})
        except ExpressionError as error:
            raise SpecError(f"support: {error}") from None
        if not value.is_positive:
            raise SpecError(f"the support must reach beyond 0, not {self.support!r}")
        return value

    def member(self, values: Mapping[str, sp.Rational]) -> Spec:
        """The density with every parameter fixed at a value."""
        return replace(self, parameters=(), fixed={**self.fixed, **values})

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return tuple(q.symbol for q in self.parameters)

    @property
    def command(self) -> str:
        """The command that makes this density and its generated files, byte for byte."""
        words = ["python -m derive add-distribution", self.name, "--density", shlex.quote(self.density)]
        words += ["--geometry", self.geometry]
        if self.support:
            words += ["--support", shlex.quote(self.support)]
        for q in self.parameters:
            words += [f"--param {shlex.quote(c)}" for c in q.conditions or [f"{q.name}"]]
            if q.default != default_value(q.lower, q.lower_closed, q.upper, q.upper_closed):
                words.append(f"--param {shlex.quote(f'{q.name}={decimal(q.default)}')}")
        words += [f"--param {shlex.quote(f'{n}={decimal(v)}')}" for n, v in self.fixed.items()]
        if self.reference:
            words += ["--reference", shlex.quote(self.reference)]
        return " ".join(words)

    def to_toml(self) -> str:
        """The spec file's text; `read_spec` gives back an equal spec."""
        lines = [f"name = {_quoted(self.name)}", f"density = {_quoted(self.density)}"]
        lines += [f"geometry = {_quoted(self.geometry)}"]
        lines += [f"support = {_quoted(self.support)}"] if self.support else []
        lines += [f"reference = {_quoted(self.reference)}"] if self.reference else []
        for q in self.parameters:
            lines += [
                "",
                f"[parameters.{q.name}]",
                f"domain = {_quoted(q.domain)}",
                f"default = {_quoted(decimal(q.default))}",
            ]
        for name, value in self.fixed.items():
            lines += ["", f"[parameters.{name}]", f"value = {_quoted(decimal(value))}"]
        return "\n".join(lines) + "\n"

    @property
    def hash(self) -> str:
        """SHA-256 of the spec file, first 16 digits."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()[:16]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def default_value(
    lower: sp.Rational | None, lower_closed: bool, upper: sp.Rational | None, upper_closed: bool
) -> sp.Rational:
    """A plain value inside a domain: its closed lower end, else 1 above it, else the middle, else 1 below the upper end."""
    if lower is None:
        return sp.Integer(1) if upper is None or upper > 1 else upper - (0 if upper_closed else 1)
    if lower_closed:
        return lower
    return lower + 1 if upper is None or upper > lower + 1 else (lower + upper) / 2


_CONDITION = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:(<=|>=|<|>|=)\s*(\S.*?))?\s*", re.ASCII)


def parameters_from(texts: Sequence[str]) -> tuple[tuple[Parameter, ...], dict[str, sp.Rational]]:
    """Parameters and fixed values from `k>0`, `k<=4`, `k=2` texts.

    A bound declares a parameter; `k=2` beside a bound is its default, and alone fixes the name to a constant.
    """
    bounds: dict[str, dict[str, tuple[sp.Rational, bool]]] = {}
    values: dict[str, sp.Rational] = {}
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise SpecError(
                f"a parameter must read NAME>NUMBER, NAME>=NUMBER, NAME<…, NAME<=… or NAME=NUMBER, not {text[:60]!r}"
            )
        name, relation, number_text = match.groups()
        taken = name in _RESERVED or name in FUNCTIONS or keyword.iskeyword(name)
        if taken or not name.islower() or name.startswith("_") or len(name) > 20:
            raise SpecError(
                f"a parameter's name must be lower-case, of at most 20 characters and not one of the engine's own: {name[:60]!r}"
            )
        if relation is None:
            bounds.setdefault(name, {})
            continue
        try:
            value = sp.nsimplify(parse_expression(number_text, {}), rational=True)
        except ExpressionError as error:
            raise SpecError(f"parameter {name}: its bound must be a number: {error}") from None
        if not value.is_Rational:
            raise SpecError(f"parameter {name}: its bound must be a number, not {number_text!r}")
        if relation == "=":
            if name in values:
                raise SpecError(f"parameter {name} has two values: {decimal(values[name])} and {number_text}")
            values[name] = value
        else:
            side = "lower" if relation[0] == ">" else "upper"
            if side in bounds.setdefault(name, {}):
                raise SpecError(f"parameter {name} has two {side} bounds")
            bounds[name][side] = (value, relation.endswith("="))
    if len(bounds) + len(values) > MAX_PARAMETERS:
        raise SpecError(f"a density may have {MAX_PARAMETERS} parameters, not {len(bounds) + len(values)}")
    parameters = []
    for name, ends in bounds.items():
        lower, lower_closed = ends.get("lower", (None, False))
        upper, upper_closed = ends.get("upper", (None, False))
        if lower is not None and upper is not None and lower >= upper:
            raise SpecError(
                f"parameter {name}: no value is both above {decimal(lower)} and below {decimal(upper)}"
            )
        default = values.pop(name, default_value(lower, lower_closed, upper, upper_closed))
        parameters.append(Parameter(name, lower, lower_closed, upper, upper_closed, default))
    return tuple(parameters), values


def read_spec(path: Path) -> Spec:
    """The spec in a TOML file; SpecError when it cannot be read as one."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"{path.name}: not a readable spec: {error}") from None
    texts: list[str] = []
    for name, entry in data.get("parameters", {}).items():
        if "value" in entry:
            texts.append(f"{name}={entry['value']}")
        else:
            texts += [c for c in entry["domain"].split(", ") if c] or [name]
            texts.append(f"{name}={entry['default']}")
    parameters, fixed = parameters_from(texts)
    try:
        return Spec(
            data["name"],
            data["density"],
            data["geometry"],
            data.get("support", ""),
            parameters,
            data.get("reference", ""),
            fixed,
        )
    except KeyError as error:
        raise SpecError(f"{path.name}: the entry {error} is missing") from None


def known_specs(folder: Path = SPECS) -> dict[str, Spec]:
    """Every density by name, in alphabetical order."""
    specs = [read_spec(path) for path in sorted(folder.glob("*.toml"))]
    return {spec.name: spec for spec in specs}


def find_spec(name: str, folder: Path = SPECS) -> Spec:
    """The density of that name; SpecError naming the known ones otherwise."""
    known = known_specs(folder)
    if name not in known:
        raise SpecError(
            f"unknown density {name[:60]!r}; known: {', '.join(known) or 'none'}; add one with add-distribution"
        )
    return known[name]
