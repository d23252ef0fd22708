"""Tests of the generated radius functions and samplers."""
