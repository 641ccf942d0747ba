"""Where a tile's result lies in an output of another pixel size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_im2im.inference.tiling.tiles import AxisTile


@dataclass(frozen=True)
class AxisScale:
    """How an axis of another tensor follows from the axis that is tiled.

    A tile of n pixels corresponds to ``n * scale + offset`` pixels.
    """

    scale: Fraction = Fraction(1)
    offset: int = 0

    def size(self, size: int) -> int:
        """Return the number of pixels for a size; a started pixel counts."""
        return math.ceil(size * self.scale) + self.offset

    def position(self, position: int, size: int) -> int:
        """Return the pixel where a core ends and the next begins.

        Parameters
        ----------
        position
            End of a core along the tiled axis, from 0 to ``size``.
        size
            Size of the tiled axis.
        """
        if position <= 0:
            return 0
        if position >= size:
            return self.size(size)
        centre = math.floor(position * self.scale + Fraction(self.offset, 2))
        return min(max(centre, 0), self.size(size))

    def then(self, other: AxisScale) -> AxisScale:
        """Return the scale of applying this one, then another."""
        offset = self.offset * other.scale + other.offset
        return AxisScale(self.scale * other.scale, math.floor(offset))


def scaled_core(tile: AxisTile, scale: AxisScale, size: int) -> tuple[slice, slice]:
    """Return where a tile's result goes, and which part of it.

    Parameters
    ----------
    tile
        A tile of an axis of ``size`` pixels.
    scale
        The scale of the output's axis.

    Returns
    -------
    target, source : slice
        Pixels of the whole output, pixels of the tile's output.
    """
    start = scale.position(tile.core_start, size)
    stop = scale.position(tile.core_stop, size)
    shift = math.floor(tile.start * scale.scale)
    return slice(start, stop), slice(start - shift, stop - shift)
