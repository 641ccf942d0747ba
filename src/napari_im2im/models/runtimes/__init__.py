"""What runs a model's weights: one engine a module, one interface for all."""

from napari_im2im.models.runtimes.loading import load_runtime, usable_engines
from napari_im2im.models.runtimes.runtime import Runtime

__all__ = ["Runtime", "load_runtime", "usable_engines"]
