"""The figures of a run of `bench` as files: JSON, and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime.atomic import write_atomically
from runtime.bench.text import WAYS
from runtime.report.figure import bar_picture


def write(folder: Path, found: dict[str, Any]) -> None:
    """Writes bench.json, bench.png and bench.svg, each whole or not at all.

    Raises:
        OSError: the folder cannot be made or written.
    """
    groups = {
        one["name"]: {label: one[way]["seconds"] / one["forward"]["seconds"] for way, label in WAYS.items()}
        for one in found["networks"]
    }
    picture = bar_picture(groups, "seconds an input, relative to forward passes alone")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "bench.json", json.dumps(found, indent=2).encode() + b"\n")
    write_atomically(folder / "bench.png", picture.png)
    write_atomically(folder / "bench.svg", picture.svg)
