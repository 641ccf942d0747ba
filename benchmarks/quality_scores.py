"""Scores of results on the test images, as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from quality_floors import classes, read
from quality_noisy_sets import PHOTONS

from napari_im2im.inference.objects.scores import score_objects
from napari_im2im.training.metrics import class_metrics, image_metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from quality_sets import ImageSet

OBJECT_COLUMNS = ("ap", "ap 0.5", "ap 0.7", "ap 0.9", "f1 0.5")
OBJECT_COUNTS = ("objects", "predicted", "split", "merged")


def image_scores(found: ImageSet, results: list[np.ndarray]) -> dict[str, float]:
    """Return PCC and SSIM of each channel, mean of the images."""
    targets = [read(p.target).reshape(len(found.names), -1) for p in found.training]
    span = np.ptp(np.concatenate(targets, axis=1), axis=1).tolist()
    rows = []
    for result, pair in zip(results, found.testing, strict=True):
        truth = read(pair.target)
        shaped = np.array(result, np.float64).reshape(truth.shape)
        tensors = (torch.from_numpy(array)[None] for array in (shaped, truth))
        rows.append(image_metrics(*tensors, span, found.names))
    suffixes = [f" {name}" for name in found.names] if len(found.names) > 1 else [""]
    return {
        f"{name} {metric.upper()}": mean([row[metric + suffix] for row in rows])
        for name, suffix in zip(found.names, suffixes, strict=True)
        for metric in ("pcc", "ssim")
    }


def semantic_scores(found: ImageSet, results: list[np.ndarray]) -> dict[str, float]:
    """Return Dice and IoU of each class over all test pixels together."""
    truths = [classes(found, pair.target.read()) for pair in found.testing]
    flat = [np.concatenate([a.ravel() for a in each]) for each in (results, truths)]
    values = class_metrics(
        *(torch.from_numpy(a.astype(int)) for a in flat), found.names
    )
    several = len(found.names) > 2
    return {
        f"{name} {word}": values.get(f"{metric} {name}" if several else metric, 0.0)
        for name in found.names[1:]
        for metric, word in (("dice", "Dice"), ("iou", "IoU"))
    }


def instances_scores(found: ImageSet, results: list[np.ndarray]) -> dict[str, float]:
    """Return means over the images, and counts over all of them."""
    rows = []
    for result, pair in zip(results, found.testing, strict=True):
        counted = None if pair.cost_map is None else pair.cost_map.read()
        truth = pair.target.read()
        rows.append(score_objects(truth, result.astype(int), counted=counted).values())
    return {key: mean([row[key] for row in rows]) for key in OBJECT_COLUMNS} | {
        key: int(sum(row[key] for row in rows)) for key in OBJECT_COUNTS
    }


def noise2void_scores(found: ImageSet, results: list[np.ndarray]) -> dict[str, float]:
    """Return PSNR, SSIM and PCC with the references, mean of the images.

    Where pixels are held out instead: their squared error, of their variance.
    """
    if any(pair.cost_map for pair in found.testing):
        return held_out_scores(found, results)
    largest = max(float(np.percentile(p.target.read(), 99.9)) for p in found.tuning)
    span = PHOTONS if largest < 2 * PHOTONS else largest
    rows = []
    for result, pair in zip(results, found.testing, strict=True):
        arrays = (np.squeeze(result), pair.target.read())
        tensors = (torch.from_numpy(a.astype(np.float32))[None, None] for a in arrays)
        rows.append(image_metrics(*tensors, [span]))
    return {
        title: mean([row[key] for row in rows])
        for key, title in (("psnr", "PSNR (dB)"), ("ssim", "SSIM"), ("pcc", "PCC"))
    }


def held_out_scores(found: ImageSet, results: list[np.ndarray]) -> dict[str, float]:
    guesses, values = [], []
    for result, pair in zip(results, found.testing, strict=True):
        if pair.cost_map:
            where = pair.cost_map.read() > 0
            guesses.append(np.squeeze(result)[where])
            values.append(pair.target.read()[where])
    guessed, known = (np.concatenate(each).astype(float) for each in (guesses, values))
    error = np.square(guessed - known).mean() / known.var()
    pcc = np.corrcoef(guessed, known)[0, 1]
    return {"squared error, held out": float(error), "PCC, held out": float(pcc)}


def mean(values: list[float]) -> float:
    return float(np.mean(values))


SCORES: dict[str, Callable[[ImageSet, list[np.ndarray]], dict[str, float]]] = {
    "image": image_scores,
    "semantic": semantic_scores,
    "instances": instances_scores,
    "noise2void": noise2void_scores,
}


def table(rows: dict[str, dict[str, float]]) -> str:
    """Return a Markdown table."""
    titles = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name, values in rows.items():
        cells = [
            str(v) if isinstance(v, int) else f"{v:.2f}" if "dB" in k else f"{v:.3f}"
            for k, v in values.items()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
