"""Files to learn from, and what belongs together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
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
    from collections.abc import Generator, Sequence

    from qtpy.QtCore import QMimeData
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

    from napari_im2im.images.folders.tables import TableRow

THUMBNAIL = 36
"""Pixels along the longer side of a thumbnail."""

_SHOWN_ROWS = 200
_PICTURED_ROWS = 40
_READ_PIXELS = 1024
"""A thumbnail shows so much of the middle of an image at most."""

_ROOM = 28
"""Letters that all columns have room for."""

_PARTS = {"train": "train", "val": "validation", "test": "test", None: ""}


class FilesField(QWidget):  # type: ignore[misc]
    """A line for a folder, a file or a pattern, and a button to choose a folder.

    Parameters
    ----------
    name
        What the files are, e.g. ``"Input"``.
    hint
        What the empty line says.
    """

    changed = Signal()

    def __init__(self, name: str, hint: str = "folder, or *_phase.tif") -> None:
        super().__init__()
        self.line = _FilesLine()
        self.line.setPlaceholderText(hint)
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
    def text(self) -> str:
        """What was written."""
        return str(self.line.text()).strip()

    @property
    def patterns(self) -> list[str]:
        """What was written, as a list of one or none."""
        return [self.text] if self.text else []

    def _browse(self) -> None:
        start = str(Path(self.line.text()).parent) if self.line.text() else ""
        if folder := QFileDialog.getExistingDirectory(self, "Choose a folder", start):
            self.line.setText(folder)
            self.changed.emit()


class _FilesLine(QLineEdit):  # type: ignore[misc]
    """A line on which a folder or a file may be dropped."""

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and _dropped(event.mimeData()):
            event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dropEvent(self, event: QDropEvent | None) -> None:
        path = _dropped(event.mimeData()) if event is not None else ""
        if event is None or not path:
            super().dropEvent(event)
            return
        event.acceptProposedAction()
        self.setText(path)
        self.editingFinished.emit()


def _dropped(data: QMimeData | None) -> str:
    """Return the path of the first file or folder that is dropped."""
    urls = data.urls() if data is not None else []
    return next((url.toLocalFile() for url in urls if url.isLocalFile()), "")


class PairTable(QTableWidget):  # type: ignore[misc]
    """The files that belong together, a row for each sample, with thumbnails."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(THUMBNAIL + 6)
        self.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Files that belong together")
        self.setMinimumHeight(4 * THUMBNAIL)
        self.show_rows([])

    def show_rows(self, rows: Sequence[TableRow]) -> None:
        """Show the files of samples, the first few hundred of many."""
        files = {"Input": [row.inputs for row in rows]}
        if any(row.targets for row in rows) or not rows:
            files["Target"] = [row.targets for row in rows]
        if any(row.cost_map for row in rows):
            files["Cost map"] = [
                (row.cost_map,) if row.cost_map else () for row in rows
            ]
        room = _ROOM // len(files)
        columns = {title: _cells(paths, room) for title, paths in files.items()}
        if any(row.part for row in rows):
            columns["For"] = [(_PARTS[row.part], "") for row in rows]
        shown = min(len(rows), _SHOWN_ROWS)
        more = len(rows) > shown
        self.clear()
        self.setColumnCount(len(columns))
        self.setRowCount(shown + more)
        self.setHorizontalHeaderLabels([*columns])
        for at, texts in enumerate(columns.values()):
            for row, (text, tip) in enumerate(texts[:shown]):
                item = QTableWidgetItem(text)
                item.setToolTip(tip)
                self.setItem(row, at, item)
        if more:
            self.setItem(
                shown, 0, QTableWidgetItem(f"… and {len(rows) - shown:,} more")
            )
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        if "For" in columns:
            last = len(columns) - 1
            header.setSectionResizeMode(last, QHeaderView.ResizeMode.ResizeToContents)

    def show_thumbnail(self, thumbnail: tuple[int, str, np.ndarray]) -> None:
        """Put a picture ``(y, x)``, uint8, before the name in a row and column."""
        row, column, pixels = thumbnail
        titles = [
            self.horizontalHeaderItem(i).text() for i in range(self.columnCount())
        ]
        if column in titles and row < self.rowCount():
            height, width = pixels.shape
            gray = QImage.Format.Format_Grayscale8
            picture = QImage(pixels.tobytes(), width, height, width, gray)
            item = self.item(row, titles.index(column))
            item.setIcon(QIcon(QPixmap.fromImage(picture)))


def _cells(column: Sequence[Sequence[Path]], room: int) -> list[tuple[str, str]]:
    """Return what the cells of a column say, and their tool tips.

    Of names that don't fit, what all of them end with is left out.
    """
    names = [" + ".join(map(_name, paths)) for paths in column]
    longest = max(map(len, names), default=0)
    if longest > room and len(set(names)) > 1:
        ends = max(names, key=len)
        while not all(name.endswith(ends) for name in names if name):
            ends = ends[1:]
        found = re.search(r"[^A-Za-z0-9].*", ends)
        names = [name.removesuffix(found.group() if found else "") for name in names]
    tips = ["\n".join(map(str, paths)) for paths in column]
    return list(zip(names, tips, strict=True))


def _name(path: Path) -> str:
    """Return the name of a file, or the place of an image in its store."""
    for parent in path.parents:
        if parent.suffix == ".zarr":
            return f"{parent.stem}/{path.relative_to(parent).as_posix()}"
    return path.name


def read_thumbnails(
    rows: Sequence[TableRow],
) -> Generator[tuple[int, str, np.ndarray]]:
    """Yield small pictures of the first files, as `PairTable.show_thumbnail` takes.

    A file that can't be read has none: reading it says why.
    """
    from napari_im2im.errors import Im2ImError
    from napari_im2im.images.reading import open_image

    for number, row in enumerate(rows[:_PICTURED_ROWS]):
        for column, paths in (
            ("Input", row.inputs),
            ("Target", row.targets),
            ("Cost map", (row.cost_map,) if row.cost_map else ()),
        ):
            if paths:
                try:
                    yield number, column, thumbnail(open_image(paths[0]))
                except Im2ImError:
                    continue


def thumbnail(image: Any) -> np.ndarray:
    """Return a small picture ``(y, x)``, uint8, of the middle of an image."""
    region = {}
    for axis, size in image.sizes.items():
        extent = _READ_PIXELS if axis in ("y", "x") else 1
        start = 0 if axis == "channel" else max(0, (size - extent) // 2)
        region[axis] = slice(start, min(size, start + extent))
    pixels = np.squeeze(image.read(region, axes=("time", "channel", "z", "y", "x")))
    pixels = np.atleast_2d(pixels).astype(np.float32)
    step = max(1, -(-max(pixels.shape) // THUMBNAIL))
    pixels = np.nan_to_num(pixels[::step, ::step])
    low, high = np.percentile(pixels, (1, 99.5))
    if high <= low:
        low, high = pixels.min(), pixels.max()
    scaled = np.clip((pixels - low) / max(high - low, 1e-12), 0, 1)
    picture: np.ndarray = np.round(255 * scaled).astype(np.uint8)
    return picture
