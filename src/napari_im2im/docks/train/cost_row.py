"""Which pixels of a layer count: a Labels, Image or Shapes layer as cost map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_im2im.docks.layers import layer_to_image
from napari_im2im.docks.predict.region import shapes_mask
from napari_im2im.errors import DataError
from napari_im2im.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari
    from napari.layers import Layer

_ALL = "all pixels count"


class CostRow(QComboBox):  # type: ignore[misc]
    """A box with every layer that can say which pixels count.

    Parameters
    ----------
    viewer
        Where the layers are.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.setAccessibleName("Cost map")
        self.setToolTip(
            "Labels or an image: 0 is left out. Shapes: what lies outside is left out."
        )
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.reset_choices()
        self.currentIndexChanged.connect(lambda _: self.changed.emit())

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again; the choice stays."""
        chosen = self.currentData()
        self.blockSignals(True)
        self.clear()
        self.addItem(_ALL, None)
        for layer in self._viewer.layers:
            if isinstance(layer, Shapes):
                self.addItem(f"inside {layer.name}", layer.name)
            elif isinstance(layer, Labels):
                self.addItem(f"labelled in {layer.name}", layer.name)
            elif isinstance(layer, ImageLayer):
                self.addItem(f"weights in {layer.name}", layer.name)
        self.setCurrentIndex(max(self.findData(chosen), 0))
        self.blockSignals(False)

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, if there is one."""
        name = self.currentData()
        return self._viewer.layers[name] if name in self._viewer.layers else None

    def image(self, source: Layer, axes: Sequence[str]) -> Image | None:
        """Return the weights of the pixels, None where all count.

        Parameters
        ----------
        source
            The layer that is learned from, which shapes are drawn on.
        axes
            Names of its dimensions.

        Raises
        ------
        DataError
            If shapes cover none of it.
        """
        layer = self.layer
        if layer is None:
            return None
        if isinstance(layer, Shapes):
            mask = shapes_mask(layer, source, axes)
            if not mask.any():
                raise DataError(
                    f"The shapes in {layer.name} cover nothing of {source.name}: draw "
                    "around what is to be learned, or let all pixels count."
                )
            return Image(mask, ("y", "x"), name=layer.name)
        image = layer_to_image(layer)
        return _labelled(image) if isinstance(layer, Labels) else image


def _labelled(image: Image) -> Image:
    """Return where labels aren't 0; their numbers name objects and are no weights."""
    data: Any = image.data
    if not isinstance(data, np.ndarray):
        import dask.array

        data = dask.array.asarray(data)
    return replace(image, data=data != 0)
