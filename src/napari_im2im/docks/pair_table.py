"""Files to learn from, and how they pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class FilesField(QWidget):  # type: ignore[misc]
    """A line for a folder, a file or a pattern, and a button to choose a folder.

    Parameters
    ----------
    name
        ``"Input"`` or ``"Target"``.
    """

    changed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.line.setPlaceholderText("folder, or *_phase.tif")
        self.line.setAccessibleName(f"{name} files")
        self.line.editingFinished.connect(self.changed)
        button = QToolButton()
        button.setText("…")
        button.setToolTip("Choose a folder")
        button.setAccessibleName(f"Choose the folder of the {name.lower()} files")
        button.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, 1)
        layout.addWidget(button)

    @property
    def patterns(self) -> list[str]:
        """What was written, as a list of one or none."""
        text = self.line.text().strip()
        return [text] if text else []

    def _browse(self) -> None:
        start = str(Path(self.line.text()).parent) if self.line.text() else ""
        if folder := QFileDialog.getExistingDirectory(self, "Choose a folder", start):
            self.line.setText(folder)
            self.changed.emit()


class PairTable(QTableWidget):  # type: ignore[misc]
    """Two columns with the names of the files that belong together."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.setHorizontalHeaderLabels(["Input", "Target"])
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.verticalHeader().hide()
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAccessibleName("Pairs of files")
        self.setMinimumHeight(90)

    def show_pairs(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        """Show these pairs."""
        self.setRowCount(len(pairs))
        for row, pair in enumerate(pairs):
            for column, path in enumerate(pair):
                item = QTableWidgetItem(path.name)
                item.setToolTip(str(path))
                self.setItem(row, column, item)
