"""Training, predicting and evaluating as Python functions."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, TypeVar

from napari_im2im.api.arrays import (
    Axes,
    ImageSource,
    is_file,
    like,
    listed,
    to_image,
)
from napari_im2im.api.models import find_model, load_model
from napari_im2im.api.progress import in_notebook, with_bar
from napari_im2im.errors import ConfigError, DataError, ModelError
from napari_im2im.evaluation.config import EvaluateConfig
from napari_im2im.events import Event, PredictionFinished, TrainingFinished
from napari_im2im.inference.config import PredictConfig
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping
    from pathlib import Path

    from napari_im2im.evaluation.job import EvaluationFinished
    from napari_im2im.images.image import Image
    from napari_im2im.models.package import ModelPackage

_Config = TypeVar("_Config", TrainConfig, PredictConfig, EvaluateConfig)

Watcher = Callable[[Event], object]
"""What is told about each event of a running job."""


def train(
    inputs: ImageSource | Sequence[ImageSource] = (),
    targets: ImageSource | Sequence[ImageSource] = (),
    *,
    preset: str | None = None,
    input_axes: Axes | None = None,
    target_axes: Axes | None = None,
    on_event: Watcher | None = None,
    progress: bool | None = None,
    trusted: Collection[str] = (),
    **options: Any,
) -> ModelPackage:
    """Train a model that turns inputs into targets.

    Parameters
    ----------
    inputs, targets
        One image or several, as many on both sides: arrays of numpy, dask or xarray,
        an `Image`, or files and glob patterns. Without targets the task must be one
        that learns from inputs alone. The task ``"unpaired"`` takes any numbers.
    preset
        Recipe that fills in what isn't said; ``napari-im2im presets`` lists them.
    input_axes, target_axes
        Axes of arrays, and of files that don't name theirs, e.g. ``"cyx"``.
        A two-dimensional array is ``"yx"`` unless something else is said; a
        DataArray of xarray brings its own.
    on_event
        Called with each event of the training (see `napari_im2im.events`).
    progress
        Whether to show a bar; default: in notebooks.
    trusted
        SHA-256 of the code of the model to start from that may run.
    **options
        Any field of `TrainConfig`, e.g. ``name="dna"``, ``effort={"seconds": 60}``,
        ``network={"name": "UNet"}``.

    Returns
    -------
    ModelPackage
        The package of the best step.

    Raises
    ------
    ConfigError
        If an option is unknown or can't be used.
    DataError
        If the images don't make a training set.

    Examples
    --------
    >>> model = train(phase, dna, effort={"seconds": 60})  # doctest: +SKIP
    """
    from napari_im2im.models.package import load_package

    events = train_events(
        inputs,
        targets,
        preset=preset,
        input_axes=input_axes,
        target_axes=target_axes,
        trusted=trusted,
        **options,
    )
    last = run_job(events, on_event, "Training", progress)
    if not isinstance(last, TrainingFinished):
        raise ModelError("The training ended before it had a model.")
    return load_package(last.package)


def train_events(
    inputs: ImageSource | Sequence[ImageSource] = (),
    targets: ImageSource | Sequence[ImageSource] = (),
    *,
    preset: str | None = None,
    input_axes: Axes | None = None,
    target_axes: Axes | None = None,
    trusted: Collection[str] = (),
    **options: Any,
) -> Generator[Event]:
    """Return a training to loop over; see `train` for the parameters.

    It runs while it is looped over, and stops when the loop is left: what was
    learned until then is kept, and ``resume=run_folder`` goes on from there.

    Examples
    --------
    >>> for event in train_events(phase, dna):  # doctest: +SKIP
    ...     if isinstance(event, MetricsLogged):
    ...         print(event.step, event.values)
    """
    data: dict[str, Any] = {**options.pop("data", {})}
    data |= _letters("input_axes", input_axes) | _letters("target_axes", target_axes)
    sides = listed(inputs), listed(targets)
    files = all(is_file(each) for side in sides for each in side)
    if files:
        names = ("inputs", "targets")
        data |= {
            name: [str(each) for each in side]
            for name, side in zip(names, sides, strict=True)
            if side
        }
    values = {**options, "data": data}
    if values.get("start_from") is not None:
        values["start_from"] = find_model(values["start_from"])
    if preset is not None:
        from napari_im2im.training.presets import with_preset

        values = with_preset(preset, values)
    config = make_config(TrainConfig, values)
    pairs = None
    if not files:
        # What learns from inputs alone is its own target.
        both = (sides[0], sides[1] or sides[0])
        make = _any_pairs if config.task == "unpaired" else _pairs
        pairs = make(both, (input_axes, target_axes), ("inputs", "targets"))
    from napari_im2im.evaluation.trained import train_and_test_events

    return train_and_test_events(config, pairs, trusted=trusted)


def predict(
    model: ModelPackage | str | Path,
    image: ImageSource | Sequence[ImageSource],
    axes: Axes | None = None,
    *,
    on_event: Watcher | None = None,
    progress: bool | None = None,
    trusted: Collection[str] = (),
    **options: Any,
) -> Any:
    """Apply a model to an image of any size.

    Parameters
    ----------
    model
        A package, its path, or the name of a model on this computer.
    image
        The image: an array of numpy, dask or xarray, an `Image`, or a file; for a
        model with several inputs, one image for each.
    axes
        Axes of an array, and of a file that doesn't name its own, e.g. ``"tczyx"``.
        A two-dimensional array is ``"yx"`` unless something else is said; a
        DataArray of xarray brings its own.
    on_event
        Called with each event of the prediction (see `napari_im2im.events`).
    progress
        Whether to show a bar; default: in notebooks.
    trusted
        SHA-256 of the code of models that may run it.
    **options
        Any field of `PredictConfig`, e.g. ``tile={"y": 512, "x": 512}``.

    Returns
    -------
    np.ndarray or xarray.DataArray
        The first output in its own units, as the kind of array that was given, axes
        in the order of the image. Axes that the image doesn't have come first, and
        are left out where their size is 1: ``(y, x)`` in gives ``(y, x)`` out, or
        ``(c, y, x)`` for a model that writes several channels.

    Raises
    ------
    ConfigError
        If an option is unknown or can't be used.
    ModelError
        If the model can't be read or run.
    ImageError
        If the image doesn't suit the model.

    Examples
    --------
    >>> dna = predict("phase-to-dna", phase)  # doctest: +SKIP
    """
    sources = listed(image)
    images = [_one(each, axes, number) for number, each in enumerate(sources, start=1)]
    events = predict_events(model, images, trusted=trusted, **options)
    last = run_job(events, on_event, "Predicting", progress)
    if not isinstance(last, PredictionFinished):
        raise ModelError("The prediction ended unfinished.")
    return like(sources[0], images[0], last.outputs[0])


def predict_events(
    model: ModelPackage | str | Path,
    image: ImageSource | Sequence[ImageSource],
    axes: Axes | None = None,
    *,
    trusted: Collection[str] = (),
    **options: Any,
) -> Generator[Event]:
    """Return a prediction to loop over; see `predict` for the parameters.

    ``PredictionStarted.outputs`` can be looked at while they fill.
    """
    package = load_model(model)
    images = [_one(each, axes, n) for n, each in enumerate(listed(image), start=1)]
    files = [str(image.source) for image in images if image.source is not None]
    named = {"inputs": files} if len(files) == len(images) else {}
    values = {"model": str(package.path), **named, **options}
    config = make_config(PredictConfig, values)
    from napari_im2im.inference.prediction import predict_events as events

    return events(config, images, trusted=trusted)


def evaluate(
    images: ImageSource | Sequence[ImageSource],
    truth: ImageSource | Sequence[ImageSource],
    *,
    model: ModelPackage | str | Path | None = None,
    axes: Axes | None = None,
    truth_axes: Axes | None = None,
    on_event: Watcher | None = None,
    progress: bool | None = None,
    trusted: Collection[str] = (),
    **options: Any,
) -> EvaluationFinished:
    """Compare predictions, or what a model makes of images, with the truth.

    Parameters
    ----------
    images
        The predictions; with a model, what it is applied to. For a model with
        several inputs, a tuple of images for each truth.
    truth
        As many images; where all are files (or glob patterns), they pair by name.
    model
        A package, its path, or the name of a model on this computer.
    axes, truth_axes
        Axes of arrays, and of files that don't name theirs, e.g. ``"cyx"``.
        A two-dimensional array is ``"yx"`` unless something else is said.
    on_event
        Called with each event (see `napari_im2im.events`).
    progress
        Whether to show a bar; default: in notebooks.
    trusted
        SHA-256 of the code of the model that may run.
    **options
        Any field of `EvaluateConfig`, e.g. ``normalization="percentiles"``.

    Returns
    -------
    EvaluationFinished
        ``scores`` for each image and channel (PSNR, SSIM, MS-SSIM, PCC, MAE; for
        labels Dice and IoU, or average precision and F1), ``summaries`` with means
        and standard deviations, ``failed`` images.

    Raises
    ------
    ConfigError
        If an option is unknown or can't be used.
    DataError
        If images and truth don't pair, or none could be compared.

    Examples
    --------
    >>> evaluate(prediction, dna).summaries[0].mean["pcc"]  # doctest: +SKIP
    """
    sides = listed(images), listed(truth)
    values = {**_letters("axes", axes), **_letters("truth_axes", truth_axes), **options}
    if model is not None:
        values["model"] = str(find_model(model))
    pairs = None
    if all(is_file(each) for side in sides for each in side):
        values["predictions" if model is None else "inputs"] = [*map(str, sides[0])]
        values["truth"] = [*map(str, sides[1])]
    else:
        pairs = _pairs(sides, (axes, truth_axes), ("images", "truths"))
    config = make_config(EvaluateConfig, values)
    from napari_im2im.evaluation.job import EvaluationFinished, evaluate_events

    events = evaluate_events(config, pairs, trusted=trusted)
    last = run_job(events, on_event, "Evaluating", progress)
    if not isinstance(last, EvaluationFinished):
        raise DataError("The evaluation ended unfinished.")
    return last


def run_job(
    events: Generator[Event],
    on_event: Watcher | None,
    activity: str,
    progress: bool | None,
) -> Event | None:
    """Run a job to its end, or close it where ``on_event`` raises.

    Returns its last event; ``progress`` is whether to show a bar, None in notebooks.
    """
    if in_notebook() if progress is None else progress:
        events = with_bar(events, activity)
    last = None
    try:
        for last in events:
            if on_event is not None:
                on_event(last)
    finally:
        events.close()
    return last


def _letters(key: str, axes: Axes | None) -> dict[str, str]:
    """Return axes as the configurations have them."""
    if axes is None:
        return {}
    return {key: axes if isinstance(axes, str) else "".join(a[0] for a in axes)}


def _one(source: ImageSource, axes: Axes | None, number: int) -> Image:
    return to_image(source, axes, f"image {number}")


def _pairs(
    sides: tuple[Sequence[ImageSource], Sequence[ImageSource]],
    axes: tuple[Axes | None, Axes | None],
    names: tuple[str, str],
) -> list[Any]:
    """Return pairs of images; the first of a pair may be several."""
    counts = [len(side) for side in sides]
    one, other = (name.removesuffix("s") for name in names)
    if counts[0] != counts[1]:
        raise DataError(
            f"There are {counts[0]} {names[0]} and {counts[1]} {names[1]}: each {one} "
            f"needs its {other}."
        )
    pairs = []
    for number, (first, second) in enumerate(zip(*sides, strict=True), start=1):
        images = [to_image(each, axes[0], f"{one} {number}") for each in listed(first)]
        truth = to_image(second, axes[1], f"{other} {number}")
        pairs.append((images[0] if len(images) == 1 else images, truth))
    return pairs


def _any_pairs(
    sides: tuple[Sequence[ImageSource], Sequence[ImageSource]],
    axes: tuple[Axes | None, Axes | None],
    names: tuple[str, str],
) -> list[Any]:
    """Return all images of both sides, those of the smaller one repeated."""
    images = [
        [
            to_image(each, letters, f"{name.removesuffix('s')} {number}")
            for number, each in enumerate(side, start=1)
        ]
        for side, letters, name in zip(sides, axes, names, strict=True)
    ]
    count = max(map(len, images))
    return [*zip(*(islice(cycle(side), count) for side in images), strict=True)]


def make_config(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Return a configuration; what is wrong with it becomes a sentence."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        close = difflib.get_close_matches(key, kind.model_fields, n=1)
        hint = f" Did you mean {close[0]}?" if close and close[0] != key else ""
        raise ConfigError(f"{kind.__name__}.{key}: {first['msg']}.{hint}") from error
