"""Routes that exist where a table was compiled: a sharper radius beside the one that needs none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from generated.special.arguments import Array
from generated.special.confidence import finish, prepare
from generated.special.lookup import find_table, table_version
from generated.special.routes import Route
from generated.special.table import ProvedTable
from generated.special.traced import traceable


def tabled_routes(
    source: str,
    name: str,
    adversary: str,
    spec: str,
    shipped: Mapping[str, str],
    dim: int,
    parameters: Mapping[str, float],
    factor: float = 1.0,
) -> tuple[Route, ...]:
    """The route by the table of these parameters; none where no table is there. ValueError for a table that is broken.

    `adversary` is the norm of the table, `factor` that of the conversion to the norm asked for. `shipped` maps the names of
    shipped files to their SHA-256.
    """
    version = table_version(name, adversary, dim, parameters)
    if version is None:
        return ()
    listed = tuple(sorted(shipped.items()))
    values = tuple(sorted(parameters.items()))
    return (_route(source, name, adversary, spec, listed, dim, values, factor, version),)


@lru_cache(maxsize=64)
def _route(
    source: str,
    name: str,
    adversary: str,
    spec: str,
    shipped: tuple[tuple[str, str], ...],
    dim: int,
    parameters: tuple[tuple[str, float], ...],
    factor: float,
    version: tuple[str, int],
) -> Route:
    del version  # part of the key only: a table made anew is read anew
    table = find_table(name, adversary, spec, dict(shipped), dim, dict(parameters))
    return Route(source, tabled_radius(table), factor)


def tabled_radius(table: ProvedTable) -> Callable[..., Array]:
    """A radius function for a route, from a table at scale 1."""

    @traceable
    def radius(rho: Array | None = None, *, scale: float = 1.0, log_fail: Array | None = None) -> Array:
        at = prepare(rho, log_fail)
        return finish(at, table.at(at.gap, at.fail), scale)

    return radius
