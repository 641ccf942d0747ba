"""The offer to go on with a training that was cut off or stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_im2im.docks.advice import Advice, Fix
from napari_im2im.docks.job_row import SentenceRow
from napari_im2im.docks.settings import remember

if TYPE_CHECKING:
    from collections.abc import Mapping


class ResumeOffer(QWidget):  # type: ignore[misc]
    """A sentence such as "Resume bf-to-dapi?", hidden where there is nothing to."""

    accepted = Signal(str)
    """Emitted with the run folder."""

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.hide()

    def offer(self, run: Mapping[str, Any] | None, *, stopped: bool = False) -> None:
        """Offer to go on with a run, if it can go on.

        Parameters
        ----------
        run
            What was remembered of it; None if there is none.
        stopped
            Whether it was stopped just now, so that its layers are still chosen.
        """
        if run is None:
            return
        folder = Path(run["folder"])
        if not (folder / "checkpoints" / "last.ckpt").exists():
            return
        text = f"Resume {folder.name}? It was {'stopped' if stopped else 'cut off'}."
        if run["input"] and not stopped:
            chosen = [run[role] for role in ("input", "target") if run[role]]
            layers = " and ".join(" + ".join(names) for names in chosen)
            text += f" Choose {layers} below first."
        fixes = (Fix("Resume", "resume", str(folder)), Fix("Forget it", "forget"))
        row = SentenceRow(Advice(text, "info", fixes))
        row.fixed.connect(self._decide)
        if (earlier := self._layout.takeAt(0)) is not None:
            earlier.widget().hide()
            earlier.widget().deleteLater()
        self._layout.addWidget(row)
        self.show()

    def _decide(self, fix: Fix) -> None:
        self.hide()
        if fix.action == "resume":
            self.accepted.emit(fix.value)
        else:
            remember(running=None)
