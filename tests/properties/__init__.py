"""Radii against an independent Neyman–Pearson oracle."""
