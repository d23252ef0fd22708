"""Certified robustness by randomized smoothing: votes, counts, confidence bounds, certificates."""
