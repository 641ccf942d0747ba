"""What a training starts from: a new network, or a model that goes on learning."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_im2im.docks.advice import Advice
from napari_im2im.docks.job import Job
from napari_im2im.docks.model_picker import ask_for_model
from napari_im2im.docks.train.start_advice import StartFacts, advise_start, read_start
from napari_im2im.docks.trust import ask_for_trust
from napari_im2im.models.library import list_models, name_at

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtGui import QShowEvent

    from napari_im2im.images.image import Image
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.zoo.trust import Code

_NEW = "New network"
_BY_NAME = "Keep layers by name"
_KEPT = {
    "Change all layers": 0.0,
    "Keep the first quarter": 0.25,
    "Keep the first half": 0.5,
    "Keep the first three quarters": 0.75,
}


class StartRow(QWidget):  # type: ignore[misc]
    """A box of models, and below it what of the chosen one may change."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.box = QComboBox()
        self.more = QToolButton()
        self.kept = QComboBox()
        self.names = QLineEdit()
        self.new_head = QCheckBox("New last layer")
        self._facts: StartFacts | None = None
        self._failure = ""
        self._details = QWidget()
        self._arrange()
        self.box.currentIndexChanged.connect(self._choose)
        self.more.clicked.connect(self._ask_for_file)
        self.kept.currentIndexChanged.connect(self._show_details)
        self.names.editingFinished.connect(self.changed)
        self.new_head.toggled.connect(self.changed)
        self.refresh()
        self._show_details()

    def _arrange(self) -> None:
        self.box.setAccessibleName("Start from")
        self.more.setText("…")
        self.more.setToolTip("Start from a model in a file or folder")
        self.more.setAccessibleName("Start from a file")
        self.kept.addItems([*_KEPT, _BY_NAME])
        self.kept.setAccessibleName("Layers that stay as they are")
        self.kept.setToolTip("Layers that stay as they are, counted from the input")
        self.names.setPlaceholderText("conv_0, down_*")
        self.names.setAccessibleName("Names of layers that stay as they are")
        self.new_head.setToolTip("Also where its number of channels fits")
        for box in (self.box, self.kept):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setMinimumContentsLength(8)
        first, below = QHBoxLayout(), QVBoxLayout(self._details)
        for layout in (first, below):
            layout.setContentsMargins(0, 0, 0, 0)
        first.addWidget(self.box, 1)
        first.addWidget(self.more)
        for part in (self.kept, self.names, self.new_head):
            below.addWidget(part)
        below.setSpacing(3)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(first)
        column.addWidget(self._details)

    @property
    def model(self) -> str | None:
        """Path of the chosen model; None for a new network."""
        path: str | None = self.box.currentData()
        return path

    def choose(self, path: str | Path) -> None:
        """Start from a model, which is added if it is not in the list."""
        index = int(self.box.findData(str(path)))
        if index < 0:
            self.box.addItem(name_at(path), str(path))
            index = self.box.count() - 1
        self.box.setCurrentIndex(index)

    def values(self) -> dict[str, Any]:
        """Return the fields of a `TrainConfig` that are chosen here."""
        if self.model is None:
            return {}
        chosen = self.kept.currentText()
        names = [name.strip() for name in self.names.text().split(",")]
        return {
            "start_from": self.model,
            "new_head": self.new_head.isChecked(),
            "freeze_depth": _KEPT.get(chosen, 0.0),
            "freeze": [n for n in names if n] if chosen == _BY_NAME else [],
        }

    def advice(
        self, config: TrainConfig, source: Image | None, target: Image | None
    ) -> list[Advice]:
        """Say what of the model goes on, or why it can't be trained."""
        if self.model is None:
            return []
        if self._failure:
            return [Advice(self._failure, "stop")]
        if self._facts is None:
            return [Advice(f"Reading {self.box.currentText()} …", "wait")]
        return advise_start(self._facts, config, source, target)

    def ask_for_trust(self, code: Code) -> None:
        """Show what the model would run, and ask whether it may."""
        ask_for_trust(code, self.box.currentText(), self, self._look)

    def refresh(self) -> None:
        """Read the list again; the choice stays."""
        chosen, name = self.model, self.box.currentText()
        entries = [(entry.name, str(entry.path)) for entry in list_models()]
        if chosen and chosen not in (path for _, path in entries):
            entries.insert(0, (name, chosen))
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItem(_NEW, None)
        for index, (title, path) in enumerate(entries, start=1):
            self.box.addItem(title, path)
            self.box.setItemData(index, path, Qt.ItemDataRole.ToolTipRole)
        self.box.setCurrentIndex(max(0, self.box.findData(chosen)) if chosen else 0)
        self.box.blockSignals(False)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Read the list again whenever the dock comes to the front."""
        self.refresh()
        super().showEvent(event)

    def _choose(self) -> None:
        self._facts, self._failure = None, ""
        if self.model is not None:
            self._read()
        self._show_details()

    def _show_details(self) -> None:
        self._details.setVisible(self.model is not None)
        self.names.setVisible(self.kept.currentText() == _BY_NAME)
        self.changed.emit()

    def _read(self) -> None:
        assert self.model is not None
        self._look(partial(read_start, self.model))

    def _look(self, make: Any) -> None:
        job = Job(make, self)
        job.happened.connect(self._hear)
        job.failed.connect(partial(self._fail, self.model))
        job.start()

    def _hear(self, event: StartFacts | bool) -> None:
        if event is True:
            # Trusted: there may be another question, or none.
            self._read()
        elif isinstance(event, StartFacts) and event.path == self.model:
            self._facts = event
            self.changed.emit()

    def _fail(self, path: str | None, text: str) -> None:
        if path == self.model:
            self._failure = text
            self.changed.emit()

    def _ask_for_file(self) -> None:
        ask_for_model(self, "Start from a model", self.choose)
