"""Predicting many images with one model, which is loaded once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError, Im2ImError
from napari_im2im.events import (
    Event,
    FileDone,
    FileFailed,
    FilesFinished,
    FileStarted,
)
from napari_im2im.folders import check_writable
from napari_im2im.images import open_image
from napari_im2im.images.folders.collections import copy_structure
from napari_im2im.inference.clusters.distributed import DistributedTiles
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.loaded import LoadedModel
from napari_im2im.inference.prediction import predict_events
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from distributed import Client

    from napari_im2im.inference.file_tasks import PredictionTask
    from napari_im2im.inference.prediction import Tiles
    from napari_im2im.models.package import ModelPackage

_SURVEYED = 200
"""Files that are opened to estimate what all results will take of the disk."""


def predict_files_events(
    config: PredictConfig,
    tasks: Sequence[PredictionTask],
    package: ModelPackage,
    *,
    trusted: Collection[str] = (),
    client: Client | None = None,
) -> Generator[Event]:
    """Predict one image after the other; closing the generator stops it.

    Parameters
    ----------
    config
        How; its model, inputs and output are those of ``package`` and each task.
        With ``resume``, results that are complete are skipped and unfinished ones
        continued.
    tasks
        What to read and where to write, see `plan_predictions`.
    package
        The model.
    trusted
        sha256 of the code that the user agreed to run.
    client
        Connection to a cluster whose workers compute the tiles of each image;
        default: this process.

    Yields
    ------
    Event
        For each image `FileStarted`, the events of `predict_events` and `FileDone`
        or `FileFailed`, at last `FilesFinished`.

    Raises
    ------
    ConfigError
        If a result exists and neither ``resume`` nor ``overwrite`` is set, or
        there is no permission or space for them; before the first image.
    ModelError
        If the model can't be loaded.
    Im2ImError
        If there is one image only, and it can't be predicted.
    """
    check_tasks(config, tasks, package)
    failed: list[FileFailed] = []
    done = skipped = 0
    with LoadedModel(package, config, trusted) as loaded:
        tiles = DistributedTiles(client, loaded, trusted) if client else None
        for number, task in enumerate(tasks, start=1):
            yield FileStarted(task.inputs[0], task.results[0], number, len(tasks))
            if config.resume and task.complete:
                skipped += 1
                yield FileDone(task.results[0], 0.0, skipped=True)
                continue
            loaded.runtime()  # A model that can't run fails once, not once a file.
            started = time.perf_counter()
            try:
                yield from predict_task(config, task, loaded, tiles)
            except (Im2ImError, OSError, RuntimeError, ValueError) as error:
                if len(tasks) == 1:
                    raise
                failed.append(failure(task, error))
                yield failed[-1]
            else:
                done += 1
                yield FileDone(task.results[0], time.perf_counter() - started)
    yield FilesFinished(done, skipped, tuple(failed))


def predict_task(
    config: PredictConfig,
    task: PredictionTask,
    loaded: LoadedModel,
    tiles: Tiles | None = None,
) -> Generator[Event]:
    """Predict one image of several, see `predict_files_events`."""
    job = task_config(config, task, loaded.package)
    task.output.parent.mkdir(parents=True, exist_ok=True)
    if task.group is not None:
        image = task.group[1]
        source = task.inputs[0].parents[image.count("/")]
        for plate in task.plates:
            copy_structure(source, plate, [image])
    yield from predict_events(job, loaded=loaded, tiles=tiles)
    if task.group is not None:
        _put_in_place(task)


def task_config(
    config: PredictConfig, task: PredictionTask, package: ModelPackage
) -> PredictConfig:
    """Return the job of one task; what it says of files holds in any folder."""
    values = config.model_dump(exclude_unset=True)
    return PredictConfig.model_validate(
        {
            **values,
            "model": str(package.path),
            "inputs": [str(path.absolute()) for path in task.inputs],
            "output": task.output.absolute(),
            "resume": config.resume and task.begun,
            "overwrite": config.overwrite or (config.resume and not task.begun),
        }
    )


def check_tasks(
    config: PredictConfig, tasks: Sequence[PredictionTask], package: ModelPackage
) -> None:
    """Check that results are neither lost nor in want of space.

    Raises
    ------
    ConfigError
        If something is in the way, or the disk has less space than is needed.
    """
    if not (config.overwrite or config.resume):
        existing = [p for task in tasks for p in task.results if p.exists()]
        if existing:
            more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
            raise ConfigError(
                f"{existing[0]} exists{more}: --overwrite replaces what is there, "
                "--resume skips what is complete and continues the rest."
            )
    for folder in {task.output.parent for task in tasks}:
        check_writable(folder)
    left = [task for task in tasks if not (config.resume and task.complete)]
    if len(left) > 1:
        check_writable(left[0].output.parent, _bytes(left, package))


def _bytes(tasks: Sequence[PredictionTask], package: ModelPackage) -> int:
    """Estimate the bytes of all results, as float32 and uncompressed."""
    channels = 0
    for spec in package.outputs:
        size = spec.axis("channel").size if "channel" in spec.axis_names else None
        channels += size.size if isinstance(size, FixedSize) else 1
    surveyed = tasks[:: -(-len(tasks) // _SURVEYED)]
    total = 0
    for task in surveyed:
        try:
            image = open_image(task.inputs[0])
        except Im2ImError:
            continue  # It fails in its turn, and is reported then.
        pixels = 1
        for axis, pixels_along in image.sizes.items():
            pixels *= pixels_along if axis != "channel" else 1
        total += 4 * channels * pixels
    return total * len(tasks) // len(surveyed)


def failure(task: PredictionTask, error: Exception) -> FileFailed:
    """Return the event of an image that can't be predicted."""
    expected = isinstance(error, Im2ImError)
    reason = str(error) if expected else f"{type(error).__name__}: {error}"
    return FileFailed(task.inputs[0], reason)


def _put_in_place(task: PredictionTask) -> None:
    """Move the image of a plate to its place, now that it is complete."""
    from napari_im2im.images.atomic import remove, write_errors

    for written, place in zip(task.written, task.results, strict=True):
        with write_errors(place):
            remove(place)
            written.rename(place)
