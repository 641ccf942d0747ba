"""Predicting folders of files from Python."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_im2im.api.jobs import make_config, run_job
from napari_im2im.api.models import load_model
from napari_im2im.errors import ModelError
from napari_im2im.events import FilesFinished
from napari_im2im.inference.config import PredictConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_im2im.api.jobs import Watcher
    from napari_im2im.models.package import ModelPackage


def predict_files(
    model: ModelPackage | str | Path,
    inputs: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    dask: str | int | None = None,
    on_event: Watcher | None = None,
    progress: bool | None = None,
    trusted: Collection[str] = (),
    **options: Any,
) -> FilesFinished:
    """Apply a model to files, folders or plates, as ``napari-im2im predict`` does.

    Parameters
    ----------
    model
        A package, its path, or the name of a model on this computer.
    inputs
        Files, folders (with all images below them), glob patterns or OME-Zarr
        plates; for a model with several inputs, one pattern for each.
    output
        File for one image, folder for several, whose tree mirrors that of the
        images; default: beside each image, named after the model.
    dask
        Workers that share the work: address or file of a dask scheduler, or a
        number of processes to start here.
    on_event
        Called with each event (see `napari_im2im.events`).
    progress
        Whether to show a bar; default: in notebooks.
    trusted
        SHA-256 of the code of models that may run it.
    **options
        Any field of `PredictConfig`, e.g. ``resume=True``.

    Returns
    -------
    FilesFinished
        How many images were predicted, skipped because they were complete, and
        which failed, with the reason of each.

    Raises
    ------
    ConfigError
        If nothing matches, a result is in the way, or there is no space.
    ModelError
        If the model can't be read or run.

    Examples
    --------
    >>> predict_files("dna", "images/", "predicted/", resume=True)  # doctest: +SKIP
    """
    from napari_im2im.inference.clusters.distributed import open_client
    from napari_im2im.inference.clusters.files import predict_anywhere_events
    from napari_im2im.inference.file_tasks import plan_predictions

    package = load_model(model)
    config = make_config(PredictConfig, options)
    patterns = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    tasks = plan_predictions(
        [str(pattern) for pattern in patterns],
        len(package.inputs),
        Path(output) if output is not None else None,
        package.name,
        [spec.id for spec in package.outputs],
    )
    with nullcontext() if dask is None else open_client(str(dask)) as client:
        events = predict_anywhere_events(
            client, config, tasks, package, trusted=trusted
        )
        last = run_job(events, on_event, "Predicting", progress)
    if not isinstance(last, FilesFinished):
        raise ModelError("The prediction ended unfinished.")
    return last
