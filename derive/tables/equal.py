"""Densities that are the same noise under another name, at some parameters or at all: their shipped linf tables serve both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sympy as sp

from derive.dispatch import Equal
from derive.engine import Family
from derive.formula import r, written_out
from derive.profile import Profile, profile_of
from derive.spec import Spec
from derive.symbolic import attempt
from derive.tables.shipped import shipped_tables

SECONDS = 5.0
"""Time for one comparison; past it two densities count as different."""


def equal_densities(folder: Path, family: Family, known: Mapping[str, Spec]) -> dict[str, Equal]:
    """For the family ("") and its members (by suffix) another product density without parameters that is equal and has linf tables.

    Equal: psi of a coordinate differs by a constant, found symbolically, on the same support. Where a parameter is left open there is none.
    """
    others = []
    for spec in known.values():
        if spec.name != family.spec.name and spec.geometry == "product" and not spec.parameters:
            tables = {
                file: digest
                for file, digest in shipped_tables(folder, spec).items()
                if file.startswith(f"{spec.name}_linf_")
            }
            others += [(spec, tables)] if tables else []
    found: dict[str, Equal] = {}
    ones = {"": family} | {member.suffix: member.family for member in family.members}
    for suffix, one in ones.items():
        if one.composed is None or one.spec.parameters:
            continue
        for spec, tables in others:
            if same_noise(one.profile, profile_of(spec)):
                found[suffix] = Equal(spec.name, spec.hash, tables)
                break
    return found


def same_noise(one: Profile, other: Profile) -> bool:
    """Whether two densities of a coordinate are proved equal."""
    if (one.bound is None) != (other.bound is None) or (one.bound is not None and one.bound != other.bound):
        return False
    difference = written_out(sp.diff(one.psi - other.psi, r))
    return difference == 0 or attempt(_simplified, difference, seconds=SECONDS) == 0


def _simplified(difference: sp.Expr) -> sp.Expr:
    return sp.simplify(difference.rewrite(sp.exp))
