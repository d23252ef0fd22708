"""A small, safe grammar for densities and parameter domains: text in, SymPy out, nothing evaluated on the way.

    expression = term {("+" | "-") term}        term = factor {("*" | "/") factor}
    factor = ("-" | "+") factor | atom ["**" factor]
    atom = number | name | name "(" expression {"," expression} ")" | "(" expression ")"

Names are `r`, `d`, `pi`, the declared parameters and the functions of `FUNCTIONS`; everything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

MAX_LENGTH = 2000
MAX_DEPTH = 50
MAX_DIGITS = 30
MAX_POWER_BITS = 20_000

FUNCTIONS: Mapping[str, tuple[int, object]] = {
    "exp": (1, sp.exp),
    "log": (1, sp.log),
    "sqrt": (1, sp.sqrt),
    "abs": (1, sp.Abs),
    "cosh": (1, sp.cosh),
    "sinh": (1, sp.sinh),
    "tanh": (1, sp.tanh),
    "sech": (1, lambda x: 1 / sp.cosh(x)),
    "cos": (1, sp.cos),
    "sin": (1, sp.sin),
    "atan": (1, sp.atan),
    "erf": (1, sp.erf),
    "erfc": (1, sp.erfc),
    "gamma": (1, sp.gamma),
    "min": (2, sp.Min),
    "max": (2, sp.Max),
}

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d{1,3})?|\.\d+)|([A-Za-z_][A-Za-z_0-9]*)|(\*\*|[-+*/(),]))", re.ASCII
)


class ExpressionError(ValueError):
    """A text outside the grammar; the message is one line."""


@dataclass
class _Parser:
    text: str
    names: Mapping[str, sp.Expr]
    tokens: list[tuple[str, str, int]]
    at: int = 0
    depth: int = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def fail(self, message: str) -> ExpressionError:
        where = self.tokens[self.at][2] + 1 if self.at < len(self.tokens) else len(self.text) + 1
        return ExpressionError(f"{message} at character {where} of {_shown(self.text)}")

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token:
            raise self.fail(
                f"expected {expected!r} but the text ends" if expected else "the text ends too early"
            )
        if expected is not None and token != expected:
            raise self.fail(f"expected {expected!r}, found {token!r}")
        self.at += 1
        return token

    def expression(self) -> sp.Expr:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH}")
        total = self.term()
        while self.peek() in ("+", "-"):
            total = total + self.term() if self.take() == "+" else total - self.term()
        self.depth -= 1
        return total

    def term(self) -> sp.Expr:
        product = self.factor()
        while self.peek() in ("*", "/"):
            operator, where = self.take(), self.at
            right = self.factor()
            if operator == "/" and right.is_zero:
                self.at = where
                raise self.fail("division by zero")
            product = product * right if operator == "*" else product / right
        return product

    def factor(self) -> sp.Expr:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH}")
        if self.peek() in ("-", "+"):
            sign = self.take()
            value = self.factor()
            value = -value if sign == "-" else value
        else:
            value = self.atom()
            if self.peek() == "**":
                self.take()
                value = self.power(value, self.factor())
        self.depth -= 1
        return value

    def power(self, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        if exponent.is_number and abs(exponent) > 10**7:
            raise self.fail("an exponent beyond 10**7")
        if base.is_Rational and exponent.is_Rational:
            bits = max(int(base.p).bit_length(), int(base.q).bit_length()) * abs(exponent)
            if bits > MAX_POWER_BITS:
                raise self.fail("a numeric power too large to write out")
        if base.is_zero and exponent.is_negative:
            raise self.fail("division by zero")
        return base**exponent

    def atom(self) -> sp.Expr:
        if self.at >= len(self.tokens):
            raise self.fail("the text ends where a number, a name or '(' should stand")
        kind, token, _ = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            return sp.Rational(token)
        if kind == "name":
            if token in FUNCTIONS:
                self.at += 1
                return self.call(token)
            if token not in self.names:
                known = ", ".join([*self.names, *FUNCTIONS])
                raise self.fail(f"unknown name {token!r} (known: {known})")
            self.at += 1
            return self.names[token]
        self.take("(")
        value = self.expression()
        self.take(")")
        return value

    def call(self, name: str) -> sp.Expr:
        count, function = FUNCTIONS[name]
        self.take("(")
        arguments = [self.expression()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.expression())
        if len(arguments) != count:
            raise self.fail(f"{name} takes {count} argument(s), not {len(arguments)}")
        self.take(")")
        return function(*arguments)  # type: ignore[operator]


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def parse_expression(text: str, names: Mapping[str, sp.Expr]) -> sp.Expr:
    """The SymPy expression that `text` denotes; ExpressionError (a ValueError) with the place otherwise."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression may have {MAX_LENGTH} characters, not {len(text)}")
    tokens: list[tuple[str, str, int]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(f"unexpected {text[start]!r} at character {start + 1} of {_shown(text)}")
        kind = "number" if match.group(1) else "name" if match.group(2) else "operator"
        token = match.group(match.lastindex or 0)
        if kind == "number" and len(token) > MAX_DIGITS:
            raise ExpressionError(f"a number may have {MAX_DIGITS} digits: {_shown(token)}")
        tokens.append((kind, token, match.start(match.lastindex or 0)))
        at = match.end()
    parser = _Parser(text, names, tokens)
    if not tokens:
        raise ExpressionError("the expression is empty")
    value = parser.expression()
    if parser.at < len(tokens):
        raise parser.fail(f"unexpected {parser.peek()!r}")
    if value.has(sp.nan, sp.zoo, sp.oo, sp.I):
        raise ExpressionError(f"not a finite real expression: {_shown(text)}")
    return value
