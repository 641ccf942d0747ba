"""Smooth transitions between tiles of a network that can't be tiled exactly."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.inference.tiling.tiles import AxisTile


def widened(tile: AxisTile, overlap: int, region: slice) -> AxisTile:
    """Return a tile whose core reaches into its neighbours by the overlap.

    Parameters
    ----------
    tile
        A tile whose halo is at least the overlap.
    overlap
        Pixels beyond the core, at most half of a core.
    region
        What is predicted of the axis.
    """
    return replace(
        tile,
        core_start=max(region.start, tile.core_start - overlap),
        core_stop=min(region.stop, tile.core_stop + overlap),
    )


def ramp(
    tile: AxisTile,
    overlap: int,
    region: slice,
    pixels: slice,
    scale: Fraction = Fraction(1),
) -> np.ndarray:
    """Return the weights of a tile along an axis; those of all tiles add up to 1.

    Parameters
    ----------
    tile
        The tile with its own core.
    overlap, region
        As for `widened`.
    pixels
        Which pixels of the output to weigh.
    scale
        Output pixels for a pixel of the tiled axis.

    Returns
    -------
    np.ndarray
        float32: 1 in the core, falling as a squared sine to 0 where the neighbour's
        weight is 1.
    """
    weights = np.ones(pixels.stop - pixels.start, np.float32)
    positions = (np.arange(pixels.start, pixels.stop) + 0.5) / float(scale)
    if overlap and tile.core_start > region.start:
        weights *= _rise((positions - tile.core_start) / (2 * overlap) + 0.5)
    if overlap and tile.core_stop < region.stop:
        weights *= _rise((tile.core_stop - positions) / (2 * overlap) + 0.5)
    return weights


def _rise(share: np.ndarray) -> np.ndarray:
    rise: np.ndarray = np.sin(np.clip(share, 0, 1) * np.pi / 2).astype(np.float32) ** 2
    return rise


def weighted(array: np.ndarray, ramps: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """Multiply an array by weights along some of its axes.

    Parameters
    ----------
    array
        Any shape.
    ramps
        Pairs of an axis and the weights along it.
    """
    for axis, weights in ramps:
        shape = [1] * array.ndim
        shape[axis] = len(weights)
        array = array * weights.reshape(shape)
    return array
