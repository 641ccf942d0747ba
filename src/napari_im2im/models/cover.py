"""The picture that a model is recognised by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST = 512
_GAP = 4


def cover_png(images: Sequence[np.ndarray]) -> bytes:
    """Draw images side by side, e.g. an input and what a model made of it.

    Parameters
    ----------
    images
        Arrays ``(channel, [z,] y, x)``. The middle plane is drawn, of the first
        channel in grey or of the first three in colour, from the 1st to the 99th
        percentile of each.

    Returns
    -------
    bytes
        A PNG file of at most 512 pixels a panel.
    """
    import imageio.v3 as iio

    panels = [_panel(image) for image in images]
    height = max(panel.shape[0] for panel in panels)
    columns: list[np.ndarray] = []
    for panel in panels:
        rows = height - panel.shape[0]
        columns.append(np.pad(panel, ((0, rows), (0, _GAP), (0, 0))))
    picture = np.concatenate(columns, axis=1)[:, :-_GAP]
    return iio.imwrite("<bytes>", picture, extension=".png")


def _panel(image: np.ndarray) -> np.ndarray:
    """Return ``(y, x, 3)`` uint8 of an image ``(channel, [z,] y, x)``."""
    plane = image[:, image.shape[1] // 2] if image.ndim == 4 else image
    step = -(-max(plane.shape[1:]) // _LARGEST)
    plane = plane[: 3 if len(plane) >= 3 else 1, ::step, ::step].astype(np.float64)
    low, high = np.percentile(plane, (1, 99), axis=(1, 2), keepdims=True)
    grey = np.clip((plane - low) / np.maximum(high - low, 1e-12), 0, 1)
    colours = np.moveaxis(grey, 0, -1) * 255
    return np.broadcast_to(colours, (*colours.shape[:2], 3)).astype(np.uint8)
