"""The layers of a prediction, which fill while it runs."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_im2im.docks.job import Job
from napari_im2im.docks.layers import COLORS, full_resolution, split
from napari_im2im.docks.predict.overview import Overview
from napari_im2im.docks.transforms import carried_transform
from napari_im2im.images.image import SPATIAL_AXES, Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import napari
    from napari.layers import Layer

PARTIAL = " (partial)"
_SECONDS_BETWEEN_REFRESHES = 0.5
_SHARE_OF_REFRESHES = 0.2
"""Of the window's time, that refreshes may take."""

_SAMPLE = 64
"""Pixels of a tile along an axis that the contrast is taken from."""


class ResultLayers:
    """Layers that show the outputs of a running prediction.

    Parameters
    ----------
    viewer
        Where they are added, above their source and its earlier results.
    source
        The layer that was predicted from.
    source_axes
        Its axes.
    region
        The part that was predicted, by axis; empty for all of it.
    name
        Name of the model.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        source: Layer,
        source_axes: Sequence[str],
        region: Mapping[str, tuple[int, int]],
        name: str,
    ) -> None:
        self.layers: list[Layer] = []
        self._viewer = viewer
        self.source = source
        self._axes = tuple(source_axes)
        self._region = dict(region)
        self._name = f"{source.name} → {name}"
        self._outputs: tuple[Image, ...] = ()
        self._limits: dict[Layer, tuple[float, float]] = {}
        self._overviews: dict[Layer, Overview] = {}
        self._waiting: list[Mapping[str, slice]] = []
        self._jobs: list[Job] = []
        self._next_refresh = 0.0

    def start(self, outputs: Sequence[Image], *, resumed: bool = False) -> None:
        """Add a layer for each output, or for each of its channels.

        Where the outputs go on from an earlier run, that is shown, too.
        """
        self._outputs = tuple(outputs)
        name = unused_name(self._name, [layer.name for layer in self._viewer.layers])
        for number, output in enumerate(outputs):
            # The last word of an output's name is its own, before are image and model.
            own = output.name.rpartition(" ")[2]
            title = name if len(outputs) == 1 else f"{name} · {own}"
            parts = self._split(number)
            names = _part_names(title, output, len(parts))
            colors = COLORS.get(len(parts), ("gray",) * len(parts))
            for index, part in enumerate(parts):
                color = "" if self._is_labels(number) else colors[index]
                self._add(part, names[index], color, additive=index > 0)
        if resumed:
            self._complete()

    def tile_done(self, region: Mapping[str, slice]) -> None:
        """Show a tile, at most twice a second."""
        self._waiting.append(region)
        begun = time.monotonic()
        if begun < self._next_refresh:
            return
        for overview in self._overviews.values():
            for done in self._waiting:
                overview.fill(done)
        self._waiting.clear()
        self._stretch_contrast(region)
        self._refresh()
        took = time.monotonic() - begun
        pause = max(_SECONDS_BETWEEN_REFRESHES, took / _SHARE_OF_REFRESHES)
        self._next_refresh = begun + pause

    def finish(self, outputs: Sequence[Image], provenance: Mapping[str, Any]) -> None:
        """Show what is complete, with where it came from."""
        self._outputs = tuple(outputs)
        for layer, part in zip(self.layers, self._parts(), strict=True):
            if layer in self._overviews:
                self._overviews[layer] = Overview(part)
            elif layer.data is not part.data:
                layer.data = part.data
            layer.metadata["napari_im2im"] = dict(provenance)
        self._stretch_contrast({})
        self._refresh()
        self._complete()

    def stop(self) -> None:
        """Keep what is there, and say that it isn't all."""
        for layer in self.layers:
            layer.name += PARTIAL
        self._refresh()
        self._complete()

    def _complete(self) -> None:
        """Show what no tile told of: those of an earlier run, and separated objects."""
        for layer, overview in self._overviews.items():
            job = Job(overview.fill_all)
            job.ended.connect(partial(_show, layer, overview))
            self._jobs.append(job)
            job.start()

    def _is_labels(self, number: int) -> bool:
        """Return whether the values of an output name classes or objects."""
        output = self._outputs[number]
        return output.dtype.kind in "iu" and output.metadata.get("kind") == "labels"

    def _split(self, number: int) -> list[Image]:
        """Return an image for each layer of an output."""
        output = self._outputs[number]
        if self._is_labels(number):
            one = output.sizes.get("channel") == 1
            return [output.select("channel", 0) if one else output]
        return split(output)

    def _parts(self) -> list[Image]:
        return [p for number in range(len(self._outputs)) for p in self._split(number)]

    def _add(self, part: Image, name: str, color: str, *, additive: bool) -> None:
        arguments = carried_transform(
            self.source,
            self._axes,
            part.axes,
            zoom=self._zoom(part),
            offset={axis: start for axis, (start, _) in self._region.items()},
        )
        overview = Overview(part) if Overview.is_needed(part) else None
        data: Any = part.data
        if overview is not None:
            data, arguments["multiscale"] = overview.levels, True
        if color:
            layer: Layer = ImageLayer(
                data,
                name=name,
                colormap=color,
                rgb=False,
                contrast_limits=(0, 1),
                blending="additive" if additive else "translucent_no_depth",
                **arguments,
            )
        else:
            names = _class_table(part.metadata.get("classes", {}))
            layer = Labels(data, name=name, features=names, **arguments)
        if overview is not None:
            self._overviews[layer] = overview
        self._viewer.layers.insert(self._place(), layer)
        self.layers.append(layer)

    def _place(self) -> int:
        """Return where the next layer goes: earlier results would hide it."""
        if self.layers and self.layers[-1] in self._viewer.layers:
            return int(self._viewer.layers.index(self.layers[-1])) + 1
        below = [
            place
            for place, layer in enumerate(self._viewer.layers, start=1)
            if layer is self.source or layer.name.startswith(f"{self.source.name} → ")
        ]
        return max(below, default=len(self._viewer.layers))

    def _zoom(self, part: Image) -> dict[str, float]:
        """Return pixels of the result for one of the source, along each axis."""
        sizes = dict(zip(self._axes, full_resolution(self.source).shape, strict=False))
        zoom = {}
        for axis in SPATIAL_AXES:
            if axis in sizes and axis in part.sizes:
                start, stop = self._region.get(axis, (0, sizes[axis]))
                zoom[axis] = part.sizes[axis] / max(stop - start, 1)
        return zoom

    def _stretch_contrast(self, region: Mapping[str, slice]) -> None:
        """Let the contrast hold what this tile has, too."""
        for layer, part in zip(self.layers, self._parts(), strict=True):
            large = layer in self._overviews and not region
            if large or not isinstance(layer, ImageLayer):
                continue
            pixels = part.read(
                {
                    axis: _thinned(region.get(axis, slice(None)), size)
                    for axis, size in part.sizes.items()
                }
            )
            finite = pixels[np.isfinite(pixels)]
            if not finite.size:
                continue
            low, high = np.percentile(finite, (0.5, 99.8))
            if layer in self._limits:
                before = self._limits[layer]
                if tuple(layer.contrast_limits) != before:
                    continue  # set by hand since
                low, high = min(low, before[0]), max(high, before[1])
            if high > low:
                lowest, highest = layer.contrast_limits_range
                if layer not in self._limits:
                    lowest, highest = low, high
                layer.contrast_limits_range = (
                    min(lowest, float(finite.min())),
                    max(highest, float(finite.max())),
                )
                layer.contrast_limits = (low, high)
                self._limits[layer] = tuple(layer.contrast_limits)

    def _refresh(self) -> None:
        for layer in self.layers:
            layer.refresh(extent=False)


def _show(layer: Layer, overview: Overview, _: str) -> None:
    levels = overview.levels
    if layer.data[-1] is not levels[-1]:
        layer.data = levels
    layer.refresh(extent=False)


def _class_table(classes: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the features by which napari says the class below the mouse."""
    if not classes:
        return {}
    return {"index": [*map(int, classes)], "class": [*classes.values()]}


def _part_names(title: str, output: Image, count: int) -> list[str]:
    if count == 1:
        return [title]
    names = output.channel_names or [f"channel {i + 1}" for i in range(count)]
    return [f"{title} · {name}" for name in names]


def _thinned(part: slice, size: int) -> slice:
    """Return a slice with a step that leaves about `_SAMPLE` positions."""
    start, stop, _ = part.indices(size)
    return slice(start, stop, max(1, (stop - start) // _SAMPLE))


def unused_name(name: str, taken: Sequence[str]) -> str:
    """Return a name that no layer has, with a number if needed.

    A name counts as taken by a layer of a channel of it, and by a partial one.
    """
    number = 1
    while True:
        candidate = name if number == 1 else f"{name} [{number}]"
        if not any(
            other in (candidate, candidate + PARTIAL)
            or other.startswith(f"{candidate} · ")
            for other in taken
        ):
            return candidate
        number += 1
