"""From napari layers to images, and from images to layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ImageError
from napari_im2im.images.image import SPATIAL_AXES, Image, parse_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.types import LayerDataTuple

MOST_CHANNELS = 4
"""An axis of unknown meaning is taken for channels up to this size."""

SPLIT_CHANNELS = 7
"""Up to so many channels become a layer each; more stay one layer with a slider."""

COLORS = {1: ("gray",), 2: ("magenta", "green"), 3: ("blue", "green", "magenta")}
"""Colour maps of the channels, by their number."""

_RGB_NAMES = ("red", "green", "blue")


def known_axes(layer: Layer) -> tuple[str, ...] | None:
    """Return the axes that a layer names itself, or None.

    Parameters
    ----------
    layer
        An image or labels layer. Its ``axis_labels`` count only if every one of
        them is an axis that we know: napari's default labels say nothing.

    Returns
    -------
    tuple of str or None
        One name for each dimension of the data; colours come last.
    """
    try:
        axes = parse_axes(layer.axis_labels)
    except ImageError:
        return None
    return (*axes, "channel") if is_rgb(layer) else axes


def guess_axes(
    shape: Sequence[int], *, channels: int | None = None, spatial: str | None = None
) -> tuple[str, ...]:
    """Guess what the axes of an array mean from its shape.

    Parameters
    ----------
    shape
        Size along each of 1 to 5 dimensions.
    channels
        Number of channels that the model reads, if one is chosen.
    spatial
        ``"yx"`` or ``"zyx"``: axes that the model works on, if one is chosen.

    Returns
    -------
    tuple of str
        Axis names. The last two are y and x; before them a dimension that fits
        the model's channels, or that is small, is the channel.

    Raises
    ------
    ImageError
        If the array doesn't have 2 to 5 dimensions.
    """
    leading = len(shape) - 2
    if not 0 <= leading <= 3:
        raise ImageError(
            f"An image has 2 to 5 dimensions, this one has {len(shape)}: "
            "choose a layer with less."
        )
    if leading == 3:
        return ("time", "channel", "z", "y", "x")
    if leading == 1:
        return (_guess_first(shape[0], channels, spatial), "y", "x")
    if leading == 0:
        return ("y", "x")
    sizes = list(shape[:2])
    channel = sizes.index(channels) if channels in sizes else int(np.argmin(sizes))
    if sizes[channel] > MOST_CHANNELS and sizes[channel] != channels:
        return ("time", "z", "y", "x")
    names = ["z", "z"]
    names[channel] = "channel"
    return (*names, "y", "x")


def _guess_first(size: int, channels: int | None, spatial: str | None) -> str:
    if channels is not None:
        if size == channels and channels > 1:
            return "channel"
        return "z" if spatial == "zyx" or size > MOST_CHANNELS else "channel"
    return "channel" if size <= MOST_CHANNELS else "z"


def is_rgb(layer: Layer) -> bool:
    """Return whether the last dimension of a layer's data are colours."""
    return bool(getattr(layer, "rgb", False))


def full_resolution(layer: Layer) -> Any:
    """Return the pixels of a layer as it holds them, of a pyramid the finest."""
    return layer.data[0] if layer.multiscale else layer.data


def layer_to_image(layer: Layer, axes: Sequence[str] | None = None) -> Image:
    """Return the image that a layer shows, without reading it.

    Parameters
    ----------
    layer
        An image or labels layer: numpy, dask, zarr, a pyramid of these, or RGB.
    axes
        What the dimensions mean. Default: the layer's ``axis_labels``, else a
        guess.

    Returns
    -------
    Image
        Full resolution, with the pixel size and units of the layer. An alpha
        channel is left out.
    """
    data = full_resolution(layer)
    if axes is None:
        axes = known_axes(layer)
    if axes is None:
        axes = guess_axes(data.shape[:-1] if is_rgb(layer) else data.shape)
        axes = (*axes, "channel") if is_rgb(layer) else axes
    path = layer.source.path
    scale, units = _pixel_size(layer, axes)
    image = Image(
        data,
        tuple(axes),
        scale=scale,
        units=units,
        name=layer.name,
        source=Path(path) if path else None,
    )
    if is_rgb(layer):
        image = image.select("channel", range(3))
        return replace(image, channel_names=_RGB_NAMES)
    if "channel" not in image.axes:
        return replace(image, channel_names=(layer.name,))
    return image


def _pixel_size(
    layer: Layer, axes: Sequence[str]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return scale and units by axis, as far as somebody has set them."""
    units = [str(unit) for unit in layer.units]
    calibrated = any(
        unit != "pixel" or scale != 1
        for unit, scale, axis in zip(units, layer.scale, axes, strict=False)
        if axis in SPATIAL_AXES
    )
    known = [
        (axis, float(abs(scale)), unit)
        for axis, scale, unit in zip(axes, layer.scale, units, strict=False)
        if axis != "channel" and (unit != "pixel" or calibrated)
    ]
    return (
        {axis: scale for axis, scale, _ in known},
        {axis: unit for axis, _, unit in known if unit != "pixel"},
    )


def image_to_layer_data(
    image: Image, *, split_channels: bool = True
) -> list[LayerDataTuple]:
    """Return what napari needs to show an image, without reading it.

    Parameters
    ----------
    image
        The image.
    split_channels
        Whether up to `SPLIT_CHANNELS` channels become a layer each.

    Returns
    -------
    list of tuple
        ``(data, arguments, "image")`` for each layer.
    """
    parts = split(image) if split_channels else [image]
    colors = COLORS.get(len(parts), ("gray",) * len(parts))
    return [
        (
            part.data,
            {
                "name": part.name,
                "scale": [part.scale.get(axis, 1.0) for axis in part.axes],
                "units": [part.units.get(axis, "pixel") for axis in part.axes],
                "axis_labels": part.axes,
                "rgb": False,
                "colormap": color,
                "blending": "additive" if number else "translucent_no_depth",
            },
            "image",
        )
        for number, (part, color) in enumerate(zip(parts, colors, strict=True))
    ]


def split(image: Image) -> list[Image]:
    """Return an image for each channel, or the image where they are too many.

    An image without several channels is returned as it is, less an axis of one
    channel.
    """
    channels = image.sizes.get("channel", 0)
    if not 1 <= channels <= SPLIT_CHANNELS:
        return [image]
    names = image.channel_names or tuple(f"channel {i}" for i in range(channels))
    parts = [image.select("channel", index) for index in range(channels)]
    if channels == 1:
        return parts
    return [
        part.renamed(f"{image.name} · {name}")
        for part, name in zip(parts, names, strict=True)
    ]
