"""Prediction as a Python function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_im2im.api.arrays import Axes, ImageSource, like, listed, to_image
from napari_im2im.api.jobs import make_config, run_job
from napari_im2im.api.models import load_model
from napari_im2im.errors import ModelError
from napari_im2im.events import PredictionFinished
from napari_im2im.inference.config import PredictConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence
    from pathlib import Path

    from napari_im2im.api.jobs import Watcher
    from napari_im2im.events import Event
    from napari_im2im.images.image import Image
    from napari_im2im.models.package import ModelPackage


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


def _one(source: ImageSource, axes: Axes | None, number: int) -> Image:
    return to_image(source, axes, f"image {number}")
