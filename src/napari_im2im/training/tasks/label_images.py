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

_COMMON = 0.01
"""Part of the pixels from which on a value is taken for that of a class."""

_FEW_LABELS = 8
"""Labels that may be scattered pixels, as a point annotation is."""

_INSIDE = 0.25
"""Part of the pixels of a label that lie inside of it, at least."""


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
    values, numbers = _numbered(labels)
    counts = np.bincount(numbers.ravel(), minlength=len(values))
    return {int(v): int(n) for v, n in zip(values, counts, strict=True) if n}


def is_blended(labels: np.ndarray) -> bool:
    """Return whether an integer array is a picture rather than labels.

    Anti-aliased or compressed masks have rims of many values, and intensities have
    many values everywhere: most values hardly have a pixel that equals both the next
    one and that below.

    Parameters
    ----------
    labels
        Array ``([z,] y, x)``.
    """
    counts, solid = _solid(labels)
    found = counts > 0
    many = np.count_nonzero(found) > _FEW_LABELS
    return bool(many and solid[found].mean() < 0.5)


def likely_classes(labels: np.ndarray) -> tuple[int, ...]:
    """Return the values that areas have, and not only rims, in ascending order."""
    values, _ = _numbered(labels)
    counts, solid = _solid(labels)
    kept = values[solid & (counts >= _COMMON * labels.size)]
    return tuple(map(int, kept))


def _solid(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many pixels each value has, and whether enough lie inside of it."""
    values, numbers = _numbered(labels)
    counts = np.bincount(numbers.ravel(), minlength=len(values))
    inside = numbers[..., :-1, :-1]
    alike = (inside == numbers[..., :-1, 1:]) & (inside == numbers[..., 1:, :-1])
    solid = np.bincount(inside[alike], minlength=len(values)) >= _INSIDE * counts
    return counts, solid


def _numbered(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values, and for each pixel the number of its value."""
    if labels.dtype.kind == "b":
        labels = labels.view(np.uint8)
    low, high = int(labels.min()), int(labels.max())
    if high - low < max(labels.size, 1 << 16):
        return np.arange(low, high + 1), labels.astype(np.int64) - low
    values, numbers = np.unique(labels, return_inverse=True)
    return values, numbers.reshape(labels.shape)
