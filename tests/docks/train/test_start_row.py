"""A training starts from a new network or from a model, and says what of it stays."""

from datetime import UTC, datetime

import numpy as np
import pytest

from napari_im2im.docks.train import start_row
from napari_im2im.docks.train.start_advice import StartFacts
from napari_im2im.docks.train.start_row import StartRow
from napari_im2im.docks.train.widget import TrainWidget
from napari_im2im.docks.trust import TrustDialog
from napari_im2im.models.library import LibraryEntry
from napari_im2im.models.package import load_package
from packages import write_smooth_package, write_tiny_package

CODE = {"source": "", "callable": "Smooth", "kwargs": {}}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_package(
        tmp_path_factory.mktemp("start") / "model", ("y", "x"), 1, 2
    )


@pytest.fixture
def listed(monkeypatch, model):
    entry = LibraryEntry("affable", model, "imported", datetime.now(UTC))
    monkeypatch.setattr(start_row, "list_models", lambda: [entry])


@pytest.fixture
def fake_read(monkeypatch, model):
    """Read models at once, with facts that a test chooses."""

    def install(**changes):
        def read(path):
            yield StartFacts(path, load_package(model), **changes)

        monkeypatch.setattr(start_row, "read_start", read)

    install()
    return install


@pytest.fixture
def dock(viewer, qtbot, show, listed, fake_read):
    pixels = np.random.default_rng(0).random((32, 32), np.float32)
    viewer.add_image(pixels, name="phase")
    viewer.add_image(pixels * 100, name="DAPI")
    dock = show(TrainWidget(viewer))
    qtbot.waitUntil(lambda: len(dock.form.look.facts) == 2)
    return dock


def start(dock, qtbot):
    dock.form.start.box.setCurrentIndex(1)
    qtbot.waitUntil(lambda: dock.form.start._facts is not None, timeout=30_000)
    dock.refresh()


def test_a_new_network_is_the_default(dock):
    row = dock.form.start
    assert row.box.currentText() == "New network"
    assert row.values() == {}
    assert not row._details.isVisibleTo(row)


def test_what_goes_on_from_a_model_is_said(dock, qtbot, sentences, model):
    start(dock, qtbot)
    said = " ".join(sentences(dock))
    assert "Goes on from Tiny network." in said
    assert "Its last layer is new: the target has 1 channel, not 2." in said
    config = dock.form.config()
    assert config.start_from == model
    assert dock.job_row.run_button.isEnabled()


def test_layers_are_kept_by_depth_or_by_name(dock, qtbot, sentences):
    start(dock, qtbot)
    row = dock.form.start
    row.kept.setCurrentText("Keep the first half")
    assert dock.form.config().freeze_depth == 0.5
    assert not row.names.isVisibleTo(row)
    row.kept.setCurrentText("Keep layers by name")
    row.names.setText("conv_0, down_*")
    row.new_head.setChecked(True)
    config = dock.form.config()
    assert (config.freeze, config.freeze_depth) == (["conv_0", "down_*"], 0)
    assert config.new_head
    dock.refresh()
    assert "Some of its layers stay as they are." in " ".join(sentences(dock))


def test_a_model_that_cant_be_trained_says_why(dock, qtbot, sentences, fake_read):
    fake_read(problem="it has only onnx weights.")
    start(dock, qtbot)
    said = "First: Tiny network can't be trained: it has only onnx weights."
    assert said in sentences(dock)
    assert not dock.job_row.run_button.isEnabled()


def test_code_of_others_is_trained_when_trusted(viewer, qtbot, tmp_path, monkeypatch):
    foreign = write_smooth_package(tmp_path / "foreign", ("pytorch_state_dict",))
    monkeypatch.setattr(start_row, "list_models", list)
    row = StartRow()
    qtbot.addWidget(row)
    row.choose(foreign)
    qtbot.waitUntil(lambda: row._facts is not None, timeout=30_000)
    assert row._facts.code is not None
    row.ask_for_trust(row._facts.code)
    (dialog,) = row.findChildren(TrustDialog)
    dialog.accept()
    qtbot.waitUntil(lambda: row._facts.code is None, timeout=30_000)


def test_a_missing_model_is_a_sentence(dock, qtbot, monkeypatch, tmp_path):
    monkeypatch.undo()
    row = dock.form.start
    row.choose(tmp_path / "nowhere")
    qtbot.waitUntil(lambda: bool(row._failure), timeout=30_000)
    (advice,) = row.advice(dock.form.config(), None, None)
    assert advice.level == "stop"
