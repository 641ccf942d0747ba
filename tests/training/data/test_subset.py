from __future__ import annotations

import numpy as np
import pytest

from napari_im2im.training.data.samples import Sample
from napari_im2im.training.data.subset import representative


@pytest.fixture
def large():
    pixels = np.random.default_rng(0).normal(50, 10, (3, 1, 600, 700))
    return [Sample(p, 2 * p, f"{i}") for i, p in enumerate(pixels)]


def test_what_is_small_stands_for_itself(large):
    assert representative(large, 0) == large


def test_regions_stand_for_what_is_large(large):
    regions = representative(large, 0, most_pixels=1_000_000)
    assert sum(r.input.size for r in regions) < 200_000
    np.testing.assert_array_equal(2 * regions[0].input, regions[0].target)
    assert regions[0].input.mean() == pytest.approx(50, abs=1)


def test_regions_follow_from_the_seed(large):
    one, other = (representative(large, 3, most_pixels=1_000_000) for _ in range(2))
    np.testing.assert_array_equal(one[0].input, other[0].input)


def test_samples_smaller_than_a_region_are_taken_whole():
    pixels = np.zeros((50, 1, 40, 300), np.uint8)
    samples = [Sample(p, p, "a") for p in pixels]
    regions = representative(samples, 0, most_pixels=500_000)
    assert {r.spatial_shape for r in regions} == {(40, 256)}
