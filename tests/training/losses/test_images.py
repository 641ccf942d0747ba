from __future__ import annotations

from typing import get_args

import pytest
import torch

from napari_im2im.training.losses.images import WeightedLoss
from napari_im2im.training.tasks.catalogue import ImageLossName

NAMES = get_args(ImageLossName)


def images(shape=(2, 3, 32, 32)):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(shape, generator=generator), torch.rand(
        shape, generator=generator
    )


def loss(weights, patch=(32, 32), channels=3):
    return WeightedLoss(weights, patch, [0.0] * channels, [1.0] * channels)


def test_terms_are_added_with_their_weights():
    a, b = images()
    mixed = loss({"l1": 0.5, "mse": 2.0})(a, b)
    expected = 0.5 * (a - b).abs().mean() + 2 * (a - b).square().mean()
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_prediction_costs_least(name):
    a, b = images()
    perfect, wrong = (loss({name: 1.0})(image, a) for image in (a, b))
    assert perfect < 0.5 * wrong
    if name != "foreground":
        assert perfect == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (1, 2, 4, 64, 64)])
def test_every_term_can_be_learned(name, shape):
    a, b = images(shape)
    value = loss({name: 1.0}, shape[2:], shape[1])(a.requires_grad_(), b)
    value.backward()
    assert 0 < value.item() < 2
    assert a.grad.isfinite().all()
    assert a.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_pixels_of_weight_0_do_not_count(name):
    a, b = images((2, 2, 64, 64))
    weight = torch.ones(2, 1, 64, 64)
    weight[..., :20] = 0
    term = loss({name: 1.0}, (64, 64), 2)
    changed = torch.where(weight > 0, a, torch.rand(a.shape) + 1)
    torch.testing.assert_close(term(a, b, weight), term(changed, b, weight))
    a.requires_grad_()
    term(a, b, weight).backward()
    assert (a.grad[..., :20] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_equal_weights_change_nothing(name):
    a, b = images((2, 2, 64, 64))
    term = loss({name: 1.0}, (64, 64), 2)
    even = torch.ones(2, 1, 64, 64)
    torch.testing.assert_close(term(a, b, even), term(a, b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_patch_without_any_weight_costs_nothing(name):
    a, b = images((1, 1, 32, 32))
    term = loss({name: 1.0}, (32, 32), 1)
    value = term(a.requires_grad_(), b, torch.zeros(1, 1, 32, 32))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert a.grad.isfinite().all()


def test_ssim_does_not_depend_on_a_channels_units():
    a, b = images()
    factor = torch.tensor([1.0, 50.0, 0.1]).reshape(1, 3, 1, 1)
    top = factor.flatten().tolist()
    scaled = WeightedLoss({"ssim": 1.0}, (32, 32), [5.0] * 3, [5 + t for t in top])
    torch.testing.assert_close(
        scaled(factor * a + 5, factor * b + 5),
        loss({"ssim": 1.0})(a, b),
        rtol=1e-3,
        atol=1e-4,
    )


def test_foreground_counts_more_than_background():
    target = torch.zeros(1, 1, 32, 32)
    target[..., 12:18, 12:18] = 1
    term = WeightedLoss({"foreground": 1.0}, (32, 32), [0.0], [1.0], [0.5])
    empty = torch.zeros_like(target)
    noisy = target + 0.2 * torch.rand(target.shape)
    assert term(noisy, target) < 0.2 * term(empty, target)
    assert WeightedLoss({"l1": 1.0}, (32, 32), [0.0], [1.0])(
        noisy, target
    ) > WeightedLoss({"l1": 1.0}, (32, 32), [0.0], [1.0])(empty, target)
