"""Which part of an image is predicted: all, what is seen, or a rectangle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy
from skimage.draw import polygon2mask

from napari_im2im.docks.layers import full_resolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari
    from napari.layers import Layer

Region = dict[str, tuple[int, int]]

_WHOLE = "Whole image"
_SEEN = "What I see now"


class RegionBox(QComboBox):  # type: ignore[misc]
    """A box with the whole image, what is seen, and every Shapes layer."""

    changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.setAccessibleName("Region")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.reset_choices()
        self.currentIndexChanged.connect(lambda _: self.changed.emit())

    def reset_choices(self, event: Any = None) -> None:
        """Read the Shapes layers of the viewer again; the choice stays."""
        chosen = self.currentText()
        self.blockSignals(True)
        self.clear()
        self.addItem(_WHOLE)
        self.addItem(_SEEN)
        for layer in self._viewer.layers:
            if isinstance(layer, Shapes):
                self.addItem(f"Rectangle in {layer.name}", layer.name)
        self.setCurrentIndex(max(self.findText(chosen), 0))
        self.blockSignals(False)

    def region(
        self, layer: Layer, axes: Sequence[str], whole: Sequence[str]
    ) -> Region | None:
        """Return the chosen part of a layer, None for all of it.

        Parameters
        ----------
        layer
            What is predicted from.
        axes
            Names of its dimensions.
        whole
            Axes that are never cut where they are not displayed.
        """
        if self.currentText() == _SEEN:
            return visible_region(self._viewer, layer, axes, whole)
        name = self.currentData()
        if name is None or name not in self._viewer.layers:
            return None
        return shape_region(self._viewer.layers[name], layer, axes)


def visible_region(
    viewer: napari.Viewer, layer: Layer, axes: Sequence[str], whole: Sequence[str]
) -> Region:
    """Return the part of a layer that the canvas shows."""
    shape = full_resolution(layer).shape
    corners = np.asarray(layer.corner_pixels, float)
    if layer.multiscale:
        corners = corners * layer.downsample_factors[layer.data_level]
    missing = viewer.dims.ndim - layer.ndim
    displayed = [axis - missing for axis in viewer.dims.displayed]
    position = layer.world_to_data(viewer.dims.point)[-layer.ndim :]
    region = {}
    for number, axis in enumerate(axes[: layer.ndim]):
        if number in displayed:
            low, high = corners[:, number]
        elif axis in (*whole, "channel"):
            continue
        else:
            low = high = np.clip(round(position[number]), 0, shape[number] - 1)
        region[axis] = _clip(low, high + 1, shape[number])
    return region


def shape_region(shapes: Shapes, layer: Layer, axes: Sequence[str]) -> Region | None:
    """Return what the last (or the selected) shape covers of a layer, in y and x."""
    if not len(shapes.data):
        return None
    chosen = max(shapes.selected_data, default=len(shapes.data) - 1)
    corners = np.asarray(
        [
            layer.world_to_data(_padded(shapes.data_to_world(vertex), layer.ndim))
            for vertex in shapes.data[chosen]
        ]
    )[:, -layer.ndim :]
    shape = full_resolution(layer).shape
    return {
        axis: _clip(
            np.ceil(corners[:, i].min() - 0.5),
            np.floor(corners[:, i].max() + 0.5) + 1,
            shape[i],
        )
        for i, axis in enumerate(axes[: layer.ndim])
        if axis in ("y", "x")
    }


def shapes_mask(shapes: Shapes, layer: Layer, axes: Sequence[str]) -> np.ndarray:
    """Return where the shapes of a layer cover another, ``(y, x)``, bool.

    Parameters
    ----------
    shapes
        Rectangles, ellipses, polygons and closed paths; lines cover nothing. Of
        shapes in a stack the planes are ignored.
    layer
        What is covered.
    axes
        Names of its dimensions.
    """
    size = full_resolution(layer).shape
    y, x = axes.index("y"), axes.index("x")
    mask = np.zeros((size[y], size[x]), bool)
    for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True):
        if kind == "line":
            continue
        outline = _ellipse(vertices) if kind == "ellipse" else vertices
        corners = np.asarray(
            [
                layer.world_to_data(_padded(shapes.data_to_world(v), layer.ndim))
                for v in outline
            ]
        )[:, -layer.ndim :]
        mask |= polygon2mask(mask.shape, corners[:, [y, x]])
    return mask


def _ellipse(corners: np.ndarray, points: int = 64) -> np.ndarray:
    """Return points on the ellipse that touches the sides of a rectangle."""
    centre = np.mean(corners, axis=0)
    along, across = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)[:, np.newaxis]
    outline: np.ndarray = centre + np.cos(angles) * along + np.sin(angles) * across
    return outline


def _padded(point: Sequence[float], ndim: int) -> tuple[float, ...]:
    return (*(0.0,) * (ndim - len(point)), *point)


def _clip(low: float, high: float, size: int) -> tuple[int, int]:
    """Return integers within the image, at least one pixel apart."""
    start = int(np.clip(low, 0, size - 1))
    return start, int(np.clip(high, start + 1, size))
