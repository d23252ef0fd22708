"""Tables of radii: float polynomials proved to lie below a level-set radius at every double, and the files that hold them."""
