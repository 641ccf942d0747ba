"""The foot of a dock: what will happen, the button, progress and Stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from napari_im2im.docks.advice import describe_duration, first_to_fix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.docks.advice import Advice, Fix

_PREFIX = {"info": "", "warning": "Note: ", "stop": "First: ", "wait": ""}


class SentenceRow(QWidget):  # type: ignore[misc]
    """One sentence, and a button for each way to fix what it says."""

    fixed = Signal(object)
    """Emitted with the `Fix` whose button was clicked."""

    def __init__(self, advice: Advice, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(sentence(_PREFIX[advice.level] + advice.text))
        if advice.fixes:
            buttons = QWidget()
            row = QFlowLayout(buttons)
            for fix in advice.fixes:
                row.addWidget(self._button(fix))
            layout.addWidget(buttons)

    def _button(self, fix: Fix) -> QPushButton:
        button = QPushButton(fix.label)
        button.setAccessibleName(fix.label)
        button.clicked.connect(lambda: self.fixed.emit(fix))
        return button


class JobRow(QWidget):  # type: ignore[misc]
    """Sentences, the primary button of a dock, and the progress of its job.

    Parameters
    ----------
    verb
        What the button does, e.g. ``"Train"``.
    parent
        The dock; Ctrl+Enter runs and Esc stops while the focus is in it.
    """

    run_requested = Signal()
    stop_requested = Signal()
    fixed = Signal(object)
    """Emitted with the `Fix` whose button was clicked."""

    def __init__(self, verb: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: list[Advice] | None = None
        self._sentences = QVBoxLayout()
        self._notes = QVBoxLayout()
        self.run_button = QPushButton(verb)
        font = self.run_button.font()
        font.setBold(True)
        self.run_button.setFont(font)
        self.run_button.setMinimumHeight(34)
        self.run_button.setToolTip("Ctrl+Enter")
        self.run_button.setAccessibleName(verb)
        self.stop_button = QPushButton("Stop")
        self.stop_button.setMinimumHeight(34)
        self.stop_button.setToolTip("Esc: ends after the current step")
        self.stop_button.setAccessibleName(f"Stop: {verb}")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(f"Progress: {verb}")
        self.status = sentence("")
        self._arrange()
        self.run_button.clicked.connect(self.run_requested)
        self.stop_button.clicked.connect(self._stop)
        self.set_running(False)

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._notes)
        layout.addLayout(self._sentences)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.stop_button)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)

    def add_shortcuts(self, dock: QWidget) -> None:
        """Let Ctrl+Enter run and Esc stop wherever the focus is in the dock."""
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            run = QShortcut(QKeySequence(keys), dock)
            run.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            run.activated.connect(self.run_button.click)
        stop = QShortcut(QKeySequence("Esc"), dock)
        stop.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        stop.activated.connect(self.stop_button.click)

    def show_advice(self, advice: Sequence[Advice]) -> None:
        """Show the first thing to fix, or what will happen.

        The button is off while something is to fix: the sentence says what.
        """
        shown = first_to_fix(advice)
        if shown == self._shown:
            return
        self._shown = shown
        _clear(self._sentences)
        for one in shown:
            row = SentenceRow(one)
            row.fixed.connect(self.fixed)
            self._sentences.addWidget(row)
        self.run_button.setEnabled(not any(one.holds for one in shown))

    def add_note(self, text: str) -> QLabel:
        """Add a line that stays until the next job starts; return it."""
        note = sentence(text)
        self._notes.addWidget(note)
        return note

    def clear_notes(self) -> None:
        """Remove the lines that stayed."""
        _clear(self._notes)

    def set_running(self, running: bool) -> None:
        """Swap the primary button for Stop and the progress, or back."""
        if running:
            self.clear_notes()
            self.show_status("")
            self._shown = None
            _clear(self._sentences)
            self.bar.setRange(0, 0)
            self.stop_button.setEnabled(True)
        self.run_button.setVisible(not running)
        self.stop_button.setVisible(running)
        self.bar.setVisible(running)

    def show_progress(
        self, done: int, total: int, activity: str, seconds_left: float | None = None
    ) -> None:
        """Show how far the job is, e.g. ``62 % · tile 31 of 50 · 8 s left``."""
        # A bar without a range moves by itself: there is nothing to count yet.
        known = done > 0
        self.bar.setRange(0, total if known else 0)
        self.bar.setValue(done)
        parts = [f"{100 * done // total} %"] if known and total else []
        parts.append(activity)
        if seconds_left is not None:
            parts.append(f"{describe_duration(seconds_left)} left")
        text = " · ".join(part for part in parts if part)
        self.show_status(text[:1].upper() + text[1:])

    def show_status(self, text: str) -> None:
        """Show what the job does or has done."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def _stop(self) -> None:
        self.stop_button.setEnabled(False)
        self.show_status("Stopping after the current step …")
        self.stop_requested.emit()


class _Sentence(QLabel):  # type: ignore[misc]
    """A label whose smallest height is a line, not that of its narrowest shape."""

    def minimumSizeHint(self) -> QSize:
        return QSize(1, self.fontMetrics().height())


def sentence(text: str) -> QLabel:
    """Return a label that wraps, can be selected, and never widens the dock."""
    label = _Sentence(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    return label


def _clear(layout: QVBoxLayout) -> None:
    while item := layout.takeAt(0):
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
