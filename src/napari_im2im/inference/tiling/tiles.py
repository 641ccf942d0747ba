"""Where tiles lie, so that a tiled prediction equals that of the whole image.

A *tile* is what the network gets, its *core* the part of the result that is kept.
Cores partition the image. A tile starts on a multiple of the network's stride and
reaches beyond its core by the halo, or to the border of the image, where the
network sees the same border as in the whole image. An image that has not a size
that the network takes is continued by reflection at its end; the *padded* image is
what "whole" means.

Nothing here reads pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.models.tensors import FixedSize, SteppedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TILE_OVERHEAD = 20_000
"""Fixed cost of a tile, in pixels computed."""

_COUNTS = (*range(1, 9), *(round(8 * 1.25**n) for n in range(1, 19)))


def _floor(value: int, grid: int) -> int:
    return value // grid * grid


def _ceil(value: int, grid: int) -> int:
    return -(-value // grid) * grid


@dataclass(frozen=True)
class AxisTile:
    """One tile along one axis, in pixels of the padded image.

    Pixels ``[start, stop)`` go through the network, ``[core_start, core_stop)`` of
    the image are kept of its result.
    """

    start: int
    stop: int
    core_start: int
    core_stop: int

    @property
    def size(self) -> int:
        """Pixels that go through the network."""
        return self.stop - self.start

    @property
    def core(self) -> slice:
        """The part of the image that is kept."""
        return slice(self.core_start, self.core_stop)


Tile = dict[str, AxisTile]
"""One tile of an image: by axis."""


@dataclass(frozen=True)
class AxisGeometry:
    """How an axis of an image is cut into tiles.

    Parameters
    ----------
    size
        Pixels of the image.
    rule
        The sizes that the network takes.
    grid
        Tiles start on its multiples: the network's stride, or a multiple of it.
    before, after
        Halo in pixels: how far a result depends on what lies before and after it.
    """

    size: int
    rule: FixedSize | SteppedSize
    grid: int = 1
    before: int = 0
    after: int = 0

    @property
    def padded(self) -> int:
        """Smallest size from `size` on that the network, or its tiles, can take."""
        if isinstance(self.rule, FixedSize):
            beyond = max(0, self.size - self.rule.size)
            return self.rule.size + _ceil(beyond, self.grid)
        beyond = max(0, self.size - self.rule.minimum)
        return self.rule.minimum + _ceil(beyond, self.rule.step)

    @property
    def largest_core(self) -> int:
        """Largest core that a tile can have, at least one step of the grid.

        It is the whole axis unless the network takes one size only.
        """
        if not isinstance(self.rule, FixedSize) or self.padded == self.rule.size:
            return self.padded
        inner = self.rule.size - _ceil(self.before, self.grid) - self.after
        return max(self.grid, _floor(inner, self.grid))

    @property
    def fits(self) -> bool:
        """Whether a tile has room for a core between its halos."""
        if not isinstance(self.rule, FixedSize) or self.padded == self.rule.size:
            return True
        halo = _ceil(self.before, self.grid) + self.after
        return self.rule.size - halo >= self.grid

    def core(self, count: int, chunk: int | None = None) -> int:
        """Return the size of the cores that cut the axis into ``count`` parts.

        Parameters
        ----------
        count
            How many; fewer come out where rounding up covers the axis sooner.
        chunk
            Make the core a multiple of a chunk of at most this size.
        """
        if count == 1 and self.largest_core >= self.size:
            return self.padded
        part = math.ceil(self.size / count)
        pieces = math.ceil(part / max(chunk, self.grid)) if chunk else 1
        core = _ceil(part, self.grid * pieces)
        return min(core, self.largest_core)

    def tile(self, core_start: int, core_stop: int) -> AxisTile:
        """Return the tile whose result is right on a core."""
        grid, padded = self.grid, self.padded
        start = max(0, _floor(core_start - self.before, grid))
        if isinstance(self.rule, FixedSize):
            size = self.rule.size
            start = min(start, padded - size)
            return AxisTile(start, start + size, core_start, core_stop)
        minimum, step = self.rule.minimum, self.rule.step
        size = max(minimum, core_stop + self.after - start)
        if minimum % step == 0:
            size = _ceil(size, math.lcm(grid, step))
        else:  # The tile's end is off the grid: keep it one step further away.
            size = minimum + _ceil(size + grid - 1 - minimum, step)
        if start + size >= padded:
            start = max(0, min(start, _floor(padded - minimum, math.lcm(grid, step))))
            size = padded - start
        return AxisTile(start, start + size, core_start, core_stop)

    def tiles(self, core: int, region: slice | None = None) -> list[AxisTile]:
        """Cut the axis, or a region of it, into tiles.

        Parameters
        ----------
        core
            Size of the cores; they lie on its multiples whatever the region is, so
            that a region gets the values of the whole.
        region
            Pixels wanted, within the image; default: all.
        """
        region = slice(0, self.size) if region is None else region
        starts = range(_floor(region.start, core), region.stop, core)
        return [
            self.tile(max(start, region.start), min(start + core, region.stop))
            for start in starts
        ]

    def sizes(self, core: int) -> list[int]:
        """Return the size of each tile that cores of this size lead to."""
        return [tile.size for tile in self.tiles(core)]


def choose_cores(
    axes: Mapping[str, AxisGeometry],
    max_pixels: int,
    *,
    chunks: Mapping[str, int] | None = None,
    share: float = 1.0,
) -> dict[str, int]:
    """Choose the tiles that cost least among those that fit.

    Parameters
    ----------
    axes
        The axes that can be cut.
    max_pixels
        Largest tile: its pixels and those of its core, weighed by `share`.
    chunks
        Largest chunk of the output by axis, in pixels of the input: cores are
        multiples of chunks, so that no two tiles share one.
    share
        Cost of a pixel outside the core, of one inside.

    Returns
    -------
    dict[str, int]
        Size of the cores by axis. If nothing fits, the smallest tiles.
    """
    options: list[list[tuple[int, list[int]]]] = []
    for axis, geometry in axes.items():
        chunk = (chunks or {}).get(axis)
        counts = [count for count in _COUNTS if count <= geometry.size]
        cores = sorted({geometry.core(count, chunk) for count in counts})
        options.append([(core, geometry.sizes(core)) for core in cores])

    def cost(choice: tuple[tuple[int, list[int]], ...]) -> tuple[bool, float]:
        largest = math.prod(max(sizes) for _, sizes in choice)
        cores = math.prod(min(core, max(sizes)) for core, sizes in choice)
        largest_cost = share * largest + (1 - share) * cores
        if largest_cost > max_pixels:
            return True, largest_cost
        pixels = math.prod(sum(sizes) for _, sizes in choice)
        tiles = math.prod(len(sizes) for _, sizes in choice)
        # Those of the cores are the same, however they are cut.
        return False, share * pixels + TILE_OVERHEAD * tiles

    best = min(product(*options), key=cost)
    return {axis: core for axis, (core, _) in zip(axes, best, strict=True)}


def core_of_tile(geometry: AxisGeometry, tile: int) -> int:
    """Return the core that a tile of about this size has, at least one grid step."""
    if tile >= geometry.padded:
        return geometry.core(1)
    grid = geometry.grid
    inner = tile - _ceil(geometry.before, grid) - _ceil(geometry.after, grid)
    core = max(grid, _floor(inner, grid))
    return min(core, geometry.largest_core)


def split_tile(
    tile: Tile,
    axes: Mapping[str, AxisGeometry],
    smallest: Mapping[str, int] | None = None,
) -> list[Tile]:
    """Return the two tiles that do the work of one with less memory.

    Parameters
    ----------
    tile
        Its longest core is halved, on the grid.
    axes
        How the axes are cut.
    smallest
        Smallest core by axis.

    Returns
    -------
    list of Tile
        The tile alone if it can't be halved.
    """
    by_size = sorted(tile, key=lambda axis: tile[axis].size, reverse=True)
    for axis in by_size:
        part, geometry = tile[axis], axes[axis]
        if isinstance(geometry.rule, FixedSize):
            continue
        middle = _floor((part.core_start + part.core_stop) // 2, geometry.grid)
        least = max(1, (smallest or {}).get(axis, 1))
        if min(middle - part.core_start, part.core_stop - middle) < least:
            continue
        halves = [
            geometry.tile(part.core_start, middle),
            geometry.tile(middle, part.core_stop),
        ]
        if max(half.size for half in halves) < part.size:
            return [{**tile, axis: half} for half in halves]
    return [tile]


def with_halo(
    axes: Mapping[str, AxisGeometry], halo: Mapping[str, tuple[int, int]]
) -> dict[str, AxisGeometry]:
    """Return the same axes with other halos (before, after)."""
    return {
        axis: replace(geometry, before=halo[axis][0], after=halo[axis][1])
        if axis in halo
        else geometry
        for axis, geometry in axes.items()
    }


def all_tiles(
    axes: Mapping[str, AxisGeometry],
    cores: Mapping[str, int],
    region: Mapping[str, slice] | None = None,
) -> list[Tile]:
    """Return the tiles of an image in the order of its pixels."""
    region = region or {}
    lists: Sequence[list[AxisTile]] = [
        geometry.tiles(cores[axis], region.get(axis)) for axis, geometry in axes.items()
    ]
    return [dict(zip(axes, parts, strict=True)) for parts in product(*lists)]


def reflected_positions(start: int, stop: int, size: int) -> np.ndarray:
    """Return the pixels that stand at positions of an image continued by reflection.

    Parameters
    ----------
    start, stop
        Positions wanted; those outside ``[0, size)`` are mirrored at the centre of
        the first and last pixel, as often as needed.
    size
        Pixels of the image.

    Returns
    -------
    np.ndarray
        Integers in ``[0, size)``, shape ``(stop - start,)``.

    Examples
    --------
    >>> reflected_positions(0, 7, 3).tolist()
    [0, 1, 2, 1, 0, 1, 2]
    """
    if size == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (size - 1)
    positions = np.arange(start, stop) % period
    return np.minimum(positions, period - positions).astype(np.intp)
