"""Parts of an array that are decoded one after the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_im2im.images.blocks import iterate_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

Region = tuple[slice, ...]

MOST_PIXELS = 1 << 21
"""Pixels of a block: decoding needs about 100 bytes for each of them."""

_CHUNK = {1: 1 << 20, 2: 256, 3: 32}


class Array(Protocol):
    """What numpy, zarr and dask arrays share."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    def __getitem__(self, key: Any, /) -> Any: ...


class WritableArray(Array, Protocol):
    """A numpy or zarr array."""

    def __setitem__(self, key: Any, value: Any, /) -> None: ...


def cut_blocks(
    shape: Sequence[int], chunks: Sequence[int] | None, most_pixels: int = MOST_PIXELS
) -> list[Region]:
    """Return the blocks that cover an array, each pixel once.

    Parameters
    ----------
    shape
        Size along each axis.
    chunks
        Blocks consist of whole chunks; None for an array without.
    most_pixels
        Pixels of a block, if its chunks aren't larger.
    """
    if chunks is None:
        chunks = [_CHUNK.get(len(shape), 32)] * len(shape)
    chunks = [min(chunk, size) for chunk, size in zip(chunks, shape, strict=True)]
    # Blocks as long as wide have the least margin: halve the longest side.
    block = list(shape)
    while math.prod(block) > most_pixels:
        counts = [-(-size // chunk) for size, chunk in zip(block, chunks, strict=True)]
        longest = max(range(len(block)), key=lambda i: (counts[i] > 1) * block[i])
        if counts[longest] == 1:
            break
        block[longest] = (counts[longest] + 1) // 2 * chunks[longest]
    one = np.dtype(np.uint8)
    return list(iterate_blocks(shape, block, one, most_bytes=1))


def widened(core: Region, margin: Sequence[int], shape: Sequence[int]) -> Region:
    """Return a region with a margin around it, inside the array."""
    return tuple(
        slice(max(0, part.start - m), min(size, part.stop + m))
        for part, m, size in zip(core, margin, shape, strict=True)
    )


def within(core: Region, crop: Region) -> Region:
    """Return where a region lies inside a larger one."""
    return tuple(
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(core, crop, strict=True)
    )
