from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from napari_im2im.training.metrics import image_metrics


def pair(shape=(1, 1, 64, 64), offset=0.0):
    random = np.random.default_rng(0)
    truth = random.random(shape) * 100 + offset
    return (
        torch.tensor(truth + random.normal(0, 5, shape), dtype=torch.float32),
        torch.tensor(truth, dtype=torch.float32),
    )


@pytest.mark.parametrize("offset", [0.0, 20000.0])
def test_metrics_are_those_of_other_libraries(offset):
    prediction, truth = pair(offset=offset)
    values = image_metrics(prediction, truth, [100.0])
    a, b = (image[0, 0].double().numpy() for image in (prediction, truth))
    ssim = structural_similarity(
        a - b.min(),
        b - b.min(),
        data_range=100,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert values["mae"] == pytest.approx(np.abs(a - b).mean(), rel=1e-3)
    assert values["pcc"] == pytest.approx(
        np.corrcoef(a.ravel(), b.ravel())[0, 1], rel=1e-4
    )
    mse = np.square(a - b).mean()
    assert values["psnr"] == pytest.approx(10 * np.log10(100**2 / mse), rel=1e-3)
    assert values["ssim"] == pytest.approx(ssim, abs=1e-3)


def test_each_channel_is_measured_with_its_range():
    prediction, truth = pair((2, 2, 32, 32))
    scale = torch.tensor([1.0, 1000.0]).reshape(1, 2, 1, 1)
    values = image_metrics(
        prediction * scale, truth * scale, [100, 100_000], ["DAPI", "NFH"]
    )
    for name in ("psnr", "ssim", "pcc"):
        assert values[f"{name} DAPI"] == pytest.approx(values[f"{name} NFH"], rel=0.05)
        both = (values[f"{name} DAPI"] + values[f"{name} NFH"]) / 2
        assert values[name] == pytest.approx(both)


@pytest.mark.parametrize("planes", [3, 16])
def test_stacks_are_measured(planes):
    prediction, truth = pair((1, 1, planes, 32, 32))
    values = image_metrics(prediction, truth, [100.0])
    assert 0.8 < values["ssim"] < 1


def test_a_constant_prediction_has_no_correlation():
    _, truth = pair()
    assert image_metrics(torch.full_like(truth, 3), truth, [100.0])["pcc"] == 0


def test_pixels_that_do_not_count_change_nothing():
    random = torch.Generator().manual_seed(0)
    truth = torch.rand((2, 1, 32, 32), generator=random)
    guess = truth + 0.1 * torch.rand(truth.shape, generator=random)
    counted = torch.ones(truth.shape, dtype=torch.bool)
    counted[..., 16:] = False
    spoiled = guess.clone()
    spoiled[..., 16:] = 50
    names = ("psnr", "ssim", "pcc", "mae")
    plain = image_metrics(guess, truth, [1.0], counted=counted)
    masked = image_metrics(spoiled, truth, [1.0], counted=counted)
    assert [plain[n] for n in names] == pytest.approx([masked[n] for n in names])
    whole = image_metrics(guess, truth, [1.0])
    for name in names:
        assert masked[name] == pytest.approx(whole[name], rel=0.1)
