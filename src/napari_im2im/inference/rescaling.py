"""Predicting in the pixel size that a model was trained with.

The images are read as if they had the model's pixels, the whole prediction runs on
those, and its outputs are brought back to the pixels of the images, block by block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ConfigError
from napari_im2im.events import PredictionStarted, TileDone
from napari_im2im.images.units import in_meters
from napari_im2im.images.writing import check_format
from napari_im2im.inference.outputs import check_paths, split_name
from napari_im2im.inference.resampling import Grid, Resampled, resampled
from napari_im2im.inference.targets import saved
from napari_im2im.inference.tiling.geometry import TILED_AXES

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.events import Event
    from napari_im2im.images.image import Image
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.models.tensors import TensorSpec

_SAME = 0.01
"""Pixel sizes that differ by less are the same."""
_HIDDEN = ".model-pixels"


@dataclass(frozen=True)
class Rescaling:
    """How images are read in a model's pixels, and results brought back.

    Parameters
    ----------
    sizes
        Along each axis that changes: pixels of the image, pixels of the model.
    region
        What is predicted, in pixels of the image.
    """

    sizes: Mapping[str, tuple[int, int]]
    region: Mapping[str, tuple[int, int]]

    def image(self, image: Image) -> Image:
        """Return an image in the model's pixels."""
        grids, scale = [], dict(image.scale)
        for axis, size in image.sizes.items():
            ours, theirs = self.sizes.get(axis, (1, 1))
            # A second input may have other pixels than the first.
            count = max(1, round(size * theirs / ours))
            grids.append(Grid(count, size / count))
            if axis in scale:
                scale[axis] *= size / count
        data = resampled(image.data, grids, np.dtype(np.float32))
        return replace(image, data=data, scale=scale)

    def inner_region(self) -> dict[str, tuple[int, int]] | None:
        """Return the region in the model's pixels, with those that its ends need."""
        region = {}
        for axis, (start, stop) in self.region.items():
            ours, theirs = self.sizes.get(axis, (1, 1))
            if ours == theirs:
                region[axis] = (start, stop)
                continue
            first = math.floor(start * theirs / ours) - 2
            last = math.ceil(stop * theirs / ours) + 2
            region[axis] = (max(0, first), min(theirs, last))
        return region or None

    def output(self, image: Image) -> Image:
        """Return an output in the pixels of the image that it was predicted from."""
        inner = self.inner_region() or {}
        grids, scale = [], dict(image.scale)
        for axis, size in image.sizes.items():
            ours, theirs = self.sizes.get(axis, (1, 1))
            if ours == theirs:
                grids.append(Grid(size))
                continue
            start, stop = self.region.get(axis, (0, ours))
            first, last = inner.get(axis, (0, theirs))
            # Outputs may have more or fewer pixels than the input.
            ratio = size / (last - first)
            step = theirs / ours
            count = max(1, round((stop - start) * ratio))
            grids.append(Grid(count, step, (start * step - first) * ratio))
            if axis in scale:
                scale[axis] *= step
        labels = image.metadata.get("kind") == "labels"
        data = resampled(image.data, grids, image.dtype, nearest=labels)
        return replace(image, data=data, scale=scale, source=None)

    def part(self, region: Mapping[str, slice]) -> dict[str, slice]:
        """Return the pixels of the image that a part in the model's pixels covers."""
        parts = dict(region)
        for axis, (ours, theirs) in self.sizes.items():
            if axis in region:
                first = math.floor(region[axis].start * ours / theirs)
                last = math.ceil(region[axis].stop * ours / theirs)
                low, high = self.region.get(axis, (0, ours))
                parts[axis] = slice(max(low, first), min(high, last))
        return parts


def hidden_output(output: Path) -> Path:
    """Return the file that a job in the model's pixels fills, beside the output."""
    stem, _ = split_name(output)
    return output.with_name(f".{stem}{_HIDDEN}.ome.zarr")


def rescaling_for(
    inputs: Sequence[TensorSpec], images: Sequence[Image], config: PredictConfig
) -> Rescaling:
    """Compare the pixel sizes of images and model.

    Raises
    ------
    ConfigError
        If one of them isn't known.
    """
    spec, image = inputs[0], images[0]
    sizes: dict[str, tuple[int, int]] = {}
    for axis in spec.axes:
        if axis.name not in TILED_AXES or axis.name not in image.sizes:
            continue
        theirs = in_meters(axis.pixel_size, axis.unit)
        ours = in_meters(image.scale.get(axis.name), image.units.get(axis.name))
        if ours is None or theirs is None:
            whose = "this model" if theirs is None else image.name
            raise ConfigError(
                f"The pixel size of {whose} along {axis.name} isn't known, so that "
                "nothing can be rescaled: set it, or predict without rescaling."
            )
        size, factor = image.sizes[axis.name], ours / theirs
        same = abs(factor - 1) < _SAME
        sizes[axis.name] = size, size if same else max(1, round(size * factor))
    return Rescaling(sizes, config.region or {})


def in_model_pixels(
    rescaling: Rescaling,
    config: PredictConfig,
    images: Sequence[Image],
    mask: Image | None,
) -> tuple[PredictConfig, list[Image], Image | None]:
    """Return a job in the model's pixels, its images and its mask.

    It fills a hidden file beside the output.
    """
    output = config.output
    if output is not None:
        if not config.resume:
            check_paths([output], overwrite=config.overwrite)
        output = hidden_output(output)
    inner = config.model_copy(
        update={
            "rescale": False,
            "region": rescaling.inner_region(),
            "output": output,
            "overwrite": True,
        }
    )
    rescaled = [rescaling.image(image) for image in images]
    return inner, rescaled, None if mask is None else rescaling.image(mask)


def in_image_pixels(
    events: Generator[Event, None, None], rescaling: Rescaling, config: PredictConfig
) -> Generator[Event, None, None]:
    """Tell what a job in the model's pixels does in the pixels of the images.

    Parameters
    ----------
    events
        Of that job, whose outputs `finished_in_image_pixels` brings back.
    rescaling
        How the pixels differ.
    config
        What was asked for.

    Raises
    ------
    ConfigError
        If something is in the way of an output; `ImageError` if its file can't
        hold it.
    """
    for event in events:
        if isinstance(event, PredictionStarted):
            outputs = tuple(map(rescaling.output, event.outputs))
            for inner, image in zip(event.outputs, outputs, strict=True):
                if config.output is not None and inner.source is not None:
                    path = _path(inner.source, config.output)
                    check_paths([path], overwrite=config.overwrite or config.resume)
                    check_format(image, path)
            yield replace(event, outputs=outputs)
        elif isinstance(event, TileDone):
            yield replace(event, region=rescaling.part(event.region))
        else:
            yield event


def finished_in_image_pixels(
    rescaling: Rescaling, config: PredictConfig, inner: Image
) -> Image:
    """Write an output in the image's pixels, or compute it in memory."""
    provenance = config.model_dump(mode="json", exclude_defaults=True)
    image = rescaling.output(inner)
    image = replace(image, metadata={**image.metadata, "config": provenance})
    if config.output is None or inner.source is None:
        return replace(image, data=_in_memory(image.data))
    path = _path(inner.source, config.output)
    return saved(image, path, overwrite=config.overwrite or config.resume)


def _in_memory(data: Any) -> np.ndarray:
    return data[...] if isinstance(data, Resampled) else np.asarray(data)


def _path(hidden: Path, output: Path) -> Path:
    """Return the file of an output, from that in the model's pixels."""
    stem, _ = split_name(hidden)
    _, suffixes = split_name(output)
    name = stem.removeprefix(".").replace(_HIDDEN, "")
    return output.with_name(f"{name}{suffixes}")
