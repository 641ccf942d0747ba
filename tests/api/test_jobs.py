"""Training and predicting from Python."""

import dask.array
import numpy as np
import pytest
import xarray

import napari_im2im
from napari_im2im.errors import ConfigError, DataError, ModelError
from napari_im2im.events import NewBest, PredictionFinished, TileDone
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


def test_a_preset_fills_in_what_is_not_said(pixels, tmp_path):
    quick = {key: value for key, value in QUICK.items() if key != "network"}
    options = {**quick, "output": tmp_path, "name": "preset"}
    options["network"] = {"kwargs": {"channels": [4, 8, 8]}}
    model = napari_im2im.train(
        pixels, 2 * pixels, preset="restoration-2d", progress=False, **options
    )
    stored = model.config["training"]
    assert stored["optimizer"]["learning_rate"] == 4e-4
    assert stored["network"]["name"] == "UNet"
    with pytest.raises(ConfigError, match="did you mean restoration-2d"):
        napari_im2im.train(pixels, pixels, preset="restoratoin-2d")


def test_a_data_array_goes_in_and_comes_out(trained, pixels):
    model, _ = trained
    micrometers = xarray.Variable("x", np.arange(80) * 0.5, {"units": "micrometer"})
    image = xarray.DataArray(pixels[None], {"x": micrometers}, ["T", "y", "x"])
    result = napari_im2im.predict(model, image, progress=False)
    assert isinstance(result, xarray.DataArray)
    assert result.dims == ("T", "y", "x")
    np.testing.assert_array_equal(result.coords["x"], image.coords["x"])
    expected = napari_im2im.predict(model, pixels)
    np.testing.assert_allclose(result.values[0], expected, rtol=1e-5)
    part = napari_im2im.predict(model, image.transpose(), region={"x": (8, 72)})
    assert part.dims == ("x", "y", "T")
    assert float(part.coords["x"][1] - part.coords["x"][0]) == 0.5
    with pytest.raises(DataError, match="dimensions T, rows, x"):
        napari_im2im.predict(model, image.rename(y="rows"))


def test_axes_may_be_names(trained, pixels):
    model, _ = trained
    image = dask.array.from_array(pixels[None], chunks=64)
    result = napari_im2im.predict(model, image, axes=("channel", "y", "x"))
    np.testing.assert_allclose(
        result[0], napari_im2im.predict(model, pixels), rtol=1e-5
    )


def test_a_job_can_be_looped_over(pixels, tmp_path):
    seen = []
    for event in napari_im2im.train_events(
        pixels, 2 * pixels, **QUICK, output=tmp_path, name="loop"
    ):
        seen.append(event)
        if isinstance(event, NewBest):
            break
    model = seen[-1].package
    events = list(napari_im2im.predict_events(model, pixels))
    assert isinstance(events[-1], PredictionFinished)


def test_a_bar_shows_how_far_a_job_is(trained, pixels, capsys):
    napari_im2im.predict(trained[0], pixels, progress=True)
    assert "Predicting: 100%" in capsys.readouterr().err
    napari_im2im.predict(trained[0], pixels)
    assert capsys.readouterr().err == ""
