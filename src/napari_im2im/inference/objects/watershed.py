"""Objects from foreground and boundaries, by a watershed that can be cut anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from skimage.segmentation import watershed

from napari_im2im.inference.objects.blocks import MOST_PIXELS, widened, within
from napari_im2im.inference.objects.seeds import label_regions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_im2im.inference.objects.blocks import Array, Region, WritableArray

_MARGIN = 16
"""First margin of a block; it is doubled where it isn't enough."""

_LEVELS = 2**20 - 1
_POSITIONS = 2**32
_MULTIPLIER = 2654435761
"""Odd, so that it mixes positions without giving two of them the same number."""


@dataclass(frozen=True)
class Watershed:
    """How foreground and boundary become objects.

    An object starts where the interior, ``foreground * (1 - boundary)`` (its mean with
    the distance, where there is one), is above a threshold, and floods the foreground
    from there, most interior pixels first.

    Parameters
    ----------
    foreground
        Probability from which a pixel belongs to an object.
    seed
        Interior from which a pixel belongs to a seed.
    smallest_seed
        Seeds of fewer pixels are ignored.
    """

    foreground: float = 0.5
    seed: float = 0.5
    smallest_seed: int = 1

    def decode(
        self,
        maps: Array,
        labels: WritableArray,
        blocks: Sequence[Region],
        most_pixels: int = 8 * MOST_PIXELS,
    ) -> Iterator[None]:
        """Write the objects, numbered in any way; yields twice for each block.

        Parameters
        ----------
        maps
            ``(c, [z,] y, x)``: foreground, boundary and, where there is one, the
            distance to the boundary; all between 0 and 1.
        labels
            Labels ``([z,] y, x)``, int32.
        blocks
            Regions that cover it, in C order.
        most_pixels
            Largest part that is looked at in order to be exact.

        Notes
        -----
        The result is that of the whole image. Seeds are named across blocks. Each
        block is flooded with a margin, whose outer border starts a flood of its own
        that stands for all that may come from outside. A pixel that this flood
        doesn't reach has the label that it has in the whole image: the path that it
        was flooded along is cheaper than any from outside, hence part of the minimum
        spanning forest of the whole (Cousty et al. 2009,
        https://doi.org/10.1109/TPAMI.2008.173). Where the flood reaches the block
        itself, the margin is doubled, up to ``most_pixels``; what is undecided even
        then is flooded from the seeds in sight.
        """
        names = yield from label_regions(
            lambda region: self._seeds(*self._read(maps, region)),
            labels,
            blocks,
            self.smallest_seed,
        )
        for block in blocks:
            self._flood(maps, labels, block, names, most_pixels)
            yield

    def _read(self, maps: Array, region: Region) -> tuple[np.ndarray, np.ndarray]:
        """Return where the foreground is, and how far inside an object pixels are."""
        values = np.asarray(maps[(slice(None), *region)], np.float32)
        interior = values[0] * (1 - values[1])
        if len(values) > 2:
            interior = (interior + values[2]) / 2
        return values[0] > self.foreground, np.clip(interior, 0, 1)

    def _seeds(self, foreground: np.ndarray, interior: np.ndarray) -> np.ndarray:
        seeds: np.ndarray = foreground & (interior > self.seed)
        return seeds

    def _flood(
        self,
        maps: Array,
        labels: WritableArray,
        block: Region,
        names: np.ndarray,
        most_pixels: int,
    ) -> None:
        shape = labels.shape
        margin, outside = _MARGIN, len(names)
        while True:
            crop = widened(block, [margin] * len(shape), shape)
            core = within(block, crop)
            foreground, interior = self._read(maps, crop)
            if not foreground[core].any():
                labels[block] = 0
                return
            # What is final already kept the numbers of its seeds.
            known = names[np.asarray(labels[crop])]
            seeds = np.where(self._seeds(foreground, interior), known, 0)
            relief = _relief(interior, crop, shape)
            border = _border(crop, shape) & foreground & (seeds == 0)
            flooded = _flooded(relief, seeds, foreground, border, outside)[core]
            margin *= 2
            larger = widened(block, [margin] * len(shape), shape)
            if not (flooded == outside).any():
                break
            if np.prod([part.stop - part.start for part in larger]) > most_pixels:
                flooded = _flooded(relief, seeds, foreground)[core]
                break
        labels[block] = flooded


def _flooded(
    relief: np.ndarray,
    seeds: np.ndarray,
    foreground: np.ndarray,
    border: np.ndarray | None = None,
    outside: int = 0,
) -> np.ndarray:
    """Flood the foreground from seeds, and from a border that comes before them."""
    if border is not None and border.any():
        seeds = np.where(border, outside, seeds)
        relief = np.where(border, -1, relief)
    result: np.ndarray = watershed(relief, seeds.astype(np.int32), mask=foreground)
    return result


def _relief(interior: np.ndarray, crop: Region, shape: Sequence[int]) -> np.ndarray:
    """Return the relief to flood; each pixel has its own height.

    Where two were equal, the order of flooding would decide, which depends on what
    else is flooded. Positions, mixed, fill the digits below those of the interior.
    """
    position = np.zeros((1,) * len(shape), np.uint64)
    for axis, (part, size) in enumerate(zip(crop, shape, strict=True)):
        column = [-1 if i == axis else 1 for i in range(len(shape))]
        along = np.arange(part.start, part.stop, dtype=np.uint64).reshape(column)
        position = position * np.uint64(size) + along
    mixed = position * np.uint64(_MULTIPLIER) % np.uint64(_POSITIONS)
    relief: np.ndarray = np.rint((1 - interior) * _LEVELS) * _POSITIONS + mixed
    return relief


def _border(crop: Region, shape: Sequence[int]) -> np.ndarray:
    """Return the outermost pixels of a part where the image goes on beyond them."""
    border = np.zeros([part.stop - part.start for part in crop], bool)
    for axis, (part, size) in enumerate(zip(crop, shape, strict=True)):
        sides = np.moveaxis(border, axis, 0)
        if part.start > 0:
            sides[0] = True
        if part.stop < size:
            sides[-1] = True
    return border
