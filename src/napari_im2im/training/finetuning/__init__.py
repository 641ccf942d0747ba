"""Going on from a model that learned before."""
