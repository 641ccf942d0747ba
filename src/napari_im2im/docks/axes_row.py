"""What the dimensions of an image mean, and which channels are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from napari_im2im.images.image import AXES

if TYPE_CHECKING:
    from collections.abc import Sequence


class AxesRow(QWidget):  # type: ignore[misc]
    """A line such as ``z 61 · y 512 · x 512 ?`` that opens to be changed.

    Parameters
    ----------
    name
        What the row is called for people who can't see it.
    """

    changed = Signal()
    """Emitted when the user has chosen other axes or channels."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._axes: tuple[str, ...] = ()
        self._shape: tuple[int, ...] = ()
        self._guessed = False
        self._shown: tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]] | None = (
            None
        )
        self._boxes: list[QComboBox] = []
        self._checks: list[QCheckBox] = []
        self.button = QPushButton()
        self.button.setCheckable(True)
        self.button.setStyleSheet("text-align: left")
        self.button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.button.setMinimumHeight(24)
        self.button.toggled.connect(self._show_editor)
        self._editor = QWidget()
        self._editor.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(self._editor)
        self._write()

    @property
    def axes(self) -> tuple[str, ...]:
        """One name for each dimension."""
        return self._axes

    @property
    def guessed(self) -> bool:
        """Whether nobody has said what the axes are."""
        return self._guessed

    @property
    def channels(self) -> list[int] | None:
        """The chosen channels, None for all."""
        chosen = [i for i, check in enumerate(self._checks) if check.isChecked()]
        return None if len(chosen) == len(self._checks) else chosen

    def set_image(
        self,
        shape: Sequence[int],
        axes: Sequence[str],
        *,
        guessed: bool,
        channel_names: Sequence[str] = (),
        channels: Sequence[int] | None = None,
    ) -> None:
        """Show the axes of another image; all channels unless some are given."""
        self._guessed = guessed
        shown = (tuple(shape), tuple(axes), tuple(channel_names))
        if shown == self._shown and channels is None:
            self._write()
            return
        self._shown = shown
        self._shape, self._axes, _ = shown
        count = self._shape[axes.index("channel")] if "channel" in axes else 0
        names = list(channel_names) or [str(i + 1) for i in range(count)]
        self._fill_editor(names if 1 < count <= 32 else [], channels)
        self._write()

    def edit(self) -> None:
        """Open the editor."""
        self.button.setChecked(True)

    def _write(self) -> None:
        parts = [
            f"{axis} {size}" for axis, size in zip(self._axes, self._shape, strict=True)
        ]
        text = " · ".join(parts) or "no image"
        if (channels := self.channels) is not None:
            text += f" ({len(channels)} of {len(self._checks)} channels)"
        self.button.setText(f"{text} ?" if self._guessed else text)
        self.button.setAccessibleName(f"{self._name}: {self.button.text()}")
        reason = "a guess; " if self._guessed else ""
        self.button.setToolTip(f"{text}: {reason}click to change")

    def _show_editor(self, shown: bool) -> None:
        self._editor.setVisible(shown and bool(self._axes))

    def _fill_editor(
        self, names: Sequence[str], channels: Sequence[int] | None
    ) -> None:
        editor = QWidget()
        grid = QGridLayout(editor)
        grid.setContentsMargins(0, 0, 0, 0)
        self._boxes, self._checks = [], []
        for column, (axis, size) in enumerate(
            zip(self._axes, self._shape, strict=True)
        ):
            box = QComboBox()
            box.addItems(AXES)
            box.setCurrentText(axis)
            box.setAccessibleName(f"Axis {column + 1}, {size} positions")
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.currentTextChanged.connect(self._choose)
            label = QLabel(str(size))
            label.setBuddy(box)
            grid.addWidget(label, 0, column)
            grid.addWidget(box, 1, column)
            self._boxes.append(box)
        if names:
            grid.addWidget(self._channel_checks(names, channels), 2, 0, 1, -1)
        layout = self.layout()
        layout.replaceWidget(self._editor, editor)
        self._editor.hide()
        self._editor.deleteLater()
        self._editor = editor
        self._show_editor(self.button.isChecked())

    def _channel_checks(
        self, names: Sequence[str], channels: Sequence[int] | None
    ) -> QWidget:
        checks = QWidget()
        flow = QFlowLayout(checks)
        for index, name in enumerate(names):
            check = QCheckBox(name)
            check.setChecked(channels is None or index in channels)
            check.toggled.connect(self._choose_channels)
            flow.addWidget(check)
            self._checks.append(check)
        return checks

    def _choose(self, axis: str) -> None:
        """Give the axis, and what it was before to the dimension that had it."""
        changed = next(
            i for i, box in enumerate(self._boxes) if box.currentText() != self._axes[i]
        )
        axes = list(self._axes)
        if axis in axes:
            axes[axes.index(axis)] = axes[changed]
        axes[changed] = axis
        self.set_image(self._shape, axes, guessed=False)
        self.changed.emit()

    def _choose_channels(self) -> None:
        self._write()
        self.changed.emit()
