"""The models of this computer in a box, and a button for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_im2im.models.library import list_models, name_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qtpy.QtGui import QShowEvent


class ModelPicker(QWidget):  # type: ignore[misc]
    """A box of the local models, the newest first; "…" asks for others."""

    changed = Signal()
    more_requested = Signal()
    """Emitted when the user wants a model that is not in the list."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QComboBox()
        self.box.setAccessibleName("Model")
        self.box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.box.setMinimumContentsLength(8)
        self.box.currentIndexChanged.connect(self._hear)
        more = QToolButton()
        more.setText("…")
        more.setToolTip("Open the Model Zoo")
        more.setAccessibleName("Open the Model Zoo")
        more.clicked.connect(self.more_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box, 1)
        layout.addWidget(more)
        self.refresh()

    @property
    def model(self) -> str | None:
        """Path of the chosen model."""
        path: str | None = self.box.currentData()
        return path

    @property
    def model_name(self) -> str:
        """Name of the chosen model."""
        return str(self.box.currentText())

    def choose(self, path: str | Path) -> None:
        """Choose a model, which is added if it is not in the list."""
        self.refresh()
        index = self._find(str(path))
        if index < 0:
            self.box.insertItem(0, name_at(path), str(path))
            index = 0
        if index == self.box.currentIndex():
            self.changed.emit()
        self.box.setCurrentIndex(index)

    def choose_listed(self, path: str) -> None:
        """Choose a model if it is still on this computer."""
        if (index := self._find(path)) >= 0:
            self.box.setCurrentIndex(index)

    def refresh(self) -> None:
        """Read the list again; the choice stays."""
        chosen = self.model
        entries = [(entry.name, str(entry.path)) for entry in list_models()]
        if chosen and chosen not in (path for _, path in entries):
            entries.insert(0, (self.model_name, chosen))
        self.box.blockSignals(True)
        self.box.clear()
        for index, (name, path) in enumerate(entries):
            self.box.addItem(name, path)
            self.box.setItemData(index, path, Qt.ItemDataRole.ToolTipRole)
        if chosen:
            self.box.setCurrentIndex(self._find(chosen))
        self.box.blockSignals(False)
        if self.model != chosen:
            self.changed.emit()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Read the list again whenever the dock comes to the front."""
        self.refresh()
        super().showEvent(event)

    def _find(self, path: str) -> int:
        return int(self.box.findData(path))

    def _hear(self, _: Any) -> None:
        self.changed.emit()


def ask_for_model(parent: QWidget, title: str, chosen: Callable[[str], None]) -> None:
    """Ask for the file of a model; ``chosen`` hears its path."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilter("Models (*.zip *.yaml *.yml);;All files (*)")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(chosen)
    dialog.open()
