"""One training as the dock shows it: progress, loss, preview and the best so far."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_im2im.docks.advice import describe_duration
from napari_im2im.docks.job_row import sentence
from napari_im2im.docks.predict.result_actions import copy_button
from napari_im2im.docks.train.loss_plot import LossPlot
from napari_im2im.docks.train.preview_strip import PreviewStrip
from napari_im2im.events import (
    Event,
    Message,
    MetricsLogged,
    NewBest,
    Preview,
    Progress,
    TrainingFinished,
    TrainingStarted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_im2im.docks.job_row import JobRow
    from napari_im2im.docks.predict.result_actions import JobText

_METRICS = {
    "pcc": "PCC",
    "ssim": "SSIM",
    "psnr": "PSNR",
    "mae": "MAE",
    "dice": "Dice",
    "iou": "IoU",
    "ap 0.5": "AP (IoU 0.5)",
    "ap 0.75": "AP (IoU 0.75)",
    "intensity distance": "intensities apart",
    "texture distance": "textures apart",
}
"""Those that are named at the end, and how."""


class TrainingView(QWidget):  # type: ignore[misc]
    """Shows the events of a training.

    Parameters
    ----------
    job_row
        Where progress and notes stand.
    """

    started = Signal(object)
    """Emitted with the run folder once there is one."""
    try_requested = Signal(str)
    """Emitted with the path of the best model."""

    def __init__(self, job_row: JobRow) -> None:
        super().__init__()
        self._row = job_row
        self.title = sentence("")
        self.plot = LossPlot()
        self.strip = PreviewStrip()
        self.best = sentence("")
        self.details = sentence("")
        self.try_button = QPushButton("Try it")
        self.try_button.setToolTip("Open Predict with the best model so far")
        self.try_button.clicked.connect(self._try)
        self._job: JobText | None = None
        self.copy = copy_button(lambda: self._job, "train")
        self._name = ""
        self._package: Path | None = None
        self._best_value = 0.0
        self._best_time = 0.0
        self._best_metric = ""
        self._clock = QTimer(self)
        self._clock.setInterval(10_000)
        self._clock.timeout.connect(self._write_best)
        self._arrange()

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addWidget(self.strip)
        layout.addWidget(self.plot)
        layout.addWidget(self.best)
        row = QHBoxLayout()
        row.addWidget(self.try_button, 1)
        row.addWidget(self.copy, 1)
        layout.addLayout(row)
        layout.addWidget(self.details)

    def begin(self, job: JobText, name: str, target_channels: Sequence[str]) -> None:
        """Get ready for a new training."""
        self._name = name
        self.title.setText(f"Training {name}")
        self.details.setText("")
        self._job = job
        self._package = None
        self.plot.clear()
        self.strip.clear()
        self.strip.set_channel_names(target_channels)
        self.best.setText("")
        self.best.hide()
        self.try_button.hide()
        self.show()

    def hear(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Progress):
            self._row.show_progress(
                event.done, event.total, event.activity, event.seconds_left
            )
        elif isinstance(event, TrainingStarted):
            self._start(event)
        elif isinstance(event, MetricsLogged):
            self.plot.add(
                event.step,
                event.values.get("train_loss"),
                event.values.get("validation_loss"),
            )
        elif isinstance(event, Preview):
            self.strip.show_preview(
                event.input,
                event.target,
                event.prediction,
                labels=event.labels,
                unpaired=event.unpaired,
            )
        elif isinstance(event, NewBest):
            self._keep_best(event)
        elif isinstance(event, Message):
            self._tell(event.text, event.level)
        elif isinstance(event, TrainingFinished):
            self._finish(event)

    def end(self, end: str) -> None:
        """Show how it ended, in the words of `Job.ended`."""
        self._clock.stop()
        trained = f"Trained {self._name}"
        self.title.setText(trained if self._package else f"{self._name} has no model")
        if end == "finished":
            return
        word = "Ended" if end == "failed" else "Stopped"
        kept = "The best model is kept." if self._package else "There is no model yet."
        self._row.show_status(f"{word}. {kept}")

    def _start(self, event: TrainingStarted) -> None:
        self._tell(event.validation)
        millions = event.parameters / 1e6
        self._row.show_status(f"{millions:.2g} M parameters on {event.device}")
        if event.device == "cpu":
            self._row.add_note("No GPU found: training runs on the CPU.")
        self._clock.start()
        self._recall(event.run_folder)
        self.started.emit(event.run_folder)

    def _recall(self, run_folder: Path) -> None:
        """Show what a training had reached that goes on; a new one has nothing."""
        from napari_im2im.training.runs.charts import read_metrics

        if (run_folder / "metrics.csv").exists():
            columns = read_metrics(run_folder / "metrics.csv")
            names = ("step", "train_loss", "validation_loss")
            for step, *losses in zip(*(columns.get(n, ()) for n in names), strict=True):
                self.plot.add(int(step), *losses)
        if (run_folder / "model").exists():
            self._package = run_folder / "model"
            self.try_button.show()

    def _tell(self, text: str, level: str = "info") -> None:
        """Add a detail, or a note that stays beside the button."""
        if level == "info":
            self.details.setText(f"{self.details.text()}\n{text}".strip())
        else:
            self._row.add_note(text)

    def _keep_best(self, event: NewBest) -> None:
        self._package = event.package
        self._best_value, self._best_time = event.value, time.monotonic()
        self._best_metric = event.metric
        if not self._is_newest:
            self.plot.mark_best(event.step)
        self._write_best()
        self.try_button.show()

    @property
    def _is_newest(self) -> bool:
        """Whether the newest model is kept, since none is better than another."""
        return self._best_metric == "step"

    def _write_best(self) -> None:
        if self._package is None:
            return
        age = time.monotonic() - self._best_time
        when = "just now" if age < 10 else f"{describe_duration(age)} ago"
        if self._is_newest:
            text = f"Kept: the newest, of step {self._best_value:.0f}, {when}"
        else:
            metric = _METRICS.get(self._best_metric, self._best_metric)
            name = metric.replace("_", " ")
            text = f"New best: {name} {self._best_value:.3g}, {when}"
        self.best.setText(text)
        self.best.show()

    def _finish(self, event: TrainingFinished) -> None:
        self._clock.stop()
        self._package = event.package
        self.try_button.show()
        measured = " · ".join(_measured(event.metrics))
        self._row.show_status(f"Done: {event.reason}.")
        what = "The newest" if self._is_newest else "Best"
        self.best.setText(f"{what} on validation: {measured}" if measured else "")
        self.best.setVisible(bool(measured))

    def _try(self) -> None:
        if self._package is not None:
            self.try_requested.emit(str(self._package))


def _measured(metrics: Mapping[str, float]) -> list[str]:
    """Return the metrics for people, the first with that of each class or channel."""
    names = [name for name in _METRICS if name in metrics]
    texts = [f"{_METRICS[name]} {metrics[name]:.3g}" for name in names]
    for name in names[:1]:
        parts = [
            f"{key.removeprefix(f'{name} ')} {value:.3g}"
            for key, value in metrics.items()
            if key.startswith(f"{name} ")
        ]
        if parts:
            texts[0] += f" ({', '.join(parts)})"
    return texts
