from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from napari_im2im.api import predict, predict_events
from napari_im2im.errors import ConfigError, DataError
from napari_im2im.events import Message, Preview, TrainingFinished
from napari_im2im.models.networks import NetworkConfig
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.examples import collect
from napari_im2im.training.data.planning import plan_layout
from napari_im2im.training.loop import train_events

UNIT = {"y": 1.0, "x": 1.0}
SMALL = {"name": "UNet", "kwargs": {"channels": [4, 8], "strides": [2]}}


def shrunk(pair, factors):
    """Return a pair whose input has fewer, larger pixels."""
    source, target = pair
    pixels = np.asarray(source.data)[tuple(slice(None, None, n) for n in factors)]
    scale = {a: n * source.scale[a] for a, n in zip(source.axes, factors, strict=True)}
    return replace(source, data=pixels, scale=scale), target


def layout_of(pairs):
    config = TrainConfig()
    return plan_layout(collect(pairs, config).examples, config)


def config(tmp_path, **values):
    return TrainConfig(
        name="larger",
        output=tmp_path,
        network=SMALL,
        batch_size=2,
        effort={"steps": 10},
        device="cpu",
        **values,
    )


@pytest.mark.parametrize(
    ("shape", "axes", "factors"),
    [((96, 96), "yx", (2, 2)), ((32, 48, 48), "zyx", (4, 1, 1))],
)
def test_a_model_makes_images_of_more_pixels(make_pair, tmp_path, shape, axes, factors):
    scale = dict.fromkeys(axes, 0.25)
    pair = shrunk(make_pair(shape, axes, scale=scale), factors)
    patch = {a: 16 // n for a, n in zip(axes, factors, strict=True)}
    job = config(tmp_path, patch=patch, augmentation="heavy", spatial_axes=axes)
    events = list(train_events(job, [pair]))

    assert any("the model enlarges" in e.text for e in events if isinstance(e, Message))
    preview = next(e for e in events if isinstance(e, Preview))
    assert preview.prediction.shape == preview.target.shape
    finished = events[-1]
    assert isinstance(finished, TrainingFinished)
    *_, done = predict_events(finished.package, pair[0])
    (result,) = done.outputs
    assert result.shape == (1, *pair[1].shape)
    assert result.scale == pytest.approx(pair[1].scale)
    whole = np.asarray(result.data)
    tiled = predict(finished.package, pair[0], tile=dict.fromkeys("yx", 32))
    np.testing.assert_allclose(tiled, whole[0], atol=2e-3 * whole.std())


def test_the_package_passes_the_test_of_the_zoo(make_pair, tmp_path):
    from bioimageio.core import test_model as check_model

    pair = shrunk(make_pair((96, 96), scale=UNIT), (3, 3))
    job = config(tmp_path, patch={"y": 16, "x": 16})
    package = list(train_events(job, [pair]))[-1].package
    with warnings.catch_warnings():
        # bioimageio.core leaves files open.
        warnings.simplefilter("ignore")
        summary = check_model(package / "rdf.yaml")
    assert summary.status == "passed", summary.format()


def test_factors_that_differ_are_refused(make_pair):
    pairs = [shrunk(make_pair((96, 96), scale=UNIT), (n, n)) for n in (2, 3)]
    with pytest.raises(DataError, match="3 × 3 times the pixels of its input"):
        layout_of(pairs)


def test_a_factor_that_is_not_whole_is_refused(make_pair):
    source, _ = make_pair((64, 64))
    _, target = make_pair((96, 96))
    with pytest.raises(DataError, match="crop or resample"):
        layout_of([(source, target)])


def test_a_network_of_our_own_does_not_enlarge(make_pair, tmp_path):
    pair = shrunk(make_pair((96, 96), scale=UNIT), (2, 2))
    job = config(tmp_path)
    job.network = NetworkConfig(name="ConvNeXtUNet")
    with pytest.raises(ConfigError, match="choose a network of MONAI"):
        list(train_events(job, [pair]))
