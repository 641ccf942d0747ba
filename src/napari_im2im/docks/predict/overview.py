"""Results too large to be drawn whole, in levels that napari can draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_im2im.images.image import Image

LARGEST_PLANE = 2**26
"""Pixels of a plane that napari may read at each refresh: 256 MB of float32."""

_LONGEST = 1024
"""Pixels along the longer side of the overview."""


class Overview:
    """Smaller and smaller levels of a result, the smallest of them in memory.

    napari reads the whole plane of a layer without levels whenever it changes. Of
    these it reads what is in sight, at the resolution of the screen.

    Parameters
    ----------
    part
        The result, with the axes y and x.
    """

    def __init__(self, part: Image) -> None:
        self._part = part
        longest = max(part.sizes["y"], part.sizes["x"])
        self._doublings = max(1, math.ceil(math.log2(longest / _LONGEST)))
        shape = [len(range(0, n, self._step(a))) for a, n in part.sizes.items()]
        self._pixels = np.zeros(shape, part.dtype)

    @staticmethod
    def is_needed(part: Image) -> bool:
        """Return whether the planes of a result are too large to be read often."""
        return part.sizes["y"] * part.sizes["x"] > LARGEST_PLANE

    @property
    def levels(self) -> list[Any]:
        """The result at full resolution, then halved again and again."""
        between = []
        for doubling in range(1, self._doublings):
            every = slice(None, None, 2**doubling)
            between.append(self._part.crop({"y": every, "x": every}).data)
        return [self._part.data, *between, self._pixels]

    def fill(self, region: Mapping[str, slice]) -> None:
        """Take over a part of the result, which is complete."""
        wanted, place = {}, []
        for axis, size in self._part.sizes.items():
            step = self._step(axis)
            start, stop, _ = region.get(axis, slice(None)).indices(size)
            first, last = -(-start // step), -(-stop // step)
            if first >= last:
                return
            wanted[axis] = slice(first * step, stop, step)
            place.append(slice(first, last))
        self._pixels[tuple(place)] = self._part.read(wanted)

    def fill_all(self) -> Generator[None]:
        """Take over the whole result, strip by strip."""
        height = self._part.sizes["y"]
        for start in range(0, height, _LONGEST):
            self.fill({"y": slice(start, min(start + _LONGEST, height))})
            yield

    def _step(self, axis: str) -> int:
        return int(2**self._doublings) if axis in ("y", "x") else 1
