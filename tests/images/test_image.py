"""Parts of an image hold the same pixels as the image, whatever holds them."""

from __future__ import annotations

from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from napari_im2im.errors import ImageError
from napari_im2im.images import Image
from napari_im2im.images.view import ArrayView

PIXELS = np.arange(3 * 4 * 5 * 6, dtype=np.uint16).reshape(3, 4, 5, 6)


def as_zarr(pixels: np.ndarray) -> zarr.Array:
    array = zarr.create_array({}, shape=pixels.shape, dtype=pixels.dtype, chunks="auto")
    array[:] = pixels
    return array


CONTAINERS = {"numpy": np.asarray, "dask": dask.array.from_array, "zarr": as_zarr}


@pytest.fixture(params=CONTAINERS)
def image(request: pytest.FixtureRequest) -> Image:
    return Image(
        CONTAINERS[request.param](PIXELS),
        ("channel", "z", "y", "x"),
        scale={"z": 0.5, "y": 0.1, "x": 0.1},
        units={"z": "micrometer", "y": "micrometer", "x": "micrometer"},
        channel_names=("phase", "dapi", "gfp"),
    )


def test_crop_keeps_pixels_axes_and_names(image: Image) -> None:
    part = image.crop({"channel": slice(1, 3), "y": slice(-2, None), "time": slice(9)})
    assert part.axes == image.axes
    assert part.channel_names == ("dapi", "gfp")
    np.testing.assert_array_equal(part.read(), PIXELS[1:3, :, -2:])


def test_crop_of_a_crop_counts_from_the_crop(image: Image) -> None:
    part = image.crop({"x": slice(1, 99)}).crop({"x": slice(1, 3)})
    np.testing.assert_array_equal(part.read(), PIXELS[..., 2:4])


def test_a_step_makes_pixels_larger(image: Image) -> None:
    part = image.crop({"z": slice(None, None, 2)})
    assert part.scale == {"z": 1.0, "y": 0.1, "x": 0.1}
    np.testing.assert_array_equal(part.read(), PIXELS[:, ::2])


def test_select_reorders_channels(image: Image) -> None:
    part = image.select("channel", [2, 0])
    assert part.channel_names == ("gfp", "phase")
    np.testing.assert_array_equal(part.read(), PIXELS[[2, 0]])
    np.testing.assert_array_equal(
        part.read({"y": slice(1, 3)}, axes=("y", "x", "z", "channel")),
        PIXELS[[2, 0], :, 1:3].transpose(2, 3, 1, 0),
    )


def test_select_one_position_drops_the_axis(image: Image) -> None:
    plane = image.select("z", -1).select("channel", 1)
    assert plane.axes == ("y", "x")
    assert plane.scale == {"y": 0.1, "x": 0.1}
    assert plane.channel_names == ("dapi",)
    np.testing.assert_array_equal(plane.read(), PIXELS[1, -1])


def test_impossible_parts_are_refused_in_a_sentence(image: Image) -> None:
    with pytest.raises(ImageError, match="no channel 3: choose from 0 to 2"):
        image.select("channel", [3])
    with pytest.raises(ImageError, match="no axis 'time'"):
        image.select("time", 0)
    with pytest.raises(ImageError, match="Nothing is left of image along y"):
        image.crop({"y": slice(7, 9)})


class Unread:
    """An array that fails the test when it is read."""

    shape = (2, 10, 10)
    dtype = np.dtype("uint8")

    def __getitem__(self, key: Any) -> np.ndarray:
        raise AssertionError(f"read at {key}")


def test_nothing_is_read_before_it_is_asked_for() -> None:
    image = Image(Unread(), ("channel", "y", "x"))
    part = image.select("channel", [1, 0]).crop({"x": slice(2, 5)}).select("y", 3)
    assert part.shape == (2, 3)


@given(st.data())
def test_a_view_indexes_like_numpy(data: st.DataObject) -> None:
    positions = tuple(
        data.draw(st.lists(st.integers(0, n - 1), min_size=1).map(tuple))
        for n in PIXELS.shape
    )
    view, expected = ArrayView(PIXELS, positions), PIXELS[np.ix_(*positions)]
    key = data.draw(basic_indices(expected.shape))
    np.testing.assert_array_equal(view[key], expected[key])
