"""How close one channel of a prediction comes to the truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
)

from napari_im2im.training.metrics import image_metrics

if TYPE_CHECKING:
    from napari_im2im.evaluation.config import Normalization

METRICS = ("psnr", "ssim", "ms_ssim", "pcc", "mae")
"""What is measured, but for the Light My Cells challenge."""

CHALLENGE_PERCENTILES = (2.0, 99.8)

SMALLEST_MS_SSIM = 176
"""Least height and width at whose coarsest of 5 scales the window fits."""


def normalize(
    pixels: np.ndarray,
    normalization: Normalization,
    percentiles: tuple[float, float],
) -> np.ndarray:
    """Return one channel as it is compared, float32.

    Parameters
    ----------
    pixels
        All pixels of a channel of an image, any shape.
    normalization
        ``"none"`` changes nothing; ``"percentiles"`` brings the percentiles to 0
        and 1 and clips; ``"lightmycells"`` brings 2 and 99.8 to 0 and 1 without
        clipping. An image whose percentiles are equal is not changed.
    percentiles
        Lower and upper one, in percent.
    """
    values = pixels.astype(np.float32)
    if normalization == "none":
        return values
    challenge = normalization == "lightmycells"
    low, high = np.percentile(
        values, CHALLENGE_PERCENTILES if challenge else percentiles
    )
    if low == high:
        return values
    scaled: np.ndarray = ((values - low) / (high - low)).astype(np.float32)
    return scaled if challenge else scaled.clip(0, 1)


def score(
    prediction: np.ndarray, truth: np.ndarray, normalization: Normalization
) -> dict[str, float]:
    """Measure one channel of one image.

    Parameters
    ----------
    prediction, truth
        Normalised images ``(time, [z,] y, x)``, float32.
    normalization
        ``"lightmycells"`` measures as that challenge does; else PSNR (dB), SSIM
        (`image_metrics` says how), MS-SSIM, PCC and MAE.

    Returns
    -------
    dict
        Value by metric, NaN where there is none: PSNR and SSIM of a constant
        truth, MS-SSIM of planes smaller than 176 pixels.

    Notes
    -----
    The data range is that of the truth, or 1 for percentiles. MS-SSIM (Wang et
    al. 2003, https://doi.org/10.1109/ACSSC.2003.1292216) is the mean over the
    planes.
    """
    if normalization == "lightmycells":
        return challenge_scores(prediction, truth)
    span = 1.0 if normalization == "percentiles" else float(np.ptp(truth))
    if not (span > 0 and np.ptp(truth) > 0):
        error = float(np.abs(prediction - truth).mean(dtype=np.float64))
        return {**dict.fromkeys(METRICS, math.nan), "mae": error}
    images = [torch.from_numpy(array[:, None]) for array in (prediction, truth)]
    measured = image_metrics(images[0], images[1], [span])
    return {
        name: _ms_ssim(prediction, truth, span) if name == "ms_ssim" else measured[name]
        for name in METRICS
    }


def _ms_ssim(prediction: np.ndarray, truth: np.ndarray, span: float) -> float:
    if min(truth.shape[-2:]) < SMALLEST_MS_SSIM:
        return math.nan
    low, shape = truth.min(), (-1, 1, 1, *truth.shape[-2:])
    predicted, expected = (
        torch.from_numpy(((image - low) / span).reshape(shape))
        for image in (prediction, truth)
    )
    values = [
        float(multiscale_structural_similarity_index_measure(a, b, data_range=1.0))
        for a, b in zip(predicted, expected, strict=True)
    ]
    return sum(values) / len(values)


def challenge_scores(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Measure as the Light My Cells challenge does, whose scores compare with these.

    SSIM is scikit-image's with a uniform window of 7 pixels and the larger of both
    ranges as data range; the Euclidean distance is that of all pixels together,
    the cosine distance is 1 − the cosine of their angle. The challenge itself
    takes MAE and both distances of nuclei and mitochondria only. A constant image
    has a PCC of 0.

    Parameters
    ----------
    prediction, truth
        Images ``(time, [z,] y, x)``, normalised by the 2 and 99.8 percentiles.

    References
    ----------
    https://lightmycells.grand-challenge.org
    """
    a, b = (array.ravel().astype(np.float64) for array in (prediction, truth))
    span = max(np.ptp(a), np.ptp(b))
    constant = np.ptp(a) == 0 or np.ptp(b) == 0
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    window = min(7, *truth.shape[1:])
    ssim = [
        structural_similarity(
            expected,
            predicted,
            data_range=span,
            win_size=window - 1 + window % 2,
        )
        for predicted, expected in zip(
            prediction.astype(np.float64), truth.astype(np.float64), strict=True
        )
    ]
    return {
        "pcc": 0.0 if constant else float(np.corrcoef(a, b)[0, 1]),
        "ssim": float(np.mean(ssim)) if span > 0 else math.nan,
        "mae": float(np.abs(a - b).mean()),
        "euclidean": float(np.linalg.norm(a - b)),
        "cosine": abs(1 - float(a @ b) / norms) if norms else math.nan,
    }
