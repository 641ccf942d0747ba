"""What there is to know of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_im2im.docks.job_row import sentence
from napari_im2im.zoo.catalogue import describe_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.zoo.catalogue import Entry
    from napari_im2im.zoo.compatibility import Fit


class ModelDetail(QWidget):  # type: ignore[misc]
    """Name, purpose, what it reads and writes, authors, licence, citation."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = sentence("")
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.facts = sentence("")
        self.documentation = QPushButton("Documentation")
        self.documentation.setToolTip("Opens in the web browser")
        self.documentation.setSizePolicy(
            QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed
        )
        self.documentation.clicked.connect(self._open_documentation)
        self._address = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 4, 2, 4)
        for widget in (self.title, self.facts, self.documentation):
            layout.addWidget(widget)
        layout.addStretch()
        self.show_entry(None)

    def show_entry(
        self,
        entry: Entry | None,
        fit: Fit | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        """Show a model, and whether it fits the selected layer."""
        self._address = _documentation(entry) if entry else ""
        self.documentation.setVisible(bool(self._address))
        self.title.setText(entry.title if entry else "")
        self.title.setVisible(entry is not None)
        if entry is None:
            self.facts.setText("Choose a model to read about it.")
            return
        lines = [entry.summary.text] if entry.summary.text else []
        if entry.model is not None and not entry.model.description:
            lines.append("Its description hasn't been read yet.")
        lines += [entry.compatibility.sentence] if entry.compatibility else []
        if fit is not None:
            said = fit.obstacles or fit.notes
            more = f"The selected layer: {fit.sentence}"
            lines.append(more if said else "The selected layer fits.")
        lines += [f"{name}: {text}" for name, text in describe_entry(entry, scores)]
        self.facts.setText("\n".join(lines))

    def _open_documentation(self) -> None:
        QDesktopServices.openUrl(QUrl(self._address))


def _documentation(entry: Entry) -> str:
    name = entry.summary.documentation
    if not name:
        return ""
    if name.startswith(("http://", "https://")):
        return name
    if entry.folder is not None and (entry.folder / name).is_file():
        return str(QUrl.fromLocalFile(str(entry.folder / name)).toString())
    return entry.model.file_url(name) if entry.model else ""
