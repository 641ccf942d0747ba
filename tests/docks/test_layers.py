import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_im2im.docks.layers import (
    guess_axes,
    image_to_layer_data,
    layer_to_image,
    split,
)
from napari_im2im.errors import ImageError
from napari_im2im.images.image import AXES, Image


def test_axis_labels_that_mean_something_are_used():
    layer = ImageLayer(np.zeros((2, 3, 4, 5)), axis_labels=("T", "c", "Y", "X"))
    assert layer_to_image(layer).axes == ("time", "channel", "y", "x")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((8, 8), "yx"),
        ((2, 8, 8), ("channel", "y", "x")),
        ((61, 8, 8), "zyx"),
        ((61, 2, 8, 8), ("z", "channel", "y", "x")),
        ((3, 61, 8, 8), ("channel", "z", "y", "x")),
        ((20, 61, 8, 8), ("time", "z", "y", "x")),
        ((2, 2, 2, 8, 8), AXES),
    ],
)
def test_axes_are_guessed_from_the_shape(shape, axes):
    assert layer_to_image(ImageLayer(np.zeros(shape))).axes == tuple(axes)


def test_the_guess_follows_the_model():
    assert guess_axes((5, 8, 8), channels=5) == ("channel", "y", "x")
    assert guess_axes((3, 8, 8), channels=1, spatial="zyx") == ("z", "y", "x")
    with pytest.raises(ImageError, match="2 to 5 dimensions"):
        guess_axes((2,) * 6)


def test_pixel_size_and_units_come_along():
    layer = ImageLayer(
        np.zeros((4, 5, 6)),
        scale=(30, 0.2, 0.1),
        units=("second", "micrometer", "micrometer"),
        axis_labels=("t", "y", "x"),
        name="movie",
    )
    image = layer_to_image(layer)
    assert image.scale == pytest.approx({"time": 30, "y": 0.2, "x": 0.1})
    assert image.units == {"time": "second", "y": "micrometer", "x": "micrometer"}
    assert image.channel_names == ("movie",)
    assert layer_to_image(ImageLayer(np.zeros((5, 6)))).scale == {}


def test_rgb_is_three_channels_without_alpha():
    pixels = np.random.default_rng(0).integers(0, 255, (5, 6, 4), np.uint8)
    image = layer_to_image(ImageLayer(pixels, rgb=True))
    assert image.sizes == {"y": 5, "x": 6, "channel": 3}
    assert image.channel_names == ("red", "green", "blue")
    np.testing.assert_array_equal(image.read(), pixels[..., :3])


@pytest.mark.parametrize("kind", ["dask", "zarr", "multiscale"])
def test_lazy_layers_are_not_read(kind):
    pixels = np.random.default_rng(0).random((2, 64, 64))
    if kind == "dask":
        data = dask.array.from_array(pixels, chunks=(1, 32, 32))
    elif kind == "zarr":
        data = zarr.array(pixels, chunks=(1, 32, 32))
    else:
        data = [pixels, pixels[:, ::2, ::2]]
    image = layer_to_image(ImageLayer(data, multiscale=kind == "multiscale"))
    expected = data[0] if kind == "multiscale" else data
    assert image.data is expected
    np.testing.assert_array_equal(image.read(), pixels)


def test_labels_are_images_of_their_numbers():
    pixels = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(layer_to_image(Labels(pixels)).read(), pixels)


@settings(deadline=None, max_examples=30)
@given(
    axes=st.permutations(["time", "channel", "z", "y", "x"]),
    count=st.integers(2, 5),
    channels=st.integers(1, 9),
)
def test_there_and_back_again(axes, count, channels):
    axes = [axis for axis in axes[: count - 2] if axis not in "yx"] + ["y", "x"]
    shape = [channels if axis == "channel" else 3 for axis in axes]
    pixels = np.random.default_rng(0).random(shape)
    image = Image(pixels, tuple(axes), scale={"y": 0.5}, units={"y": "micrometer"})
    ((data, arguments, _),) = image_to_layer_data(image, split_channels=False)
    back = layer_to_image(ImageLayer(data, **arguments))
    assert back.axes == image.axes
    assert back.scale["y"] == 0.5
    assert back.units == {"y": "micrometer"}
    np.testing.assert_array_equal(back.read(), pixels)


def test_many_channels_stay_together():
    many = Image(np.zeros((9, 4, 4)), ("channel", "y", "x"))
    assert split(many) == [many]
    few = Image(np.zeros((2, 4, 4)), ("channel", "y", "x"), channel_names=("a", "b"))
    assert [part.name for part in split(few)] == ["image · a", "image · b"]
