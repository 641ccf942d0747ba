"""Train, predict and evaluate from Python and notebooks.

The same configurations and the same jobs as in the docks and on the command
line; here a job runs to its end and returns its result.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_im2im.errors import ConfigError, DataError, ModelError
from napari_im2im.evaluation.config import EvaluateConfig
from napari_im2im.events import Event, PredictionFinished, TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping

    from napari_im2im.evaluation.job import EvaluationFinished
    from napari_im2im.models.package import ModelPackage

ImageSource = np.ndarray | Image | str | Path
"""An image: an array, an `Image`, or the file that holds one."""

_Config = TypeVar("_Config", TrainConfig, PredictConfig, EvaluateConfig)

Watcher = Callable[[Event], object]
"""What is told about each event of a running job."""


def train(
    inputs: ImageSource | Sequence[ImageSource],
    targets: ImageSource | Sequence[ImageSource],
    *,
    input_axes: str | None = None,
    target_axes: str | None = None,
    on_event: Watcher | None = None,
    trusted: Collection[str] = (),
    **options: Any,
) -> ModelPackage:
    """Train a model that turns inputs into targets.

    Parameters
    ----------
    inputs, targets
        One image or several, as many on both sides; files may be glob patterns.
    input_axes, target_axes
        Axes of arrays, and of files that don't name theirs, e.g. ``"cyx"``.
        A two-dimensional array is ``"yx"`` unless something else is said.
    on_event
        Called with each event of the training (see `napari_im2im.events`).
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
    >>> model = train(phase, dna, input_axes="yx", effort={"seconds": 60})  # doctest: +SKIP
    """  # noqa: E501
    data = {
        **options.pop("data", {}),
        "input_axes": input_axes,
        "target_axes": target_axes,
    }
    input_list, target_list = _listed(inputs), _listed(targets)
    pairs = None
    if all(isinstance(each, str | Path) for each in (*input_list, *target_list)):
        data["inputs"] = [str(each) for each in input_list]
        data["targets"] = [str(each) for each in target_list]
    else:
        axes = input_axes, target_axes
        pairs = _pairs((input_list, target_list), axes, ("inputs", "targets"))
    config = _config(TrainConfig, {**options, "data": data})
    from napari_im2im.models.package import load_package
    from napari_im2im.training.loop import train_events

    last = _run(train_events(config, pairs, trusted=trusted), on_event)
    if not isinstance(last, TrainingFinished):
        raise ModelError(f"The training {config.name} ended before it had a model.")
    return load_package(last.package)


def predict(
    model: ModelPackage | str | Path,
    image: ImageSource | Sequence[ImageSource],
    axes: str | None = None,
    *,
    on_event: Watcher | None = None,
    trusted: Collection[str] = (),
    **options: Any,
) -> np.ndarray:
    """Apply a model to an image of any size.

    Parameters
    ----------
    model
        A package, its path, or the name of a model on this computer.
    image
        The image; for a model with several inputs, one image for each.
    axes
        Axes of an array, and of a file that doesn't name its own, e.g. ``"tczyx"``.
        A two-dimensional array is ``"yx"`` unless something else is said.
    on_event
        Called with each event of the prediction (see `napari_im2im.events`).
    trusted
        SHA-256 of the code of models that may run it.
    **options
        Any field of `PredictConfig`, e.g. ``tile={"y": 512, "x": 512}``.

    Returns
    -------
    np.ndarray
        The first output in its own units, axes in the order of the image. Axes
        that the image doesn't have come first, and are left out where their size
        is 1: ``(y, x)`` in gives ``(y, x)`` out, or ``(c, y, x)`` for a model
        that writes several channels.

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
    package = load_model(model)
    images = [
        _image(each, axes, f"image {number}")
        for number, each in enumerate(_listed(image), start=1)
    ]
    config = _config(PredictConfig, {"model": str(package.path), **options})
    from napari_im2im.inference.prediction import predict_events

    last = _run(predict_events(config, images, trusted=trusted), on_event)
    if not isinstance(last, PredictionFinished):
        raise ModelError(f"The prediction with {package.name} ended unfinished.")
    return _in_order_of(images[0], last.outputs[0])


def evaluate(
    images: ImageSource | Sequence[ImageSource],
    truth: ImageSource | Sequence[ImageSource],
    *,
    model: ModelPackage | str | Path | None = None,
    axes: str | None = None,
    truth_axes: str | None = None,
    on_event: Watcher | None = None,
    **options: Any,
) -> EvaluationFinished:
    """Compare predictions, or what a model makes of images, with the truth.

    Parameters
    ----------
    images
        The predictions; with a model, what it is applied to.
    truth
        As many images; where all are files (or glob patterns), they pair by name.
    model
        A package, its path, or the name of a model on this computer.
    axes, truth_axes
        Axes of arrays, and of files that don't name theirs, e.g. ``"cyx"``.
        A two-dimensional array is ``"yx"`` unless something else is said.
    on_event
        Called with each event (see `napari_im2im.events`).
    **options
        Any field of `EvaluateConfig`, e.g. ``normalization="percentiles"``.

    Returns
    -------
    EvaluationFinished
        ``scores`` for each image and channel (PSNR, SSIM, MS-SSIM, PCC, MAE),
        ``summaries`` with means and standard deviations, ``failed`` images.

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
    sides = _listed(images), _listed(truth)
    values: dict[str, Any] = {"axes": axes, "truth_axes": truth_axes, **options}
    if model is not None:
        values["model"] = str(load_model(model).path)
    pairs = None
    if all(isinstance(each, str | Path) for side in sides for each in side):
        values["predictions" if model is None else "inputs"] = [*map(str, sides[0])]
        values["truth"] = [*map(str, sides[1])]
    else:
        pairs = _pairs(sides, (axes, truth_axes), ("images", "truths"))
    config = _config(EvaluateConfig, values)
    from napari_im2im.evaluation.job import EvaluationFinished, evaluate_events

    last = _run(evaluate_events(config, pairs), on_event)
    if not isinstance(last, EvaluationFinished):
        raise DataError("The evaluation ended unfinished.")
    return last


def load_model(source: ModelPackage | str | Path) -> ModelPackage:
    """Return a model package.

    Parameters
    ----------
    source
        A folder, a zip, the description in it (``rdf.yaml``), the name of a model
        on this computer, or the nickname of one that was downloaded. A package is
        returned as it is.

    Raises
    ------
    ModelError
        If there is no such model, or it can't be read.
    """
    from napari_im2im.models.package import ModelPackage, load_package

    if isinstance(source, ModelPackage):
        return source
    if Path(source).exists():
        return load_package(source)
    from napari_im2im.models.library import list_models
    from napari_im2im.zoo.installed import find_installed

    downloaded = find_installed(str(source))
    if downloaded is not None:
        return load_package(downloaded.folder)
    # Newest first: where two have one name, the newest is meant.
    entries = {entry.name: entry for entry in reversed(list_models())}
    if str(source) in entries:
        return load_package(entries[str(source)].path)
    close = difflib.get_close_matches(str(source), entries, n=1)
    raise ModelError(
        f"There is no file and no model named {source}"
        + (f"; did you mean {close[0]}?" if close else ".")
        + " 'napari-im2im models' lists the models on this computer."
    )


def _run(events: Generator[Event], on_event: Watcher | None) -> Event | None:
    """Run a job to its end, or close it where ``on_event`` raises."""
    last = None
    try:
        for last in events:
            if on_event is not None:
                on_event(last)
    finally:
        events.close()
    return last


def _listed(images: ImageSource | Sequence[ImageSource]) -> list[ImageSource]:
    if isinstance(images, list | tuple):
        return list(images)
    return [images]  # type: ignore[list-item]


def _pairs(
    sides: tuple[Sequence[ImageSource], Sequence[ImageSource]],
    axes: tuple[str | None, str | None],
    names: tuple[str, str],
) -> list[tuple[Image, Image]]:
    counts = [len(side) for side in sides]
    one, other = (name.removesuffix("s") for name in names)
    if counts[0] != counts[1]:
        raise DataError(
            f"There are {counts[0]} {names[0]} and {counts[1]} {names[1]}: each {one} "
            f"needs its {other}."
        )
    return [
        (
            _image(first, axes[0], f"{one} {number}"),
            _image(second, axes[1], f"{other} {number}"),
        )
        for number, (first, second) in enumerate(zip(*sides, strict=True), start=1)
    ]


def _image(source: ImageSource, axes: str | None, name: str) -> Image:
    if isinstance(source, Image):
        return source
    if isinstance(source, str | Path):
        from napari_im2im.images.reading import open_image

        return open_image(source, axes=axes)
    pixels = np.asarray(source)
    if axes is None:
        if pixels.ndim != 2:
            raise DataError(
                f"The array {name} has {pixels.ndim} dimensions {pixels.shape}: name "
                "its axes with the letters t, c, z, y, x, e.g. 'cyx' or 'zyx'."
            )
        axes = "yx"
    return Image(data=pixels, axes=tuple(axes), name=name)


def _config(kind: type[_Config], values: Mapping[str, Any]) -> _Config:
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        close = difflib.get_close_matches(key, kind.model_fields, n=1)
        hint = f" Did you mean {close[0]}?" if close and close[0] != key else ""
        raise ConfigError(f"{kind.__name__}.{key}: {first['msg']}.{hint}") from error


def _in_order_of(image: Image, output: Image) -> np.ndarray:
    """Return an output's pixels with the axes of the image that it came from."""
    shared = [axis for axis in image.axes if axis in output.axes]
    further = [axis for axis in output.axes if axis not in shared]
    pixels = output.read(axes=[*further, *shared])
    single = tuple(n for n, axis in enumerate(further) if output.sizes[axis] == 1)
    return pixels.squeeze(single)
