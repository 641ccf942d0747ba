"""Arrays with named axes and pixel size, and the files that hold them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_im2im.images.image import AXES, SPATIAL_AXES, Image

if TYPE_CHECKING:
    from napari_im2im.images.folders.pairing import pair_files
    from napari_im2im.images.reading import open_image
    from napari_im2im.images.writing import save_image

__all__ = ["AXES", "SPATIAL_AXES", "Image", "open_image", "pair_files", "save_image"]

_MODULES = {
    "open_image": "reading",
    "pair_files": "folders.pairing",
    "save_image": "writing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
