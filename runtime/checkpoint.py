"""Checkpoints of the networks in `runtime.models`: plain tensors and text, whole or absent, never code.

A file holds {"format", "architecture", "shape", "num_classes", "training", "state"}; it is read with
`weights_only=True`, so a foreign file cannot run anything.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runtime.atomic import write_atomically
from runtime.models import Shape, build_model

FORMAT = "smoothing-network-1"


@dataclass(frozen=True)
class Checkpoint:
    """A network with what is known about it; `sha256` is the digest of its file."""

    model: nn.Module
    architecture: str
    shape: Shape
    num_classes: int
    training: dict[str, Any]
    sha256: str


def save_checkpoint(
    path: Path,
    model: nn.Module,
    *,
    architecture: str,
    shape: Shape,
    num_classes: int,
    training: dict[str, Any] | None = None,
) -> None:
    """Writes a checkpoint; the file appears whole or not at all.

    Args:
        path: target; its folder is made when absent.
        model: a module of that architecture, e.g. from `build_model`.
        architecture, shape, num_classes: as for `build_model`.
        training: how it was trained; text, numbers, lists and dicts only.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    content = {
        "format": FORMAT,
        "architecture": architecture,
        "shape": list(shape),
        "num_classes": num_classes,
        "training": training or {},
        "state": state,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def read_weights(path: Path) -> tuple[Any, str]:
    """The content of a file of plain tensors, numbers, text, lists and dicts, on the CPU, and the file's SHA-256.

    Raises:
        ValueError: the file is missing, truncated, or would run code when unpickled; none of it is run.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(
            f"checkpoint {path} does not exist; train one with: python -m runtime train"
        ) from None
    except OSError as error:
        raise ValueError(f"checkpoint {path} cannot be read: {error.strerror}") from None
    try:
        with warnings.catch_warnings():  # torch's, about the pickle's protocol: what follows says more
            warnings.simplefilter("ignore")
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        named = re.search(r"GLOBAL ([\w.]+)|[Uu]nsupported (?:class|operand|global) ([\w.]+)", str(error))
        if named is not None:
            asked = named[1] or named[2]
            if asked.isdigit():
                raise ValueError(
                    f"checkpoint {path} is not a file of plain weights: it is no pickle, or one with an instruction "
                    f"({asked}) that these have not; nothing was run. Write it with torch.save"
                ) from None
            raise ValueError(
                f"checkpoint {path} is not a file of plain weights: it asks to run {asked}; "
                "nothing was run. Where you trust its origin, convert it once: c = torch.load(FILE, "
                'weights_only=False); torch.save({"state_dict": c["state_dict"]}, NEW)'
            ) from None
        raise ValueError(
            f"checkpoint {path} is truncated or is not a file of plain weights ({type(error).__name__}); "
            "train it again or copy it again"
        ) from None
    return content, hashlib.sha256(data).hexdigest()


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and rebuilds its network, on the CPU, in eval() mode.

    Raises:
        ValueError: the file is missing, truncated, or not a checkpoint of ours; the message says which.
    """
    content, digest = read_weights(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"checkpoint {path} was not written by this program; "
            "runtime.foreign.load_foreign reads state dicts of known architectures"
        )
    try:
        channels, height, width = (int(length) for length in content["shape"])
        shape = (channels, height, width)
        model = build_model(str(content["architecture"]), shape, int(content["num_classes"]))
        model.load_state_dict(content["state"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"checkpoint {path} does not fit its architecture: {reason}") from None
    model.eval()
    training = dict(content.get("training") or {})
    return Checkpoint(
        model, str(content["architecture"]), shape, int(content["num_classes"]), training, digest
    )
