"""Routes that exist where a table was compiled: a sharper radius beside the one that needs none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from generated.special.arguments import Array
from generated.special.confidence import finish, prepare
from generated.special.lookup import SHIPPED, find_table, table_file, user_folder
from generated.special.routes import Route
from generated.special.table import ProvedTable
from generated.special.traced import traceable


def tabled_routes(
    source: str, name: str, adversary: str, spec: str, dim: int, parameters: Mapping[str, float]
) -> tuple[Route, ...]:
    """The route by the table of these parameters; none where no table is there. ValueError for a table that is broken."""
    file = table_file(name, adversary, dim, parameters)
    for folder in (SHIPPED, user_folder()):
        path = folder / file
        if path.is_file():
            given = tuple(sorted(parameters.items()))
            return (_route(source, name, adversary, spec, dim, given, path, path.stat().st_mtime_ns),)
    return ()


@lru_cache(maxsize=64)
def _route(
    source: str,
    name: str,
    adversary: str,
    spec: str,
    dim: int,
    parameters: tuple[tuple[str, float], ...],
    path: Path,
    changed: int,
) -> Route:
    del path, changed  # part of the key only: a table made anew is read anew
    return Route(source, tabled_radius(find_table(name, adversary, spec, {}, dim, dict(parameters))))


def tabled_radius(table: ProvedTable) -> Callable[..., Array]:
    """A radius function for a route, from a table at scale 1."""

    @traceable
    def radius(rho: Array | None = None, *, scale: float = 1.0, log_fail: Array | None = None) -> Array:
        at = prepare(rho, log_fail)
        return finish(at, table.at(at.gap, at.fail), scale)

    return radius
