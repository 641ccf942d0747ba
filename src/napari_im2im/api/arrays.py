"""Arrays of numpy and xarray as images, and images as arrays again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import DataError, ImageError
from napari_im2im.images.image import SPATIAL_AXES, Image, parse_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray

ImageSource = Any
"""An image: an array of numpy, dask, zarr or xarray, an `Image`, or a file."""

Axes = str | Sequence[str]
"""Letters (``"czyx"``) or names (``("channel", "y", "x")``)."""


def is_file(source: ImageSource) -> bool:
    """Return whether a source names a file."""
    return isinstance(source, str | Path)


def is_xarray(source: ImageSource) -> bool:
    """Return whether a source is a DataArray of xarray."""
    # Whoever made one has imported xarray; nobody else has to install it.
    module = sys.modules.get("xarray")
    return module is not None and isinstance(source, module.DataArray)


def listed(images: ImageSource | Sequence[ImageSource]) -> list[ImageSource]:
    """Return one image or several as a list."""
    return list(images) if isinstance(images, list | tuple) else [images]


def to_image(source: ImageSource, axes: Axes | None, name: str) -> Image:
    """Return what a caller handed over as an image.

    Parameters
    ----------
    source
        An array, an `Image`, or a file. A DataArray brings its axes by the names of
        its dimensions, and its pixel size by the distance of its coordinates.
    axes
        Axes of an array, and of a file that doesn't name its own.
    name
        What to call an array in sentences.

    Raises
    ------
    DataError
        If the axes of an array aren't known.
    """
    if isinstance(source, Image):
        return source
    if is_file(source):
        from napari_im2im.images.reading import open_image

        letters = axes if axes is None or isinstance(axes, str) else "".join(axes)
        return open_image(source, axes=letters)
    if is_xarray(source):
        return _from_xarray(source, axes, name)
    pixels = source if hasattr(source, "shape") else np.asarray(source)
    if axes is None:
        if len(pixels.shape) != 2:
            raise DataError(
                f"The array {name} has {len(pixels.shape)} dimensions "
                f"{tuple(pixels.shape)}: name its axes with the letters t, c, z, y, x, "
                "e.g. 'cyx' or 'zyx'."
            )
        axes = "yx"
    return Image(data=pixels, axes=parse_axes(axes), name=name)


def like(source: ImageSource, image: Image, output: Image) -> Any:
    """Return an output as the kind of array that it was made from.

    Parameters
    ----------
    source, image
        What was handed over, as it was and as an image.
    output
        What was made of it.

    Returns
    -------
    np.ndarray or xarray.DataArray
        Axes in the order of the image. Axes that the image doesn't have come first,
        and are left out where their size is 1.
    """
    shared = [axis for axis in image.axes if axis in output.axes]
    further = [axis for axis in output.axes if axis not in shared]
    pixels = output.read(axes=[*further, *shared])
    single = tuple(n for n, axis in enumerate(further) if output.sizes[axis] == 1)
    pixels = pixels.squeeze(single)
    if not is_xarray(source):
        return pixels
    axes = [axis for axis in further if output.sizes[axis] > 1] + shared
    return _to_xarray(source, image, replace(output, data=pixels, axes=tuple(axes)))


def _from_xarray(source: xarray.DataArray, axes: Axes | None, name: str) -> Image:
    named = [str(dim) for dim in source.dims]
    try:
        parsed = parse_axes(axes if axes is not None else named)
    except ImageError as error:
        raise DataError(
            f"The dimensions {', '.join(named)} of {name} aren't known: rename them to "
            "t, c, z, y, x, or say axes='…' in their order."
        ) from error
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    for axis, dim in zip(parsed, source.dims, strict=True):
        if axis not in (*SPATIAL_AXES, "time") or dim not in source.coords:
            continue
        step = _step(source.coords[dim].values)
        if step is not None:
            scale[axis] = step
            unit = source.coords[dim].attrs.get("units")
            units |= {axis: str(unit)} if unit else {}
    channels = _channel_names(source, parsed)
    title = str(source.name or name)
    return Image(source.data, parsed, scale, units, channels, title)


def _step(positions: np.ndarray) -> float | None:
    """Return the distance of positions, if it is always the same."""
    if positions.dtype.kind not in "iuf" or len(positions) < 2:
        return None
    steps = np.diff(positions)
    regular = steps[0] > 0 and np.allclose(steps, steps[0])
    return float(steps[0]) if regular else None


def _channel_names(source: xarray.DataArray, axes: tuple[str, ...]) -> tuple[str, ...]:
    if "channel" not in axes:
        return ()
    dim = source.dims[axes.index("channel")]
    return tuple(map(str, source.coords[dim].values)) if dim in source.coords else ()


def _to_xarray(
    source: xarray.DataArray, image: Image, output: Image
) -> xarray.DataArray:
    import xarray

    names: Mapping[str, Any] = dict(zip(image.axes, source.dims, strict=True))
    dims = [names.get(axis, axis) for axis in output.axes]
    coords: dict[Any, Any] = {}
    for axis, dim in zip(output.axes, dims, strict=True):
        if axis == "channel":
            coords |= {dim: list(output.channel_names)} if output.channel_names else {}
        elif dim in source.coords and len(source.coords[dim]) == output.sizes[axis]:
            coords[dim] = source.coords[dim]
        elif axis in output.scale:
            # A region, or another pixel size.
            coords[dim] = np.arange(output.sizes[axis]) * output.scale[axis]
    return xarray.DataArray(output.data, coords, dims, name=output.name)
