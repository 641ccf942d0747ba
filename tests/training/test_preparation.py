from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_im2im.api import predict
from napari_im2im.events import TrainingFinished, TrainingStarted
from napari_im2im.images.image import Image
from napari_im2im.models.package import load_package
from napari_im2im.training.batches import Batches
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.normalization import ChannelScaling, ImageScaling
from napari_im2im.training.loop import train_events
from napari_im2im.training.preparation import prepare

GAINS = (1, 4, 30, 100)


def cells(gains=GAINS, shape=(64, 64)):
    """Return images of like cells, exposed differently, with masks."""
    pairs = []
    for seed, gain in enumerate(gains):
        texture = gaussian_filter(np.random.default_rng(seed).random(shape), 3)
        mask = texture > np.median(texture)
        pixels = (gain * (10 + 20 * mask)).astype(np.uint16)
        pairs.append(
            (
                Image(pixels, ("z", "y", "x")[-len(shape) :], name=f"cells {seed}"),
                Image(mask, ("z", "y", "x")[-len(shape) :], name=f"mask {seed}"),
            )
        )
    return pairs


def config(folder, **changes):
    values = {
        "task": "semantic",
        "output": folder,
        "patch": {"y": 32, "x": 32},
        "batch_size": 4,
        "network": {"size": "small"},
        "effort": {"steps": 4},
        "device": "cpu",
    }
    return TrainConfig.model_validate({**values, **changes})


def prepared(tmp_path, pairs, **changes):
    return prepare(config(tmp_path, **changes), pairs, on_cpu=True)


def test_images_of_different_exposure_look_alike_to_the_network(tmp_path):
    preparation = prepared(tmp_path, cells())
    assert preparation.input_scaling == ImageScaling(("y", "x"))
    assert any("normalised by itself" in note for note in preparation.notes)
    batch = Batches(preparation, (32, 32), 16, "cpu").batch(0)
    values = np.unique(batch.input.numpy().round(1))
    assert len(values) <= 4  # two classes of pixels, about half of them each


def test_images_of_like_exposure_keep_their_intensities(tmp_path):
    preparation = prepared(tmp_path, cells((10, 11, 12, 10)))
    assert isinstance(preparation.input_scaling, ChannelScaling)
    assert any("like all others" in note for note in preparation.notes)


def test_intensities_that_are_predicted_depend_on_those_that_are_seen(tmp_path):
    pairs = [(x, Image(3.0 * x.read(), x.axes)) for x, _ in cells()]
    kept = prepared(tmp_path, pairs, task="image")
    assert isinstance(kept.input_scaling, ChannelScaling)
    asked = prepared(tmp_path, pairs, task="image", input_statistics="image")
    assert asked.input_scaling == ImageScaling(("y", "x"))


def test_what_counts_is_the_whole_image(tmp_path):
    ((image, mask),) = cells((7,))
    weight = np.zeros((64, 64), np.uint8)
    weight[:64, :40] = 1
    preparation = prepared(
        tmp_path,
        [(image, mask, Image(weight, ("y", "x")))],
        input_statistics="image",
        input_normalization="percentile",
        percentiles=(1, 99),
    )
    low, high = np.percentile(image.read(), (1, 99))
    for sample in (*preparation.split.training, *preparation.split.validation):
        assert sample.scaling.offset == (pytest.approx(low),)
        assert sample.scaling.scale == (pytest.approx(high - low),)


def test_planes_of_a_stack_are_normalised_together(tmp_path):
    image, mask = cells((5,), (3, 64, 64))[0]
    preparation = prepared(
        tmp_path, [(image, mask)], spatial_axes="yx", input_statistics="image"
    )
    offsets = {s.scaling.offset[0] for s in preparation.split.training}
    assert offsets == {float(image.read().mean())}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model whose images are normalised by themselves, and what training told."""
    folder = tmp_path_factory.mktemp("by_image")
    return list(train_events(config(folder), cells()))


@pytest.mark.filterwarnings("ignore")  # bioimageio.core leaves files open
def test_the_package_normalises_each_image(trained):
    from bioimageio.core import test_model as check_model

    package = trained[-1].package
    steps = load_package(package).inputs[0].steps
    (step,) = (step for step in steps if step.kwargs.get("axes"))
    assert step.id == "zero_mean_unit_variance"
    assert list(step.kwargs["axes"]) == ["y", "x"]
    assert check_model(package / "rdf.yaml", devices=["cpu"]).status == "passed"
    images = [Image(1000 + 7 * x.read(), x.axes) for x, _ in cells()[:2]]
    before = predict(package, cells()[0][0], result="raw")
    after = predict(package, images[0], result="raw")
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_tiles_are_normalised_like_the_whole_image(trained):
    (image, _), *_ = cells((3,), (160, 144))
    whole, tiled = (
        predict(trained[-1].package, image, result="raw", tile=tile)
        for tile in (None, {"y": 96, "x": 96})
    )
    np.testing.assert_allclose(tiled, whole, atol=1e-4)


def test_fine_tuning_and_resuming_go_on_with_it(trained, tmp_path):
    start = config(tmp_path, start_from=trained[-1].package)
    pairs = cells((2, 2, 2))
    preparation = prepare(start, pairs, on_cpu=True)
    assert preparation.input_scaling == ImageScaling(("y", "x"))
    assert not preparation.adapts
    run = next(e.run_folder for e in trained if isinstance(e, TrainingStarted))
    *_, last = train_events(TrainConfig(resume=run, effort={"steps": 5}), cells())
    assert isinstance(last, TrainingFinished)
