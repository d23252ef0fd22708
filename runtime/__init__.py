"""Certified robustness by randomized smoothing: votes, counts, confidence bounds, certificates."""

from runtime.certificate import Certificate
from runtime.noise import Noise
from runtime.results import ABSTAIN, InputResult, RunResult
from runtime.smooth import SmoothedClassifier

__all__ = ["ABSTAIN", "Certificate", "InputResult", "Noise", "RunResult", "SmoothedClassifier"]
