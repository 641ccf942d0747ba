import numpy as np
import pytest
from skimage.draw import disk

from napari_im2im.docks.settings import load_settings
from napari_im2im.docks.train.task_row import TaskRow
from napari_im2im.docks.train.widget import TrainWidget
from napari_im2im.training.tasks.catalogue import TASKS


@pytest.fixture
def open_train(viewer, qtbot, show):
    def open_dock():
        dock = show(TrainWidget(viewer))
        qtbot.waitUntil(lambda: len(dock.form.look.facts) == 2)
        dock.refresh()
        return dock

    return open_dock


@pytest.fixture
def labelled(viewer):
    """A picture, and a layer of two classes of labels."""
    pixels = np.random.default_rng(0).random((64, 64), np.float32)
    viewer.add_image(pixels, name="phase")
    labels = np.zeros((64, 64), np.int32)
    labels[10:30, 10:30] = 1
    labels[40:50, 10:50] = 2
    viewer.add_labels(labels, name="cells")
    return labels


@pytest.fixture
def choose_target(viewer, qtbot):
    def choose(dock, name):
        layer = viewer.layers[name]
        dock.form.rows["target"].layer_row.set_layers([layer])

        def looked_at():
            return dock.form.look.knows("target", [layer.data])

        qtbot.waitUntil(looked_at)
        dock.refresh()

    return choose


def test_the_target_that_is_suggested_suits_the_task(viewer, labelled, open_train):
    viewer.add_image(labelled * 2.0, name="stain")
    dock = open_train()
    row = dock.form.rows["target"].layer_row
    chosen = dock.form.rows["input"].layer_row.layers[0].name
    other = {"phase": "stain", "stain": "phase"}[chosen]
    assert [layer.name for layer in row.layers] == [other]
    dock.form.task.set_task("instances")
    assert [layer.name for layer in row.layers] == ["cells"]
    dock.form.task.set_task("image")
    assert [layer.name for layer in row.layers] == [other]
    row.by_hand = True
    dock.form.task.set_task("instances")
    assert [layer.name for layer in row.layers] == [other]


def test_every_task_can_be_chosen(qtbot):
    row = TaskRow()
    qtbot.addWidget(row)
    assert row.task == "image"
    for name, info in TASKS.items():
        row.set_task(name)
        assert (row.task, row.currentText()) == (name, info.title)
        assert row.toolTip() == info.text


def test_labels_offer_to_segment(
    viewer, labelled, open_train, choose_target, sentences, press, qtbot, fake_training
):
    job = fake_training()
    dock = open_train()
    choose_target(dock, "cells")
    assert "cells is a Labels layer" in sentences(dock)[0]
    press(dock, "Segment")
    assert sentences(dock)[0].startswith("Segment: learns cells from phase (64 × 64)")
    assert "Where cells is 0 (80%), background is learned." in sentences(dock)[1]
    press(dock, "Ignore 0")
    dock.run()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)
    assert job.config.task == "semantic"
    assert job.config.semantic.ignore == 0
    assert job.pairs[0][1].dtype == np.int32
    assert load_settings()["train"]["task"] == "semantic"


def test_many_labels_are_objects(viewer, labelled, open_train, sentences, press):
    objects = np.zeros((256, 256), np.int32)
    for number in range(40):
        row, column = divmod(number, 8)
        objects[disk((30 * row + 20, 30 * column + 20), 9)] = number + 1
    viewer.layers["cells"].data = objects
    viewer.layers["phase"].data = np.random.default_rng(0).random((256, 256))
    dock = open_train()
    dock.form.task.set_task("semantic")
    dock.refresh()
    assert "cells has 41 labels, as many as objects have" in sentences(dock)[0]
    press(dock, "Foreground only")
    assert dock.form.config().semantic.foreground
    assert dock.job_row.run_button.isEnabled()
    dock.form.options.set_value("semantic.foreground", False)
    dock.refresh()
    press(dock, "Separate objects")
    assert dock.form.task.task == "instances"


def test_an_image_is_no_label(
    viewer, labelled, open_train, choose_target, sentences, press
):
    viewer.add_image(np.random.default_rng(1).random((64, 64)), name="DAPI")
    dock = open_train()
    dock.form.task.set_task("semantic")
    choose_target(dock, "DAPI")
    assert "DAPI is of float64, but labels are whole numbers" in sentences(dock)[0]
    press(dock, "Predict an image")
    assert dock.form.task.task == "image"


def test_the_labels_of_an_anti_aliased_mask_are_found(
    viewer, labelled, open_train, choose_target, sentences, press
):
    from scipy.ndimage import gaussian_filter

    mask = gaussian_filter((labelled == 1) * 255.0, 1).round().astype(np.uint8)
    viewer.add_image(mask, name="mask")
    dock = open_train()
    dock.form.task.set_task("semantic")
    choose_target(dock, "mask")
    assert "0, 255 are common" in sentences(dock)[0]
    press(dock, "Use them")
    assert dock.form.config().semantic.values == [0, 255]
    assert dock.job_row.run_button.isEnabled()


def test_a_mask_offers_to_segment(
    viewer, labelled, open_train, choose_target, sentences
):
    viewer.add_image((labelled > 0) * np.uint8(255), name="mask")
    dock = open_train()
    choose_target(dock, "mask")
    assert "Note: mask has 2 values only, as a mask has." in sentences(dock)
    assert dock.job_row.run_button.isEnabled()


@pytest.mark.parametrize(
    ("task", "name"), [("noise2void", "phase-denoised"), ("masked", "phase-pretrained")]
)
def test_without_a_target_there_is_no_target(
    task, name, viewer, labelled, open_train, sentences, qtbot, fake_training
):
    job = fake_training()
    dock = open_train()
    dock.form.task.set_task(task)
    dock.refresh()
    assert not dock.form.rows["target"].isVisibleTo(dock)
    assert sentences(dock)[0].startswith(f"{TASKS[task].title}: learns from phase")
    dock.run()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)
    assert job.pairs[0][0].name == job.pairs[0][1].name == "phase"
    assert (job.config.task, job.config.name) == (task, name)


def test_options_belong_to_their_task(viewer, labelled, open_train):
    dock = open_train()
    options = dock.form.options
    options.fold.expand(animate=False)
    options.set_value("loss", {"ssim": 1.0})
    names = options._entries["semantic.classes"].widget
    assert not names.isVisibleTo(dock)
    dock.form.task.set_task("semantic")
    assert names.isVisibleTo(dock)
    assert dock.form.config().loss == {}
    options.set_value("semantic.classes", "background, nucleus, membrane")
    assert dock.form.config().semantic.classes == ["background", "nucleus", "membrane"]


def test_a_task_without_a_target_asks_once_what_an_axis_is(viewer, show, sentences):
    viewer.add_image(np.random.default_rng(0).random((7, 64, 64)), name="movie")
    dock = show(TrainWidget(viewer))
    dock.form.task.set_task("noise2void")
    dock.refresh()
    question = "Note: Is the first axis of movie (7) z or time?"
    assert sentences(dock).count(question) == 1
