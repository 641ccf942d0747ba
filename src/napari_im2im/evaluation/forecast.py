"""What an evaluation would compare and write, without comparing anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError, Im2ImError
from napari_im2im.evaluation.comparing import error_map_path, matched, needed_bytes
from napari_im2im.evaluation.job import ImageFailed
from napari_im2im.evaluation.planning import (
    CHARTS,
    TABLES,
    check_output,
    describe_normalization,
    find_comparisons,
    kept_path,
    metrics_of,
    opened_model,
)
from napari_im2im.events import Event
from napari_im2im.inference.forecast import (
    PredictionForecast,
    describe_size,
    forecast_with,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.evaluation.config import EvaluateConfig, Metrics
    from napari_im2im.evaluation.planning import Comparison
    from napari_im2im.images.image import Image
    from napari_im2im.inference.loaded import LoadedModel

_MEASURED: Mapping[Metrics, str] = {
    "intensity": "PSNR, SSIM, MS-SSIM, PCC and MAE",
    "masks": "Dice and IoU of each class",
    "objects": "average precision and F1 at an IoU of 0.5 to 0.9, splits and merges",
}
_MEASURED_BY_CHALLENGE = "PCC, SSIM, MAE, Euclidean and cosine distance"


@dataclass(frozen=True)
class ComparisonForecast:
    """An image that would be compared with its truth.

    ``images`` are the prediction, or what the model would be given; ``memory`` are
    the bytes that comparing needs, ``prediction`` says what predicting does.
    """

    name: str
    group: str
    images: tuple[str, ...]
    truth: str
    channels: tuple[str, ...]
    memory: int
    prediction: PredictionForecast | None

    def describe(self) -> str:
        """Return it as a line."""
        given = " + ".join(self.images)
        group = f" in {self.group}" if self.group else ""
        channels = f"channel{'s' if len(self.channels) > 1 else ''}"
        text = f"{given} ↔ {self.truth}{group}, {channels} {', '.join(self.channels)}"
        if self.prediction is None:
            return f"{text}."
        return f"{text}; {self.prediction.describe_tiles()}."


@dataclass(frozen=True)
class EvaluationForecast(Event):
    """What an evaluation would compare, how, and what it would write.

    ``failed`` are images that can't be compared, ``groups`` counts the others;
    ``files`` would be written, ``memory`` are the bytes that comparing the largest
    image needs.
    """

    comparisons: tuple[ComparisonForecast, ...]
    failed: tuple[ImageFailed, ...]
    groups: Mapping[str, int]
    metrics: Metrics
    measured: str
    normalization: str
    files: tuple[Path, ...]
    memory: int

    def describe(self) -> str:
        """Return it in sentences."""
        count = len(self.comparisons)
        images = f"{count} image{'s' if count != 1 else ''} to compare"
        groups = ", ".join(f"{name} {n}" for name, n in self.groups.items() if name)
        written = ", ".join(map(str, self.files)) or "nothing; output names a folder"
        return "\n".join(
            [
                *(each.describe() for each in self.comparisons),
                f"{images}{f' ({groups})' if groups else ''}, by {self.measured}.",
                self.normalization,
                f"About {describe_size(self.memory)} of memory to compare the largest.",
                f"Would be written: {written}.",
            ]
        )


def forecast_evaluation(
    config: EvaluateConfig,
    pairs: Sequence[tuple[Image | Sequence[Image], Image]] | None = None,
    *,
    trusted: Collection[str] = (),
) -> EvaluationForecast:
    """Make the checks and choices of an evaluation, but compare and write nothing.

    Images are opened, not read. A model is loaded; images are read where its
    preprocessing needs statistics of the whole.

    Parameters
    ----------
    config, pairs, trusted
        As for `evaluate_events`.

    Raises
    ------
    ConfigError
        If nothing is named to compare, or the results exist already.
    DataError
        If files don't pair, or not a single image could be compared.
    ModelError
        If the model can't be loaded.
    """
    check_output(config)
    found: list[ComparisonForecast] = []
    failed: list[ImageFailed] = []
    with opened_model(config, trusted) as loaded:
        inputs = len(loaded.package.inputs) if loaded is not None else 1
        metrics = metrics_of(config, loaded)
        for comparison in find_comparisons(config, pairs, inputs):
            try:
                found.append(_forecast(config, comparison, loaded))
            except Im2ImError as error:
                failed.append(ImageFailed(comparison.name, str(error)))
    if not found:
        raise DataError(f"Nothing could be compared: {failed[0].reason}")
    challenge = metrics == "intensity" and config.normalization == "lightmycells"
    return EvaluationForecast(
        comparisons=tuple(found),
        failed=tuple(failed),
        groups=Counter(each.group for each in found),
        metrics=metrics,
        measured=_MEASURED_BY_CHALLENGE if challenge else _MEASURED[metrics],
        normalization=describe_normalization(config, metrics),
        files=_files(config, [each.name for each in found]),
        memory=max(each.memory for each in found),
    )


def _forecast(
    config: EvaluateConfig, comparison: Comparison, loaded: LoadedModel | None
) -> ComparisonForecast:
    images, truth = comparison.first(), comparison.truth()
    forecast, prediction = None, images[0]
    if loaded is not None:
        forecast, outputs = forecast_with(loaded, loaded.config, images)
        prediction = outputs[0]
    prediction, truth, channels = matched(config, prediction, truth)
    return ComparisonForecast(
        name=comparison.name,
        group=comparison.group,
        images=tuple(_place(image) for image in images),
        truth=_place(truth),
        channels=channels,
        memory=needed_bytes(truth),
        prediction=forecast,
    )


def _place(image: Image) -> str:
    """Return the file of an image, or its name where it has none."""
    return str(image.source) if image.source else image.name


def _files(config: EvaluateConfig, names: Sequence[str]) -> tuple[Path, ...]:
    """Return what would be written for images of these names."""
    folder = config.output
    if folder is None:
        return ()
    files = [folder / name for name in (*TABLES, CHARTS)]
    if config.keep_predictions and config.model:
        files += [kept_path(folder, name) for name in names]
    if config.error_maps:
        files += [error_map_path(folder, name) for name in names]
    return tuple(files)
