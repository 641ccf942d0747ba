"""How close a result is to a layer of the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import DataError
from napari_im2im.images.image import SPATIAL_AXES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.images.image import Image


def measure(result: Image, truth: Image) -> tuple[dict[str, float], np.ndarray]:
    """Measure PSNR (dB), SSIM, PCC and MAE, and map the error.

    Parameters
    ----------
    result, truth
        Images of the same axes and sizes; they are read whole.

    Returns
    -------
    values : dict
        ``psnr``, ``ssim``, ``pcc`` and ``mae`` over all pixels; the data range of
        PSNR and SSIM is that of the truth.
    error : np.ndarray
        Result minus truth, float32, in the shape of the result.

    Raises
    ------
    DataError
        If the sizes differ, or the truth is constant.
    """
    # Imported here: measuring needs torch, opening the dock doesn't.
    import torch

    from napari_im2im.training.metrics import image_metrics

    _check_sizes(result, truth)
    guess = result.read().astype(np.float32)
    target = truth.read().astype(np.float32)
    span = float(target.max() - target.min())
    if not span > 0:
        raise DataError(
            f"{truth.name} has the same value everywhere: choose another layer."
        )
    leading = [size for axis, size in result.sizes.items() if axis not in SPATIAL_AXES]
    shape = (int(np.prod(leading)), 1, *_spatial_shape(result))
    order = sorted(
        range(len(result.axes)), key=lambda i: (result.axes[i] in SPATIAL_AXES, i)
    )
    values = image_metrics(
        torch.from_numpy(guess.transpose(order).reshape(shape)),
        torch.from_numpy(target.transpose(order).reshape(shape)),
        [span],
    )
    return values, guess - target


def measure_labels(
    result: Image, truth: Image, classes: Mapping[str, str] | None
) -> tuple[str, np.ndarray]:
    """Measure labels, and map where they are wrong.

    Parameters
    ----------
    result, truth
        Labels of the same axes and sizes; they are read whole.
    classes
        Name of each class by its label, None where labels number objects.

    Returns
    -------
    text : str
        Dice and IoU of the classes, or average precision and F1 of the objects at an
        IoU of 0.5.
    error : np.ndarray
        1 where one is background and the other isn't, or where classes differ;
        float32, in the shape of the result.

    Raises
    ------
    DataError
        If the sizes differ, or there are no labels.
    """
    from napari_im2im.evaluation.segmentation import (
        score_label_images,
        score_masks,
        whole_numbers,
    )

    _check_sizes(result, truth)
    guess, target = (whole_numbers(i.read(), i.name) for i in (result, truth))
    if classes is not None:
        scores = score_masks(guess, target, truth.name)
        return _class_text(scores, classes), (guess != target).astype(np.float32)
    leading = () if "time" in result.axes else (np.newaxis,)
    values = score_label_images(guess[leading], target[leading])
    text = (
        f"AP {values['ap 0.5']:.3f} · F1 {values['f1 0.5']:.3f} at IoU 0.5 · "
        f"{values['predicted']:g} objects of {values['objects']:g} · "
        f"{values['split']:g} split · {values['merged']:g} merged"
    )
    return text, ((guess > 0) != (target > 0)).astype(np.float32)


def _class_text(
    scores: Mapping[str, Mapping[str, float]], classes: Mapping[str, str]
) -> str:
    parts = [
        f"{classes.get(label, label)} Dice {score['dice']:.3f}, IoU {score['iou']:.3f}"
        for label, score in scores.items()
    ]
    return " · ".join(parts)


def _check_sizes(result: Image, truth: Image) -> None:
    if result.sizes != truth.sizes:
        raise DataError(
            f"{result.name} is {_sizes(result)} and {truth.name} is {_sizes(truth)}: "
            "choose a layer of the same size."
        )


def describe_metrics(values: dict[str, float]) -> str:
    """Return the measurements in one line."""
    return (
        f"PCC {values['pcc']:.3f} · SSIM {values['ssim']:.3f} · "
        f"PSNR {values['psnr']:.1f} dB · MAE {values['mae']:.4g}"
    )


def _spatial_shape(image: Image) -> tuple[int, ...]:
    return tuple(size for axis, size in image.sizes.items() if axis in SPATIAL_AXES)


def _sizes(image: Image) -> str:
    return " × ".join(f"{axis} {size}" for axis, size in image.sizes.items())
