"""Labels from a model that tells classes apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_im2im.errors import ModelError
from napari_im2im.events import PredictionFinished
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.prediction import predict_events
from napari_im2im.inference.processing.steps import bind
from napari_im2im.models.tensors import Step
from napari_im2im.models.writing import write_package
from packages import tiny_content

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.array([0, 128, 255])
TASK = {
    "name": "semantic",
    "classes": ["background", "myelin", "axon"],
    "values": VALUES.tolist(),
}
PIXELS = np.random.default_rng(0).normal(20, 4, (2, 48, 80)).astype(np.float32)
SERIES = Image(PIXELS, ("time", "y", "x"), name="series")


def write_classifier(folder: Path, channels: int) -> Path:
    content = tiny_content(out_channels=channels)
    return write_package(folder, replace(content, config={"task": TASK}))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classes") / "model"
    return write_classifier(folder, 3)


def predict(model: Path, image: Image = SERIES, **config: Any) -> Image:
    job = PredictConfig(model=str(model), device="cpu", engine="torch", **config)
    *_, last = predict_events(job, [image])
    assert isinstance(last, PredictionFinished)
    return last.outputs[0]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"tile": {"y": 32, "x": 48}, "halo": "exact"},
        {"region": {"y": (5, 41), "time": (1, 2)}},
        {"test_time_augmentation": True},
    ],
)
def test_the_label_is_that_of_the_likeliest_class(model: Path, config: Any) -> None:
    scores = predict(model, result="raw", **config)
    assert scores.channel_names == ("out 0", "out 1", "out 2")
    labels = predict(model, **config)
    assert labels.axes == ("time", "y", "x")
    assert labels.dtype == np.uint8
    likeliest = np.asarray(scores.data).argmax(scores.axes.index("channel"))
    np.testing.assert_array_equal(np.asarray(labels.data), VALUES[likeliest])
    assert len(np.unique(labels.data)) == 3
    assert labels.metadata["kind"] == "labels"
    assert labels.metadata["classes"] == {"0": "background", "128": "myelin"} | {
        "255": "axon"
    }


@pytest.mark.parametrize("name", ["labels.ome.zarr", "labels.ome.tif"])
def test_files_hold_the_labels(model: Path, tmp_path: Path, name: str) -> None:
    expected = np.asarray(predict(model).data)
    predict(model, output=tmp_path / name)
    written = open_image(tmp_path / name)
    pixels = written.read(axes=("time", "y", "x"))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


def test_channels_of_a_microscope_are_each_segmented(model: Path) -> None:
    image = Image(PIXELS, ("channel", "y", "x"), channel_names=("a", "b"))
    labels = predict(model, image)
    assert labels.axes == ("channel", "y", "x")
    series = predict(model)
    np.testing.assert_array_equal(np.asarray(labels.data), np.asarray(series.data))


def test_two_classes_are_parted_at_one_half() -> None:
    step = Step("choose_class", {"values": (0, 255), "names": ("a", "b")})
    choose = bind(step, ("batch", "channel", "y", "x"))
    array = np.array([0.2, 0.5, 0.51], np.float32).reshape(1, 1, 1, 3)
    assert choose(array).ravel().tolist() == [0, 0, 255]


def test_classes_that_do_not_fit_the_output_are_refused(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "model", 2)
    with pytest.raises(ModelError, match="names 3 classes"):
        predict(folder)
    assert predict(folder, result="raw").sizes["channel"] == 2
