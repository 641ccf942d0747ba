import numpy as np
import pytest
from qtpy.QtWidgets import QLabel

from napari_im2im.docks.job_row import SentenceRow
from napari_im2im.docks.settings import load_settings, remember
from napari_im2im.docks.train.augmentation_preview import AugmentationDialog
from napari_im2im.docks.train.widget import TrainWidget
from napari_im2im.errors import DataError
from napari_im2im.events import Progress
from napari_im2im.training.data.augmentation_config import AugmentationConfig


@pytest.fixture
def pair(viewer):
    """Two images of the same field."""
    pixels = np.random.default_rng(0).random((32, 32), np.float32)
    viewer.add_image(pixels, name="phase")
    viewer.add_image(pixels * 100, name="DAPI")


@pytest.fixture
def open_train(viewer, qtbot, show):
    def open_dock():
        dock = show(TrainWidget(viewer))
        qtbot.waitUntil(
            lambda: len(dock.form.look.facts) == 2 or len(viewer.layers) < 2
        )
        dock.refresh()
        return dock

    return open_dock


def run(dock, qtbot):
    dock.run()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)


def test_the_first_two_layers_are_input_and_target(pair, open_train, sentences):
    dock = open_train()
    assert [layer.name for layer in dock.form.rows["input"].layers] == ["phase"]
    assert [layer.name for layer in dock.form.rows["target"].layers] == ["DAPI"]
    assert dock.form.name.placeholderText() == "phase-to-DAPI"
    assert sentences(dock) == [
        "Learns DAPI from phase (32 × 32) for 30 min.",
        "One image only: validation uses a separate strip of the same image.",
    ]


def test_what_was_predicted_is_not_proposed_as_target(viewer, pair, open_train):
    result = viewer.add_image(np.zeros((32, 32)), name="phase → sharp")
    result.metadata["napari_im2im"] = {"model": "sharp"}
    viewer.layers.move(2, 1)
    dock = open_train()
    assert [layer.name for layer in dock.form.rows["target"].layers] == ["DAPI"]


def test_a_training_is_watched(pair, open_train, qtbot, fake_training, sentences):
    job = fake_training()
    dock = open_train()
    dock.form.effort.setCurrentIndex(0)
    run(dock, qtbot)
    assert job.config.name == "phase-to-DAPI"
    assert job.config.effort.seconds == 120
    ((source, target),) = job.pairs
    assert source.name == "phase"
    assert target.channel_names == ("DAPI",)
    assert dock.view.plot._canvas.best == 4
    assert len(dock.view.plot._canvas.validation) == 4
    assert dock.view.best.text() == "Best on validation: PCC 0.9"
    assert "Done: time is up." in sentences(dock)
    assert dock.view.try_button.isVisibleTo(dock)
    assert "running" not in load_settings()


def test_stop_keeps_the_best(pair, open_train, qtbot, fake_training, sentences):
    job = fake_training(steps=50, wait=0.05)
    dock = open_train()
    dock.run()
    qtbot.waitUntil(lambda: dock.view.try_button.isVisibleTo(dock))
    dock.job_row.stop_button.click()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)
    assert "Stopped. The best model is kept." in sentences(dock)
    assert job.closed


def test_an_error_is_a_sentence(pair, open_train, qtbot, fake_training, sentences):
    fake_training(error=DataError("The disk is full: free some space."))
    dock = open_train()
    run(dock, qtbot)
    assert "The disk is full: free some space." in sentences(dock)
    assert "Ended. The best model is kept." in sentences(dock)


def test_a_training_without_a_model_is_not_called_trained(
    pair, open_train, qtbot, monkeypatch
):
    def fail(config, pairs):
        yield Progress(0, 0, "Reading images")
        raise DataError("The disk is full: free some space.")

    monkeypatch.setattr("napari_im2im.docks.train.widget._train", fail)
    dock = open_train()
    run(dock, qtbot)
    assert dock.view.title.text() == "phase-to-DAPI has no model"


def test_nothing_to_learn_from(open_train, viewer, sentences):
    dock = open_train()
    assert sentences(dock)[0].startswith("First: Open two images of the same field")
    assert not dock.job_row.run_button.isEnabled()
    dock.run()
    assert not dock.running


def test_the_same_layer_twice(pair, open_train, sentences):
    dock = open_train()
    dock.form.rows["target"].layer_row.set_layers(dock.form.rows["input"].layers)
    dock.refresh()
    assert sentences(dock)[0].startswith("First: phase is input and target")


def test_sizes_differ(viewer, pair, open_train, sentences, press, qtbot, fake_training):
    job = fake_training()
    viewer.layers["DAPI"].data = np.random.default_rng(1).random((40, 24))
    dock = open_train()
    assert "phase is 32 × 32, DAPI is 40 × 24" in sentences(dock)[0]
    press(dock, "Crop both")
    assert dock.job_row.run_button.isEnabled()
    run(dock, qtbot)
    assert [image.shape for image in job.pairs[0]] == [(32, 24), (32, 24)]
    assert viewer.layers["phase"].data.shape == (32, 32)


def test_a_constant_target(viewer, open_train, sentences):
    viewer.add_image(np.random.default_rng(0).random((16, 16)), name="phase")
    viewer.add_image(np.full((16, 16), 7), name="empty")
    dock = open_train()
    assert "The target empty has the value 7 everywhere" in sentences(dock)[0]


def test_nan_is_replaced_in_a_copy(viewer, pair, open_train, sentences, press, qtbot):
    pixels = viewer.layers["phase"].data.copy()
    pixels[3, 4] = np.nan
    viewer.layers["phase"].data = pixels
    dock = open_train()
    assert "phase has NaN or infinite pixels" in sentences(dock)[0]
    press(dock, "Replace them")
    qtbot.waitUntil(lambda: len(dock.form.look.facts) == 2)
    dock.refresh()
    assert dock.job_row.run_button.isEnabled()
    (layer,) = dock.form.rows["input"].layers
    assert layer.name == "phase (finite)"
    assert np.isfinite(layer.data).all()
    assert np.isnan(viewer.layers["phase"].data[3, 4])


def test_a_patch_larger_than_the_image(pair, open_train, sentences, press):
    dock = open_train()
    dock.form.options.set_value("patch", {"y": 64, "x": 64})
    dock.refresh()
    assert (
        "phase has 32 pixels along y, less than the patch of 64" in sentences(dock)[0]
    )
    press(dock, "Use 32")
    press(dock, "Use 32")
    assert dock.form.options.values()["patch"] == {"y": 32, "x": 32}
    assert dock.job_row.run_button.isEnabled()


def test_rgb_and_labels(viewer, open_train, sentences):
    rng = np.random.default_rng(0)
    viewer.add_image(
        rng.integers(0, 255, (16, 16, 3), np.uint8), name="stain", rgb=True
    )
    viewer.add_image(rng.random((16, 16)), name="DAPI")
    viewer.add_labels(np.ones((16, 16), int), name="nuclei")
    dock = open_train()
    assert "stain is RGB: its colours are read as 3 channels." in sentences(dock)
    dock.form.rows["target"].layer_row.set_layers([viewer.layers["nuclei"]])
    dock.refresh()
    assert "nuclei is a Labels layer" in sentences(dock)[0]


def test_planes_become_channels(viewer, open_train, sentences, qtbot, fake_training):
    rng = np.random.default_rng(0)
    viewer.add_image(rng.random((4, 16, 16)), name="phase", axis_labels=("z", "y", "x"))
    viewer.add_image(rng.random((16, 16)), name="DAPI")
    dock = open_train()
    assert "The 4 planes of phase become channels." in sentences(dock)


def test_channels_are_chosen(viewer, open_train, qtbot, fake_training):
    job = fake_training()
    rng = np.random.default_rng(0)
    viewer.add_image(rng.random((3, 16, 16)), name="phase")
    viewer.add_image(rng.random((16, 16)), name="DAPI")
    dock = open_train()
    assert dock.form.rows["input"].axes_row.button.text() == "channel 3 · y 16 · x 16 ?"
    dock.form.rows["input"].axes_row.edit()
    dock.form.rows["input"].axes_row._checks[1].setChecked(False)
    run(dock, qtbot)
    assert job.config.data.input_channels == [0, 2]
    viewer.add_image(rng.random((16, 16)), name="another")
    assert dock.form.rows["input"].channels == [0, 2]


def test_a_training_that_was_cut_off_goes_on(
    tmp_path, pair, open_train, qtbot, fake_training
):
    job = fake_training()
    folder = tmp_path / "runs" / "bf-to-dapi"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").touch()
    job.folder.mkdir(parents=True)
    rows = "step,train_loss,validation_loss\n-20,0.9,0.8\n-10,0.7,\n"
    (job.folder / "metrics.csv").write_text(rows)
    (job.folder / "model").mkdir()
    run_ = {"folder": str(folder), "input": ["phase"], "target": ["DAPI"]}
    remember(running=run_)
    dock = open_train()
    assert dock.resume.isVisibleTo(dock)
    dock.resume.accepted.emit(str(folder))
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)
    assert job.config.resume == folder
    assert not dock.resume.isVisibleTo(dock)
    assert dock.view.plot._canvas.train[:2] == [(-20, 0.9), (-10, 0.7)]


def test_a_running_training_is_remembered_until_it_ends(
    pair, open_train, qtbot, fake_training
):
    job = fake_training(steps=20, wait=0.05)
    dock = open_train()
    dock.run()
    qtbot.waitUntil(lambda: "running" in load_settings())
    assert load_settings()["running"]["folder"] == str(job.folder)
    dock.stop()
    qtbot.waitUntil(lambda: not dock.running)
    assert "running" not in load_settings()


def test_a_stopped_training_can_go_on(pair, open_train, qtbot, fake_training):
    job = fake_training(steps=20, wait=0.05)
    (job.folder / "checkpoints").mkdir(parents=True)
    (job.folder / "checkpoints" / "last.ckpt").touch()
    dock = open_train()
    for _ in range(2):
        dock.run()
        qtbot.waitUntil(lambda: "running" in load_settings())
        assert not dock.resume.isVisibleTo(dock)
        dock.stop()
        qtbot.waitUntil(lambda: not dock.running)
        assert dock.resume.isVisibleTo(dock)
    (row,) = dock.resume.findChildren(SentenceRow)
    assert row.findChild(QLabel).text() == "Resume phase-to-dapi? It was stopped."
    dock.resume.accepted.emit(str(job.folder))
    qtbot.waitUntil(lambda: not dock.running)
    assert job.config.resume == job.folder
    assert not dock.resume.isVisibleTo(dock)


def test_augmentation_chosen_on_its_page_arrives_in_the_job(open_train):
    dock = open_train()
    dock.form.options.see_augmentation.click()
    (dialog,) = dock.form.options.findChildren(AugmentationDialog)
    dialog.amounts["rotation"].setValue(20)
    dialog.accept()
    assert dock.form.config().augmentation == AugmentationConfig(rotation=20)
    assert dock.form.options.texts()["augmentation"] == "rotation: 20.0"


def test_the_metrics_of_each_class_are_named(pair, open_train, qtbot, fake_training):
    job = fake_training()
    job.metrics = {"dice": 0.75, "iou": 0.6, "dice myelin": 0.7, "dice axon": 0.8}
    dock = open_train()
    run(dock, qtbot)
    assert (
        dock.view.best.text()
        == "Best on validation: Dice 0.75 (myelin 0.7, axon 0.8) · IoU 0.6"
    )
