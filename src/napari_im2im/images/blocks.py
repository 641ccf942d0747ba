"""Walking over an array in blocks that fit into memory."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from napari_im2im.images.image import Image

BLOCK_BYTES = 32 * 2**20


def iterate_blocks(
    shape: Sequence[int],
    chunks: Sequence[int],
    dtype: np.dtype[np.generic],
    *,
    most_bytes: int = BLOCK_BYTES,
) -> Iterator[tuple[slice, ...]]:
    """Yield the slices of blocks that cover an array, each pixel once.

    Parameters
    ----------
    shape
        Size along each axis.
    chunks
        What a block is made of: blocks start on multiples of it.
    dtype
        Data type of the pixels.
    most_bytes
        As many chunks are joined as this allows, along the last axes first; a
        block has at least one chunk.
    """
    block = [min(c, n) for c, n in zip(chunks, shape, strict=True)]
    for axis in reversed(range(len(shape))):
        room = most_bytes // max(1, math.prod(block) * dtype.itemsize)
        block[axis] = min(shape[axis], block[axis] * max(1, room))
        if block[axis] < shape[axis]:
            break
    starts = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    for corner in product(*starts):
        yield tuple(
            slice(start, min(start + b, n))
            for start, b, n in zip(corner, block, shape, strict=True)
        )


def image_blocks(image: Image) -> Iterator[tuple[slice, ...]]:
    """Yield blocks of an image's own chunks, of planes if it has none."""
    planes = tuple(n if a in ("y", "x") else 1 for a, n in image.sizes.items())
    chunks: tuple[int, ...] = getattr(image.data, "chunks", None) or planes
    if len(chunks) != len(planes) or not all(isinstance(n, int) for n in chunks):
        chunks = planes
    return iterate_blocks(image.shape, chunks, image.dtype)
