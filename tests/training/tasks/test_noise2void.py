from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from napari_im2im.api import predict
from napari_im2im.images.image import Image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Layout
from napari_im2im.training.loop import train_events
from napari_im2im.training.tasks.noise2void import (
    Noise2VoidTask,
    neighbourhood_median,
    random_neighbours,
    spread_pixels,
    widened,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def task(axes="yx", **values):
    config = TrainConfig(task="noise2void", noise2void=values)
    layout = Layout(tuple(axes), ("input",), ("input",))
    return Noise2VoidTask(config, layout)


@pytest.mark.parametrize("shape", [(2, 1, 64, 80), (2, 2, 16, 32, 32)])
@pytest.mark.parametrize("percentage", [0.2, 2.0])
def test_so_many_pixels_are_hidden(shape, percentage):
    hidden = spread_pixels(torch.zeros(shape), percentage, generator())
    assert hidden.shape == (shape[0], 1, *shape[2:])
    assert 100 * hidden.float().mean() == pytest.approx(percentage, rel=0.6)


def test_hidden_pixels_are_everywhere():
    inputs = torch.zeros(400, 1, 16, 16)
    assert spread_pixels(inputs, 5, generator()).any(0).all()


@given(st.integers(1, 4), st.sampled_from([(3, 9, 7), (2, 6, 7, 5)]))
def test_a_pixel_becomes_another_one_of_its_neighbourhood(radius, shape):
    space = shape[1:]
    size = int(np.prod(space))
    image = torch.arange(shape[0] * size).reshape(shape[0], 1, *space).float()
    values = random_neighbours(image, radius, generator())
    assert (values != image).float().mean() > 0.9
    places = [np.unravel_index(v.long().numpy(), shape) for v in (values, image)]
    for i, (new, old) in enumerate(zip(*places, strict=True)):
        assert (np.abs(new - old) <= (radius if i else 0)).all()


def test_the_median_is_that_of_the_neighbours():
    image = torch.randn((1, 2, 11, 11), generator=generator())
    replaced = torch.zeros((1, 1, 11, 11), dtype=torch.bool)
    replaced[..., 5, 5] = True
    result = neighbourhood_median(image, replaced, 1)
    for channel in range(2):
        around = image[0, channel, 4:7, 4:7].flatten()
        expected = torch.cat([around[:4], around[5:]]).median()
        assert result[0, channel, 5, 5] == expected
    assert (result != image).sum() == 2


def test_lines_are_hidden_along_the_axis_of_the_noise():
    hidden = torch.zeros((1, 1, 9, 9), dtype=torch.bool)
    hidden[..., 4, 1] = True
    wide = widened(hidden, 3, 5)
    assert wide[0, 0, 4].tolist() == [True] * 4 + [False] * 5
    assert wide.sum() == 4


@pytest.mark.parametrize("replacement", ["pixel", "median"])
@pytest.mark.parametrize("axis", [None, "x"])
def test_only_hidden_pixels_count(replacement, axis):
    inputs = torch.randn((2, 1, 64, 64), generator=generator())
    learned = task(replacement=replacement, axis=axis, percentage=1)
    seen, target, counted = learned.corrupt(inputs, inputs, None)
    changed = seen != inputs
    assert target is inputs
    assert (changed[counted > 0]).float().mean() > 0.95
    spread = changed.sum() / (counted > 0).sum()
    assert spread == pytest.approx(5 if axis else 1, rel=0.3)


def test_pixels_that_are_excluded_never_count():
    inputs = torch.randn((2, 1, 64, 64), generator=generator())
    weight = torch.zeros_like(inputs)
    assert not task().corrupt(inputs, inputs, weight)[2].any()


def test_validation_hides_the_same_pixels_each_time():
    inputs = torch.randn((1, 1, 64, 64), generator=generator())
    first, again = (task().examine(inputs, inputs, None) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], inputs)


def test_what_would_change_the_noise_is_refused():
    with pytest.raises(ValidationError, match="noise of each pixel as it is"):
        TrainConfig(task="noise2void", augmentation="heavy")
    with pytest.raises(ValidationError, match="quarter_turns to false"):
        TrainConfig(
            task="noise2void", noise2void={"axis": "x"}, augmentation={"flip": False}
        )
    directed = TrainConfig(task="noise2void", noise2void={"axis": "x"}).completed()
    assert not directed.augmentation.quarter_turns


@pytest.mark.parametrize("axes", ["yx", "zyx"])
def test_noise_is_removed_without_having_seen_a_clean_image(axes, tmp_path):
    random = np.random.default_rng(0)
    shape = (160, 160) if axes == "yx" else (16, 64, 80)
    clean = gaussian_filter(random.normal(size=shape), 4)
    clean = 1000 + 500 * clean / clean.std()
    noisy = clean + random.normal(0, 400, shape)
    image = Image(noisy.astype(np.float32), tuple(axes), {}, {}, name="noisy")
    config = TrainConfig(
        task="noise2void",
        output=tmp_path,
        noise2void={"percentage": 2},
        network={"name": "UNet", "kwargs": {"channels": [8, 16], "strides": [2]}},
        patch={a: 16 if a == "z" else 32 for a in axes},
        spatial_axes=axes,
        batch_size=8 if axes == "yx" else 2,
        optimizer={"learning_rate": 5e-3},
        effort={"steps": 80 if axes == "yx" else 40},
        device="cpu",
    )
    finished = list(train_events(config, [(image, image)]))[-1]
    result = np.asarray(predict(finished.package, image))
    assert result.shape == shape
    before, after = ((each - clean).std() for each in (noisy, result))
    assert after < 0.75 * before
    assert finished.metrics["removed"] == pytest.approx(400, rel=0.35)
