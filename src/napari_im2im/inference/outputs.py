"""The arrays that a prediction fills: in memory, or in files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.images.image import AXES, Image
from napari_im2im.inference.tiling.scales import scaled_core

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_im2im.inference.matching import Matching
    from napari_im2im.inference.tiling.geometry import ModelGeometry
    from napari_im2im.inference.tiling.scales import AxisScale
    from napari_im2im.inference.tiling.tiles import AxisTile
    from napari_im2im.models.tensors import TensorSpec

CHUNK_PIXELS = {1: 1 << 20, 2: 1024, 3: 128}
"""Largest chunk along a tiled axis, by the number of tiled axes."""


@dataclass(frozen=True)
class OutputLayout:
    """What one output image looks like, before it exists.

    Parameters
    ----------
    index
        Which output of the model.
    name
        What tells it from the other outputs; empty for the only one.
    spec
        Its tensor.
    axes, shape, dtype
        Those of the image.
    chunks
        Chunks that no two tiles share.
    origin
        Where the region starts along each axis, in pixels of the whole output.
    scale, units, channel_names, metadata
        As `Image` has them.
    channels
        Channels of the model's output; the image has them once for each group.
    """

    index: int
    name: str
    spec: TensorSpec
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    origin: Mapping[str, int]
    scale: Mapping[str, float]
    units: Mapping[str, str]
    channel_names: tuple[str, ...]
    channels: int
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def key(
        self, at: Mapping[str, int], group: int, parts: Mapping[str, slice]
    ) -> tuple[slice, ...]:
        """Return where the pixels of a tile go, in the axes of the image."""
        key = []
        for axis, size in zip(self.axes, self.shape, strict=True):
            if axis in parts:
                shift = self.origin.get(axis, 0)
                part = slice(parts[axis].start - shift, parts[axis].stop - shift)
            elif axis == "channel":
                part = slice(group * self.channels, (group + 1) * self.channels)
            elif axis in at:
                position = at[axis] - self.origin.get(axis, 0)
                part = slice(position, position + 1)
            else:
                part = slice(0, size)
            key.append(part)
        return tuple(key)

    def to_image(self, pixels: np.ndarray) -> np.ndarray:
        """Bring one result, in the tensor's axes, into the axes of the image."""
        names = self.spec.axis_names
        kept = [axis for axis in self.axes if axis in names]
        pixels = pixels.transpose(
            [names.index(a) for a in names if a not in kept]
            + [names.index(a) for a in kept]
        )
        pixels = pixels.reshape(pixels.shape[pixels.ndim - len(kept) :])
        missing = [i for i, axis in enumerate(self.axes) if axis not in names]
        return np.expand_dims(pixels, tuple(missing))

    def image(self, data: Any, name: str) -> Image:
        """Return the image around an array."""
        return Image(
            data=data,
            axes=self.axes,
            scale=self.scale,
            units=self.units,
            channel_names=self.channel_names,
            name=name,
            metadata=self.metadata,
        )

    def blank(self) -> np.ndarray:
        """Return zeros of its shape that take no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


def output_layout(
    index: int,
    spec: TensorSpec,
    geometry: ModelGeometry,
    matching: Matching,
    region: Mapping[str, slice],
    cores: Mapping[str, int],
    channels: int,
    dtype: np.dtype[Any],
) -> OutputLayout:
    """Work out the image that an output becomes.

    Parameters
    ----------
    index, spec
        The output.
    geometry, matching
        How tensors depend on each other, and what they read.
    region
        What is predicted, by axis of the image; all axes are in it.
    cores
        Size of the tiles' cores by axis.
    channels
        Channels of the tensor.
    dtype
        Data type after postprocessing.

    Raises
    ------
    ModelError
        If it isn't an image.
    """
    own = set(spec.axis_names)
    if not {"y", "x"} <= own or not own <= {"batch", *AXES}:
        raise ModelError(
            f"The output {spec.id!r} of this model has the axes "
            f"{'/'.join(spec.axis_names)}: it isn't an image of y and x."
        )
    first = next(source for source in matching.sources[0] if source is not None)
    image = first.image
    axes = tuple(
        axis
        for axis in AXES
        if axis in own
        or axis in matching.over
        or (axis == "channel" and matching.groups > 1)
    )
    sizes, origin, chunks = {}, {}, {}
    relations = geometry.outputs[index]
    tiled = [axis for axis in geometry.axes if axis in own]
    for axis in axes:
        if axis in tiled:
            sizes[axis], origin[axis], chunks[axis] = _tiled_axis(
                relations[axis],
                region[axis],
                matching.sizes[axis],
                cores[axis],
                CHUNK_PIXELS.get(len(tiled), 64),
            )
        elif axis == "channel":
            sizes[axis] = channels * matching.groups
            chunks[axis] = 1 if len(tiled) > 1 else sizes[axis]
        else:
            start, stop = region[axis].start, region[axis].stop
            sizes[axis], origin[axis], chunks[axis] = stop - start, start, 1
    scale = {
        axis: image.scale[axis] / float(relations[axis].scale if axis in tiled else 1)
        for axis in axes
        if axis != "channel" and image.scale.get(axis)
    }
    names = _channel_names(spec, matching, channels)
    return OutputLayout(
        index=index,
        name="",
        spec=spec,
        axes=axes,
        shape=tuple(sizes[axis] for axis in axes),
        dtype=dtype,
        chunks=tuple(chunks[axis] for axis in axes),
        origin=origin,
        scale=scale,
        units={axis: image.units[axis] for axis in scale if axis in image.units},
        channel_names=names if "channel" in axes else (),
        channels=channels,
    )


def _tiled_axis(
    relation: AxisScale, region: slice, size: int, core: int, limit: int
) -> tuple[int, int, int]:
    """Return size, origin and chunk of an output along an axis that is tiled."""
    start, stop = (relation.position(end, size) for end in (region.start, region.stop))
    core = min(core, size)
    chunk = math.ceil(core / _pieces(core, limit) * relation.scale)
    return stop - start, start, max(1, min(chunk, stop - start))


def _pieces(core: int, limit: int) -> int:
    """Return into how many chunks a core is cut: equal ones, if they stay large."""
    least = math.ceil(core / limit)
    equal = [n for n in range(least, 4 * least + 1) if core % n == 0]
    return equal[0] if equal else least


def _channel_names(
    spec: TensorSpec, matching: Matching, channels: int
) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    if "channel" in spec.axis_names:
        names = spec.axis("channel").channel_names
    names = names if len(names) == channels else ()
    if matching.groups == 1:
        return names
    source = matching.sources[0][0]
    assert source is not None
    given = source.image.channel_names
    if not given:
        return ()
    result = []
    for sources in matching.sources:
        chosen = sources[0].channels if sources[0] is not None else None
        prefix = given[chosen[0]] if chosen else ""
        own = names or tuple(str(i) for i in range(channels))
        result += [prefix] if channels == 1 else [f"{prefix} {name}" for name in own]
    return tuple(result)


def tile_parts(
    tile: Mapping[str, AxisTile],
    layout: OutputLayout,
    geometry: ModelGeometry,
    sizes: Mapping[str, int],
) -> tuple[dict[str, slice], tuple[slice, ...]]:
    """Return where a tile's result goes by axis, and which part of it that is."""
    targets: dict[str, slice] = {}
    parts = []
    for axis in layout.spec.axis_names:
        if axis in geometry.outputs[layout.index]:
            relation = geometry.outputs[layout.index][axis]
            targets[axis], part = scaled_core(tile[axis], relation, sizes[axis])
        else:
            part = slice(None)
        parts.append(part)
    return targets, tuple(parts)


def output_paths(path: Path, layouts: Sequence[OutputLayout]) -> list[Path]:
    """Return the file of each output: the path itself, or with the output's name."""
    return named_paths(path, [layout.name for layout in layouts])


def named_paths(path: Path, names: Sequence[str]) -> list[Path]:
    """Return a path with each name before its suffix; an empty name leaves it."""
    stem, suffixes = split_name(path)
    return [
        path.with_name(f"{stem}_{name}{suffixes}") if name else path for name in names
    ]


def split_name(path: Path) -> tuple[str, str]:
    """Return the name of a file, and its ending such as ``.ome.zarr``."""
    suffixes = "".join(path.suffixes[-2:]) if path.suffixes else ""
    if suffixes.split(".")[1:2] not in ([], ["ome"]):
        suffixes = path.suffix
    return path.name.removesuffix(suffixes), suffixes


def check_paths(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Raise ConfigError if a file is in the way or has no format to write."""
    for path in paths:
        if path.suffix.lower() not in (".zarr", ".tif", ".tiff", ".png"):
            raise ConfigError(
                f"{path.name} says no format that can be written: end the name with "
                ".ome.zarr, .ome.tif or .png."
            )
        if path.exists() and not overwrite:
            raise ConfigError(
                f"{path} is there already: choose another name, or overwrite it."
            )
