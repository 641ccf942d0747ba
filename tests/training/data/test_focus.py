from __future__ import annotations

import numpy as np

from napari_im2im.training.data.config import DataConfig
from napari_im2im.training.data.focus import learn_focus
from napari_im2im.training.data.samples import Sample


def samples():
    random = np.random.default_rng(0)
    target = random.normal(100, 5, (2, 64, 64))
    target[:, 20:40, 20:40] += 200
    target[1] *= 10
    return [Sample(target, target, "a")]


def test_foreground_of_intensities_is_what_is_bright():
    focus = learn_focus(DataConfig(foreground_patches=0.3), samples(), labels=False)
    assert focus.foreground == 0.3
    assert 110 < focus.thresholds[0] < 290
    assert 1100 < focus.thresholds[1] < 2900
    assert 400 <= focus.is_foreground(samples()[0].target).sum() < 410


def test_foreground_of_labels_is_what_has_one():
    focus = learn_focus(DataConfig(least_foreground=0.1), samples(), labels=True)
    assert focus.thresholds == (0, 0)


def test_nothing_is_measured_where_nothing_is_preferred():
    assert learn_focus(DataConfig(), samples(), labels=False).thresholds == ()
