"""The search box of the Model Zoo and its filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from napari_im2im.zoo.index import Query
from napari_im2im.zoo.summary import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.zoo.catalogue import Entry

_DELAY = 150
"""Milliseconds after the last key until the list is filtered."""


class SearchBar(QWidget):  # type: ignore[misc]
    """Words to search for, and what a model must be."""

    changed = Signal()
    entered = Signal(str)
    """Emitted with the text when Enter is pressed: it may name a model."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLineEdit()
        self.text.setClearButtonEnabled(True)
        self.text.setPlaceholderText("Words, nickname, DOI, link or path")
        self.text.setToolTip("Enter opens what the text names")
        self.text.setAccessibleName("Search models")
        self.open_button = QPushButton("Open…")
        self.open_button.setToolTip("Open a model of this computer from its file")
        self.open_button.setAccessibleName("Open a model from a file")
        self.dimensions = _box("2D, 3D", ("2D", "3D"))
        self.task = _box("Task", TASKS)
        self.licence = _box("Licence", ())
        self.installed = QCheckBox("Installed")
        self.installed.setToolTip("Models on this computer")
        self.runs = QCheckBox("Runs here")
        self.fits = QCheckBox("Fits my image")
        self.fits.setToolTip(
            "Compares axes, channels, size and pixel size with the selected layer"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        top = QHBoxLayout()
        top.addWidget(self.text, 1)
        top.addWidget(self.open_button)
        layout.addLayout(top)
        choices = QHBoxLayout()
        for box in (self.dimensions, self.task, self.licence):
            choices.addWidget(box, 1)
        layout.addLayout(choices)
        checks = QWidget()
        row = QFlowLayout(checks)
        row.setContentsMargins(0, 0, 0, 0)
        for check in (self.installed, self.runs, self.fits):
            row.addWidget(check)
        layout.addWidget(checks)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self.changed)
        self.text.textChanged.connect(lambda _: self._timer.start())
        self.text.returnPressed.connect(self._enter)
        for box in (self.dimensions, self.task, self.licence):
            box.currentIndexChanged.connect(lambda _: self.changed.emit())
        for check in (self.installed, self.runs, self.fits):
            check.toggled.connect(lambda _: self.changed.emit())

    def matches(self, entry: Entry) -> bool:
        """Return whether a model is one that is looked for."""
        if self.installed.isChecked() and entry.folder is None:
            return False
        runs = entry.compatibility
        if self.runs.isChecked() and not (runs is not None and runs.runs):
            return False
        query = Query(
            self.text.text(),
            self.dimensions.currentData(),
            self.task.currentData(),
            self.licence.currentData(),
        )
        return query.matches(entry.summary, entry.key)

    def set_licences(self, licences: Sequence[str]) -> None:
        """Offer other licences; the choice stays."""
        chosen = self.licence.currentData()
        self.licence.blockSignals(True)
        while self.licence.count() > 1:
            self.licence.removeItem(1)
        for licence in licences:
            self.licence.addItem(licence, licence)
        self.licence.setCurrentIndex(max(0, self.licence.findData(chosen)))
        self.licence.blockSignals(False)

    def clear(self) -> None:
        """Take out whatever restricts the list."""
        self.text.clear()
        for box in (self.dimensions, self.task, self.licence):
            box.setCurrentIndex(0)
        for check in (self.installed, self.runs, self.fits):
            check.setChecked(False)

    def _enter(self) -> None:
        if text := self.text.text().strip():
            self.entered.emit(text)


def _box(anything: str, choices: Sequence[str]) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(anything)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    box.addItem(anything, "")
    for choice in choices:
        box.addItem(choice, choice)
    return box
