"""Looking at images that should hold labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.images.image import Image

_COLORS = {("red", "green", "blue"), ("red", "green", "blue", "alpha")}
MOST_CLASSES = 32
"""More labels than that name objects."""

COMMON = 0.05
"""Part of the pixels from which on a label is no rim of another."""

_FEW_LABELS = 8
"""Labels that may be scattered pixels, as a point annotation is."""

_INSIDE = 0.25
"""Part of the pixels of small labels that lie inside of them, at least."""


def check_label_image(image: Image, channels: Sequence[int] | None = None) -> None:
    """Refuse an image whose pixels can't be labels, without reading it.

    Parameters
    ----------
    image
        What shall be learned.
    channels
        Those that are chosen, None for all.

    Raises
    ------
    DataError
        If it is a colour image, or of numbers that aren't whole.
    """
    if image.dtype.kind not in "bui":
        raise DataError(
            f"The target {image.name} is of {image.dtype}, but labels are whole "
            "numbers: save it as an integer image (e.g. uint8), or choose the task "
            "image to learn intensities."
        )
    if tuple(image.channel_names) in _COLORS and (
        channels is None or len(channels) > 1
    ):
        raise DataError(
            f"The target {image.name} is RGB, but labels are one number a pixel: save "
            "it as a grey or labels image, or choose one colour "
            "(data.target_channels: [0])."
        )


def count_labels(labels: np.ndarray) -> dict[int, int]:
    """Return how many pixels each label of an integer or bool array has."""
    if labels.dtype.kind == "b":
        labels = labels.view(np.uint8)
    low, high = int(labels.min()), int(labels.max())
    if high - low < max(labels.size, 1 << 16):
        counts = np.bincount((labels.astype(np.int64) - low).ravel())
        found = np.flatnonzero(counts)
        return {int(label) + low: int(counts[label]) for label in found}
    values, numbers = np.unique(labels, return_counts=True)
    return {int(v): int(n) for v, n in zip(values, numbers, strict=True)}


def is_blended(labels: np.ndarray) -> bool:
    """Return whether an integer array is a picture rather than labels.

    Anti-aliased or compressed masks have rims of many values, and intensities have
    many values everywhere: few pixels equal both the next one and that below.

    Parameters
    ----------
    labels
        Array ``([z,] y, x)``.
    """
    counts = count_labels(labels)
    if len(counts) <= _FEW_LABELS:
        return False
    rare = [v for v, count in counts.items() if count < COMMON * labels.size]
    pixels = np.isin(labels, rare)
    pixels[..., -1, :] = pixels[..., :, -1] = False
    right, below = np.roll(labels, -1, -1), np.roll(labels, -1, -2)
    inside = pixels & (labels == right) & (labels == below)
    return bool(np.count_nonzero(inside) < _INSIDE * np.count_nonzero(pixels))
