"""Microscope makers' formats, through the readers of bioio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bioio import BioImage
from bioio.plugins import get_plugins
from bioio_base.exceptions import UnsupportedFileFormatError

from napari_im2im.errors import ImageError
from napari_im2im.images.formats.contents import Contents, named_axes, scene_index
from napari_im2im.images.units import known_sizes

if TYPE_CHECKING:
    from pathlib import Path


def read_vendor(path: Path, scene: int | str | None) -> Contents | None:
    """Describe an image in whatever format one of bioio's installed readers reads.

    Pixel sizes are in micrometers and time steps in seconds, as bioio defines.

    Returns
    -------
    Contents or None
        None if none of the installed readers reads the file.

    Raises
    ------
    ImageError
        If the file is damaged, or doesn't hold the image asked for.
    """
    # A whole stack would be read for each of its planes otherwise.
    options = {"chunk_dims": ["Y", "X"]} if path.suffix.lower() == ".czi" else {}
    try:
        image = BioImage(path, **options)
    except UnsupportedFileFormatError as error:
        if any(path.name.lower().endswith(suffix) for suffix in get_plugins(True)):
            raise ImageError(
                f"{path.name} is refused by the reader of its format: check that the "
                "file is complete."
            ) from error
        return None
    scenes = tuple(map(str, image.scenes))
    index = scene_index(scene, scenes)
    if index is None:
        raise ImageError(
            f"{path.name} has no image {scene!r}: choose one of {', '.join(scenes)}."
        )
    image.set_scene(index)
    return _describe(path, image, scenes[index], scenes)


def _describe(path: Path, image: Any, scene: str, scenes: tuple[str, ...]) -> Contents:
    lost = [
        f"{dim} ({size})"
        for dim, size in zip(image.reader.dims.order, image.reader.shape, strict=True)
        if dim not in "TCZYXSM" and size > 1
    ]
    if lost:
        raise ImageError(
            f"{path.name} has the axes {', '.join(lost)} besides time, channel, z, y "
            "and x: save one position along them as OME-TIFF first."
        )
    array = image.xarray_dask_data
    sizes = image.physical_pixel_sizes
    scale, units = known_sizes(
        {"z": sizes.Z, "y": sizes.Y, "x": sizes.X, "time": _time_step(array)},
        dict.fromkeys("zyx", "micrometer") | {"time": "second"},
    )
    return Contents(
        array.data,
        named_axes("".join(array.dims)),
        scale=scale,
        units=units,
        channel_names=tuple(map(str, image.channel_names or ())),
        padded=True,
        scene=scene,
        scenes=scenes,
    )


def _time_step(array: Any) -> float | None:
    """Return the mean step of the time coordinate, in seconds."""
    times = np.atleast_1d(array.coords["T"]) if "T" in array.coords else np.zeros(1)
    return float(np.diff(times).mean()) if len(times) > 1 else None
