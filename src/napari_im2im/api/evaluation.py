"""Evaluation as a Python function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_im2im.api.arrays import Axes, ImageSource, is_file, listed
from napari_im2im.api.jobs import axis_letters, image_pairs, make_config, run_job
from napari_im2im.api.models import find_model
from napari_im2im.errors import DataError
from napari_im2im.evaluation.config import EvaluateConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from napari_im2im.api.jobs import Watcher
    from napari_im2im.evaluation.job import EvaluationFinished
    from napari_im2im.models.package import ModelPackage


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
    values = {
        **axis_letters("axes", axes),
        **axis_letters("truth_axes", truth_axes),
        **options,
    }
    if model is not None:
        values["model"] = str(find_model(model))
    pairs = None
    if all(is_file(each) for side in sides for each in side):
        values["predictions" if model is None else "inputs"] = [*map(str, sides[0])]
        values["truth"] = [*map(str, sides[1])]
    else:
        pairs = image_pairs(sides, (axes, truth_axes), ("images", "truths"))
    config = make_config(EvaluateConfig, values)
    from napari_im2im.evaluation.job import EvaluationFinished, evaluate_events

    events = evaluate_events(config, pairs, trusted=trusted)
    last = run_job(events, on_event, "Evaluating", progress)
    if not isinstance(last, EvaluationFinished):
        raise DataError("The evaluation ended unfinished.")
    return last
