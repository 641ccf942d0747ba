"""Choosing tiles for one image and one model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psutil

from napari_im2im.errors import ConfigError
from napari_im2im.inference.outputs import CHUNK_PIXELS
from napari_im2im.inference.tiling.tiles import (
    TILE_OVERHEAD,
    AxisGeometry,
    Tile,
    all_tiles,
    choose_cores,
    core_of_tile,
    with_halo,
)
from napari_im2im.models.tensors import FixedSize, SteppedSize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.receptive_field import ReceptiveField

_BYTES_PER_PIXEL = 640
"""What a U-Net of 32 channels needs for each pixel of its input."""
_LARGEST_ON_CPU = 3 * 2**29
_SHARE_OF_FREE = 0.4
_MOST_REPEATED = 1.3
"""From here on larger tiles are worth their memory."""
_BLEND = 64


@dataclass(frozen=True)
class Plan:
    """The tiles of one image.

    Parameters
    ----------
    axes
        How each axis is cut, halo included.
    cores
        Size of the cores by axis.
    region
        What is predicted, by axis.
    overlap
        Where tiles are blended: by how many pixels at each end; else empty.
    message
        What the user should know about it, or empty.
    warning
        Whether it stays visible.
    """

    axes: Mapping[str, AxisGeometry]
    cores: Mapping[str, int]
    region: Mapping[str, slice]
    overlap: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    warning: bool = False

    @property
    def tiles(self) -> list[Tile]:
        """All tiles, in the order of the image's pixels."""
        return all_tiles(self.axes, self.cores, self.region)

    @property
    def tile_shape(self) -> dict[str, int]:
        """Size of the largest tile by axis."""
        return {
            axis: max(geometry.sizes(self.cores[axis]))
            for axis, geometry in self.axes.items()
        }

    @property
    def halo(self) -> dict[str, int]:
        """Pixels that tiles overlap at each end."""
        return {axis: max(g.before, g.after) for axis, g in self.axes.items()}

    def cost(self, share: float = 1.0) -> float:
        """Return what all tiles cost, in pixels computed; see `make_plan`."""
        tiles = self.tiles
        cores = math.prod(part.stop - part.start for part in self.region.values())
        pixels = sum(math.prod(part.size for part in tile.values()) for tile in tiles)
        cost: float = share * pixels + (1 - share) * cores + TILE_OVERHEAD * len(tiles)
        return cost


def axis_geometries(
    geometry: ModelGeometry,
    sizes: Mapping[str, int],
    strides: Mapping[str, int],
    *,
    mirrored: bool = False,
) -> dict[str, AxisGeometry]:
    """Return how each axis can be cut, without halo yet.

    Parameters
    ----------
    geometry
        The model.
    sizes
        The image, in pixels of the first input with that axis.
    strides
        Stride by axis.
    mirrored
        Whether tiles must lie on the grid of the mirrored image too.
    """
    axes = {}
    for axis, rule in geometry.rules.items():
        grid = math.lcm(strides.get(axis, 1), geometry.denominators[axis])
        if isinstance(rule, SteppedSize):
            grid = math.lcm(grid, rule.step)
            if mirrored and rule.minimum % rule.step == 0:
                rule = SteppedSize(-(-rule.minimum // grid) * grid, grid)
        axes[axis] = AxisGeometry(sizes[axis], rule, grid)
    return axes


def make_plan(
    config: PredictConfig,
    geometry: ModelGeometry,
    axes: Mapping[str, AxisGeometry],
    region: Mapping[str, slice],
    receptive_field: ReceptiveField,
    device: str,
    share: float = 1.0,
) -> Plan:
    """Choose the tiles.

    Parameters
    ----------
    config
        What is asked for.
    geometry, axes
        The model and the image; the halo is kept if tiles can be exact.
    region
        What is predicted, by axis.
    receptive_field
        Of the network.
    device
        Where it runs; its free memory limits the tiles.
    share
        Cost of a pixel outside the core, of one inside.
    """
    axes = dict(axes)
    if receptive_field.exact and config.overlap == "exact":
        if all(g.fits for g in axes.values()):
            return Plan(axes, _cores(config, geometry, axes, device, share), region)
        reason = "needs a halo that leaves nothing of its fixed size"
    elif receptive_field.exact:
        return _blended(config, geometry, axes, region, device)
    else:
        reason = receptive_field.reason
        free = free_memory(device) * 0.7
        pixels = math.prod(g.padded for g in axes.values())
        axes = with_halo(axes, dict.fromkeys(axes, (0, 0)))
        whole = {axis: g.core(1) for axis, g in axes.items()}
        cut = any(whole[axis] < g.size for axis, g in axes.items())
        asked = config.tile is not None
        if not (cut or asked) and pixels * _BYTES_PER_PIXEL <= free:
            message = f"Predicted in one piece, because this network {reason}."
            return Plan(axes, whole, region, message=message)
    plan = _blended(config, geometry, axes, region, device)
    message = (
        f"This network {reason}, so that its result depends on the tiles: they "
        f"overlap by {2 * max(plan.overlap.values(), default=0)} pixels and are "
        "blended."
    )
    return replace(plan, message=message, warning=True)


def _blended(
    config: PredictConfig,
    geometry: ModelGeometry,
    axes: Mapping[str, AxisGeometry],
    region: Mapping[str, slice],
    device: str,
) -> Plan:
    """Return tiles that fade into each other."""
    overlap = {
        axis: _overlap(g, config.halo, axis)
        for axis, g in axes.items()
        if axis not in geometry.untiled
    }
    blended = with_halo(axes, {axis: (n, n) for axis, n in overlap.items()})
    cores = _cores(config, geometry, blended, device)
    overlap = {axis: min(n, cores[axis] // 2) for axis, n in overlap.items()}
    return Plan(blended, cores, region, overlap)


def _overlap(geometry: AxisGeometry, halo: str | Mapping[str, int], axis: str) -> int:
    """Return by how many pixels a tile reaches beyond its core."""
    if not isinstance(halo, str) and axis in halo:
        return max(1, halo[axis])
    if isinstance(geometry.rule, FixedSize):
        return max(1, geometry.rule.size // 8)
    return max(1, min(_BLEND, geometry.size // 4))


def _cores(
    config: PredictConfig,
    geometry: ModelGeometry,
    axes: Mapping[str, AxisGeometry],
    device: str,
    share: float = 1.0,
) -> dict[str, int]:
    asked = config.tile or {}
    unknown = [axis for axis in asked if axis not in axes]
    if unknown:
        raise ConfigError(
            f"There is no axis {unknown[0]!r} to tile: this model has "
            f"{', '.join(axes)}."
        )
    cores = {
        axis: core_of_tile(axes[axis], tile)
        for axis, tile in asked.items()
        if axis not in geometry.untiled
    }
    cores |= {axis: axes[axis].core(1) for axis in geometry.untiled}
    free = {axis: g for axis, g in axes.items() if axis not in cores}
    taken = math.prod(max(axes[axis].sizes(core)) for axis, core in cores.items())
    limit = CHUNK_PIXELS.get(len(axes), 64)
    chunks = dict.fromkeys(free, limit)
    most = most_pixels(device, config.precision)
    largest = most_pixels(device, config.precision, spare=False)
    chosen = choose_cores(free, most // taken, chunks=chunks, share=share)
    while most < largest and _repeated(free, chosen, share) > _MOST_REPEATED:
        most = min(most + most // 2, largest)
        chosen = choose_cores(free, most // taken, chunks=chunks, share=share)
    return {axis: {**cores, **chosen}[axis] for axis in axes}


def _repeated(
    axes: Mapping[str, AxisGeometry], cores: Mapping[str, int], share: float
) -> float:
    """Return how often a pixel is computed, on average."""
    every = math.prod(
        sum(geometry.sizes(cores[axis])) / geometry.padded
        for axis, geometry in axes.items()
    )
    return share * every + 1 - share


def most_pixels(device: str, precision: str, *, spare: bool = True) -> int:
    """Return how many pixels a tile may have for the memory that is free.

    Parameters
    ----------
    device, precision
        Where and how it runs.
    spare
        Whether to leave most of the computer's memory alone.
    """
    usable = free_memory(device) * _SHARE_OF_FREE
    if device == "cpu" and spare:
        usable = min(usable, _LARGEST_ON_CPU)
    return max(1, int(usable / tile_bytes(1, precision)))


def tile_bytes(pixels: int, precision: str) -> int:
    """Estimate the bytes that a tile needs while it is computed."""
    half = precision != "float32"
    return pixels * (_BYTES_PER_PIXEL // 2 if half else _BYTES_PER_PIXEL)


def free_memory(device: str) -> int:
    """Return the free bytes of a device."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return int(psutil.virtual_memory().available)
