"""The settings of denoising without a target, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Noise2VoidConfig(BaseModel):
    """Which pixels are hidden, and by what."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    percentage: Annotated[float, Field(gt=0, le=10)] = Field(
        0.2, description="Percentage of the pixels that are hidden."
    )
    radius: Annotated[int, Field(ge=1, le=50)] = Field(
        5, description="Pixels around one that is hidden from which it is replaced."
    )
    replacement: Literal["pixel", "median"] = Field(
        "pixel",
        description="What a hidden pixel becomes: another one of its neighbourhood "
        "(Noise2Void), or their median (N2V2).",
    )
    axis: Literal["x", "y", "z"] | None = Field(
        None,
        description="Axis along which the noise is correlated, e.g. x for lines of a "
        "scanning microscope: its neighbours are hidden as well (structN2V).",
    )
    span: Annotated[int, Field(ge=3, le=101)] = Field(
        5, description="Pixels that are hidden along that axis, an odd number."
    )
