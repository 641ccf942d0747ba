"""Learning a model from pairs of images."""
