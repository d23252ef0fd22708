"""The network that a job is given instead of training one: a checkpoint, or a program."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from runtime.checkpoint import Checkpoint
from runtime.foreign import check_channels, load_foreign
from runtime.models import Shape, parse_normalisation
from runtime.models.normalise import HELP
from runtime.programs import load_program

_PROBES = 2


def given_network(
    *,
    checkpoint: str | None,
    program: str | None,
    architecture: str,
    normalise: str | None,
    shape: Shape,
    num_classes: int,
    device: torch.device,
) -> Checkpoint | None:
    """The network asked for, checked on two grey inputs; None where a network is to be trained.

    Args:
        checkpoint: path of a file of weights, see `runtime.foreign`.
        program: as for `runtime.programs.load_program`.
        architecture: of the weights; "cnn", the default of a job, takes what the file shows.
        normalise: see `runtime.models.parse_normalisation`.
        shape: [C, H, W] of one input.
        num_classes: of the data set.
        device: where it will run.

    Raises:
        ValueError: both are given, neither takes a given flag, a file is missing or bad, or what it holds does not map
            inputs of this shape to logits of this many classes.
    """
    if checkpoint is not None and program is not None:
        raise ValueError("give --checkpoint (weights) or --model (a program), not both")
    if checkpoint is not None:
        asked = None if architecture == "cnn" else architecture
        return load_foreign(Path(checkpoint), shape, asked, normalise)
    if program is None:
        if normalise not in (None, "none"):
            raise ValueError(
                "--normalise belongs to --checkpoint or --model; networks trained here take [0, 1]"
            )
        return None
    if normalise is None:
        raise ValueError(
            f"--model {program} gets inputs in [0, 1], as sigma and radii are; pass --normalise none where it "
            f"expects that, otherwise {HELP}"
        )
    norm = parse_normalisation(normalise)
    check_channels(norm, shape)
    body, digest = load_program(program, device)
    model = body if norm is None else nn.Sequential(norm.to(device), body).eval()
    _probe(model, program, shape, num_classes, device)
    return Checkpoint(model, program, shape, num_classes, {}, digest)


def _probe(model: nn.Module, name: str, shape: Shape, num_classes: int, device: torch.device) -> None:
    """Runs two grey inputs and checks the logits' shape."""
    grey = torch.full((_PROBES, *shape), 0.5, device=device)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            grey = grey.to(parameter.dtype)
            break
    try:
        with torch.inference_mode():
            logits = model(grey)
    except Exception as error:
        lines = str(error).splitlines() or [""]
        raise ValueError(
            f"model {name} failed on a batch of {_PROBES} inputs {shape} ({type(error).__name__}: "
            f"{lines[0][:200]}); it must take [b, {', '.join(str(length) for length in shape)}] for any b"
        ) from None
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (_PROBES, num_classes):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(
            f"model {name} must return logits ({_PROBES}, {num_classes}) for {_PROBES} inputs of a data set of "
            f"{num_classes} classes, got {got}"
        )
