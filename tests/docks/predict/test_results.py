"""Results that are labels."""

import numpy as np
import pytest
import zarr
from napari.layers import Labels

from napari_im2im.docks.predict import overview
from napari_im2im.docks.predict.result_actions import ResultActions
from napari_im2im.docks.predict.results import ResultLayers
from napari_im2im.images.image import Image

CLASSES = {"0": "background", "128": "myelin", "255": "axon"}


@pytest.fixture
def source(viewer):
    return viewer.add_image(np.zeros((32, 48)), name="slice", scale=(0.2, 0.2))


def labels_image(pixels, **metadata):
    return Image(pixels, ("y", "x"), metadata={"kind": "labels", **metadata})


@pytest.mark.parametrize("stored", [False, True])
def test_labels_fill_while_tiles_finish(viewer, source, stored):
    pixels = np.zeros((32, 48), np.uint8)
    array = zarr.array(pixels, chunks=(16, 48)) if stored else pixels
    output = labels_image(array, classes=CLASSES)
    results = ResultLayers(viewer, source, ("y", "x"), {}, "sharp")
    results.start([output])
    (layer,) = results.layers
    assert isinstance(layer, Labels)
    assert layer.name == "slice → sharp"
    assert viewer.layers.index(layer) == 1
    assert layer.scale.tolist() == [0.2, 0.2]
    array[:16] = 128
    results.tile_done({"y": slice(0, 16)})
    assert layer.get_value((1.0, 1.0), world=True) == 128
    results.finish([output], {"model": "sharp"})
    assert layer.metadata["napari_im2im"] == {"model": "sharp"}


def test_a_new_result_is_above_those_that_would_hide_it(viewer, source):
    viewer.add_image(np.zeros((32, 48)), name="other")
    for model in ("sharp", "sharper"):
        output = Image(np.zeros((2, 32, 48)), ("channel", "y", "x"))
        ResultLayers(viewer, source, ("y", "x"), {}, model).start([output])
    assert [layer.name for layer in viewer.layers] == [
        "slice",
        "slice → sharp · channel 1",
        "slice → sharp · channel 2",
        "slice → sharper · channel 1",
        "slice → sharper · channel 2",
        "other",
    ]


@pytest.mark.parametrize("kind", ["labels", "image"])
def test_a_large_result_is_drawn_in_levels(viewer, source, qtbot, monkeypatch, kind):
    monkeypatch.setattr(overview, "LARGEST_PLANE", 32 * 48 - 1)
    monkeypatch.setattr(overview, "_LONGEST", 12)
    array = zarr.array(np.zeros((2, 32, 48), np.uint8), chunks=(1, 16, 48))
    output = Image(array, ("z", "y", "x"), metadata={"kind": kind})
    results = ResultLayers(viewer, source, ("y", "x"), {}, "sharp")
    results.start([output])
    (layer,) = results.layers
    assert [level.shape for level in layer.data] == [
        (2, 32, 48),
        (2, 16, 24),
        (2, 8, 12),
    ]
    array[:, 3:16] = 7
    results.tile_done({"y": slice(3, 16)})
    rows = np.asarray(layer.data[-1])[0].max(1)
    assert rows.tolist() == [0, 7, 7, 7, 0, 0, 0, 0]
    array[:, 16:] = 9  # that no tile tells of
    results.finish([output], {})
    qtbot.waitUntil(lambda: np.asarray(layer.data[-1]).max() == 9)
    assert np.asarray(layer.data[-1])[1].max(1).tolist() == [0, 7, 7, 7, 9, 9, 9, 9]
    assert np.asarray(layer.data[0]).sum() == array[:].sum()


def test_several_outputs_are_called_by_their_own_names(viewer, source):
    names = ("slice → sharp nucleus", "slice → sharp membrane")
    outputs = [Image(np.zeros((32, 48)), ("y", "x"), name=name) for name in names]
    results = ResultLayers(viewer, source, ("y", "x"), {}, "sharp")
    results.start(outputs)
    assert [layer.name for layer in results.layers] == [
        "slice → sharp · nucleus",
        "slice → sharp · membrane",
    ]


def test_the_class_below_the_mouse_is_named(viewer, source):
    output = labels_image(np.full((32, 48), 255, np.uint8), classes=CLASSES)
    results = ResultLayers(viewer, source, ("y", "x"), {}, "sharp")
    results.start([output])
    (layer,) = results.layers
    status = layer.get_status((1.0, 1.0), world=True)
    assert "class: axon" in status["value"]


def test_whole_numbers_of_intensities_are_an_image(viewer, source):
    output = Image(np.zeros((32, 48), np.uint8), ("y", "x"))
    results = ResultLayers(viewer, source, ("y", "x"), {}, "sharp")
    results.start([output])
    assert not isinstance(results.layers[0], Labels)


def test_labels_are_measured_against_labels(viewer, source, qtbot):
    actions = ResultActions(viewer)
    qtbot.addWidget(actions)
    viewer.add_image(np.ones((32, 48)), name="DAPI")
    viewer.add_labels(np.ones((32, 48), int), name="annotation")
    found = viewer.add_labels(np.ones((32, 48), int), name="found")
    stain = viewer.add_image(np.ones((32, 48)), name="stain")
    actions.show_results(source, [found, stain], None)
    assert [layer.name for layer in actions.truth.choices] == ["annotation"]
    actions.result.value = stain
    assert [layer.name for layer in actions.truth.choices] == ["DAPI"]
