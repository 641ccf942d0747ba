"""Training and predicting from Python."""

import numpy as np
import pytest

import napari_im2im
from napari_im2im.errors import ConfigError, DataError, ModelError
from napari_im2im.events import NewBest, TileDone
from napari_im2im.images import Image

QUICK = {
    "effort": {"steps": 3},
    "patch": {"y": 32, "x": 32},
    "batch_size": 2,
    "network": {"name": "BasicUNet", "kwargs": {"features": [4, 4, 8, 8, 8, 4]}},
    "device": "cpu",
}


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).normal(100, 20, (96, 80)).astype("float32")


@pytest.fixture(scope="module")
def trained(pixels, tmp_path_factory):
    events = []
    model = napari_im2im.train(
        pixels,
        2 * pixels + 5,
        name="twice",
        output=tmp_path_factory.mktemp("runs"),
        on_event=events.append,
        **QUICK,
    )
    return model, events


def test_train_returns_the_package_of_the_best_step(trained):
    model, events = trained
    assert model.name == "twice"
    assert any(isinstance(event, NewBest) for event in events)
    assert napari_im2im.load_model(model.path).sha256 == model.sha256
    assert napari_im2im.load_model(model) is model


def test_predict_returns_the_axes_of_the_image(trained, pixels):
    model, _ = trained
    events = []
    result = napari_im2im.predict(model, pixels, on_event=events.append)
    assert result.shape == pixels.shape
    assert any(isinstance(event, TileDone) for event in events)
    transposed = napari_im2im.predict(model, pixels.T, axes="xy")
    np.testing.assert_allclose(transposed.T, result, rtol=1e-4, atol=1e-3)
    with_channel = napari_im2im.predict(model.path, pixels[:, :, None], axes="yxc")
    assert with_channel.shape == (*pixels.shape, 1)


def test_predict_takes_images_and_files(trained, pixels, tmp_path):
    model, _ = trained
    image = Image(data=pixels, axes=("y", "x"), name="pixels")
    result = napari_im2im.predict(model, image)
    file = napari_im2im.images.save_image(image, tmp_path / "pixels.ome.tif")
    np.testing.assert_allclose(napari_im2im.predict(model, file), result, rtol=1e-5)


def test_an_array_without_axes_is_asked_for_them():
    with pytest.raises(DataError, match="name its axes"):
        napari_im2im.train(np.zeros((3, 64, 64)), np.zeros((3, 64, 64)))


def test_each_input_needs_its_target(pixels):
    with pytest.raises(DataError, match="2 inputs and 1 targets"):
        napari_im2im.train([pixels, pixels], pixels)


def test_an_unknown_option_names_the_nearest(pixels):
    with pytest.raises(ConfigError, match="Did you mean batch_size"):
        napari_im2im.train(pixels, pixels, batchsize=2)


def test_an_unknown_model_is_a_sentence():
    with pytest.raises(ModelError, match="There is no file and no model named"):
        napari_im2im.load_model("no-such-model")
