from __future__ import annotations

import numpy as np
import pytest

from napari_im2im.errors import ConfigError, DataError
from napari_im2im.models.tensors import FixedSize, SteppedSize
from napari_im2im.training.automatic import (
    choose_batch_size,
    choose_patch,
    fewest_at_once,
    smaller_patch,
)
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.data.samples import Sample

SIZES = {"y": SteppedSize(16, 16), "x": SteppedSize(16, 16)}


def choose(shape, patch=None, sizes=SIZES, on_cpu=True):
    pixels = np.zeros((1, *shape), np.float32)
    return choose_patch(
        TrainConfig(patch=patch), [Sample(pixels, pixels, "a")], sizes, on_cpu=on_cpu
    )


@pytest.mark.parametrize(
    ("shape", "on_cpu", "patch"),
    [
        ((500, 500), True, {"y": 128, "x": 128}),
        ((500, 500), False, {"y": 256, "x": 256}),
        ((70, 500), True, {"y": 64, "x": 128}),
    ],
)
def test_the_patch_fits_image_and_network(shape, on_cpu, patch):
    assert choose(shape, on_cpu=on_cpu) == patch


def test_stacks_get_boxes():
    sizes = {axis: SteppedSize(16, 16) for axis in "zyx"}
    assert choose((20, 100, 100), sizes=sizes) == {"z": 16, "y": 64, "x": 64}


def test_a_network_of_fixed_size_gets_it():
    sizes = {"y": FixedSize(96), "x": FixedSize(96)}
    assert choose((100, 100), sizes=sizes) == {"y": 96, "x": 96}


def test_a_patch_larger_than_the_image_names_the_largest_that_fits():
    with pytest.raises(
        DataError, match=r"a has 70 pixels .* along x.*\{y: 128, x: 64\}"
    ):
        choose((300, 70), patch={"y": 128, "x": 128})


def test_an_image_smaller_than_the_network_needs_is_refused():
    with pytest.raises(DataError, match="fewer than the patch"):
        choose((300, 10))


def test_a_patch_that_the_network_does_not_take_is_refused():
    with pytest.raises(ConfigError, match="100 pixels along y: use 112"):
        choose((300, 300), patch={"y": 100, "x": 128})


def test_large_patches_come_in_small_batches():
    config = TrainConfig()
    assert choose_batch_size(config, {"y": 128, "x": 128}, on_cpu=True) == 8
    assert choose_batch_size(config, {"y": 512, "x": 512}, on_cpu=True) == 2
    asked = TrainConfig(batch_size=3)
    assert choose_batch_size(asked, {"y": 128, "x": 128}, on_cpu=True) == 3


def test_short_memory_halves_the_patch_as_far_as_the_network_allows():
    patch = {"y": 128, "x": 64}
    seen = []
    while patch is not None:
        seen.append(patch)
        patch = smaller_patch(patch, SIZES)
    assert seen == [{"y": 128, "x": 64}, {"y": 64, "x": 32}, {"y": 32, "x": 32}]


def test_one_pixel_alone_is_nothing_to_normalise_over():
    assert fewest_at_once({"y": 16, "x": 16}, SIZES) == 2
    assert fewest_at_once({"y": 16, "x": 32}, SIZES) == 1
