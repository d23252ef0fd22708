"""The figures of a run as a table for people, and as bars for the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]
WAYS = {"forward": "forward alone", "certification": "certification", "plain_loop": "published loop"}
"""What is compared, and what it is called."""


def _rows(cells: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def text_of(found: Figures) -> str:
    """All figures of a run of `bench`, one table a network."""
    machine = found["machine"]
    where = machine["accelerator"] or f"{machine['cores']} cores of {machine['processor']}"
    head = f"{where}, load {machine['load_average']}, torch {machine['torch']}, {machine['date']}"
    return "\n\n".join([head, *("\n".join(_network(one)) for one in found["networks"])])


def _network(one: Figures) -> list[str]:
    shape = "×".join(str(length) for length in one["shape"])
    weights = "fresh weights, " if one["fresh_weights"] else ""
    grid = "floats" if one["grid"] is None else f"grid {one['grid']}"
    lines = [
        f"{one['name']} {shape}, {one['parameters']:,} weights ({weights}{one['noise']['family']} noise, {grid})"
    ]
    cells = [["", "inputs/s", "µs each", "processor µs", "× forward", "batch", "workers×threads"]]
    for key, name in WAYS.items():
        way, forward = one[key], one["forward"]
        over = {"forward": 1.0, "certification": one["over_forward"]["wall"]}
        cells.append(
            [
                name,
                f"{way['per_second']:,.0f}",
                f"{way['seconds'] * 1e6:,.1f}",
                f"{way['processor_seconds'] * 1e6:,.1f}",
                f"{over.get(key, way['seconds'] / forward['seconds']):.2f}",
                str(way["batch"]),
                f"{way['workers']}×{way['threads']}",
            ]
        )
    lines += _rows(cells)
    above, below = one["over_forward"], one["over_certification"]
    lines.append(
        f"certification/forward {above['wall']:.3f} by the clock, {above['processor']:.3f} in processor time; "
        f"published loop/certification {below['wall']:.2f} and {below['processor']:.2f} (medians of ratios within a round)"
    )
    alone = one["noise_alone"]
    lines.append(
        "noise alone: "
        + "; ".join(
            f"{name} {alone[name]['ns_a_coordinate']:.2f} ns a coordinate, {alone[name]['gigabytes_a_second']:.2f} GB/s"
            for name in ("integers", "floats", "copy")
            if name in alone
        )
    )
    if "certificates" in one:
        lines += _certificates(one["certificates"])
    memory = one["memory"]
    device = f", {memory['device_mib']:,.0f} MiB on the device" if "device_mib" in memory else ""
    lines.append(f"peak memory so far: {memory['process_mib']:,.0f} MiB{device}")
    return lines


def _certificates(found: Figures) -> list[str]:
    cells = [["a certificate", "ms", "processor ms", "votes", "certified accuracy"]]
    names = {"fixed": f"fixed n = {found['n']}", "sequential": "sequential", "plain_loop": "published loop"}
    for key, name in names.items():
        way = found[key]
        cells.append(
            [
                name,
                f"{way['seconds_each'] * 1e3:,.2f}",
                f"{way['processor_seconds'] / way['inputs'] * 1e3:,.2f}",
                f"{way['votes_each']:,.0f}",
                f"{way['accuracy']:.4f}",
            ]
        )
    return [
        *_rows(cells),
        f"{found['fixed']['inputs']} inputs, l{found['adversary']} radius {found['target']:g}, α = {found['alpha']:g}; published loop/fixed "
        f"{found['plain_over_fixed']:.1f}, published loop/sequential {found['plain_over_sequential']:.1f}",
    ]
