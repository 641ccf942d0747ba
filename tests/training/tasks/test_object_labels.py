"""Targets that don't number objects are refused, the others become maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_im2im.errors import DataError
from napari_im2im.training.data.samples import Sample
from napari_im2im.training.tasks.object_labels import (
    boundary_pixels,
    check_objects,
    encode_boundaries,
    measure_objects,
    pixels_between,
)


def sample(labels, name="cells"):
    target = np.asarray(labels)[None]
    return Sample(np.zeros(target.shape, np.float32), target, name)


def squares(values, dtype=np.uint16):
    labels = np.zeros((30, 10 * len(values)), dtype)
    for i, value in enumerate(values):
        labels[5:15, 10 * i : 10 * i + 8] = value
    return labels


def test_numbered_objects_suit():
    check_objects([sample(squares([3, 7, 4])), sample(squares([0]))])


def test_unfit_targets_are_refused_with_the_cure():
    with pytest.raises(DataError, match=r"cells is a mask of 3 .*connected components"):
        check_objects([sample(squares([255, 255, 255], np.uint8))])
    with pytest.raises(DataError, match="one object only"):
        check_objects([sample(squares([1]))])
    with pytest.raises(DataError, match="no object, only background"):
        check_objects([sample(squares([0, 0]))])
    with pytest.raises(DataError, match="the label 16777216: number the objects"):
        check_objects([sample(squares([1, 2**24], np.int32))])
    picture = np.random.default_rng(0).integers(0, 4000, (40, 40))
    with pytest.raises(DataError, match="like a picture"):
        check_objects([sample(picture)])
    two = Sample(np.zeros((1, 8, 8)), np.zeros((2, 8, 8), np.uint8), "cells")
    with pytest.raises(DataError, match=r"2 channels.*data\.target_channels"):
        check_objects([two])


def test_sizes_are_those_of_the_objects():
    sizes = measure_objects([sample(squares([3, 7])), sample(squares([9]))])
    assert (sizes.count, sizes.smallest, sizes.largest) == (3, 80, 80)
    assert sizes.extent == (10, 8)
    with pytest.raises(DataError, match="No training image shows an object"):
        measure_objects([sample(squares([0]))])


def test_touching_objects_have_a_boundary_between_them():
    labels = np.repeat([[0, 1, 1, 1, 2, 2, 2, 0]], 6, axis=0)
    boundary = boundary_pixels(labels, (1, 1))
    np.testing.assert_array_equal(boundary, [[0, 1, 0, 1, 1, 0, 1, 0]] * 6)


def test_pixels_between_neighbours_are_found():
    row = np.repeat([[0, 1, 1, 1, 1, 2, 2, 2, 0, 0, 3, 3, 0, 0, 0, 0]], 3, axis=0)
    between = pixels_between(row, (1, 1))[0].nonzero()[0]
    assert between.tolist() == [3, 4, 5, 6, 8, 9]
    assert not pixels_between(row.T[:, :1], (10, 1)).any()


def test_thick_slices_keep_an_inside():
    labels = np.zeros((4, 12, 12), int)
    labels[1, 2:10, 2:10], labels[2, 2:10, 2:10] = 1, 2
    inside = (labels > 0) & ~boundary_pixels(labels, (1, 1, 1))
    assert not inside.any()
    labels[2] = 0
    assert ((labels > 0) & ~boundary_pixels(labels, (4, 1, 1))).sum() == 36


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999),
    width=st.floats(0.5, 4),
    spacing=st.sampled_from([(1, 1), (0.2, 0.1), (1, 3)]),
)
def test_maps_agree_with_each_other(seed, width, spacing):
    random = np.random.default_rng(seed)
    labels = np.kron(random.integers(0, 4, (5, 6)), np.ones((7, 6), int))
    foreground, boundary, distance = encode_boundaries(
        labels, spacing, width, distance=True
    )
    np.testing.assert_array_equal(foreground, labels > 0)
    assert (boundary <= foreground).all()
    assert ((distance > 0) == (labels > 0)).all()
    assert distance.max(initial=0) <= 1
    for label in np.unique(labels[labels > 0]):
        assert distance[labels == label].max() == pytest.approx(1)
    turned = encode_boundaries(labels[::-1], spacing, width, distance=True)
    np.testing.assert_allclose(turned[:, ::-1], [foreground, boundary, distance])


def test_a_patch_inside_one_object_has_no_boundary():
    maps = encode_boundaries(np.full((9, 9), 4), (1, 1), 2, distance=True)
    assert maps.mean(axis=(1, 2)).tolist() == [1, 0, 1]
