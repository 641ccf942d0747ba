"""What the names of image files end with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TIFF = (".tif", ".tiff", ".stk", ".lsm", ".btf", ".svs", ".scn", ".ndpi")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".jp2", ".pgm", ".ppm")
HDF5 = (".h5", ".hdf5", ".hdf")
MICROSCOPES = (".czi", ".lif", ".nd2")
"""Microscope makers' formats that the extra ``formats`` reads, as it does HDF5."""

BIOFORMATS = (".ics", ".dv", ".oif", ".oib", ".mrc", ".vsi")
"""What the extra ``bioformats`` reads beside."""

_IMAGES = frozenset((*TIFF, *PICTURES, *HDF5, *MICROSCOPES, *BIOFORMATS))


def is_image_name(path: Path) -> bool:
    """Return whether the suffix of a file is one of an image format."""
    return path.suffix.lower() in _IMAGES
