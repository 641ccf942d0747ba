"""Everything that defines an evaluation, as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Normalization = Literal["none", "percentiles", "lightmycells"]
Metrics = Literal["auto", "intensity", "masks", "objects"]
Percentile = Annotated[float, Field(ge=0, le=100)]


class EvaluateConfig(BaseModel):
    """A comparison of predictions, or of what a model predicts, with the truth."""

    model_config = ConfigDict(extra="forbid")

    predictions: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of predictions that exist.",
    )
    model: str = Field(
        "", description="Model package or name: its predictions of --inputs count."
    )
    inputs: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of what the model is applied to; for a "
        "model that reads several images, one pattern for each.",
    )
    truth: list[str] = Field(
        default_factory=list,
        description="Files or glob patterns of the truth, paired by their names.",
    )
    axes: str | None = Field(
        None, description="Axes of predictions or inputs that don't say, e.g. 'cyx'."
    )
    truth_axes: str | None = Field(
        None, description="Axes of truth files that don't say, e.g. 'cyx'."
    )
    channels: list[int] | None = Field(
        None, description="Channels of the predictions to measure; default: all."
    )
    truth_channels: list[int] | None = Field(
        None, description="Channels of the truth, in the same order; default: all."
    )
    metrics: Metrics = Field(
        "auto",
        description="intensity: PSNR, SSIM, MS-SSIM, PCC, MAE; masks: Dice and IoU of "
        "each class; objects: average precision and F1 at IoU 0.5 to 0.9, splits and "
        "merges; auto: what the model is for, else intensity.",
    )
    normalization: Normalization = Field(
        "none",
        description="none: in the units of the truth, whose range is the data range; "
        "percentiles: both brought to 0 to 1 and clipped; lightmycells: scores of "
        "the Light My Cells challenge (2 and 99.8 percentiles, not clipped).",
    )
    percentiles: tuple[Percentile, Percentile] = Field(
        (0.1, 99.9), description="What the percentiles normalisation turns to 0 and 1."
    )
    group: str | None = Field(
        None,
        description="Regular expression; what its parentheses match in the path of "
        "the truth names the group; default: the folder.",
    )
    output: Path | None = Field(
        None,
        description="Folder for metrics.csv, summary.csv and charts; default: none.",
    )
    error_maps: bool = Field(
        False, description="Write prediction minus truth as OME-TIFF into the output."
    )
    keep_predictions: bool = Field(
        False, description="With a model: write its predictions into the output."
    )
    overwrite: bool = Field(False, description="Replace results that exist.")
    device: str = Field("auto", description="Of the model: auto, cpu, cuda, mps …")

    @field_validator("percentiles")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the first percentile must be below the second")
        return value

    @field_validator("group")
    @classmethod
    def _has_parentheses(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"it is no regular expression ({error})") from error
        if groups != 1:
            raise ValueError("it needs one pair of parentheses, e.g. '_(drug|control)'")
        return value

    @model_validator(mode="after")
    def _maps_need_a_folder(self) -> Self:
        if self.output is None and (self.error_maps or self.keep_predictions):
            what = "error maps" if self.error_maps else "predictions"
            raise ValueError(f"{what} need a folder: name it with output")
        return self
