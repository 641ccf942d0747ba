import numpy as np
import pytest

from napari_im2im.docks.predict.measure import describe_metrics, measure, measure_labels
from napari_im2im.errors import DataError
from napari_im2im.images.image import Image


@pytest.mark.parametrize("axes", ["yx", "zyx", "tyx"])
def test_a_result_is_measured_in_every_dimension(axes):
    rng = np.random.default_rng(0)
    truth = rng.random((12,) * (len(axes) - 2) + (24, 20), np.float32)
    guess = truth + 0.1
    values, error = measure(Image(guess, tuple(axes)), Image(truth, tuple(axes)))
    assert values["mae"] == pytest.approx(0.1, abs=1e-5)
    assert values["pcc"] == pytest.approx(1, abs=1e-5)
    assert error.shape == truth.shape
    assert error == pytest.approx(0.1, abs=1e-5)
    assert describe_metrics(values).startswith("PCC 1.000 · SSIM ")


def test_sizes_must_agree():
    one = Image(np.zeros((8, 8)), ("y", "x"), name="a")
    other = Image(np.zeros((8, 9)), ("y", "x"), name="b")
    with pytest.raises(DataError, match="a is y 8 × x 8 and b is y 8 × x 9"):
        measure(one, other)


def test_a_constant_truth_says_nothing():
    image = Image(np.zeros((8, 8)), ("y", "x"), name="a")
    with pytest.raises(DataError, match="same value everywhere"):
        measure(image, image)


def labels(rows, name):
    return Image(np.repeat(rows, 8).reshape(-1, 8), ("y", "x"), name=name)


def test_classes_are_measured_by_their_names():
    names = {"0": "background", "128": "myelin", "255": "axon"}
    found = labels([0, 128, 128, 255], "found")
    truth = labels([0, 128, 255, 255], "truth")
    text, error = measure_labels(found, truth, names)
    assert text == "myelin Dice 0.667, IoU 0.500 · axon Dice 0.667, IoU 0.500"
    np.testing.assert_array_equal(error[:, 0], [0, 0, 1, 0])


def test_objects_are_counted():
    found, truth = labels([0, 1, 0, 2], "found"), labels([0, 5, 0, 0], "truth")
    text, error = measure_labels(found, truth, None)
    assert text.startswith("AP 0.500 · F1 0.667 at IoU 0.5 · 2 objects of 1 · 0 split")
    np.testing.assert_array_equal(error[:, 0], [0, 0, 0, 1])
