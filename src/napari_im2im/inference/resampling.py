"""Arrays in another pixel size, computed where they are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.images.image import ArrayLike


@dataclass(frozen=True)
class Grid:
    """Where the pixels of an axis lie on the axis that they are computed from.

    Parameters
    ----------
    size
        Number of pixels.
    step
        Their size, in pixels of the other axis.
    start
        Position of the first pixel's left edge there.
    """

    size: int
    step: float = 1.0
    start: float = 0.0

    def unchanged(self, size: int) -> bool:
        """Return whether they are those of an axis of that size."""
        return (self.size, self.step, self.start) == (size, 1.0, 0.0)


@dataclass(frozen=True)
class Resampled:
    """An array with other pixels along some axes.

    A pixel is a weighted mean of those within one pixel of the coarser grid (a tent,
    as in the antialiased linear interpolation of image libraries), or the nearest
    one. It doesn't depend on which others are read with it.

    Parameters
    ----------
    data
        The array.
    grids
        The new pixels along each axis.
    dtype
        Data type of what is read; integers are rounded.
    nearest
        Whether to take the nearest pixel, as for labels.
    """

    data: ArrayLike
    grids: tuple[Grid, ...]
    dtype: np.dtype[Any]
    nearest: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return tuple(grid.size for grid in self.grids)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.grids)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """About the chunks of the array."""
        chunks = getattr(self.data, "chunks", None)
        if not chunks:
            return None
        return tuple(
            max(1, min(grid.size, round(size / grid.step)))
            for size, grid in zip(
                (c if isinstance(c, int) else max(c) for c in chunks),
                self.grids,
                strict=True,
            )
        )

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read pixels; whole numbers drop their axis, as for numpy."""
        keys = _complete(key, self.ndim)
        wanted = [
            np.arange(grid.size)[k if isinstance(k, slice) else [k]]
            for k, grid in zip(keys, self.grids, strict=True)
        ]
        if any(not len(positions) for positions in wanted):
            return np.empty([len(positions) for positions in wanted], self.dtype)
        taps = [
            _taps(positions, grid, size, nearest=self.nearest)
            for positions, grid, size in zip(
                wanted, self.grids, self.data.shape, strict=True
            )
        ]
        region = tuple(
            slice(int(index.min()), int(index.max()) + 1) for index, _ in taps
        )
        pixels = np.asarray(self.data[region])
        for axis, ((index, weights), part) in enumerate(zip(taps, region, strict=True)):
            pixels = _weighted(pixels, axis, index - part.start, weights)
        if self.dtype.kind in "iu" and pixels.dtype.kind == "f":
            pixels = np.rint(pixels)
        dropped = tuple(0 if isinstance(k, int) else slice(None) for k in keys)
        result: np.ndarray = pixels.astype(self.dtype, copy=False)[dropped]
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


def _complete(key: Any, ndim: int) -> list[slice | int]:
    """Return one slice or position for each axis."""
    keys = list(key) if isinstance(key, tuple) else [key]
    at = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    missing = ndim - (len(keys) - (at < len(keys)))
    keys[at : at + 1] = [slice(None)] * missing
    return [k if isinstance(k, slice) else int(k) for k in keys]


def _taps(
    positions: np.ndarray, grid: Grid, size: int, *, nearest: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return which pixels each position is made of, and with which weights.

    Parameters
    ----------
    positions
        Of the new pixels, shape ``(n,)``.
    grid, size
        The new axis, and the length of the other.
    nearest
        Whether it is one pixel, of weight 1.

    Returns
    -------
    index, weights : np.ndarray
        Shape ``(n, taps)``; no weights where pixels stay as they are.
    """
    # What lies outside is like the border.
    centres = np.clip(grid.start + (positions + 0.5) * grid.step, 0, size)
    if nearest or grid.unchanged(size):
        index = np.clip(np.floor(centres).astype(np.intp), 0, size - 1)
        return index[:, None], None
    width = max(1.0, grid.step)
    count = 2 * math.ceil(width) + 1
    first = np.floor(centres - width).astype(np.intp)
    index = first[:, None] + np.arange(count)
    weights = np.maximum(0, 1 - np.abs(index + 0.5 - centres[:, None]) / width)
    weights[(index < 0) | (index >= size)] = 0
    weights /= weights.sum(1, keepdims=True)
    return np.clip(index, 0, size - 1), weights.astype(np.float32)


def _weighted(
    pixels: np.ndarray, axis: int, index: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    if weights is None:
        (column,) = index.T
        if len(column) == pixels.shape[axis] and (np.diff(column) == 1).all():
            return pixels
        taken: np.ndarray = np.take(pixels, column, axis)
        return taken
    shape = [1] * pixels.ndim
    shape[axis] = len(index)
    total: np.ndarray | None = None
    for column, weight in zip(index.T, weights.T, strict=True):
        if not weight.any():
            continue
        part = np.take(pixels, column, axis) * weight.reshape(shape)
        total = part if total is None else total + part
    assert total is not None
    return total


def resampled(
    data: ArrayLike,
    grids: Sequence[Grid],
    dtype: np.dtype[Any],
    *,
    nearest: bool = False,
) -> ArrayLike:
    """Return an array on other pixels; the array itself where they are its own."""
    same = all(g.unchanged(n) for g, n in zip(grids, data.shape, strict=True))
    if same:
        return data
    return Resampled(data, tuple(grids), dtype, nearest)
