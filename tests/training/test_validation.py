from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_im2im.models.tensors import SteppedSize
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.normalization import learn_scaling
from napari_im2im.training.data.samples import Layout, Sample
from napari_im2im.training.tasks.image import ImageTask
from napari_im2im.training.validation import (
    Validator,
    crop_shape,
    validation_crops,
)

SIZES = {"y": SteppedSize(16, 16), "x": SteppedSize(16, 16)}


def sample(shape, seed=0, contrast=1.0):
    pixels = np.random.default_rng(seed).random((1, *shape)) * contrast
    return Sample(pixels, pixels, f"{seed}")


def test_crops_fit_the_network_and_do_not_overlap():
    pixels = np.arange(700 * 530, dtype=np.float64).reshape(1, 700, 530)
    samples = [Sample(pixels, pixels, "a")]
    crops = validation_crops(samples, crop_shape(samples, SIZES), seed=0)
    assert {crop.spatial_shape for crop in crops} == {(256, 256)}
    assert len(np.unique([crop.input for crop in crops])) == len(crops) * 256**2


def test_the_first_crop_shows_most():
    samples = [sample((64, 64), 0), sample((70, 90), 1, contrast=9)]
    first, *_ = validation_crops(samples, crop_shape(samples, SIZES), seed=0)
    assert first.name == "1"
    assert first.spatial_shape == (64, 64)


def test_a_network_that_knows_the_answer_is_perfect():
    crop = sample((32, 32))
    crop = replace(crop, scaling=learn_scaling([crop.input], "mean_std"))
    layout = Layout(("y", "x"), ("phase",), ("DAPI",))
    task = ImageTask(TrainConfig().completed(), layout)
    task.learn([crop], None)
    validator = Validator([crop], task, torch.device("cpu"))
    network = torch.nn.Identity().train()
    result = validator.evaluate(network, task.loss((32, 32)))
    assert result.loss == pytest.approx(0, abs=1e-6)
    assert result.metrics["pcc"] == pytest.approx(1)
    np.testing.assert_allclose(result.predictions, crop.target[None], atol=1e-6)
    assert network.training
