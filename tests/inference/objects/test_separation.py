"""A prediction of objects is the same in tiles, in files and in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zarr
from scipy.ndimage import gaussian_filter

from inference.models import FakeModel, FakeRuntime, events_of
from inference.networks import as_function
from inference.specs import input_spec, output_spec
from napari_im2im.errors import ConfigError
from napari_im2im.events import PredictionFinished, Progress
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.objects.decoding import decode
from napari_im2im.inference.prediction import predict_with
from napari_im2im.models.tensors import Step

TASK = {"name": "instances", "smallest": 3}


def network(channels: int = 2) -> torch.nn.Module:
    """Return a network whose sums are exact, so that no tile rounds otherwise."""
    layer = torch.nn.Conv2d(1, channels, 3, padding=1, bias=False)
    function = as_function(layer)
    weights = torch.randint(-8, 9, layer.weight.shape, generator=torch.Generator())
    layer.weight.data = weights / 8
    layer.weight.data[0, 0, 1, 1] = 4
    return function


def model(task=TASK, channels: int = 2) -> FakeModel:
    output = output_spec(channels=channels, steps=(Step("sigmoid", {}),))
    return FakeModel((input_spec(),), (output,), config={"task": task})


def picture(*shape: int, axes: str = "yx") -> Image:
    pixels = gaussian_filter(np.random.default_rng(0).random(shape), 1.5)
    pixels = np.round(32 * (pixels - pixels.mean()) / pixels.std()) / 8
    names = tuple({"c": "channel", "t": "time"}.get(a, a) for a in axes)
    return Image(pixels.astype(np.float32), names, scale={"y": 0.5, "x": 0.5})


def finished(image: Image, task=TASK, **config) -> PredictionFinished:
    last = events_of(model(task), network(), image, **config)[-1]
    assert isinstance(last, PredictionFinished)
    return last


def test_labels_of_tiles_are_those_of_the_whole(tmp_path):
    image = picture(150, 130)
    whole = finished(image).outputs[0]
    assert whole.axes == ("y", "x")
    assert whole.scale == {"y": 0.5, "x": 0.5}
    assert whole.metadata["kind"] == "labels"
    assert whole.dtype == np.int32
    labels = whole.read()
    assert labels.max() > 50
    tiles = finished(image, tile={"y": 40, "x": 36}).outputs[0]
    np.testing.assert_array_equal(tiles.read(), labels)
    for name in ("a.ome.zarr", "a.ome.tif"):
        finished(image, tile={"y": 40, "x": 36}, output=tmp_path / name)
        np.testing.assert_array_equal(open_image(tmp_path / name).read(), labels)
    assert {path.name for path in tmp_path.iterdir()} == {"a.ome.zarr", "a.ome.tif"}
    levels = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    assert np.isin(levels["0"][:], [0, *range(labels.max() + 1)]).all()


def test_the_channels_are_there_on_demand():
    image = picture(60, 60)
    raw = finished(image, result="raw").outputs[0]
    assert raw.axes == ("channel", "y", "x")
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(
        decode(raw.read(), TASK), finished(image).outputs[0].read()
    )


def test_each_plane_and_each_channel_has_its_own_objects():
    image = picture(2, 3, 40, 44, axes="tcyx")
    result = finished(image).outputs[0]
    assert result.axes == ("time", "channel", "y", "x")
    assert result.shape == (2, 3, 40, 44)
    labels = result.read()
    for time in range(2):
        for channel in range(3):
            alone = Image(image.read()[time, channel], ("y", "x"))
            expected = finished(alone).outputs[0].read()
            np.testing.assert_array_equal(labels[time, channel], expected)


def test_a_region_has_the_shape_that_was_asked_for():
    result = finished(picture(80, 80), region={"y": (10, 50), "x": (5, 75)})
    assert result.outputs[0].shape == (40, 70)
    assert result.outputs[0].read().max() > 5


def test_progress_is_told_while_objects_are_separated():
    events = events_of(model(), network(), picture(60, 60))
    told = [e for e in events if isinstance(e, Progress) and "objects" in e.activity]
    assert told[-1].done == told[-1].total


def test_embeddings_are_not_averaged_over_turns():
    task = {"name": "embedding", "extent": [5, 5]}
    with pytest.raises(ConfigError, match="test_time_augmentation off"):
        events_of(
            model(task, 5), network(5), picture(40, 40), test_time_augmentation=True
        )


def test_a_job_that_was_stopped_while_separating_is_resumed(tmp_path):
    image, path = picture(90, 90), tmp_path / "a.ome.zarr"
    tile = {"y": 40, "x": 40}
    config = PredictConfig(output=path, tile=tile)
    events = predict_with(model(), FakeRuntime(network()), config, [image])
    for event in events:
        if isinstance(event, Progress) and "objects" in event.activity:
            break
    events.close()
    resumed = FakeRuntime(network())
    config = PredictConfig(output=path, tile=tile, resume=True)
    list(predict_with(model(), resumed, config, [image]))
    assert not [shape for shape in resumed.shapes if shape[-1] == 40]
    expected = finished(image).outputs[0].read()
    np.testing.assert_array_equal(open_image(path).read(), expected)
    assert [each.name for each in tmp_path.iterdir()] == ["a.ome.zarr"]
