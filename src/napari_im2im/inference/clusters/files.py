"""Many images, one on each worker of a cluster."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import Im2ImError
from napari_im2im.events import (
    Event,
    FileDone,
    FileFailed,
    FilesFinished,
    Progress,
)
from napari_im2im.inference.collection import (
    check_tasks,
    failure,
    predict_files_events,
    predict_task,
)
from napari_im2im.inference.loaded import LoadedModel

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence
    from pathlib import Path

    from distributed import Client

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.file_tasks import PredictionTask
    from napari_im2im.models.package import ModelPackage


def predict_anywhere_events(
    client: Client | None,
    config: PredictConfig,
    tasks: Sequence[PredictionTask],
    package: ModelPackage,
    *,
    trusted: Collection[str] = (),
) -> Generator[Event]:
    """Predict images here or on a cluster, where many are shared out, of one the tiles.

    Parameters
    ----------
    client
        Connection to the cluster; None for this process.
    config, tasks, package, trusted
        As for `predict_files_events`.
    """
    if client is not None and len(tasks) > 1:
        return distribute_files_events(client, config, tasks, package, trusted=trusted)
    return predict_files_events(config, tasks, package, trusted=trusted, client=client)


def distribute_files_events(
    client: Client,
    config: PredictConfig,
    tasks: Sequence[PredictionTask],
    package: ModelPackage,
    *,
    trusted: Collection[str] = (),
) -> Generator[Event]:
    """Predict images on the workers of a cluster; see `predict_files_events`.

    Parameters
    ----------
    client
        Connection to the cluster, whose computers see the same files.
    config, tasks, package, trusted
        As for `predict_files_events`.

    Yields
    ------
    Event
        `Progress`, for each image `FileDone` or `FileFailed` as they come, at last
        `FilesFinished`.
    """
    from distributed import KilledWorker, as_completed

    check_tasks(config, tasks, package)
    left = [task for task in tasks if not (config.resume and task.complete)]
    for task in tasks:
        if task not in left:
            yield FileDone(task.results[0], 0.0, skipped=True)
    failed: list[FileFailed] = []
    code = tuple(trusted)
    futures = {
        client.submit(_predict, config, task, package.path, code, pure=False): task
        for task in left
    }
    try:
        for done, future in enumerate(as_completed(futures, loop=client.loop), start=1):
            try:
                event = future.result()
            except KilledWorker as error:
                event = failure(futures[future], error)
            failed += [event] if isinstance(event, FileFailed) else []
            yield event
            yield Progress(done, len(left), "images")
    finally:
        client.cancel(list(futures))
    skipped = len(tasks) - len(left)
    yield FilesFinished(len(left) - len(failed), skipped, tuple(failed))


# -- on the worker -------------------------------------------------------------------

_models: dict[tuple[Any, ...], LoadedModel] = {}
_lock = threading.Lock()


def _predict(
    config: PredictConfig, task: PredictionTask, package: Path, trusted: tuple[str, ...]
) -> Event:
    """Predict an image with the model that this process has loaded."""
    started = time.perf_counter()
    # One at a time: each uses the whole device.
    with _lock:
        try:
            for _ in predict_task(config, task, _model(package, config, trusted)):
                pass
        except (Im2ImError, OSError, RuntimeError, ValueError) as error:
            return failure(task, error)
    return FileDone(task.results[0], time.perf_counter() - started)


def _model(
    package: Path, config: PredictConfig, trusted: tuple[str, ...]
) -> LoadedModel:
    from napari_im2im.models.package import load_package

    key = (package, config.engine, config.device, config.precision, trusted)
    if key not in _models:
        for old in _models.values():
            old.close()
        _models.clear()
        _models[key] = LoadedModel(load_package(package), config, trusted)
    return _models[key]
