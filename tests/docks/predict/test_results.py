"""Results that are labels."""

import numpy as np
import pytest
import zarr
from napari.layers import Labels

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
