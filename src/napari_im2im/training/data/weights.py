"""From cost maps to how much each pixel counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.training.data.samples import Sample

_LEAST_REGION = {2: (128, 128), 3: (16, 64, 64)}
"""A region that counts is never cut smaller than this, so that patches fit."""


def pixel_weights(cost_map: np.ndarray, name: str) -> np.ndarray:
    """Return the weights of pixels.

    Parameters
    ----------
    cost_map
        0 where pixels don't count. Whole numbers with a single value beside 0 are a
        mask, whatever the value; others are weights.
    name
        What the map is called in the sentence of an error.

    Returns
    -------
    np.ndarray
        Of the same shape, uint8 for masks, else float32. Masks of 0 and 1 aren't
        copied.

    Raises
    ------
    DataError
        If weights are negative.
    """
    lowest, highest = cost_map.min(), cost_map.max()
    if lowest < 0:
        raise DataError(
            f"The cost map {name} has weights down to {lowest:g}: use 0 for pixels "
            "that don't count, and positive numbers for the others."
        )
    if cost_map.dtype == np.uint8 and highest <= 1:
        return cost_map
    if cost_map.dtype.kind != "f" and all(
        bool(((cost_map[plane] == 0) | (cost_map[plane] == highest)).all())
        for plane in np.ndindex(cost_map.shape[:-2])
    ):
        return (cost_map > 0).astype(np.uint8)
    return cost_map.astype(np.float32, copy=False)


def counted_region(samples: Sequence[Sample]) -> tuple[slice, ...]:
    """Return the part of an image outside which no pixel of any sample counts.

    It is not made smaller than a usual patch, and is in pixels of the input.
    """
    region = []
    shape = samples[0].spatial_shape if samples else ()
    for axis, size in enumerate(shape):
        others = tuple(a for a in range(len(shape) + 1) if a != axis + 1)
        counted = np.any([sample.weight.any(axis=others) for sample in samples], axis=0)  # type: ignore[union-attr]
        found = np.flatnonzero(counted) // samples[0].enlargement[axis]
        start, stop = int(found[0]), int(found[-1]) + 1
        missing = min(_LEAST_REGION[len(shape)][axis], size) - (stop - start)
        if missing > 0:
            start = min(max(0, start - missing // 2), size - (stop - start) - missing)
            stop = max(stop, start + min(_LEAST_REGION[len(shape)][axis], size))
        region.append(slice(start, stop))
    return tuple(region)
