"""Each problem of an image is one sentence."""

from __future__ import annotations

from typing import Any

import dask.array
import numpy as np
import pytest
import zarr

from napari_im2im.images import Image
from napari_im2im.images.checks import (
    find_bad_values,
    find_constant,
    find_size_difference,
)


def image(pixels: Any, axes: str = "czyx", **details: Any) -> Image:
    return Image(pixels, tuple(axes), name="cells", **details)


def test_bad_values_are_found_where_they_are() -> None:
    pixels = zarr.create_array(
        {}, shape=(2, 3, 40, 50), chunks=(1, 1, 8, 8), dtype="f4"
    )
    pixels[:] = 1
    assert find_bad_values(image(pixels)) is None
    pixels[1, 2, 30, 45] = np.nan
    assert find_bad_values(image(pixels)) == (
        "cells holds NaN (the first at channel 1, z 2, y 30, x 45): replace them, "
        "e.g. by 0."
    )
    pixels[0, 0, 0, 0] = np.inf
    assert "infinite values" in (find_bad_values(image(pixels)) or "")


@pytest.mark.parametrize("wrap", [np.asarray, dask.array.from_array])
def test_a_constant_channel_is_named(wrap: Any) -> None:
    pixels = np.random.default_rng(0).random((2, 3, 4, 5))
    assert find_constant(image(wrap(pixels))) is None
    pixels[1] = 7
    sentence = find_constant(image(wrap(pixels), channel_names=("dapi", "gfp")))
    assert sentence is not None
    assert sentence.startswith("Channel gfp of cells is 7.0 everywhere")
    plane = find_constant(image(np.zeros((4, 5), np.uint8), "yx"))
    assert plane is not None
    assert plane.startswith("cells is 0 everywhere")


def test_sizes_are_compared_axis_by_axis() -> None:
    first = image(np.zeros((2, 1, 40, 50)))
    assert find_size_difference(first, image(np.zeros((40, 50)), "yx")) is None
    assert find_size_difference(first, image(np.zeros((40, 60)), "yx")) == (
        "cells and cells differ in size (x 50 against x 60): crop both to the part "
        "that they share."
    )
