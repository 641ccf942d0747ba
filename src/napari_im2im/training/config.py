"""Everything that defines a training, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from napari_im2im.models.networks import NetworkConfig
from napari_im2im.training.tasks.catalogue import TASKS, LossName, TaskName

Normalization = Literal["mean_std", "percentile", "none"]
_STANDARD_SECONDS = 1800.0

Fraction = Annotated[float, Field(ge=0, le=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class DataConfig(_Config):
    """The images to learn from.

    ``inputs`` and ``targets`` stay empty when images are handed over in memory,
    as the Train dock does with layers.
    """

    inputs: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of the input images.",
    )
    targets: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of the target images, in the same order.",
    )
    input_axes: str | None = Field(
        None, description="Axes of the input files (e.g. 'cyx') if they don't say."
    )
    target_axes: str | None = Field(
        None, description="Axes of the target files (e.g. 'cyx') if they don't say."
    )
    input_channels: list[int] | None = Field(
        None, description="Channels to read; default: all."
    )
    target_channels: list[int] | None = Field(
        None, description="Channels to learn; default: all."
    )
    validation_fraction: Annotated[float, Field(ge=0, le=0.9)] = Field(
        0.15, description="Part of the images (of the only image: a strip) held out."
    )


class EffortConfig(_Config):
    """How long to train: the first limit that is reached ends it.

    Where none is set, training takes half an hour.
    """

    seconds: PositiveFloat | None = Field(None, description="Time budget in seconds.")
    epochs: PositiveInt | None = Field(
        None, description="Passes over as many pixels as there are."
    )
    steps: PositiveInt | None = Field(None, description="Optimiser steps.")
    patience: PositiveInt | None = Field(
        None, description="Stop after so many validations without improvement."
    )

    @property
    def time_limit(self) -> float | None:
        """Seconds to train for, or None where steps or epochs alone count."""
        if self.seconds is None and self.epochs is None and self.steps is None:
            return _STANDARD_SECONDS
        return self.seconds


class OptimizerConfig(_Config):
    """AdamW with linear warm-up and cosine decay."""

    learning_rate: PositiveFloat = Field(
        1e-3, description="Largest rate, reached after the warm-up."
    )
    weight_decay: float = Field(
        1e-4, ge=0, description="Decoupled weight decay of AdamW."
    )
    warmup: Fraction = Field(0.05, description="Part of the steps to warm up.")
    gradient_clip: PositiveFloat | None = Field(
        1.0, description="Largest norm of the gradient; null: no limit."
    )


class TrainConfig(_Config):
    """A training of an image-to-image model."""

    name: str = Field("model", description="Name of the run and of its model.")
    output: Path | None = Field(
        None, description="Folder of the runs; default: napari-im2im/runs at home."
    )
    task: TaskName = Field(
        "image", description="What is learned: " + ", ".join(TASKS) + "."
    )
    data: DataConfig = Field(default_factory=DataConfig)
    spatial_axes: Literal["yx", "zyx"] | None = Field(
        None, description="2D (yx) or 3D (zyx) network; default: from the images."
    )
    patch: dict[str, PositiveInt] | None = Field(
        None, description="Patch size by axis, e.g. {y: 128, x: 128}; default: auto."
    )
    batch_size: PositiveInt | None = Field(
        None, description="Patches in a step; default: automatic."
    )
    augmentation: Literal["none", "standard"] = Field(
        "standard", description="standard: flips and quarter turns in the y-x plane."
    )
    input_normalization: Normalization = Field(
        "mean_std", description="How the inputs are scaled for the network."
    )
    target_normalization: Normalization = Field(
        "mean_std",
        description="How the targets are scaled; predictions are scaled back.",
    )
    percentiles: tuple[Percentile, Percentile] = Field(
        (0.1, 99.9), description="Used by the percentile normalisation."
    )
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    loss: dict[LossName, PositiveFloat] = Field(
        default_factory=dict,
        description="Weight of each term, e.g. {l1: 0.5, ssim: 0.5}; default: what "
        "suits the task.",
    )
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    effort: EffortConfig = Field(default_factory=EffortConfig)
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0, mps …")
    precision: str = Field("auto", description="auto, 32-true, bf16-mixed, 16-mixed.")
    start_from: Path | None = Field(
        None, description="Model package whose weights training goes on from."
    )
    freeze: list[str] = Field(
        default_factory=list,
        description="Layers of start_from that stay as they are, e.g. ['down_*'].",
    )
    freeze_depth: Fraction = Field(
        0.0, description="Part of the layers, from the input on, that stay."
    )
    seed: int = Field(0, description="Of the weights, the patches and the order.")
    resume: Path | None = Field(None, description="Run folder to continue.")

    @field_validator("percentiles")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the first percentile must be below the second")
        return value

    @model_validator(mode="after")
    def _losses_of_the_task(self) -> Self:
        known = TASKS[self.task].losses
        wrong = [name for name in self.loss if name not in known]
        if wrong:
            raise ValueError(
                f"the task {self.task} has no loss {wrong[0]!r}: choose from "
                f"{', '.join(known)}"
            )
        return self

    def completed(self) -> TrainConfig:
        """Return the config with the defaults of its task filled in."""
        if self.loss:
            return self
        return self.model_copy(update={"loss": dict(TASKS[self.task].default_loss)})
