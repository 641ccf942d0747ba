"""The Train dock: layers or files in, a model out, watched while it learns."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_im2im.docks.advice import Advice, Fix
from napari_im2im.docks.dock import Dock
from napari_im2im.docks.loading import load
from napari_im2im.docks.opening import open_dock, open_sample
from napari_im2im.docks.settings import load_settings, remember
from napari_im2im.docks.train.form import TrainForm
from napari_im2im.docks.train.resume import ResumeOffer
from napari_im2im.docks.train.run import TrainingView
from napari_im2im.errors import Im2ImError
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import napari

    from napari_im2im.events import Event
    from napari_im2im.training.data.examples import Pair


_LIBRARIES = (
    "torch",
    "torch._dynamo",
    "torchmetrics",
    "lightning_fabric",
    "monai",
    "napari_im2im.evaluation.trained",
)
"""What is needed until the first step; in parts, between which loading can end."""


class TrainWidget(Dock):
    """Learn to make one image from another.

    Parameters
    ----------
    napari_viewer
        The window.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, "Train", (*_LIBRARIES, "bioimageio.spec"))
        self.form = TrainForm(napari_viewer)
        self.view = TrainingView(self.job_row)
        self.resume = ResumeOffer()
        self._run: dict[str, Any] | None = None
        self._body.addWidget(self.resume)
        self._body.addWidget(self.view)
        self._body.addWidget(self.form)
        self._close_body()
        self.view.hide()
        settings = load_settings().get("train", {})
        self.form.effort.setCurrentText(settings.get("effort", "Standard · 30 min"))
        self.form.options.set_texts(settings.get("options", {}))
        self.form.task.set_task(settings.get("task", "image"))
        self.resume.offer(load_settings().get("running"))
        self.form.changed.connect(self.refresh_soon)
        self.view.started.connect(self._remember_run)
        self.view.try_requested.connect(self._try)
        self.resume.accepted.connect(self._resume)
        self.reset_choices()

    def reset_choices(self, event: Any = None) -> None:
        """Read the layers of the viewer again."""
        self.form.reset_choices()
        self.refresh_soon()

    def refresh(self) -> None:
        """Say what the training will do, or what to fix first."""
        if self.running:
            return
        try:
            advice = self.form.advice()
        except Im2ImError as error:
            advice = [Advice(str(error), "stop")]
        self._show_advice(advice)

    def apply_fix(self, fix: Fix) -> None:
        """Do what the button beside a sentence says."""
        if fix.action == "sample":
            open_sample(self.viewer)
        else:
            self.form.apply_fix(fix)
        self.refresh_soon()

    def start_from(self, model: str) -> None:
        """Go on from a model, as the Model Zoo's button asks for."""
        self.form.start.choose(model)

    def run(self) -> None:
        """Train what the dock describes."""
        if self.running:
            return
        self.refresh()
        if self.job_row.run_button.isEnabled():
            self._train(self.form.config())

    def _resume(self, folder: str) -> None:
        if not self.running:
            self._train(TrainConfig(resume=Path(folder)))

    def _train(self, config: TrainConfig) -> None:
        pairs: list[Pair] | None = None
        channels: tuple[str, ...] = ()
        if not self.form.from_files:
            source, target = self.form.images()
            if source is None or target is None:
                self.refresh()
                return
            cost_map = self.form.cost_image()
            pairs = [(source, target, cost_map) if cost_map else (source, target)]
            channels = target.channel_names
        self._remember_form()
        self._run = None
        self.resume.hide()
        self.form.hide()
        name = config.resume.name if config.resume else config.name
        self.view.begin((config, self.form.origins()), name, channels)
        self._start(partial(_train, config, pairs), self.view.hear, self._end)
        self.job_row.show_status("Loading …")

    def _remember_form(self) -> None:
        texts = self.form.options.texts()
        effort = self.form.effort.currentText()
        task = self.form.task.task
        remember(train={"task": task, "effort": effort, "options": texts})

    def _remember_run(self, folder: Path) -> None:
        """Remember what runs, so that it can go on after a crash or a stop."""
        names = {
            role: [layer.name for layer in row.layers if self.form.reads(role)]
            for role, row in self.form.rows.items()
        }
        self._run = {"folder": str(folder), **names}
        remember(running=self._run)

    def _end(self, end: str) -> None:
        if end == "stopped":
            self.resume.offer(self._run, stopped=True)
        if end != "closed":
            remember(running=None)
        self.form.show()
        self.view.end(end)

    def _try(self, package: str) -> None:
        """Open Predict with a model and the input of this training."""
        predict = open_dock(self.viewer, "Predict")
        predict.use_model(package)
        if not self.form.from_files:
            predict.inputs[0].layer_row.set_layers(self.form.rows["input"].layers)


def _train(config: TrainConfig, pairs: Sequence[Pair] | None) -> Generator[Event]:
    # Runs in a thread: what it imports is never imported by the window.
    load(_LIBRARIES)
    from napari_im2im.evaluation.trained import train_and_test_events
    from napari_im2im.zoo.trust import TrustStore

    yield from train_and_test_events(config, pairs, trusted=TrustStore().trusted())
