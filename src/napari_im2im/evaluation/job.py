"""An evaluation as a generator of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError, Im2ImError
from napari_im2im.evaluation.comparing import compare
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
from napari_im2im.evaluation.plots import draw_scores
from napari_im2im.evaluation.report import (
    ImageScores,
    Summary,
    summarize,
    write_table,
)
from napari_im2im.events import (
    Event,
    Message,
    PredictionFinished,
    Progress,
    TileDone,
)
from napari_im2im.images.atomic import replaced_when_done
from napari_im2im.images.writing import save_image
from napari_im2im.inference.prediction import predict_events

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence
    from pathlib import Path

    from napari_im2im.evaluation.config import EvaluateConfig, Metrics
    from napari_im2im.evaluation.planning import Comparison
    from napari_im2im.images.image import Image
    from napari_im2im.inference.loaded import LoadedModel


@dataclass(frozen=True)
class ImageScored(Event):
    """An image is compared; one item for each of its channels or classes."""

    scores: tuple[ImageScores, ...]


@dataclass(frozen=True)
class ImageFailed(Event):
    """An image can't be compared, for a reason in one sentence."""

    image: str
    reason: str


@dataclass(frozen=True)
class EvaluationFinished(Event):
    """All images are compared.

    ``files`` are the tables, charts and images that were written, ``normalization``
    says in a sentence what was done to the pixels first.
    """

    scores: tuple[ImageScores, ...]
    summaries: tuple[Summary, ...]
    failed: tuple[ImageFailed, ...]
    normalization: str
    files: tuple[Path, ...] = ()


@dataclass
class _Results:
    scores: list[ImageScores] = field(default_factory=list)
    failed: list[ImageFailed] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def evaluate_events(
    config: EvaluateConfig,
    pairs: Sequence[tuple[Image | Sequence[Image], Image]] | None = None,
    *,
    trusted: Collection[str] = (),
) -> Generator[Event]:
    """Compare predictions with the truth; closing the generator stops it.

    Parameters
    ----------
    config
        What to compare, and how.
    pairs
        Predictions (with a model: its input, or inputs) and truths; default: the
        files of ``config``, paired by their names.
    trusted
        sha256 of the code of the model that may run.

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
    ModelError
        If the model can't be loaded.
    """
    check_output(config)
    with opened_model(config, trusted) as loaded:
        inputs = len(loaded.package.inputs) if loaded is not None else 1
        comparisons = find_comparisons(config, pairs, inputs)
        metrics = metrics_of(config, loaded)
        results = _Results()
        for number, comparison in enumerate(comparisons):
            yield Progress(number, len(comparisons), comparison.name)
            try:
                yield from _evaluate(config, metrics, comparison, loaded, results)
            except Im2ImError as error:
                results.failed.append(ImageFailed(comparison.name, str(error)))
                yield results.failed[-1]
    yield Progress(len(comparisons), len(comparisons), "")
    if not results.scores:
        raise DataError(f"Nothing could be compared: {results.failed[0].reason}")
    summaries = summarize(results.scores)
    if config.output is not None:
        results.files += _write(config.output, results.scores, summaries)
    yield EvaluationFinished(
        tuple(results.scores),
        tuple(summaries),
        tuple(results.failed),
        describe_normalization(config, metrics),
        tuple(results.files),
    )


def _evaluate(
    config: EvaluateConfig,
    metrics: Metrics,
    comparison: Comparison,
    loaded: LoadedModel | None,
    results: _Results,
) -> Generator[Event]:
    """Predict an image, if there is a model, and compare it."""
    name, images = comparison.name, comparison.first()
    prediction = images[0]
    if loaded is not None:
        prediction = yield from _predicted(name, images, loaded)
    if loaded is not None and config.keep_predictions and config.output is not None:
        path = kept_path(config.output, name)
        results.files.append(save_image(prediction, path, overwrite=config.overwrite))
    compared = yield from compare(
        config, metrics, name, comparison.group, prediction, comparison.truth()
    )
    results.files += [compared.error_map] if compared.error_map else []
    results.scores += compared.scores
    yield ImageScored(tuple(compared.scores))


def _predicted(
    name: str, images: Sequence[Image], loaded: LoadedModel
) -> Generator[Event, None, Image]:
    """Apply the model, and return its first output in memory."""
    for event in predict_events(loaded.config, images, loaded=loaded):
        if isinstance(event, TileDone):
            yield Progress(event.index, event.total, f"predicting {name}")
        elif isinstance(event, Message | Progress):
            yield event
        elif isinstance(event, PredictionFinished):
            return event.outputs[0]
    raise DataError(f"The prediction of {name} ended unfinished.")


def _write(
    folder: Path, scores: Sequence[ImageScores], summaries: Sequence[Summary]
) -> list[Path]:
    """Write the tables and charts of an evaluation."""
    rows = [each.row() for each in scores], [each.row() for each in summaries]
    files = [
        write_table(folder / name, table)
        for name, table in zip(TABLES, rows, strict=True)
    ]
    for metric, chart in draw_scores(scores).items():
        path = folder / CHARTS / f"{metric.replace(' ', '-')}.png"
        with replaced_when_done(path, overwrite=True) as temporary:
            temporary.write_bytes(chart)
        files.append(path)
    return files
