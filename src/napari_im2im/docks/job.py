"""Run the generator of a job in a thread, and hear of its events in the window."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QObject, Signal

from napari_im2im.errors import Im2ImError
from napari_im2im.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Failed(Event):
    """The job ended with a sentence for the user."""

    text: str


class _JobError(Exception):
    """An error that superqt would mistake for that of a deleted worker."""


class _ClosingWorker(GeneratorWorker):  # type: ignore[misc]
    """A worker that closes its generator in its own thread.

    Otherwise a stopped generator is closed when it is collected, in the window's
    thread, which would wait for whatever the job has to put in order.
    """

    def work(self) -> Any:
        try:
            return super().work()
        finally:
            self._gen.close()

    def _relay_warning(self, warning: tuple[Any, ...]) -> None:
        # What a library warns its callers of is for the log, not for a pop-up.
        _logger.warning("%s: %s", warning[1].__name__, warning[0])


def _events_of(make: Callable[[], Generator[Any]]) -> Generator[Any]:
    try:
        with closing(make()) as events:
            yield from events
    except Im2ImError as error:
        yield _Failed(str(error))
    except RuntimeError as error:
        # superqt never reports the end of a worker after a RuntimeError.
        raise _JobError(str(error)) from error


class Job(QObject):  # type: ignore[misc]
    """One run of a generator of events in napari's thread pool.

    Parameters
    ----------
    make
        Returns the generator. It is called in the thread, so what it imports
        doesn't hold up the window.
    parent
        The dock; a job ends with it.

    Attributes
    ----------
    happened
        Emitted in the window's thread with each event.
    failed
        Emitted with a sentence where the job ended with an error.
    ended
        Emitted at the very end with ``"finished"``, ``"stopped"``, ``"failed"``, or
        ``"closed"`` where the job ended with its window or panel.
    """

    happened = Signal(object)
    failed = Signal(str)
    ended = Signal(str)

    def __init__(
        self, make: Callable[[], Generator[Any]], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._end = "finished"
        self._worker = create_worker(
            _events_of,
            make,
            _start_thread=False,
            _worker_class=_ClosingWorker,
            _ignore_errors=True,
        )
        self._worker.yielded.connect(self._hear)
        self._worker.errored.connect(self._report)
        self._worker.aborted.connect(self._note_abort)
        self._worker.finished.connect(self._finish)

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self) -> None:
        """Ask the job to end after its current step."""
        self._end = "stopped"
        self._worker.quit()

    def close(self) -> None:
        """End the job as the closing of its window does: it may go on another time."""
        self._end = "closed"
        self._worker.quit()

    def _hear(self, event: object) -> None:
        if isinstance(event, _Failed):
            self._end = "failed"
            self.failed.emit(event.text)
        else:
            self.happened.emit(event)

    def _report(self, error: Exception) -> None:
        # napari itself shows the traceback of an error that nobody expected.
        self._end = "failed"
        self.failed.emit(f"An unexpected error ended the job: {error}")

    def _note_abort(self) -> None:
        if self._end == "finished":
            self._end = "closed"

    def _finish(self) -> None:
        self.ended.emit(self._end)
        self.deleteLater()
