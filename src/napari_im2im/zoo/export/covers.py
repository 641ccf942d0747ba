"""A picture of what a model does: input and prediction, side by side."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_im2im.models.tensors import TensorSpec

_SIDE = 320
_COLOURS = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], np.float32)
"""Cyan, magenta and yellow: told apart by people who don't tell red from green."""


def cover_picture(
    input_spec: TensorSpec,
    input_array: np.ndarray,
    output_spec: TensorSpec,
    output_array: np.ndarray,
) -> bytes:
    """Draw a cover of 2 : 1.

    Parameters
    ----------
    input_spec, output_spec
        Name the axes of the arrays.
    input_array, output_array
        Test tensors. Of a stack the plane is shown whose prediction varies most;
        of up to three channels each gets a colour.

    Returns
    -------
    bytes
        A PNG file.
    """
    from PIL import Image as Picture

    result, first = _planes(output_spec, output_array), _planes(input_spec, input_array)
    z = int(result.std(axis=(0, 2, 3)).argmax())
    panels = [
        _panel(first[:, round(z * (first.shape[1] - 1) / max(1, result.shape[1] - 1))]),
        _panel(result[:, z]),
    ]
    cover = Picture.new("RGB", (2 * _SIDE, _SIDE))
    for i, panel in enumerate(panels):
        picture = Picture.fromarray(panel).resize(
            (_SIDE, _SIDE), Picture.Resampling.BILINEAR
        )
        cover.paste(picture, (i * _SIDE, 0))
    buffer = io.BytesIO()
    cover.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _planes(spec: TensorSpec, array: np.ndarray) -> np.ndarray:
    """Return an array as ``(channel, z, y, x)``, float32, first of other axes."""
    names = list(spec.axis_names)
    pixels: np.ndarray = np.asarray(array, np.float32)
    for name in [name for name in names if name not in ("channel", "z", "y", "x")]:
        pixels = np.take(pixels, 0, names.index(name))
        names.remove(name)
    for name in ("channel", "z", "y", "x"):
        if name not in names:
            pixels = pixels[..., None]
            names.append(name)
    return pixels.transpose([names.index(name) for name in ("channel", "z", "y", "x")])


def _panel(channels: np.ndarray) -> np.ndarray:
    """Return a square ``(y, x, 3)`` of uint8 from ``(channel, y, x)``."""
    side = min(channels.shape[1:])
    top, left = ((n - side) // 2 for n in channels.shape[1:])
    channels = channels[:3, top : top + side, left : left + side]
    low, high = np.percentile(channels, (1, 99.8), axis=(1, 2), keepdims=True)
    scaled = np.clip((channels - low) / np.maximum(high - low, 1e-12), 0, 1)
    if len(scaled) == 1:
        coloured = np.repeat(scaled[0][..., None], 3, axis=-1)
    else:
        coloured = np.tensordot(scaled, _COLOURS[: len(scaled)], axes=(0, 0))
    return np.asarray(255 * np.clip(coloured, 0, 1), np.uint8)
