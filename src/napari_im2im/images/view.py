"""A part of an array that is read only when it is indexed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.images.image import ArrayLike

Positions = int | range | tuple[int, ...]
"""What to keep of an axis: one position (and no axis), a range, or any positions."""


def part_of(data: ArrayLike, positions: Sequence[Positions]) -> ArrayLike:
    """Return the part of an array at these positions, without reading it.

    Parameters
    ----------
    data
        An n-dimensional array.
    positions
        For each axis what to keep of it, within the array. A range has a
        positive step.

    Returns
    -------
    ArrayLike
        A view of a numpy array, a dask array of a dask array, else an
        `ArrayView`. Of a numpy array, positions that don't follow each other
        are copied.
    """
    positions = [_simplest(chosen) for chosen in positions]
    if isinstance(data, ArrayView):
        return data.part(positions)
    if not isinstance(data, np.ndarray) and not _is_dask(data):
        return ArrayView(data, tuple(positions))
    part: ArrayLike = data
    for axis in reversed(range(len(positions))):
        part = part[(*(slice(None),) * axis, _as_key(positions[axis]))]
    return part


def _is_dask(data: object) -> bool:
    return type(data).__module__.partition(".")[0] == "dask"


def _as_key(positions: Positions) -> int | slice | list[int]:
    if isinstance(positions, range):
        return _as_slice(positions)
    return list(positions) if isinstance(positions, tuple) else positions


def _as_slice(positions: range) -> slice:
    return slice(positions.start, positions.stop, positions.step)


def _simplest(positions: Positions) -> Positions:
    """Return a range for positions that follow each other."""
    if isinstance(positions, tuple) and len(runs := _runs(positions)) == 1:
        return runs[0]
    return positions


def _runs(positions: tuple[int, ...]) -> list[range]:
    runs: list[range] = []
    for position in positions:
        if runs and position == runs[-1].stop:
            runs[-1] = range(runs[-1].start, position + 1)
        else:
            runs.append(range(position, position + 1))
    return runs or [range(0)]


class ArrayView:
    """A part of an array that offers nothing but indexing with slices.

    Parameters
    ----------
    data
        The array: zarr, HDF5 or anything else that returns pixels when it is
        indexed with slices.
    positions
        For each axis of ``data`` what the view has of it.
    """

    def __init__(self, data: ArrayLike, positions: tuple[Positions, ...]) -> None:
        self._data = data
        self._positions = positions
        self.dtype = np.dtype(data.dtype)
        self.shape = tuple(len(p) for p in positions if not isinstance(p, int))
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)

    @property
    def whole(self) -> ArrayLike:
        """The array that this is a part of."""
        return self._data

    @property
    def positions(self) -> tuple[Positions, ...]:
        """For each axis of the whole array what the view has of it."""
        return self._positions

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Size of the blocks that the whole array is read in, if it is known."""
        chunks = getattr(self._data, "chunks", None)
        if chunks is None or len(chunks) != len(self._positions):
            return None
        kept = zip(chunks, self._positions, strict=True)
        return tuple(size for size, chosen in kept if not isinstance(chosen, int))

    def part(self, positions: Sequence[Positions]) -> ArrayView:
        """Return a view of a part of this view, see `part_of`."""
        wanted = iter(positions)
        chosen = tuple(
            own if isinstance(own, int) else _choose(own, next(wanted))
            for own in self._positions
        )
        return ArrayView(self._data, chosen)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read the pixels at integers and slices, one for each axis or fewer."""
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            fill = (slice(None),) * (self.ndim - len(keys) + 1)
            keys = (*keys[:at], *fill, *keys[at + 1 :])
        keys = (*keys, *(slice(None),) * (self.ndim - len(keys)))
        ranges = [range(size)[key] for size, key in zip(self.shape, keys, strict=True)]
        return _read(self._data, self.part(ranges)._positions)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


def _choose(own: range | tuple[int, ...], wanted: Positions) -> Positions:
    if isinstance(wanted, range):
        if wanted.step < 0:
            return tuple(own[i] for i in wanted)
        return own[_as_slice(wanted)]
    if isinstance(wanted, tuple):
        return tuple(own[i] for i in wanted)
    return own[wanted]


def _read(data: ArrayLike, positions: tuple[Positions, ...]) -> np.ndarray:
    """Read one slice for each run of positions, and join them."""
    axis = 0
    for at, chosen in enumerate(positions):
        if isinstance(chosen, tuple):
            before, after = positions[:at], positions[at + 1 :]
            parts = [_read(data, (*before, run, *after)) for run in _runs(chosen)]
            return np.concatenate(parts, axis)
        axis += isinstance(chosen, range)
    return np.asarray(data[tuple(map(_as_key, positions))])
