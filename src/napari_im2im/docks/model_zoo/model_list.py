"""The list of models: a picture and two lines for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QListView, QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QImage, QResizeEvent

    from napari_im2im.zoo.catalogue import Entry

COVER = QSize(64, 44)
"""Size of a cover in the list."""

_GREY = (144, 148, 152)
"""Red, green and blue of what is to be seen on light and on dark."""


class EntryList(QAbstractListModel):  # type: ignore[misc]
    """The models that the search leaves, with their covers."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []
        self._covers: dict[str, QIcon] = {}
        self._plain: dict[str, QIcon] = {}

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of models."""
        return len(self.entries)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what the view shows of a model."""
        if not index.isValid() or index.row() >= len(self.entries):
            return None
        entry = self.entries[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return f"{entry.title}\n{describe(entry)}"
            case Qt.ItemDataRole.DecorationRole:
                return self._covers.get(entry.key) or self._without_cover(entry)
            case Qt.ItemDataRole.ToolTipRole:
                return "\n".join(filter(None, (entry.title, entry.summary.text)))
        return None

    def _without_cover(self, entry: Entry) -> QIcon:
        """Return what stands in the place of a cover."""
        text = " ".join(sorted(entry.summary.dimensions))
        if text not in self._plain:
            pixmap = QPixmap(COVER)
            pixmap.fill(QColor(*_GREY, 48))
            with QPainter(pixmap) as painter:
                painter.setPen(QColor(*_GREY))
                painter.drawText(pixmap.rect(), Qt.AlignmentFlag.AlignCenter, text)
            self._plain[text] = QIcon(pixmap)
        return self._plain[text]

    def show(self, entries: Sequence[Entry]) -> None:
        """Show other models."""
        self.beginResetModel()
        self.entries = list(entries)
        self.endResetModel()

    def set_covers(self, covers: Mapping[str, QImage]) -> None:
        """Show covers, by the key of their model."""
        for key, image in covers.items():
            self._covers[key] = QIcon(QPixmap.fromImage(image))
        if self.entries:
            last = self.index(len(self.entries) - 1)
            self.dataChanged.emit(self.index(0), last)


class EntryView(QListView):  # type: ignore[misc]
    """The view of the list; says which models are in sight."""

    chosen = Signal()
    seen_changed = Signal()

    def __init__(self, entries: EntryList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries = entries
        self.setModel(entries)
        self.setIconSize(COVER)
        self.setUniformItemSizes(True)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Models")
        self.selectionModel().currentChanged.connect(lambda *_: self.chosen.emit())
        self.verticalScrollBar().valueChanged.connect(self.seen_changed)

    @property
    def entry(self) -> Entry | None:
        """The chosen model."""
        row = self.currentIndex().row()
        return self._entries.entries[row] if row >= 0 else None

    def choose(self, key: str) -> bool:
        """Choose a model; return whether it is in the list."""
        for row, entry in enumerate(self._entries.entries):
            if entry.key == key:
                self.setCurrentIndex(self._entries.index(row))
                self.scrollTo(self.currentIndex())
                return True
        return False

    def in_sight(self) -> list[Entry]:
        """Return the models that can be seen."""
        if not self._entries.entries:
            return []
        area = self.viewport().rect()
        first = self.indexAt(area.topLeft()).row()
        last = self.indexAt(area.bottomLeft()).row()
        stop = len(self._entries.entries) if last < 0 else last + 1
        return self._entries.entries[max(first, 0) : stop]

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Say that other models are in sight."""
        super().resizeEvent(event)
        self.scrollTo(self.currentIndex())
        self.seen_changed.emit()


def describe(entry: Entry) -> str:
    """Return the second line of a model: state, licence, size, tasks."""
    parts = [
        state(entry),
        " ".join(sorted(entry.summary.dimensions)),
        entry.summary.licence,
        "" if entry.size is None else describe_bytes(entry.size),
    ]
    return " · ".join(part for part in parts if part)


def state(entry: Entry) -> str:
    """Return in a few words whether a model is here and runs."""
    if entry.compatibility is not None and not entry.compatibility.runs:
        return "can't run here"
    if entry.folder is not None:
        return {"bundled": "bundled", "run": "trained here"}.get(
            entry.origin, "on this computer"
        )
    if entry.compatibility is None:
        return ""
    formats, asking = entry.compatibility.formats, entry.compatibility.asking
    return "asks for trust" if set(formats) <= set(asking) else "runs here"


def describe_bytes(size: int) -> str:
    """Return a size as people say it."""
    for unit in ("kB", "MB"):
        size /= 1000  # type: ignore[assignment]
        if size < 1000:
            return f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} GB"
