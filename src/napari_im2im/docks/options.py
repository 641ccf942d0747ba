"""The folded Options of a dock: a form made from the fields of a job's config."""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import yaml
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_im2im.docks.fold import Fold
from napari_im2im.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

AUTOMATIC = "automatic"

_NARROWEST = 60
"""Pixels that an entry has at least."""

_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?e[+-]?\d+", re.IGNORECASE)


class Options(QWidget):  # type: ignore[misc]
    """A folded form; every entry starts with what the config has by default.

    Parameters
    ----------
    config
        The class of the job's config.
    fields
        Names of its fields, of nested ones as ``"optimizer.learning_rate"``, with
        what to call them.
    suggestions
        For fields of free text what to choose from.
    """

    changed = Signal()

    def __init__(
        self,
        config: type[BaseModel],
        fields: Mapping[str, str],
        suggestions: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self._entries: dict[str, _Entry] = {}
        self.fold = Fold("Options")
        form_widget = QWidget()
        self._form = QFormLayout(form_widget)
        self._form.setContentsMargins(8, 0, 0, 0)
        self._form.setVerticalSpacing(2)
        for name, title in fields.items():
            suggested = (suggestions or {}).get(name, ())
            entry = _Entry(find_field(config, name), title, suggested)
            entry.edited.connect(self.changed)
            self._form.addRow(title, entry.widget)
            self._entries[name] = entry
        self.fold.addWidget(form_widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.fold)

    def values(self) -> dict[str, Any]:
        """Return what the user has changed, nested as the config is.

        Raises
        ------
        ConfigError
            If an entry can't be read.
        """
        values: dict[str, Any] = {}
        for name, entry in self._entries.items():
            value = entry.value()
            if value == entry.default:
                continue
            *groups, last = name.split(".")
            inner = values
            for group in groups:
                inner = inner.setdefault(group, {})
            inner[last] = value
        return values

    def show_row(self, name: str, shown: bool) -> None:
        """Show or hide the row of an entry."""
        self._form.setRowVisible(self._entries[name].widget, shown)

    def add_button(self, name: str, text: str) -> QPushButton:
        """Put a button below an entry."""
        button = QPushButton(text)
        button.setMinimumWidth(_NARROWEST)
        row, _ = self._form.getWidgetPosition(self._entries[name].widget)
        self._form.insertRow(row + 1, button)
        return button

    def value(self, name: str) -> Any:
        """Return the value of an entry.

        Raises
        ------
        ConfigError
            If it can't be read.
        """
        return self._entries[name].value()

    def set_value(self, name: str, value: Any) -> None:
        """Show a value as if the user had chosen it."""
        self._entries[name].set_value(value)

    def texts(self) -> dict[str, str]:
        """Return the entries as text, to be remembered."""
        return {name: entry.text() for name, entry in self._entries.items()}

    def set_texts(self, texts: Mapping[str, str]) -> None:
        """Show remembered entries; those that no longer exist are ignored."""
        for name, text in texts.items():
            if name in self._entries:
                self._entries[name].set_text(text)

    def set_hint(self, name: str, text: str) -> None:
        """Show in an empty entry what was automatic."""
        self._entries[name].set_hint(text)


class _Entry(QWidget):  # type: ignore[misc]
    """One option: a check box, a list of choices, or a line of text."""

    edited = Signal()

    def __init__(self, field: FieldInfo, title: str, suggested: Sequence[str]) -> None:
        super().__init__()
        self.default = field.get_default(call_default_factory=True)
        self._title = title
        # What was left empty is the default of a field of several entries.
        self._empty: Any = self.default if self.default in ({}, []) else None
        choices = choices_of(field.annotation) or suggested
        if field.annotation is bool:
            self.widget: QWidget = QCheckBox()
            self.widget.setChecked(self.default)
            self.widget.toggled.connect(self.edited)
        elif choices:
            self.widget = QComboBox()
            self.widget.addItems([AUTOMATIC if c is None else c for c in choices])
            self.widget.setEditable(bool(suggested))
            self.widget.currentTextChanged.connect(self.edited)
            self._write(self.default)
        else:
            self.widget = QLineEdit()
            self.widget.setPlaceholderText(AUTOMATIC)
            self.widget.editingFinished.connect(self.edited)
            self._write(self.default)
        self.widget.setToolTip(field.description or title)
        self.widget.setAccessibleName(title)
        self.widget.setAccessibleDescription(field.description or "")
        if not isinstance(self.widget, QCheckBox):
            self.widget.setSizePolicy(
                QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed
            )
            # Else the longest choice makes the form wider than a narrow dock.
            self.widget.setMinimumWidth(_NARROWEST)

    def value(self) -> Any:
        if isinstance(self.widget, QCheckBox):
            return self.widget.isChecked()
        text = self.text().strip()
        if text in ("", AUTOMATIC):
            return None if isinstance(self.widget, QComboBox) else self._empty
        # A box of suggestions takes entries such as "rotation: 15" as well.
        if isinstance(self.widget, QComboBox) and ": " not in text:
            return text
        return read_value(text, self._title)

    def set_value(self, value: Any) -> None:
        self._write(value)
        self.edited.emit()

    def text(self) -> str:
        if isinstance(self.widget, QCheckBox):
            return "yes" if self.widget.isChecked() else ""
        if isinstance(self.widget, QComboBox):
            return str(self.widget.currentText())
        return str(self.widget.text())

    def set_text(self, text: str) -> None:
        if isinstance(self.widget, QCheckBox):
            self.widget.setChecked(text == "yes")
        elif isinstance(self.widget, QComboBox):
            self.widget.setCurrentText(text)
        else:
            self.widget.setText(text)

    def set_hint(self, text: str) -> None:
        if isinstance(self.widget, QLineEdit):
            self.widget.setPlaceholderText(text)

    def _write(self, value: Any) -> None:
        if isinstance(self.widget, QCheckBox):
            self.widget.setChecked(value)
        elif isinstance(self.widget, QComboBox):
            text = AUTOMATIC if value is None else write_value(value)
            self.widget.setCurrentText(text)
        else:
            empty = value is None or value == self._empty
            self.widget.setText("" if empty else write_value(value))


def find_field(config: type[BaseModel], name: str) -> FieldInfo:
    """Return a field of a config by its dotted name."""
    first, _, rest = name.partition(".")
    field = config.model_fields[first]
    if not rest:
        return field
    inner = field.annotation
    assert isinstance(inner, type)
    return find_field(inner, rest)


def choices_of(annotation: Any) -> Sequence[str | None]:
    """Return the choices of a ``Literal``, with None where that is allowed.

    An annotation that allows other things as well has no choices.
    """
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        parts = get_args(annotation)
        if len(parts) == 2 and type(None) in parts:
            (inner,) = (part for part in parts if part is not type(None))
            choices = choices_of(inner)
            return [None, *choices] if choices else []
    return []


def read_value(text: str, title: str) -> Any:
    """Read a number, a word, a list, or entries such as ``y: 256, x: 256``.

    Raises
    ------
    ConfigError
        If the text is none of these.
    """
    inline = f"{{{text}}}" if ":" in text and not text.startswith(("{", "/")) else text
    try:
        return _with_numbers(yaml.safe_load(inline))
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{title} can't be read: {text!r}. Write a number, or entries such as "
            "'y: 256, x: 256'."
        ) from error


def _with_numbers(value: Any) -> Any:
    """Return a value in which 1e-4 is a number, which YAML takes for a word."""
    if isinstance(value, dict):
        return {key: _with_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_numbers(entry) for entry in value]
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return value


def write_value(value: Any) -> str:
    """Return the text that `read_value` reads as this value."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {entry}" for key, entry in value.items())
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)
