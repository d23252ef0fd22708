"""Proofs in ball arithmetic (python-flint): signs on the whole line, enclosures of radii at exact parameters; no symbols of the engine."""
