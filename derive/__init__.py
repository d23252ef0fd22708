"""Derives certified radii from noise densities: a density goes in, a documented radius function comes out."""
