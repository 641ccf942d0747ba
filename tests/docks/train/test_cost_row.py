import numpy as np
import pytest

from napari_im2im.docks.train.cost_row import CostRow
from napari_im2im.docks.train.widget import TrainWidget


@pytest.fixture
def source(viewer):
    pixels = np.random.default_rng(0).random((40, 60), np.float32)
    viewer.add_image(pixels * 10, name="DAPI", scale=(2, 2))
    return viewer.add_image(pixels, name="phase", scale=(2, 2))


@pytest.fixture
def row(viewer, qtbot, source):
    row = CostRow(viewer)
    qtbot.addWidget(row)
    return row


def choose(row, name):
    row.reset_choices()
    row.setCurrentIndex(row.findData(name))


def test_all_pixels_count_unless_a_layer_is_chosen(row, source):
    assert row.image(source, ("y", "x")) is None


def test_labelled_pixels_count_alike(row, viewer, source):
    labels = np.zeros((40, 60), int)
    labels[5:10, 5:10] = 7
    viewer.add_labels(labels, name="cells")
    choose(row, "cells")
    image = row.image(source, ("y", "x"))
    np.testing.assert_array_equal(image.data, labels > 0)


def test_an_image_holds_weights(row, viewer, source):
    weights = np.full((40, 60), 0.5)
    viewer.add_image(weights, name="weights")
    choose(row, "weights")
    np.testing.assert_array_equal(row.image(source, ("y", "x")).data, weights)


@pytest.mark.parametrize(("kind", "part"), [("rectangle", 1), ("ellipse", np.pi / 4)])
def test_what_lies_inside_shapes_counts(row, viewer, source, kind, part):
    corners = np.array([[20, 20], [20, 100], [60, 100], [60, 20]])
    viewer.add_shapes([corners], shape_type=kind, name="region")
    choose(row, "region")
    mask = row.image(source, ("y", "x")).data
    assert mask.shape == (40, 60)
    # In pixels of the image, which are twice as large as the world's.
    assert mask[20, 30]
    assert not mask[5, 5]
    assert mask.sum() == pytest.approx(part * 20 * 40, rel=0.1)


def test_shapes_elsewhere_are_refused(viewer, source, qtbot, show, sentences):
    corners = np.array([[500, 500], [500, 600], [600, 600]])
    viewer.add_shapes([corners], shape_type="polygon", name="far")
    dock = show(TrainWidget(viewer))
    choose(dock.form.cost_map, "far")
    dock.refresh()
    assert "far cover nothing of" in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()


def test_a_cost_map_of_another_size_is_refused(viewer, source, show, sentences):
    viewer.add_labels(np.ones((40, 50), int), name="small")
    dock = show(TrainWidget(viewer))
    choose(dock.form.cost_map, "small")
    dock.refresh()
    assert "The cost map small is 40 × 50" in sentences(dock)[0]


def test_a_training_gets_the_cost_map(
    viewer, source, show, qtbot, fake_training, sentences
):
    job = fake_training()
    viewer.add_labels(np.ones((40, 60), int), name="cells")
    dock = show(TrainWidget(viewer))
    dock.form.rows["target"].layer_row.set_layers([viewer.layers["DAPI"]])
    dock.form.rows["input"].layer_row.set_layers([viewer.layers["phase"]])
    choose(dock.form.cost_map, "cells")
    dock.refresh()
    assert "100% of the pixels count, as cells says." in sentences(dock)
    dock.run()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)
    assert job.pairs[0][2].name == "cells"
