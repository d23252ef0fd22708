"""A noise distribution at one scale and dimension: its radius functions and its sampler.

`Noise` binds a generated family to numbers, so that the rest of the runtime never sees family parameters.
Radii come from `generated` as they are: float64 and rounded down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from generated import registry, special

_FLOAT32 = np.finfo(np.float32)
_MOST_COORDINATES = 2**53


def adversary_name(adversary: str | float) -> str:
    """Name of an adversary norm: "1", "2" or "inf", from 1, 2, math.inf or those names.

    Raises:
        ValueError: for any other norm.
    """
    names = {"1": "1", "2": "2", "inf": "inf", "1.0": "1", "2.0": "2"}
    name = names.get(str(adversary))
    if name is None:
        raise ValueError(f"adversary must be 1, 2 or inf, got {adversary!r}")
    return name


def _as_float(name: str, value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number in the range of floats, got a larger one") from None


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    number = _as_float(name, value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return number


def _float32_below(value: float) -> float:
    """The largest float32 number up to `value`, as a float."""
    nearest = np.float32(value)
    return float(nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(0.0)))


def _probabilities(name: str, value: Any, like: Any) -> Any:
    """A probability as an array of the kind of `like`: an array as it is, a float of no dimension, or of one entry beside None."""
    if isinstance(value, torch.Tensor | np.ndarray):
        if like is not None and isinstance(value, torch.Tensor) != isinstance(like, torch.Tensor):
            raise ValueError(
                f"{name} must be of one kind with rho, got {type(value).__name__} beside {type(like).__name__}"
            )
        return value
    if not isinstance(value, float):
        raise ValueError(
            f"{name} must be a float, a float64 array or a float64 tensor, got {type(value).__name__}; "
            "convert it to float64 where it is computed"
        )
    if isinstance(like, torch.Tensor):
        return torch.tensor(value, dtype=torch.float64, device=like.device)
    return np.array([value] if like is None else value, dtype=np.float64)


def _fitting(shape: tuple[int, ...], other: tuple[int, ...], name: str) -> None:
    """ValueError unless the two shapes can be broadcast together."""
    pairs = zip(reversed(shape), reversed(other), strict=False)
    if not all(a == b or 1 in (a, b) for a, b in pairs):
        raise ValueError(f"{name} must fit the shape of rho, {shape}, got {other}; give one for each, or one")


class Noise:
    """Additive noise on `dim` coordinates, of one family, at one scale.

    The scale is rounded down to a float32 number, so that float32 noise is drawn at the very scale that the
    radius is computed for. `scale` is the rounded one; `sigma` is the standard deviation as it was asked for (inf where the variance is),
    or that of the given scale, and exceeds the one drawn by a relative 1.2e-7 at most.

    Args:
        family: name of a generated family, e.g. "uniform".
        dim: number of coordinates of an input (C·H·W), at least 1.
        sigma: standard deviation per coordinate, in input units; give either this or `scale`.
        scale: the family's own scale λ (noise = λ·Z), in input units.
        **params: family parameters by name; missing ones take the family's defaults.

    Raises:
        ValueError: unknown family or parameter, parameter outside its domain, dim < 1, sigma or scale not
            positive, both or neither given.
    """

    def __init__(
        self, family: str, dim: int, sigma: float | None = None, scale: float | None = None, **params: float
    ) -> None:
        module = registry.load(family)
        if isinstance(dim, bool) or not isinstance(dim, Integral) or dim < 1:
            raise ValueError(f"dim must be an integer of at least 1, got {dim!r}")
        if dim > _MOST_COORDINATES:
            raise ValueError(
                f"dim must be an integer of at most 2^53, got one of {int(dim).bit_length()} bits"
            )
        if (sigma is None) == (scale is None):
            got = "neither" if sigma is None else "both"
            raise ValueError(f"exactly one of sigma and scale is required, got {got}")
        defaults: dict[str, float] = dict(module.PARAMETERS)
        for key, value in params.items():
            if key not in defaults:
                known = ", ".join(defaults) or "none"
                raise ValueError(f"family {family!r} has no parameter {key!r}; its parameters: {known}")
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(f"parameter {key} of {family!r} must be a finite number, got {value!r}")
            number = _as_float(f"parameter {key} of {family!r}", value)
            if not math.isfinite(number):
                raise ValueError(f"parameter {key} of {family!r} must be a finite number, got {value!r}")
            defaults[key] = number
        self._module: Any = module
        self.family: str = family
        self.dim: int = int(dim)
        self.params: Mapping[str, float] = MappingProxyType(defaults)
        self.sigma: float
        self.scale: float
        module.check(dim=self.dim, **defaults)
        if sigma is not None:
            self.sigma = _positive("sigma", sigma)
            self.scale = float(module.scale_of_sigma(self.sigma, dim=self.dim, **defaults))
        else:
            self.scale = _positive("scale", scale)
            try:
                self.sigma = float(module.sigma_of_scale(self.scale, dim=self.dim, **defaults))
            except (
                ValueError
            ):  # scale and parameters are inside the domain: an infinite variance is all that is left
                self.sigma = math.inf
        in_range = _FLOAT32.tiny <= self.sigma <= _FLOAT32.max or math.isinf(self.sigma)
        if not (_FLOAT32.tiny <= self.scale <= _FLOAT32.max and in_range):
            raise ValueError(
                f"noise {family!r} with dim = {dim}, sigma = {sigma}, scale = {scale} leaves the range of "
                f"float32 (sigma {self.sigma}, scale {self.scale}); choose another sigma or scale"
            )
        self.scale = _float32_below(self.scale)

    def __repr__(self) -> str:
        params = "".join(f", {key}={value:g}" for key, value in self.params.items())
        return f"Noise({self.family!r}, dim={self.dim}, sigma={self.sigma:g}{params})"

    @property
    def adversaries(self) -> tuple[str, ...]:
        """Adversary norms ("1", "2", "inf") against which this noise has a sound radius."""
        return tuple(name for name in self._module.ADVERSARIES if self._supports(name))

    def _supports(self, name: str) -> bool:
        try:
            self._module.method(adversary=name, dim=self.dim, **self.params)
        except ValueError:
            return False
        return True

    def _supported(self, adversary: str | float) -> str:
        name = adversary_name(adversary)
        if name not in self.adversaries:
            known = ", ".join(self.adversaries) or "none"
            raise ValueError(
                f"noise {self.family!r} has no radius against adversary {name}; supported: {known}"
            )
        return name

    def method(self, adversary: str | float = 1) -> str:
        """How the radius against `adversary` is obtained, e.g. "differential, tight".

        Raises:
            ValueError: for an unsupported adversary; the message names the supported ones.
        """
        return str(self._module.method(adversary=self._supported(adversary), dim=self.dim, **self.params))

    def radius(
        self,
        rho: Any = None,
        adversary: str | float = 1,
        *,
        runner_up: Any = None,
        inputs: Any = None,
        log_fail: Any = None,
    ) -> Any:
        """Certified radius for top-class probability `rho`, never above the method's exact radius.

        Args:
            rho: lower confidence bound(s) of the top-class probability, in [0, 1]: a float64 tensor on any
                device, a float64 NumPy array, or a float.
            adversary: norm of the adversary: 1, 2 or inf.
            runner_up: upper bound(s) of the probability of every other class, at most 1 - rho; of the kind of
                rho, or a float; broadcast against it. None stands for 1 - rho.
            inputs: the inputs themselves, in [0, 1], for the l1 radius of noise uniform on a cube: shifted inputs
                outside the box [0, 1]^dim need no guarantee. A tensor or array of one input or a batch of them,
                dim coordinates each; the batch is broadcast against rho.
            log_fail: log(1 - rho) in place of rho, for 1 - rho as small as may be; alone with the adversary.

        Returns:
            Radius in input units, of the kind, shape and device of `rho` (broadcast against the others); 0 for
            rho ≤ runner_up and, without a runner-up, for rho ≤ 1/2; inf only where the radius is infinite: with
            `inputs`, where all of the box keeps the class. Tensors are differentiable in rho and runner_up. Neither
            argument ever gives a smaller radius than without it.

        Raises:
            ValueError: rho is NaN, outside [0, 1] or not float64; the adversary is not supported; runner_up above
                1 - rho; inputs outside [0, 1], with another norm than l1, or with noise not uniform on a cube; rho and
                log_fail both or neither given.
        """
        name = self._supported(adversary)
        if log_fail is not None:
            if rho is not None or runner_up is not None or inputs is not None:
                raise ValueError(
                    "log_fail takes the place of rho, without runner_up and inputs; give one of the two"
                )
            return self._from_logarithm(name, log_fail)
        given = [value for value in (rho, runner_up, inputs) if isinstance(value, torch.Tensor | np.ndarray)]
        like = given[0] if given else None
        values = _probabilities("rho", rho, like if isinstance(rho, float) else None)
        other = (
            None if runner_up is None else _probabilities("runner_up", runner_up, values if given else None)
        )
        if other is not None:
            _fitting(tuple(values.shape), tuple(other.shape), "runner_up")
        routes = self._module.routes(adversary=name, dim=self.dim, **self.params)
        if inputs is not None:
            radii = self._in_box(name, values, other, inputs, routes)
        elif other is not None:
            radii = special.runner_up_radius(values, other, routes, self.scale)
        else:
            radii = special.best_radius(values, routes, self.scale)
        scalar = not given or (radii.ndim == 0 and isinstance(rho, float))
        return float(radii.reshape(-1)[0]) if scalar else radii

    def _from_logarithm(self, name: str, log_fail: Any) -> Any:
        scalar = not isinstance(log_fail, torch.Tensor | np.ndarray)
        values = _probabilities("log_fail", log_fail, None)
        routes = self._module.routes(adversary=name, dim=self.dim, **self.params)
        radii = special.best_radius(None, routes, self.scale, values)
        return float(radii[0]) if scalar else radii

    def _in_box(self, name: str, rho: Any, other: Any, inputs: Any, routes: Any) -> Any:
        """The l1 radius for given inputs in the box, at least that of the routes."""
        half_width = getattr(self._module, "half_width", None)
        if half_width is None:
            raise ValueError(
                f"inputs tighten the radius of noise uniform on a cube alone, not of {self.family!r}; leave inputs away"
            )
        if name != "1":
            raise ValueError(
                f"inputs tighten the radius against adversary 1 alone, not {name}; leave inputs away"
            )
        if not isinstance(inputs, torch.Tensor | np.ndarray):
            raise ValueError(f"inputs must be an array or a tensor, got {type(inputs).__name__}")
        rhos = torch.as_tensor(rho)
        others = None if other is None else torch.as_tensor(other)
        if others is None:
            radii = special.best_radius(rhos, routes, self.scale)
            lead = torch.clamp(rhos - 0.5, min=0.0)
        else:
            radii = special.runner_up_radius(rhos, others, routes, self.scale)
            lead = special.half_lead(rhos, others)
        width = half_width(dim=self.dim, scale=self.scale, **self.params)
        boxed = special.box_radius(lead, torch.as_tensor(inputs, device=lead.device), self.dim, width)
        radii = torch.maximum(*torch.broadcast_tensors(radii, boxed))
        return radii if isinstance(rho, torch.Tensor) else radii.numpy()

    def route(self, rho: Any, adversary: str | float = 1) -> Any:
        """Which of the sources that `method` lists gives the radius at `rho`.

        Args and errors as in `radius`.

        Returns:
            Its name for a float, an array of names in the shape of rho otherwise.
        """
        name = self._supported(adversary)
        scalar = not isinstance(rho, torch.Tensor | np.ndarray)
        values = _probabilities("rho", rho, None if scalar else rho)
        routes = self._module.routes(adversary=name, dim=self.dim, **self.params)
        names = special.best_source(values, routes, self.scale)
        return str(names[0]) if scalar else names

    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Independent draws of the noise alone.

        Args:
            shape: (n, *event) with prod(event) equal to dim.
            generator: source of randomness; the draws lie on its device.
            dtype: torch.float32 or torch.float64.

        Returns:
            Tensor of that shape, in input units.

        Raises:
            ValueError: the event shape does not hold dim coordinates, or another dtype is asked for.
        """
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"noise is drawn in torch.float32 or torch.float64, got {dtype}")
        size = tuple(int(length) for length in shape)
        if len(size) < 2 or min(size) < 1 or math.prod(size[1:]) != self.dim:
            raise ValueError(
                f"sample needs a shape (n, *event) with {self.dim} coordinates an event, got {size}"
            )
        drawn: torch.Tensor = self._module.sample(
            size, dim=self.dim, scale=self.scale, generator=generator, dtype=dtype, **self.params
        )
        return drawn

    @property
    def density_hash(self) -> str:
        """Digest of the definition from which the family's radius functions and sampler were generated."""
        return str(self._module.SPEC_HASH)

    @property
    def spec(self) -> dict[str, Any]:
        """What builds this noise again, as JSON-ready values: family, dim, sigma, scale, params."""
        return {
            "family": self.family,
            "dim": self.dim,
            "sigma": self.sigma if math.isfinite(self.sigma) else None,
            "scale": self.scale,
            "params": dict(self.params),
        }

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Noise:
        """The noise that `spec` describes; the stored scale decides, so radii come back bit for bit."""
        noise = cls(spec["family"], spec["dim"], scale=spec["scale"], **spec["params"])
        noise.sigma = math.inf if spec["sigma"] is None else float(spec["sigma"])
        return noise
