"""Writing OME-Zarr 0.5, in parts and with a pyramid."""

from __future__ import annotations

import math
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import zarr

from napari_im2im.errors import ImageError
from napari_im2im.images.atomic import refuse_existing, remove, write_errors
from napari_im2im.images.blocks import BLOCK_BYTES, iterate_blocks
from napari_im2im.images.formats.contents import PROVENANCE
from napari_im2im.images.image import AXES, SPATIAL_AXES, parse_axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

_COLOURS = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")
_SMALLEST_LEVEL = 256
"""A pyramid ends where no spatial axis is longer than this."""


def create_ome_zarr(
    path: str | Path,
    *,
    shape: Sequence[int],
    axes: str | Sequence[str],
    dtype: DTypeLike,
    scale: Mapping[str, float],
    units: Mapping[str, str],
    channel_names: Sequence[str] = (),
    chunks: Sequence[int],
    shards: Sequence[int] | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> zarr.Array:
    """Create an OME-Zarr 0.5 image of one level, to be filled by the caller.

    Parameters
    ----------
    path
        Folder of the store; folders above it are created.
    shape
        Size along each axis.
    axes
        Names or letters, in the order that OME-Zarr demands: time, channel, z,
        y, x. Any but y and x may be missing.
    dtype
        Data type of the pixels.
    scale, units
        Pixel size by axis and its unit, spelled out.
    channel_names
        One name a channel, or none.
    chunks
        Size of a chunk along each axis. Larger than the image is cut.
    shards
        Size of a shard along each axis, which is one file of many chunks;
        rounded up to whole chunks. Without it every chunk is a file.
    metadata
        Plain data that is kept in the attributes under ``napari_im2im``.
    overwrite
        Whether a store that is there already may be deleted.

    Returns
    -------
    zarr.Array
        Level 0, full of zeros.

    Raises
    ------
    ImageError
        If the axes aren't in order, something is in the way, or the disk
        refuses.
    """
    path = Path(path)
    names = parse_axes(axes)
    if [a for a in AXES if a in names] != list(names) or names[-2:] != ("y", "x"):
        raise ImageError(
            f"An OME-Zarr image can't have the axes {'/'.join(names)}: order them as "
            "time, channel, z, y, x, with at least y and x."
        )
    chunks = [max(1, min(c, n)) for c, n in zip(chunks, shape, strict=True)]
    if shards is not None:
        wanted = [min(s, n) for s, n in zip(shards, shape, strict=True)]
        shards = [-(-s // c) * c for s, c in zip(wanted, chunks, strict=True)]
    refuse_existing(path, overwrite=overwrite)
    dtype = np.dtype(dtype).newbyteorder("=")
    with write_errors(path):
        remove(path)
        group = zarr.create_group(path, zarr_format=3)
        array = _create_level(group, "0", shape, dtype, names, chunks, shards)
        multiscale = {
            "name": path.name.removesuffix(".zarr").removesuffix(".ome"),
            "axes": [_describe_axis(name, units) for name in names],
            "datasets": [_describe_level("0", [scale.get(a, 1.0) for a in names])],
        }
        ome: dict[str, Any] = {"version": "0.5", "multiscales": [multiscale]}
        if channel_names:
            ome["omero"] = {"channels": _describe_channels(channel_names, dtype)}
        group.attrs.put({"ome": ome, PROVENANCE: dict(metadata or {})})
    return array


def _create_level(
    group: zarr.Group,
    name: str,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    axes: Sequence[str],
    chunks: Sequence[int],
    shards: Sequence[int] | None,
) -> zarr.Array:
    return group.create_array(
        name,
        shape=tuple(shape),
        dtype=dtype,
        chunks=tuple(chunks),
        shards=tuple(shards) if shards else None,
        dimension_names=[axis[0] for axis in axes],
        overwrite=True,
    )


def _describe_axis(axis: str, units: Mapping[str, str]) -> dict[str, str]:
    kind = "space" if axis in SPATIAL_AXES else axis
    unit = {"unit": units[axis]} if axis in units and axis != "channel" else {}
    return {"name": axis[0], "type": kind, **unit}


def _describe_level(name: str, sizes: Sequence[float]) -> dict[str, Any]:
    transformations = [{"type": "scale", "scale": list(map(float, sizes))}]
    return {"path": name, "coordinateTransformations": transformations}


def _describe_channels(
    names: Sequence[str], dtype: np.dtype[Any]
) -> list[dict[str, Any]]:
    low, high = 0, 1
    if dtype.kind in "iu":
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    window = {"min": low, "max": high, "start": low, "end": high}
    colours = cycle(_COLOURS[1:] if len(names) > 1 else _COLOURS)
    return [
        {"label": name, "color": colour, "window": dict(window), "active": True}
        for name, colour in zip(names, colours, strict=False)
    ]


def add_pyramid(
    path: str | Path, *, method: Literal["mean", "nearest"] = "mean"
) -> None:
    """Add smaller levels to an OME-Zarr image that has only its first.

    Each level halves the spatial axes that are longer than 256 pixels. It is
    made from the one before in blocks, so memory doesn't grow with the image.
    Levels are named in the metadata once all are complete.

    Parameters
    ----------
    path
        Store as `create_ome_zarr` makes it, filled.
    method
        ``mean`` of 2 × 2 (× 2) pixels, or the ``nearest``, for labels.

    Raises
    ------
    ImageError
        If the disk refuses.
    """
    path = Path(path)
    with write_errors(path):
        group = zarr.open_group(path, mode="r+")
        ome: dict[str, Any] = dict(group.attrs["ome"])
        multiscale = ome["multiscales"][0]
        axes = parse_axes([axis["name"] for axis in multiscale["axes"]])
        first = multiscale["datasets"][0]
        levels, sizes = [first], first["coordinateTransformations"][0]["scale"]
        level: Any = group[first["path"]]
        while factors := _halving(axes, level.shape):
            smaller = _create_level(
                group,
                str(len(levels)),
                [-(-n // f) for n, f in zip(level.shape, factors, strict=True)],
                level.dtype,
                axes,
                level.chunks,
                level.shards,
            )
            _shrink(level, smaller, factors, method)
            sizes = [s * f for s, f in zip(sizes, factors, strict=True)]
            levels.append(_describe_level(smaller.basename, sizes))
            level = smaller
        multiscale["datasets"] = levels
        group.attrs["ome"] = ome


def _halving(axes: Sequence[str], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the factor for each axis, or nothing where the level is small enough."""
    factors = tuple(
        2 if axis in SPATIAL_AXES and size > _SMALLEST_LEVEL else 1
        for axis, size in zip(axes, shape, strict=True)
    )
    return factors if max(factors) > 1 else ()


def _shrink(
    source: zarr.Array, target: zarr.Array, factors: Sequence[int], method: str
) -> None:
    for region in iterate_blocks(
        target.shape,
        target.shards or target.chunks,
        np.dtype(np.float64),
        most_bytes=BLOCK_BYTES // math.prod(factors),
    ):
        wanted = tuple(
            slice(part.start * f, min(part.stop * f, n))
            for part, f, n in zip(region, factors, source.shape, strict=True)
        )
        pixels = np.asarray(source[wanted])
        shrink = _nearest if method == "nearest" or pixels.dtype.kind == "b" else _mean
        target[region] = shrink(pixels, factors)


def _nearest(pixels: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    return pixels[tuple(slice(None, None, factor) for factor in factors)]


def _mean(pixels: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """Average blocks of pixels; at an odd border what is left of them."""
    dtype = pixels.dtype
    mean: np.ndarray[Any, Any] = pixels.astype(
        np.float64 if dtype.itemsize > 2 else np.float32
    )
    for axis, factor in enumerate(factors):
        if factor == 2:
            if mean.shape[axis] % 2:
                last = mean.take([-1], axis)
                mean = np.concatenate([mean, last], axis)
            before = (slice(None),) * axis
            odd = mean[(*before, slice(1, None, 2))]
            mean = (mean[(*before, slice(0, None, 2))] + odd) / 2
    return (mean.round() if dtype.kind in "iu" else mean).astype(dtype)
