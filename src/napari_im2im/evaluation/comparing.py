"""Comparing one image with its truth, channel by channel or label by label."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import psutil

from napari_im2im.errors import DataError, ImageError
from napari_im2im.evaluation.report import ImageScores
from napari_im2im.evaluation.scores import SMALLEST_MS_SSIM, normalize, score
from napari_im2im.evaluation.segmentation import (
    score_label_images,
    score_masks,
    whole_numbers,
)
from napari_im2im.events import Event, Message
from napari_im2im.images.writing import save_image

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_im2im.evaluation.config import EvaluateConfig, Metrics
    from napari_im2im.images.image import Image

_AXES = ("channel", "time", "z", "y", "x")
_BYTES_PER_PIXEL = 64
"""What comparing a channel needs for each of its pixels, SSIM above all."""


@dataclass(frozen=True)
class Compared:
    """What came of one image: its scores, and the error map if one was written."""

    scores: list[ImageScores]
    error_map: Path | None


def compare(
    config: EvaluateConfig,
    metrics: Metrics,
    name: str,
    group: str,
    prediction: Image,
    truth: Image,
) -> Generator[Event, None, Compared]:
    """Compare an image with its truth, and write the error map if it is asked for.

    Parameters
    ----------
    config
        Channels, normalisation, error maps.
    metrics
        What to measure; not ``"auto"``.
    name, group
        What the scores are filed under.
    prediction, truth
        Images of equal size.

    Yields
    ------
    Message
        Why a metric has no value.

    Raises
    ------
    DataError
        If the sizes differ, there is too little memory, or labels are none.
    ImageError
        If an image has pixels that are no numbers.
    """
    prediction, truth, names = matched(config, prediction, truth)
    scores, errors = [], []
    for channel, label in enumerate(names):
        pixels = [_read(image, channel) for image in (prediction, truth)]
        if metrics == "intensity":
            pixels = [
                normalize(each, config.normalization, config.percentiles)
                for each in pixels
            ]
            measured = {label: score(pixels[0], pixels[1], config.normalization)}
            yield from _remarks(name, label, truth, measured[label])
        else:
            pixels = [
                whole_numbers(each, image.name)
                for each, image in zip(pixels, (prediction, truth), strict=True)
            ]
            measured = _label_scores(metrics, pixels, name, label)
        normalization = config.normalization if metrics == "intensity" else "none"
        scores += [
            ImageScores(name, group, each, normalization, values)
            for each, values in measured.items()
        ]
        if config.error_maps and metrics == "intensity":
            errors.append(pixels[0] - pixels[1])
        elif config.error_maps:
            errors.append((pixels[0] != pixels[1]).astype(np.uint8))
    if not errors or config.output is None:
        return Compared(scores, None)
    path = error_map_path(config.output, name)
    image = _error_map(truth, errors, f"{file_stem(name)} error")
    return Compared(scores, save_image(image, path, overwrite=config.overwrite))


def matched(
    config: EvaluateConfig, prediction: Image, truth: Image
) -> tuple[Image, Image, tuple[str, ...]]:
    """Return both with the chosen channels, and the names of these; read no pixel.

    Raises
    ------
    DataError
        If the sizes differ, or there is too little memory.
    """
    truth = _channels(truth, config.truth_channels)
    prediction = _channels(prediction, config.channels)
    _check_sizes(prediction, truth)
    count = truth.sizes.get("channel", 1)
    names = truth.channel_names or prediction.channel_names
    return prediction, truth, names or tuple(map(str, range(count)))


def needed_bytes(image: Image) -> int:
    """Estimate the memory that comparing one channel of an image needs."""
    pixels = math.prod(image.shape) // image.sizes.get("channel", 1)
    return pixels * _BYTES_PER_PIXEL


def error_map_path(folder: Path, name: str) -> Path:
    """Return where the error map of an image goes, by its name."""
    return folder / "errors" / f"{file_stem(name)}_error.ome.tif"


def file_stem(name: str) -> str:
    """Return what files about an image are called, from its name."""
    return re.sub(r"[^\w.-]+", "_", re.sub(r"(\.ome)?\.\w+$", "", name))


def _label_scores(
    metrics: Metrics, pixels: Sequence[np.ndarray], name: str, channel: str
) -> dict[str, dict[str, float]]:
    if metrics == "objects":
        return {channel: score_label_images(pixels[0], pixels[1])}
    return score_masks(pixels[0], pixels[1], name)


def _channels(image: Image, chosen: Sequence[int] | None) -> Image:
    return image if chosen is None else image.select("channel", chosen)


def _check_sizes(prediction: Image, truth: Image) -> None:
    sizes = [
        {axis: image.sizes.get(axis, 1) for axis in _AXES}
        for image in (prediction, truth)
    ]
    for axis, size in sizes[0].items():
        if size != sizes[1][axis]:
            cure = (
                "choose channels of both"
                if axis == "channel"
                else "crop one, or name the axes if they were guessed wrong"
            )
            raise DataError(
                f"{prediction.name} has size {size} along {axis}, its truth "
                f"{truth.name} has {sizes[1][axis]}: {cure}."
            )
    needed, free = needed_bytes(truth), psutil.virtual_memory().available
    if needed > free:
        raise DataError(
            f"Comparing {prediction.name} needs {needed / 2**30:.0f} GiB of memory, "
            f"{free / 2**30:.0f} GiB are free: compare a crop of it."
        )


def _read(image: Image, channel: int) -> np.ndarray:
    """Return a channel ``(time, [z,] y, x)``."""
    region = {"channel": slice(channel, channel + 1)}
    pixels: np.ndarray = image.read(region, _AXES)[0]
    if not np.isfinite(pixels).all():
        raise ImageError(
            f"{image.name} has pixels that are NaN or infinite: replace them by "
            "numbers first."
        )
    return pixels[:, 0] if pixels.shape[1] == 1 else pixels


def _remarks(
    image: str, channel: str, truth: Image, metrics: dict[str, float]
) -> Generator[Event]:
    """Say why a metric has no value."""
    if math.isnan(metrics["ssim"]):
        yield Message(
            f"The truth of {image}, channel {channel}, is the same everywhere: it has "
            "no PSNR, SSIM and PCC.",
            "warning",
        )
    elif math.isnan(metrics.get("ms_ssim", 0)):
        size = min(truth.sizes["y"], truth.sizes["x"])
        yield Message(
            f"{image} is {size} pixels wide or high: MS-SSIM needs "
            f"{SMALLEST_MS_SSIM}, so it is left out."
        )


def _error_map(truth: Image, errors: Sequence[np.ndarray], name: str) -> Image:
    axes = tuple(axis for axis in _AXES if axis in truth.axes)
    data = np.stack(errors).reshape([truth.sizes[axis] for axis in axes])
    return replace(truth, data=data, axes=axes, name=name, metadata={})
