"""A small, safe grammar for densities and parameter domains: text in, SymPy out, and nothing else happens on the way.

    expression = term {("+" | "-") term}        term = factor {("*" | "/") factor}
    factor = ("-" | "+") factor | atom ["**" factor]
    atom = number | name | name "(" expression {"," expression} ")" | "(" expression ")"

Names are `r`, `d`, `pi`, the declared parameters and the functions of `FUNCTIONS`; everything else is refused. A piecewise density is
written with min, max and abs. Sizes are limited here and in derive.operand, and the time of a whole text by derive.timelimit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from flint import ctx

from derive.operand import (
    FUNCTIONS,
    MAX_DECADES,
    PRECISION,
    Operand,
    OperandError,
    applied,
    check_whole,
    named,
    negative,
    number,
    over,
    plus,
    power,
    times,
)
from derive.timelimit import limited
from derive.tokens import HINTS, ExpressionError, error_at, shown, tokens_of

__all__ = ["FUNCTIONS", "ExpressionError", "parse_expression"]

MAX_LENGTH = 2000
MAX_DEPTH = 50  # brackets, signs and powers inside one another
MAX_DIGITS = 30  # of a number as written
MAX_CHOICES = 12  # calls of min and max
MAX_SECONDS = 5.0  # for a whole text; a safeguard behind the limits on sizes


@dataclass
class _Parser:
    text: str
    names: Mapping[str, Operand]
    tokens: list[tuple[str, str, int]]
    at: int = 0
    depth: int = 0
    choices: int = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def fail(self, message: str, at: int | None = None) -> ExpressionError:
        at = self.at if at is None else at
        where = self.tokens[at][2] if at < len(self.tokens) else len(self.text)
        return error_at(message, self.text, where)

    def take(self, expected: str, purpose: str) -> None:
        if self.peek() != expected:
            found = f"found {shown(self.peek())}" if self.peek() else "the text ends"
            raise self.fail(f"expected {expected!r} {purpose}, but {found}")
        self.at += 1

    def whole(self) -> sp.Expr:
        value = self.expression().expression
        if self.at < len(self.tokens):
            raise self.left_over()
        try:
            check_whole(value)
        except OperandError as error:
            raise self.fail(str(error), 0) from None
        return value

    def left_over(self) -> ExpressionError:
        kind, token, _ = self.tokens[self.at]
        before = self.tokens[self.at - 1]
        if token == "(" and before[0] == "name":
            return self.fail(f"{before[1]!r} is not a function; write a product with *")
        if token == ")":
            return self.fail("a closing bracket without an opening one; remove it or add '('")
        if token in HINTS and token not in self.names and (before[0], token) != ("number", "e"):
            advice = HINTS[token]
        elif token in FUNCTIONS or token in self.names or token == "(":
            advice = "write a product with *"
        else:
            advice = "numbers read 0.5 or 1e-3" if "number" in (kind, before[0]) else "remove it"
        return self.fail(f"expected an operator or the end, found {shown(token)}; {advice}")

    def combine(self, at: int, x: Operand, y: Operand) -> Operand:
        """x (operator at `at`) y, with the place in the error."""
        operator = self.tokens[at][1]
        try:
            match operator:
                case "+":
                    return plus(x, y)
                case "-":
                    return plus(x, negative(y))
                case "*":
                    return times(x, y)
                case "/":
                    return over(x, y)
            return power(x, y)
        except OperandError as error:
            raise self.fail(str(error), at) from None

    def expression(self) -> Operand:
        total = self.term()
        while self.peek() in ("+", "-"):
            at = self.at
            self.at += 1
            total = self.combine(at, total, self.term())
        return total

    def term(self) -> Operand:
        product = self.factor()
        while self.peek() in ("*", "/"):
            at = self.at
            self.at += 1
            product = self.combine(at, product, self.factor())
        return product

    def factor(self) -> Operand:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested more than {MAX_DEPTH} deep; write it flatter")
        if self.peek() in ("-", "+"):
            sign = self.peek()
            self.at += 1
            value = self.factor()
            value = negative(value) if sign == "-" else value
        else:
            value = self.atom()
            if self.peek() == "**":
                at = self.at
                self.at += 1
                value = self.combine(at, value, self.factor())
        self.depth -= 1
        return value

    def atom(self) -> Operand:
        if self.at >= len(self.tokens):
            raise self.fail("the text ends where a number, a name or '(' should stand; complete it")
        kind, token, _ = self.tokens[self.at]
        if kind == "number":
            return self.number(token)
        if kind == "name":
            if token in FUNCTIONS:
                return self.call(token)
            if token not in self.names:
                raise self.unknown(token)
            self.at += 1
            return self.names[token]
        if token == "(":
            self.at += 1
            value = self.expression()
            self.take(")", "to close a bracket")
            return value
        before = self.tokens[self.at - 1][1] if self.at else ""
        advice = "there is no //" if before == token == "/" else "write an operand before it"
        raise self.fail(f"expected a number, a name or '(', found {token!r}; {advice}")

    def unknown(self, token: str) -> ExpressionError:
        if not self.names:
            return self.fail(f"unknown name {shown(token)}; only numbers may stand here")
        known = ", ".join([*self.names, *FUNCTIONS])
        known = known if len(known) <= 200 else known[:197] + "..."
        hint = HINTS.get(token, "declare a parameter with --param")
        return self.fail(f"unknown name {shown(token)}; {hint} (known: {known})")

    def number(self, token: str) -> Operand:
        mantissa, _, decades = token.lower().partition("e")
        if len(mantissa) > MAX_DIGITS:
            raise self.fail(f"a number may have {MAX_DIGITS} digits, not {len(mantissa)}; round it")
        if len(decades) > 5 or abs(int(decades or "0")) > MAX_DECADES:
            ends = f"1e-{MAX_DECADES} and 1e{MAX_DECADES}"
            raise self.fail(f"a number must lie between {ends}, not {shown(token)}")
        self.at += 1
        return number(sp.Rational(token))

    def call(self, name: str) -> Operand:
        at = self.at
        self.at += 1
        self.take("(", f"after {name}")
        if self.peek() == ")":
            raise self.fail(f"{name} needs an argument; write {name}(...)")
        arguments = [self.expression()]
        while self.peek() == ",":
            self.at += 1
            arguments.append(self.expression())
        self.take(")", f"to close {name}(")
        self.choices += FUNCTIONS[name].most > 1
        if self.choices > MAX_CHOICES:
            raise self.fail(f"min and max may occur {MAX_CHOICES} times; write it shorter", at)
        try:
            return applied(name, tuple(arguments))
        except OperandError as error:
            raise self.fail(str(error), at) from None


def _read(text: str, names: Mapping[str, sp.Expr]) -> sp.Expr:
    tokens = tokens_of(text)
    if not tokens:
        raise ExpressionError('the expression is empty; write one, such as "exp(-r**2)"')
    with ctx.workprec(PRECISION):
        operands = {name: named(value, place) for place, (name, value) in enumerate(names.items())}
        return _Parser(text, operands, tokens).whole()


def parse_expression(text: str, names: Mapping[str, sp.Expr]) -> sp.Expr:
    """The SymPy expression that `text` denotes, its constants exact; `names` stand for real symbols or exact numbers.

    ExpressionError (a ValueError), with the place and what to do, for anything outside the grammar, beyond its limits, or without a
    finite real value.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"an expression may have {MAX_LENGTH} characters, not {len(text)}; write it shorter"
        )
    value = limited(_read, text, names, seconds=MAX_SECONDS)
    if value is None:
        reason = f"the expression takes more than {MAX_SECONDS:g} s to read; write it shorter"
        raise ExpressionError(f"{reason}: {shown(text)}")
    return value
