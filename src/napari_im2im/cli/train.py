"""``napari-im2im train``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from napari_im2im.errors import ConfigError
from napari_im2im.training.config import TrainConfig


class Train(TrainConfig):
    """Train a model on pairs of image files."""

    config: Path | None = Field(
        None,
        description="YAML file with any of these keys; options override it.",
    )

    def run(self) -> None:
        """Train, and name the model package on stdout."""
        if self.resume is None and not (self.data.inputs and self.data.targets):
            raise ConfigError(
                "Name the images to learn from: --data.inputs 'phase/*.tif' "
                "--data.targets 'dna/*.tif', or the same keys in --config FILE."
            )
        from napari_im2im.cli.console import follow, metrics_line, results, status
        from napari_im2im.events import TrainingFinished
        from napari_im2im.training.loop import train_events

        job = TrainConfig.model_validate(
            self.model_dump(exclude={"config"}, exclude_unset=True)
        )
        last = follow(train_events(job), "Training")
        if isinstance(last, TrainingFinished):
            sentence = f"Finished: {last.reason}. {metrics_line(last.metrics)}"
            status.print(sentence, soft_wrap=True)
            results.print(str(last.package))
