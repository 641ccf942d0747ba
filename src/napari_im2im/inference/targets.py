"""The outputs of a prediction: what tiles are written to, and what follows the last."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_im2im.errors import ConfigError
from napari_im2im.images.atomic import remove
from napari_im2im.images.blocks import iterate_blocks
from napari_im2im.images.formats.contents import PROVENANCE
from napari_im2im.images.formats.ome_zarr import add_pyramid, create_ome_zarr
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.images.writing import save_image
from napari_im2im.inference.objects.separation import separate
from napari_im2im.inference.processing.statistics import WholeTensor, bind_steps
from napari_im2im.inference.processing.steps import WHOLE, Operation, apply, bind
from napari_im2im.inference.processing.whole_steps import apply_whole_steps
from napari_im2im.inference.sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.matching import Matching
    from napari_im2im.inference.outputs import OutputLayout
    from napari_im2im.models.tensors import Step

_RAW_DTYPE = np.dtype(np.float32)
"""Of results that are kept until they are complete."""


@dataclass
class Target:
    """One output and the array that it is written to.

    Parameters
    ----------
    layout
        What the result of the network looks like, as an image.
    final
        What is written: the same, unless labels are made of it.
    path
        File to write; None keeps it in memory.
    head, tail
        Steps of postprocessing that are applied to each tile, and those after
        them: they follow at the end where `deferred`.
    spread
        Whether it is the spread of the test-time augmentation.
    deferred
        Whether the tail needs the whole result first.
    meaning
        What the channels stand for, where objects are made of them.
    """

    layout: OutputLayout
    final: OutputLayout
    path: Path | None
    head: Sequence[Operation]
    tail: Sequence[Step]
    spread: bool = False
    deferred: bool = False
    meaning: Mapping[str, Any] | None = None
    array: Any = None
    raw: Any = None
    _tail: list[Operation] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Size of its pixels, uncompressed."""
        return math.prod(self.final.shape) * self.final.dtype.itemsize

    @property
    def disk_bytes(self) -> int:
        """Most bytes on disk: a file that isn't Zarr is made of a Zarr store."""
        if self.path is None:
            return 0
        copies = 1 if self.path.suffix == ".zarr" else 2
        raw = math.prod(self.layout.shape) * _RAW_DTYPE.itemsize
        return copies * self.bytes + self.deferred * raw

    @property
    def whole_step(self) -> str:
        """The step that needs the whole result at once; empty where none does."""
        names = (s.kwargs.get("callable", s.id) for s in self.tail if s.id in WHOLE)
        return next(names, "")

    @property
    def memory(self) -> int:
        """Most bytes that its pixels take in memory, which is after the last tile."""
        sizes = dict(zip(self.layout.axes, self.layout.shape, strict=True))
        raw = math.prod(sizes.values()) * _RAW_DTYPE.itemsize
        held = 0 if self.path is not None else self.bytes + self.deferred * raw
        if not self.whole_step:
            return held
        seen = {"channel", *self.layout.spec.axis_names}
        over = math.prod(size for axis, size in sizes.items() if axis not in seen)
        # What the step reads and returns, and its results of all positions so far.
        return held + 2 * raw // over + self.bytes

    @property
    def _store(self) -> Path | None:
        """The Zarr store that is filled: the output, or what becomes it."""
        if self.path is None or self.path.suffix == ".zarr":
            return self.path
        return self.path.with_name(f".{self.path.name}.unfinished.zarr")

    @property
    def _raw_store(self) -> Path | None:
        if self.path is None:
            return None
        return self.path.with_name(f".{self.path.name}.raw.zarr")

    def open(self, *, resume: bool, overwrite: bool) -> None:
        """Make the arrays, or open those of an interrupted job."""
        layout, result = self.final, self.layout
        if not self.deferred:
            axes = layout.spec.axis_names
            self._tail = [bind(step, axes) for step in self.tail]
        if self._store is None:
            self.array = np.zeros(layout.shape, layout.dtype)
            self.raw = np.zeros(result.shape, _RAW_DTYPE) if self.deferred else None
            return
        import zarr

        hidden = self._store != self.path
        if resume:
            self.array = zarr.open_group(self._store, mode="r+")["0"]
        else:
            self.array = create_ome_zarr(
                self._store,
                shape=layout.shape,
                axes=layout.axes,
                dtype=layout.dtype,
                scale=layout.scale,
                units=layout.units,
                channel_names=layout.channel_names,
                chunks=layout.chunks,
                metadata=layout.metadata,
                overwrite=overwrite or hidden,
            )
        if self.deferred and resume:
            self.raw = zarr.open_array(self._raw_store, mode="r+")
        elif self.deferred:
            self.raw = zarr.create_array(
                self._raw_store,
                shape=result.shape,
                dtype=_RAW_DTYPE,
                chunks=result.chunks,
                overwrite=True,
            )

    @property
    def filled(self) -> OutputLayout:
        """The layout of the array that tiles are written to."""
        return self.layout if self.deferred else self.final

    def write(
        self, key: tuple[slice, ...], pixels: np.ndarray, *, add: bool = False
    ) -> None:
        """Write one tile of one plane, in the tensor's axes, after the head.

        Parameters
        ----------
        key
            Where, in the layout `filled`.
        pixels
            What.
        add
            Whether neighbours add up there.
        """
        if self.deferred or (self.spread and add):
            where = self.raw if self.deferred else self.array
            pixels = self.layout.to_image(pixels).astype(np.float32, copy=False)
            where[key] = where[key] + pixels if add else pixels
            return
        self.array[key] = self._cast(apply(self._tail, pixels))

    def _cast(self, pixels: np.ndarray) -> np.ndarray:
        return saturated(self.final.to_image(pixels), self.final.dtype)

    def separate(self, config: PredictConfig) -> Iterator[tuple[int, int]]:
        """Make objects of the channels; yield how much is done, and of how much."""
        if self.meaning is not None:
            yield from separate(
                self.raw, self.layout, self.array, self.final, self.meaning, config
            )

    def finish(
        self,
        matching: Matching,
        references: Sequence[Mapping[str, WholeTensor]],
        as_bioimageio_core: bool,
    ) -> None:
        """Apply what needed the whole result, block by block."""
        if not self.deferred or self.meaning is not None:
            return
        layout, result = self.final, self.layout
        image = Image(self.raw, result.axes, name="the result")
        names = result.spec.axis_names
        where = f"the output {result.spec.id!r}"
        for group in range(matching.groups):
            channels = _group(group, result.channels)
            source, steps = apply_whole_steps(
                self.tail,
                Source(image, channels if "channel" in result.axes else None, names),
                where,
                references=references[group],
                as_bioimageio_core=as_bioimageio_core,
            )
            operations = bind_steps(
                steps,
                WholeTensor(source),
                where,
                references=references[group],
                as_bioimageio_core=as_bioimageio_core,
            )
            source = _aligned(source, result, layout)
            channels = _group(group, layout.channels)
            for region in _blocks(layout):
                pixels = apply(operations, source.read(region))
                parts = {**region}
                if "channel" in layout.axes:
                    parts["channel"] = slice(channels[0], channels[-1] + 1)
                key = tuple(parts[axis] for axis in layout.axes)
                pixels = _in_order(pixels, source.order, layout.axes)
                self.array[key] = saturated(pixels, layout.dtype)

    def close(self, *, overwrite: bool) -> Any:
        """Complete the file; return the data of the output image."""
        if self.path is None:
            return self.array
        if self._store != self.path:
            image = self.final.image(self.array, self.path.name)
            return saved(image, self.path, overwrite=overwrite).data
        labels = self.final.metadata.get("kind") == "labels"
        add_pyramid(self.path, method="nearest" if labels else "mean")
        return self.array

    def clean(self) -> None:
        """Delete what only a job that goes on needs, once all outputs are complete."""
        for store in (self._store, self._raw_store):
            if store is not None and store != self.path:
                remove(store)


def saved(image: Image, path: Path, *, overwrite: bool) -> Image:
    """Write a result with its provenance; return it reading its pixels from there.

    Raises
    ------
    ImageError
        If the format can't hold the image, the file exists, or the disk refuses.
    """
    import dask.array

    # As an OME-Zarr has it.
    said = replace(image, metadata={PROVENANCE: dict(image.metadata)})
    save_image(said, path, overwrite=overwrite)
    stored = open_image(path)
    data: Any = dask.array.asarray(stored.data)
    order = [stored.axes.index(axis) for axis in image.axes if axis in stored.axes]
    data = data.transpose(order).reshape(image.shape).astype(image.dtype)
    return replace(image, data=data, source=path)


def check_memory(targets: Sequence[Target]) -> str:
    """Say what is short where steps need whole results at once, before they are made.

    Raises
    ------
    ConfigError
        If they need more than this computer has.
    """
    steps = [target.whole_step for target in targets if target.whole_step]
    needed = sum(target.memory for target in targets)
    memory = psutil.virtual_memory()
    if not steps or needed <= memory.available:
        return ""
    text = (
        f"The step {steps[0]!r} needs the whole result in memory at once, about "
        f"{needed / 1e9:.1f} GB"
    )
    if needed > memory.total:
        raise ConfigError(
            f"{text}, but this computer has {memory.total / 1e9:.1f} GB: predict parts "
            "of the image (region)."
        )
    return (
        f"{text}, and {memory.available / 1e9:.1f} GB are free: close other programs, "
        "or predict parts of the image (region)."
    )


def saturated(pixels: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Return pixels in another data type: rounded to integers, and cut off at its ends.

    A plain conversion would wrap round.
    """
    if dtype.kind in "iu" and pixels.dtype.kind == "f":
        pixels = np.clip(np.rint(pixels), np.iinfo(dtype).min, np.iinfo(dtype).max)
    elif dtype == np.float16:
        pixels = np.clip(pixels, np.finfo(dtype).min, np.finfo(dtype).max)
    return pixels.astype(dtype, copy=False)


def _group(group: int, channels: int) -> tuple[int, ...]:
    """Return the channels that a group has in an output."""
    return tuple(range(group * channels, (group + 1) * channels))


def _aligned(source: Source, coarse: OutputLayout, fine: OutputLayout) -> Source:
    """Cut labels, made of a coarser result, to the pixels that were asked for."""
    image = source.image
    if coarse.origin == fine.origin and _space(coarse) == _space(fine):
        return source
    pixels = image.read()
    for axis in fine.origin:
        at = image.axes.index(axis)
        size = fine.shape[fine.axes.index(axis)]
        factor = round(pixels.shape[at] / coarse.shape[coarse.axes.index(axis)])
        start = fine.origin[axis] - factor * coarse.origin.get(axis, 0)
        pixels = pixels.take(range(start, min(start + size, pixels.shape[at])), at)
        missing = [(0, 0)] * pixels.ndim
        missing[at] = (0, size - pixels.shape[at])
        pixels = np.pad(pixels, missing)
    return replace(source, image=replace(image, data=pixels))


def _space(layout: OutputLayout) -> dict[str, int]:
    """Return the sizes along the axes that are tiled."""
    sizes = dict(zip(layout.axes, layout.shape, strict=True))
    return {axis: sizes[axis] for axis in layout.origin}


def _in_order(
    pixels: np.ndarray, have: Sequence[str], wanted: Sequence[str]
) -> np.ndarray:
    """Bring axes into another order; those that aren't wanted have size 1."""
    extra = [i for i, axis in enumerate(have) if axis not in wanted]
    pixels = pixels.transpose([*extra, *(have.index(axis) for axis in wanted)])
    return pixels.reshape(pixels.shape[len(extra) :])


def _blocks(layout: OutputLayout) -> Iterator[dict[str, slice]]:
    """Yield regions of whole chunks, every one with all channels."""
    kept = [i for i, axis in enumerate(layout.axes) if axis != "channel"]
    for block in iterate_blocks(
        [layout.shape[i] for i in kept],
        [layout.chunks[i] for i in kept],
        layout.dtype,
        most_bytes=0,
    ):
        yield {layout.axes[i]: part for i, part in zip(kept, block, strict=True)}
