"""Training as a Python function."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_im2im.api.arrays import Axes, ImageSource, is_file, listed, to_image
from napari_im2im.api.jobs import axis_letters, image_pairs, make_config, run_job
from napari_im2im.api.models import find_model
from napari_im2im.errors import ModelError
from napari_im2im.events import TrainingFinished
from napari_im2im.folders import find_run
from napari_im2im.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from napari_im2im.api.jobs import Watcher
    from napari_im2im.events import Event
    from napari_im2im.models.package import ModelPackage


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
    learned until then is kept, and ``resume=run`` goes on from there.

    Examples
    --------
    >>> for event in train_events(phase, dna):  # doctest: +SKIP
    ...     if isinstance(event, MetricsLogged):
    ...         print(event.step, event.values)
    """
    data: dict[str, Any] = {**options.pop("data", {})}
    data |= axis_letters("input_axes", input_axes) | axis_letters(
        "target_axes", target_axes
    )
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
    if values.get("resume") is not None:
        values["resume"] = find_run(Path(values["resume"]))
    if preset is not None:
        from napari_im2im.training.presets import with_preset

        values = with_preset(preset, values)
    config = make_config(TrainConfig, values)
    pairs = None
    if not files:
        # What learns from inputs alone is its own target.
        both = (sides[0], sides[1] or sides[0])
        make = _any_pairs if config.task == "unpaired" else image_pairs
        pairs = make(both, (input_axes, target_axes), ("inputs", "targets"))
    from napari_im2im.evaluation.trained import train_and_test_events

    return train_and_test_events(config, pairs, trusted=trusted)


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
