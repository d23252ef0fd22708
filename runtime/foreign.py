"""Checkpoints of other tools: state dicts of the architectures in `runtime.models`, with or without normalisation.

Layouts, as their tools write them:

* Cohen et al.: {"epoch", "arch", "state_dict"}; "1.*" or "1.module.*", the normalisation is layer 0 and has no weights
  (some forks give it "0.means" and "0.sds");
* Yang et al.: a bare state dict; "model.module.*", and "norm.module.mu", "norm.module.log_sig";
* MACER: {"net", "epoch"}; names without a prefix, no normalisation.

Prefixes are taken off until names and shapes are exactly those of one architecture. Files are read with
`weights_only=True`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runtime.checkpoint import FORMAT, Checkpoint, load_checkpoint, read_weights
from runtime.models import ARCHITECTURES, Normalise, Shape, build_model, parse_normalisation, recognised
from runtime.models.normalise import HELP

State = dict[str, torch.Tensor]
_HOLDERS = ("state_dict", "net", "model", "model_state_dict")
_NAMES = {"resnet50": "imagenet_resnet50"}
_PAIRS = (("0.", "1."), ("norm.", "model."), ("normalize.", "model."))
_AGREE = 1e-5


def load_foreign(
    path: Path, shape: Shape, architecture: str | None = None, normalise: str | None = None
) -> Checkpoint:
    """Reads a checkpoint of this program or of another one, on the CPU, in eval() mode.

    Args:
        path: the file.
        shape: [C, H, W] of one input.
        architecture: what the file must hold; None takes what its names and shapes show.
        normalise: as for `parse_normalisation`; required unless the file has the values, which it must then equal.

    Returns:
        The network for inputs in [0, 1]: normalisation is its first layer.

    Raises:
        ValueError: missing, truncated or hostile file; weights of no known architecture, or of another one than asked for;
            normalisation unknown or contradicted.
    """
    content, digest = read_weights(path)
    if isinstance(content, dict) and content.get("format") == FORMAT:
        return _own(path, normalise)
    held = _state_of(content, path)
    state, layers = _stripped(held)
    found = recognised(state, shape)
    if found is None:
        raise ValueError(
            f"checkpoint {path} was not written by this program, and its weights ({len(held)} names, e.g. "
            f"{next(iter(held))}) are those of none of {', '.join(ARCHITECTURES)} for inputs {shape}; "
            "for another network use --model MODULE:FACTORY"
        )
    name, classes = found
    said = content.get("arch") if isinstance(content.get("arch"), str) else None
    for source, wanted in (
        ("asked for", architecture),
        ("named in the file", said and _NAMES.get(said, said)),
    ):
        if wanted is not None and wanted in ARCHITECTURES and wanted != name:
            raise ValueError(f"checkpoint {path} holds a {name}, but {wanted} is {source}")
    norm = _normalisation(path, layers, normalise, shape)
    model = build_model(name, shape, classes)
    counters = {
        key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")
    }
    model.load_state_dict({**counters, **state})
    whole = model if norm is None else nn.Sequential(norm, model)
    whole.eval()
    training = {"epoch": content["epoch"]} if isinstance(content.get("epoch"), int) else {}
    return Checkpoint(whole, name, shape, classes, training, digest)


def _own(path: Path, normalise: str | None) -> Checkpoint:
    if normalise not in (None, "none"):
        raise ValueError(
            f"checkpoint {path} was written by this program and takes inputs in [0, 1]; leave --normalise out"
        )
    return load_checkpoint(path)


def _state_of(content: Any, path: Path) -> State:
    """The state dict in a file's content."""
    held = content
    if isinstance(content, dict):
        held = next((content[key] for key in _HOLDERS if isinstance(content.get(key), Mapping)), content)
    if (
        not isinstance(held, Mapping)
        or not held
        or not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in held.items())
    ):
        got = (
            ", ".join(str(key) for key in list(content)[:5])
            if isinstance(content, dict)
            else type(content).__name__
        )
        raise ValueError(
            f"checkpoint {path} was not written by this program and holds no state dict, under none of "
            f"{', '.join(_HOLDERS)}; it has: {got}"
        )
    return dict(held)


def _inner(state: State, prefix: str) -> State:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _stripped(state: State) -> tuple[State, State]:
    """Weights without prefixes, and those of the layer in front of them."""
    front: State = {}
    while True:
        if all(key.startswith("module.") for key in state):
            state = _inner(state, "module.")
            continue
        for first, second in _PAIRS:
            if all(key.startswith((first, second)) for key in state) and _inner(state, second):
                front = {**front, **_inner(state, first)}
                state = _inner(state, second)
                break
        else:
            return state, {key.removeprefix("module."): value for key, value in front.items()}


def _own_normalisation(path: Path, layers: State) -> Normalise | None:
    """The normalisation that a file's first layer holds; None where it holds none."""
    for means, deviations in (("means", "sds"), ("mean", "std"), ("mu", "sigma"), ("mu", "log_sig")):
        if set(layers) == {means, deviations}:
            values = layers[deviations].double().flatten()
            values = values.exp() if deviations == "log_sig" else values
            return Normalise(layers[means].double().flatten().tolist(), values.tolist())
    if layers:
        raise ValueError(f"checkpoint {path} starts with a layer of unknown weights: {', '.join(layers)}")
    return None


def _normalisation(path: Path, layers: State, asked: str | None, shape: Shape) -> Normalise | None:
    """The first layer: the file's own, or the one asked for; both must agree where both are given."""
    own = _own_normalisation(path, layers)
    if own is None and asked is None:
        raise ValueError(
            f"checkpoint {path} does not say how its inputs are normalised, and radii are in units of [0, 1]; "
            f"pass {HELP}"
        )
    given = None if asked is None else parse_normalisation(asked)
    if own is not None and asked is not None and not _same(own, given):
        raise ValueError(
            f"checkpoint {path} holds its own normalisation (means {_listed(own, 'means')}, deviations "
            f"{_listed(own, 'deviations')}), which --normalise {asked} contradicts; leave the flag out"
        )
    chosen = own if own is not None else given
    check_channels(chosen, shape)
    return chosen


def check_channels(norm: Normalise | None, shape: Shape) -> None:
    """Refuses a normalisation of another number of channels than inputs [C, H, W] have."""
    if norm is not None and norm.channels not in (1, shape[0]):
        raise ValueError(f"normalisation of {norm.channels} channels does not fit inputs {shape}")


def _listed(norm: Normalise, name: str) -> list[float]:
    return [round(value, 5) for value in norm.get_buffer(name).tolist()]


def _same(one: Normalise, other: Normalise | None) -> bool:
    return other is not None and all(
        one.get_buffer(name).shape == other.get_buffer(name).shape
        and torch.allclose(one.get_buffer(name), other.get_buffer(name), rtol=0.0, atol=_AGREE)
        for name in ("means", "deviations")
    )
