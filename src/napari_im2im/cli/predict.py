"""``napari-im2im predict``."""

from __future__ import annotations

from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from napari_im2im.cli.json_lines import JsonOption, json_line
from napari_im2im.errors import ConfigError, Im2ImError, ModelError
from napari_im2im.folders import check_writable
from napari_im2im.inference.config import PredictConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE_SUFFIXES = (
    ".ome.tiff",
    ".ome.tif",
    ".ome.zarr",
    ".tiff",
    ".tif",
    ".zarr",
    ".png",
)


class Predict(JsonOption, PredictConfig):
    """Apply a model to image files.

    Each input of the model takes one --inputs pattern; a model with one input
    takes any number of files.
    """

    config: Path | None = Field(
        None,
        description="YAML file with any of these keys; options override it.",
    )
    output: Path | None = Field(
        None,
        description="File (OME-Zarr, TIFF) for one image, folder for several; "
        "default: beside each image, named after the model.",
    )
    trust: list[str] = Field(
        default_factory=list,
        description="SHA-256 of the code of a model that may run it.",
    )
    dry_run: bool = Field(
        False, description="Say what would run, read the images, and stop there."
    )

    def run(self) -> None:
        """Predict, and name the written files on stdout."""
        if not self.model or not self.inputs:
            raise ConfigError(
                "Name a model and the images to apply it to: "
                "--model NAME --inputs 'images/*.tif'."
            )
        from napari_im2im.api import load_model
        from napari_im2im.cli.console import results, status

        package = load_model(self.model)
        own = {"config", "trust", "dry_run", "json_lines"}
        common = self.model_dump(exclude=own, exclude_unset=True)
        tasks = plan(self.inputs, len(package.inputs), self.output, package.name)
        if not (self.overwrite or self.resume):
            _refuse_existing(tasks)
        for folder in {task.output.parent for task in tasks}:
            check_writable(folder)
        failures = []
        for task in tasks:
            job = PredictConfig.model_validate(
                {
                    **common,
                    "model": str(package.path),
                    "inputs": [str(path) for path in task.inputs],
                    "output": task.output,
                }
            )
            try:
                self._do(job, task)
            except Im2ImError as error:
                if len(tasks) == 1:
                    raise
                status.print(f"[red]{task.inputs[0]}:[/red] {error}", soft_wrap=True)
                failures.append(task.inputs[0].name)
            else:
                if not (self.dry_run or self.json_lines):
                    results.print(str(task.output))
        if failures:
            raise ModelError(
                f"{len(failures)} of {len(tasks)} images failed: {', '.join(failures)}."
            )

    def _do(self, job: PredictConfig, task: PredictionTask) -> None:
        """Predict one image, or say what that would be."""
        from napari_im2im.cli.console import follow, results

        if self.dry_run:
            from napari_im2im.inference.forecast import forecast_prediction

            forecast = forecast_prediction(job, trusted=self.trust)
            results.print(
                json_line(forecast) if self.json_lines else forecast.describe()
            )
            return
        from napari_im2im.inference.prediction import predict_events

        task.output.parent.mkdir(parents=True, exist_ok=True)
        events = predict_events(job, trusted=self.trust)
        follow(events, task.inputs[0].name, json_lines=self.json_lines)


@dataclass(frozen=True)
class PredictionTask:
    """One image for each input of a model, and where the result goes."""

    inputs: tuple[Path, ...]
    output: Path


def plan(
    patterns: Sequence[str], model_inputs: int, output: Path | None, model_name: str
) -> list[PredictionTask]:
    """Return what is to be predicted.

    Parameters
    ----------
    patterns
        Files or glob patterns: any number for a model with one input, else one
        for each input, which match equally many files.
    model_inputs
        Number of inputs of the model.
    output
        File for one image, folder for several, None for beside the images.
    model_name
        Name of the model, part of the names of the results.

    Raises
    ------
    ConfigError
        If a pattern matches nothing, or inputs and patterns don't fit together.
    """
    found = [_matches(pattern) for pattern in patterns]
    if model_inputs == 1:
        columns = [[path for paths in found for path in paths]]
    elif len(found) == model_inputs:
        columns = found
    else:
        raise ConfigError(
            f"This model reads {model_inputs} images at once: name {model_inputs} "
            f"--inputs, not {len(found)}."
        )
    counts = [len(column) for column in columns]
    if len(set(counts)) > 1:
        raise ConfigError(
            f"The inputs match {' and '.join(map(str, counts))} files; they must match "
            "equally many."
        )
    groups = list(zip(*columns, strict=True))
    is_file = output is not None and output.name.lower().endswith(_FILE_SUFFIXES)
    if output is not None and is_file:
        if len(groups) > 1:
            raise ConfigError(
                f"{len(groups)} images can't all go to {output}: name a folder."
            )
        return [PredictionTask(groups[0], output)]
    slug = "-".join(model_name.lower().split())
    tasks = []
    for group in groups:
        folder = output or group[0].parent
        tasks.append(
            PredictionTask(group, folder / f"{_stem(group[0])}_{slug}.ome.tif")
        )
    return tasks


def _matches(pattern: str) -> list[Path]:
    paths = sorted(glob(pattern, recursive=True)) if has_magic(pattern) else [pattern]
    missing = not paths or not Path(paths[0]).exists()
    if missing:
        raise ConfigError(f"No file matches {pattern}.")
    return [Path(path) for path in paths]


def _stem(path: Path) -> str:
    for suffix in _FILE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def _refuse_existing(tasks: Sequence[PredictionTask]) -> None:
    existing = [task.output for task in tasks if task.output.exists()]
    if existing:
        raise ConfigError(
            f"{existing[0]} exists: --overwrite replaces it, --resume continues it."
        )
