"""Leica's LIF files, through liffile."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

import liffile
import numpy as np

from napari_im2im.errors import ImageError
from napari_im2im.images.formats.contents import Contents, named_axes, scene_index
from napari_im2im.images.formats.lazy import file_array
from napari_im2im.images.units import known_sizes
from napari_im2im.images.view import ArrayView

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_im2im.images.image import ArrayLike

_MOSAIC = "M"


class _Frames:
    """An image of a LIF file, read frame by frame, closed when nobody reads it."""

    def __init__(self, path: Path, index: int) -> None:
        file = liffile.LifFile(path)
        weakref.finalize(self, file.close)
        self._image = file.images[index]
        self._lock = threading.Lock()
        self.shape: tuple[int, ...] = self._image.shape
        self.dtype: np.dtype[Any] = self._image.dtype

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Read the frames at one integer or slice for each axis."""
        dims = self._image.dims
        framed = self._image.frames.frame_dims
        wanted = dict(zip(dims, key, strict=True))
        selection = {
            dim: list(np.atleast_1d(np.arange(self._image.sizes[dim])[wanted[dim]]))
            for dim in dims
            if dim not in framed
        }
        with self._lock:
            frames = self._image.frames(**selection)
            pixels = frames.asarray()
        # liffile leaves out axes of which one position is selected.
        order = [frames.dims.index(dim) for dim in dims if dim in frames.dims]
        sizes = [len(selection.get(d, range(self._image.sizes[d]))) for d in dims]
        pixels = pixels.transpose(order).reshape(sizes)
        inside = [
            wanted[d] if d in framed else slice(None) if _is_slice(wanted[d]) else 0
            for d in dims
        ]
        return np.asarray(pixels[tuple(inside)])


def _is_slice(key: int | slice) -> bool:
    return isinstance(key, slice)


def _open_image(path: Path, index: int) -> ArrayLike:
    frames = _Frames(path, index)
    return ArrayView(frames, tuple(map(range, frames.shape)))


def read_lif(path: Path, scene: int | str | None) -> Contents:
    """Describe an image of a LIF file, in the order that it was scanned in.

    Raises
    ------
    ImageError
        If the file doesn't hold the image asked for.
    """
    with liffile.LifFile(path) as file:
        scenes = tuple(image.name for image in file.images)
        index = scene_index(scene, scenes)
        if index is None:
            raise ImageError(
                f"{path.name} has no image {scene!r}: choose one of "
                f"{', '.join(scenes)}."
            )
        image = file.images[index]
        if _MOSAIC in image.sizes:
            raise ImageError(
                f"{path.name} is a mosaic of unstitched tiles: save it stitched as "
                "OME-TIFF first."
            )
        axes = named_axes("".join(image.dims))
        sizes = {a: _step(image.coords, a) for a in ("z", "y", "x", "time")}
        channels = image.xml_element.iter("ChannelDescription")
        names = tuple(channel.get("LUTName", "") for channel in channels)
    scale, units = known_sizes(
        sizes, dict.fromkeys("zyx", "micrometer") | {"time": "second"}
    )
    return Contents(
        file_array(_open_image, path, index),
        axes,
        scale=scale,
        units=units,
        channel_names=names,
        scene=scenes[index],
        scenes=scenes,
    )


def _step(coords: Mapping[str, np.ndarray], axis: str) -> float | None:
    """Return the step along an axis: LIF counts in meters and seconds."""
    positions = coords.get(axis[0].upper(), ())
    if len(positions) < 2:
        return None
    return float(np.diff(positions).mean()) * (1.0 if axis == "time" else 1e6)
