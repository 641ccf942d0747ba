from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_im2im.training.data.augmentation import Augmenter
from napari_im2im.training.data.augmentation_config import (
    STRENGTHS,
    AugmentationConfig,
    augmentation_of,
)

LOOKS = {
    "brightness": 1.0,
    "contrast": 0.5,
    "gamma": 0.5,
    "noise": 0.5,
    "blur": 2.0,
    "defocus": 3.0,
    "grid_mask": 1.0,
    "cutout": 1.0,
    "channel_dropout": 1.0,
}
WARPS = {"rotation": 45.0, "scale": 0.3, "elastic": 3.0}


def smooth(shape, seed=0):
    pixels = np.random.default_rng(seed).normal(size=shape)
    sigma = (*(0 for _ in shape[:-2]), 3, 3)
    pixels = gaussian_filter(pixels, sigma)
    return torch.from_numpy((pixels / pixels.std()).astype(np.float32))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def always(**amounts):
    return Augmenter(AugmentationConfig(probability=1, **amounts))


@pytest.mark.parametrize("name", WARPS)
@pytest.mark.parametrize("shape", [(3, 1, 40, 56), (2, 2, 5, 32, 32)])
def test_input_target_and_weight_are_warped_alike(name, shape):
    image = smooth(shape)
    weight = (image[:, :1] > 0).float()
    inputs, target, warped = always(**{name: WARPS[name]}).warp(
        image, 2 * image + 1, weight, generator()
    )
    assert inputs.shape == shape
    assert (inputs - image).abs().mean() > 0.1
    torch.testing.assert_close(target, 2 * inputs + 1, rtol=1e-3, atol=1e-3)
    assert set(warped.unique().tolist()) == {0, 1}
    inner = (inputs[:, :1].abs() > 0.3) & (inputs[:, :1].abs() < 3)
    agreement = ((inputs[:, :1] > 0) == (warped > 0))[inner].float().mean()
    assert agreement > 0.98


@pytest.mark.parametrize("shape", [(2, 1, 48, 48), (2, 1, 3, 48, 48)])
def test_labels_are_never_mixed(shape):
    labels = torch.randint(0, 5, shape, generator=generator()).float() * 100
    augmenter = Augmenter(STRENGTHS["heavy"], labels=True)
    _, target, _ = augmenter.warp(smooth(shape), labels, None, generator())
    assert set(target.unique().tolist()) <= set(labels.unique().tolist())


def test_a_rotation_turns_about_the_centre():
    image = torch.zeros(1, 1, 65, 33)
    image[..., 20:45, 16] = 1
    turned, _, _ = always(rotation=180).warp(image, image, None, generator(3))
    assert turned[0, 0, 32, 16] == pytest.approx(1, abs=0.05)
    # Whatever the angle, a line keeps its length.
    assert turned.sum() == pytest.approx(25, rel=0.1)


def test_a_larger_target_is_warped_alike():
    image = smooth((2, 1, 32, 32))
    large = torch.nn.functional.interpolate(image, scale_factor=2, mode="bicubic")
    inputs, target, _ = always(**WARPS).warp(image, large, None, generator())
    small = torch.nn.functional.avg_pool2d(target, 2)
    assert (small - inputs)[..., 4:-4, 4:-4].abs().mean() < 0.05


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("shape", [(4, 2, 32, 40), (2, 3, 4, 24, 24)])
def test_each_change_of_look_changes_something(name, shape):
    image = smooth(shape)
    changed = always(**{name: LOOKS[name]}).change_look(image.clone(), generator())
    assert changed.shape == shape
    assert changed.isfinite().all()
    assert not torch.equal(changed, image)


@pytest.mark.parametrize("name", ["blur", "defocus"])
def test_blurring_keeps_the_mean_and_smooths(name):
    image = torch.randn((4, 1, 64, 64), generator=generator())
    blurred = always(**{name: 3.0}).change_look(image, generator(1))
    torch.testing.assert_close(blurred.mean(), image.mean(), atol=0.02, rtol=0)
    assert blurred.std() < 0.8 * image.std()


def test_an_only_channel_is_never_dropped():
    image = smooth((8, 1, 16, 16))
    config = always(channel_dropout=1.0)
    torch.testing.assert_close(config.change_look(image, generator()), image)


def test_some_patches_stay_as_they_are():
    image = smooth((200, 1, 8, 8))
    augmenter = Augmenter(AugmentationConfig(brightness=1, probability=0.3))
    changed = augmenter.change_look(image, generator())
    part = (changed != image).flatten(1).any(1).float().mean()
    assert 0.2 < part < 0.4


@given(st.integers(0, 10**6))
def test_the_generator_decides(seed):
    image = smooth((2, 1, 16, 16))
    augmenter = Augmenter(STRENGTHS["heavy"])
    first, again = (
        augmenter.change_look(
            augmenter.warp(image, image, None, drawn := generator(seed))[0], drawn
        )
        for _ in range(2)
    )
    assert torch.equal(first, again)


def test_standard_and_none_change_no_pixel_value():
    image = smooth((2, 1, 16, 16))
    for strength in ("none", "standard"):
        augmenter = Augmenter(augmentation_of(strength))
        inputs, target, _ = augmenter.warp(image, image, None, generator())
        assert inputs is image
        assert target is image
        assert augmenter.change_look(image, generator()) is image
