"""Where objects start and how far they reach is chosen by what validation shows."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import disk

from napari_im2im.training.tasks.object_labels import encode_boundaries
from napari_im2im.training.tasks.object_thresholds import (
    SEEDS,
    Crop,
    choose_thresholds,
)

MEANING = {"name": "instances", "smallest": 4, "smallest_seed": 1}


def discs(radius=8):
    """Return the labels of four discs, two of which touch."""
    labels = np.zeros((64, 64), np.int64)
    centres = [(12, 12), (12, 12 + 2 * radius), (45, 15), (45, 45)]
    for number, centre in enumerate(centres, start=1):
        labels[disk(centre, radius, shape=labels.shape)] = number
    return labels


def crop(maps, truth):
    return Crop(maps.astype(np.float32), truth, np.ones(truth.shape, bool))


def chosen(maps, truth):
    return choose_thresholds([crop(maps, truth)], MEANING, SEEDS)


def test_the_usual_stays_where_nothing_is_better():
    labels = discs()
    result = chosen(encode_boundaries(labels, (1, 1), 1.5, distance=False), labels)
    assert (result.seed, result.foreground) == (0.8, 0.5)
    assert result.metrics == {"ap 0.5": 1, "ap 0.75": 1}


@pytest.mark.parametrize("surest", [0.6, 0.3])
def test_a_network_that_is_sure_of_nothing_still_finds_objects(surest):
    labels = discs()
    maps = encode_boundaries(labels, (1, 1), 1.5, distance=False)
    # As after few steps: the boundary is near one half everywhere.
    maps = np.stack([0.2 + 0.6 * maps[0], 1 - surest / 0.8 * (1 - maps[1])])
    result = chosen(maps, labels)
    assert result.seed < surest
    assert result.metrics["ap 0.5"] == 1


def test_outlines_that_are_too_wide_are_drawn_closer():
    labels = discs()
    maps = encode_boundaries(labels, (1, 1), 1.5, distance=False)
    wide = encode_boundaries(discs(radius=10), (1, 1), 1.5, distance=False)[0]
    maps[0] = np.maximum(0.95 * maps[0], 0.55 * wide)
    result = chosen(maps, labels)
    assert result.foreground == 0.6
    assert result.metrics["ap 0.75"] == 1


def test_without_a_match_as_many_objects_as_there_are_is_best():
    labels = discs()
    maps = np.zeros((2, 64, 64))
    # In the middle of each object, far smaller than it.
    for y, x in ((12, 12), (12, 28), (45, 15), (45, 45)):
        maps[0, y - 1 : y + 2, x - 1 : x + 2] = 0.6
    result = chosen(maps, labels)
    assert result.metrics["ap 0.5"] == 0
    assert result.seed < 0.6
