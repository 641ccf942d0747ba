from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_im2im.training.data.focus import Focus
from napari_im2im.training.data.samples import Sample
from napari_im2im.training.data.sampling import PatchSampler


def sample(shape, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 60000, shape).astype(np.uint16)
    return Sample(pixels[None], 2 * pixels[None].astype(np.float32), "a")


@given(st.integers(0, 10**6), st.integers(0, 5))
def test_a_batch_depends_on_seed_and_number_alone(index, seed):
    samples = [sample((20, 30)), sample((40, 16), 1)]
    first, again = (
        PatchSampler(samples, (16, 16), 3, seed=seed).batch(index) for _ in range(2)
    )
    np.testing.assert_array_equal(first.input, again.input)
    np.testing.assert_array_equal(first.target, again.target)


def test_batches_differ():
    sampler = PatchSampler([sample((40, 40))], (16, 16), 3)
    assert not np.array_equal(sampler.batch(0).input, sampler.batch(1).input)


@pytest.mark.parametrize("shape", [(16, 16), (16, 8), (4, 16, 16)])
def test_input_and_target_are_turned_alike(shape):
    samples = [sample(tuple(2 * n for n in shape))]
    batch = PatchSampler(samples, shape, 16).batch(0)
    assert batch.input.shape == (16, 1, *shape)
    assert batch.input.dtype == np.float32
    np.testing.assert_array_equal(2 * batch.input, batch.target)
    assert batch.weight is None


@pytest.mark.parametrize("shape", [(16, 16), (16, 8), (4, 16, 16)])
def test_the_weight_is_turned_like_the_image(shape):
    plain = sample(tuple(2 * n for n in shape))
    weighted = replace(plain, weight=(plain.input % 3).astype(np.uint8))
    batch = PatchSampler([weighted], shape, 16).batch(0)
    assert batch.weight.shape == (16, 1, *shape)
    np.testing.assert_array_equal(batch.weight, batch.input % 3)


def test_an_image_without_weights_counts_fully_among_weighted_ones():
    plain = sample((8, 8))
    masked = replace(plain, weight=np.eye(8, dtype=np.uint8)[None])
    batch = PatchSampler([plain, masked], (8, 8), 40).batch(0)
    assert {patch.mean() for patch in batch.weight} == {1 / 8, 1.0}


def test_a_square_patch_is_seen_in_all_eight_positions():
    samples = [sample((8, 8))]
    inputs = PatchSampler(samples, (8, 8), 200).batch(0).input
    assert len({patch.tobytes() for patch in inputs}) == 8


def test_without_augmentation_patches_are_cut_out_as_they_are():
    only = sample((8, 8))
    inputs = (
        PatchSampler([only], (8, 8), 5, flip=False, quarter_turns=False).batch(0).input
    )
    assert all(np.array_equal(patch, only.input) for patch in inputs)


def test_patches_come_from_everywhere():
    pixels = np.arange(2 * 30 * 30, dtype=np.float32).reshape(2, 1, 30, 30)
    samples = [Sample(array, array, "a") for array in pixels]
    inputs = PatchSampler(samples, (16, 16), 4000).batch(0).input
    assert np.unique(inputs).size == pixels.size


def test_an_epoch_sees_as_many_pixels_as_there_are():
    samples = [sample((64, 64)), sample((64, 64))]
    assert PatchSampler(samples, (16, 16), 4).steps_per_epoch == 8


def test_a_larger_target_is_cut_at_the_same_place():
    small = np.random.default_rng(0).random((1, 20, 30)).astype(np.float32)
    large = small.repeat(2, 1).repeat(2, 2)
    batch = PatchSampler([Sample(small, large, "a")], (8, 8), 6).batch(0)
    assert batch.target.shape == (6, 1, 16, 16)
    np.testing.assert_array_equal(batch.target[..., ::2, ::2], batch.input)


def spotted(shape=(64, 64)):
    """Return an image with a small bright spot, far from the middle."""
    target = np.zeros((1, *shape), np.float32)
    target[0, 10:14, 10:14] = 1
    return Sample(target, target, "spot")


def test_patches_are_centred_on_foreground_as_often_as_wanted():
    focus = Focus(foreground=0.5, thresholds=(0.5,))
    batch = PatchSampler([spotted()], (8, 8), 400, focus=focus).batch(0)
    part = (batch.target[:, 0, 3:5, 3:5].max(axis=(1, 2)) > 0.5).mean()
    assert 0.45 < part < 0.6


def test_patches_without_foreground_are_drawn_anew():
    half = np.zeros((1, 64, 64), np.float32)
    half[:, :, 40:] = 1
    focus = Focus(least_foreground=0.1, thresholds=(0.5,))
    batch = PatchSampler([Sample(half, half, "a")], (16, 16), 50, focus=focus).batch(0)
    assert (batch.target.mean(axis=(1, 2, 3)) > 0.05).all()


def test_patches_are_centred_where_pixels_count():
    plain = sample((64, 64))
    weight = np.zeros((1, 64, 64), np.uint8)
    weight[:, 20:30, 40:50] = 1
    batch = PatchSampler([replace(plain, weight=weight)], (8, 8), 50).batch(0)
    assert (batch.weight.sum(axis=(1, 2, 3)) > 0).all()


def test_patches_follow_the_cost_map_where_that_is_wanted():
    plain = sample((64, 64))
    weight = np.ones((1, 64, 64), np.float32)
    weight[:, :, 32:] = 9
    weighted = replace(plain, weight=weight)
    focus = Focus(by_weight=True)
    batch = PatchSampler([weighted], (2, 2), 500, focus=focus).batch(0)
    assert 0.85 < (batch.weight == 9).mean() < 0.95


def test_a_wish_that_nothing_fulfils_still_gives_patches():
    focus = Focus(foreground=1, least_foreground=0.5, thresholds=(1e9,))
    batch = PatchSampler([sample((20, 20))], (8, 8), 2, focus=focus).batch(0)
    assert batch.input.shape == (2, 1, 8, 8)
