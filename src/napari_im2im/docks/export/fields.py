"""The fields of the Export page, each with its error beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)
from superqt import QSearchableComboBox

from napari_im2im.docks.job_row import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LINES = 3


class Field(QWidget):  # type: ignore[misc]
    """An entry, its title above it, and what is wrong with it below.

    Parameters
    ----------
    title
        What to call it.
    hint
        What an empty entry shows.
    """

    changed = Signal()

    def __init__(self, title: str, hint: str = "") -> None:
        super().__init__()
        self.title = title
        self.error = sentence("")
        self.error.setAccessibleName(f"Error: {title}")
        self.error.hide()
        self.editor = self._make_editor()
        self.editor.setAccessibleName(title)
        if hint:
            self.editor.setPlaceholderText(hint)
        label = QLabel(title)
        label.setBuddy(self.editor)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        for part in (label, self.editor, self.error):
            layout.addWidget(part)

    def _make_editor(self) -> QWidget:
        editor = QLineEdit()
        editor.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        editor.textChanged.connect(self.changed)
        return editor

    def value(self) -> Any:
        """Return the entry as `Metadata` takes it."""
        return self.editor.text().strip()

    def set_value(self, value: Any) -> None:
        """Show a value of `Metadata`, from its beginning."""
        self.editor.setText(str(value or ""))
        self.editor.setCursorPosition(0)

    def show_errors(self, errors: Mapping[str, str]) -> None:
        """Show what is wrong; the key is empty, or names a part of the entry."""
        text = next(iter(errors.values()), "")
        self.error.setText(f"⚠ {text}" if text else "")
        self.error.setVisible(bool(text))

    def show_wish(self, text: str) -> None:
        """Show what would be better, though nothing is wrong."""
        if text:
            self.error.setText(f"Note: {text}")
            self.error.show()


class TextField(Field):
    """Several lines."""

    def _make_editor(self) -> QWidget:
        editor = QTextEdit()
        editor.setAcceptRichText(False)
        editor.setTabChangesFocus(True)
        height = editor.fontMetrics().lineSpacing() * _LINES
        editor.setFixedHeight(height + 18)
        editor.textChanged.connect(self.changed)
        return editor

    def value(self) -> Any:
        """Return the text."""
        return self.editor.toPlainText().strip()

    def set_value(self, value: Any) -> None:
        """Show a text."""
        self.editor.setPlainText(str(value or ""))


class ListField(Field):
    """Words, separated by commas."""

    def value(self) -> Any:
        """Return the words."""
        return [word.strip() for word in self.editor.text().split(",") if word.strip()]

    def set_value(self, value: Any) -> None:
        """Show words."""
        self.editor.setText(", ".join(value or ()))


class ChoiceField(Field):
    """One of many, found by typing."""

    def _make_editor(self) -> QWidget:
        editor = QSearchableComboBox()
        editor.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        editor.currentTextChanged.connect(self.changed)
        return editor

    def set_choices(self, choices: Sequence[str]) -> None:
        """Offer these."""
        self.editor.addItems(list(choices))

    def value(self) -> Any:
        """Return what is chosen."""
        return self.editor.currentText()

    def set_value(self, value: Any) -> None:
        """Choose a value, if it is offered."""
        if value:
            self.editor.setCurrentText(str(value))


class Rows(QWidget):  # type: ignore[misc]
    """People or citations: any number of small forms of the same parts.

    Parameters
    ----------
    title
        What one of them is, e.g. ``"Author"``.
    parts
        Titles of the parts by their names in `Metadata`.
    """

    changed = Signal()

    def __init__(self, title: str, parts: Mapping[str, str]) -> None:
        super().__init__()
        self.title = f"{title}s"
        self._one = title
        self._parts = dict(parts)
        self._rows: list[dict[str, Field]] = []
        self.error = sentence("")
        self.error.hide()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self.add_button = QPushButton(f"Add {title.lower()}")
        self.add_button.clicked.connect(lambda: self._add({}))
        self._layout.addWidget(QLabel(self.title))
        self._layout.addWidget(self.error)
        self._layout.addWidget(self.add_button)

    def value(self) -> Any:
        """Return the rows, without the parts that are empty."""
        values = [
            {name: field.value() for name, field in row.items() if field.value()}
            for row in self._rows
        ]
        return [value for value in values if value]

    def set_value(self, value: Any) -> None:
        """Show rows."""
        for row in list(self._rows):
            self._remove(row)
        for entry in value or ():
            self._add(entry)

    def show_errors(self, errors: Mapping[str, str]) -> None:
        """Show each error at its part, ``0.orcid``; what else there is, above."""
        filled = [row for row in self._rows if any(f.value() for f in row.values())]
        for row in self._rows:
            for field in row.values():
                field.show_errors({})
        rest = {}
        for key, text in errors.items():
            index, _, part = key.partition(".")
            if index.isdigit() and int(index) < len(filled):
                row = filled[int(index)]
                row.get(part, next(iter(row.values()))).show_errors({"": text})
            else:
                rest[key] = text
        text = next(iter(rest.values()), "")
        self.error.setText(f"⚠ {self._one}: {text}" if text else "")
        self.error.setVisible(bool(text))

    def show_wish(self, text: str) -> None:
        """Show what would be better, though nothing is wrong."""
        if text:
            self.error.setText(f"Note: {text}")
            self.error.show()

    def _add(self, value: Mapping[str, Any]) -> None:
        frame = QFrame()
        frame.setFrameShape(QFrame.Shape.StyledPanel)
        layout = QVBoxLayout(frame)
        layout.setContentsMargins(4, 2, 4, 4)
        layout.setSpacing(2)
        row: dict[str, Field] = {}
        pair = QHBoxLayout()
        for i, (name, title) in enumerate(self._parts.items()):
            field = Field(title)
            field.set_value(value.get(name))
            field.changed.connect(self.changed)
            row[name] = field
            if i % 2 == 0:
                pair = QHBoxLayout()
                layout.addLayout(pair)
            pair.addWidget(field, 1, Qt.AlignmentFlag.AlignTop)
        remove = QPushButton(f"Remove {self._one.lower()}")
        remove.clicked.connect(lambda: self._remove(row))
        layout.addWidget(remove)
        self._rows.append(row)
        self._layout.insertWidget(self._layout.count() - 1, frame)
        self.changed.emit()

    def _remove(self, row: dict[str, Field]) -> None:
        self._rows.remove(row)
        frame = next(iter(row.values())).parentWidget()
        self._layout.removeWidget(frame)
        frame.hide()
        frame.deleteLater()
        self.changed.emit()
