"""Radius functions, samplers and conversions, written by `derive`; only special.py is written by hand."""
