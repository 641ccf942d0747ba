"""A mask isn't learned as objects unawares."""

import numpy as np
import pytest

from napari_im2im.docks.pixel_facts import probe_pixels
from napari_im2im.docks.train.label_advice import advise_target
from napari_im2im.images.image import Image
from napari_im2im.training.config import TrainConfig


def advice(pixels, task):
    image = Image(np.asarray(pixels), ("y", "x"), name="cells")
    facts = probe_pixels(image).labels
    return advise_target(image, TrainConfig(task=task), is_labels=True, facts=facts)


@pytest.mark.parametrize("task", ["instances", "embedding"])
def test_one_number_for_all_objects_is_told_before_training(task):
    labels = np.zeros((20, 20), np.uint8)
    labels[2:6, 2:6], labels[10:15, 10:15] = 255, 255
    (one,) = advice(labels, task)
    assert "one number for all objects" in one.text
    assert one.fixes[0].value == "semantic"
    labels[10:15, 10:15] = 7
    assert not advice(labels, task)


def test_numbers_that_are_not_whole_stop_before_training():
    (one,) = advice(np.random.default_rng(0).random((20, 20)), "instances")
    assert one.level == "stop"
    assert "labels are whole numbers" in one.text
