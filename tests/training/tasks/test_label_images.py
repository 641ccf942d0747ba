from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.draw import disk

from napari_im2im.errors import DataError
from napari_im2im.images.image import Image
from napari_im2im.training.tasks import label_images
from napari_im2im.training.tasks.label_images import (
    check_label_image,
    count_labels,
    is_blended,
    likely_classes,
    slabs,
)


def discs(count=12, size=200):
    """Return labels of discs, one number each."""
    random = np.random.default_rng(0)
    labels = np.zeros((size, size), np.int32)
    for number in range(1, count + 1):
        labels[disk(random.integers(20, size - 20, 2), 9)] = number
    return labels


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_numbers_that_are_not_whole_are_no_labels(dtype):
    image = Image(np.zeros((4, 4), dtype), ("y", "x"), name="mask")
    with pytest.raises(DataError, match=r"mask is of .*: save it as an integer image"):
        check_label_image(image)


def test_colours_are_no_labels_but_one_of_them_is():
    names = ("red", "green", "blue")
    axes = ("channel", "y", "x")
    image = Image(np.zeros((3, 4, 4), np.uint8), axes, channel_names=names, name="mask")
    with pytest.raises(DataError, match="mask is RGB"):
        check_label_image(image)
    check_label_image(image, channels=[0])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_labels_are_counted(dtype):
    labels = np.array([[0, 1], [1, 1]], dtype)
    assert count_labels(labels) == {0: 1, 1: 3}
    assert count_labels(np.array([[7, -(2**40)]])) == {7: 1, -(2**40): 1}


def test_objects_are_not_blended_but_smooth_rims_are():
    labels = discs()
    assert not is_blended(labels)
    assert not is_blended((labels > 0).astype(np.uint8) * 255)
    rims = gaussian_filter((labels > 0) * 255.0, 1).astype(np.uint8)
    assert is_blended(rims)
    assert is_blended(np.random.default_rng(0).integers(0, 255, (64, 64)))


def test_a_few_single_points_are_labels():
    labels = np.zeros((64, 64), np.uint8)
    labels[::9, ::9] = 1
    labels[4::9, ::9] = 2
    assert not is_blended(labels)


def test_the_classes_of_a_smooth_mask_are_found():
    labels = np.zeros((100, 100))
    labels[10:60, 10:60] = 128
    labels[20:40, 20:40] = 255
    rims = gaussian_filter(labels, 1).round().astype(np.uint8)
    assert likely_classes(rims) == (0, 128, 255)


@given(st.integers(1, 40), st.sampled_from([(64, 48), (3, 20, 30), (2, 3, 9, 11)]))
def test_parts_say_what_the_whole_says(size, shape):
    random = np.random.default_rng(0)
    coarse = random.integers(-3, 9, shape).astype(np.int16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_images, "_PART", size)
        counts = count_labels(coarse)
        parts = [coarse[:, part] for part in slabs(shape)]
    values, numbers = np.unique(coarse, return_counts=True)
    assert counts == dict(zip(values.tolist(), numbers.tolist(), strict=True))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), coarse)
