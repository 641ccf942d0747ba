"""Looking at images that should hold labels."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_im2im.images.image import Image

_COLORS = {("red", "green", "blue"), ("red", "green", "blue", "alpha")}
MOST_CLASSES = 32
"""More labels than that name objects."""

_COMMON = 0.01
"""Part of the pixels from which on a value is taken for that of a class."""

_PART = 1 << 22
"""Pixels that are looked at together."""

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
    """Return how many pixels each label of an integer or bool array has.

    Like all of this file, it looks at a part of the array after the other.
    """
    found: Counter[int] = Counter()
    for part in _parts(labels):
        values, numbers = _numbered(part)
        counts = np.bincount(numbers.ravel(), minlength=len(values))
        at = np.flatnonzero(counts)
        found.update(dict(zip(values[at].tolist(), counts[at].tolist(), strict=True)))
    return dict(found)


def is_blended(labels: np.ndarray) -> bool:
    """Return whether an integer array is a picture rather than labels.

    Anti-aliased or compressed masks have rims of many values, and intensities have
    many values everywhere: most values hardly have a pixel that equals both the next
    one and that below.

    Parameters
    ----------
    labels
        Array ``(..., y, x)``; most of its planes decide.
    """
    votes = []
    for part in _parts(labels):
        counts, solid = _solid(part)
        found = counts > 0
        if np.count_nonzero(found) > _FEW_LABELS:
            votes.append(solid[found].mean() < 0.5)
    return bool(votes) and bool(np.mean(votes) > 0.5)


def likely_classes(labels: np.ndarray) -> tuple[int, ...]:
    """Return the values that areas have, and not only rims, in ascending order."""
    pixels: Counter[int] = Counter()
    for part in _parts(labels):
        values, _ = _numbered(part)
        counts, solid = _solid(part)
        kept = dict(zip(values[solid].tolist(), counts[solid].tolist(), strict=True))
        pixels.update(kept)
    return tuple(sorted(v for v, n in pixels.items() if n >= _COMMON * labels.size))


def slabs(shape: Sequence[int]) -> Iterator[slice]:
    """Yield parts along z or y of images ``(c, [z,] y, x)`` that fit in memory."""
    step = max(1, _PART // max(1, math.prod(shape[2:])))
    for start in range(0, shape[1], step):
        yield slice(start, start + step)


def _parts(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the planes ``(y, x)`` of an array, large ones in strips."""
    rows = max(1, _PART // max(1, labels.shape[-1]))
    for at in np.ndindex(labels.shape[:-2]):
        for start in range(0, labels.shape[-2], rows):
            yield np.asarray(labels[at][start : start + rows])


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
