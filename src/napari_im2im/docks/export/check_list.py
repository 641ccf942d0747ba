"""Checks as they run, each with a mark and a sentence."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_im2im.docks.job_row import sentence

_MARKS = {"running": "…", "passed": "✓", "warning": "!", "failed": "✗"}


class CheckList(QWidget):  # type: ignore[misc]
    """The checks of an export, each on its line with a mark and a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, QLabel] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)

    def show_check(self, name: str, verdict: str, text: str) -> None:
        """Add a check, or bring its line up to date."""
        if name not in self._lines:
            self._lines[name] = sentence("")
            self._layout.addWidget(self._lines[name])
        line = f"{_MARKS[verdict]}  {name}"
        self._lines[name].setText(f"{line}: {text}" if text else line)

    def clear(self) -> None:
        """Forget the checks of the last export."""
        for label in self._lines.values():
            self._layout.removeWidget(label)
            label.deleteLater()
        self._lines = {}

    def texts(self) -> list[str]:
        """Return the lines."""
        return [label.text() for label in self._lines.values()]
