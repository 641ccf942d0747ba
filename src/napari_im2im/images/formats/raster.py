"""PNG, JPEG and other everyday picture files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
from PIL import Image as Picture
from PIL import ImageMode, ImageSequence

from napari_im2im.errors import ImageError
from napari_im2im.images.formats.contents import SAMPLES, UNKNOWN, Contents
from napari_im2im.images.formats.lazy import FileArray

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.images.image import ArrayLike


def read_picture(path: Path) -> Contents:
    """Describe a picture: grey or with samples, an animation with a leading axis.

    A grey palette becomes grey values, a coloured one red, green and blue.

    Raises
    ------
    ImageError
        If the picture is larger than its decoder allows.
    """
    try:
        with Picture.open(path) as picture:
            mode = ImageMode.getmode(_final_mode(picture))
            size, frames = picture.size, getattr(picture, "n_frames", 1)
    except Picture.DecompressionBombError as error:
        raise ImageError(
            f"{path.name} is too large for a {path.suffix} file: save it as OME-TIFF."
        ) from error
    dtype = np.dtype(np.uint16 if _has_deep_colours(path) else mode.typestr)
    samples = (len(mode.bands),) if len(mode.bands) > 1 else ()
    leading = (frames,) if frames > 1 else ()
    shape = (*leading, size[1], size[0], *samples)
    axes = (*(UNKNOWN,) * len(leading), "y", "x", *(SAMPLES,) * len(samples))
    modified = path.stat().st_mtime_ns
    return Contents(FileArray(_decode, path, modified, None, shape, dtype), axes)


def _has_deep_colours(path: Path) -> bool:
    """Whether it is a PNG file of 16 bit colours, which Pillow reads as 8 bit."""
    with path.open("rb") as file:
        header = file.read(26)
    return (
        header.startswith(b"\x89PNG") and header[24] == 16 and header[25] in (2, 4, 6)
    )


def _final_mode(picture: Picture.Image) -> str:
    """Return the Pillow mode whose pixels are the picture's values."""
    if picture.mode in ("P", "PA"):
        if picture.mode == "PA" or "transparency" in picture.info:
            return "RGBA"
        colours = np.asarray(picture.getpalette("RGB")).reshape(-1, 3)
        return "RGB" if np.ptp(colours, axis=1).any() else "L"
    if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        return "RGB"
    return picture.mode


def _decode(path: Path, part: None) -> ArrayLike:
    if _has_deep_colours(path):
        return np.asarray(imagecodecs.png_decode(path.read_bytes()))
    with Picture.open(path) as picture:
        mode = _final_mode(picture)
        frames = [
            np.asarray(frame if frame.mode == mode else frame.convert(mode))
            for frame in ImageSequence.Iterator(picture)
        ]
    return np.stack(frames) if len(frames) > 1 else frames[0]
