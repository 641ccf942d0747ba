import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_im2im.docks.predict import widget as predict
from napari_im2im.docks.predict.widget import PredictWidget
from napari_im2im.docks.settings import load_settings
from napari_im2im.docks.trust import TrustDialog
from napari_im2im.errors import ModelError
from napari_im2im.inference.journal import journal_of
from packages import write_smooth_package


@pytest.fixture
def open_predict(viewer, qtbot, show):
    def open_dock():
        dock = show(PredictWidget(viewer))
        qtbot.waitUntil(lambda: dock._facts is not None or not dock.model_picker.model)
        dock.refresh()
        return dock

    return open_dock


def run(dock, qtbot):
    dock.run()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)


def test_a_beginner_is_told_what_is_missing(
    viewer, open_predict, qtbot, sentences, fake_model, monkeypatch
):
    monkeypatch.setattr("napari_im2im.docks.model_picker.list_models", list)
    dock = open_predict()
    assert "There is no model yet" in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()
    fake_model()
    dock.model_picker.refresh()
    qtbot.waitUntil(lambda: dock._facts is not None)
    dock.refresh()
    assert "Open an image" in sentences(dock)[0]
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock.refresh()
    assert sentences(dock)[0] == "sharp predicts from phase: 16 × 16."


def test_a_file_that_is_there_is_continued_or_left_alone(
    viewer, open_predict, qtbot, fake_model, fake_prediction, sentences, press, tmp_path
):
    fake_model()
    job = fake_prediction()
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    output = tmp_path / "result.ome.zarr"
    output.mkdir()
    dock.options.set_value("output", str(output))
    dock.refresh()
    assert "is there already" in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()
    journal_of(output).start({})
    dock.refresh()
    assert "First: result.ome.zarr was interrupted" in sentences(dock)[0]
    press(dock, "Go on")
    run(dock, qtbot)
    assert job.config.resume
    dock.refresh()
    assert not dock.job_row.run_button.isEnabled()


def test_the_result_lies_on_its_source(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
    sentences,
):
    fake_model()
    job = fake_prediction()
    viewer.add_image(
        np.zeros((2, 16, 12), np.uint16),
        name="phase",
        scale=(5, 0.2, 0.1),
        translate=(1, 2, 3),
        units=("second", "micrometer", "micrometer"),
        axis_labels=("t", "y", "x"),
    )
    viewer.add_image(np.zeros((16, 12)), name="above")
    viewer.layers.selection = {viewer.layers["phase"]}
    dock = open_predict()
    run(dock, qtbot)
    assert [layer.name for layer in viewer.layers] == [
        "phase",
        "phase → sharp",
        "above",
    ]
    result = viewer.layers["phase → sharp"]
    assert result.data.shape == (2, 16, 12)
    assert result.scale == pytest.approx((5, 0.2, 0.1))
    assert result.translate == pytest.approx((1, 2, 3))
    assert [str(unit) for unit in result.units] == [
        "second",
        "micrometer",
        "micrometer",
    ]
    assert result.axis_labels == ("t", "y", "x")
    assert result.contrast_limits[1] > 1
    provenance = result.metadata["napari_im2im"]
    assert provenance["config"]["model"] == "sharp/model"
    assert provenance["model"] == {"id": "fake"}
    assert any(text.startswith("Done in") for text in sentences(dock))
    assert job.closed


def test_results_are_numbered_and_never_replaced(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
):
    fake_model()
    fake_prediction()
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    run(dock, qtbot)
    dock.inputs[0].layer_row.set_layers([viewer.layers["phase"]])
    run(dock, qtbot)
    names = {layer.name for layer in viewer.layers}
    assert names == {"phase", "phase → sharp", "phase → sharp [2]"}


def test_channels_become_layers(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
):
    fake_model()
    fake_prediction(channels=2)
    viewer.add_image(np.zeros((16, 16)), name="phase")
    run(open_predict(), qtbot)
    assert [layer.name for layer in viewer.layers] == [
        "phase",
        "phase → sharp · stain 0",
        "phase → sharp · stain 1",
    ]


def test_stop_keeps_what_is_done(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
):
    fake_model()
    job = fake_prediction(rows=16, wait=0.1)
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    dock.run()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    qtbot.wait(250)
    dock.job_row.stop_button.click()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)
    result = viewer.layers["phase → sharp (partial)"]
    assert result.data[0].min() == 1
    assert result.data[-1].max() == 0
    assert job.closed


def test_an_error_is_a_sentence_and_keeps_what_is_done(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
    sentences,
):
    fake_model()
    fake_prediction(error=ModelError("The weights are damaged: get them again."))
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    run(dock, qtbot)
    assert "The weights are damaged: get them again." in sentences(dock)
    assert "phase → sharp (partial)" in viewer.layers


def test_a_runtime_error_of_torch_ends_the_job(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
    sentences,
):
    fake_model()
    fake_prediction(error=RuntimeError("out of memory"))
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    run(dock, qtbot)
    assert any("out of memory" in text for text in sentences(dock))


def test_a_missing_channel_is_a_second_layer(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
    sentences,
    press,
):
    fake_model(channels=2)
    job = fake_prediction()
    viewer.add_image(np.zeros((16, 16)), name="a")
    viewer.add_image(np.ones((16, 16)), name="b")
    dock = open_predict()
    assert "reads 2 channels" in sentences(dock)[0]
    press(dock, "Add a layer")
    run(dock, qtbot)
    (image,) = job.images
    assert image.sizes == {"channel": 2, "y": 16, "x": 16}
    assert sorted(image.channel_names) == ["a", "b"]


def test_a_layer_that_fits_the_model_is_chosen(
    viewer,
    open_predict,
    qtbot,
    fake_model,
):
    fake_model(channels=2)
    viewer.add_image(np.zeros((2, 16, 16)), name="two channels")
    viewer.add_image(np.zeros((16, 16)), name="one channel")
    dock = open_predict()
    assert dock.inputs[0].layers == [viewer.layers["two channels"]]
    assert dock.job_row.run_button.isEnabled()


def test_a_labels_layer_is_refused(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    sentences,
):
    fake_model()
    viewer.add_labels(np.zeros((16, 16), int), name="nuclei")
    dock = open_predict()
    assert "nuclei is a Labels layer" in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()


def test_a_3d_model_asks_what_a_guessed_axis_is(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
    sentences,
    press,
):
    fake_model(channels=1, spatial="zyx")
    job = fake_prediction()
    viewer.add_image(np.zeros((9, 16, 16)), name="stack")
    dock = open_predict()
    assert any("first axis of stack (9) z or time?" in text for text in sentences(dock))
    press(dock, "z")
    assert not any("z or time" in text for text in sentences(dock))
    run(dock, qtbot)
    assert job.images[0].axes == ("z", "y", "x")


def test_a_rectangle_is_predicted_where_it_is_drawn(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
):
    fake_model()
    job = fake_prediction(rows=1)
    viewer.add_image(np.zeros((32, 32)), name="phase", scale=(2, 2))
    viewer.add_shapes([[[8, 16], [8, 39], [23, 39], [23, 16]]], name="part")
    dock = open_predict()
    dock.region.setCurrentText("Rectangle in part")
    run(dock, qtbot)
    assert job.config.region == {"y": (4, 13), "x": (8, 21)}
    assert viewer.layers["phase → sharp"].translate == pytest.approx((8, 16))


def test_compare_shows_both_and_goes_back(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
):
    fake_model()
    fake_prediction()
    viewer.add_image(np.zeros((16, 16)), name="phase")
    viewer.add_image(np.zeros((16, 16)), name="other")
    dock = open_predict()
    dock.inputs[0].layer_row.set_layers([viewer.layers["phase"]])
    run(dock, qtbot)
    dock.actions.compare.click()
    assert viewer.canvas.grid.enabled
    assert not viewer.layers["other"].visible
    dock.actions.compare.click()
    assert not viewer.canvas.grid.enabled
    assert viewer.layers["other"].visible


def test_the_job_is_copied(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
):
    fake_model()
    fake_prediction()
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    run(dock, qtbot)
    python = dock.actions.copy.menu().actions()[1]
    python.trigger()
    text = QApplication.clipboard().text()
    assert "image=viewer.layers['phase'].data" in text
    assert "model='sharp/model'" in text


def test_options_and_pace_are_remembered(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    fake_prediction,
    monkeypatch,
    tmp_path,
):
    fake_model()
    fake_prediction()
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    dock.options.set_value("tile", {"y": 64, "x": 64})
    dock.options.set_value("output", str(tmp_path / "only-once.ome.zarr"))
    run(dock, qtbot)
    assert "pace" not in load_settings()  # of so few pixels it says nothing
    monkeypatch.setattr("napari_im2im.docks.predict.run._TELLING", 0)
    run(dock, qtbot)
    assert load_settings()["pace"]["sharp/model"] > 0
    again = open_predict()
    assert again.options.values() == {"tile": {"y": 64, "x": 64}}


def test_an_option_that_makes_no_sense_is_said(
    viewer,
    open_predict,
    qtbot,
    fake_model,
    sentences,
):
    fake_model()
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    dock.options.set_value("batch_size", "many")
    dock.refresh()
    assert sentences(dock)[0].startswith("First: batch_size:")
    assert not dock.job_row.run_button.isEnabled()


def test_models_that_separate_objects_have_options_of_their_own(
    viewer, open_predict, qtbot, fake_model
):
    def shown(dock):
        form = dock.options._form
        names = ("result", "objects.seed", "objects.smallest", "tile")
        entries = dock.options._entries
        return [name for name in names if form.isRowVisible(entries[name].widget)]

    fake_model()
    viewer.add_image(np.zeros((16, 16)), name="cells")
    dock = open_predict()
    assert shown(dock) == ["tile"]
    fake_model(meaning={"name": "instances", "seed": 0.4, "smallest": 12})
    dock._read_model()
    qtbot.waitUntil(lambda: dock._facts is not None)
    assert shown(dock) == ["result", "objects.seed", "objects.smallest", "tile"]
    hint = dock.options._entries["objects.smallest"].widget.placeholderText()
    assert hint == "12 (of the model)"
    dock.options.set_value("objects.smallest", 30)
    assert dock.options.values() == {"objects": {"smallest": 30}}


def test_code_of_a_model_runs_once_it_is_trusted(
    viewer, open_predict, qtbot, sentences, press, tmp_path
):
    foreign = write_smooth_package(tmp_path / "foreign", ("pytorch_state_dict",))
    viewer.add_image(np.zeros((24, 32)), name="phase")
    dock = open_predict()
    dock.use_model(str(foreign))
    qtbot.waitUntil(lambda: dock._facts is not None)
    assert "runs its own Python code: " in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()
    press(dock, "Look at it …")
    (dialog,) = dock.findChildren(TrustDialog)
    assert dialog.cancel.isDefault()
    dialog.trust.click()
    qtbot.waitUntil(lambda: dock._facts is not None and dock._facts.code is None)
    dock.refresh()
    assert sentences(dock)[0].startswith("foreign predicts from phase")
    assert dock.job_row.run_button.isEnabled()


def test_code_that_nobody_can_agree_to_is_refused(
    viewer, open_predict, sentences, fake_model
):
    fake_model(refused="It runs code of the internet.")
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    assert "It runs code of the internet." in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()


def test_a_pretrained_network_is_for_training(
    viewer, open_predict, sentences, press, fake_model, monkeypatch
):
    fake_model(meaning={"name": "masked"}, note="Start a training from it.")
    viewer.add_image(np.zeros((16, 16)), name="phase")
    dock = open_predict()
    assert "Note: Start a training from it." in sentences(dock)
    opened = []

    class Train:
        def start_from(self, path):
            opened.append(path)

    monkeypatch.setattr(predict, "open_dock", lambda viewer, name: Train())
    press(dock, "Start a training")
    assert opened == ["sharp/model"]
