"""Masses of a law at many pairs, on several processes: balls travel as exact integers."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Protocol

from flint import arb, ctx

from derive.enclosure.witness import Witness

Number = tuple[int, int]
"""mantissa, exponent of 2"""
Task = tuple[Witness, arb, arb]


class Masses(Protocol):
    """What is asked of a law here."""

    def masses(self, witness: Witness, error: arb, shifted_error: arb) -> tuple[arb, arb]:
        """M and m at one pair, see `cells.LevelLaw`."""
        ...


class Nodes:
    """A context within which `masses` are computed by this many processes, each a copy of this one."""

    def __init__(self, law: Masses, workers: int) -> None:
        self.law = law
        self.pool: ProcessPoolExecutor | None = None
        if workers > 1:
            fork = multiprocessing.get_context("fork")
            self.pool = ProcessPoolExecutor(workers, fork, _start, (law, ctx.prec))

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def masses(self, tasks: list[Task]) -> list[tuple[arb, arb]]:
        """M and m at each pair, with the errors allowed; ArithmeticError as from the law."""
        if self.pool is None:
            return [self.law.masses(*task) for task in tasks]
        packed = [
            tuple(_exact(x) for x in (at.level, at.distance, error.mid(), shifted.mid()))
            for at, error, shifted in tasks
        ]
        return [(_ball(*one), _ball(*other)) for one, other in self.pool.map(_work, packed)]


_law: list[Masses] = []


def _start(law: Masses, precision: int) -> None:
    _law.append(law)
    ctx.prec = precision


def _work(task: tuple[Number, ...]) -> tuple[tuple[Number, Number], ...]:
    level, distance, error, shifted = (_number(x) for x in task)
    found = _law[0].masses(Witness(level, distance), error, shifted)
    return tuple((_exact(ball.mid()), _exact(ball.rad())) for ball in found)


def _exact(number: arb) -> Number:
    mantissa, exponent = number.man_exp()
    return int(mantissa), int(exponent)


def _number(pair: Number) -> arb:
    """Exact, at whatever precision."""
    before, ctx.prec = ctx.prec, max(ctx.prec, abs(pair[0]).bit_length() + 2)
    try:
        return arb(pair[0]) * arb(2) ** pair[1]
    finally:
        ctx.prec = before


def _ball(middle: Number, radius: Number) -> Any:
    return arb(_number(middle), _number(radius))
