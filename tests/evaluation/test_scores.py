"""Scores against numbers that other libraries compute."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from napari_im2im.evaluation.scores import normalize, score


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    truth = random.normal(1000, 50, (1, 180, 192)).astype("float32")
    return truth + random.normal(0, 10, truth.shape).astype("float32"), truth


def test_scores_are_those_of_the_definitions(images):
    prediction, truth = images
    values = score(prediction, truth, "none")
    expected = peak_signal_noise_ratio(truth, prediction, data_range=np.ptp(truth))
    assert values["psnr"] == pytest.approx(expected, rel=1e-4)
    assert values["mae"] == pytest.approx(np.abs(prediction - truth).mean(), rel=1e-4)
    pcc = np.corrcoef(prediction.ravel(), truth.ravel())[0, 1]
    assert values["pcc"] == pytest.approx(pcc, rel=1e-4)
    assert 0.5 < values["ssim"] < values["ms_ssim"] < 1


def test_the_truth_itself_is_perfect(images):
    _, truth = images
    values = score(truth, truth, "none")
    assert [values[name] for name in ("ssim", "ms_ssim", "pcc")] == pytest.approx(
        [1, 1, 1], abs=1e-5
    )
    assert (values["psnr"], values["mae"]) == (math.inf, 0)


def test_percentiles_make_scores_independent_of_gain_and_offset(images):
    prediction, truth = images
    values = [
        score(
            normalize(changed, "percentiles", (1, 99)),
            normalize(truth, "percentiles", (1, 99)),
            "percentiles",
        )
        for changed in (prediction, 3 * prediction + 500)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-3)
    limits = normalize(prediction, "percentiles", (1, 99))
    assert (limits.min(), limits.max()) == (0, 1)


def test_small_planes_have_no_ms_ssim_and_constant_truth_only_an_error(images):
    prediction, truth = (image[:, :64, :64] for image in images)
    assert math.isnan(score(prediction, truth, "none")["ms_ssim"])
    values = score(prediction, np.full_like(truth, 1000), "none")
    assert values["mae"] > 0
    assert math.isnan(values["psnr"])
    assert math.isnan(values["pcc"])


def test_stacks_are_measured_in_three_dimensions():
    random = np.random.default_rng(0)
    truth = random.random((1, 16, 32, 32), dtype="float32")
    values = score(truth + 0.01, truth, "none")
    assert values["mae"] == pytest.approx(0.01, rel=1e-3)
    assert values["ssim"] > 0.9


# Scores of the challenge's published script for the images below.
CHALLENGE = {
    "pcc": 0.961748,
    "ssim": 0.955769,
    "mae": 0.0419158,
    "euclidean": 2.286503,
    "cosine": 0.01576656,
}


def test_light_my_cells_scores_are_those_of_its_own_script():
    random = np.random.default_rng(7)
    truth = random.gamma(2, 100, (1, 48, 40)).astype("uint16")
    prediction = (truth * 0.5 + random.normal(100, 20, truth.shape)).astype("uint16")
    normalized = [
        normalize(image, "lightmycells", (0, 100)) for image in (prediction, truth)
    ]
    assert normalized[0].max() > 1
    values = score(*normalized, "lightmycells")
    assert values == pytest.approx(CHALLENGE, rel=1e-4)
