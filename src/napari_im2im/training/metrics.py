"""How close predictions come to their targets, in the targets' units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)
from torchmetrics.functional.regression import mean_absolute_error, pearson_corrcoef

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

_SSIM_WINDOW = 11


def image_metrics(
    predictions: torch.Tensor,
    targets: torch.Tensor,
    data_range: Sequence[float],
    channels: Sequence[str] | None = None,
    counted: torch.Tensor | None = None,
) -> dict[str, float]:
    """Measure PSNR (dB), SSIM, PCC and MAE of a batch of images.

    PSNR, PCC and MAE are taken over all pixels of the batch, SSIM (Gaussian
    window of 11 pixels; of single planes where a stack has fewer than 11) is the
    mean over the images.

    Parameters
    ----------
    predictions, targets
        Images ``(batch, c, [z,] y, x)``, float, in the targets' units.
    data_range
        Largest minus smallest possible value of each channel, for PSNR and SSIM.
    channels
        Names of the channels; default: only the means are returned.
    counted
        Mask ``(batch, 1, [z,] y, x)`` of the pixels that count; default: all. For
        SSIM the others are taken for right, and their part is then left out.

    Returns
    -------
    dict
        ``psnr``, ``ssim``, ``pcc`` and ``mae``, means over the channels; with
        several channels also ``"pcc DAPI"`` and so on. A channel in which the
        prediction or the target is constant has a PCC of 0.
    """
    by_channel = [
        _channel_metrics(
            predictions[:, c : c + 1].float(),
            targets[:, c : c + 1].float(),
            span,
            counted,
        )
        for c, span in enumerate(data_range)
    ]
    values = {
        name: sum(measured[name] for measured in by_channel) / len(by_channel)
        for name in by_channel[0]
    }
    if channels is not None and len(channels) > 1:
        for channel, measured in zip(channels, by_channel, strict=True):
            values |= {f"{name} {channel}": value for name, value in measured.items()}
    return values


def class_metrics(
    predictions: torch.Tensor,
    targets: torch.Tensor,
    names: Sequence[str],
    counted: torch.Tensor | None = None,
) -> dict[str, float]:
    """Measure Dice and IoU of classes over all pixels of a batch together.

    Parameters
    ----------
    predictions, targets
        Numbers of the classes, integers of equal shape.
    names
        Of the classes, the background first.
    counted
        Mask of the pixels that count, of the same shape; default: all.

    Returns
    -------
    dict
        ``dice`` and ``iou``, means over the classes but the background; with more
        than two classes also ``"dice nucleus"`` and so on. Classes that are neither
        there nor predicted are left out; without any the means are 1.
    """
    if counted is not None:
        predictions, targets = predictions[counted], targets[counted]
    pair = (predictions.flatten().long(), targets.flatten().long())
    table = multiclass_confusion_matrix(*pair, num_classes=len(names)).double()
    common, both = table.diag(), table.sum(0) + table.sum(1)
    values = {
        name: {
            "dice": float(2 * common[i] / both[i]),
            "iou": float(common[i] / (both[i] - common[i])),
        }
        for i, name in enumerate(names)
        if both[i]
    }
    shown = [values[name] for name in names[1:] if name in values]
    means = {
        metric: sum(each[metric] for each in shown) / len(shown) if shown else 1.0
        for metric in ("dice", "iou")
    }
    if len(names) == 2:
        return means
    return means | {
        f"{metric} {name}": value
        for name, measured in values.items()
        for metric, value in measured.items()
    }


def _channel_metrics(
    prediction: torch.Tensor,
    target: torch.Tensor,
    data_range: float,
    counted: torch.Tensor | None,
) -> dict[str, float]:
    share = 1.0
    flat = [image.flatten() for image in (prediction, target)]
    if counted is not None and counted.any():
        share = float(counted.double().mean())
        flat = [image[counted] for image in (prediction, target)]
        prediction = prediction.where(counted, target)
    images = (prediction.contiguous(), target.contiguous())
    return {
        "psnr": float(peak_signal_noise_ratio(*flat, data_range=data_range)),
        "ssim": 1 - (1 - _ssim(*images, data_range)) / share,
        "pcc": _pcc(*flat),
        "mae": float(mean_absolute_error(*flat)),
    }


def _pcc(prediction: torch.Tensor, target: torch.Tensor) -> float:
    # Large offsets cost float32 the digits that the variance is made of.
    centred = [image.double() - image.double().mean() for image in (prediction, target)]
    if any(not image.any() for image in centred):
        return 0.0
    return float(pearson_corrcoef(*(image / image.std() for image in centred)))


def _ssim(prediction: torch.Tensor, target: torch.Tensor, data_range: float) -> float:
    images = [prediction, target]
    if prediction.ndim == 5 and prediction.shape[2] < _SSIM_WINDOW:
        images = [image.transpose(1, 2).flatten(0, 1) for image in images]
    # SSIM isn't invariant to an offset, and its constants expect 0 to data_range.
    low = images[1].amin()
    shifted = [(image - low) / data_range for image in images]
    return float(structural_similarity_index_measure(*shifted, data_range=1.0))
