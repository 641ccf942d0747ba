"""``napari-im2im train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from rich.markup import escape

from napari_im2im.cli.json_lines import JsonOption, json_line
from napari_im2im.errors import ConfigError
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.presets import with_preset


class Train(JsonOption, TrainConfig):
    """Train a model on pairs of image files."""

    config: Path | None = Field(
        None,
        description="YAML file with any of these keys; options override it.",
    )
    preset: str | None = Field(
        None,
        description="Recipe that fills in what isn't said; see 'napari-im2im presets'.",
    )
    dry_run: bool = Field(
        False,
        description="Say what would run: read the images, time a few steps, and stop "
        "there.",
    )

    trust: list[str] = Field(
        default_factory=list,
        description="SHA-256 of the code of start_from that may run.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, Any]) -> dict[str, Any]:
        preset = values.get("preset")
        return with_preset(preset, values) if preset else values

    def run(self) -> None:
        """Train, and name the model package on stdout."""
        if self.resume is None and not self.data.names_files:
            raise ConfigError(
                "Name the images to learn from: --data.folder FOLDER, or --data.inputs "
                "'phase/*.tif' --data.targets 'dna/*.tif', or the same keys in "
                "--config FILE."
            )
        from napari_im2im.api.models import find_model
        from napari_im2im.cli.console import follow, metrics_line, results, status
        from napari_im2im.evaluation.trained import train_and_test_events
        from napari_im2im.events import TrainingFinished
        from napari_im2im.folders import find_run
        from napari_im2im.training.forecast import forecast_training
        from napari_im2im.training.processes import processes

        own = {"config", "preset", "dry_run", "json_lines", "trust"}
        values = self.model_dump(exclude=own, exclude_unset=True)
        if self.start_from is not None:
            values["start_from"] = find_model(self.start_from)
        if self.resume is not None:
            values["resume"] = find_run(self.resume)
        job = TrainConfig.model_validate(values)
        if self.dry_run:
            forecast = forecast_training(job, trusted=self.trust)
            results.print(
                json_line(forecast) if self.json_lines else forecast.describe()
            )
            return
        events = train_and_test_events(job, trusted=self.trust)
        # Of several processes that train together, one talks.
        silent = not processes().is_first
        last = follow(
            events,
            "Training",
            json_lines=self.json_lines,
            silent=silent,
            go_on="napari-im2im train --resume {run}",
        )
        if isinstance(last, TrainingFinished) and not (self.json_lines or silent):
            sentence = f"Finished: {last.reason}. {metrics_line(last.metrics)}"
            status.print(escape(sentence), soft_wrap=True)
            results.print(str(last.package))
