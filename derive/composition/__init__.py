"""Product noise against linf: the d-fold composition of one coordinate's privacy loss, with every error on a stated side."""
