"""What an evaluation compares with what, and by what."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError
from napari_im2im.evaluation.comparing import file_stem
from napari_im2im.evaluation.scores import CHALLENGE_PERCENTILES
from napari_im2im.folders import check_writable
from napari_im2im.images.folders.pairing import pair_files
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.loaded import LoadedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from napari_im2im.evaluation.config import EvaluateConfig, Metrics

TABLES = ("metrics.csv", "summary.csv")
"""What an evaluation writes in any case, if it writes."""

CHARTS = "charts"
"""Folder of a chart for each metric."""

_METRICS_OF_TASK: dict[str, Metrics] = {
    "semantic": "masks",
    "instances": "objects",
    "embedding": "objects",
}


@dataclass(frozen=True)
class Comparison:
    """An image to compare; ``first`` is a prediction, or what a model is given."""

    name: str
    group: str
    first: Callable[[], list[Image]]
    truth: Callable[[], Image]


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


def opened_model(
    config: EvaluateConfig, trusted: Collection[str]
) -> LoadedModel | nullcontext[None]:
    """Return the model of an evaluation, loaded once for all its images."""
    if not config.model:
        return nullcontext()
    from napari_im2im.models.package import load_package

    job = PredictConfig(model=config.model, device=config.device)
    return LoadedModel(load_package(config.model), job, trusted)


def metrics_of(config: EvaluateConfig, loaded: LoadedModel | None) -> Metrics:
    """Return what to measure, which the model's task decides."""
    if config.metrics != "auto":
        return config.metrics
    task = loaded.package.config.get("task", {}) if loaded is not None else {}
    return _METRICS_OF_TASK.get(task.get("name", ""), "intensity")


def kept_path(folder: Path, name: str) -> Path:
    """Return where the prediction of an image is kept, by its name."""
    return folder / "per_image" / f"{file_stem(name)}.ome.tif"


def check_output(config: EvaluateConfig) -> None:
    """Refuse an output that can't be written, or holds results already.

    Raises
    ------
    ConfigError
        Naming it.
    """
    if config.output is None:
        return
    check_writable(config.output)
    if config.overwrite:
        return
    for name in TABLES:
        if (config.output / name).exists():
            raise ConfigError(
                f"{config.output / name} exists: overwrite replaces it, or choose "
                "another folder."
            )


def find_comparisons(
    config: EvaluateConfig,
    pairs: Sequence[tuple[Image | Sequence[Image], Image]] | None,
    inputs: int,
) -> list[Comparison]:
    """Return what is compared with what; no file is opened.

    Parameters
    ----------
    config, pairs
        As for `evaluate_events`.
    inputs
        Images that the model reads at once; 1 without a model.

    Raises
    ------
    ConfigError
        If nothing is named to compare, or not what the model reads.
    DataError
        If files don't pair.
    """
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
        Comparison(
            name,
            _group(config.group, truth),
            lambda paths=firsts: [open_image(p, axes=config.axes) for p in paths],  # type: ignore[misc]
            lambda path=truth: open_image(path, axes=config.truth_axes),  # type: ignore[misc]
        )
        for name, (firsts, truth) in zip(names, files, strict=True)
    ]


def _in_memory(number: int, first: Image | Sequence[Image], truth: Image) -> Comparison:
    images = [first] if isinstance(first, Image) else list(first)
    return Comparison(f"{number} {images[0].name}", "", lambda: images, lambda: truth)


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
