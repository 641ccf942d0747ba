"""An evaluation as a generator of events."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import psutil

from napari_im2im.errors import ConfigError, DataError, Im2ImError, ImageError
from napari_im2im.evaluation.report import (
    ImageScores,
    Summary,
    summarize,
    write_table,
)
from napari_im2im.evaluation.scores import (
    CHALLENGE_PERCENTILES,
    SMALLEST_MS_SSIM,
    normalize,
    score,
)
from napari_im2im.events import (
    Event,
    Message,
    PredictionFinished,
    Progress,
    TileDone,
)
from napari_im2im.folders import check_writable
from napari_im2im.images.pairing import pair_files
from napari_im2im.images.reading import open_image
from napari_im2im.images.writing import save_image

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from napari_im2im.evaluation.config import EvaluateConfig
    from napari_im2im.images.image import Image

_AXES = ("channel", "time", "z", "y", "x")
_BYTES_PER_PIXEL = 64
"""What comparing a channel needs for each of its pixels, SSIM above all."""


@dataclass(frozen=True)
class ImageScored(Event):
    """An image is compared; one item for each of its channels."""

    scores: tuple[ImageScores, ...]


@dataclass(frozen=True)
class ImageFailed(Event):
    """An image can't be compared, for a reason in one sentence."""

    image: str
    reason: str


@dataclass(frozen=True)
class EvaluationFinished(Event):
    """All images are compared.

    ``files`` are the tables and error maps that were written, ``normalization``
    says in a sentence what was done to the pixels first.
    """

    scores: tuple[ImageScores, ...]
    summaries: tuple[Summary, ...]
    failed: tuple[ImageFailed, ...]
    normalization: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Comparison:
    """An image to compare; ``first`` is a prediction, or what a model is given."""

    name: str
    group: str
    first: Callable[[], Image]
    truth: Callable[[], Image]


@dataclass
class _Results:
    scores: list[ImageScores] = field(default_factory=list)
    failed: list[ImageFailed] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def evaluate_events(
    config: EvaluateConfig, pairs: Sequence[tuple[Image, Image]] | None = None
) -> Generator[Event]:
    """Compare predictions with the truth; closing the generator stops it.

    Parameters
    ----------
    config
        What to compare, and how.
    pairs
        Predictions (with a model: its inputs) and truths; default: the files of
        ``config``, paired by their names.

    Yields
    ------
    Event
        `Progress`, `Message`, an `ImageScored` or `ImageFailed` for each image, at
        last `EvaluationFinished`.

    Raises
    ------
    ConfigError
        If nothing is named to compare, or the results exist already.
    DataError
        If files don't pair, or not a single image could be compared.
    """
    _check_output(config)
    comparisons = _comparisons(config, pairs)
    results = _Results()
    for number, comparison in enumerate(comparisons):
        yield Progress(number, len(comparisons), comparison.name)
        try:
            first = comparison.first()
            if config.model:
                first = yield from _predicted(config, first)
            scores = yield from _compare(config, comparison, first, results)
        except Im2ImError as error:
            results.failed.append(ImageFailed(comparison.name, str(error)))
            yield results.failed[-1]
        else:
            results.scores += scores
            yield ImageScored(tuple(scores))
    yield Progress(len(comparisons), len(comparisons), "")
    if not results.scores:
        raise DataError(f"Nothing could be compared: {results.failed[0].reason}")
    summaries = summarize(results.scores)
    if config.output is not None:
        tables = {
            "metrics.csv": [each.row() for each in results.scores],
            "summary.csv": [each.row() for each in summaries],
        }
        results.files += [
            write_table(config.output / name, rows) for name, rows in tables.items()
        ]
    yield EvaluationFinished(
        tuple(results.scores),
        tuple(summaries),
        tuple(results.failed),
        describe_normalization(config),
        tuple(results.files),
    )


def describe_normalization(config: EvaluateConfig) -> str:
    """Return what is done to the pixels before they are compared."""
    if config.normalization == "none":
        return (
            "Not normalised: in the units of the truth, whose largest minus smallest "
            "value is the data range."
        )
    challenge = config.normalization == "lightmycells"
    low, high = CHALLENGE_PERCENTILES if challenge else config.percentiles
    text = (
        f"Prediction and truth each normalised by their percentiles {low:g} and "
        f"{high:g}, "
    )
    if challenge:
        return f"{text}not clipped; the larger range of both is the data range."
    return f"{text}clipped to 0 to 1; the data range is 1."


def _check_output(config: EvaluateConfig) -> None:
    if config.output is None:
        return
    check_writable(config.output)
    if config.overwrite:
        return
    for name in ("metrics.csv", "summary.csv"):
        if (config.output / name).exists():
            raise ConfigError(
                f"{config.output / name} exists: overwrite replaces it, or choose "
                "another folder."
            )


def _comparisons(
    config: EvaluateConfig, pairs: Sequence[tuple[Image, Image]] | None
) -> list[_Comparison]:
    if pairs is not None:
        return [
            _Comparison(
                f"{number} {first.name}",
                "",
                lambda image=first: image,  # type: ignore[misc]
                lambda image=truth: image,  # type: ignore[misc]
            )
            for number, (first, truth) in enumerate(pairs, start=1)
        ]
    named = config.inputs if config.model else config.predictions
    if not named or not config.truth:
        raise ConfigError(
            "Name the truth and either predictions, or a model and its inputs, to "
            "compare with it."
        )
    files = pair_files(named, config.truth)
    names = _names([first for first, _ in files])
    return [
        _Comparison(
            name,
            _group(config.group, truth),
            lambda path=first: open_image(path, axes=config.axes),  # type: ignore[misc]
            lambda path=truth: open_image(path, axes=config.truth_axes),  # type: ignore[misc]
        )
        for name, (first, truth) in zip(names, files, strict=True)
    ]


def _names(paths: Sequence[Path]) -> list[str]:
    """Return names of files that tell them apart."""
    names = [path.name for path in paths]
    unique = len(set(names)) == len(names)
    return names if unique else [path.as_posix() for path in paths]


def _group(pattern: str | None, path: Path) -> str:
    if pattern is None:
        return path.parent.name
    match = re.search(pattern, path.as_posix())
    return (match[1] or "") if match else ""


def _predicted(config: EvaluateConfig, image: Image) -> Generator[Event, None, Image]:
    """Apply the model, and return its first output in memory."""
    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.prediction import predict_events

    job = PredictConfig(model=config.model, device=config.device)
    for event in predict_events(job, [image]):
        if isinstance(event, TileDone):
            yield Progress(event.index, event.total, f"predicting {image.name}")
        elif isinstance(event, Message | Progress):
            yield event
        elif isinstance(event, PredictionFinished):
            return event.outputs[0]
    raise DataError(f"The prediction of {image.name} ended unfinished.")


def _compare(
    config: EvaluateConfig,
    comparison: _Comparison,
    prediction: Image,
    results: _Results,
) -> Generator[Event, None, list[ImageScores]]:
    """Compare channel by channel, and write the error map if it is asked for."""
    truth = _channels(comparison.truth(), config.truth_channels)
    prediction = _channels(prediction, config.channels)
    _check_sizes(prediction, truth)
    count = truth.sizes.get("channel", 1)
    names = truth.channel_names or prediction.channel_names
    names = names or tuple(map(str, range(count)))
    scores, errors = [], []
    for channel, name in enumerate(names):
        pixels = [
            normalize(_read(image, channel), config.normalization, config.percentiles)
            for image in (prediction, truth)
        ]
        metrics = score(pixels[0], pixels[1], config.normalization)
        scores.append(
            ImageScores(
                comparison.name,
                comparison.group,
                name,
                config.normalization,
                metrics,
            )
        )
        yield from _remarks(comparison.name, name, truth, metrics)
        if config.error_maps:
            errors.append(pixels[0] - pixels[1])
    if errors and config.output is not None:
        name = re.sub(r"(\.ome)?\.\w+$", "", comparison.name)
        name = re.sub(r"[^\w.-]+", "_", name)
        path = config.output / "errors" / f"{name}_error.ome.tif"
        image = _error_map(truth, errors, f"{name} error")
        results.files.append(save_image(image, path, overwrite=config.overwrite))
    return scores


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
    pixels = math.prod(sizes[0].values()) // sizes[0]["channel"]
    needed, free = pixels * _BYTES_PER_PIXEL, psutil.virtual_memory().available
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
