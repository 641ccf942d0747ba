"""What Train and Predict have in common: a form that scrolls, and a foot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_im2im.docks.job import Job
from napari_im2im.docks.job_row import JobRow
from napari_im2im.docks.loading import load_soon
from napari_im2im.docks.opening import frame_of, join_others

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import napari
    from pydantic import ValidationError
    from qtpy.QtGui import QShowEvent

    from napari_im2im.docks.advice import Advice, Fix

_LABEL = QSize(72, 26)
"""Size of a label, so that the forms of a dock line up."""

_DELAY = 200
"""Milliseconds between the last change and a new sentence."""

_QUIET = 1000
"""Milliseconds without a change before libraries are loaded."""


class Dock(QWidget):  # type: ignore[misc]
    """Base of the docks that run a job.

    Parameters
    ----------
    viewer
        The window that the dock belongs to.
    verb
        What the primary button does.
    libraries
        Modules that the job imports; loaded once it could be started.
    """

    def __init__(
        self, viewer: napari.Viewer, verb: str, libraries: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.viewer = viewer
        self.job: Job | None = None
        self.job_row = JobRow(verb)
        self._placed = False
        self._libraries = libraries
        self._body = QVBoxLayout()
        self._body.setContentsMargins(0, 0, 4, 0)
        self._body.setSpacing(6)
        inner = QWidget()
        inner.setLayout(self._body)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        scroll.setMinimumWidth(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.job_row)
        self.job_row.add_shortcuts(self)
        self.job_row.run_requested.connect(self.run)
        self.job_row.stop_requested.connect(self.stop)
        self.job_row.fixed.connect(self.apply_fix)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self.refresh)
        self._loader = QTimer(self)
        self._loader.setSingleShot(True)
        self._loader.setInterval(_QUIET)
        self._loader.timeout.connect(self._load)
        # Once the window has placed the dock; ends with it.
        self._arrival = QTimer(self)
        self._arrival.setSingleShot(True)
        self._arrival.timeout.connect(self._come_forward)

    def _close_body(self) -> None:
        """End the form; the foot is added anew, so that Tab comes to it last."""
        self._body.addStretch()
        self.job_row.setParent(None)
        self.layout().addWidget(self.job_row)

    def sizeHint(self) -> QSize:
        """Return the size that fits a 1280 x 760 window."""
        return QSize(340, 560)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size at which nothing is cut off."""
        return QSize(280, 300)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Come to the front of the other docks, and at first join them."""
        super().showEvent(event)
        if event is not None and not event.spontaneous():
            self._arrival.start()

    def changeEvent(self, event: QEvent | None) -> None:
        """End the job with its panel; nobody could stop it any more."""
        super().changeEvent(event)
        removed = event is not None and event.type() == QEvent.Type.ParentChange
        if removed and self._placed and self.parent() is None and self.job is not None:
            self.job.close()

    def _come_forward(self) -> None:
        if not self._placed:
            join_others(self, Dock)
        self._placed = True
        frame = frame_of(self)
        if frame is not None:
            frame.raise_()

    @property
    def running(self) -> bool:
        """Whether a job is running."""
        return self.job is not None

    def run(self) -> None:
        """Start the job that the dock describes."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Say what the job will do, or what to fix first."""
        raise NotImplementedError

    def apply_fix(self, fix: Fix) -> None:
        """Do what the button beside a sentence says."""
        raise NotImplementedError

    def refresh_soon(self) -> None:
        """Refresh once the changes of this moment are over."""
        self._timer.start()

    def stop(self) -> None:
        """Ask the running job to end after its current step."""
        if self.job is not None:
            self.job.stop()

    def _load(self) -> None:
        # No partial: one that was collected with its dock crashes the timer.
        load_soon(self._libraries)

    def _show_advice(self, advice: Sequence[Advice]) -> None:
        """Show what the job will do, and get ready for it if it can be started."""
        self.job_row.show_advice(advice)
        if self.job_row.run_button.isEnabled():
            self._loader.start()

    def _start(
        self,
        make: Callable[[], Generator[Any]],
        on_event: Callable[[Any], None],
        on_end: Callable[[str], None],
    ) -> None:
        """Run a job, with Stop in place of the primary button."""
        job = Job(make, self)
        job.happened.connect(on_event)
        job.failed.connect(self._show_failure)
        job.ended.connect(lambda end: self._finish(end, on_end))
        self.job = job
        self.job_row.set_running(True)
        job.start()

    def _show_failure(self, text: str) -> None:
        self.job_row.add_note(text)

    def _finish(self, end: str, on_end: Callable[[str], None]) -> None:
        self.job = None
        self.job_row.set_running(False)
        on_end(end)
        self.refresh()

    def tell_end(self, end: str) -> None:
        """Replace the progress of a job that wasn't finished."""
        if end != "finished":
            self.job_row.show_status("Stopped." if end == "stopped" else "")

    def _look(
        self,
        make: Callable[[], Generator[Any]],
        on_result: Callable[[Any], None],
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        """Read something that may take long, in a thread, and hear the result."""
        look = Job(make, self)
        look.happened.connect(on_result)
        look.failed.connect(on_failure or self._show_failure)
        look.start()


def first_problem(error: ValidationError) -> str:
    """Return the first of the problems of a config as a sentence."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}. Change it under Options."


class Form(QGridLayout):  # type: ignore[misc]
    """Labels on the left, what they belong to on the right."""

    def __init__(self) -> None:
        super().__init__()
        self.setContentsMargins(0, 0, 0, 0)
        self.setVerticalSpacing(6)
        self.setColumnStretch(1, 1)
        self._labels: dict[QWidget, QLabel] = {}

    def add(self, title: str, widget: QWidget, buddy: QWidget | None = None) -> None:
        """Add a row; ``&`` in the title makes its shortcut."""
        label = QLabel(title)
        label.setBuddy(buddy or widget)
        label.setFixedSize(_LABEL)
        row = self.rowCount()
        self.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
        self.addWidget(widget, row, 1)
        self._labels[widget] = label

    def show_row(self, widget: QWidget, shown: bool) -> None:
        """Show or hide a row."""
        self._labels[widget].setVisible(shown)
        widget.setVisible(shown)

    def take(self, widget: QWidget) -> None:
        """Remove a row."""
        for part in (self._labels.pop(widget), widget):
            self.removeWidget(part)
            part.hide()
            part.deleteLater()
