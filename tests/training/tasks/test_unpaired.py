"""What is measured without pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Layout, Sample
from napari_im2im.training.tasks.unpaired import (
    UnpairedTask,
    intensity_distance,
    texture_distance,
)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).random((2, 1, 64, 64)).astype(np.float32)


@pytest.fixture
def task(pixels):
    config = TrainConfig(task="unpaired", loss={"l1": 1}, unpaired={"identity": 0.5})
    task = UnpairedTask(config, Layout(("y", "x"), ("phase",), ("dna",)))
    samples = [Sample(10 * each, 10 * each, "dna") for each in pixels]
    task.check(samples)
    task.learn(samples, None)
    return task


def test_other_fields_with_the_same_look_are_near(pixels):
    other = np.random.default_rng(1).random(pixels.shape).astype(np.float32)
    brighter, smooth = pixels + 1, gaussian_filter(pixels, (0, 0, 1, 1))
    assert intensity_distance(pixels, other) < 0.02
    assert intensity_distance(pixels, brighter) == pytest.approx(1, abs=0.02)
    assert texture_distance(pixels, brighter) < 1e-6
    assert (
        texture_distance(pixels, other) < 0.02 < 0.1 < texture_distance(pixels, smooth)
    )


def test_images_that_come_back_as_they_were_cost_nothing(task, pixels):
    source, goal = torch.from_numpy(pixels), torch.from_numpy(10 * pixels)
    both, target, weight = task.corrupt(source, goal, None)
    assert weight is None
    assert abs(float(both[:, 1].mean())) < 1e-5
    loss = task.loss((16, 16))
    came_back = torch.cat([both.flip(1), both, both], 1)
    assert float(loss(came_back, target)) == 0
    lost = torch.cat([both.flip(1), both + 1, both], 1)
    assert float(loss(lost, target)) == pytest.approx(2)
    changed = torch.cat([both.flip(1), both, both + 1], 1)
    assert float(loss(changed, target)) == pytest.approx(1)
    assert float(loss(torch.cat([both, both], 1), target)) == 0


def test_results_are_in_the_units_of_the_targets(task, pixels):
    output = torch.zeros((1, 1, 8, 8))
    assert float(task.postprocess(output).mean()) == pytest.approx(5, abs=0.1)
    (step,) = task.postprocessing()
    assert step.kwargs["offset"] == pytest.approx([5], abs=0.1)
    assert {*task.metrics(output, 10 * pixels, None)} == {
        "intensity distance",
        "texture distance",
    }
