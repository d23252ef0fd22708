"""Networks that are programs: a Python factory, TorchScript, torch.export, ONNX.

Such a file runs when it is loaded or called: use only what you would run. Weights alone (`runtime.foreign`) are
safer.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

FORMS = (
    "MODULE:FACTORY (Python), FILE.pt or FILE.pth (TorchScript), FILE.pt2 (torch.export), FILE.onnx (ONNX)"
)
_SCRIPTS = (".pt", ".pth", ".ts", ".torchscript", ".jit")


class Called(nn.Module):
    """A callable from a batch to logits as a module; what it wraps is in evaluation mode, whatever train() is told.

    Args:
        function: maps [b, C, H, W] to logits [b, K].
        device: where it wants its inputs.
        dtype: the floating type that it wants.
    """

    def __init__(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self._function = (function,)  # in a tuple: modules that refuse train() must not be submodules
        self.place = nn.Parameter(torch.empty(0, dtype=dtype, device=device), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._function[0](x)


def is_factory(text: str) -> bool:
    """Whether `text` reads as MODULE:FACTORY rather than as the path of a file."""
    module, _, name = text.rpartition(":")
    return name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def load_program(text: str, device: torch.device) -> tuple[nn.Module, str]:
    """The network that `text` names, ready on `device` in evaluation mode, and the SHA-256 of what it is.

    Args:
        text: one of `FORMS`. A factory takes no arguments and returns a module or a callable; MODULE may also hold the
            module itself. Importing MODULE runs it, as `python -m` would.
        device: where it will run.

    Raises:
        ValueError: nothing of that name, a file that is damaged, or a package that is not installed.
    """
    if is_factory(text):
        return _from_python(text, device)
    path = Path(text)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"model {text} cannot be read ({error.strerror}); pass {FORMS}") from None
    suffix = path.suffix.lower()
    if suffix == ".pt2":
        return _exported(path, device), digest
    if suffix == ".onnx":
        return _onnx(path, device), digest
    if suffix in _SCRIPTS:
        return _scripted(path, device), digest
    raise ValueError(f"model {text} has an unknown form; pass {FORMS}")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _from_python(text: str, device: torch.device) -> tuple[nn.Module, str]:
    name, _, factory = text.rpartition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise ValueError(f"model {text}: module {name} cannot be imported ({_reason(error)})") from None
    if not hasattr(module, factory):
        raise ValueError(f"model {text}: module {name} has no {factory}")
    made = getattr(module, factory)
    if not isinstance(made, nn.Module):
        if not callable(made):
            raise ValueError(f"model {text} must be a function that returns a network, or a network")
        try:
            made = made()
        except Exception as error:
            raise ValueError(
                f"model {text} failed when called without arguments ({_reason(error)})"
            ) from None
    if not callable(made):
        raise ValueError(f"model {text} returned a {type(made).__name__}; a module or callable is required")
    model = made if isinstance(made, nn.Module) else Called(made, device)
    return model.to(device).eval(), _identity(text, module, model)


def _identity(text: str, module: Any, model: nn.Module) -> str:
    """SHA-256 of the name, the module's source and every weight."""
    digest = hashlib.sha256(f"factory\x1f{text}\x1f".encode())
    try:
        digest.update(inspect.getsource(module).encode())
    except (OSError, TypeError):
        digest.update(b"no source")
    for key, value in sorted(model.state_dict().items()):
        if isinstance(value, torch.Tensor):
            held = value.detach().cpu().contiguous()
            digest.update(f"\x1f{key}\x1f{held.dtype}\x1f{tuple(held.shape)}\x1f".encode())
            digest.update(held.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _scripted(path: Path, device: torch.device) -> nn.Module:
    try:
        model: nn.Module = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise ValueError(
            f"model {path} cannot be loaded as TorchScript ({_reason(error)}); "
            "a file of weights is given with --checkpoint"
        ) from None
    return model.eval()


@contextmanager
def _weights_only() -> Iterator[None]:
    """Makes every torch.load inside refuse pickles that would run code: torch.export falls back to them.

    Its loggers are silent meanwhile: they print a traceback of what is raised anyway.
    """
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    loggers = [logging.getLogger(text) for text in ("torch.export", "torch._export.serde.serialize")]
    silent = [logger.disabled for logger in loggers]
    os.environ[name] = "1"
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, silent, strict=True):
            logger.disabled = was
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _exported(path: Path, device: torch.device) -> nn.Module:
    from torch.export import load
    from torch.export.passes import move_to_device_pass

    try:
        with _weights_only():
            program = load(str(path))
        if device.type != "cpu":
            program = move_to_device_pass(program, device)
        kinds = [value.dtype for value in program.state_dict.values() if value.is_floating_point()]
        return Called(program.module(), device, kinds[0] if kinds else torch.float32)
    except Exception as error:
        code = "it holds a pickle that is not plain data; nothing of it was run"
        reason = code if type(error).__name__ == "UnpicklingError" else _reason(error)
        raise ValueError(f"model {path} cannot be loaded by torch.export ({reason})") from None


def _onnx(path: Path, device: torch.device) -> nn.Module:
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(
            f"model {path} needs ONNX Runtime; install it: pip install 'smoothing-radii[onnx]'"
        ) from None
    providers = ["CPUExecutionProvider"]
    if device.type == "cuda":
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise ValueError(f"model {path} on cuda needs onnxruntime-gpu; install it, or pass --device cpu")
        providers.insert(0, "CUDAExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one thread a worker, as for torch
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise ValueError(f"model {path} cannot be loaded as ONNX ({_reason(error)})") from None
    inputs = session.get_inputs()
    kinds = {
        "tensor(float)": torch.float32,
        "tensor(double)": torch.float64,
        "tensor(float16)": torch.float16,
    }
    if len(inputs) != 1 or inputs[0].type not in kinds:
        got = ", ".join(f"{value.name}: {value.type}" for value in inputs)
        raise ValueError(f"model {path} must have one input of floats, it has {got}")
    name, kind = inputs[0].name, kinds[inputs[0].type]

    def logits(x: torch.Tensor) -> torch.Tensor:
        array = x.detach().to("cpu", kind).contiguous().numpy()
        return torch.from_numpy(session.run(None, {name: array})[0]).to(x.device)

    return Called(logits, device, kind)
