"""``napari-im2im predict``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from napari_im2im.cli.json_lines import JsonOption, json_line
from napari_im2im.errors import ConfigError, Im2ImError, ModelError
from napari_im2im.inference.config import PredictConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from distributed import Client

    from napari_im2im.inference.file_tasks import PredictionTask
    from napari_im2im.models.package import ModelPackage


class Predict(JsonOption, PredictConfig):
    """Apply a model to images: files, folders, plates.

    Each input of the model takes one --inputs pattern; a model with one input
    takes any number of files, folders (with all images below them) and plates.
    The tree of the results mirrors that of the images.
    """

    config: Path | None = Field(
        None,
        description="YAML file with any of these keys; options override it.",
    )
    inputs: list[str] = Field(
        default_factory=list,
        description="Files, folders, glob patterns or OME-Zarr plates.",
    )
    output: Path | None = Field(
        None,
        description="File (OME-Zarr, TIFF) for one image, folder for several; "
        "default: beside each image, named after the model.",
    )
    resume: bool = Field(
        False, description="Skip results that are complete, continue unfinished ones."
    )
    trust: list[str] = Field(
        default_factory=list,
        description="SHA-256 of the code of a model that may run it.",
    )
    dask: str | None = Field(
        None,
        description="Workers that share the work: address or file of a dask scheduler, "
        "or a number of processes to start here. Needs the extra 'cluster'.",
    )
    dry_run: bool = Field(
        False,
        description="Say what would run: read the images, time a tile, and stop there.",
    )

    def run(self) -> None:
        """Predict, and name the written files on stdout."""
        if not self.model or not self.inputs:
            raise ConfigError(
                "Name a model and the images to apply it to: "
                "--model NAME --inputs 'images/*.tif'."
            )
        from napari_im2im.api import load_model
        from napari_im2im.inference.file_tasks import plan_predictions

        package = load_model(self.model)
        own = {"config", "trust", "dask", "dry_run", "json_lines"}
        job = PredictConfig.model_validate(
            self.model_dump(exclude=own, exclude_unset=True)
        )
        tasks = plan_predictions(
            self.inputs,
            len(package.inputs),
            self.output,
            package.name,
            [spec.id for spec in package.outputs],
        )
        if self.dry_run:
            self._forecast(job, tasks, package)
        else:
            self._predict(job, tasks, package)

    def _predict(
        self,
        job: PredictConfig,
        tasks: Sequence[PredictionTask],
        package: ModelPackage,
    ) -> None:
        from napari_im2im.cli.console import follow
        from napari_im2im.events import FilesFinished
        from napari_im2im.inference.clusters.files import predict_anywhere_events

        with self._client() as client:
            events = predict_anywhere_events(
                client, job, tasks, package, trusted=self.trust
            )
            last = follow(
                events,
                "Predicting",
                json_lines=self.json_lines,
                go_on="the same command with --resume",
            )
        if isinstance(last, FilesFinished) and last.failed:
            names = ", ".join(failure.input.name for failure in last.failed)
            raise ModelError(
                f"{len(last.failed)} of {len(tasks)} images failed: {names}."
            )

    def _client(self) -> AbstractContextManager[Client | None]:
        if self.dask is None:
            return nullcontext()
        from napari_im2im.inference.clusters.distributed import open_client

        return open_client(self.dask)

    def _forecast(
        self,
        job: PredictConfig,
        tasks: Sequence[PredictionTask],
        package: ModelPackage,
    ) -> None:
        """Say what would run, with memory and time; read the images for it."""
        from napari_im2im.cli.console import failure_line, results, status
        from napari_im2im.inference.collection import check_tasks, task_config
        from napari_im2im.inference.forecast import forecast_with
        from napari_im2im.inference.loaded import LoadedModel
        from napari_im2im.inference.prediction import opened_images

        check_tasks(job, tasks, package)
        failed = []
        with LoadedModel(package, job, self.trust) as loaded:
            for task in tasks:
                if self.resume and task.complete:
                    continue
                try:
                    own = task_config(job, task, package)
                    forecast, _ = forecast_with(loaded, own, opened_images(own))
                except Im2ImError as error:
                    if len(tasks) == 1:
                        raise
                    line = failure_line(str(task.inputs[0]), str(error))
                    status.print(line, soft_wrap=True)
                    failed.append(task.inputs[0].name)
                else:
                    results.print(
                        json_line(forecast) if self.json_lines else forecast.describe()
                    )
        if failed:
            raise ModelError(
                f"{len(failed)} of {len(tasks)} images would fail: {', '.join(failed)}."
            )
