from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest

from napari_im2im.models.cover import cover_png


@pytest.mark.parametrize("shape", [(1, 40, 60), (2, 5, 40, 60), (4, 40, 60)])
def test_input_and_output_stand_side_by_side(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).normal(size=shape)

    picture = iio.imread(cover_png([image, image * 100]), extension=".png")

    assert picture.shape == (40, 124, 3)
    np.testing.assert_array_equal(picture[:, :60], picture[:, 64:])
    assert picture[:, :60].min() == 0
    assert picture[:, :60].max() == 255


def test_large_and_constant_images_make_a_small_picture() -> None:
    picture = iio.imread(cover_png([np.zeros((1, 2000, 1500))]), extension=".png")

    assert picture.shape == (500, 375, 3)
