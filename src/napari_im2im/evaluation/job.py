"""An evaluation as a generator of events."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError, DataError, Im2ImError
from napari_im2im.evaluation.comparing import compare, file_stem
from napari_im2im.evaluation.plots import draw_scores
from napari_im2im.evaluation.report import (
    ImageScores,
    Summary,
    summarize,
    write_table,
)
from napari_im2im.evaluation.scores import CHALLENGE_PERCENTILES
from napari_im2im.events import (
    Event,
    Message,
    PredictionFinished,
    Progress,
    TileDone,
)
from napari_im2im.folders import check_writable
from napari_im2im.images.atomic import replaced_when_done
from napari_im2im.images.folders.pairing import pair_files
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.images.writing import save_image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.loaded import LoadedModel
from napari_im2im.inference.prediction import predict_events

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Sequence
    from pathlib import Path

    from napari_im2im.evaluation.config import EvaluateConfig, Metrics

_METRICS_OF_TASK: dict[str, Metrics] = {
    "semantic": "masks",
    "instances": "objects",
    "embedding": "objects",
}


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


@dataclass(frozen=True)
class _Comparison:
    """An image to compare; ``first`` is a prediction, or what a model is given."""

    name: str
    group: str
    first: Callable[[], list[Image]]
    truth: Callable[[], Image]


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
    _check_output(config)
    with _loaded(config, trusted) as loaded:
        inputs = len(loaded.package.inputs) if loaded is not None else 1
        comparisons = _comparisons(config, pairs, inputs)
        metrics = _metrics(config, loaded)
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


def describe_normalization(
    config: EvaluateConfig, metrics: Metrics = "intensity"
) -> str:
    """Return what is done to the pixels before they are compared."""
    if metrics != "intensity":
        return f"Labels are compared as they are, as {metrics}."
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


def _loaded(
    config: EvaluateConfig, trusted: Collection[str]
) -> LoadedModel | nullcontext[None]:
    """Return the model of an evaluation, loaded once for all its images."""
    if not config.model:
        return nullcontext()
    from napari_im2im.models.package import load_package

    job = PredictConfig(model=config.model, device=config.device)
    return LoadedModel(load_package(config.model), job, trusted)


def _metrics(config: EvaluateConfig, loaded: LoadedModel | None) -> Metrics:
    """Return what to measure, which the model's task decides."""
    if config.metrics != "auto":
        return config.metrics
    task = loaded.package.config.get("task", {}) if loaded is not None else {}
    return _METRICS_OF_TASK.get(task.get("name", ""), "intensity")


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
    config: EvaluateConfig,
    pairs: Sequence[tuple[Image | Sequence[Image], Image]] | None,
    inputs: int,
) -> list[_Comparison]:
    if pairs is not None:
        return [
            _in_memory(number, first, truth)
            for number, (first, truth) in enumerate(pairs, start=1)
        ]
    named = config.inputs if config.model else config.predictions
    if not named or not config.truth:
        raise ConfigError(
            "Name the truth and either predictions, or a model and its inputs, to "
            "compare with it."
        )
    files = _paired(named, config.truth, inputs)
    names = _names([firsts[0] for firsts, _ in files])
    return [
        _Comparison(
            name,
            _group(config.group, truth),
            lambda paths=firsts: [open_image(p, axes=config.axes) for p in paths],  # type: ignore[misc]
            lambda path=truth: open_image(path, axes=config.truth_axes),  # type: ignore[misc]
        )
        for name, (firsts, truth) in zip(names, files, strict=True)
    ]


def _in_memory(
    number: int, first: Image | Sequence[Image], truth: Image
) -> _Comparison:
    images = [first] if isinstance(first, Image) else list(first)
    return _Comparison(f"{number} {images[0].name}", "", lambda: images, lambda: truth)


def _paired(
    named: Sequence[str], truth: Sequence[str], inputs: int
) -> list[tuple[list[Path], Path]]:
    """Pair files with the truth; for a model of several inputs a pattern for each."""
    if inputs == 1:
        return [([first], second) for first, second in pair_files(named, truth)]
    if len(named) != inputs:
        raise ConfigError(
            f"This model reads {inputs} images at once: name {inputs} inputs, not "
            f"{len(named)}."
        )
    columns = [
        {second: first for first, second in pair_files([pattern], truth)}
        for pattern in named
    ]
    return [([column[path] for column in columns], path) for path in columns[0]]


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


def _evaluate(
    config: EvaluateConfig,
    metrics: Metrics,
    comparison: _Comparison,
    loaded: LoadedModel | None,
    results: _Results,
) -> Generator[Event]:
    """Predict an image, if there is a model, and compare it."""
    name, images = comparison.name, comparison.first()
    prediction = images[0]
    if loaded is not None:
        prediction = yield from _predicted(name, images, loaded)
    if loaded is not None and config.keep_predictions and config.output is not None:
        path = config.output / "per_image" / f"{file_stem(name)}.ome.tif"
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
    tables = {
        "metrics.csv": [each.row() for each in scores],
        "summary.csv": [each.row() for each in summaries],
    }
    files = [write_table(folder / name, rows) for name, rows in tables.items()]
    for metric, chart in draw_scores(scores).items():
        path = folder / "charts" / f"{metric.replace(' ', '-')}.png"
        with replaced_when_done(path, overwrite=True) as temporary:
            temporary.write_bytes(chart)
        files.append(path)
    return files
