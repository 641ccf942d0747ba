"""The dock widgets, and the way between napari layers and images."""
