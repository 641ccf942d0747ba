from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_im2im.errors import ConfigError, DataError
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Layout, Sample
from napari_im2im.training.tasks.image import ImageTask


def image_task(channels=("DAPI",), **values):
    layout = Layout(("y", "x"), ("phase",), channels)
    return ImageTask(TrainConfig(**values).completed(), layout)


def sample(target, name="a"):
    return Sample(np.zeros((1, *target.shape[1:])), target, name)


def test_a_constant_target_is_refused():
    flat = np.full((1, 16, 16), 7, np.uint16)
    with pytest.raises(DataError, match="the same value, 7, in every pixel"):
        image_task().check([sample(flat), sample(flat)])


def test_a_constant_channel_is_named():
    target = np.stack([np.arange(256).reshape(16, 16), np.zeros((16, 16))])
    with pytest.raises(DataError, match=r"target of a \(channel empty\)"):
        image_task(("DAPI", "empty")).check([sample(target)])


def test_the_loss_compares_in_normalised_units():
    target = np.random.default_rng(0).normal(500, 20, (1, 32, 32)).astype(np.float32)
    task = image_task(loss={"l1": 1.0})
    task.learn([sample(target)], None)
    encoded, _ = task.encode(target[None], None)
    loss = task.loss((32, 32))
    perfect = (torch.from_numpy(encoded) - target.mean()) / target.std()
    assert loss(perfect, torch.from_numpy(encoded)) == pytest.approx(0, abs=1e-4)
    off_by_one = loss(perfect + 1, torch.from_numpy(encoded))
    assert off_by_one == pytest.approx(1, rel=1e-3)
    torch.testing.assert_close(task.postprocess(perfect), torch.from_numpy(encoded))


def test_channels_weigh_as_asked():
    random = np.random.default_rng(0)
    target = random.normal((100, 5), (20, 1), (32, 32, 2)).astype(np.float32)
    target = target.transpose(2, 0, 1)
    losses = []
    for weights in (None, [1, 1], [3, 1]):
        task = image_task(
            ("DNA", "actin"),
            loss={"l1": 1.0, "ssim": 0.5},
            loss_channel_weights=weights,
        )
        task.check([sample(target)])
        task.learn([sample(target)], None)
        encoded = torch.from_numpy(task.encode(target[None], None)[0])
        wrong = torch.zeros_like(encoded)
        wrong[:, 1] = (encoded[:, 1] - 5) / 1
        losses.append(float(task.loss((32, 32))(wrong, encoded)))
    even, same, uneven = losses
    assert even == pytest.approx(same, rel=1e-4)
    # The second channel is right but for rounding.
    assert uneven == pytest.approx(1.5 * even, rel=0.05)


def test_weights_of_other_channels_are_refused():
    target = np.random.default_rng(0).random((1, 16, 16))
    with pytest.raises(ConfigError, match="has 2 numbers, but the target has 1"):
        image_task(loss_channel_weights=[1, 2]).check([sample(target)])


def test_no_loss_named_means_that_of_the_task():
    assert TrainConfig().completed().loss == {"l1": 1.0}
    assert TrainConfig(loss={"mse": 2.0}).completed().loss == {"mse": 2.0}


def test_foreground_is_what_the_training_images_say():
    target = np.full((1, 32, 32), 100, np.float32)
    target[:, 10:14, 10:14] = 200
    task = image_task(loss={"foreground": 1.0})
    task.learn([sample(target)], None)
    (threshold,) = task.foreground
    levels = (np.array([100, 200]) - target.mean()) / target.std()
    assert levels[0] <= threshold < levels[1]
    empty = torch.from_numpy(np.full_like(target, 100))[None]
    encoded = torch.from_numpy(target)[None]
    normalised = (encoded - target.mean()) / target.std()
    loss = task.loss((32, 32))
    missed = loss((empty - target.mean()) / target.std(), encoded)
    assert loss(normalised, encoded) < 0.1 * missed
