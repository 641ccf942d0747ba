from __future__ import annotations

import pytest
import torch

from napari_im2im.training.losses import WeightedLoss


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


@pytest.mark.parametrize("name", ["l1", "mse", "ssim"])
def test_a_perfect_prediction_costs_nothing(name):
    a, _ = images()
    assert loss({name: 1.0})(a, a) == pytest.approx(0, abs=1e-5)


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


def test_thin_stacks_have_an_ssim():
    a, b = images((1, 3, 4, 16, 16))
    value = loss({"ssim": 1.0}, (4, 16, 16))(a.requires_grad_(), b)
    value.backward()
    assert 0 < value.item() < 2
    assert a.grad.isfinite().all()
