"""Learn image-to-image transformations, apply them to images of any size.

The functions below load what they need when they are first used, so that
importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Image": "napari_im2im.images",
    "evaluate": "napari_im2im.api",
    "load_model": "napari_im2im.api",
    "open_image": "napari_im2im.images",
    "predict": "napari_im2im.api",
    "predict_events": "napari_im2im.api",
    "predict_files": "napari_im2im.api",
    "train": "napari_im2im.api",
    "train_events": "napari_im2im.api",
}

__all__ = [
    "Image",
    "evaluate",
    "load_model",
    "open_image",
    "predict",
    "predict_events",
    "predict_files",
    "train",
    "train_events",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
