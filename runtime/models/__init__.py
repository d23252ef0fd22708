"""Networks built from a name, with the weights' names and shapes that public checkpoints have."""

from runtime.models.build import ARCHITECTURES, build_model, recognised
from runtime.models.normalise import Normalise, parse_normalisation
from runtime.models.small import Shape

__all__ = ["ARCHITECTURES", "Normalise", "Shape", "build_model", "parse_normalisation", "recognised"]
