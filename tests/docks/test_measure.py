import numpy as np
import pytest

from napari_im2im.docks.measure import describe_metrics, measure
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
