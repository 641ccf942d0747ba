"""One or more layers that are read together, as channels of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer


class LayerRow(QWidget):  # type: ignore[misc]
    """Combo boxes of the image layers, one below the other.

    Parameters
    ----------
    viewer
        Where the layers are.
    name
        What the row is called for people who can't see it.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, name: str) -> None:
        super().__init__()
        self._viewer = viewer
        self._name = name
        self._combos: list[ComboBox] = []
        self.by_hand = False
        """Whether the user has chosen the layers, not the dock."""
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self.add_combo()

    @property
    def layers(self) -> list[Layer]:
        """The chosen layers."""
        return [combo.value for combo in self._combos if combo.value is not None]

    @property
    def available(self) -> list[Layer]:
        """The layers that can be chosen."""
        return [layer for _, layer in self._choices()]

    def set_layers(self, layers: list[Layer]) -> None:
        """Choose these layers."""
        while len(self._combos) > max(1, len(layers)):
            self._remove(self._combos[-1])
        while len(self._combos) < len(layers):
            self.add_combo()
        for combo, layer in zip(self._combos, layers, strict=False):
            combo.value = layer

    def choose_active(self) -> None:
        """Choose the layer that is selected in the viewer, if it is an image."""
        active = self._viewer.layers.selection.active
        if active in self.available:
            self.set_layers([active])

    def choose_other_than(self, layers: list[Layer], kind: type[Layer]) -> None:
        """Choose the first layer of a kind that is none of these, if there is one.

        What was predicted comes last: it is rarely what is to be learned.
        """
        others = [layer for layer in self.available if layer not in layers]
        others.sort(key=lambda layer: "napari_im2im" in layer.metadata)
        others = [layer for layer in others if isinstance(layer, kind)] or others
        if others:
            self.set_layers(others[:1])

    def first_box(self) -> QComboBox:
        """Return the first combo box, for the label beside it."""
        return self._combos[0].native

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        for combo in self._combos:
            combo.reset_choices()

    def add_combo(self) -> None:
        """Add a combo box: its layer is read as further channels."""
        combo = ComboBox(choices=self._choices, nullable=False)
        box = combo.native
        box.setAccessibleName(f"{self._name} {len(self._combos) + 1}")
        box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        box.setMinimumContentsLength(8)
        box.activated.connect(self._keep_choice)
        combo.changed.connect(lambda _: self.changed.emit())
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(box, 1)
        row.addWidget(self._extra_button(combo))
        self._layout.addWidget(line)
        self._combos.append(combo)
        unused = [layer for layer in self.available if layer not in self.layers]
        if unused and len(self._combos) > 1:
            combo.value = unused[0]
        self.changed.emit()

    def _extra_button(self, combo: ComboBox) -> QToolButton:
        button = QToolButton()
        if not self._combos:
            button.setText("+")
            button.setToolTip("Read another layer as a further channel")
            button.clicked.connect(self.add_combo)
        else:
            button.setText("−")
            button.setToolTip("Don't read this layer")
            button.clicked.connect(lambda: self._remove(combo))
        button.setAccessibleName(button.toolTip())
        return button

    def _remove(self, combo: ComboBox) -> None:
        line = combo.native.parentWidget()
        self._combos.remove(combo)
        self._layout.removeWidget(line)
        line.hide()
        line.deleteLater()
        self.changed.emit()

    def _keep_choice(self) -> None:
        self.by_hand = True

    def _choices(self, _: Any = None) -> list[tuple[str, Layer]]:
        return [
            (layer.name, layer)
            for layer in self._viewer.layers
            if isinstance(layer, Image | Labels)
        ]
