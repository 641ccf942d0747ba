"""What can be done with a model of this computer: use, test, fine-tune, export."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_im2im.docks.export.widget import open_export
from napari_im2im.docks.model_zoo.jobs import (
    Opened,
    open_model,
    run_test,
)
from napari_im2im.docks.model_zoo.layers import ReproductionLayers
from napari_im2im.docks.opening import open_dock
from napari_im2im.docks.trust import ask_for_trust
from napari_im2im.events import Event, Message, Progress
from napari_im2im.zoo.testing import FormatTested, PackageTested

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_im2im.docks.dock import Dock
    from napari_im2im.zoo.catalogue import Entry

_TRAINED = ["pytorch_state_dict"]
"""The weights formats that training goes on from."""


class ModelActions(QWidget):  # type: ignore[misc]
    """The buttons for the chosen model, and what they do.

    Parameters
    ----------
    dock
        The Model Zoo.
    look, start
        How it reads something in a thread, and how it runs a job.
    """

    def __init__(
        self, dock: Dock, look: Callable[..., None], start: Callable[..., None]
    ) -> None:
        super().__init__()
        self._dock = dock
        self._look = look
        self._start = start
        self._entry: Entry | None = None
        self.test_button = QPushButton("Test")
        self.train_button = QPushButton("Fine-tune in Train")
        self.export_button = QPushButton("Export…")
        self._tips = {
            self.test_button: "Runs the model on its own test image",
            self.train_button: "Goes on training it with images of yours",
            self.export_button: "Makes a package for publication",
        }
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for button in self._tips:
            button.setAccessibleName(button.text())
            row.addWidget(button, len(button.text()))
        self.test_button.clicked.connect(self.test)
        self.train_button.clicked.connect(self.fine_tune)
        self.export_button.clicked.connect(self.export)
        self.show_entry(None)

    def show_entry(self, entry: Entry | None) -> None:
        """Be about another model."""
        self._entry = entry
        here = entry is not None and entry.folder is not None
        for button, tip in self._tips.items():
            button.setEnabled(here)
            button.setToolTip(tip if here else "Get the model first")

    def use(self) -> None:
        """Open the model in Predict."""
        self._with_consent(self._use)

    def test(self) -> None:
        """Run the model on its own test tensors."""
        self._with_consent(self._test)

    def fine_tune(self) -> None:
        """Open the model in Train, or say why it can't be trained."""
        self._with_consent(self._fine_tune, _TRAINED)

    def export(self) -> None:
        """Open the page that makes a package of the model."""
        if self._entry is not None and self._entry.folder is not None:
            open_export(self._dock.viewer, self._entry.folder)

    def _with_consent(
        self, go_on: Callable[[Entry], None], formats: Sequence[str] | None = None
    ) -> None:
        """Read the model, ask for trust if it needs any, and go on."""
        entry = self._entry
        if entry is not None and entry.folder is not None and not self._dock.running:
            self._read(entry.folder, go_on, formats)

    def _read(
        self,
        folder: Path,
        go_on: Callable[[Entry], None],
        formats: Sequence[str] | None,
    ) -> None:
        def answer(opened: Opened) -> None:
            note = opened.refused
            if formats is _TRAINED and opened.untrainable:
                note = f"{opened.entry.title} can't be trained: {opened.untrainable}"
            if note:
                self._dock.job_row.add_note(note)
            elif opened.code is None:
                go_on(opened.entry)
            else:
                ask_for_trust(
                    opened.code,
                    opened.entry.title,
                    self,
                    lambda keep: self._look(keep, lambda _: again()),
                )

        # One model may bring several files, each with a question of its own.
        again = partial(self._read, folder, go_on, formats)
        self._look(partial(open_model, str(folder), formats), answer)

    def _use(self, entry: Entry) -> None:
        open_dock(self._dock.viewer, "Predict").use_model(str(entry.folder))

    def _fine_tune(self, entry: Entry) -> None:
        open_dock(self._dock.viewer, "Train").start_from(str(entry.folder))

    def _test(self, entry: Entry) -> None:
        layers = ReproductionLayers(self._dock.viewer, entry.title)
        row = self._dock.job_row

        def hear(event: Event) -> None:
            match event:
                case Progress(done=done, total=total, activity=activity):
                    row.show_progress(done, total, activity)
                case Message(text=text):
                    row.show_status(text)
                case FormatTested():
                    row.add_note(event.sentence)
                    layers.show(event)
                case PackageTested():
                    row.show_status(event.verdict)

        self._start(partial(run_test, str(entry.folder)), hear, self._dock.tell_end)
        row.show_status("Loading the model …")
