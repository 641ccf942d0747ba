"""Layers, what their axes mean, and the image that a job reads from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_im2im.api.copy_as import Origin
from napari_im2im.docks.axes_row import AxesRow
from napari_im2im.docks.layer_row import LayerRow
from napari_im2im.docks.layers import (
    full_resolution,
    guess_axes,
    is_rgb,
    known_axes,
    layer_to_image,
)
from napari_im2im.errors import ImageError
from napari_im2im.images.stacking import stack_channels

if TYPE_CHECKING:
    from collections.abc import Hashable

    import napari
    from napari.layers import Layer

    from napari_im2im.docks.advice import Fix
    from napari_im2im.images.image import Image


class InputRow(QWidget):  # type: ignore[misc]
    """The layers of one image, and a line with its axes.

    Parameters
    ----------
    viewer
        Where the layers are.
    name
        ``"Input"``, ``"Target"`` or ``"Image"``.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, name: str) -> None:
        super().__init__()
        self._channels: int | None = None
        self._spatial: str | None = None
        self._by_hand: dict[Hashable, tuple[str, ...]] = {}
        self.layer_row = LayerRow(viewer, name)
        self.axes_row = AxesRow(f"Axes of {name}")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.layer_row)
        layout.addWidget(self.axes_row)
        self.layer_row.changed.connect(self._read_layer)
        self.axes_row.changed.connect(self._keep_choice)

    @property
    def layers(self) -> list[Layer]:
        """The chosen layers."""
        return self.layer_row.layers

    @property
    def channels(self) -> list[int] | None:
        """The chosen channels of the image, None for all."""
        return self.axes_row.channels

    @property
    def is_labels(self) -> bool:
        """Whether a chosen layer holds labels."""
        return any(isinstance(layer, Labels) for layer in self.layers)

    def expect(self, channels: int | None, spatial: str | None) -> None:
        """Guess axes for a model with so many channels and these spatial axes."""
        if (channels, spatial) != (self._channels, self._spatial):
            self._channels, self._spatial = channels, spatial
            if not self.layer_row.by_hand:
                self._choose_fitting()
            self._read_layer()

    def _choose_fitting(self) -> None:
        """Choose a layer that has the channels of the model, if there is one."""
        candidates = [*self.layers[:1], *self.layer_row.available]
        for layer in candidates:
            if not isinstance(layer, Labels) and self._channels == self._count(layer):
                self.layer_row.set_layers([layer])
                return

    def _count(self, layer: Layer) -> int:
        try:
            return self._single(layer).sizes.get("channel", 1)
        except ImageError:
            return 0

    def image(self) -> Image | None:
        """Return the image of the chosen layers, with all its channels.

        Raises
        ------
        ImageError
            If layers can't be read together, or their axes make no image.
        """
        layers = self.layers
        if not layers:
            return None
        images = [self._single(layer) for layer in layers]
        return stack_channels(images)

    def origin(self) -> Origin:
        """Return where the image comes from: its file, if it is one, or layers."""
        names = tuple(layer.name for layer in self.layers)
        return Origin(names, self.axes_row.axes, self._file())

    def _file(self) -> str | None:
        """Return the file that a layer shows alone and whole."""
        path = self.layers[0].source.path if len(self.layers) == 1 else None
        users = [one for one in self.layer_row.available if one.source.path == path]
        return str(path) if path and len(users) == 1 else None

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        self.layer_row.reset_choices()
        self._read_layer()

    def choose_active(self) -> None:
        """Choose the layer that is selected in the viewer, if it is an image."""
        self.layer_row.choose_active()

    def layer_axes(self) -> tuple[str, ...]:
        """Return the axes of the first layer's own dimensions."""
        axes = self.axes_row.axes
        if len(self.layers) == 1:
            return axes
        return tuple(axis for axis in axes if axis != "channel")

    def set_first_axis(self, axis: str) -> None:
        """Say what the first dimension is."""
        self._set_axes((axis, *self.axes_row.axes[1:]))

    def apply_fix(self, fix: Fix) -> None:
        """Do what a button says about axes, channels or layers."""
        axes = self.axes_row.axes
        if fix.action == "first_axis":
            self.set_first_axis(fix.value)
        elif fix.action == "as_channel":
            self._set_axes(tuple("channel" if a == fix.value else a for a in axes))
        elif fix.action == "channels":
            self.choose_channels(fix.value)
        elif fix.action == "add_layer":
            self.layer_row.add_combo()
        elif fix.action == "edit_axes":
            self.axes_row.edit()

    def choose_channels(self, channels: list[int]) -> None:
        """Read these channels only."""
        image = self.image()
        if image is not None:
            self.axes_row.set_image(
                image.shape,
                image.axes,
                guessed=False,
                channel_names=image.channel_names,
                channels=channels,
            )
            self.changed.emit()

    def _set_axes(self, axes: tuple[str, ...]) -> None:
        if len(self.layers) == 1:
            self._by_hand[self.layers[0].unique_id] = axes
        self._read_layer()

    def _single(self, layer: Layer) -> Image:
        return layer_to_image(layer, self._axes_of(layer)[0])

    def _axes_of(self, layer: Layer) -> tuple[tuple[str, ...], bool]:
        """Return the axes of a layer, and whether they are a guess."""
        axes = self._by_hand.get(layer.unique_id) or known_axes(layer)
        if axes is not None:
            return axes, False
        shape = full_resolution(layer).shape
        if is_rgb(layer):
            guess = guess_axes(shape[:-1], spatial=self._spatial)
            guess = tuple("z" if axis == "channel" else axis for axis in guess)
            return (*guess, "channel"), len(shape) > 3
        guess = guess_axes(shape, channels=self._channels, spatial=self._spatial)
        return guess, len(shape) > 2

    def _read_layer(self) -> None:
        """Show the axes of what is chosen now."""
        try:
            image = self.image()
        except ImageError:
            # The dock says what is wrong, in its sentence.
            image = None
        if image is None:
            self.axes_row.set_image((), (), guessed=False)
        else:
            self.axes_row.set_image(
                image.shape,
                image.axes,
                guessed=any(self._axes_of(layer)[1] for layer in self.layers),
                channel_names=image.channel_names,
            )
        self.changed.emit()

    def _keep_choice(self) -> None:
        """Remember the axes that the user gave, for these layers."""
        axes = self.axes_row.axes
        if len(self.layers) > 1:
            axes = tuple(axis for axis in axes if axis != "channel")
        for layer in self.layers:
            if len(full_resolution(layer).shape) == len(axes):
                self._by_hand[layer.unique_id] = axes
        self.changed.emit()


def finite(image: Image) -> Image:
    """Return an image whose NaN and infinite pixels have the median value.

    The median is that of the finite pixels of a numpy array, and 0 for an array
    that is not in memory.
    """
    data = image.data
    if isinstance(data, np.ndarray):
        good = np.isfinite(data)
        value = np.median(data[good]) if good.any() else 0
        return replace(image, data=np.where(good, data, value).astype(data.dtype))
    import dask.array

    lazy = dask.array.asarray(data)
    return replace(image, data=dask.array.where(dask.array.isfinite(lazy), lazy, 0))
