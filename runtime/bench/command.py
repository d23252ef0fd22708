"""python -m runtime bench: what certification costs on this machine, beside forward passes alone and the published loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from runtime.job import resolved_device
from runtime.models import ARCHITECTURES

_DEFAULTS = ("cnn", "mlp", "wide_resnet40_2")
_QUICK: dict[str, Any] = {"n": 1000, "inputs": 4, "rounds": 1, "seconds": 0.02, "epochs": 1}
_FULL: dict[str, Any] = {"n": 10_000, "inputs": 40, "rounds": 7, "seconds": 0.5, "epochs": 20}


@click.command()
@click.option("--architecture", multiple=True, help="cnn, mlp, wide_resnet40_2, …; repeatable.")
@click.option("--checkpoint", help="Weights of this network instead.")
@click.option("--model", help="A network that is a program instead: MODULE:FACTORY, .pt, .pt2 or .onnx.")
@click.option("--normalise", help="As for certify, with --checkpoint or --model.")
@click.option("--dataset", default="digits", show_default=True, help="Its images, as for certify.")
@click.option("--family", default="gaussian", show_default=True, help="Noise family.")
@click.option("--sigma", default=0.25, show_default=True, help="Standard deviation.")
@click.option("--no-grid", is_flag=True, help="Add noise to floats.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--n", type=int, help="Votes of a fixed certificate; 10000.")
@click.option("--inputs", type=int, help="Certificates; 40.")
@click.option("--target-radius", type=float, help="Of sequential decisions; half of sigma by default.")
@click.option("--target-adversary", help="Its norm; by default the first that the noise is made for.")
@click.option("--rounds", type=int, help="Of the comparison; figures are medians of 7.")
@click.option("--seconds", type=float, help="Of each way in a round; 0.5.")
@click.option("--plain-batch", default=400, show_default=True, help="Batch of the published loop.")
@click.option("--quick", is_flag=True, help="One short round: to see that it works, not how fast.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for bench.json and bench.png.")
def bench(architecture: tuple[str, ...], as_json: bool, quick: bool, out: Path | None, **flags: Any) -> None:
    """Measure certification beside forward passes alone and the published loop, in one run."""
    from runtime.bench.machine import machine
    from runtime.bench.measure import Extent, measured
    from runtime.bench.output import write
    from runtime.bench.subject import subject_of
    from runtime.bench.text import text_of
    from runtime.noise import adversary_name

    device = resolved_device(_known_device(flags["device"]))
    size = dict(_QUICK if quick else _FULL)
    size.update((name, flags[name]) for name in size if flags.get(name) is not None)
    given = flags["checkpoint"] is not None or flags["model"] is not None
    if given and architecture[1:]:
        raise ValueError("--checkpoint and --model go with one --architecture at most")
    for name in architecture:
        if name not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {name!r}; known are {', '.join(ARCHITECTURES)}")
    if out is not None and out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; give a folder")
    asked, norm = flags["target_radius"], flags["target_adversary"]
    extent = Extent(
        size["rounds"],
        size["seconds"],
        flags["plain_batch"],
        0.5 * flags["sigma"] if asked is None else asked,
        None if norm is None else adversary_name(norm),
    )
    names = (None,) if given else architecture or _DEFAULTS[: 2 if quick else None]
    say = (lambda line: None) if as_json else (lambda line: click.echo(line, err=True))
    values = _job(flags, size, architecture[0] if given and architecture else None)
    machine_before = machine(device)
    networks = [measured(subject_of(name, values, device), device, extent, say) for name in names]
    found = {"machine": machine_before, "rounds": extent.rounds, "networks": networks}
    click.echo(json.dumps(found, indent=2) if as_json else text_of(found))
    if out is not None:
        write(out, found)
        if not as_json:
            click.echo(f"bench: {out / 'bench.json'}")


def _known_device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"--device must be auto, cpu or cuda, got {name!r}")
    return name


def _job(flags: dict[str, Any], size: dict[str, Any], architecture: str | None) -> dict[str, Any]:
    """The job whose network and inputs are measured."""
    training = {key: flags[key] for key in ("checkpoint", "model", "normalise") if flags[key] is not None}
    if architecture is not None:
        training["architecture"] = architecture
    certify: dict[str, Any] = {"n": size["n"], "inputs": size["inputs"]}
    if flags["no_grid"]:
        certify["grid"] = "none"
    return {
        "name": "bench",
        "dataset": flags["dataset"],
        "device": flags["device"],
        "sigmas": [flags["sigma"]],
        "noise": [{"family": flags["family"]}],
        "training": {**training, "epochs": size["epochs"]},
        "certify": certify,
    }
