"""How close labels come to the truth: classes of pixels, and objects."""

from __future__ import annotations

import math

import numpy as np
import torch

from napari_im2im.errors import DataError
from napari_im2im.inference.objects.scores import score_objects
from napari_im2im.training.metrics import class_metrics

_MOST_CLASSES = 64


def whole_numbers(pixels: np.ndarray, name: str) -> np.ndarray:
    """Return labels as int64.

    Raises
    ------
    DataError
        If pixels are no whole numbers from 0 on.
    """
    labels = pixels.astype(np.int64)
    if pixels.size and (labels.min() < 0 or (labels != pixels).any()):
        raise DataError(
            f"{name} holds numbers that are no labels (negative or with decimals): "
            "compare it with the metrics 'intensity', or label it first."
        )
    return labels


def score_masks(
    prediction: np.ndarray, truth: np.ndarray, name: str
) -> dict[str, dict[str, float]]:
    """Measure Dice and IoU of each class of an image, the background left out.

    Parameters
    ----------
    prediction, truth
        Numbers of the classes, int64 of equal shape, 0 for the background.
    name
        Of the image.

    Returns
    -------
    dict
        ``dice`` and ``iou`` by the number of the class, of those that are in the
        truth or predicted.

    Raises
    ------
    DataError
        If there are so many classes that these must be objects.

    References
    ----------
    Taha & Hanbury 2015, https://doi.org/10.1186/s12880-015-0068-x
    """
    found = np.union1d(prediction, truth)
    classes = [int(number) for number in found if number]
    if len(classes) > _MOST_CLASSES:
        raise DataError(
            f"{name} holds {len(classes)} labels: measure objects with the metrics "
            "'objects', or number its classes from 1."
        )
    names = ["0", *map(str, classes)]
    dense = [
        torch.from_numpy(np.searchsorted([0, *classes], labels).ravel())
        for labels in (prediction, truth)
    ]
    values = class_metrics(dense[0], dense[1], names)
    if not classes:
        return {"none": {"dice": math.nan, "iou": math.nan}}
    if len(classes) == 1:
        return {names[1]: {key: values[key] for key in ("dice", "iou")}}
    return {
        name: {key: values[f"{key} {name}"] for key in ("dice", "iou")}
        for name in names[1:]
    }


def score_label_images(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Measure objects ``(time, [z,] y, x)``; those of two time points are two.

    See `ObjectScores.values` for the names.
    """
    most = int(max(prediction.max(initial=0), truth.max(initial=0))) + 1
    shift = most * np.arange(len(truth)).reshape(-1, *[1] * (truth.ndim - 1))
    expected, found = (
        np.where(labels, labels + shift, 0) for labels in (truth, prediction)
    )
    return score_objects(expected, found).values()
