"""A density's logarithm and its slope in log r at one real number, a ball or a float: the text of `witness_check`, read once."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from flint import acb

from derive.witness_check import Density, Unreadable, _varies

Pair = tuple[Any, Any]
Reader = Callable[[Any], Pair]
"""u = log r to a value and its derivative in u."""


def reader(density: Density, floats: bool) -> Reader:
    """log q and its slope, of floats or of balls; Unreadable for what the checker does not know."""
    return _Compiler(density, floats).log(density.tree)


class _Compiler:
    """Functions of u for every part of the text: plain ones for the part, and `log` for its logarithm."""

    def __init__(self, density: Density, floats: bool) -> None:
        self.density, self.floats = density, floats

    def _fixed(self, node: ast.expr) -> Any:
        """The value of a part without r."""
        value = self.density._read(node, acb(0))[0].real
        return float(value) if self.floats else value

    def _exp(self, x: Any) -> Any:
        return math.exp(x) if self.floats else x.exp()

    def _log(self, x: Any) -> Any:
        return math.log(x) if self.floats else x.log()

    def plain(self, node: ast.expr) -> Reader:
        """f and f′."""
        if not _varies(node):
            fixed = self._fixed(node)
            return lambda u: (fixed, 0)
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=a):
                inner = self.plain(a)

                def minus(u: Any) -> Pair:
                    x, dx = inner(u)
                    return -x, -dx

                return minus
            case ast.BinOp(left=a, op=ast.Add(), right=b):
                one, two = self.plain(a), self.plain(b)

                def plus(u: Any) -> Pair:
                    (x, dx), (y, dy) = one(u), two(u)
                    return x + y, dx + dy

                return plus
            case ast.BinOp(left=a, op=ast.Sub(), right=b):
                return self.plain(
                    ast.BinOp(left=a, op=ast.Add(), right=ast.UnaryOp(op=ast.USub(), operand=b))
                )
        log = self.log(node)

        def power(u: Any) -> Pair:
            x, dx = log(u)
            value = self._exp(x)
            return value, value * dx

        return power

    def log(self, node: ast.expr) -> Reader:
        """log f and its derivative."""
        if not _varies(node):
            fixed = self._log(self._fixed(node))
            return lambda u: (fixed, 0)
        match node:
            case ast.Name(id="r"):
                return lambda u: (u, 1)
            case ast.BinOp(left=a, op=(ast.Mult() | ast.Div()) as op, right=b):
                one, two, sign = self.log(a), self.log(b), 1 if isinstance(op, ast.Mult) else -1

                def product(u: Any) -> Pair:
                    (x, dx), (y, dy) = one(u), two(u)
                    return x + sign * y, dx + sign * dy

                return product
            case ast.BinOp(left=a, op=ast.Pow(), right=b) if not _varies(b):
                return self._scaled(a, self._fixed(b))
            case ast.Call(func=ast.Name(id="sqrt"), args=[a]):
                return self._scaled(a, 0.5)
            case ast.Call(func=ast.Name(id="exp"), args=[a]):
                return self.plain(a)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                inner = self.plain(node)

                def logarithm(u: Any) -> Pair:
                    x, dx = inner(u)
                    return self._log(x), dx / x

                return logarithm
        raise Unreadable(f"the checker does not read {ast.unparse(node)!r}")

    def _scaled(self, node: ast.expr, factor: Any) -> Reader:
        inner = self.log(node)

        def scaled(u: Any) -> Pair:
            x, dx = inner(u)
            return factor * x, factor * dx

        return scaled
