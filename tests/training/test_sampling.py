from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.training.data import Sample
from napari_im2im.training.sampling import PatchSampler


def sample(shape, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 60000, shape).astype(np.uint16)
    return Sample(pixels[None], 2 * pixels[None].astype(np.float32), "a")


@given(st.integers(0, 10**6), st.integers(0, 5))
def test_a_batch_depends_on_seed_and_number_alone(index, seed):
    samples = [sample((20, 30)), sample((40, 16), 1)]
    first, again = (
        PatchSampler(samples, (16, 16), 3, seed=seed).batch(index) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_batches_differ():
    sampler = PatchSampler([sample((40, 40))], (16, 16), 3)
    assert not np.array_equal(sampler.batch(0)[0], sampler.batch(1)[0])


@pytest.mark.parametrize("shape", [(16, 16), (16, 8), (4, 16, 16)])
def test_input_and_target_are_turned_alike(shape):
    samples = [sample(tuple(2 * n for n in shape))]
    inputs, targets = PatchSampler(samples, shape, 16).batch(0)
    assert inputs.shape == (16, 1, *shape)
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(2 * inputs, targets)


def test_a_square_patch_is_seen_in_all_eight_positions():
    samples = [sample((8, 8))]
    inputs, _ = PatchSampler(samples, (8, 8), 200).batch(0)
    assert len({patch.tobytes() for patch in inputs}) == 8


def test_without_augmentation_patches_are_cut_out_as_they_are():
    only = sample((8, 8))
    inputs, _ = PatchSampler([only], (8, 8), 5, augment=False).batch(0)
    assert all(np.array_equal(patch, only.input) for patch in inputs)


def test_patches_come_from_everywhere():
    pixels = np.arange(2 * 30 * 30, dtype=np.float32).reshape(2, 1, 30, 30)
    samples = [Sample(array, array, "a") for array in pixels]
    inputs, _ = PatchSampler(samples, (16, 16), 4000).batch(0)
    assert np.unique(inputs).size == pixels.size


def test_an_epoch_sees_as_many_pixels_as_there_are():
    samples = [sample((64, 64)), sample((64, 64))]
    assert PatchSampler(samples, (16, 16), 4).steps_per_epoch == 8
