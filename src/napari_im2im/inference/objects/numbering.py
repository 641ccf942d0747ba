"""Final numbers of objects, which don't depend on how an image was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_im2im.inference.objects.blocks import Region, WritableArray


def renumber(
    labels: WritableArray, blocks: Sequence[Region], smallest: int
) -> Iterator[None]:
    """Remove small objects, and number the others from 1 by their first pixel.

    Yields after each block, twice for all of them.

    Parameters
    ----------
    labels
        Labels ``([z,] y, x)``, int32; changed in place.
    blocks
        Regions that cover it.
    smallest
        Objects of fewer pixels become background.
    """
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for block in blocks:
        found.append(_census(np.asarray(labels[block]), block, labels.shape))
        yield
    names, counts, firsts = (np.concatenate(part) for part in zip(*found, strict=True))
    objects, inverse = np.unique(names, return_inverse=True)
    sizes = np.bincount(inverse, counts, minlength=len(objects))
    first = np.full(len(objects), np.iinfo(np.int64).max)
    np.minimum.at(first, inverse, firsts)
    kept = np.flatnonzero(sizes >= smallest)
    table = np.zeros(int(objects.max(initial=0)) + 1, np.int32)
    table[objects[kept[np.argsort(first[kept])]]] = np.arange(1, len(kept) + 1)
    for block in blocks:
        labels[block] = table[np.asarray(labels[block])]
        yield


def _census(
    pixels: np.ndarray, block: Region, shape: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the labels of a block, their sizes, and the index of their first pixel."""
    names, first, counts = np.unique(pixels, return_index=True, return_counts=True)
    corners = np.unravel_index(first, pixels.shape)
    positions = [i + part.start for i, part in zip(corners, block, strict=True)]
    index = np.ravel_multi_index(positions, tuple(shape)).astype(np.int64)
    objects = names > 0
    return names[objects], counts[objects], index[objects]
