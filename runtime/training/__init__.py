"""Training of base classifiers for smoothing."""

from runtime.training.augmented import TrainingSettings, accuracy, train_network

__all__ = ["TrainingSettings", "accuracy", "train_network"]
