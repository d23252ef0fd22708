"""Independent checks of a generated module: quadrature of the density's text, Neyman–Pearson tests, samplers."""
