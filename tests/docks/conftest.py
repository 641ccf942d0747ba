"""A window, a home of its own, and jobs that need no network."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_im2im.docks import dock, model_picker
from napari_im2im.docks.predict import widget as predict
from napari_im2im.docks.predict.advice import ModelFacts
from napari_im2im.docks.train import widget as train
from napari_im2im.events import (
    MetricsLogged,
    NewBest,
    PredictionFinished,
    PredictionStarted,
    Preview,
    Progress,
    TileDone,
    TrainingFinished,
    TrainingStarted,
)
from napari_im2im.images.image import Image
from napari_im2im.models.library import LibraryEntry


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Keep settings and runs of the tests apart."""
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _nothing_loads_ahead(monkeypatch):
    """Keep imports of one test out of the next ones."""
    monkeypatch.setattr(dock, "load_soon", lambda modules: None)


@pytest.fixture
def qtbot(qtbot):
    """A qtbot that waits as long as a busy computer may need."""
    qtbot.waitUntil = partial(qtbot.waitUntil, timeout=60_000)
    return qtbot


class FakePrediction:
    """A prediction of ones, row by row, that a test can hold up."""

    def __init__(self, rows=4, channels=1, wait=0.0, error=None):
        self.rows, self.channels, self.wait, self.error = rows, channels, wait, error
        self.config, self.images, self.closed = None, None, False

    def __call__(self, config, images):
        self.config, self.images = config, images
        try:
            yield from self._events(images[0])
        finally:
            self.closed = True

    def _events(self, image):
        sizes = {a: n for a, n in image.sizes.items() if a != "channel"}
        for axis, (start, stop) in (self.config.region or {}).items():
            sizes[axis] = stop - start
        axes = ("channel", *sizes)
        names = tuple(f"stain {i}" for i in range(self.channels))
        pixels = np.zeros((self.channels, *sizes.values()), np.float32)
        output = Image(pixels, axes, channel_names=names)
        yield PredictionStarted(
            (output,), self.rows, {"y": 8, "x": 8}, {"y": 2, "x": 2}, "torch", "cpu"
        )
        height = sizes["y"] // self.rows
        for row in range(self.rows):
            if self.error and row == 2:
                raise self.error
            time.sleep(self.wait)
            region = slice(row * height, (row + 1) * height)
            pixels[..., region, :] = row + 1
            yield TileDone(row + 1, self.rows, {"y": region}, self.wait)
        yield PredictionFinished((output,), 1.0, {"model": {"id": "fake"}})


class FakeTraining:
    """A training of a few steps that writes nothing."""

    def __init__(self, folder, steps=4, wait=0.0, error=None):
        self.folder, self.steps, self.wait, self.error = folder, steps, wait, error
        self.metrics = {"pcc": 0.9}
        self.config, self.pairs, self.closed = None, None, False

    def __call__(self, config, pairs):
        self.config, self.pairs = config, pairs
        try:
            yield from self._events()
        finally:
            self.closed = True

    def _events(self):
        yield Progress(0, 0, "Reading images")
        yield TrainingStarted(self.folder, "cpu", 500_000, 1, 1, "The last strip.")
        for step in range(1, self.steps + 1):
            if self.error and step == 3:
                raise self.error
            time.sleep(self.wait)
            yield Progress(step, self.steps, "training", 10.0)
            loss = {"train_loss": 1 / step, "validation_loss": 1.5 / step}
            yield MetricsLogged(step, 1, loss)
            yield Preview(step, *np.ones((3, 2, 8, 8)))
            package = self.folder / "model"
            yield NewBest(step, "validation_loss", 1.5 / step, package)
        yield TrainingFinished(self.folder, package, self.metrics, "time is up")


@pytest.fixture
def viewer():
    """Return a viewer without a window: most of a dock needs no more."""
    return ViewerModel()


@pytest.fixture
def show(viewer, qtbot):
    """Put a dock beside the viewer as napari does."""

    def add(dock):
        qtbot.addWidget(dock)
        for event in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, event).connect(dock.reset_choices)
        return dock

    return add


@pytest.fixture
def fake_model(monkeypatch):
    """Have one model on this computer, which reads one channel in 2D."""

    def install(channels=1, spatial="yx", names=("Image",), meaning=None, **facts):
        entry = LibraryEntry("sharp", Path("sharp/model"), "run", datetime.now(UTC))
        monkeypatch.setattr(model_picker, "list_models", lambda: [entry])
        counts = (channels,) * len(names)

        def describe(path):
            yield ModelFacts(
                path, tuple(names), counts, spatial, 1, meaning or {}, "sharp", **facts
            )

        monkeypatch.setattr(predict, "_describe_model", describe)
        return entry

    return install


@pytest.fixture
def fake_prediction(monkeypatch):
    """Put another job in the place of predictions."""

    def install(**options):
        job = FakePrediction(**options)
        monkeypatch.setattr(predict, "_predict", job)
        return job

    return install


@pytest.fixture
def fake_training(monkeypatch, tmp_path):
    """Put another job in the place of trainings."""

    def install(**options):
        job = FakeTraining(tmp_path / "runs" / "phase-to-dapi", **options)
        monkeypatch.setattr(train, "_train", job)
        return job

    return install


@pytest.fixture
def sentences():
    """Return what stands above the button of a dock."""

    def read(dock):
        from qtpy.QtWidgets import QLabel

        return [
            label.text()
            for label in dock.job_row.findChildren(QLabel)
            if label.isVisibleTo(dock.job_row) and label.text()
        ]

    return read


@pytest.fixture
def press():
    """Press the button that fixes what a sentence says."""

    def click(dock, label):
        from qtpy.QtWidgets import QPushButton

        (button,) = (
            one
            for one in dock.job_row.findChildren(QPushButton)
            if one.text() == label and one.isVisibleTo(dock.job_row)
        )
        button.click()
        dock.refresh()

    return click
