"""Found, missed, split and merged objects are counted as one would by eye."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_im2im.inference.objects.scores import score_objects

from .layouts import blobs


@pytest.fixture
def truth():
    labels = np.zeros((20, 20), np.uint16)
    labels[2:8, 2:8], labels[10:18, 2:8], labels[2:8, 10:20] = 5, 300, 7
    return labels


def test_a_split_object_counts_once(truth):
    predicted = np.zeros((20, 20), np.int32)
    predicted[2:8, 2:8], predicted[3:8, 10:20] = 1, 9
    predicted[10:14, 2:8], predicted[14:18, 2:8] = 2, 3
    scores = score_objects(truth, predicted)
    assert (scores.truth, scores.predicted) == (3, 4)
    assert (scores.split, scores.merged) == (1, 0)
    assert scores.matched == {0.5: 3, 0.6: 2, 0.7: 2, 0.8: 2, 0.9: 1}
    assert scores.average_precision(0.5) == 3 / 4
    assert scores.f1(0.9) == 2 / 7
    values = scores.values()
    assert values["ap"] == pytest.approx(np.mean([3 / 4, *[2 / 5] * 3, 1 / 6]))
    assert values["ap 0.9"] == 1 / 6


def test_a_merged_object_counts_once(truth):
    predicted = (truth != 7) * (np.indices(truth.shape)[1] < 8).astype(int)
    scores = score_objects(truth, predicted)
    assert (scores.split, scores.merged) == (0, 1)


def test_nothing_found_is_0_and_nothing_to_find_is_1(truth):
    nothing = np.zeros_like(truth)
    assert score_objects(truth, nothing).mean_average_precision == 0
    assert score_objects(nothing, truth).f1(0.5) == 0
    assert score_objects(nothing, nothing).mean_average_precision == 1


def test_what_does_not_count_is_no_mistake(truth):
    predicted = truth.copy()
    predicted[2:8, 10:20] = 0
    predicted[12:18, 12:18] = 11
    counted = np.ones(truth.shape)
    counted[:, 9:] = 0
    assert score_objects(truth, predicted).average_precision(0.5) == 0.5
    assert score_objects(truth, predicted, counted=counted).average_precision(0.9) == 1


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 20), seed=st.integers(0, 99), other=st.integers(0, 99))
def test_numbers_do_not_matter_and_the_truth_is_perfect(count, seed, other):
    labels = blobs((40, 50), count, seed)
    names = np.random.default_rng(other).permutation(labels.max()) + 1
    renamed = np.append(0, names * 17)[labels]
    perfect = score_objects(labels, renamed)
    assert perfect.mean_average_precision == 1
    assert (perfect.split, perfect.merged) == (0, 0)
    guess = blobs((40, 50), count, other)
    assert score_objects(labels, guess) == score_objects(renamed, guess)


def test_shapes_must_agree(truth):
    with pytest.raises(ValueError, match="shapes differ"):
        score_objects(truth, truth[1:])
