"""Which code counted the votes: package version, and a digest of the sources that decide counts.

A run may be resumed by the same code only; otherwise its counts would not be those of an undisturbed run. Radii
and bounds are no part of this: they are computed from the counts whenever a run is read.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from generated import registry, special

PACKAGE = "smoothing-radii"
_DECIDING = ("rng", "philox", "inversion", "grid", "fixed", "precision", "sampling")
"""Modules of this package that draw noise or count votes."""
_SAMPLERS = ("sample", "scale_of_sigma")
"""Functions of a generated family that decide its noise."""


def package_version() -> str:
    """Version of the installed package; "unknown" when it is run from a bare copy of the sources."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "unknown"


def _functions(path: Path, names: Iterable[str]) -> bytes:
    """The source of these functions of a file."""
    text = path.read_text(encoding="utf-8")
    wanted = set(names)
    found = [
        ast.get_source_segment(text, node) or ""
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name in wanted
    ]
    return "\n".join(found).encode()


@lru_cache(maxsize=64)
def _sources_digest(families: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    files = [here / f"{name}.py" for name in _DECIDING]
    files.append(Path(str(special.__file__)).parent / "variates.py")
    for path in files:
        if path.is_file():
            digest.update(path.name.encode() + b"\x00" + path.read_bytes() + b"\x00")
    for family in families:
        module = registry.load(family)
        digest.update(family.encode() + b"\x00" + str(module.SPEC_HASH).encode() + b"\x00")
        digest.update(_functions(Path(str(module.__file__)), _SAMPLERS) + b"\x00")
    return digest.hexdigest()


def code_record(families: Iterable[str]) -> dict[str, str]:
    """What a run folder records of the code that counts its votes, as JSON-ready values.

    Args:
        families: the noise families of the run.

    Returns:
        "package" (version), "sources" (SHA-256 over the sources that draw noise and count votes, with the samplers
        and density hashes of the families), "torch" and "numpy" (versions).
    """
    return {
        "package": package_version(),
        "sources": _sources_digest(tuple(sorted(set(families)))),
        "torch": str(torch.__version__),
        "numpy": str(np.__version__),
    }


def code_differences(recorded: Mapping[str, object], current: Mapping[str, str]) -> list[str]:
    """Where two code records differ, as "key: recorded → current" texts."""
    return [
        f"{key} {str(recorded.get(key))[:16]} → {str(current.get(key))[:16]}"
        for key in ("package", "sources", "torch", "numpy")
        if recorded.get(key) != current.get(key)
    ]


__all__ = ["PACKAGE", "code_differences", "code_record", "package_version"]
