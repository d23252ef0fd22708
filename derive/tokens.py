"""The words of the expression grammar: a text cut into numbers, names and operators, and errors that show the place."""

from __future__ import annotations

import re
import unicodedata

HINTS = {
    "ln": "write log", "log10": "write log(...)/log(10)", "log2": "write log(...)/log(2)", "e": "write exp(...)", "E": "write exp(...)",
    "x": "the radius is called r", "R": "the radius is called r", "pow": "write a power as base**exponent", "arctan": "write atan",
    "arcsinh": "write asinh", "arccosh": "write acosh", "Abs": "write abs", "fabs": "write abs", "Gamma": "write gamma",
    "tan": "write sin(...)/cos(...)", "sign": "write a piecewise density with min, max and abs", "where": "write a piecewise density with min, max and abs",
    "if": "write a piecewise density with min, max and abs", "inf": "numbers are finite", "nan": "numbers are finite", "oo": "numbers are finite",
}  # fmt: skip
_SIGNS = {
    "^": "write a power as base**exponent", "!": "write n! as gamma(n + 1)", "|": "write abs(...)", "[": "brackets are ( and )", "{": "brackets are ( and )",
    "]": "brackets are ( and )", "}": "brackets are ( and )", "<": "domains go into --param, the support into --support",
    ">": "domains go into --param, the support into --support", "=": "domains go into --param, the support into --support",
    "\u2212": "write the ASCII -", "\u00b2": "write **2", "\u00b3": "write **3", "\u00d7": "write *", "\u22c5": "write *", "\u00b7": "write *", "\u221a": "write sqrt(...)",
    "\u03c0": "write pi", "\n": "write it on one line", "\r": "write it on one line", "\t": "use spaces", ".": "a number may have one decimal point, and names have no attributes",
}  # fmt: skip
_TOKEN = re.compile(
    r" *(?:((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|([A-Za-z_][A-Za-z_0-9]*)|(\*\*|[-+*/(),]))"
)


class ExpressionError(ValueError):
    """A text outside the grammar; the message is one line."""


def shown(token: str) -> str:
    """A word in quotes, in ASCII, cut where it is long."""
    return ascii(token if len(token) <= 40 else token[:37] + "...")


def error_at(message: str, text: str, where: int) -> ExpressionError:
    """The message with the place: some of the text around it, in ASCII."""
    width = 60 if text.isascii() else 20
    start = max(0, min(where - width // 2, len(text) - width))
    cut = (
        ("..." if start else "") + text[start : start + width] + ("..." if start + width < len(text) else "")
    )
    return ExpressionError(f"{message}: at character {where + 1} of {ascii(cut)}")


def tokens_of(text: str) -> list[tuple[str, str, int]]:
    """Kind ("number", "name" or "operator"), word and place of every word; ExpressionError for anything else, tabs included."""
    tokens: list[tuple[str, str, int]] = []
    at, end = 0, len(text.rstrip(" "))
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            where = at + len(text[at:]) - len(text[at:].lstrip(" "))
            raise error_at(_unexpected(text[where]), text, where)
        kind = "number" if match.group(1) else "name" if match.group(2) else "operator"
        group = match.lastindex or 0
        tokens.append((kind, match.group(group), match.start(group)))
        at = match.end()
    return tokens


def _unexpected(sign: str) -> str:
    plain = unicodedata.normalize("NFKC", sign)
    name = "" if sign.isascii() else f" (U+{ord(sign):04X} {unicodedata.name(sign, 'without a name')})"
    hint = _SIGNS.get(sign) or (f"write the ASCII {plain}" if plain.isascii() and plain.isalnum() else "")
    hint = hint or (
        "use ASCII letters, digits and signs"
        if name
        else "expressions have numbers, names, + - * / ** ( ) and commas"
    )
    return f"unexpected {ascii(sign)}{name}; {hint}"
